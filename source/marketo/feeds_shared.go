package marketo

import (
	"context"
	"sync"
	"time"
)

const (
	// walkFor is how old a page may be that another stream has read.
	walkFor = 30 * time.Minute

	// walkSlack is how much earlier than asked for a walk begins, so that one that has to begin a little before another can
	// go along with it.
	walkSlack = 30 * time.Minute

	// walkMost is how many bytes of pages are held: thousands of empty ones, which most are.
	walkMost = 4 << 20
)

// A sharedWalk holds the pages of a log that two streams walk, so that the second one need not ask for them: the vendor
// cuts its log before it filters, so a day of deletions may take hundreds of calls and bring a few rows. It holds
// pages that have a next one only, so whoever walks asks for the end himself. Each stream keeps a position of its own, and
// without what is held here it asks for everything.
//
// What became visible since a page was read, late, is not in it. So a page is used for a small part of the overlap only, by
// which each walk goes back behind the one before, for that very reason.
type sharedWalk struct {
	walking sync.Mutex // held while a page is asked for: of two walks side by side, one asks and the other takes

	begins []walkBegin
	pages  map[string]walkPage // by token
	bytes  int64
}

type walkBegin struct {
	since second
	token string
	read  second
}

type walkPage struct {
	env  envelope
	read second
}

// age is how old a page may be for a part.
func (spec *partSpec) age() time.Duration { return min(walkFor, spec.overlap/4) }

// begin returns the token of a walk that begins at since or a little before.
func (s *sharedWalk) begin(since, now second, age time.Duration) (string, bool) {
	for i := len(s.begins) - 1; i >= 0; i-- {
		b := s.begins[i]
		if b.since <= since && since.sub(b.since) <= 2*walkSlack && now.sub(b.read) <= age {
			return b.token, true
		}
	}
	return "", false
}

// page returns the page of a token.
func (s *sharedWalk) page(token string, now second, age time.Duration) (*envelope, bool) {
	p, ok := s.pages[token]
	if !ok || now.sub(p.read) > age {
		return nil, false
	}
	env := p.env
	env.Calls = 0
	return &env, true
}

// put holds a page, if there is room. What is too old for anybody makes room.
func (s *sharedWalk) put(token string, env *envelope, now second) {
	if !env.MoreResult || env.NextPageToken == "" || env.NextPageToken == token {
		return
	}
	const each = 200 // bytes of an empty page here
	size := func(env *envelope) int64 { return 2*env.Bytes + each }
	if s.bytes+size(env) > walkMost {
		for k, p := range s.pages {
			if now.sub(p.read) > walkFor {
				s.bytes -= size(&p.env)
				delete(s.pages, k)
			}
		}
	}
	if _, held := s.pages[token]; held || s.bytes+size(env) > walkMost {
		return
	}
	if s.pages == nil {
		s.pages = map[string]walkPage{}
	}
	s.pages[token] = walkPage{*env, now}
	s.bytes += size(env)
}

// clear forgets everything.
func (s *sharedWalk) clear() { s.begins, s.pages, s.bytes = nil, nil, 0 }

// sharedBegin is sharedPage for the token that a walk begins with.
func (r *run) sharedBegin(ctx context.Context, spec *partSpec, since second, ask func(context.Context, second) (string, error)) (token string, asked bool, err error) {
	s := spec.pages.shared
	if s == nil {
		token, err = ask(ctx, since)
		return token, true, err
	}
	s.walking.Lock()
	defer s.walking.Unlock()
	if token, ok := s.begin(since, r.now(), spec.age()); ok {
		return token, false, nil
	}
	since = max(since.add(-walkSlack), 0)
	if token, err = ask(ctx, since); err == nil {
		s.begins = append(s.begins[max(0, len(s.begins)-8):], walkBegin{since, token, r.now()})
	}
	return token, true, err
}

// sharedPage makes a call for a page, unless it is held.
func (r *run) sharedPage(ctx context.Context, spec *partSpec, token string, ask func(context.Context) (*envelope, error)) (env *envelope, err error) {
	s := spec.pages.shared
	if s == nil {
		return ask(ctx)
	}
	s.walking.Lock()
	defer s.walking.Unlock()
	if env, ok := s.page(token, r.now(), spec.age()); ok {
		return env, nil
	}
	if env, err = ask(ctx); err == nil {
		s.put(token, env, r.now())
	} else if isTokenError(err) {
		s.clear() // the way that it knows leads nowhere
	}
	return env, err
}
