package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/martsync/martsync/internal/report"
	planning "github.com/martsync/martsync/plan"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// plannedFor finds what was planned for runs, by their ids. Whatever stands in the way of that is logged: a report must not
// fail for it.
func (a *app) plannedFor(ctx context.Context, store state.Store, runs []runlog.Run) map[string]*planning.Compared {
	found := map[string]*planning.Compared{}
	bySync := map[string][]planning.Record{}
	siblings := map[string][]runlog.Run{}
	for i := range runs {
		r := &runs[i]
		if _, known := bySync[r.Sync]; !known {
			records, err := planning.Load(ctx, store, r.Sync)
			if err == nil && len(records) > 0 {
				siblings[r.Sync], err = runlog.List(ctx, store, r.Sync, 0)
			}
			if err != nil {
				a.log().WarnContext(ctx, "what was planned is not known", "sync", r.Sync, "err", err)
				records = nil
			}
			bySync[r.Sync] = records
		}
		if c := planning.Compare(bySync[r.Sync], siblings[r.Sync], r); c != nil {
			found[r.ID] = c
		}
	}
	return found
}

// showPlannedRuns lists what was planned for runs beside what they have used, if anything was.
func (a *app) showPlannedRuns(runs []runlog.Run, planned map[string]*planning.Compared) error {
	t := report.Table{Columns: []report.Column{{Name: "used of planned"}, {Name: "sync"}, {Name: "planned as"}, {Name: "", Flexible: true}}}
	for _, r := range runs {
		if c := planned[r.ID]; c != nil {
			t.Add(r.ID, r.Sync, kindOfPlan(c), comparedText(c))
		}
	}
	if t.Len() == 0 {
		return nil
	}
	a.print("")
	return t.WriteTo(a.out)
}

// comparePlan finds what was planned for a sync that has just run.
func (a *app) comparePlan(ctx context.Context, store state.Store, r *syncResult) {
	run, err := runlog.Load(ctx, store, r.Sync, r.Run)
	if err != nil {
		return // it could not be opened, which was told
	}
	r.Planned = a.plannedFor(ctx, store, []runlog.Run{*run})[run.ID]
}

// plannedLine is the line of a summary about it; "": nothing was planned.
func (r *syncResult) plannedLine() string {
	if r.Planned == nil {
		return ""
	}
	return "used of planned: " + comparedText(r.Planned)
}

func kindOfPlan(c *planning.Compared) string {
	if c.Regular {
		return "regular sync"
	}
	return "all there was"
}

// comparedText is one line: what was used, what was planned, and the one in parts of the other.
func comparedText(c *planning.Compared) string {
	parts := make([]string, 0, len(c.Lines))
	for _, l := range c.Lines {
		part := l.Name + " " + unknownOr(l.Used, func(n int64) string { return amountText(n, l.Unit) }) +
			" of " + unknownOr(l.Planned, func(n int64) string { return amountText(n, l.Unit) })
		if l.Used >= 0 && l.Planned > 0 {
			part += fmt.Sprintf(" (%.0f %%)", 100*float64(l.Used)/float64(l.Planned))
		}
		parts = append(parts, part)
	}
	text := strings.Join(parts, " · ")
	if c.Partial {
		text += " · not done yet"
	}
	return text
}
