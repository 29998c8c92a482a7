package marketosim

import (
	"io"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

// BenchmarkExport measures the making of file content, without HTTP.
func BenchmarkExport(b *testing.B) {
	for _, c := range []struct{ name, object string }{{"leads", "leads"}, {"activities", "activities"}} {
		b.Run(c.name, func(b *testing.B) {
			s, err := New(Config{Options: simulate.Options{Rows: 40_000}, LeadSpan: 30 * 24 * time.Hour})
			if err != nil {
				b.Fatal(err)
			}
			x := &export{
				object: c.object, columns: activityColumns, headers: activityColumns, style: fileStyle{delimiter: ',', newline: "\n"},
				from: s.world.start - 30*daySecs, to: s.world.start, field: "createdAt", st: s.state.Load(), asOf: s.world.start,
			}
			if c.object == "leads" {
				x.columns = nil
				for _, f := range x.st.fields {
					if f.Exportable() {
						x.columns = append(x.columns, f.Name)
					}
				}
				x.headers = x.columns
			}
			f, err := simulate.NewFile(s.generator(x))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(f.Size)
			b.ReportMetric(float64(f.Rows), "rows")
			for b.Loop() {
				if err := f.WriteRange(io.Discard, 0, f.Size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
