package snowflake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// dialect is how Snowflake says what views are made of.
var dialect = sqlgen.Dialect{
	Type: sqlType,
	Member: func(object, key string) string {
		return "GET(" + object + ", " + text(key) + ")::VARCHAR"
	},
	MemberJSON: func(object, key string) string {
		return "GET(" + object + ", " + text(key) + ")"
	},
	Cast: func(expression string, c martsync.Column) string {
		if c.Type != martsync.Timestamp {
			return "TRY_CAST(" + expression + " AS " + sqlType(c) + ")"
		}
		// TRY_TO_TIMESTAMP_NTZ passes over an offset, and a cast to TIMESTAMP_TZ takes text without one for the time of
		// whoever looks at the view. Offsets without a colon, as Marketo writes them, only some formats take.
		return "CASE WHEN REGEXP_LIKE(" + expression + ", " + text(zoned) + ") THEN CONVERT_TIMEZONE('UTC', TRY_CAST(REGEXP_REPLACE(" +
			expression + ", " + text(bareOffset) + ", " + text(`\1:\2`) + ") AS TIMESTAMP_TZ))::TIMESTAMP_NTZ ELSE TRY_TO_TIMESTAMP_NTZ(" + expression + ") END"
	},
	Alter: func(column, typ string) string { return "ALTER COLUMN " + ident(column) + " SET DATA TYPE " + typ },
}

// What tells a time with an offset from one without. The class [.] saves a backslash, of which a literal
// would need two.
const (
	zoned      = `.*:[0-9][0-9]([.][0-9]+)?[+-][0-9][0-9](:?[0-9][0-9])?`
	bareOffset = `([+-][0-9][0-9])([0-9][0-9])$`
)

// Names of the views that the former Marketo connector had.
const (
	legacyLog      = "MARKETO_AWS_LOGS"
	legacyMetadata = "MARKETO_META_DATA_VIEW"
	legacyDatamart = "MARKETODATAMART"
	datamart       = "datamart" // the view that sources suggest for it
)

// viewer makes the statements of views.
type viewer struct {
	d      *destination
	tables map[string][]string // the columns of each table, all in the catalog's spelling
	taken  map[string]bool     // names of things that are no views
}

// view is the statement of one suggested view, or of a copy of it by another name in capitals. ok is false if it
// makes no sense for the tables that there are.
func (v *viewer) view(w martsync.View, legacy string) (_ string, ok bool) {
	c := &v.d.config
	name, output := c.tableName(w.Name), func(n string) string { return c.columnName(martsync.Column{Name: n}) }
	if legacy != "" {
		name, output = legacy, upper
	}
	if v.taken[name] {
		v.d.env.Log.Warn("a view is left out: a table has its name", "destination", "snowflake", "view", name)
		return "", false
	}
	w.Name, w.From = name, c.tableName(w.From)
	joined := ""
	if w.Join != nil {
		j := *w.Join
		j.Stream = c.tableName(j.Stream)
		joined = j.Stream
		j.On = slices.Clone(j.On)
		for i, pair := range j.On {
			j.On[i] = [2]string{v.column(w.From, pair[0]), v.column(joined, pair[1])}
		}
		w.Join = &j
	}
	if w.Follow != nil {
		f := *w.Follow
		f.Stream = c.tableName(f.Stream)
		f.Key, f.Old, f.New = v.column(w.From, f.Key), v.column(f.Stream, f.Old), v.column(f.Stream, f.New)
		w.Follow = &f
	}
	w.Where = slices.Clone(w.Where)
	for i := range w.Where {
		w.Where[i].Column = v.column(w.From, w.Where[i].Column)
	}
	w.Columns = slices.Clone(w.Columns)
	for i, col := range w.Columns {
		table := w.From
		if col.Joined {
			table = joined
		}
		w.Columns[i].Column, w.Columns[i].Name = v.column(table, col.Column), output(col.Name)
	}
	statement, ok := dialect.View(v.d.schema, w, v.tables)
	return keepGrants(statement), ok
}

// column is the catalog's name of a column of a table by ours. A name that is not there stays as it is, which
// leaves the column out.
func (v *viewer) column(table, name string) string {
	var columns []described
	for _, c := range v.tables[table] {
		columns = append(columns, described{name: c})
	}
	if c, ok := v.d.column(columns, name); ok {
		return c.name
	}
	return name
}

// keepGrants makes the statement keep what was granted on the view that it replaces.
func keepGrants(statement string) string {
	return strings.Replace(statement, " AS\n", " COPY GRANTS AS\n", 1)
}

// metadata is the view with a row for each table: its rows and the time at which the newest was written.
// headings are the names of its three columns.
func (v *viewer) metadata(name string, tables []string, headings [3]string) string {
	synced := v.d.synced()
	var selects []string
	for _, t := range tables {
		selects = append(selects, fmt.Sprintf("SELECT %s AS %s, COUNT(*) AS %s, MAX(%s) AS %s FROM %s",
			text(t), ident(headings[0]), ident(headings[1]), ident(synced), ident(headings[2]), sqlgen.Name(v.d.schema, t)))
	}
	if len(selects) == 0 {
		selects = []string{fmt.Sprintf("SELECT NULL::VARCHAR AS %s, 0 AS %s, NULL::TIMESTAMP_NTZ AS %s WHERE FALSE",
			ident(headings[0]), ident(headings[1]), ident(headings[2]))}
	}
	return keepGrants("CREATE OR REPLACE VIEW " + sqlgen.Name(v.d.schema, name) + " AS\n" + strings.Join(selects, "\nUNION ALL\n"))
}

// log is the log as the former connector showed it.
func (v *viewer) log() string {
	column := func(name, as string) string {
		return ident(v.d.config.columnName(martsync.Column{Name: name})) + " AS " + ident(as)
	}
	return keepGrants("CREATE OR REPLACE VIEW " + sqlgen.Name(v.d.schema, legacyLog) + " AS\nSELECT " + strings.Join([]string{
		column("message", "MESSAGE"), column("stream", "TABLE_NAME"), column("operation", "OPERATION_NAME"), column("success", "SUCCESS"), column("time", "TIMESTAMP"),
	}, ", ") + "\nFROM " + sqlgen.Name(v.d.schema, v.d.config.tableName(sqlgen.Log)))
}

// ViewStatements returns the SQL that creates the views over the tables of streams that exist.
// Views are replaced; what was granted on them stays.
func (d *destination) ViewStatements(ctx context.Context, views []martsync.View) ([]string, error) {
	v, streams, err := d.viewer(ctx)
	if err != nil {
		return nil, err
	}
	out := []string{d.createSchema()}
	for _, w := range views {
		if statement, ok := v.view(w, ""); ok {
			out = append(out, statement)
		}
		if w.Name == datamart && d.config.LegacyViews != "" {
			if statement, ok := v.view(w, legacyDatamart); ok {
				out = append(out, statement)
			}
		}
	}
	heading := func(name string) string { return d.config.columnName(martsync.Column{Name: name}) }
	if name := d.config.tableName(sqlgen.MetadataView); !v.taken[name] {
		out = append(out, v.metadata(name, streams, [3]string{heading("table_name"), heading("row_count"), heading("newest")}))
	}
	if d.config.LegacyViews != "" {
		if !v.taken[legacyMetadata] {
			out = append(out, v.metadata(legacyMetadata, streams, [3]string{"TABLE_NAME", "ROW_COUNT", "NEWEST_TIMESTAMP"}))
		}
		if _, ok := v.tables[d.config.tableName(sqlgen.Log)]; ok && !v.taken[legacyLog] {
			out = append(out, v.log())
		}
	}
	return out, nil
}

// viewer reads which tables there are, and which of them are of streams: their comments say so. It needs no
// warehouse.
func (d *destination) viewer(ctx context.Context) (*viewer, []string, error) {
	v := &viewer{d: d, tables: map[string][]string{}, taken: map[string]bool{}}
	var streams []string
	err := d.with(ctx, "list tables for views", func(s *session) error {
		all, err := s.showTables(ctx, "%")
		if missing(err) {
			return nil // not even the schema is there
		}
		for _, t := range all {
			v.taken[t.name] = true
			if strings.HasPrefix(t.comment, tableComment) && !strings.HasPrefix(lower(t.name), sqlgen.Prefix) { // clones keep comments
				streams = append(streams, t.name)
			}
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(streams)
	known := slices.Clone(streams)
	if log := d.config.tableName(sqlgen.Log); v.taken[log] {
		known = append(known, log)
	}
	if len(known) == 0 {
		return v, nil, nil
	}
	columns, err := d.show(ctx, "list columns for views", "SHOW COLUMNS IN SCHEMA "+sqlgen.Name(d.database, d.schema))
	if err != nil {
		return nil, nil, err
	}
	if len(columns) < showLimit {
		for _, r := range columns {
			if t := r["table_name"]; slices.Contains(known, t) {
				v.tables[t] = append(v.tables[t], r["column_name"])
			}
		}
		return v, streams, nil
	}
	for _, t := range known {
		columns, err := d.describe(ctx, []string{d.database, d.schema, t})
		if err != nil {
			return nil, nil, err
		}
		for _, c := range columns {
			v.tables[t] = append(v.tables[t], c.name)
		}
	}
	return v, streams, nil
}
