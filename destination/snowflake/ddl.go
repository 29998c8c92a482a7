package snowflake

import (
	"context"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// The comment of a table says whose it is: that costs no warehouse to read, and survives clones and renames.
const (
	tableComment  = "martsync stream "
	systemComment = "martsync system table"
)

// stageName is the internal stage that files are loaded through.
const stageName = sqlgen.Prefix + "stage"

// Further columns of the ledger, the log and the quarantine give their rows an order: the number of the stream's commit,
// and the place within it.
const (
	ledgerCommit = "commit_number"
	ledgerPlace  = "place"
)

// systemTables are those that every SQL destination has.
func systemTables() []sqlgen.Table {
	tables := sqlgen.SystemTables()
	for i := range tables {
		if tables[i].Name != sqlgen.Cursors {
			tables[i].Columns = append(tables[i].Columns,
				martsync.Column{Name: ledgerCommit, Type: martsync.Int64}, martsync.Column{Name: ledgerPlace, Type: martsync.Int64})
		}
	}
	return tables
}

// columnList declares columns.
func (d *destination) columnList(columns []martsync.Column) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  " + ident(d.config.columnName(c)) + " " + declaration(c))
	}
	return b.String()
}

// createTable is the statement that makes a table unless it exists.
func (d *destination) createTable(name string, columns []martsync.Column, comment string) string {
	kind := "TABLE"
	if d.config.Transient {
		kind = "TRANSIENT TABLE"
	}
	return "CREATE " + kind + " IF NOT EXISTS " + d.table(name) + " (" + d.columnList(columns) + "\n) COMMENT = " + text(comment)
}

// createSchema and createStage make what the tables and the files need.
func (d *destination) createSchema() string {
	return "CREATE SCHEMA IF NOT EXISTS " + sqlgen.Name(d.database, d.schema)
}

func (d *destination) createStage() string {
	return "CREATE STAGE IF NOT EXISTS " + d.table(stageName) + " COMMENT = " + text("martsync: files on their way into tables")
}

// createStream is the statement that makes the table of a stream.
func (d *destination) createStream(s martsync.Schema) string {
	return d.createTable(s.Stream, sqlgen.TableColumns(s), tableComment+s.Stream)
}

// setUp makes the schema, the stage and the system tables unless they are there. It is done once for
// each destination.
func (s *session) setUp(ctx context.Context) error {
	d := s.d
	if d.ready {
		return nil
	}
	there, err := s.showTables(ctx, sqlgen.Prefix+"%")
	if missing(err) {
		if _, err = s.exec(ctx, d.createSchema()); err != nil {
			return err
		}
		there = nil
	} else if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, t := range there {
		have[t.name] = true
	}
	for _, t := range systemTables() {
		if have[d.config.tableName(t.Name)] {
			continue
		}
		if _, err := s.exec(ctx, d.createTable(t.Name, t.Columns, systemComment)); err != nil {
			return err
		}
		d.fresh = d.fresh || t.Name == sqlgen.Cursors
	}
	if d.config.Stage.Name == "" {
		r, err := s.query(ctx, "SHOW STAGES LIKE "+text(stageName)+" IN SCHEMA "+sqlgen.Name(d.database, d.schema))
		if err != nil {
			return err
		}
		found := false
		for i := range r.rows {
			found = found || r.cell(i, "name") == d.config.tableName(stageName)
		}
		if !found {
			if _, err := s.exec(ctx, d.createStage()); err != nil {
				return err
			}
		}
	}
	d.ready = true
	return nil
}

// alter makes the table fit. It reports whether it has raised the number of commits.
func (s *session) alter(ctx context.Context, table *layout, plan alteration, stream string, commits int64) (raised bool, err error) {
	target := s.d.qualified(table.name)
	if len(plan.add) > 0 {
		var columns []string
		for _, c := range plan.add {
			column := ident(c.Name) + " " + declaration(c.Column)
			if c.Name == s.d.deleted() {
				column += " DEFAULT FALSE" // for the rows that are there
			}
			columns = append(columns, column)
		}
		if _, err := s.exec(ctx, "ALTER TABLE "+target+" ADD COLUMN "+strings.Join(columns, ", ")); err != nil {
			return false, err
		}
	}
	for _, c := range plan.widen {
		if _, err := s.exec(ctx, "ALTER TABLE "+target+" ALTER COLUMN "+ident(c.Name)+" SET DATA TYPE "+c.typ); err != nil {
			return false, err
		}
	}
	return s.retype(ctx, table, plan.retype, stream, commits)
}
