package marketo

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// The log of deleted leads is walked by two streams. What one has just read the other does not ask for again; what has happened
// since then reaches both, and so does everything when the pages have become old, or in another process.
func TestDeletionsAreAskedForOnce(t *testing.T) {
	const path = "/rest/v1/activities/deletedleads.json"
	one := func(t *testing.T, d *depot, s *source, stream string) (calls int) {
		t.Helper()
		d.line.mend(0, false)
		d.line.mu.Lock()
		d.line.paths = nil
		d.line.mu.Unlock()
		_, err := pipeline.Run(t.Context(), &pipeline.Sync{
			Name: stream, Source: s, Destination: memory.New(d.storage), Streams: []string{stream}, State: d.state, Clock: d.clock, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		return d.line.count(path)
	}
	for _, c := range []struct {
		name  string
		later time.Duration // the second stream
		other bool          // in another process
		again bool          // it asks for everything
	}{
		{name: "at once"},
		{name: "a little later", later: 5 * time.Minute},
		{name: "later than a page is used", later: walkFor + time.Minute, again: true},
		{name: "in another process", other: true, again: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 400}, PerLead: 40, PageBlock: 20, ActivitySpan: 6 * 24 * time.Hour})
			for _, stream := range []string{"deleted_leads", "leads"} {
				one(t, d, d.open(t), stream)
			}
			d.clock.Advance(12 * time.Hour)
			d.Change(300)
			d.clock.Advance(12 * time.Hour)
			s := d.open(t)
			all := one(t, d, s, "deleted_leads")
			if all < 20 {
				t.Fatalf("only %d pages, so this proves nothing", all)
			}
			var id int64
			for row := range d.Truth("leads") {
				if n, ok := row.Values["id"].(int64); ok && !row.Gone {
					id = n
				}
			}
			if !d.DeleteLead(id) {
				t.Fatal("there is no such lead")
			}
			d.clock.Advance(c.later + 10*time.Minute)
			if c.other {
				s = d.open(t)
			}
			more := one(t, d, s, "leads")
			if asked := more > all/2; asked != c.again {
				t.Errorf("the first stream asked for %d pages, the second one for %d; want everything again: %v", all, more, c.again)
			}
			if r := d.differs(t, []string{"leads"})["leads"]; !r.OK() {
				t.Error(r.String())
			}
			d.clock.Advance(time.Hour)
			one(t, d, d.open(t), "deleted_leads")
			d.equal(t, []string{"deleted_leads"})
		})
	}
}

// Pages that have a next one are held, as many as there is room for and for as long as they may be used.
func TestSharedWalkHoldsLittle(t *testing.T) {
	s := &sharedWalk{}
	page := func(next string, more bool, bytes int64) *envelope {
		return &envelope{Success: true, NextPageToken: next, MoreResult: more, Bytes: bytes, Calls: 1}
	}
	const now = second(1_000_000)
	s.put("last", page("end", false, 10), now)
	s.put("stuck", page("stuck", true, 10), now)
	s.put("a", page("b", true, 10), now)
	for _, token := range []string{"last", "stuck"} {
		if _, held := s.page(token, now, time.Hour); held {
			t.Errorf("the page of %q is held; it may have more when it is asked for again", token)
		}
	}
	if env, held := s.page("a", now.add(time.Minute), time.Minute); !held || env.NextPageToken != "b" || env.Calls != 0 {
		t.Errorf("the page of a: held %v, %+v", held, env)
	}
	if _, held := s.page("a", now.add(2*time.Minute), time.Minute); held {
		t.Error("a page is used that is too old")
	}
	for i := range 100 {
		s.put(strings.Repeat("x", i+1), page("y", true, 100<<10), now.add(time.Minute))
	}
	if s.bytes > walkMost || len(s.pages) < 5 {
		t.Errorf("%d bytes in %d pages are held, want up to %d", s.bytes, len(s.pages), walkMost)
	}
	later := now.add(2 * walkFor)
	s.put("new", page("y", true, 100<<10), later)
	if _, held := s.page("new", later, time.Minute); !held || len(s.pages) != 1 {
		t.Errorf("held %v, among %d pages; want old ones to make room", held, len(s.pages))
	}
	s.clear()
	if _, held := s.page("new", later, time.Hour); held || s.bytes != 0 {
		t.Error("something is left")
	}
}

// Where little is read again, old pages are not used: what appeared late would be lost.
func TestPagesAreUsedForAPartOfTheOverlap(t *testing.T) {
	for overlap, want := range map[time.Duration]time.Duration{0: 0, 4 * time.Minute: time.Minute, 24 * time.Hour: walkFor} {
		if got := (&partSpec{overlap: overlap}).age(); got != want {
			t.Errorf("an overlap of %s: pages are used for %s, want %s", overlap, got, want)
		}
	}
}
