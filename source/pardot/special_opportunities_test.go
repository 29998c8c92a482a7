package pardot

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

func TestLinksOfAnOpportunity(t *testing.T) {
	for _, tc := range []struct {
		name, raw string
		want      []int64
		fails     string
	}{
		{"one is an object", `{"id":61,"prospects":{"prospect":{"id":501,"email":"a@b.example"}}}`, []int64{501}, ""},
		{"several are an array", `{"id":61,"prospects":{"prospect":[{"id":503},{"id":501},{"id":503}]}}`, []int64{501, 503}, ""},
		{"without the inner name", `{"id":61,"prospects":[{"id":4294967297}]}`, []int64{4294967297}, ""},
		{"none: absent", `{"id":61}`, nil, ""},
		{"none: null", `{"id":61,"prospects":null}`, nil, ""},
		{"none: empty text", `{"id":61,"prospects":""}`, nil, ""},
		{"none: empty object", `{"id":61,"prospects":{}}`, nil, ""},
		{"none: empty array", `{"id":61,"prospects":{"prospect":[]}}`, nil, ""},
		{"ids as text", `{"id":"61","prospects":{"prospect":{"id":"501"}}}`, []int64{501}, ""},
		{"no id", `{"name":"x"}`, nil, "no id"},
		{"a prospect without an id", `{"id":61,"prospects":{"prospect":{"email":"x"}}}`, nil, "a prospect has no id"},
		{"a prospect that is text", `{"id":61,"prospects":{"prospect":["x"]}}`, nil, "not an object"},
		{"prospects that are a number", `{"id":61,"prospects":7}`, nil, "neither an object nor an array"},
	} {
		id, got, err := linksOf([]byte(tc.raw))
		if tc.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("%s: error %v, want %q", tc.name, err, tc.fails)
			}
			continue
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil || id != 61 {
			t.Errorf("%s: opportunity %d, %v (-want +got):\n%s", tc.name, id, err, diff)
		}
	}
}

func FuzzLinksOf(f *testing.F) {
	f.Add(`{"id":61,"prospects":{"prospect":{"id":501}}}`)
	f.Add(`{"id":61,"prospects":{"prospect":[{"id":503},{"id":501}]}}`)
	f.Add(`{"id":"9223372036854775808","prospects":[[]]}`)
	f.Fuzz(func(t *testing.T, raw string) {
		id, links, err := linksOf([]byte(raw))
		if err != nil {
			return
		}
		if id <= 0 || !slices.IsSorted(links) || len(links) > 0 && links[0] <= 0 || len(slices.Compact(slices.Clone(links))) != len(links) {
			t.Errorf("%s: opportunity %d with %v, want ids in rising order", raw, id, links)
		}
	})
}

// dealDesk has opportunities 10, 20, …; the n-th has n%4 prospects.
func dealDesk(t testing.TB, deals int, refuse func(q url.Values) answer) *desk {
	return newDesk(t, func(path string, q url.Values) answer {
		if path != "/api/opportunity/version/4/do/query" {
			return answer{}
		}
		if refuse != nil {
			if a := refuse(q); a != (answer{}) {
				return a
			}
		}
		after, _ := strconv.Atoi(q.Get("id_greater_than"))
		limit, _ := strconv.Atoi(q.Get("limit"))
		if q.Get("sort_by") != "id" || q.Get("sort_order") != "ascending" || q.Get("output") == "bulk" || limit < 1 || limit > 200 {
			return fail4(19, "bad sort_by "+q.Encode())
		}
		var rows []string
		for n := after/10 + 1; n <= deals && len(rows) < limit; n++ {
			row := fmt.Sprintf(`{"id":%d,"name":"deal %d","prospects":`, n*10, n)
			var people []string
			for i := range n % 4 {
				people = append(people, fmt.Sprintf(`{"id":%d,"email":"p@x.example"}`, 1000*n+i))
			}
			switch len(people) {
			case 0:
				row += `""}`
			case 1:
				row += `{"prospect":` + people[0] + `}}`
			default:
				row += `{"prospect":[` + strings.Join(people, ",") + `]}}`
			}
			rows = append(rows, row)
		}
		total := max(0, deals-after/10)
		switch len(rows) {
		case 0:
			return ok4(`"result":{"total_results":0}`)
		case 1:
			return ok4(fmt.Sprintf(`"result":{"total_results":%d,"opportunity":%s}`, total, rows[0]))
		default:
			return ok4(fmt.Sprintf(`"result":{"total_results":%d,"opportunity":[%s]}`, total, strings.Join(rows, ",")))
		}
	})
}

func wantPairs(deals int) (rows [][]string) {
	for n := 1; n <= deals; n++ {
		for i := range n % 4 {
			rows = append(rows, []string{strconv.Itoa(n * 10), strconv.Itoa(1000*n + i)})
		}
	}
	return rows
}

func TestOpportunityProspects(t *testing.T) {
	// 0 none; 1 an object; 200 and 400 end with a full page; 2801 has cursors in between.
	for _, deals := range []int{0, 1, 2, 199, 200, 201, 400, 2801} {
		d := dealDesk(t, deals, nil)
		st := newOpportunityProspects(d.open(t))
		got, err := readAll(t, st, "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantPairs(deals), got.rows); diff != "" {
			t.Errorf("%d opportunities (-want +got):\n%s", deals, diff)
		}
		calls := int64(deals/200 + 1)
		want := []martsync.Window{{Filter: got.windows[0].Filter, Records: -1, Bytes: -1, Parsed: int64(len(got.rows)), Calls: calls}}
		if diff := cmp.Diff(want, got.windows); diff != "" || got.complete != 1 {
			t.Errorf("%d opportunities: %d complete scopes and windows (-want +got):\n%s", deals, got.complete, diff)
		}
		positions := slices.DeleteFunc(slices.Clone(got.batches), func(b martsync.Batch) bool { return b.Cursor == "" })
		for i, b := range positions {
			if last := i == len(positions)-1; last == b.Unverified || last != (b.Complete != nil) {
				t.Errorf("%d opportunities, batch %d of %d: unverified %v, complete %v", deals, i, len(positions), b.Unverified, b.Complete)
			}
		}
		if deals == 2801 && len(positions) < 3 {
			t.Errorf("%d positions for %d opportunities: reading could not go on in the middle", len(positions), deals)
		}
		again, err := readAll(t, st, got.cursor)
		if err != nil || len(again.batches) != 0 {
			t.Errorf("%d opportunities: %d batches, %v, when read again at once, want none", deals, len(again.batches), err)
		}
		if err := d.clock.Sleep(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if again, err = readAll(t, st, got.cursor); err != nil || len(again.rows) != len(got.rows) || again.complete != 1 {
			t.Errorf("%d opportunities: %d rows a day later, %v, want all %d", deals, len(again.rows), err, len(got.rows))
		}
	}
}

func TestOpportunityProspectsGoOnAtEachCursor(t *testing.T) {
	d := dealDesk(t, 2000, nil)
	s := d.open(t)
	whole, err := readAll(t, newOpportunityProspects(s), "")
	if err != nil {
		t.Fatal(err)
	}
	have := 0
	cursors := 0
	for b, err := range newOpportunityProspects(s).Read(t.Context(), "", martsync.Span{}) {
		if err != nil {
			t.Fatal(err)
		}
		if b.Records != nil {
			have += b.Records.Len
		}
		if !b.Unverified {
			continue
		}
		cursors++
		rest, err := readAll(t, newOpportunityProspects(d.open(t)), b.Cursor)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(whole.rows[have:], rest.rows); diff != "" {
			t.Errorf("from %s (-want +got):\n%s", b.Cursor, diff)
		}
		if diff := cmp.Diff(whole.windows, rest.windows); diff != "" {
			t.Errorf("from %s, windows (-uninterrupted +resumed):\n%s", b.Cursor, diff)
		}
	}
	if have != len(whole.rows) || cursors == 0 {
		t.Errorf("%d rows and %d cursors to go on from, want %d rows and some", have, cursors, len(whole.rows))
	}
}

func TestX15OpportunitiesThatTakeTooLong(t *testing.T) {
	d := dealDesk(t, 120, func(q url.Values) answer {
		if n, _ := strconv.Atoi(q.Get("limit")); n > 30 {
			return fail4(202, "You have exceeded your minute rate limit")
		}
		return answer{}
	})
	got, err := readAll(t, newOpportunityProspects(d.open(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantPairs(120), got.rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	always := dealDesk(t, 120, func(url.Values) answer { return fail4(202, "You have exceeded your minute rate limit") })
	if _, err := readAll(t, newOpportunityProspects(always.open(t)), ""); martsync.KindOf(err) != martsync.Transient {
		t.Errorf("%v (%v), want a transient error once the smallest page takes too long", err, martsync.KindOf(err))
	}
}

func TestOpportunityWithoutAnIDIsQuarantined(t *testing.T) {
	d := newDesk(t, func(string, url.Values) answer {
		return ok4(`"result":{"total_results":2,"opportunity":[{"id":61,"prospects":{"prospect":{"email":"nobody"}}},{"id":62,"prospects":{"prospect":{"id":5}}}]}`)
	})
	got, err := readAll(t, newOpportunityProspects(d.open(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"62", "5"}}, got.rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.complete != 0 || len(got.notes) != 1 || !strings.Contains(got.notes[0], "are not marked") {
		t.Errorf("%d complete scopes and notes %q, want no pair to be taken for gone, and a note", got.complete, got.notes)
	}
	q := got.batches[len(got.batches)-1].Quarantined
	if len(q) != 1 || !strings.Contains(q[0].Raw, "nobody") || got.windows[0].Quarantined != 1 || got.windows[0].Parsed != 2 {
		t.Errorf("quarantine %+v and window %+v, want the first row in it", q, got.windows[0])
	}
}

func TestOpportunityCursorOfSomebodyElse(t *testing.T) {
	s := dealDesk(t, 1, nil).open(t)
	for _, c := range []martsync.Cursor{"x", `{"after":-1}`, `{"rows":1,"bad":2}`} {
		if _, err := readAll(t, newOpportunityProspects(s), c); err == nil || martsync.HintOf(err) == "" {
			t.Errorf("cursor %s: %v, want an error with a hint", c, err)
		}
	}
}

func TestOpportunityPagesThatAreCutShort(t *testing.T) {
	// The vendor sends fewer than it is asked for, and counts those that are left.
	d := dealDesk(t, 260, func(q url.Values) answer { q.Set("limit", "50"); return answer{} })
	got, err := readAll(t, newOpportunityProspects(d.open(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantPairs(260), got.rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOpportunitiesInAnotherOrderAreRefused(t *testing.T) {
	d := newDesk(t, func(string, url.Values) answer {
		return ok4(`"result":{"total_results":500,"opportunity":[{"id":62,"prospects":{"prospect":{"id":5}}},{"id":61,"prospects":{"prospect":{"id":6}}}]}`)
	})
	got, err := readAll(t, newOpportunityProspects(d.open(t)), "")
	if martsync.KindOf(err) != martsync.Data || got.complete != 0 {
		t.Errorf("%v (%v) and %d complete scopes, want an error: the next page would leave out records", err, martsync.KindOf(err), got.complete)
	}
}
