package files

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/martsync/martsync"
)

// The files of a stream hold versions of rows, in the order in which they were written. The
// resolver makes a table of them: it replays the commits, each with its rows, widened columns,
// complete scopes and censuses, by the rules that the destination in memory spells out.
//
// Its memory does not depend on the size of the table. Rows are dealt by a hash of their key into
// buckets on disk, so that all versions of a record meet in one bucket, in order; then one bucket
// after the other is replayed in memory. A bucket whose records turn out not to fit is dealt again.
//
// Rows are encoded (see replay_cells.go) in the columns that the table had at their commit, because versions
// compare as what they were then: 9 and 10 are numbers until a commit makes texts of them. Keys
// are compared as what they are at the end, since widening never makes two values one.

// A replayStep is what one commit does to a table.
type replayStep struct {
	At       time.Time         // of the commit: when scopes and censuses mark rows
	Table    int               // the state of the table's schema that the rows came into; it never goes back
	Replace  bool              // the rows before this step are gone: a snapshot, or files written anew
	Files    []replayFile      // in the order in which their rows were written
	Complete []martsync.Scope  // applied after the rows
	Censuses []martsync.Census // applied after the scopes
}

// A replayFile is rows that a commit brought.
type replayFile struct {
	Schema martsync.Schema // of the writer of the rows, whose types may be narrower than the table's
	Rows   func(context.Context) iter.Seq2[*martsync.Records, error]
}

// Limits of the resolver. Tests make them small.
type replayLimits struct {
	Memory  int // bytes of records that a bucket may take
	Block   int // bytes of rows that a bucket collects before it writes them
	Buckets int // into which rows are dealt at once
}

// defaultReplay keeps a resolver below 50 MB: the records of one bucket, and one block of each
// bucket that rows are dealt into.
var defaultReplay = replayLimits{Memory: 32 << 20, Block: 64 << 10, Buckets: 64}

// mostDeals bounds how often the rows of a bucket are dealt again. Each takes bits of the hash of
// their own, so more would not part them.
const mostDeals = 8

// A resolver replays steps. It is for one goroutine.
type resolver struct {
	limits replayLimits
	temp   *tempFiles
	steps  []plannedStep
	tables []martsync.Schema // the states of the table's schema, in order; each has the columns of the one before, or wider
	events *eventLog
	rows   uint64 // without a key, so far

	fixedColumns map[string]bool // see fixed
}

// A plannedStep is what is kept of a step until its rows are read.
type plannedStep struct {
	at       int64 // microseconds
	table    int   // index into resolver.tables
	files    []replayFile
	event    eventPos // scopes and censuses; they may be large
	scopes   int
	censuses []span // of keys, each as its census
	dead     []bool // censuses that a later one makes meaningless
}

// resolve yields the current rows of a table in the columns of the last state of its schema, in no
// particular order. The records are borrowed. Temporary files, made in dir, are gone when it
// ends, however it does.
func resolve(ctx context.Context, dir string, limits replayLimits, tables []martsync.Schema, steps iter.Seq2[replayStep, error]) iter.Seq2[*martsync.Records, error] {
	return func(yield func(*martsync.Records, error) bool) {
		r := &resolver{limits: limits, tables: tables, temp: &tempFiles{dir: dir}, fixedColumns: map[string]bool{}}
		defer r.temp.close()
		r.events = &eventLog{temp: r.temp}
		err := r.run(ctx, steps, func(rec *martsync.Records) error {
			if !yield(rec, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

// errEnough ends a replay whose reader has seen enough.
var errEnough = errors.New("enough")

func (r *resolver) run(ctx context.Context, steps iter.Seq2[replayStep, error], emit func(*martsync.Records) error) error {
	for s, err := range steps {
		if err != nil {
			return err
		}
		if err := r.add(s); err != nil {
			return err
		}
	}
	if len(r.steps) == 0 {
		return nil
	}
	r.prune()
	out := newOutput(r.last().Columns, emit)
	var err error
	if r.plain() {
		err = r.stream(ctx, out)
	} else {
		err = r.replay(ctx, out)
	}
	if err != nil {
		return err
	}
	return out.flush()
}

// last is the table at the end.
func (r *resolver) last() *martsync.Schema { return &r.tables[len(r.tables)-1] }

// add plans a step.
func (r *resolver) add(s replayStep) error {
	if s.Replace {
		r.steps = nil
		r.events.reset()
	}
	if s.Table < 0 || s.Table >= len(r.tables) {
		return replayError("a commit names schema %d of %d", s.Table+1, len(r.tables))
	}
	if n := len(r.steps); n > 0 {
		// A writer that was opened before the last one may have committed before it, too.
		s.Table = max(s.Table, r.steps[n-1].table)
	}
	p := plannedStep{at: s.At.UnixMicro(), table: s.Table, files: s.Files, scopes: len(s.Complete)}
	for _, c := range s.Censuses {
		p.censuses = append(p.censuses, span{c.After, c.UpTo})
	}
	if len(s.Complete)+len(s.Censuses) > 0 {
		pos, err := r.events.append(s.Complete, s.Censuses)
		if err != nil {
			return err
		}
		p.event = pos
	}
	r.steps = append(r.steps, p)
	return nil
}

// sameColumns reports whether rows of a are rows of b.
func sameColumns(a, b *martsync.Schema) bool {
	return slices.EqualFunc(a.Columns, b.Columns, func(a, b martsync.Column) bool { return a.Name == b.Name && equalType(a, b) })
}

// prune finds the censuses that later ones make meaningless. A census decides alone which records
// of its range are marked, and nothing reads the mark before the end, so of a census a day only
// the last one counts. That also bounds how often records are walked through.
func (r *resolver) prune() {
	var covered spans
	counted := ""
	for i := len(r.steps) - 1; i >= 0; i-- {
		s := &r.steps[i]
		name := censusColumn(&r.tables[s.table])
		if name != counted {
			covered, counted = nil, name
		}
		s.dead = make([]bool, len(s.censuses))
		for j, c := range s.censuses {
			s.dead[j] = name == "" || covered.contain(c)
		}
		for _, c := range s.censuses {
			covered.add(c)
		}
	}
}

// censusColumn names the column whose values a census counts; "": a table without.
func censusColumn(s *martsync.Schema) string {
	if len(s.Key) == 0 {
		return ""
	}
	if i := s.Index(s.Key[0]); i < 0 || s.Columns[i].Type != martsync.Int64 {
		return ""
	}
	return s.Key[0]
}

// plain reports whether nothing happens to a row after it was written, as in tables without a key.
func (r *resolver) plain() bool {
	for i := range r.steps {
		s := &r.steps[i]
		if s.scopes > 0 || len(s.censuses) > 0 {
			return false
		}
		for j := range s.files {
			if len(s.files[j].Schema.Key) > 0 {
				return false
			}
		}
	}
	return true
}

// stream yields the rows as they come.
func (r *resolver) stream(ctx context.Context, out *output) error {
	for i := range r.steps {
		for _, f := range r.steps[i].files {
			m := r.mapping(&f.Schema, r.tables[r.steps[i].table:])
			same := sameColumns(&f.Schema, r.last())
			for rec, err := range f.Rows(ctx) {
				if err != nil {
					return err
				}
				if same && rec.Tombstone == nil {
					if err := out.pass(rec); err != nil {
						return err
					}
					continue
				}
				for row := range rec.Len {
					if err := out.append(m, rec, row); err != nil {
						return err
					}
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// replay deals all rows into buckets and replays these.
func (r *resolver) replay(ctx context.Context, out *output) error {
	d := newDeal(r.temp, r.limits, 0)
	defer d.close()
	for i := range r.steps {
		for _, f := range r.steps[i].files {
			if err := r.deal(ctx, d, i, f); err != nil {
				return err
			}
		}
	}
	return r.buckets(ctx, d, out)
}

// deal puts the rows of a file of step i into buckets.
func (r *resolver) deal(ctx context.Context, d *deal, i int, f replayFile) error {
	table := r.steps[i].table
	m := r.mapping(&f.Schema, r.tables[table:table+1])
	keys := r.keys(i, &f.Schema)
	var h rowHead
	var key, cells []byte
	for rec, err := range f.Rows(ctx) {
		if err != nil {
			return err
		}
		if len(rec.Columns) != len(f.Schema.Columns) {
			return replayError("a file has %d columns, want %d", len(rec.Columns), len(f.Schema.Columns))
		}
		for row := range rec.Len {
			h = rowHead{Step: i, Version: m.version, Tombstone: rec.Tombstone != nil && rec.Tombstone[row], Deleted: rec.Deleted != nil && rec.Deleted[row]}
			if h.Keyless = len(keys) == 0; h.Keyless {
				r.rows++
				key = appendCounter(key[:0], r.rows)
			} else if key, err = appendKey(key[:0], keys, rec, row); err != nil {
				return err
			}
			if cells, h.Whole, err = m.appendRow(cells[:0], rec, row, h.Tombstone); err != nil {
				return err
			}
			if err := d.add(h, key, cells); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// buckets replays the buckets of a deal, one after the other.
func (r *resolver) buckets(ctx context.Context, d *deal, out *output) error {
	for i := range d.buckets {
		b := &d.buckets[i]
		if b.rows == 0 {
			continue
		}
		done, err := r.bucket(ctx, b, d.depth, out)
		if err == nil && !done {
			err = r.again(ctx, d, b, out)
		}
		if err != nil {
			return err
		}
		b.close() // makes room on the disk for the next one
	}
	return nil
}

// again deals the rows of a bucket that does not fit into memory.
func (r *resolver) again(ctx context.Context, d *deal, b *bucket, out *output) error {
	finer := newDeal(r.temp, r.limits, d.depth+1)
	defer finer.close()
	err := b.each(ctx, func(h rowHead, key, cells []byte) error { return finer.add(h, key, cells) })
	if err != nil {
		return err
	}
	b.close()
	return r.buckets(ctx, finer, out)
}

// bucket replays one bucket. It reports false, having emitted nothing, if its records take
// more memory than they may.
func (r *resolver) bucket(ctx context.Context, b *bucket, depth int, out *output) (done bool, err error) {
	t := newReplayTable(r)
	err = b.each(ctx, func(h rowHead, key, cells []byte) error {
		if err := t.advance(h.Step); err != nil {
			return err
		}
		t.apply(h, key, cells)
		if t.size > r.limits.Memory && len(t.records) > 1 && depth < mostDeals {
			return errTooLarge
		}
		return nil
	})
	if errors.Is(err, errTooLarge) {
		return false, nil
	}
	if err == nil {
		err = t.finish()
	}
	if err != nil {
		return false, err
	}
	for i := range t.records {
		if err := out.appendRow(t.records[i].cells, t.records[i].deleted); err != nil {
			return false, err
		}
	}
	return true, ctx.Err()
}

// errTooLarge ends the replay of a bucket that must be dealt again.
var errTooLarge = errors.New("the bucket is too large")

func replayError(format string, args ...any) error {
	return &martsync.Error{Kind: martsync.Internal, Op: "files: read table", Err: fmt.Errorf(format, args...)}
}
