package files

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// BenchmarkResolver reads a table of 200,000 leads of ten columns, each of which has three versions.
func BenchmarkResolver(b *testing.B) {
	s := leads
	s.Columns = append([]martsync.Column{}, leads.Columns...)
	for i := range 7 {
		s.Columns = append(s.Columns, martsync.Column{Name: fmt.Sprint("c", i), Type: martsync.String})
	}
	const n = 200_000
	batch := func(version int) []*martsync.Records {
		var all []*martsync.Records
		build := rows.NewBuilder(s.Columns)
		for i := range n {
			cells := []any{int64(i), fmt.Sprint("name ", i), rows.Micros(version)}
			for j := range 7 {
				if j%2 == 0 {
					cells = append(cells, nil)
				} else {
					cells = append(cells, "a value of some length")
				}
			}
			build.Append(cells...)
			if build.Len() == martsync.MaxRows {
				r := *build.Records() // Reset begins new ones in its place
				all = append(all, &r)
				build.Reset()
			}
		}
		return all
	}
	var steps []replayStep
	for v := range 3 {
		all := batch(v)
		steps = append(steps, replayStep{Files: []replayFile{{Schema: s, Rows: func(context.Context) iter.Seq2[*martsync.Records, error] {
			return func(yield func(*martsync.Records, error) bool) {
				for _, r := range all {
					if !yield(r, nil) {
						return
					}
				}
			}
		}}}})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		got := 0
		for r, err := range resolve(context.Background(), b.TempDir(), defaultReplay, []martsync.Schema{s}, sequence(steps)) {
			if err != nil {
				b.Fatal(err)
			}
			got += r.Len
		}
		if got != n {
			b.Fatalf("got %d rows, want %d", got, n)
		}
	}
	b.ReportMetric(float64(3*n*b.N)/b.Elapsed().Seconds(), "versions/s")
}
