package runlog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/state"
)

// timeFormat makes keys sort by time.
const timeFormat = "20060102T150405.000Z"

func prefix(sync string) string { return "run/" + sync + "/" }

func key(r *Run) string { return prefix(r.Sync) + r.Start.UTC().Format(timeFormat) + "." + r.ID }

func statusKey(sync string) string { return "status/" + sync }

// ErrNotFound says that there is no such run.
var ErrNotFound = errors.New("no such run")

// Load reads the run of that id, or returns ErrNotFound.
func Load(ctx context.Context, store state.Store, sync, id string) (*Run, error) {
	keys, err := store.List(ctx, prefix(sync))
	if err != nil {
		return nil, fmt.Errorf("load run %s of %s: %w", id, sync, err)
	}
	for _, k := range slices.Backward(keys) {
		if _, have, _ := strings.Cut(strings.TrimPrefix(k, prefix(sync)), "Z."); have == id {
			return load(ctx, store, k)
		}
	}
	return nil, fmt.Errorf("load run %s of %s: %w", id, sync, ErrNotFound)
}

// List returns the newest n runs of a sync, or of all syncs if sync is "", newest first.
// n <= 0 means all that are kept. Documents that cannot be understood are left out.
func List(ctx context.Context, store state.Store, sync string, n int) ([]Run, error) {
	under := "run/"
	if sync != "" {
		under = prefix(sync)
	}
	keys, err := store.List(ctx, under)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	// The last segment begins with the time, so only the documents wanted are read.
	last := func(k string) string { return k[strings.LastIndexByte(k, '/')+1:] }
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(last(b), last(a)) })
	var runs []Run
	for _, k := range keys {
		if n > 0 && len(runs) == n {
			break
		}
		r, err := load(ctx, store, k)
		switch {
		case errors.Is(err, ErrNotFound), martsync.KindOf(err) == martsync.Data:
			continue
		case err != nil:
			return nil, fmt.Errorf("list runs: %w", err)
		}
		runs = append(runs, *r)
	}
	return runs, nil
}

// Syncs returns the names of the syncs that have ever run, sorted.
func Syncs(ctx context.Context, store state.Store) ([]string, error) {
	keys, err := store.List(ctx, statusKey(""))
	if err != nil {
		return nil, fmt.Errorf("list syncs: %w", err)
	}
	for i, k := range keys {
		keys[i] = strings.TrimPrefix(k, statusKey(""))
	}
	return keys, nil
}

// FreshnessOf returns how fresh the streams of a sync are, by name. What the newest run has done counts also while it
// runs, and if it ended without a word.
func FreshnessOf(ctx context.Context, store state.Store, sync string) ([]Freshness, error) {
	runs, err := List(ctx, store, sync, 1) // before the freshness: what it reports in between is not counted twice
	if err != nil {
		return nil, err
	}
	fresh, _, err := freshness(ctx, store, sync)
	if err != nil || len(runs) == 0 || runs[0].Status != Running {
		return fresh, err
	}
	return merge(fresh, runs[0].begun(fresh), unreported(fresh, &runs[0])), nil
}

// Save writes the run, whatever was written of it before: only the holder of the account's
// lease writes runs, and of two who believe to hold it either account will do. It removes
// the oldest runs beyond Keep when the run is new.
func Save(ctx context.Context, store state.Store, r *Run) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("save run %s: %w", r.ID, err)
	}
	before, err := store.Get(ctx, key(r))
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("save run %s: %w", r.ID, err)
	}
	if _, err := store.Put(ctx, key(r), data, before.Revision); err != nil && !errors.Is(err, state.ErrStale) {
		return fmt.Errorf("save run %s: %w", r.ID, err)
	}
	if before.Revision == "" {
		return prune(ctx, store, r.Sync)
	}
	return nil
}

func prune(ctx context.Context, store state.Store, sync string) error {
	keys, err := store.List(ctx, prefix(sync))
	if err != nil {
		return fmt.Errorf("remove old runs of %s: %w", sync, err)
	}
	for i := range max(len(keys)-Keep, 0) {
		d, err := store.Get(ctx, keys[i])
		if err == nil {
			_, err = store.Put(ctx, keys[i], nil, d.Revision)
		}
		if err != nil && !errors.Is(err, state.ErrNotFound) && !errors.Is(err, state.ErrStale) {
			return fmt.Errorf("remove old runs of %s: %w", sync, err)
		}
	}
	return nil
}

// Report updates the freshness of the sync's streams with what the run has done since it was
// last reported: rows are those committed since then.
func Report(ctx context.Context, store state.Store, r *Run, rows map[string]int64) error {
	for range 8 { // somebody else's write in between is rare; eight in a row is a broken store
		fresh, revision, err := freshness(ctx, store, r.Sync)
		if err != nil {
			return fmt.Errorf("report run %s: %w", r.ID, err)
		}
		data, err := json.Marshal(merge(fresh, r, rows))
		if err != nil {
			return fmt.Errorf("report run %s: %w", r.ID, err)
		}
		_, err = store.Put(ctx, statusKey(r.Sync), data, revision)
		if err == nil {
			return nil
		}
		if !errors.Is(err, state.ErrStale) {
			return fmt.Errorf("report run %s: %w", r.ID, err)
		}
	}
	return fmt.Errorf("report run %s: %w", r.ID, state.ErrStale)
}

func merge(fresh []Freshness, r *Run, rows map[string]int64) []Freshness {
	for _, s := range r.Streams {
		i := slices.IndexFunc(fresh, func(f Freshness) bool { return f.Stream == s.Stream })
		if i < 0 {
			fresh = append(fresh, Freshness{Stream: s.Stream})
			i = len(fresh) - 1
		}
		f := &fresh[i]
		f.Phase, f.Run, f.Rows, f.Wake, f.Error, f.Hint = s.Phase, r.ID, s.Rows, s.Wake, s.Error, s.Hint
		f.TotalRows += rows[s.Stream]
		f.LastCommit = latest(f.LastCommit, s.LastCommit)
		if s.Phase == PhaseDone {
			f.LastSuccess = latest(f.LastSuccess, s.Finished)
		}
	}
	slices.SortFunc(fresh, func(a, b Freshness) int { return cmp.Compare(a.Stream, b.Stream) })
	return fresh
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func freshness(ctx context.Context, store state.Store, sync string) (fresh []Freshness, revision string, err error) {
	d, err := store.Get(ctx, statusKey(sync))
	if errors.Is(err, state.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("status of %s: %w", sync, err)
	}
	if err := json.Unmarshal(d.Data, &fresh); err != nil {
		return nil, d.Revision, nil //nolint:nilerr // what is unreadable is rebuilt, run by run
	}
	return fresh, d.Revision, nil
}

func load(ctx context.Context, store state.Store, key string) (*Run, error) {
	d, err := store.Get(ctx, key)
	if errors.Is(err, state.ErrNotFound) {
		return nil, fmt.Errorf("load %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", key, err)
	}
	var r Run
	if err := json.Unmarshal(d.Data, &r); err != nil {
		return nil, &martsync.Error{Kind: martsync.Data, Op: "load " + key, Err: err}
	}
	return &r, nil
}
