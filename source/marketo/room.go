package marketo

import (
	"context"
	"time"
)

// The vendor meters an export when it finishes, and lets whatever is in its queue run although the day's bytes
// are spent by then. So five windows of two fifths of the share each would take twice the share, out of what
// other integrations have. Therefore jobs under way are counted with what they are expected to bring, and
// the last window of a day is cut to what is left of it.

// roomLeast is the part of the day's share that is not worth another job.
const roomLeast = 0.01

// tellingMost is how long the other windows wait for the first one, of which nothing is known.
const tellingMost = 45 * time.Minute

// tellingEnough is how much history tells by itself what a day of it has: whole weeks, since days and hours differ.
const tellingEnough = 7 * 24 * time.Hour

// bytesADay is what a day of history is expected to have in export files; 0: not known. What jobs have
// completed but not been read yet says it best, as far as it is long enough: after a quiet night the pace still counts, or
// the windows of the next day would be many times too long.
func (p *part) bytesADay() float64 {
	size, length := int64(0), time.Duration(0)
	for _, j := range p.Jobs {
		if j.State == completed && j.Size != nil {
			size += *j.Size
			length += j.past()
		}
	}
	if length < minWindow {
		return p.Pace.Bytes
	}
	now := max(float64(size)/length.Hours()*24, leastPace)
	if p.Pace.Bytes == 0 || length >= tellingEnough {
		return now
	}
	weight := length.Hours() / tellingEnough.Hours()
	return weight*now + (1-weight)*p.Pace.Bytes
}

// past is how much of the window lay behind when its job was created: all of it, but for those that reach into the future.
func (j *job) past() time.Duration {
	if j.Since == 0 {
		return j.length()
	}
	return max(min(j.To, j.Since).sub(j.From), 0)
}

// expected is what the jobs under way are going to add to the day's bytes.
func (p *part) expected() (bytes float64) {
	for _, j := range p.Jobs {
		if j.State != completed && !j.Shared {
			bytes += p.bytesADay() * j.past().Hours() / 24
		}
	}
	return bytes
}

// next decides how long the next window of a part is. Zero: not now, because of what is under way; parked
// is why none can be started today.
func (r *run) next(ctx context.Context, p *part) (length time.Duration, parked, err error) {
	share := r.src.cfg.Limits.exportBytes()
	perDay := p.bytesADay()
	length = stepFor(pace{Bytes: perDay}, share)
	if r.longest > 0 {
		length = min(length, r.longest)
	}
	if p.Step > 0 {
		length = min(length, p.Step.sub(0))
	}
	if r.counted {
		return length, nil, nil // such windows have no length in time, and are small
	}
	if perDay == 0 {
		// The first job tells how much to expect of the others, unless it gets stuck.
		for _, j := range p.Jobs {
			if j.running() && r.now().sub(j.Since) < tellingMost {
				return 0, nil, nil
			}
		}
		return length, nil, nil
	}
	length = min(length, r.limit().sub(p.end()))
	for exact := false; ; exact = true {
		spent, err := r.src.client.spentToday(ctx, exact)
		if err != nil {
			return 0, nil, err
		}
		want := perDay * length.Hours() / 24
		got, under := r.jobs.book(r.schema.Stream, float64(share-spent), want, roomLeast*float64(share))
		switch {
		case got >= want:
			return length, nil, nil
		case got > 0:
			return max(time.Duration(got/perDay*24*float64(time.Hour)), min(length, minWindow)), nil, nil
		case under:
			return 0, nil, nil
		case exact:
			return 0, r.src.client.exportsSpent(spent), nil
		}
	}
}

// book sets aside what a window is expected to take of what is left, or as much as there is if that is
// worth a job, least bytes. It returns how much it got, and whether there is anything under way that may turn out smaller.
func (d *dispatcher) book(stream string, left, want, least float64) (got float64, under bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.expected {
		under = under || n > 0
		left -= n
	}
	if left < want && left < least {
		return 0, under
	}
	got = min(want, left)
	d.expected[stream] += got
	return got, under
}
