package marketo

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/martsync/martsync"
)

const (
	// sharedFor is how old an export may be that another stream uses, too. The vendor keeps files for seven days.
	// Source: Marketo REST API, Bulk Extract, Limits.
	sharedFor = 24 * time.Hour

	// sharedEnd is how much sooner than by itself a stream ends if another one that began before it does.
	sharedEnd = 15 * time.Minute

	// twinWaits is how often a stream that was interrupted waits, for statusEvery, until the one it shares with has
	// told of its jobs.
	twinWaits = 3
)

// sharedExports know the export jobs whose files more than one stream needs, so that nothing is exported twice. They live as
// long as the source: a stream that uses another one's job writes its id into its own position like one of its own, so what
// becomes of the other does not matter to it, and one that finds nothing here exports for itself.
// Methods may be called from several goroutines.
type sharedExports struct {
	creating sync.Mutex // held while a job is created, until it is known here

	mu   sync.Mutex
	sets map[string]*sharedSet // by what is exported
}

type sharedSet struct {
	streams map[string]*window // that have been read, and the range of their reading; nil: none is under way
	jobs    []sharedJob
}

type sharedJob struct {
	window
	ID    string
	Since second
}

func (s *sharedExports) set(what string) *sharedSet {
	if s.sets == nil {
		s.sets = map[string]*sharedSet{}
	}
	if s.sets[what] == nil {
		s.sets[what] = &sharedSet{streams: map[string]*window{}}
	}
	return s.sets[what]
}

// join tells that a stream is being read, and of its jobs. P is nil if it has none under way.
func (s *sharedExports) join(what, stream string, p *part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.set(what)
	set.streams[stream] = nil
	if p == nil {
		return
	}
	set.streams[stream] = &window{From: p.At, To: p.To}
	for _, j := range p.Jobs {
		if j.ID != "" {
			set.add(j)
		}
	}
}

// plan settles the range of a reading that begins: its end is that of another stream's that has begun just before.
func (s *sharedExports) plan(what, stream string, w window) window {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.set(what)
	for name, other := range set.streams {
		if name != stream && other != nil && other.From == w.From && other.To < w.To && w.To.sub(other.To) <= sharedEnd {
			w.To = other.To
		}
	}
	set.streams[stream] = &w
	return w
}

// add makes a job known.
func (s *sharedExports) add(what string, j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(what).add(j)
}

func (s *sharedSet) add(j *job) {
	if !slices.ContainsFunc(s.jobs, func(k sharedJob) bool { return k.ID == j.ID }) {
		s.jobs = append(s.jobs, sharedJob{window: j.window, ID: j.ID, Since: j.Since})
	}
}

// drop forgets a job that has come to nothing.
func (s *sharedExports) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, set := range s.sets {
		set.jobs = slices.DeleteFunc(set.jobs, func(k sharedJob) bool { return k.ID == id })
	}
}

// find returns the longest window from a moment on that ends no later than limit and for which there is a job.
func (s *sharedExports) find(what string, from, limit, now second) (found sharedJob, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.set(what)
	set.jobs = slices.DeleteFunc(set.jobs, func(k sharedJob) bool { return k.Since < now.add(-sharedFor) })
	for _, k := range set.jobs {
		if k.From == from && k.To <= limit && k.To > found.To {
			found, ok = k, true
		}
	}
	return found, ok
}

// twins reports whether another stream that shares these exports has been read.
func (s *sharedExports) twins(what, stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.set(what).streams {
		if name != stream {
			return true
		}
	}
	return false
}

// borrow takes another stream's job for the window at i, or for the next one if i is negative, and reports whether
// there was one.
func (r *run) borrow(spec *partSpec, p *part, i int) bool {
	if spec.shared == "" || i >= 0 && p.Jobs[i].ID != "" || i < 0 && p.end() >= r.limit() {
		return false
	}
	from, limit := p.end(), r.limit()
	if i >= 0 {
		from, limit = p.Jobs[i].From, p.Jobs[i].To
	}
	k, ok := r.src.shared.find(spec.shared, from, limit, r.now())
	if !ok || i >= 0 && k.To != limit {
		return false
	}
	if i < 0 {
		i = len(p.Jobs)
		p.Jobs = append(p.Jobs, &job{window: k.window})
	}
	p.Jobs[i].take(k)
	r.dirty = true
	return true
}

// take makes another stream's job that of this window. Its state is asked for like that of any other.
func (j *job) take(k sharedJob) {
	j.ID, j.Since, j.Shared, j.State, j.Asked = k.ID, k.Since, true, queued, k.Since
}

// awaits says why no job is created yet: an earlier read shared its jobs with a stream that has not been read since then,
// which may know of more of them. It does not wait for long, since that stream may no longer be wanted.
func (r *run) awaits(spec *partSpec, p *part) error {
	if spec.shared == "" {
		return nil
	}
	switch {
	case r.src.shared.twins(spec.shared, r.schema.Stream):
		r.dirty = r.dirty || !p.Twin || p.Waits > 0
		p.Twin, p.Waits = true, 0
		return nil
	case !p.Twin || p.Waits >= twinWaits:
		return nil
	}
	p.Waits++
	r.dirty = true
	return &martsync.Error{
		Kind: martsync.Pending, Op: "marketo: export " + r.schema.Stream, After: statusEvery,
		Err: errors.New("the stream that it shares its export jobs with has not been read yet"),
	}
}
