//go:build cgo && !lite

package duckdb

import (
	"context"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// TableStatements returns the SQL that creates the table of s and the system tables. Names are
// qualified by the schema alone, so that the statements can be run in any client.
func (d *destination) TableStatements(s martsync.Schema) []string { return d.statements(s, "") }

func (d *destination) statements(s martsync.Schema, catalog string) []string {
	name := func(table string) string { return sqlgen.Name(catalog, d.schema, table) }
	out := []string{"CREATE SCHEMA IF NOT EXISTS " + sqlgen.Name(catalog, d.schema)}
	for _, t := range systemTables() {
		out = append(out, sqlgen.DuckDB.CreateTable(name(t.Name), t.Columns))
	}
	return append(out,
		sqlgen.DuckDB.CreateTable(name(s.Stream), sqlgen.TableColumns(s)),
		sqlgen.RegisterStream(name(sqlgen.Cursors), s.Stream))
}

// ViewStatements returns the SQL that creates the views over the tables of streams that exist.
func (d *destination) ViewStatements(ctx context.Context, views []martsync.View) ([]string, error) {
	var out []string
	err := d.with(ctx, "list tables for views", func(c *conn) error {
		tables, err := d.layouts(ctx, c)
		if err != nil {
			return err
		}
		known := sqlgen.Layout{}
		var names []string
		if tables[sqlgen.Cursors] != nil {
			rows, err := c.strings(ctx, "SELECT stream FROM "+d.table(sqlgen.Cursors))
			if err != nil {
				return err
			}
			for _, r := range rows {
				if t := tables[fold(r[0])]; t != nil && !t.isView {
					known[r[0]] = t.names()
					names = append(names, r[0])
				}
			}
		}
		out = append(out, sqlgen.CreateSchema(d.schema))
		for _, v := range views {
			if t := tables[fold(v.Name)]; t != nil && !t.isView {
				d.log.Warn("a view is left out: a table has its name", "view", v.Name)
				continue
			}
			if statement, ok := sqlgen.DuckDB.View(d.schema, v, known); ok {
				out = append(out, statement)
			}
		}
		if t := tables[sqlgen.MetadataView]; t == nil || t.isView {
			out = append(out, sqlgen.DuckDB.Metadata(d.schema, names))
		}
		return nil
	})
	return out, err
}

// Exec runs the statements in one transaction.
func (d *destination) Exec(ctx context.Context, statements []string) error {
	d.file.ddl.Lock()
	defer d.file.ddl.Unlock()
	return d.with(ctx, "run statements", func(c *conn) error {
		if err := c.exec(ctx, "USE "+sqlgen.Name(catalog, "main")); err != nil {
			return err
		}
		return c.tx(ctx, func() error {
			for _, s := range statements {
				if err := c.exec(ctx, s); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
