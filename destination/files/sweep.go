package files

import (
	"context"
	"time"

	"github.com/martsync/martsync"
)

// sweptName is a marker: no file of a commit before number n is there anymore, because commit n replaced the table and
// what was before it has been swept.
const sweptName = "swept-"

func (c chain) swept(n int64) string { return c.document(sweptName, n) }

// sweepAtOnce is how many files are deleted by one request.
const sweepAtOnce = 500

// sweep deletes data files that the table is not made of anymore, once they were replaced for as long as they are to be
// kept. M is the newest commit, and it is settled. As with all cleaning, what is not swept now is swept later.
func (d *destination) sweep(ctx context.Context, h *head, m *manifest) {
	if !d.latest || m.begin() <= max(h.swept, 1) {
		return
	}
	count, err := d.sweepFiles(ctx, h, m)
	if err != nil && ctx.Err() == nil {
		d.env.Log.WarnContext(ctx, "files: delete files that were replaced", "stream", m.Stream, "err", err, "hint", martsync.HintOf(err))
	}
	if count > 0 {
		d.env.Log.InfoContext(ctx, "files: deleted files that were replaced", "stream", m.Stream, "files", count)
	}
}

func (d *destination) sweepFiles(ctx context.Context, h *head, m *manifest) (count int, err error) {
	start, err := d.replacedBefore(ctx, h, m, d.env.Clock.Now().Add(-d.keep))
	if err != nil || start <= h.swept {
		return 0, err
	}
	var keys []string
	drop := func() error {
		if len(keys) == 0 {
			return nil
		}
		err := d.store.Delete(ctx, keys...)
		if err == nil {
			count, keys = count+len(keys), keys[:0]
		}
		return err
	}
	t := &table{chain: h.chain, stream: m.Stream, newest: start - 1}
	for old, err := range d.commits(ctx, t, max(h.swept, 1)) {
		if err != nil {
			return count, err
		}
		for i := range old.Files {
			if keys = append(keys, old.Files[i].Key); len(keys) == sweepAtOnce {
				if err := drop(); err != nil {
					return count, err
				}
			}
		}
	}
	if err := drop(); err != nil {
		return count, err
	}
	if err := d.store.Put(ctx, h.chain.swept(start), []byte("{}\n"), false); err != nil {
		return count, err
	}
	if h.swept > 0 {
		err = d.store.Delete(ctx, h.chain.swept(h.swept))
	}
	h.swept = start
	return count, err
}

// replacedBefore finds the last commit that replaced the table not after a time; 0 if there is none. Times are those of
// the writers' clocks. The commits after the last sweep are halved until the newest one of that time is
// found, which knows where the table began then.
func (d *destination) replacedBefore(ctx context.Context, h *head, m *manifest, limit time.Time) (int64, error) {
	start := int64(0)
	for low, high, middle := max(h.swept, 1), m.Number, m.Number; low <= high; middle = low + (high-low)/2 {
		if middle != m.Number {
			var err error
			if m, err = d.manifest(ctx, h.chain, middle); err != nil {
				return 0, err
			}
		}
		if m.put().After(limit) {
			high = middle - 1
		} else {
			start, low = m.begin(), middle+1
		}
	}
	if start <= 1 {
		return 0, nil
	}
	// Clocks differ between machines: it counts when this very commit was put.
	m, err := d.manifest(ctx, h.chain, start)
	if err != nil || m.put().After(limit) {
		return 0, err
	}
	return start, nil
}

// put is when a commit was put. Earlier versions did not write that down.
func (m *manifest) put() time.Time {
	if m.Put.IsZero() {
		return m.At
	}
	return m.Put
}

// replaced reports whether the rows of a commit have been replaced since, so that their files may be gone.
func (d *destination) replaced(ctx context.Context, stream string, commit int64) bool {
	h, err := d.head(ctx, stream)
	if err != nil || h.newest <= commit {
		return false
	}
	m, err := d.manifest(ctx, h.chain, h.newest)
	return err == nil && m.begin() > commit
}
