//go:build cgo && !lite

package snowflakesim

import (
	"fmt"
	"strings"
	"time"
)

// The catalog is kept here and not in the engine, because in Snowflake a change of the catalog
// is never part of a transaction. It is guarded by Server.mu.
type catalog struct {
	dbs map[string]*database
	now func() time.Time
}

type database struct {
	name, owner string
	created     time.Time
	schemas     map[string]*schema
}

type schema struct {
	db, name, owner string
	created         time.Time
	tables          map[string]*table // tables and views share names
	stages          map[string]*stage
	formats         map[string]map[string]string
	dropped         map[string][]*table // newest last, for UNDROP
}

type table struct {
	db, schema, name string
	kind             string // TABLE, TRANSIENT, TEMPORARY
	view             string // text of the query; "": a table
	viewCols         []string
	ddl              string
	engine           string // name of the engine's table
	cols             []column
	comment, owner   string
	cluster          string
	created, altered time.Time
	loaded           map[string]string // files COPY has loaded: key to etag
	session          int64             // TEMPORARY: whose
	changed          bool
}

type column struct {
	name    string
	typ     dtype
	notNull bool
	def     string // DEFAULT, as the engine has it
	defText string
	comment string
	key     bool
}

type stage struct {
	db, schema, name string
	owner, comment   string
	url              string // external: s3://bucket/path/
	temporary        int64  // session
	encrypted        bool   // at the client
	key              []byte
	created          time.Time
	options          map[string]string // file format
}

func newCatalog(now func() time.Time) *catalog {
	return &catalog{dbs: map[string]*database{}, now: now}
}

func (t *table) duck() string { return duckIdent(t.engine) }

func (t *table) full() string { return t.db + "." + t.schema + "." + t.name }

func (t *table) column(name string) *column {
	for i := range t.cols {
		if t.cols[i].name == name {
			return &t.cols[i]
		}
	}
	return nil
}

func (s *stage) full() string { return s.db + "." + s.schema + "." + s.name }

// prefix is where the stage's files are in the store.
func (s *stage) prefix() string {
	return fmt.Sprintf("%s/%s/%s/", strings.ToLower(mangle(s.db)), strings.ToLower(mangle(s.schema)), strings.ToLower(mangle(s.name)))
}

// qualify completes a path by the session's current names.
func (c *session) qualify(path []string) (db, sch, name string, ok bool) {
	switch len(path) {
	case 1:
		db, sch, name = c.db, c.schema, path[0]
	case 2:
		db, sch, name = c.db, path[0], path[1]
	case 3:
		db, sch, name = path[0], path[1], path[2]
	default:
		return "", "", "", false
	}
	return db, sch, name, true
}

// schemaOf returns the schema an object's path lies in, or refuses as Snowflake does.
func (c *session) schemaOf(path []string) (*schema, string) {
	db, sch, name, ok := c.qualify(path)
	if !ok {
		panic(compilation("001003", "too many parts in '%s'", strings.Join(path, ".")))
	}
	if db == "" {
		panic(refuse("090105", "22000", "Cannot perform operation. This session does not have a current database. Call 'USE DATABASE', or use a qualified name."))
	}
	if sch == "" {
		panic(refuse("090106", "22000", "Cannot perform operation. This session does not have a current schema. Call 'USE SCHEMA', or use a qualified name."))
	}
	d := c.srv.cat.dbs[db]
	if d == nil || !c.may("USAGE", "DATABASE", db) {
		panic(notFound("Database", db))
	}
	s := d.schemas[sch]
	if s == nil || !c.may("USAGE", "SCHEMA", db+"."+sch) {
		panic(notFound("Schema", db+"."+sch))
	}
	return s, name
}

// table finds a table or view; nil: there is none. A temporary one hides its namesake.
func (c *session) table(path []string) *table {
	s, name := c.schemaOf(path)
	if t := c.temps[s.db+"."+s.name+"."+name]; t != nil {
		return t
	}
	return s.tables[name]
}

func (c *session) mustTable(path []string) *table {
	t := c.table(path)
	if t == nil {
		panic(notFound("Table", strings.Join(path, ".")))
	}
	return t
}

func (c *session) stage(path []string) *stage {
	s, name := c.schemaOf(path)
	st := s.stages[name]
	if st == nil || st.temporary != 0 && st.temporary != c.id {
		panic(notFound("Stage", strings.Join(path, ".")))
	}
	return st
}

func (c *session) needTable(t *table, privilege, name string) {
	if t.kind == "TEMPORARY" || c.may(privilege, "TABLE", t.full()) {
		return
	}
	// Who may do something with a table is told that it exists.
	for _, p := range []string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES"} {
		if p != privilege && c.may(p, "TABLE", t.full()) {
			panic(insufficient("table", t.name))
		}
	}
	panic(notFound("Object", name))
}

// addTable makes a table in the engine and in the catalog.
func (s *Server) engineName(db, schema, name string) string {
	return fmt.Sprintf("%s.%s.%s#%d", mangle(db), mangle(schema), mangle(name), s.lastTemp.Add(1))
}
