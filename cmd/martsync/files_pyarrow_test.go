package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/martsync/martsync"
)

// countRows is a program that reads the Parquet files below a folder, column by column, with a library that
// knows nothing of ours, and tells how many rows each table has.
const countRows = `
import json, os, sys
try:
    import pyarrow as pa, pyarrow.parquet as pq
except ImportError:
    sys.exit(3)
rows = {}
for folder, _, names in os.walk(sys.argv[1]):
    if '_martsync' in folder:
        continue
    for name in names:
        if name.endswith('.parquet'):
            path = os.path.join(folder, name)
            table = pq.read_table(path, partitioning=None)
            table.validate(full=True)
            meta = pq.read_metadata(path)
            if meta.num_rows != table.num_rows:
                sys.exit('%s: %d rows, its footer says %d' % (path, table.num_rows, meta.num_rows))
            stream = os.path.relpath(path, sys.argv[1]).split(os.sep)[0]
            rows[stream] = rows.get(stream, 0) + table.num_rows
print(json.dumps(rows))
`

// readByPyArrow reads the files of every stream with PyArrow, where python3 has it: it finds as many rows
// as the ledger says were written.
func readByPyArrow(t *testing.T, folder string, d martsync.Destination) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		return
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), python, "-c", countRows, folder)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 3 {
		t.Log("python3 has no pyarrow")
		return
	}
	if err != nil {
		t.Errorf("PyArrow: %v\n%s", err, &stderr)
		return
	}
	var got map[string]int64
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for stream, want := range writtenRows(t, d) {
		if got[stream] != want {
			t.Errorf("%s: PyArrow reads %d rows, the ledger has %d", stream, got[stream], want)
		}
	}
	if len(got) == 0 {
		t.Errorf("PyArrow finds no files in %s", folder)
	}
}

// writtenRows is how many rows the ledger says were written to each table.
func writtenRows(t *testing.T, d martsync.Destination) map[string]int64 {
	t.Helper()
	written := map[string]int64{}
	for entry, err := range d.(martsync.HistoryReader).Ledger(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		written[entry.Stream] += entry.Window.Written
	}
	return written
}
