package pardotsim

import (
	"io"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

// BenchmarkExportFile makes and sends the files of an export of all activities, streamed.
func BenchmarkExportFile(b *testing.B) {
	s, err := New(Config{Options: simulate.Options{Rows: 20_000}})
	if err != nil {
		b.Fatal(err)
	}
	st := s.state.Load()
	x := &export{version: 4, id: firstExport, zone: time.UTC, query: query{table: st.byName["visitor_activities"], state: st}}
	for _, c := range x.query.table.columns {
		x.fields = append(x.fields, exportField{c.v4, func(r *record) any { return r.value(c) }})
	}
	b.ReportAllocs()
	for b.Loop() {
		x.files = nil
		total, err := s.makeFiles(x)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(total.Size)
		for _, f := range x.files {
			if err := f.file.WriteRange(io.Discard, 0, f.file.Size); err != nil {
				b.Fatal(err)
			}
		}
	}
}
