//go:build cgo && !lite

package duckdb

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// TestWideTable loads a table whose columns alone take more than the memory limit, unless the
// limit is raised. An operator's limit is not.
func TestWideTable(t *testing.T) {
	const columns = 700
	s := martsync.Schema{Stream: "wide", Key: []string{"c0"}}
	for i := range columns {
		s.Columns = append(s.Columns, martsync.Column{Name: fmt.Sprintf("c%d", i), Type: martsync.String})
	}
	load := func(d martsync.Destination, round int) error {
		w, err := d.Open(t.Context(), s)
		if err != nil {
			return err
		}
		defer w.Close()
		b := rows.NewBuilder(s.Columns)
		row := make([]any, columns)
		for i := range 2500 {
			row[0] = fmt.Sprint(i * (round + 1))
			row[1+i%(columns-1)] = fmt.Sprint("value ", i)
			b.Append(row...)
		}
		if err := w.Write(t.Context(), b.Records()); err != nil {
			return err
		}
		return w.Commit(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: "1"})
	}
	d := openNew(t)
	for round := range 2 {
		if err := load(d, round); err != nil {
			t.Fatalf("load %d: %v", round, err)
		}
	}
	if got := query(t, d, "SELECT count(*), count(DISTINCT c0) FROM "+d.table("wide")); got[0] != "3750|3750" {
		t.Errorf("%s rows and keys, want 3750", got[0])
	}

	small, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "small.duckdb"), MemoryLimit: "32MB"}, "", env(t))
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	err = load(small, 0)
	wantKind(t, err, martsync.Config, "Out of Memory")
	if hint := martsync.HintOf(err); !strings.Contains(hint, "memory_limit") {
		t.Errorf("hint %q", hint)
	}
}
