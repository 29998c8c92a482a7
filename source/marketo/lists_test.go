package marketo

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

// A club has static lists with members, and serves both in small pages.
type club struct {
	mu    sync.Mutex
	lists map[int64][]int64
	calls []string
}

func (c *club) serve(n int, w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, r.URL.Path)
	var all []string
	if rest, ok := strings.CutPrefix(r.URL.Path, "/rest/v1/lists/"); ok {
		id, _ := strconv.ParseInt(strings.TrimSuffix(rest, "/leads.json"), 10, 64)
		members, exists := c.lists[id]
		if !exists {
			replies(faulty("1013", "List not found"))(n, w, r)
			return
		}
		for _, m := range members {
			all = append(all, fmt.Sprintf(`{"id":%d}`, m))
		}
	} else {
		for id := range c.lists {
			all = append(all, fmt.Sprintf(`{"id":%d,"name":"List %d"}`, id, id))
		}
		slices.Sort(all)
		slices.Reverse(all) // no order is promised
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("nextPageToken"))
	until := min(from+3, len(all))
	token := ""
	if until < len(all) {
		token = fmt.Sprintf(`,"nextPageToken":"%d"`, until)
	}
	replies(`{"requestId":"c#1","success":true,"result":[`+strings.Join(all[from:until], ",")+`]`+token+`}`)(n, w, r)
}

func (c *club) want() []string {
	var keys []string
	for id, members := range c.lists {
		for _, m := range members {
			keys = append(keys, fmt.Sprintf("%d/%d", id, m))
		}
	}
	slices.Sort(keys)
	return keys
}

func (c *club) vendor(t testing.TB) *fakeVendor {
	v := newFakeVendor(t, nil)
	inner := v.Config.Handler
	v.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/rest/v1/lists") {
			c.serve(0, w, r)
			return
		}
		inner.ServeHTTP(w, r)
	})
	return v
}

func TestListMembersFollowTheLists(t *testing.T) {
	c := &club{lists: map[int64][]int64{10: {1, 2, 3, 4, 5}, 2: {1}, 300: {}, 41: {9, 8}}}
	v := c.vendor(t)
	s := newMemberStream(v.source(t))
	tb := newTable("list_id", "lead_id")
	check := func(what string) {
		t.Helper()
		mustRead(t, tb, s)
		if diff := cmp.Diff(c.want(), tb.live(), cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		v.clock.advance(time.Hour)
	}
	check("first pass")
	if len(tb.wins) != 3 || tb.wins[0].Parsed != 1 || tb.wins[1].Parsed != 5 || tb.wins[1].Calls != 2 || tb.wins[1].Filter != `{"path":"/rest/v1/lists/10/leads.json"}` {
		t.Errorf("windows %+v, want one for each list with members, in the order of ids", tb.wins)
	}
	c.lists[10] = []int64{2, 5, 6}
	check("members come and go")
	c.lists[41] = nil
	check("a list loses all members")
	delete(c.lists, 10)
	check("a list is deleted")
	c.lists[10] = []int64{6}
	c.lists[11] = []int64{6}
	check("lists appear")
	c.lists = map[int64][]int64{}
	check("all lists are deleted")
}

func TestListMembersResumeAtEveryCursor(t *testing.T) {
	run := func(t *testing.T, stop int) (tb *table, c *club, batches int) {
		c = &club{lists: map[int64][]int64{1: {1, 2, 3, 4}, 2: {1}, 3: {5, 6}, 4: {7}, 5: {}}}
		v := c.vendor(t)
		s := newMemberStream(v.source(t))
		tb = newTable("list_id", "lead_id")
		mustRead(t, tb, s)
		v.clock.advance(time.Hour)
		c.lists = map[int64][]int64{1: {2}, 3: {6, 7}, 4: {7}, 5: {1}, 6: {1, 2, 3, 4, 5, 6, 7}}
		if err := tb.read(t, s, martsync.Span{}, func(n int) bool { batches = n; return n == stop }); err != nil {
			t.Fatal(err)
		}
		if stop > 0 {
			mustRead(t, tb, newMemberStream(v.source(t)))
		}
		return tb, c, batches
	}
	_, _, batches := run(t, 0)
	for stop := range batches + 1 {
		tb, c, _ := run(t, stop)
		if diff := cmp.Diff(c.want(), tb.live()); diff != "" {
			t.Errorf("stopped after batch %d (-want +got):\n%s", stop, diff)
		}
	}
}

func TestListMembersGoOnWhereTheyStopped(t *testing.T) {
	c := &club{lists: map[int64][]int64{1: {1}, 2: {2}, 3: {3}}}
	v := c.vendor(t)
	s := newMemberStream(v.source(t))
	tb := newTable("list_id", "lead_id")
	if err := tb.read(t, s, martsync.Span{}, func(batch int) bool { return batch == 2 }); err != nil {
		t.Fatal(err)
	}
	c.calls = nil
	mustRead(t, tb, s)
	if diff := cmp.Diff([]string{"/rest/v1/lists.json", "/rest/v1/lists/3/leads.json"}, c.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestVanishedListsAreForgotten(t *testing.T) {
	c := &club{lists: map[int64][]int64{1: {1, 1, 1}, 2: {2}}} // the same lead on three pages counts once
	v := c.vendor(t)
	s := newMemberStream(v.source(t))
	tb := newTable("list_id", "lead_id")
	mustRead(t, tb, s)
	if tb.wins[0].Parsed != 1 {
		t.Errorf("window %+v, want one member", tb.wins[0])
	}
	delete(c.lists, 1)
	for pass, want := range []int{1, 0} {
		scopes := 0
		for b, err := range s.Read(t.Context(), tb.cur, martsync.Span{}) {
			if err != nil {
				t.Fatal(err)
			}
			if b.Complete != nil {
				scopes++
			}
			tb.cur = b.Cursor
		}
		if scopes != want {
			t.Errorf("pass %d after the deletion tells of %d lists, want %d", pass, scopes, want)
		}
	}
}

func TestListDeletedWhileItIsRead(t *testing.T) {
	c := &club{lists: map[int64][]int64{1: {1}, 2: {2}}}
	v := c.vendor(t)
	s := newMemberStream(v.source(t))
	tb := newTable("list_id", "lead_id")
	mustRead(t, tb, s)
	c.lists[1] = []int64{1, 3}
	err := tb.read(t, s, martsync.Span{}, func(int) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.lists, 2) // after it has been listed
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1/1", "1/3"}, tb.live()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestListMembersExclude(t *testing.T) {
	c := &club{lists: map[int64][]int64{1: {1}, 2: {2}, 3: {3}}}
	v := c.vendor(t)
	tb := newTable("list_id", "lead_id")
	mustRead(t, tb, newMemberStream(v.source(t, func(c *Config) { c.ListMembers.Exclude = []string{"List 1", "3"} })))
	if diff := cmp.Diff([]string{"2/2"}, tb.live()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestListMembersEvery(t *testing.T) {
	c := &club{lists: map[int64][]int64{1: {1}}}
	v := c.vendor(t)
	s := newMemberStream(v.source(t, func(c *Config) { c.ListMembers.Every = setting.Duration(24 * time.Hour) }))
	tb := newTable("list_id", "lead_id")
	for _, step := range []struct {
		advance time.Duration
		calls   int
	}{{0, 2}, {23 * time.Hour, 0}, {time.Hour, 2}} {
		v.clock.advance(step.advance)
		c.calls = nil
		mustRead(t, tb, s)
		if len(c.calls) != step.calls {
			t.Errorf("%v later: calls %v, want %d", step.advance, c.calls, step.calls)
		}
	}
}

func TestManyEmptyListsAskForFewCommits(t *testing.T) {
	c := &club{lists: map[int64][]int64{}}
	for id := range int64(120) {
		c.lists[id+1] = nil
	}
	n := 0
	tb := newTable("list_id", "lead_id")
	if err := tb.read(t, newMemberStream(c.vendor(t).source(t)), martsync.Span{}, func(batch int) bool { n = batch; return false }); err != nil {
		t.Fatal(err)
	}
	if n != 3 { // two cursors on the way and the last
		t.Errorf("%d batches for 120 empty lists, want 3", n)
	}
}

func TestPageTokenThatDoesNotMove(t *testing.T) {
	v := newFakeVendor(t, map[string]script{campaignPath: replies(`{"requestId":"c#1","success":true,"result":[{"id":1}],"nextPageToken":"x"}`)})
	s := newCampaignStream(v.source(t))
	err := newTable("id").read(t, s, martsync.Span{}, nil)
	if martsync.KindOf(err) != martsync.Transient || v.count(campaignPath) > 3 {
		t.Errorf("got %v after %d calls, want a transient error soon", err, v.count(campaignPath))
	}
}

func TestCampaignsAreASnapshot(t *testing.T) {
	page := func(items, token string) string {
		return `{"requestId":"c#1","success":true,"result":[` + items + `],"nextPageToken":"` + token + `"}`
	}
	v := newFakeVendor(t, map[string]script{campaignPath: func(_ int, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("nextPageToken") {
		case "":
			replies(page(`{"id":1,"name":"a","active":true},{"id":2}`, "p2="))(0, w, r)
		case "p2=":
			replies(page(``, "p3"))(0, w, r) // an empty page with a token is not the end
		default:
			replies(page(`{"id":2},{"name":"no id"},{"id":"3"}`, ""))(0, w, r)
		}
	}})
	s := newCampaignStream(v.source(t))
	tb := newTable("id")
	mustRead(t, tb, s)
	if diff := cmp.Diff([]string{"1", "2", "3"}, tb.live()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(tb.bad) != 1 || tb.bad[0].Column != "id" || tb.bad[0].Line != 4 {
		t.Errorf("quarantined %+v, want the record without an id", tb.bad)
	}
	if w := tb.wins[0]; w.Parsed != 4 || w.Quarantined != 1 || w.Calls != 3 {
		t.Errorf("window %+v, want 4 parsed, 1 quarantined, 3 calls", w)
	}
	cursors := 0
	for b, err := range s.Read(t.Context(), tb.cur, martsync.Span{}) {
		if err != nil {
			t.Fatal(err)
		}
		if b.Cursor != "" {
			cursors++
		} else if cursors > 0 {
			t.Error("a batch after the cursor of a snapshot")
		}
	}
	if cursors != 1 {
		t.Errorf("%d cursors in a snapshot, want 1, at its end", cursors)
	}
}

func TestSummariesAreWrittenCompactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want summaries
		for id, sum := range rapid.MapOfN(rapid.Int64Range(1, 1<<40), rapid.Uint64Range(0, sumMask), 0, 100).Draw(t, "lists") {
			want = want.with(summary{id, sum})
		}
		b, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got summaries
		if err := got.UnmarshalText(b); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v is written as %s and read as %v, %v", want, b, got, err)
		}
		for _, x := range want {
			y, ok := got.find(x.List)
			_, still := got.without(x.List).find(x.List)
			if !ok || y != x || still {
				t.Fatalf("%v is lost or stays", x)
			}
		}
	})
	var many summaries
	for i := range int64(2000) {
		many = append(many, summary{1000 + 7*i, mix(uint64(i)) & sumMask}) //nolint:gosec // small
	}
	if b, _ := many.MarshalText(); len(b) > 20_000 {
		t.Errorf("2000 lists take %d bytes, want at most 20000", len(b))
	}
}

func TestSumsTellListsApart(t *testing.T) {
	seen := map[uint64]string{}
	for _, leads := range [][]int64{{}, {1}, {2}, {1, 2}, {1, 3}, {2, 3}, {1, 2, 3}, {4, 5, 6}, {0}, {-1}, {1 << 40}} {
		sum, name := sumOf(leads), fmt.Sprint(leads)
		if before, twice := seen[sum]; twice || sum == 0 || sum > sumMask {
			t.Errorf("%s has the sum %d, as %s", name, sum, before)
		}
		seen[sum] = name
	}
}

func TestUnchangedListsGoNoFurther(t *testing.T) {
	c := &club{lists: map[int64][]int64{1: {1, 2, 3}, 2: {4}, 3: {5, 6}}}
	v := c.vendor(t)
	s := newMemberStream(v.source(t))
	tb := newTable("list_id", "lead_id")
	mustRead(t, tb, s)
	c.lists[2] = []int64{4, 7}
	c.lists[3] = []int64{6, 5} // in another order
	tb.wins = nil
	rows := 0
	for b, err := range s.Read(t.Context(), tb.cur, martsync.Span{}) {
		if err != nil {
			t.Fatal(err)
		}
		if b.Records != nil {
			rows += b.Records.Len
		}
	}
	if rows != 2 {
		t.Errorf("%d rows went on, want the 2 of the list that changed", rows)
	}
}

func FuzzSummaries(f *testing.F) {
	f.Add("AgECAwQFBg")
	f.Fuzz(func(t *testing.T, text string) {
		var s summaries
		if s.UnmarshalText([]byte(text)) == nil && !slices.IsSortedFunc(s, func(a, b summary) int { return int(a.List - b.List) }) {
			t.Errorf("%q gives %v, which does not rise", text, s)
		}
	})
}
