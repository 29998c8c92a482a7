// Package audit compares what a destination holds with what its ledger promises and with what the
// source says today. It changes nothing.
//
// Per stream it asks: do the numbers of every window agree, and do the windows leave no time out;
// does the table hold what the windows wrote, each key once; are records of the table, chosen at random,
// equal to the vendor's; and, where the destination can tell, is what it stored unharmed.
//
// It leaves to others: what a record is (the source), how a table is read (the destination), and
// printing.
package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/pattern"
	"github.com/martsync/martsync/internal/report"
)

// Options say what is compared.
type Options struct {
	Source      martsync.Source
	Destination martsync.Destination
	Streams     []string // patterns; none: all
	Exclude     []string // patterns

	// Sample is how many records of a table are read again from the vendor; 0: none. How many calls
	// that takes depends on the vendor: from one for 300 records to one a record.
	Sample int

	Seed uint64 // which records: equal seeds choose equal ones in equal tables

	TempDir string // for the keys of large tables, 8 bytes each
}

// State is how a check ended.
type State string

// The states of a Check.
const (
	OK      State = "ok"      // as it should be
	Wrong   State = "wrong"   // the table is not what it should be
	Note    State = "note"    // worth knowing, and no mistake
	Skipped State = "skipped" // could not be looked at; Detail says why
)

// A Check is one question about a stream and its answer.
type Check struct {
	Name     string   `json:"check"` // "ledger", "windows", "rows", "keys", "vendor", "storage"
	State    State    `json:"state"`
	Detail   string   `json:"detail"`
	Hint     string   `json:"hint,omitempty"`     // what to do, if something is wrong
	Examples []string `json:"examples,omitempty"` // a few of what is wrong
}

// A Result is what was found about one stream.
type Result struct {
	Stream  string  `json:"stream"`
	Rows    int64   `json:"rows"`    // of the table, those marked deleted not counted
	Deleted int64   `json:"deleted"` // rows that are marked deleted
	Windows int64   `json:"windows"` // in the ledger
	Checks  []Check `json:"checks"`
}

// Empty reports whether nothing has been committed to the table yet, so that there is nothing that could agree.
func (r *Result) Empty() bool { return r.Windows == 0 && r.Rows == 0 && r.Deleted == 0 && !r.Wrong() }

// Wrong reports whether a check of the stream found a mistake.
func (r *Result) Wrong() bool {
	for _, c := range r.Checks {
		if c.State == Wrong {
			return true
		}
	}
	return false
}

// maxExamples bounds the examples of a check.
const maxExamples = 5

// Run audits the streams, one after the other. An error ends the sequence: something could not be
// read. What is wrong with a table is in its result.
func Run(ctx context.Context, o Options) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		tables, ok := o.Destination.(martsync.TableReader)
		if !ok {
			yield(Result{}, &martsync.Error{
				Kind: martsync.Config, Op: "audit", Err: errors.New("the tables of this destination cannot be read back"),
				Hint: "Audit a destination that martsync can read.",
			})
			return
		}
		streams, err := o.Source.Streams(ctx)
		if err != nil {
			yield(Result{}, err)
			return
		}
		for _, s := range streams {
			schema := s.Schema()
			if !o.wants(schema.Stream) {
				continue
			}
			r, err := o.stream(ctx, tables, schema, 1)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// wants reports whether a stream is to be looked at.
func (o *Options) wants(stream string) bool {
	return pattern.Chooses(o.Streams, o.Exclude, stream)
}

// mostTries is how often a table is read that syncs write to meanwhile.
const mostTries = 3

// stream looks at one stream.
func (o *Options) stream(ctx context.Context, tables martsync.TableReader, schema martsync.Schema, try int) (Result, error) {
	r := Result{Stream: schema.Stream}
	l, err := readLedger(ctx, o.Destination, schema.Stream)
	if err != nil {
		return harmed(r, "ledger", err)
	}
	r.Windows = l.windows
	files, err := storage(ctx, o.Destination, schema.Stream)
	if err != nil {
		return harmed(r, "storage", err)
	}
	if files.State == Wrong { // the table may not even be readable
		r.Checks = append(r.Checks, l.numbers(), l.coverage(), files)
		return r, nil
	}
	stored, records, err := tables.ReadTable(ctx, schema.Stream)
	if martsync.KindOf(err) == martsync.Config { // there is no such table
		c := Check{Name: "rows", State: Note, Detail: "there is no table yet"}
		if l.windows > 0 {
			c = Check{
				Name: "rows", State: Wrong, Detail: "there is no table, though " + report.Plural(l.windows, "window was", "windows were") + " committed",
				Hint: "Somebody has dropped it. martsync sync --backfill reads all records again.",
			}
		}
		r.Checks = append(r.Checks, c)
		return r, nil
	}
	if err != nil {
		return harmed(r, "rows", err)
	}
	t := &scan{schema: schema, stored: stored, sample: newSample(o.Sample, o.Seed, schema.Stream)}
	if err := t.read(records, o.TempDir); err != nil {
		return harmed(r, "rows", fmt.Errorf("read table %s: %w", schema.Stream, err))
	}
	r.Rows, r.Deleted = t.rows, t.deleted
	accounts := l.accounts(t)
	if accounts.State == Wrong && try < mostTries {
		// The ledger was read before the table: a sync may have committed in between.
		now, err := readLedger(ctx, o.Destination, schema.Stream)
		if err != nil {
			return harmed(r, "ledger", err)
		}
		if now.windows != l.windows {
			return o.stream(ctx, tables, schema, try+1)
		}
	}
	r.Checks = append(r.Checks, l.numbers(), l.coverage(), accounts, t.keys())
	vendor, err := o.vendor(ctx, t)
	if err != nil {
		return r, err
	}
	r.Checks = append(r.Checks, vendor)
	if files.Name != "" {
		r.Checks = append(r.Checks, files)
	}
	return r, nil
}

// harmed makes a finding of an error that says that what is stored of a stream is harmed: to find that is what an
// audit is for, and it says nothing of the other streams. Other errors end the audit.
func harmed(r Result, check string, err error) (Result, error) {
	if martsync.KindOf(err) != martsync.Data {
		return r, err
	}
	r.Checks = append(r.Checks, Check{Name: check, State: Wrong, Detail: "it cannot be read: " + err.Error(), Hint: martsync.HintOf(err)})
	return r, nil
}
