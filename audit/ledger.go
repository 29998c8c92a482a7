package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
)

// A ledger is what the windows of a stream say, summed up.
type ledger struct {
	readable bool

	windows     int64
	written     int64
	quarantined int64
	checked     int64    // windows for which the vendor told a count, a size or a checksum
	wrong       []string // windows whose numbers do not agree
	mistakes    int64
	spans       []span // in no order; those that overlap are joined from time to time
}

// A span is a range of time, [from, to).
type span struct{ from, to time.Time }

// maxSpans is from how many spans on they are joined.
const maxSpans = 10_000

// readLedger sums up the ledger of a stream.
func readLedger(ctx context.Context, d martsync.Destination, stream string) (*ledger, error) {
	l := &ledger{}
	history, ok := d.(martsync.HistoryReader)
	if !ok {
		return l, nil
	}
	l.readable = true
	for e, err := range history.Ledger(ctx, stream) {
		if err != nil {
			return l, fmt.Errorf("read the ledger: %w", err)
		}
		l.add(e.Window)
	}
	return l, nil
}

// add takes a window.
func (l *ledger) add(w martsync.Window) {
	l.windows++
	l.written += w.Written
	l.quarantined += w.Quarantined
	if w.Records >= 0 || w.Bytes >= 0 || w.SHA256 != "" {
		l.checked++
	}
	var wrong string
	switch {
	case w.Parsed != w.Quarantined+w.Written:
		wrong = fmt.Sprintf("of %d rows parsed %d were quarantined and %d written", w.Parsed, w.Quarantined, w.Written)
	case w.Records >= 0 && w.Records != w.Parsed:
		wrong = fmt.Sprintf("the vendor promised %d records and %d were parsed", w.Records, w.Parsed)
	}
	if wrong != "" {
		l.mistakes++
		if len(l.wrong) < maxExamples {
			l.wrong = append(l.wrong, nameOf(w)+": "+wrong)
		}
	}
	if !w.To.IsZero() {
		l.spans = append(l.spans, span{w.From, w.To})
		if len(l.spans) > maxSpans {
			l.spans = joined(l.spans)
		}
	}
}

// nameOf names a window for people.
func nameOf(w martsync.Window) string {
	switch {
	case !w.To.IsZero():
		return fmt.Sprintf("%s to %s", timeText(w.From), timeText(w.To))
	case w.Job != "":
		return "job " + w.Job
	default:
		return w.Filter
	}
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return "the beginning"
	}
	return t.UTC().Format(time.RFC3339)
}

// joined sorts spans and joins those that touch.
func joined(all []span) []span {
	slices.SortFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
	var out []span
	for _, s := range all {
		if last := len(out) - 1; last >= 0 && !s.from.After(out[last].to) {
			if s.to.After(out[last].to) {
				out[last].to = s.to
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// numbers says whether the numbers of each window agree with each other.
func (l *ledger) numbers() Check {
	c := Check{Name: "ledger"}
	switch {
	case !l.readable:
		c.State, c.Detail = Skipped, "this destination keeps no ledger that can be read"
	case l.mistakes > 0:
		c.State, c.Examples = Wrong, l.wrong
		c.Detail = fmt.Sprintf("the numbers of %s do not agree", report.Plural(l.mistakes, "window", "windows"))
		c.Hint = "Somebody has changed the ledger, or this is a bug: please report it."
	case l.windows == 0:
		c.State, c.Detail = Note, "no window has been committed yet"
	default:
		c.State = OK
		c.Detail = fmt.Sprintf("%s, %s written", report.Plural(l.windows, "window", "windows"), report.Plural(l.written, "row", "rows"))
		if l.checked > 0 {
			c.Detail += fmt.Sprintf("; %s checked against the vendor's count, size or checksum", report.Count(l.checked))
		}
		if l.quarantined > 0 {
			c.State = Note
			c.Detail += fmt.Sprintf("; %s in quarantine", report.Plural(l.quarantined, "row", "rows"))
			c.Hint = "The table _martsync_quarantine has them, each with the reason."
		}
	}
	return c
}

// coverage says whether the windows leave out any time.
func (l *ledger) coverage() Check {
	c := Check{Name: "windows"}
	all := joined(l.spans)
	switch {
	case len(all) == 0:
		c.State, c.Detail = Skipped, "they are no ranges of time: each reading is complete"
		if l.windows == 0 {
			c.Detail = "there are none"
		}
	case len(all) == 1:
		c.State, c.Detail = OK, fmt.Sprintf("from %s to %s without a gap", timeText(all[0].from), timeText(all[0].to))
	default:
		c.State, c.Detail = Wrong, fmt.Sprintf("between %s and %s there are %s that no window covers",
			timeText(all[0].from), timeText(all[len(all)-1].to), report.Plural(int64(len(all)-1), "gap", "gaps"))
		c.Hint = "martsync sync --backfill reads everything again."
		for i := range min(len(all)-1, maxExamples) {
			c.Examples = append(c.Examples, fmt.Sprintf("%s to %s", timeText(all[i].to), timeText(all[i+1].from)))
		}
	}
	return c
}

// accounts says whether the windows account for the rows of the table.
func (l *ledger) accounts(t *scan) Check {
	c := Check{Name: "rows", State: OK}
	all := t.rows + t.deleted
	c.Detail = report.Plural(t.rows, "row", "rows")
	if t.deleted > 0 {
		c.Detail += fmt.Sprintf(", and %s marked deleted", report.Count(t.deleted))
	}
	switch {
	case !l.readable || t.schema.Snapshot: // a snapshot's windows tell of listings, of which the table holds the last one
	case len(t.schema.Key) == 0 && all != l.written:
		c.State = Wrong
		c.Detail += fmt.Sprintf(", but the windows wrote %s", report.Count(l.written))
	case all > l.written:
		c.State = Wrong
		c.Detail += fmt.Sprintf(", more than the %s that the windows wrote", report.Count(l.written))
	case all == 0 && l.written > 0:
		c.State = Wrong
		c.Detail += fmt.Sprintf(", but the windows wrote %s", report.Count(l.written))
	}
	if c.State == Wrong {
		c.Hint = "Something else writes to this table or deletes from it. martsync sync --backfill reads all records again."
	}
	return c
}
