//go:build cgo && !lite

package duckdb

import (
	"context"
	"strings"
)

// A loadKey names a load within a file, in lower case.
type loadKey struct{ schema, load string }

// loads are those that may have staging tables or marks in the open file, of each schema that a writer was opened in. They
// are listed once, for nobody else can make any: DuckDB holds the lock of the file for as long as it is open.
// The value is the writer in this process whose load it is, or nil. Guarded by file.mu.
type loads struct {
	writers map[loadKey]*writer
	listed  map[string]bool // schemas
}

func newLoads() loads { return loads{map[loadKey]*writer{}, map[string]bool{}} }

// listLoads finds what earlier processes left in the schema, unless that is known. f.ddl is held.
func (d *destination) listLoads(ctx context.Context, c *conn) error {
	f, schema := d.file, fold(d.schema)
	f.mu.Lock()
	listed := f.loads.listed[schema]
	f.mu.Unlock()
	if listed {
		return nil
	}
	names, err := c.strings(ctx, "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND lower(schema_name) = lower(?)", catalog, d.schema)
	if err != nil {
		return err
	}
	var found []string
	for _, r := range names {
		for _, prefix := range []string{rowsPrefix, gonePrefix} {
			if load, ok := strings.CutPrefix(fold(r[0]), prefix); ok {
				found = append(found, load)
			}
		}
	}
	marked, err := c.strings(ctx, "SELECT DISTINCT load FROM "+d.table(stagedTable))
	if err != nil {
		return err
	}
	for _, r := range marked {
		found = append(found, r[0])
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, load := range found {
		f.loads.writers[loadKey{schema, fold(load)}] = nil // no writer has one yet: this comes before the first is opened
	}
	f.loads.listed[schema] = true
	return nil
}

// loadsOf are the loads of a stream that may have tables or marks.
func (f *file) loadsOf(schema, stream string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for key := range f.loads.writers {
		if key.schema == fold(schema) && streamOf(key.load) == fold(stream) {
			out = append(out, key.load)
		}
	}
	return out
}

// owner is the writer in this process whose load it is.
func (f *file) owner(schema, load string) *writer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loads.writers[loadKey{fold(schema), fold(load)}]
}

// own makes a load the writer's: a new one, or, with force, also one that may be there.
func (f *file) own(w *writer, load string, force bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := loadKey{fold(w.d.schema), fold(load)}
	if _, there := f.loads.writers[key]; there && !force {
		return false
	}
	f.loads.writers[key] = w
	return true
}

// disown ends what own began. The load is left to whoever opens the stream next, or it is gone.
func (f *file) disown(w *writer, load string, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := loadKey{fold(w.d.schema), fold(load)}
	switch {
	case f.loads.writers[key] != w:
	case gone:
		delete(f.loads.writers, key)
	default:
		f.loads.writers[key] = nil
	}
}

// dropped forgets loads of nobody's that have been dropped.
func (f *file) dropped(schema string, loads []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, load := range loads {
		if key := (loadKey{fold(schema), fold(load)}); f.loads.writers[key] == nil {
			delete(f.loads.writers, key)
		}
	}
}
