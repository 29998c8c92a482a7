package marketo

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/source/sourcetest"
)

func TestBulkLaws(t *testing.T) {
	for _, mode := range []string{"bulk", "auto"} {
		t.Run(mode, func(t *testing.T) {
			sourcetest.Run(t, func(t testing.TB) sourcetest.Setup {
				a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 30}, PerLead: 4})
				a.tweak = func(c *Config) { c.Activities.Mode = mode }
				end := a.clock.Now().Add(-visibleAfter)
				served := newServed(a.line)
				return sourcetest.Setup{
					Calls: a.calls, Sum: served.sum,
					Open:    func(testing.TB) martsync.Source { return onlyBulk{source: a.open(), longest: 15 * 24 * time.Hour} },
					Clock:   a.clock,
					Streams: bulkNames,
					Span:    martsync.Span{End: end},
				}
			})
		})
	}
}

// onlyBulk is a source without the streams that are not read in time ranges.
type onlyBulk struct {
	*source
	longest time.Duration
	every   int64 // bytes between two cursors; 0: as usual
}

func (o onlyBulk) Streams(ctx context.Context) ([]martsync.Stream, error) {
	streams, err := o.bulkStreams(ctx)
	for _, s := range streams {
		s.(*rangeStream).longest = o.longest
		if o.every > 0 {
			s.(*rangeStream).cursorEvery = o.every
		}
	}
	return streams, err
}

// crashWorld is an account of some leads that changes between syncs.
func crashWorld(mode string) func(t testing.TB, seed uint64) *crash.World {
	return func(t testing.TB, seed uint64) *crash.World {
		a := newAccount(t, marketosim.Config{
			Options: simulate.Options{Seed: seed, Rows: 15}, PerLead: 3, LeadSpan: 12 * 24 * time.Hour, ActivitySpan: 12 * 24 * time.Hour,
		})
		a.tweak = func(c *Config) { c.Activities.Mode = mode }
		return &crash.World{
			Open: func() (martsync.Source, error) { return onlyBulk{source: a.open(), longest: 8 * 24 * time.Hour}, nil },
			Change: func() {
				a.sim.Change(10)
				a.clock.Advance(2 * visibleAfter)
			},
			Verify: a.verify, Clock: a.clock,
		}
	}
}

// verify compares the tables of a destination with the truth.
func (a *account) verify(ctx context.Context, d martsync.Destination) error {
	reader, ok := d.(martsync.TableReader)
	if !ok {
		return martsync.ErrUnsupported
	}
	for _, name := range bulkNames {
		schema, batches, err := reader.ReadTable(ctx, name)
		if err != nil {
			return fmt.Errorf("read table %s: %w", name, err)
		}
		st, err := a.stream(a.open(), name)
		if err != nil {
			return err
		}
		m := newMart(st.Schema())
		origins := map[string]string{}
		for _, c := range m.schema.Columns {
			origins[c.Name] = origin(c)
		}
		for b, err := range batches {
			if err != nil {
				return err
			}
			for i := range b.Len {
				r := martRow{values: map[string]any{}, deleted: b.Deleted != nil && b.Deleted[i]}
				for k, c := range schema.Columns {
					if o, ours := origins[c.Name]; ours {
						r.values[o] = columns.Value(c, &b.Columns[k], i)
					}
				}
				if _, twice := m.rows[m.key(r)]; twice {
					return fmt.Errorf("%s %s is there twice", name, m.key(r))
				}
				m.rows[m.key(r)] = r
			}
		}
		if diffs := a.differences(m); len(diffs) > 0 {
			return fmt.Errorf("table %s: %s", name, strings.Join(diffs, "\n"))
		}
	}
	return nil
}

func memoryFactory(testing.TB) destinationtest.Factory {
	s := memory.NewStorage()
	return destinationtest.Factory{Open: func(testing.TB) martsync.Destination { return memory.New(s) }}
}

// E8 through the engine: a sync of these streams dies at its calls to the source, the destination
// and the state store, in every mode, and loses and doubles nothing.
func TestE8Crash(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"bulk", "auto"} {
		t.Run(mode, func(t *testing.T) {
			o := crash.Options{Runs: 2, Every: 83, Limits: pipeline.Thresholds{Rows: 7, Staged: 1}}
			if testing.Short() {
				o.Runs, o.Every = 1, 97
			}
			if crash.Nightly() {
				o.Runs, o.Every = 2_000, 1
			}
			crash.Test(t, crashWorld(mode), memoryFactory, o)
		})
	}
}
