//go:build cgo && !lite

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// destination is the tables of one schema of a file.
type destination struct {
	file   *file
	schema string
	clock  martsync.Clock
	log    *slog.Logger
	close  func() error
}

var (
	_ martsync.Checker       = (*destination)(nil)
	_ martsync.TableReader   = (*destination)(nil)
	_ martsync.HistoryReader = (*destination)(nil)
	_ martsync.Definer       = (*destination)(nil)
	_ martsync.Positioner    = (*destination)(nil)
)

// reserved schemas are names that DuckDB would also take for a database.
var reserved = []string{"memory", "system", "temp", "information_schema", "pg_catalog", catalog}

func open(ctx context.Context, c Config, namespace string, env martsync.Env) (martsync.Destination, error) {
	if namespace == "" {
		namespace = "main"
	}
	if slices.Contains(reserved, strings.ToLower(namespace)) || strings.ContainsRune(namespace, 0) {
		return nil, configError("open", "choose another schema", "the schema cannot be called %q", namespace)
	}
	f, err := openFile(ctx, c, env.Log)
	if err != nil {
		return nil, err
	}
	return &destination{
		file: f, schema: namespace, clock: env.Clock, log: env.Log,
		close: sync.OnceValue(f.release),
	}, nil
}

// Close releases the file.
func (d *destination) Close() error { return d.close() }

// table is the qualified, quoted name of a table.
func (d *destination) table(name string) string { return sqlgen.Name(catalog, d.schema, name) }

// Check tests whether the file can be opened, without creating it.
func (d *destination) Check(ctx context.Context) []martsync.Finding {
	f := martsync.Finding{Subject: "database file"}
	if exists, err := writable(d.file.path); err != nil {
		f.Detail, f.Hint, f.Err = err.Error(), martsync.HintOf(err), err
		return []martsync.Finding{f}
	} else if !exists {
		f.OK, f.Detail = true, d.file.path+" does not exist yet and will be created"
		return []martsync.Finding{f}
	}
	err := d.with(ctx, "check", func(c *conn) error {
		rows, err := c.strings(ctx, "SELECT count(*) FROM duckdb_tables() WHERE database_name = ? AND lower(schema_name) = lower(?) AND NOT starts_with(table_name, ?)",
			catalog, d.schema, sqlgen.Prefix)
		if err != nil {
			return err
		}
		f.OK, f.Detail = true, fmt.Sprintf("%s, schema %s, %s tables", d.file.path, d.schema, rows[0][0])
		return nil
	})
	if err != nil {
		f.OK, f.Detail, f.Hint, f.Err = false, err.Error(), martsync.HintOf(err), err
	}
	return []martsync.Finding{f}
}

// with runs f on a connection of its own.
func (d *destination) with(ctx context.Context, op string, f func(*conn) error) error {
	c, err := d.file.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	return wrap(op, f(c))
}

// writable reports whether the path can be written as far as its permissions tell, and whether
// it exists.
func writable(path string) (exists bool, err error) {
	op := "check " + path
	switch _, err := os.Stat(path); {
	case err == nil:
		// asked, not tried: closing the file again would drop DuckDB's lock on it
		if err := accessible(path, false); err != nil {
			return true, wrap(op, systemError(err))
		}
		return true, nil
	case !errors.Is(err, fs.ErrNotExist):
		return true, wrap(op, systemError(err))
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir):
			continue
		case err != nil:
			return false, wrap(op, systemError(err))
		case !info.IsDir():
			return false, configError(op, "choose another path", "%s is not a folder", dir)
		}
		if err := accessible(dir, true); err != nil {
			return false, wrap(op, systemError(err))
		}
		return false, nil
	}
}
