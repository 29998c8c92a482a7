package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// A daily sync reads what a day has brought, after earlier ones from which the source knows what to expect.
type daily struct {
	changedLeads, activities int // a day
	modes                    []string
}

// Daily syncs before those that are measured, and how many these are. They are not alike: how far each one reads again
// depends on what was late before, and now and then one goes back further to find out.
const warmup, measured = 2, 3

// touchedADay is the part of all leads that changes on one of the last days of a simulated account: seven
// in ten leads change once after they were made, at any time since.
const touchedADay = 0.0064

func (d daily) measure(ctx context.Context, w io.Writer, log *slog.Logger) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "a day\tstream\trows\tcalls\tjobs\texport MB\thours")
	for _, mode := range d.modes {
		if err := d.one(ctx, t, mode, log); err != nil {
			return fmt.Errorf("activities by %s: %w", mode, err)
		}
	}
	fmt.Fprintln(t)
	return t.Flush()
}

func (d daily) one(ctx context.Context, w io.Writer, mode string, log *slog.Logger) error {
	const perLead = 2
	leads := int(float64(d.changedLeads) / touchedADay)
	l, err := newLab(ctx, marketosim.Config{
		Options: simulate.Options{Seed: 1, Rows: leads}, PerLead: perLead,
		ActivitySpan: time.Duration(float64(perLead*leads) / float64(d.activities) * float64(day)),
	}, (warmup+measured)*day, log)
	if err != nil {
		return err
	}
	defer l.stop()
	cfg := marketo.Config{Start: setting.Moment{Time: begin.Add(-day / 2)}, Activities: marketo.Activities{Mode: mode}}
	streams := []string{"leads", "activities", "deleted_leads", "lead_merges"}
	took := time.Duration(0)
	for n := range warmup + measured {
		if n == warmup {
			l.to.reset()
			took = 0
		}
		noon := begin.Add(time.Duration(n) * day)
		l.clock.Set(noon)
		if err := l.sync(ctx, cfg, streams...); err != nil {
			return err
		}
		took += l.clock.Now().Sub(noon)
	}
	line := func(name string, a account) {
		const n = measured
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.1f\t%.1f\t", mode, name, a.rows/n, a.calls/n, float64(a.jobs)/n, float64(a.bytes)/n/1e6)
	}
	for _, name := range l.to.streams() {
		line(name, *l.to.total[name])
		fmt.Fprintln(w)
	}
	line("all", l.to.sum())
	_, err = fmt.Fprintf(w, "%.2f\n", (took / measured).Hours())
	return err
}
