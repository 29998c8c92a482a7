package runlog

import (
	"context"
	"slices"
	"time"

	"github.com/martsync/martsync/state"
)

// Heard is the last sign that a run has given of itself.
func (r *Run) Heard() time.Time {
	last := latest(r.Start, r.End)
	for i := range r.Streams {
		last = latest(last, latest(r.Streams[i].LastCommit, r.Streams[i].Finished))
	}
	return last
}

// Laid returns a run whose process ended without a word as if it had stopped at the last sign of it, and says so.
func (r *Run) Laid() *Run {
	out := *r
	out.Status, out.End, out.Wake, out.Error = Stopped, r.Heard(), time.Time{}, diedNote
	out.Streams = slices.Clone(r.Streams)
	for i := range out.Streams {
		if st := &out.Streams[i]; !st.Phase.Over() {
			st.Phase, st.Wake, st.Error, st.Kind, st.Hint = PhaseStopped, time.Time{}, "", "", ""
		}
	}
	return &out
}

// Bury writes down the end of a run whose process ended without a word, and reports what it had done. Only who holds
// the lease of its account may do that.
func Bury(ctx context.Context, store state.Store, r *Run) error {
	fresh, _, err := freshness(ctx, store, r.Sync)
	if err != nil {
		return err
	}
	if err := Report(ctx, store, r.begun(fresh).Laid(), unreported(fresh, r)); err != nil {
		return err
	}
	return Save(ctx, store, r.Laid())
}

// diedNote is what is known of the end of a run that died.
const diedNote = "it ended without a word: its process was killed, or its machine went down"

// begun is the run with those streams of which it tells more than is known: not those that are still to come, nor those
// that were left out before and may be again.
func (r *Run) begun(fresh []Freshness) *Run {
	out := *r
	out.Streams = slices.DeleteFunc(slices.Clone(r.Streams), func(s Stream) bool {
		i := slices.IndexFunc(fresh, func(f Freshness) bool { return f.Stream == s.Stream })
		return i >= 0 && !s.Phase.Over() && s.Rows == 0 && (s.Phase == PhaseQueued || fresh[i].Phase == PhaseSkipped)
	})
	return &out
}

// unreported are the rows of a run that the freshness does not count yet.
func unreported(fresh []Freshness, r *Run) map[string]int64 {
	rows := make(map[string]int64, len(r.Streams))
	for _, s := range r.Streams {
		rows[s.Stream] = s.Rows
	}
	for _, f := range fresh {
		if f.Run == r.ID {
			rows[f.Stream] -= f.Rows
		}
	}
	return rows
}
