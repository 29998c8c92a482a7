package marketo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/setting"
)

// shelfKind is the kind of assets on a shelf.
var shelfKind = &assets[3]

// A shelf is a listing of assets that pages by offset as the vendor does.
type shelf struct {
	mu     sync.Mutex
	items  []shelved
	calls  []url.Values
	before func(call int, s *shelf) // changes the listing before a call is answered
}

type shelved struct {
	id      int64
	updated time.Time
	extra   string // further members, with a leading comma
}

func (s *shelf) serve(n int, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		s.before(n, s)
	}
	q := r.URL.Query()
	s.calls = append(s.calls, q)
	from, until := time.Time{}, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	if v := q.Get("earliestUpdatedAt"); v != "" {
		from, _ = time.Parse(time.RFC3339, v)
		until, _ = time.Parse(time.RFC3339, q.Get("latestUpdatedAt"))
		if !from.Before(until) {
			replies(faulty("1003", "earliestUpdatedAt must be before latestUpdatedAt"))(n, w, r)
			return
		}
	}
	var all []string
	for _, i := range s.items {
		if !i.updated.Before(from) && !i.updated.After(until) {
			all = append(all, fmt.Sprintf(`{"id":%d,"name":"P %d","updatedAt":"%s","createdAt":"2026-01-01T00:00:00Z+0000"%s}`,
				i.id, i.id, i.updated.UTC().Format("2006-01-02T15:04:05Z+0000"), i.extra))
		}
	}
	offset, _ := strconv.Atoi(q.Get("offset"))
	size, _ := strconv.Atoi(q.Get("maxReturn"))
	page := all[min(offset, len(all)):min(offset+size, len(all))]
	if len(page) == 0 {
		replies(`{"success":true,"errors":[],"requestId":"b#1","warnings":["No assets found for the given search criteria."]}`)(n, w, r)
		return
	}
	replies(`{"success":true,"errors":[],"requestId":"b#1","warnings":[],"result":[`+strings.Join(page, ",")+`]}`)(n, w, r)
}

func (s *shelf) put(updated time.Time, ids ...int64) {
	for _, id := range ids {
		s.items = slices.DeleteFunc(s.items, func(i shelved) bool { return i.id == id })
		s.items = append(s.items, shelved{id: id, updated: updated})
	}
}

func numbers(from, to int64) (ids []int64) {
	for ; from <= to; from++ {
		ids = append(ids, from)
	}
	return ids
}

// A table is what a destination would hold: whether a row is there and not deleted.
type table struct {
	key  []string
	rows map[string]bool           // key → exists
	vals map[string]map[string]any // key → vendor's names and values
	cur  martsync.Cursor
	wins []martsync.Window
	bad  []martsync.Quarantined
	note []martsync.Note
}

func newTable(key ...string) *table {
	return &table{key: key, rows: map[string]bool{}, vals: map[string]map[string]any{}}
}

// read loads what the stream yields, until stop says so after a batch; then everything
// after the last cursor is lost, as in a crash.
func (tb *table) read(t testing.TB, s martsync.Stream, span martsync.Span, stop func(batch int) bool) error {
	t.Helper()
	schema := s.Schema()
	var unit []string
	batch := 0
	for b, err := range s.Read(t.Context(), tb.cur, span) {
		if err != nil {
			return err
		}
		if r := b.Records; r != nil {
			for row := range r.Len {
				var key []string
				for _, k := range tb.key {
					i := schema.Index(k)
					key = append(key, columns.Format(schema.Columns[i], &r.Columns[i], row))
				}
				k := strings.Join(key, "/")
				unit = append(unit, k)
				before := tb.vals[k]
				tb.vals[k] = map[string]any{}
				for i, c := range schema.Columns {
					name := setting.Or(c.Origin, c.Name)
					if tb.vals[k][name] = columns.Value(c, &r.Columns[i], row); c.Sticky && r.Columns[i].Null(row) {
						tb.vals[k][name] = before[name]
					}
				}
			}
		}
		tb.bad = append(tb.bad, b.Quarantined...)
		tb.note = append(tb.note, b.Notes...)
		if b.Window != nil {
			tb.wins = append(tb.wins, *b.Window)
		}
		if b.Cursor != "" {
			c := b.Complete
			if schema.Snapshot {
				c = &martsync.Scope{}
			}
			if c != nil {
				for k := range tb.rows {
					if c.Column == "" || strings.HasPrefix(k, c.Value+"/") {
						tb.rows[k] = false
					}
				}
			}
			for _, k := range unit {
				tb.rows[k] = true
			}
			unit, tb.cur = nil, b.Cursor
		}
		batch++
		if stop != nil && stop(batch) {
			return nil
		}
	}
	if len(unit) > 0 {
		t.Errorf("%d rows came without a cursor at the end", len(unit))
	}
	return nil
}

func (tb *table) live() []string {
	var keys []string
	for k, exists := range tb.rows {
		if exists {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func (s *shelf) want() []string {
	var keys []string
	for _, i := range s.items {
		keys = append(keys, strconv.FormatInt(i.id, 10))
	}
	slices.Sort(keys)
	return keys
}

func onShelf(t testing.TB, sh *shelf) (*fakeVendor, *assetStream) {
	v := newFakeVendor(t, map[string]script{shelfKind.path: sh.serve})
	return v, newAssetStream(v.source(t), shelfKind)
}

func mustRead(t testing.TB, tb *table, s martsync.Stream) {
	t.Helper()
	if err := tb.read(t, s, martsync.Span{}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestAssetsFirstFullThenUpdates(t *testing.T) {
	sh := &shelf{}
	v, s := onShelf(t, sh)
	tb := newTable("id")
	old := v.clock.Now().Add(-100 * 24 * time.Hour)
	sh.put(old, numbers(1, 450)...)
	mustRead(t, tb, s)
	if diff := cmp.Diff(sh.want(), tb.live()); diff != "" {
		t.Fatalf("after the first read (-want +got):\n%s", diff)
	}
	if n := len(sh.calls); n != 8 { // pages of 200, 200, 50 and the end, twice over
		t.Errorf("the first read took %d calls, want 8", n)
	}
	for i, q := range sh.calls {
		if want := strconv.Itoa(i % 4 * 200); q.Get("offset") != want || q.Get("maxReturn") != "200" || q.Has("earliestUpdatedAt") {
			t.Errorf("call %d asks %v, want offset %s and no time", i, q, want)
		}
	}

	sh.calls = nil
	v.clock.advance(24 * time.Hour)
	sh.put(v.clock.Now().Add(-time.Hour), 7, 500)
	mustRead(t, tb, s)
	if diff := cmp.Diff(sh.want(), tb.live()); diff != "" {
		t.Errorf("after an update (-want +got):\n%s", diff)
	}
	if len(sh.calls) != 2 {
		t.Errorf("an update of two assets took %d calls, want 2", len(sh.calls))
	}
	for _, q := range sh.calls {
		earliest, latest := q.Get("earliestUpdatedAt"), q.Get("latestUpdatedAt")
		if earliest == "" || latest == "" || earliest >= latest || strings.Contains(earliest, ".") {
			t.Errorf("asks for %q to %q, want both, in order, without fractions", earliest, latest)
		}
	}
	if len(tb.wins) != 2 || tb.wins[0].Parsed != 450 || tb.wins[1].Parsed != 2 || tb.wins[1].From.IsZero() || tb.wins[1].Calls != 2 {
		t.Errorf("windows %+v, want one of 450 rows and one of 2", tb.wins)
	}

	sh.calls = nil
	v.clock.advance(time.Hour)
	mustRead(t, tb, s)
	if len(sh.calls) != 1 {
		t.Errorf("a read without news took %d calls, want 1", len(sh.calls))
	}
}

func TestAssetThatShowsUpLateIsRead(t *testing.T) {
	sh := &shelf{}
	v, s := onShelf(t, sh)
	tb := newTable("id")
	mustRead(t, tb, s)
	sh.put(v.clock.Now().Add(-3*time.Minute), 5) // updated before the first read, listed after it
	v.clock.advance(time.Hour)
	mustRead(t, tb, s)
	if diff := cmp.Diff(sh.want(), tb.live()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVanishedAssetsAreNoticedByAFullListing(t *testing.T) {
	sh := &shelf{}
	v, s := onShelf(t, sh)
	tb := newTable("id")
	sh.put(v.clock.Now().Add(-time.Hour), numbers(1, 5)...)
	mustRead(t, tb, s)
	sh.items = sh.items[2:]
	v.clock.advance(6 * 24 * time.Hour)
	mustRead(t, tb, s)
	if len(tb.live()) != 5 {
		t.Errorf("an incremental read changed what exists: %v", tb.live())
	}
	v.clock.advance(2 * 24 * time.Hour)
	mustRead(t, tb, s)
	if diff := cmp.Diff(sh.want(), tb.live()); diff != "" {
		t.Errorf("after a week (-want +got):\n%s", diff)
	}
	sh.items = nil
	v.clock.advance(8 * 24 * time.Hour)
	mustRead(t, tb, s)
	if len(tb.live()) != 0 {
		t.Errorf("after all are gone: %v", tb.live())
	}
}

func TestE22_ListingThatMovesWhileItIsRead(t *testing.T) {
	for _, full := range []bool{true, false} {
		t.Run(fmt.Sprintf("full=%v", full), func(t *testing.T) {
			sh := &shelf{}
			v, s := onShelf(t, sh)
			tb := newTable("id")
			if !full {
				mustRead(t, tb, s)
				v.clock.advance(24 * time.Hour)
			}
			sh.put(v.clock.Now().Add(-time.Hour), numbers(1, 650)...)
			first := v.count(shelfKind.path)
			sh.before = func(n int, s *shelf) {
				switch n - first {
				case 1: // two of the first page vanish, so two of the second are passed over
					s.items = s.items[2:]
				case 3: // one appears in front, so one comes twice
					s.items = slices.Insert(s.items, 0, shelved{id: 9000, updated: s.items[0].updated})
				}
			}
			mustRead(t, tb, s)
			sh.before = nil
			want := append(sh.want(), "1", "2") // they were there when they were read
			slices.Sort(want)
			if diff := cmp.Diff(want, tb.live()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if w := tb.wins[len(tb.wins)-1]; w.Parsed != 651 {
				t.Errorf("%d rows went on, want 651, each once", w.Parsed)
			}
			v.clock.advance(8 * 24 * time.Hour)
			mustRead(t, tb, s)
			if diff := cmp.Diff(sh.want(), tb.live()); diff != "" {
				t.Errorf("after the next full pass (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListingThatNeverRestsMarksNothingDeleted(t *testing.T) {
	sh := &shelf{}
	v, s := onShelf(t, sh)
	tb := newTable("id")
	sh.put(v.clock.Now(), numbers(1, 300)...)
	next := int64(1000)
	sh.before = func(_ int, s *shelf) { next++; s.put(noon, next) }
	mustRead(t, tb, s)
	if len(tb.note) != 1 || tb.note[0].Operation != "skip" {
		t.Errorf("notes %v, want one that says what was skipped", tb.note)
	}
	sh.before = nil
	sh.items = sh.items[1:]
	v.clock.advance(time.Minute)
	mustRead(t, tb, s) // the full pass is still due
	if diff := cmp.Diff(sh.want(), tb.live()); diff != "" {
		t.Errorf("when it rests (-want +got):\n%s", diff)
	}
}

func TestShortPagesAreNotTheEnd(t *testing.T) {
	sh := &shelf{}
	sh.put(noon, numbers(1, 500)...)
	v := newFakeVendor(t, map[string]script{shelfKind.path: func(n int, w http.ResponseWriter, r *http.Request) {
		// A page from which the vendor has left something out.
		if r.URL.Query().Get("offset") == "0" {
			q := r.URL.Query()
			q.Set("maxReturn", "150")
			r.URL.RawQuery = q.Encode()
		}
		sh.serve(n, w, r)
	}})
	tb := newTable("id")
	mustRead(t, tb, newAssetStream(v.source(t), shelfKind))
	if got := len(tb.live()); got != 450 {
		t.Errorf("%d assets, want the 150 of the first page and 300 of the others", got)
	}
}

func TestAssetsResumeAtEveryCursor(t *testing.T) {
	run := func(t *testing.T, stopAfter int) (*table, *shelf, int) {
		sh := &shelf{}
		v, s := onShelf(t, sh)
		tb := newTable("id")
		sh.put(v.clock.Now().Add(-48*time.Hour), numbers(1, 3)...)
		mustRead(t, tb, s)
		v.clock.advance(24 * time.Hour)
		sh.put(v.clock.Now().Add(-time.Hour), numbers(100, 550)...)
		n := 0
		err := tb.read(t, s, martsync.Span{}, func(batch int) bool { n = batch; return batch == stopAfter })
		if err != nil {
			t.Fatal(err)
		}
		return tb, sh, n
	}
	whole, sh, batches := run(t, 0)
	if diff := cmp.Diff(sh.want(), whole.live()); diff != "" {
		t.Fatalf("in one go (-want +got):\n%s", diff)
	}
	for stop := 1; stop <= batches; stop++ {
		tb, sh, _ := run(t, stop)
		v := newFakeVendor(t, map[string]script{shelfKind.path: sh.serve})
		v.clock.advance(24 * time.Hour)
		mustRead(t, tb, newAssetStream(v.source(t), shelfKind))
		if diff := cmp.Diff(sh.want(), tb.live()); diff != "" {
			t.Errorf("stopped after batch %d (-want +got):\n%s", stop, diff)
		}
		sum := int64(0)
		for _, w := range tb.wins[1:] {
			sum += w.Parsed
		}
		if stop < batches && sum < 451 {
			t.Errorf("stopped after batch %d: windows of %d rows, want all 451", stop, sum)
		}
	}
}

func TestAssetsQuarantine(t *testing.T) {
	sh := &shelf{}
	v, s := onShelf(t, sh)
	tb := newTable("id")
	sh.put(v.clock.Now().Add(-time.Hour), 1, 2, 3)
	mustRead(t, tb, s)
	sh.items[1].extra = `,"createdAt":"perhaps"`
	sh.items = sh.items[1:] // and the first one vanishes
	v.clock.advance(8 * 24 * time.Hour)
	mustRead(t, tb, s)
	if len(tb.bad) != 1 || tb.bad[0].Column != "created_at" || tb.bad[0].Line != 1 || !strings.Contains(tb.bad[0].Raw, "perhaps") || tb.bad[0].Job != "b#1" {
		t.Errorf("quarantined %+v, want the row, its column and its line", tb.bad)
	}
	if len(tb.live()) != 3 {
		t.Errorf("live %v: with a row in quarantine nothing may be taken for deleted", tb.live())
	}
	if w := tb.wins[1]; w.Parsed != 2 || w.Quarantined != 1 {
		t.Errorf("window %+v, want 2 parsed and 1 quarantined", w)
	}
}

func TestE23_AllWaysToSayNothing(t *testing.T) {
	for name, body := range map[string]string{
		"warning":        `{"success":true,"errors":[],"requestId":"b#1","warnings":["No assets found for the given search criteria."]}`,
		"702":            faulty("702", "No data found"),
		"missing result": `{"success":true,"requestId":"b#1"}`,
		"empty result":   result(""),
		"null result":    `{"success":true,"requestId":"b#1","result":null,"errors":null,"warnings":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]script{assets[2].path: replies(body), campaignPath: replies(body), "/rest/v1/lists.json": replies(body)})
			src := v.source(t)
			for _, s := range []martsync.Stream{newAssetStream(src, &assets[2]), newCampaignStream(src), newMemberStream(src)} {
				tb := newTable(s.Schema().Key...)
				for range 2 {
					mustRead(t, tb, s)
					v.clock.advance(time.Hour)
				}
				if len(tb.live()) != 0 || tb.cur == "" {
					t.Errorf("%s: %v at %q, want no rows and a cursor", s.Schema().Stream, tb.live(), tb.cur)
				}
			}
		})
	}
}

func TestE25_DatetimeForms(t *testing.T) {
	const want = "2026-03-02T08:15:04Z"
	for _, form := range []string{"2026-03-02T08:15:04Z", "2026-03-02T08:15:04Z+0000", "2026-03-02T08:15:04+0000", "2026-03-02T00:15:04-08:00", "2026-03-02 08:15:04"} {
		v := newFakeVendor(t, map[string]script{campaignPath: replies(result(fmt.Sprintf(`{"id":1,"name":"c","createdAt":%q}`, form)))})
		s := newCampaignStream(v.source(t))
		i := s.schema.Index("created_at")
		for b, err := range s.Read(t.Context(), "", martsync.Span{}) {
			if err != nil || len(b.Quarantined) > 0 {
				t.Fatalf("%s: %v %v", form, err, b.Quarantined)
			}
			if r := b.Records; r != nil {
				if got := time.UnixMicro(r.Columns[i].Ints[0]).UTC().Format(time.RFC3339); got != want {
					t.Errorf("%s is read as %s, want %s", form, got, want)
				}
			}
		}
	}
}

func TestE28_WhatAnAccountLacksIsUnavailable(t *testing.T) {
	for _, code := range []string{"603", "610", "616", "703", "1018", "1026"} {
		body := replies(faulty(code, "no"))
		v := newFakeVendor(t, map[string]script{shelfKind.path: body, campaignPath: body, "/rest/v1/lists.json": body, "/rest/v1/leads/describe.json": body, "/rest/v1/leads/describe2.json": body})
		src := v.source(t)
		for _, s := range []martsync.Stream{newAssetStream(src, shelfKind), newCampaignStream(src), newMemberStream(src)} {
			err := newTable(s.Schema().Key...).read(t, s, martsync.Span{}, nil)
			if martsync.KindOf(err) != martsync.Unavailable || martsync.HintOf(err) == "" {
				t.Errorf("%s of %s: %v (%v), want unavailable with a hint", code, s.Schema().Stream, err, martsync.KindOf(err))
			}
		}
		if _, err := src.describe(t.Context()); code == "603" && martsync.KindOf(err) != martsync.Auth {
			t.Errorf("603 of leads: %v, want an error of credentials", err)
		}
	}
}

func TestEmptyTimeRangesAreNotAskedFor(t *testing.T) {
	sh := &shelf{}
	v, s := onShelf(t, sh)
	tb := newTable("id")
	mustRead(t, tb, s)
	before := len(sh.calls)
	if err := tb.read(t, s, martsync.Span{End: v.clock.Now().Add(-time.Hour)}, nil); err != nil {
		t.Fatal(err)
	}
	if len(sh.calls) != before {
		t.Errorf("asked for %v", sh.calls[before:])
	}
}

func TestForeignCursorsAreRefused(t *testing.T) {
	src := newFakeVendor(t, nil).source(t)
	for _, s := range []martsync.Stream{newAssetStream(src, shelfKind), newMemberStream(src)} {
		for _, c := range []martsync.Cursor{"{", `"x"`, `[1]`} {
			tb := newTable(s.Schema().Key...)
			tb.cur = c
			if err := tb.read(t, s, martsync.Span{}, nil); err == nil || martsync.HintOf(err) == "" {
				t.Errorf("%s from %q: %v, want an error with a hint", s.Schema().Stream, c, err)
			}
		}
	}
}

func TestSchemas(t *testing.T) {
	src := newFakeVendor(t, nil).source(t)
	var got []string
	for i := range assets {
		s := newAssetStream(src, &assets[i]).Schema()
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
		got = append(got, s.Stream)
	}
	schemas := []martsync.Schema{newCampaignStream(src).schema, newMemberStream(src).schema, newTokenStream(src).schema}
	for i := range listings {
		schemas = append(schemas, newListingStream(src, &listings[i]).schema)
	}
	for _, s := range schemas {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
		got = append(got, s.Stream)
	}
	if want := []string{
		"programs", "smart_campaigns", "emails", "static_lists", "smart_lists", "campaigns", "list_members", "tokens",
		"email_templates", "forms", "landing_pages", "snippets", "files", "folders", "channels", "tags", "segmentations", "segments",
		"lead_fields", "activity_types", "api_usage", "api_errors",
	}; !slices.Equal(got, want) {
		t.Errorf("streams %v, want %v", got, want)
	}
	s := newAssetStream(src, &assets[2]).Schema()
	for name, want := range map[string]martsync.Type{"publish_to_msi": martsync.Bool, "from_email": martsync.JSON, "pre_header": martsync.String, "template": martsync.Int64, "updated_at": martsync.Timestamp} {
		if i := s.Index(name); i < 0 || s.Columns[i].Type != want {
			t.Errorf("emails: column %s is not a %v", name, want)
		}
	}
}

func FuzzAssetCursor(f *testing.F) {
	f.Add(`{"full":1,"since":2,"until":3,"offset":200,"walk":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		var p assetPosition
		if json.Unmarshal([]byte(text), &p) != nil {
			return
		}
		var again assetPosition
		if err := json.Unmarshal([]byte(p.cursor()), &again); err != nil || again != p {
			t.Errorf("%q is read as %+v and then as %+v, %v", text, p, again, err)
		}
	})
}
