package main

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
)

// A watch shows how a sync is going: a picture on a terminal, else now and then a line of
// JSON about a stream that is reading; what else happens the pipeline logs.
type watch struct {
	a       *app
	sync    config.Sync
	meter   martsync.Meter // nil: the source counts nothing
	began   time.Time
	picture *report.Progress // nil: not a terminal
	log     *slog.Logger

	mu     sync.Mutex
	events []pipeline.Event // the last one of each stream, in the order of their beginning
	told   []time.Time      // parallel: when a line was last written
}

// tellEvery is the least time between two lines about a stream that is reading.
const tellEvery = 10 * time.Second

func (a *app) watch(s config.Sync, source martsync.Source) *watch {
	w := &watch{a: a, sync: s, began: a.clock.Now()}
	w.meter, _ = martsync.As[martsync.Meter](source)
	if a.err.Terminal() && !a.jsonLog() {
		w.picture = report.StartProgress(a.err, martsync.SystemClock{}, w.draw)
		a.lines.redirect(w.picture)
	} else if a.lively && a.jsonLog() {
		w.log = slog.New(slog.NewJSONHandler(a.lines, nil)).With("sync", s.Name)
	}
	return w
}

// end leaves the terminal to what is printed next.
func (w *watch) end() {
	if w.picture != nil {
		w.picture.Stop(true)
		w.a.lines.redirect(w.a.err)
	}
}

// observe is the pipeline's observer.
func (w *watch) observe(e pipeline.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.IndexFunc(w.events, func(o pipeline.Event) bool { return o.Stream == e.Stream })
	now := martsync.SystemClock{}.Now() // that of whoever reads the lines
	if at < 0 {
		at = len(w.events)
		w.events, w.told = append(w.events, e), append(w.told, now)
	}
	w.events[at] = e
	if w.log != nil && e.Phase == runlog.PhaseRead && now.Sub(w.told[at]) >= tellEvery {
		w.told[at] = now
		w.log.Info("reading", "stream", e.Stream, "rows", e.Rows, "bytes", e.Bytes)
	}
}

// draw is the picture: a line a stream, and what the vendor's limits have come to.
func (w *watch) draw(width int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, now := w.a.err, w.a.clock.Now()
	lines := []string{fmt.Sprintf("%s  %s → %s  %s", o.Paint(report.Bold, w.sync.Name), w.sync.Source.Name, w.sync.Destination.Name,
		o.Paint(report.Dim, report.Duration(now.Sub(w.began).Truncate(time.Second))))}
	name := 8
	for _, e := range w.events {
		name = max(name, len(e.Stream))
	}
	for _, e := range w.events {
		line := fmt.Sprintf("  %-*s  %s %11s rows %10s", name, e.Stream, pad(phase(o, e.Phase), phaseName(e.Phase), 9), report.Count(e.Rows), report.Bytes(e.Bytes))
		switch {
		case e.Phase == runlog.PhaseWait:
			line += "  " + waitingFor(e.Wake, now)
			if e.Err != nil {
				line += ": " + reason(e.Err)
			}
		case e.Phase == runlog.PhaseFailed && e.Err != nil:
			line += "  " + reason(e.Err)
		case !e.Phase.Over() && e.Rate >= 1 && e.Rate < math.MaxInt32: // a clock that stands still makes it infinite
			line += fmt.Sprintf("  %10s/s", report.Count(int64(e.Rate)))
		}
		lines = append(lines, line)
	}
	if w.meter != nil {
		if text := usageLine(w.meter.Usage()); text != "" {
			lines = append(lines, "  "+o.Paint(report.Dim, text))
		}
	}
	return lines
}

// pad fills up painted text by the width of the plain one.
func pad(painted, plain string, width int) string {
	return painted + strings.Repeat(" ", max(0, width-len([]rune(plain))))
}

// phaseName is what people call a phase.
func phaseName(p runlog.Phase) string {
	switch p {
	case runlog.PhaseOpen:
		return "opening"
	case runlog.PhaseRead:
		return "reading"
	case runlog.PhaseStage:
		return "staging"
	case runlog.PhaseCommit:
		return "commit"
	case runlog.PhaseWait:
		return "waiting"
	default:
		return string(p)
	}
}

// phase is the phase's name in its colour.
func phase(o *report.Output, p runlog.Phase) string {
	style := report.Plain
	switch p {
	case runlog.PhaseDone:
		style = report.Green
	case runlog.PhaseFailed:
		style = report.Red
	case runlog.PhaseWait, runlog.PhaseStopped, runlog.PhaseSkipped:
		style = report.Yellow
	default:
	}
	return o.Paint(style, phaseName(p))
}

// usageLine writes what has been spent of the vendor's limits.
func usageLine(usage []martsync.Usage) string {
	var parts []string
	for _, u := range usage {
		parts = append(parts, u.Name+" "+usageText(u))
	}
	return strings.Join(parts, " · ")
}

func usageText(u martsync.Usage) string {
	write := report.Count
	switch u.Unit {
	case "bytes":
		write = report.Bytes
	case "seconds":
		write = func(n int64) string { return report.Duration(time.Duration(n) * time.Second) }
	case "microcredits":
		write = func(n int64) string { return fmt.Sprintf("%.4f", float64(n)/1e6) }
	}
	text := write(u.Spent)
	if u.Limit > 0 {
		text += " of " + write(u.Limit) + " a day"
	}
	if u.Today > u.Spent {
		text += " (today, all integrations: " + write(u.Today) + ")"
	}
	return text
}
