package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// quotaMB is what most subscriptions have. Marketo REST API, Bulk Extract, Limits.
const quotaMB = 500

// A backfill reads all leads and activities of an account once, by export jobs. How long that takes is
// decided by the quota. Records and quota are divided by the same number, so that every window covers the days that it
// would, and every job, wait and pause takes the time that it would.
type backfill struct {
	leads, perLead int
	span           time.Duration
	scale          int
	share          int // megabytes a day
	parallel       int // streams at once; 0: as usual
}

// processing is how long the vendor works on a job.
const processing = 15 * time.Minute

func (b backfill) measure(ctx context.Context, w io.Writer, log *slog.Logger) error {
	r, err := b.run(ctx, log)
	if err != nil {
		return err
	}
	return b.print(w, r)
}

// A result is what a backfill took, at the account's own scale.
type result struct {
	to       *ledger
	exported int64         // bytes of all files that the vendor made
	took     time.Duration // of the simulated clock
	bound    time.Duration // in which the quota lets through what was needed
	jobs     []*simulate.Job
}

func (b backfill) run(ctx context.Context, log *slog.Logger) (r result, err error) {
	if b.scale < 1 || quotaMB%b.scale != 0 || b.share%b.scale != 0 {
		return r, errors.New("the scale does not divide 500 megabytes and the share")
	}
	ran := map[string]*simulate.Job{}
	l, err := newLab(ctx, marketosim.Config{
		Options:  simulate.Options{Seed: 1, Rows: b.leads / b.scale},
		LeadSpan: b.span, ActivitySpan: b.span, PerLead: b.perLead, KeepsAll: true,
		ExportBytes: quotaMB * 1_000_000 / int64(b.scale),
		ProcessTime: func(j *simulate.Job) time.Duration {
			ran[j.ID] = j
			return processing
		},
	}, 0, log)
	if err != nil {
		return r, err
	}
	defer l.stop()
	l.parallel = b.parallel
	err = l.sync(ctx, marketo.Config{
		Start:      setting.Moment{Time: begin.Add(-b.span - day)},
		Limits:     marketo.Limits{ExportQuotaMegabytes: quotaMB / b.scale, ExportMegabytes: b.share / b.scale},
		Activities: marketo.Activities{Mode: "bulk"}, // the smaller account might choose otherwise at the end
	}, "leads", "activities")
	if err != nil {
		return r, err
	}
	r = result{to: l.to, exported: l.Stats().ExportBytes, took: l.clock.Now().Sub(begin)}
	r.bound = time.Duration(float64(l.to.sum().bytes) / float64(b.share*1_000_000/b.scale) * float64(day))
	r.jobs = slices.SortedFunc(maps.Values(ran), func(a, b *simulate.Job) int { return a.FinishedAt.Compare(b.FinishedAt) })
	return r, nil
}

func (b backfill) print(w io.Writer, r result) error {
	sum := r.to.sum()
	fmt.Fprintf(w, "Backfill of %d days: at a scale of 1:%d, shown as 1:1; %d MB of the day's %d MB.\n\n", b.span/day, b.scale, b.share, quotaMB)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	k := int64(b.scale)
	fmt.Fprintln(t, "stream\trows\tMB\tjobs\tcalls")
	for _, name := range r.to.streams() {
		a := r.to.total[name]
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%d\t%d\n", name, a.rows*k, float64(a.bytes*k)/1e6, a.jobs, a.calls)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nbytes exported ÷ needed   %.3f\n", float64(r.exported)/float64(sum.bytes))
	fmt.Fprintf(w, "largest day               %.0f MB\n", float64(r.to.largestDay()*k)/1e6)
	fmt.Fprintf(w, "the quota's bound         %.2f days\n", r.bound.Hours()/24)
	fmt.Fprintf(w, "simulated time            %.2f days\n", r.took.Hours()/24)
	_, err := fmt.Fprintf(w, "ratio                     %.3f\n\n", float64(r.took)/float64(r.bound))
	return err
}
