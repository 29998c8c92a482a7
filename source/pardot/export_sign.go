package pardot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// The vendor's list of jobs shows neither their ranges nor their fields, so a job that was created
// just before a crash cannot be recognised there. But the columns of a file come in the order in
// which they were asked for. Each job asks for them in an order that follows from the stream, the
// range and the intention, and so the header of its file proves whose job it is. Readers find
// columns by name, so nobody else notices.

const (
	// A lost job was created when its intention was written down, or a little later; the
	// vendor's clock and ours may differ.
	adoptBefore, adoptAfter = 5 * time.Minute, 15 * time.Minute

	// adoptMost is how many jobs of that time are looked into.
	adoptMost = 5
)

// order is the order in which the job of the state asks for fields.
func (s *exportState) order(stream string, fields []string) []string {
	order := slices.Clone(fields)
	seed := sha256.Sum256(fmt.Appendf(nil, "%s %d %d %d %d", stream, s.Pass, s.From, s.To, s.Since))
	r := rand.New(rand.NewChaCha8(seed)) //nolint:gosec // a signature to recognise, not a secret
	r.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
	return order
}

// sign is the signature of a header. Spaces and case do not count.
func sign(header []string) string {
	var b strings.Builder
	for _, name := range header {
		b.WriteString(fold(name))
		b.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:8])
}

func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// adopt looks in the vendor's list for the job that an earlier read meant to create. Those that it may
// be are read one after the other until one proves to be ours. Without the right to see the list
// the job is made anew; the vendor then works on one more than is needed.
func (t *exportTask) adopt(ctx context.Context) (bool, error) {
	s := t.state
	if s.Sign == "" {
		return false, nil // a file of all fields proves nothing
	}
	z, err := t.jobZone(ctx)
	if err != nil {
		return false, err
	}
	since := unix(s.Since)
	// An hour more, for the hour in which clocks are set back.
	listed, calls, err := t.api.list(ctx, t.noun, t.object.object(t.version), since.Add(-adoptBefore-time.Hour), z)
	t.count(0, 0, calls)
	if err != nil {
		if martsync.KindOf(err).Waits() || ctx.Err() != nil {
			return false, err
		}
		t.src.env.Log.InfoContext(ctx, "export jobs cannot be listed", "stream", t.stream, "err", err)
		return false, nil
	}
	var ids []int64
	for _, j := range listed {
		if j.state == exportFailed || j.state == exportCanceled || j.expired || slices.Contains(s.Jobs, j.id) {
			continue
		}
		if slices.ContainsFunc(z.moments(j.created), func(at time.Time) bool {
			return !at.Before(since.Add(-adoptBefore)) && !at.After(since.Add(adoptAfter))
		}) {
			ids = append(ids, j.id)
		}
	}
	if len(ids) == 0 {
		return false, nil
	}
	slices.Sort(ids)
	ids = ids[:min(len(ids), adoptMost)]
	s.ID, s.Others, s.Taken, s.Asked = ids[0], ids[1:], true, 0
	t.src.env.Log.InfoContext(ctx, "found the export job of an interrupted run", "stream", t.stream, "job", s.job())
	return true, t.remember()
}

// foreign decides about a job that was taken for ours and is not, or cannot prove it.
func (t *exportTask) foreign(ctx context.Context, why string) error {
	s := t.state
	t.src.env.Log.InfoContext(ctx, "export job not taken over", "stream", t.stream, "job", s.job(), "err", why)
	t.refs = nil
	if len(s.Others) > 0 {
		s.ID, s.Others, s.Asked, s.Complete = s.Others[0], s.Others[1:], 0, false
		s.Done, s.Cuts, s.Bad, s.Short = nil, 0, 0, 0
		return t.remember()
	}
	s.forget()
	return t.remember()
}
