package main

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

// What the benchmark shows of a large account holds for a small one with a small quota: nothing is exported twice, the
// share of the day is kept and used up.
func TestBackfillTakesWhatTheQuotaTakes(t *testing.T) {
	b := backfill{leads: 2_000_000, perLead: 30, span: 3 * 365 * day, scale: quotaMB, share: quotaMB}
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
	// The few leads of so small an account are hard to expect, and the first windows of one that is not known yet may take more
	// than their share. Before what is under way was booked a day took three times the quota.
	if most := r.to.largestDay(); most > 2_600_000 {
		t.Errorf("%d bytes on one day, of which the quota is a million", most)
	}
}
