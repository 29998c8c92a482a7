package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// Keep is how many plans of a sync are kept. The oldest are dropped first.
const Keep = 20

// A Record is what was planned for a sync: what is left to read at the time, and what a regular sync takes after that.
type Record struct {
	At      time.Time `json:"at"`
	Next    Sums      `json:"next"`              // the first run after At
	Regular *Sums     `json:"regular,omitempty"` // each later one; nil: not known
}

// Sums are what a run is planned to take, by stream.
type Sums struct {
	Streams []StreamSum `json:"streams"`
	Days    int         `json:"days"`
}

// A StreamSum is a part of Sums.
type StreamSum struct {
	Stream string          `json:"stream"`
	Rows   int64           `json:"rows"`  // -1: not known
	Bytes  int64           `json:"bytes"` // -1: not known
	Costs  []martsync.Cost `json:"costs"`
}

// Sums is what of a plan is kept.
func (p *Plan) Sums() Sums {
	s := Sums{Days: p.Days, Streams: make([]StreamSum, 0, len(p.Streams))}
	for _, x := range p.Streams {
		s.Streams = append(s.Streams, StreamSum{Stream: x.Stream, Rows: x.Rows, Bytes: x.Bytes, Costs: x.Costs})
	}
	return s
}

func key(sync string) string { return "plan/" + sync }

// Save adds a record to those of a sync.
func Save(ctx context.Context, store state.Store, sync string, r Record) error {
	for range 10 {
		records, revision, err := load(ctx, store, sync)
		if err != nil {
			return err
		}
		records = append(records, r)
		slices.SortStableFunc(records, func(a, b Record) int { return a.At.Compare(b.At) })
		data, err := json.Marshal(document{Records: records[max(0, len(records)-Keep):]})
		if err != nil {
			return fmt.Errorf("save the plan of %s: %w", sync, err)
		}
		_, err = store.Put(ctx, key(sync), data, revision)
		if errors.Is(err, state.ErrStale) {
			continue
		}
		if err != nil {
			return fmt.Errorf("save the plan of %s: %w", sync, err)
		}
		return nil
	}
	return fmt.Errorf("save the plan of %s: %w", sync, state.ErrStale)
}

// A document is what the state store keeps.
type document struct {
	Records []Record `json:"records"` // oldest first
}

// Load returns the records of a sync, oldest first.
func Load(ctx context.Context, store state.Store, sync string) ([]Record, error) {
	records, _, err := load(ctx, store, sync)
	return records, err
}

func load(ctx context.Context, store state.Store, sync string) ([]Record, string, error) {
	doc, err := store.Get(ctx, key(sync))
	if errors.Is(err, state.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the plan of %s: %w", sync, err)
	}
	var d document
	if json.Unmarshal(doc.Data, &d) != nil {
		return nil, doc.Revision, nil //nolint:nilerr // nothing depends on it: the next plan replaces it
	}
	return d.Records, doc.Revision, nil
}

// A Compared is what was planned for a run beside what it has used.
type Compared struct {
	At      time.Time `json:"at"`      // when it was planned
	Regular bool      `json:"regular"` // planned as a run like any other, not as the first one after the plan
	Partial bool      `json:"partial"` // the run has not ended
	Lines   []Line    `json:"lines"`
}

// A Line compares one thing.
type Line struct {
	Name    string `json:"name"` // of a cost, or "rows", "read", "days"
	Unit    string `json:"unit"`
	Planned int64  `json:"planned"` // -1: not known
	Used    int64  `json:"used"`    // -1: not known
}

// Compare finds what was planned for a run: by the newest plan before it began. For the first run after a plan that is
// what there was to read; for those after it what a regular one takes. Runs are those of the sync that are known, in
// any order; with less than the first one after the plan among them, a run is taken for a regular one. Nil: nothing
// was planned.
func Compare(records []Record, runs []runlog.Run, r *runlog.Run) *Compared {
	i := len(records) - 1
	for i >= 0 && records[i].At.After(r.Start) {
		i--
	}
	if i < 0 {
		return nil
	}
	rec := records[i]
	first := len(runs) < runlog.Keep || slices.ContainsFunc(runs, func(x runlog.Run) bool { return x.Start.Before(rec.At) })
	for _, x := range runs {
		if x.ID != r.ID && !x.Start.Before(rec.At) && x.Start.Before(r.Start) {
			first = false
		}
	}
	sums := &rec.Next
	if !first {
		sums = rec.Regular
	}
	if sums == nil {
		return nil
	}
	c := &Compared{At: rec.At, Regular: !first, Partial: r.Status != runlog.Done}
	c.fill(sums, r)
	return c
}

// fill compares what was planned for the streams that the run has read.
func (c *Compared) fill(sums *Sums, r *runlog.Run) {
	rows, bytes := Line{Name: "rows", Unit: "rows"}, Line{Name: "read", Unit: "bytes"}
	var costs []Line
	for _, s := range sums.Streams {
		got := r.Find(s.Stream)
		if got == nil {
			continue
		}
		// A stream that could not tell beforehand tells nothing here either.
		if s.Rows >= 0 {
			rows.Planned += s.Rows
			rows.Used += got.Rows
		}
		if s.Bytes >= 0 {
			bytes.Planned += s.Bytes
			bytes.Used += got.Bytes
		}
		for _, x := range s.Costs {
			i := slices.IndexFunc(costs, func(l Line) bool { return l.Name == x.Name })
			if i < 0 {
				costs = append(costs, Line{Name: x.Name, Unit: x.Unit, Used: -1})
				i = len(costs) - 1
			}
			costs[i].Planned += x.Amount
		}
	}
	for i := range costs {
		for _, u := range r.Usage {
			if u.Name == costs[i].Name {
				costs[i].Used = u.Spent
			}
		}
	}
	c.Lines = append(c.Lines, costs...)
	c.Lines = append(c.Lines, rows, bytes)
	days := Line{Name: "days", Unit: "days", Planned: int64(sums.Days), Used: -1}
	if r.End.After(r.Start) {
		const day = 24 * time.Hour
		days.Used = int64((r.End.Sub(r.Start) + day - 1) / day)
	}
	c.Lines = append(c.Lines, days)
}
