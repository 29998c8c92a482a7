package marketo

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

// A rack is a shelf of programs whose tags and costs come by id only.
type rack struct {
	shelf
	asked []string          // ids that were read
	tags  map[string]string // JSON by id; without: the reply has none
	lock  sync.Mutex
	code  string // of an error instead of a program
}

func (r *rack) vendor(t testing.TB) *fakeVendor {
	v := newFakeVendor(t, map[string]script{assets[0].path: r.serve})
	inner := v.Config.Handler
	v.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		id, one := strings.CutPrefix(q.URL.Path, assetRoot+"program/")
		if !one {
			inner.ServeHTTP(w, q)
			return
		}
		id = strings.TrimSuffix(id, ".json")
		r.lock.Lock()
		defer r.lock.Unlock()
		r.asked = append(r.asked, id)
		if r.code != "" {
			replies(faulty(r.code, "no"))(0, w, q)
			return
		}
		for _, i := range r.items {
			if fmt.Sprint(i.id) == id {
				more := ""
				if tags := r.tags[id]; tags != "" {
					more = `,"tags":` + tags + `,"costs":null`
				}
				replies(result(fmt.Sprintf(`{"id":%s,"name":"by id","updatedAt":"%s"%s}`, id, i.updated.UTC().Format(time.RFC3339), more)))(0, w, q)
				return
			}
		}
		replies(faulty("702", "Program not found"))(0, w, q)
	})
	return v
}

func (r *rack) taken() []string {
	r.lock.Lock()
	defer r.lock.Unlock()
	ids := r.asked
	r.asked = nil
	return ids
}

func texted(from, to int64) (ids []string) {
	for _, n := range numbers(from, to) {
		ids = append(ids, fmt.Sprint(n))
	}
	return ids
}

func TestProgramsAreReadByIDWhenTheyAreNewOrUpdated(t *testing.T) {
	r := &rack{tags: map[string]string{"2": `[{"tagType":"Region","tagValue":"EMEA"}]`, "3": "null"}}
	v := r.vendor(t)
	s := newAssetStream(v.source(t), &assets[0])
	tb := newTable("id")
	r.put(v.clock.Now().Add(-48*time.Hour), numbers(1, 450)...)
	mustRead(t, tb, s)
	if diff := cmp.Diff(texted(1, 450), r.taken()); diff != "" {
		t.Fatalf("read by id at first (-want +got):\n%s", diff)
	}
	for id, want := range map[string]string{"1": "[]", "2": `[{"tagType":"Region","tagValue":"EMEA"}]`, "3": "[]"} {
		if got := fmt.Sprintf("%s", tb.vals[id]["tags"]); got != want {
			t.Errorf("tags of program %s: %s, want %s", id, got, want)
		}
		if got := fmt.Sprintf("%s", tb.vals[id]["costs"]); got != "[]" {
			t.Errorf("costs of program %s: %s, want []", id, got)
		}
	}
	if n := len(r.calls); n != 8 {
		t.Errorf("the listing took %d calls, want 8: what it shows is what is read by id", n)
	}

	r.calls = nil
	v.clock.advance(time.Hour)
	mustRead(t, tb, s)
	if got := r.taken(); got != nil || len(r.calls) != 1 {
		t.Errorf("without news %d calls for the listing, and by id %v", len(r.calls), got)
	}

	// A tag that is taken away leaves the table, too.
	r.calls = nil
	v.clock.advance(time.Hour)
	delete(r.tags, "2")
	r.put(v.clock.Now().Add(-time.Minute), 2, 451)
	mustRead(t, tb, s)
	if got := r.taken(); !slices.Equal(got, []string{"2", "451"}) || len(r.calls) != 2 {
		t.Errorf("%d calls for the listing, and by id %v, want 2 and 451", len(r.calls), got)
	}
	if got := fmt.Sprintf("%s", tb.vals["2"]["tags"]); got != "[]" {
		t.Errorf("tags of program 2 are still %s", got)
	}

	// A full listing later shows all of them, and none is new. Those of the minutes before the last sync
	// are looked at again: clocks differ.
	v.clock.advance(8 * 24 * time.Hour)
	mustRead(t, tb, s)
	if got := r.taken(); !slices.Equal(got, []string{"2", "451"}) {
		t.Errorf("a full listing without news: by id %v, want 2 and 451", got)
	}
	if tb.vals["1"]["tags"] == nil {
		t.Error("the listing took the tags away")
	}
	for i, w := range tb.wins {
		if w.Parsed == 0 && w.Calls == 0 {
			t.Errorf("window %d tells nothing: %+v", i, w)
		}
	}
}

func TestProgramsByIDStayWithinTheirShare(t *testing.T) {
	r := &rack{}
	v := r.vendor(t)
	s := newAssetStream(v.source(t, func(c *Config) { c.Assets.ProgramReads = 120 }), &assets[0])
	tb := newTable("id")
	r.put(v.clock.Now().Add(-48*time.Hour), numbers(1, 300)...)
	mustRead(t, tb, s)
	if diff := cmp.Diff(texted(1, 120), r.taken()); diff != "" {
		t.Errorf("first sync (-want +got):\n%s", diff)
	}
	if len(tb.note) != 1 || !strings.Contains(tb.note[0].Message, "180") {
		t.Errorf("notes %+v, want one that says how many are left", tb.note)
	}
	// What is updated meanwhile comes after what is left.
	v.clock.advance(time.Hour)
	r.put(v.clock.Now().Add(-time.Minute), 5, 301)
	mustRead(t, tb, s)
	got := r.taken()
	v.clock.advance(time.Hour)
	mustRead(t, tb, s)
	got = append(got, r.taken()...)
	// What is left of the first range is listed anew, hence 301 comes with it, and after it with those
	// that were updated since.
	if diff := cmp.Diff(append(texted(121, 301), "5", "301"), got); diff != "" {
		t.Errorf("the syncs after it (-want +got):\n%s", diff)
	}
	v.clock.advance(time.Hour)
	mustRead(t, tb, s)
	if got := r.taken(); got != nil {
		t.Errorf("by id again: %v", got)
	}
}

func TestProgramsByIDResumeAtEveryCursor(t *testing.T) {
	run := func(stop int) (batches int, left []string, tb *table) {
		r := &rack{}
		v := r.vendor(t)
		s := newAssetStream(v.source(t), &assets[0])
		tb = newTable("id")
		r.put(v.clock.Now().Add(-48*time.Hour), numbers(1, 130)...)
		if err := tb.read(t, s, martsync.Span{}, func(n int) bool { batches = n; return n == stop }); err != nil {
			t.Fatal(err)
		}
		first := r.taken()
		if stop > 0 {
			v.clock.advance(time.Minute)
			mustRead(t, tb, newAssetStream(v.source(t), &assets[0]))
		}
		for _, id := range texted(1, 130) {
			if tb.vals[id]["tags"] == nil {
				left = append(left, id)
			}
		}
		if again := len(first) + len(r.taken()); again > 130+detailsEach+2 {
			t.Errorf("stopped after batch %d: %d reads by id for 130 programs", stop, again)
		}
		return batches, left, tb
	}
	batches, _, _ := run(0)
	if batches < 4 {
		t.Fatalf("%d batches, want cursors between reads by id", batches)
	}
	for stop := range batches + 1 {
		if _, left, _ := run(stop); len(left) > 0 {
			t.Errorf("stopped after batch %d: no tags of %v", stop, left)
		}
	}
}

// E28: a listing is worth having without what only reads by id tell.
func TestE28_ProgramsThatCannotBeReadByID(t *testing.T) {
	r := &rack{code: "603"}
	v := r.vendor(t)
	s := newAssetStream(v.source(t), &assets[0])
	tb := newTable("id")
	r.put(v.clock.Now().Add(-48*time.Hour), numbers(1, 5)...)
	mustRead(t, tb, s)
	if len(tb.live()) != 5 || len(tb.note) != 1 || !strings.Contains(tb.note[0].Message, "603") || len(r.taken()) != 1 {
		t.Errorf("programs %v, notes %+v, want all programs and one note", tb.live(), tb.note)
	}
	// One day they can.
	r.code = ""
	v.clock.advance(time.Hour)
	mustRead(t, tb, s)
	if diff := cmp.Diff(texted(1, 5), r.taken()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Other errors are errors.
	r.code = "1003"
	v.clock.advance(time.Hour)
	r.put(v.clock.Now(), 6)
	if err := tb.read(t, s, martsync.Span{}, nil); martsync.KindOf(err) != martsync.Data {
		t.Errorf("got %v, want an error of kind Data", err)
	}
}
