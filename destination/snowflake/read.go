package snowflake

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/sqlgen"
)

var _ martsync.TableReader = (*destination)(nil)

// ReadTable reads a table. Columns of types that we never make are read as text. It uses a session of its
// own, so that tables can be loaded and read at the same time, and runs on the warehouse.
func (d *destination) ReadTable(ctx context.Context, stream string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	op := "read table " + stream
	path, table, err := d.find(ctx, stream)
	if err != nil {
		return martsync.Schema{}, nil, err
	}
	if table == nil {
		return martsync.Schema{}, nil, configError(op, "Run a sync first.", "the schema %s.%s has no such table", d.database, d.schema)
	}
	s := martsync.Schema{Stream: stream}
	var expressions []string
	deleted := ""
	for _, c := range table {
		name := ident(c.name)
		column := martsync.Column{Name: d.ourName(c.name)}
		switch column.Name {
		case martsync.SyncedAt:
			continue
		case martsync.Deleted:
			s.Deletes, deleted = true, name
			continue
		}
		if d.config.Identifiers == preserveIdentifiers {
			column.Origin = c.name
		}
		as, _, known := columnOf(column.Name, c.typ)
		if !known {
			as = martsync.Column{Name: column.Name, Type: martsync.String}
			name = "TO_VARCHAR(" + name + ")"
		}
		as.Origin = column.Origin
		s.Columns = append(s.Columns, as)
		expressions = append(expressions, readable(as, name))
	}
	if s.Deletes {
		expressions = append(expressions, "COALESCE("+deleted+", FALSE)")
	}
	query := "SELECT " + strings.Join(expressions, ", ") + " FROM " + sqlgen.Name(path...)
	return s, func(yield func(*martsync.Records, error) bool) {
		err := d.apart(ctx, op, func(session *session) error {
			return session.readRows(ctx, query, s, func(r *martsync.Records) error {
				if !yield(r, nil) {
					return errEnough
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}, nil
}

// errEnough ends a query whose reader has seen enough.
var errEnough = errors.New("enough")

// readable is a column as the driver hands it over without loss. It would make a double of a NUMBER with a
// fraction, and it gives JSON with line breaks.
func readable(c martsync.Column, name string) string {
	switch c.Type {
	case martsync.Int64, martsync.Decimal:
		return "TO_VARCHAR(" + name + ")"
	case martsync.JSON:
		return "TO_JSON(" + name + ")"
	default:
		return name
	}
}

// readRows runs a query whose columns are those of the schema, and its mark of deletions at the end.
func (s *session) readRows(ctx context.Context, query string, schema martsync.Schema, f func(*martsync.Records) error) error {
	// Results in JSON, which are right for the rest of what we ask, show doubles with fewer digits than they have.
	if _, err := s.exec(ctx, "ALTER SESSION SET GO_QUERY_RESULT_FORMAT = 'ARROW'"); err != nil {
		return err
	}
	b := columns.NewBuilder(schema.Columns)
	n := len(schema.Columns)
	cells := make([][]byte, n)
	flush := func() error {
		if b.Len() == 0 {
			return nil
		}
		err := f(b.Records())
		b.Reset()
		return err
	}
	err := s.each(ctx, query, nil, func(_ []string, row []sql.NullString) error {
		for i, c := range schema.Columns {
			cells[i] = nil
			if v := row[i]; v.Valid {
				text := v.String
				if c.Type == martsync.Date {
					text, _, _ = strings.Cut(text, "T") // the driver makes a time of it
				}
				cells[i] = []byte(text)
			}
		}
		if err := b.AppendCells(cells); err != nil {
			return &martsync.Error{Kind: martsync.Internal, Op: "snowflake: read table " + schema.Stream, Err: err}
		}
		if schema.Deletes && row[n].String == "true" {
			b.MarkDeleted()
		}
		if b.Full() {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// find looks for the table of a stream, or for one that the configuration or an operator names: as the stream's
// table would be called, else as it is written, else without regard to case.
func (d *destination) find(ctx context.Context, table string) (path []string, columns []described, err error) {
	path = d.objectPath(table)
	names := []string{path[2]}
	if !strings.ContainsAny(table, `."`) {
		path = []string{d.database, d.schema, ""}
		names = []string{d.config.tableName(table), table, upper(table)}
	}
	for i, name := range names {
		if i > 0 && name == names[i-1] {
			continue
		}
		path[2] = name
		if columns, err = d.describe(ctx, path); err != nil || columns != nil {
			return path, columns, err
		}
	}
	rows, err := d.show(ctx, "find table "+table, "SHOW OBJECTS LIKE "+text(likely(path[2]))+" IN SCHEMA "+sqlgen.Name(path[:2]...))
	if missing(err) {
		return path, nil, nil
	}
	if err != nil {
		return path, nil, err
	}
	for _, r := range rows {
		if strings.EqualFold(r["name"], path[2]) {
			path[2] = r["name"]
			columns, err = d.describe(ctx, path)
			return path, columns, err
		}
	}
	return path, nil, nil
}

// ourName is the name of a column of ours, as streams have it.
func (d *destination) ourName(catalog string) string {
	switch d.config.Identifiers {
	case upperIdentifiers:
		return lower(catalog)
	case preserveIdentifiers:
		return columns.Snake(catalog)
	}
	return catalog
}
