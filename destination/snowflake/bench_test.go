package snowflake

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// A folderDepot is a stage that is a folder: what it costs to make the files, without a network.
type folderDepot struct{ dir string }

func (f folderDepot) location(folder string) string { return text("@folder/" + folder) }

func (f folderDepot) put(_ context.Context, s *session, _, path string) error {
	info, err := os.Stat(path)
	if err == nil {
		s.d.spent.bytes.Add(info.Size())
	}
	return err
}

func (f folderDepot) list(context.Context, *session, string) ([]string, error) { return nil, nil }

func (f folderDepot) get(context.Context, *session, string) ([]byte, bool, error) {
	return nil, false, nil
}

func (f folderDepot) remove(context.Context, *session, string) error { return nil }

// wideSchema is a lead with many columns.
func wideSchema(columns int) martsync.Schema {
	s := martsync.Schema{Stream: "wide", Key: []string{"id"}, Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}}}
	for i := range columns - 1 {
		s.Columns = append(s.Columns, martsync.Column{Name: fmt.Sprintf("column_%d", i), Type: martsync.String})
	}
	return s
}

// wideRows is a batch of about 4 MB.
func wideRows(s martsync.Schema) *martsync.Records {
	b := rows.NewBuilder(s.Columns)
	for n := 0; b.Records().Size() < 4<<20 && b.Len() < martsync.MaxRows; n++ {
		cells := []any{int64(n)}
		for i := range len(s.Columns) - 1 {
			cells = append(cells, fmt.Sprintf("value %d of %d", (n*7919+i*104729)%1_000_003, i))
		}
		b.Append(cells...)
	}
	return b.Records()
}

// BenchmarkStage stages records; an operation is the bytes that MARTSYNC_BENCH_MB says, 64 MB by default. It reports how
// far the process grew beyond what it took before.
func BenchmarkStage(b *testing.B) {
	megabytes := int64(64)
	if v := os.Getenv("MARTSYNC_BENCH_MB"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		megabytes = n
	}
	d := offline(b, Config{})
	d.depot = folderDepot{b.TempDir()}
	d.sess = &session{d: d, used: d.env.Clock.Now()}
	s := wideSchema(70)
	r := wideRows(s)
	size := int64(r.Size())
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	runtime.GC()
	before := resident(b)
	count := int64(0)
	for b.Loop() {
		w := offlineWriter(d, s)
		for staged := int64(0); staged < megabytes<<20; staged += size {
			if err := w.Write(b.Context(), r); err != nil {
				b.Fatal(err)
			}
			count += int64(r.Len)
		}
		if err := w.putPart(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(megabytes << 20)
	b.ReportMetric(float64(peak(b)-before)/1e6, "peak-MB")
	b.ReportMetric(float64(count)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(d.spent.bytes.Load())/float64(b.N)/1e6, "staged-MB/op")
	if left := entries(b, d.env.TempDir); len(left) > 0 {
		b.Errorf("left in the temporary folder: %v", left)
	}
	d.sess = nil
}

func entries(t testing.TB, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// resident and peak are the memory of the process now and at most so far, in bytes; 0 where it is not told.
func resident(t testing.TB) int64 { return procStatus(t, "VmRSS:") }
func peak(t testing.TB) int64     { return procStatus(t, "VmHWM:") }

func procStatus(t testing.TB, field string) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	return 0
}

// TestPartSizes has the sizes of the files of a load: eight or more from ten megabytes on, none above 64 MB.
func TestPartSizes(t *testing.T) {
	d := offline(t, Config{})
	for _, tt := range []struct {
		load        int64 // bytes, compressed
		least, most int
	}{
		{1_000_000, 1, 1}, {11_000_000, 8, 10}, {100_000_000, 8, 20}, {2_000_000_000, 32, 60},
	} {
		w := offlineWriter(d, people)
		var sizes []int64
		for left := tt.load; left > 0; left -= sizes[len(sizes)-1] {
			size := min(left, w.partSize())
			if size > 64_000_000 {
				t.Errorf("a file of %d bytes", size)
			}
			sizes = append(sizes, size)
			w.files = append(w.files, file{})
		}
		if len(sizes) < tt.least || len(sizes) > tt.most {
			t.Errorf("a load of %d bytes: got %d files, want %d to %d", tt.load, len(sizes), tt.least, tt.most)
		}
	}
}
