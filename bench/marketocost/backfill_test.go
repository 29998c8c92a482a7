package main

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

// What the benchmark shows of a large account holds for a small one with a small quota: nothing is exported twice, the
// share of the day is kept and used up. One stream is read at a time, so each run of the test is the same.
func TestBackfillTakesWhatTheQuotaTakes(t *testing.T) {
	b := backfill{leads: 2_000_000, perLead: 30, span: 3 * 365 * day, scale: quotaMB, share: quotaMB, parallel: 1}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r, err := b.run(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.to.sum(); got.bytes < 10_000_000 || float64(r.exported) > 1.001*float64(got.bytes) {
		t.Errorf("%d bytes were exported for %d that were needed", r.exported, got.bytes)
	}
	if ratio := float64(r.took) / float64(r.bound); ratio > 1.05 {
		t.Errorf("it took %v, %.3f times as long as the quota demands", r.took, ratio)
	}
	// A job is created only if what it is expected to bring fits into what is left of the day. So a day goes over its quota by
	// what its windows bring beyond that, of which one window's share, two fifths, is as much as an even account
	// may surprise with. Of the first window of each stream nothing is expected, so what it brings comes on top.
	const quota, window = 1_000_000, 400_000
	days, unknown, known := map[string]int64{}, map[string]int64{}, map[string]bool{}
	for _, j := range r.jobs {
		day := j.FinishedAt.In(quotaZone).Format(time.DateOnly)
		days[day] += j.File.Size
		if !known[j.Object] {
			known[j.Object] = true
			unknown[day] += j.File.Size
		}
	}
	for day, bytes := range days {
		if most := quota + window + unknown[day]; bytes > most {
			t.Errorf("%s: %d bytes, of which %d in windows that nothing was known of; want at most %d", day, bytes, unknown[day], most)
		}
	}
}
