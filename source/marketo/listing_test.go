package marketo

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/source/sourcetest"
)

// wholeStreams are the streams of listings and tokens; those of usage are never twice the same.
var wholeStreams = []string{
	"email_templates", "forms", "landing_pages", "snippets", "files", "folders", "channels", "tags", "segmentations", "segments",
	"lead_fields", "activity_types", "tokens", "smart_lists",
}

var usageStreams = []string{"api_usage", "api_errors"}

func (s *source) listing(t testing.TB, name string) martsync.Stream {
	t.Helper()
	for i := range listings {
		if listings[i].stream == name {
			return newListingStream(s, &listings[i])
		}
	}
	if name == "tokens" {
		return newTokenStream(s)
	}
	return s.stream(t, name)
}

// E22 and E23 against the simulator: whatever changes, a read of a listing is the truth.
func TestSimulatorListingsFollowEveryChange(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		t.Run(fmt.Sprintf("quiet tokens %v", quiet), func(t *testing.T) {
			l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 600}, QuietTokens: quiet})
			tables := map[string]*table{}
			for round := range 7 {
				s := l.open(t, func(c *Config) { c.Assets.FullListingEvery = setting.Duration(time.Hour) })
				for _, name := range slices.Concat(wholeStreams, usageStreams, []string{"programs"}) {
					st := s.listing(t, name)
					if tables[name] == nil {
						tables[name] = newTable(st.Schema().Key...)
					}
					mustRead(t, tables[name], st)
					if diffs := l.truthOf(tables[name], st.Schema()); len(diffs) > 0 {
						t.Errorf("round %d, %s:\n%s", round, name, strings.Join(diffs, "\n"))
					}
				}
				l.clock.Advance(time.Hour)
				if said := l.Change(400); len(said) == 0 {
					t.Fatal("nothing has changed")
				}
				if round == 3 {
					if err := l.RemoveField("Health_Score__c"); err != nil {
						t.Fatal(err)
					}
				}
				// Whether or not a token's change shows on its folder, the next day tells.
				l.clock.Advance(25 * time.Hour)
			}
			for name, tb := range tables {
				if len(tb.live()) == 0 && name != "api_errors" {
					t.Errorf("%s: the simulator has none, so this proves nothing", name)
				}
				if len(tb.bad) > 0 {
					t.Errorf("%s: in quarantine: %+v", name, tb.bad[0])
				}
			}
			if st := l.Stats(); len(st.Refused) > 0 {
				t.Errorf("the vendor refused calls: %v", st.Refused)
			}
		})
	}
}

// truthOf compares a table whose key is made of columns with the truth, which knows them by the vendor's names.
func (l *lab) truthOf(tb *table, schema martsync.Schema) []string {
	named := *tb
	named.key = originsOf(schema)
	return l.differences(&named, schema.Stream)
}

// Between passes the tokens of folders that were updated are read, and of no others.
func TestSimulatorTokensOfUpdatedFolders(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 1500}})
	st := l.open(t).listing(t, "tokens")
	tb := newTable(st.Schema().Key...)
	asked := func() int { return l.Stats().ByPath["GET /rest/asset/v1/folder/{id}/tokens.json"] }
	mustRead(t, tb, st)
	first := asked()
	if first < 75 {
		t.Fatalf("%d places were asked at first, want each", first)
	}
	for range 5 {
		l.clock.Advance(time.Hour)
		before := asked()
		l.Change(400)
		l.clock.Advance(time.Minute)
		mustRead(t, tb, st)
		if n := asked() - before; n == 0 || n > 20 {
			t.Errorf("%d of %d places were asked after a change", n, first)
		}
		diffs := slices.DeleteFunc(l.truthOf(tb, st.Schema()), func(d string) bool {
			return strings.HasSuffix(d, "still there") || strings.HasSuffix(d, "should not be there")
		})
		if len(diffs) > 0 {
			t.Errorf("%s", strings.Join(diffs, "\n"))
		}
	}
}

func TestSimulatorListingsWithoutNewsWriteNothing(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 4000}}) // files take two pages
	s := l.open(t)
	for _, name := range wholeStreams {
		st := s.listing(t, name)
		tb := newTable(st.Schema().Key...)
		mustRead(t, tb, st)
		l.clock.Advance(26 * time.Hour)
		before := l.Stats().ByPath["GET /rest/asset/v1/files.json"]
		for b, err := range st.Read(t.Context(), tb.cur, martsync.Span{}) {
			if err != nil {
				t.Fatal(err)
			}
			if b.Records != nil || b.Complete != nil || b.Window != nil && name != "smart_lists" {
				t.Errorf("%s: a read without news yields %+v", name, b)
			}
		}
		if n := l.Stats().ByPath["GET /rest/asset/v1/files.json"] - before; name == "files" && n != 3 {
			t.Errorf("files took %d calls, want one walk of 2 pages and its end", n)
		}
	}
}

func TestListingsReadWithinEvery(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 200}})
	s := l.open(t, func(c *Config) { c.Assets.Every = setting.Duration(6 * time.Hour) })
	for name, cheap := range map[string]bool{"forms": false, "tags": false, "lead_fields": true} {
		st := s.listing(t, name)
		tb := newTable(st.Schema().Key...)
		mustRead(t, tb, st)
		for _, c := range []struct {
			later time.Duration
			want  bool
		}{{time.Hour, false}, {4 * time.Hour, false}, {2 * time.Hour, true}} {
			l.clock.Advance(c.later)
			before := l.Stats().Calls
			mustRead(t, tb, st)
			if got := l.Stats().Calls > before; got != (c.want || cheap) {
				t.Errorf("%s another %s later: read %v, want %v", name, c.later, got, c.want || cheap)
			}
		}
	}
}

func TestSimulatorListingFaultsCostOnlyTime(t *testing.T) {
	for _, fault := range []string{"code:code=606,every=7", "code:code=611,every=6", "status:code=502,every=4", "empty:every=6", "broken:every=5", "cut:every=6", "expire:every=11"} {
		t.Run(fault, func(t *testing.T) {
			l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 200}})
			if err := l.AddFault(fault); err != nil {
				t.Fatal(err)
			}
			s := l.open(t)
			for _, name := range slices.Concat(wholeStreams, usageStreams) {
				st := s.listing(t, name)
				tb := newTable(st.Schema().Key...)
				mustRead(t, tb, st)
				if diffs := l.truthOf(tb, st.Schema()); len(diffs) > 0 {
					t.Errorf("%s:\n%s", name, strings.Join(diffs, "\n"))
				}
			}
			if len(l.Stats().Faults) == 0 {
				t.Error("the fault never happened")
			}
		})
	}
}

// What the account does not have is a reason to skip the stream, and no other.
func TestE28_ListingsThatTheAccountLacks(t *testing.T) {
	users := marketosim.DefaultUsers()
	users[0].Denied = []string{"Read-Only Assets", "Read-Only Lead", "Read-Only Activity"}
	denied := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}, Users: users})
	for _, name := range wholeStreams {
		err := newTable("x").read(t, denied.open(t).listing(t, name), martsync.Span{}, nil)
		if martsync.KindOf(err) != martsync.Unavailable || martsync.HintOf(err) == "" {
			t.Errorf("%s without its permission: %v, want Unavailable with a hint", name, err)
		}
	}
	for _, name := range usageStreams {
		st := denied.open(t).listing(t, name)
		mustRead(t, newTable(st.Schema().Key...), st) // needs none
	}
	for _, code := range []string{"703", "610", "616", "1018"} {
		l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}})
		if err := l.AddFault("code:code=" + code + ",path=/rest/asset/v1/segmentation,every=1"); err != nil {
			t.Fatal(err)
		}
		s := l.open(t)
		for _, name := range []string{"segmentations", "segments"} {
			if err := newTable("id").read(t, s.listing(t, name), martsync.Span{}, nil); martsync.KindOf(err) != martsync.Unavailable {
				t.Errorf("%s with code %s: %v, want Unavailable", name, code, err)
			}
		}
		mustRead(t, newTable("id"), s.listing(t, "forms"))
	}
	// An older endpoint that is gone is no reason.
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}})
	if err := l.AddFault("code:code=610,path=/rest/v1/leads/describe.json,every=1"); err != nil {
		t.Fatal(err)
	}
	st := l.open(t).listing(t, "lead_fields")
	tb := newTable("name")
	mustRead(t, tb, st)
	if v := tb.vals["email"]; v == nil || v["rest_name"] != "email" || v["rest_read_only"] != false || v["id"] != nil || v["displayName"] != "Email Address" {
		t.Errorf("email by the newer endpoint: %v", v)
	}
	if tb.vals["id"]["rest_read_only"] != true {
		t.Errorf("id by the newer endpoint: %v", tb.vals["id"])
	}
}

func TestSimulatorCheckOfListings(t *testing.T) {
	subjects := func(l *lab) map[string]martsync.Finding {
		found := map[string]martsync.Finding{}
		for _, f := range l.open(t).Check(t.Context()) {
			found[f.Subject] = f
		}
		return found
	}
	healthy := subjects(newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}}))
	users := marketosim.DefaultUsers()
	users[0].Denied = []string{"Read-Only Assets"}
	poor := subjects(newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}, Users: users}))
	for _, name := range slices.Concat(wholeStreams, usageStreams) {
		if f := healthy["stream "+name]; !f.OK {
			t.Errorf("%s: %+v, want it readable", name, f)
		}
		asset := name != "lead_fields" && name != "activity_types" && !strings.HasPrefix(name, "api_")
		if f := poor["stream "+name]; f.OK == asset || asset && !strings.Contains(f.Hint, "Read-Only Assets") {
			t.Errorf("%s without Read-Only Assets: %+v", name, f)
		}
	}
}

func TestSimulatorLookupOfListings(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 200}})
	s := l.open(t)
	for _, name := range []string{"smart_lists", "email_templates", "forms", "landing_pages", "snippets", "files", "programs"} {
		var want map[string]any
		for row := range l.Truth(name) {
			want = row.Values
		}
		schema, seq, err := s.Lookup(t.Context(), name, []string{fmt.Sprint(want["id"]), "999999"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for r, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
			rows += r.Len
			for i, c := range schema.Columns {
				if got := columns.Value(c, &r.Columns[i], 0); !same(want[c.Origin], got) {
					t.Errorf("%s %v: %s is %v, want %v", name, want["id"], c.Name, got, want[c.Origin])
				}
			}
		}
		if rows != 1 {
			t.Errorf("%s: %d rows, want the one that exists", name, rows)
		}
	}
	for _, name := range []string{"tags", "tokens", "folders", "segments", "api_usage"} {
		if _, _, err := s.Lookup(t.Context(), name, []string{"1"}, nil); !errors.Is(err, martsync.ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", name, err)
		}
	}
}

func TestListingLaws(t *testing.T) {
	sourcetest.Run(t, func(t testing.TB) sourcetest.Setup {
		l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 300}})
		return sourcetest.Setup{
			Open:    func(t testing.TB) martsync.Source { return l.open(t) },
			Clock:   l.clock,
			Streams: append(slices.Clone(wholeStreams), "programs"),
			Calls:   func() int64 { return int64(l.Stats().Calls) },
		}
	})
}

func TestReplayOfWholeListings(t *testing.T) {
	sourcetest.RunReplay(t, func(t testing.TB) sourcetest.Setup {
		l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 4000}})
		rounds := 0
		return sourcetest.Setup{
			Open:  func(t testing.TB) martsync.Source { return l.open(t) },
			Clock: l.clock, Streams: append(slices.Clone(wholeStreams), "programs"), MaxCursors: 4,
			Calls: func() int64 { return int64(l.Stats().Calls) },
			Change: func() {
				l.Change(900)
				if rounds++; rounds%2 == 0 { // the next pass over all tokens is due
					l.clock.Advance(25 * time.Hour)
				}
				l.clock.Advance(time.Hour)
			},
		}
	})
}

// Usage changes with each call, so here it stands still.
func TestReplayOfUsage(t *testing.T) {
	sourcetest.Run(t, func(t testing.TB) sourcetest.Setup {
		v := newFakeVendor(t, map[string]script{
			"/rest/v1/leads/describe.json":         replies(result(`{"id":1,"displayName":"Id","dataType":"integer","rest":{"name":"id"}}`)),
			"/rest/v1/activities/types.json":       replies(result(`{"id":1,"name":"Visit Webpage"}`)),
			"/rest/v1/stats/usage/last7days.json":  replies(result(`{"date":"2026-03-08","total":5,"users":[{"userId":"a@x","count":2},{"userId":"b@x","count":3}]},{"date":"2026-03-07","total":0,"users":[]},{"date":"2026-03-06","total":1,"users":[{"userId":"a@x","count":"1"},{"count":1}]}`)),
			"/rest/v1/stats/errors/last7days.json": replies(result(`{"date":"2026-03-08","total":2,"errors":[{"errorCode":"606","count":2}]},{"date":"2026-03-07","total":0}`)),
		})
		return sourcetest.Setup{
			Open:  func(t testing.TB) martsync.Source { return v.source(t) },
			Clock: v.clock, Streams: usageStreams,
		}
	})
}

// A drawer is a listing that pages by offset, in pages of any size.
type drawer struct {
	records []string
	calls   int
	before  func(call int, d *drawer)
	ignores bool // the endpoint takes no notice of paging
}

func (d *drawer) serve(n int, w http.ResponseWriter, r *http.Request) {
	if d.before != nil {
		d.before(d.calls, d)
	}
	d.calls++
	offset, _ := strconv.Atoi(r.Form.Get("offset"))
	size, _ := strconv.Atoi(r.Form.Get("maxReturn"))
	page := d.records[min(offset, len(d.records)):min(offset+size, len(d.records))]
	if d.ignores {
		page = d.records
	}
	if len(page) == 0 {
		replies(`{"success":true,"errors":[],"requestId":null,"warnings":["No assets found for the given search criteria."]}`)(n, w, r)
		return
	}
	replies(`{"success":true,"errors":[],"requestId":null,"warnings":[],"result":[`+strings.Join(page, ",")+`]}`)(n, w, r)
}

func formStream(t testing.TB, d *drawer) (*fakeVendor, martsync.Stream) {
	v := newFakeVendor(t, map[string]script{assetRoot + "forms.json": d.serve})
	return v, v.source(t).listing(t, "forms")
}

func forms(from, to int) (list []string) {
	for ; from <= to; from++ {
		list = append(list, fmt.Sprintf(`{"id":%d,"name":"F %d"}`, from, from))
	}
	return list
}

func TestE22_ListingThatShiftsIsWalkedAgain(t *testing.T) {
	d := &drawer{records: forms(1, 450)}
	_, st := formStream(t, d)
	// A form is deleted between the first and the second page: 201 moves to the first page and is missed.
	d.before = func(call int, d *drawer) {
		if call == 1 {
			d.records = d.records[1:]
		}
	}
	tb := newTable("id")
	mustRead(t, tb, st)
	if n := len(tb.live()); n != 450 { // what the first page told stays until the next read
		t.Errorf("%d forms, want all that were seen", n)
	}
	if !tb.rows["201"] {
		t.Error("the form that moved was missed")
	}
	d.before = nil
	mustRead(t, tb, st)
	if tb.rows["1"] || len(tb.live()) != 449 {
		t.Errorf("form 1 is still there, or others are not: %d", len(tb.live()))
	}
	calls := d.calls
	mustRead(t, tb, st)
	if d.calls-calls != 4 {
		t.Errorf("a listing that is as it was took %d calls, want one walk of 4", d.calls-calls)
	}
}

func TestE22_ListingThatNeverStandsStill(t *testing.T) {
	d := &drawer{records: forms(1, 250)}
	d.before = func(call int, d *drawer) { d.records = append(forms(1000+call, 1000+call), d.records[:249]...) }
	_, st := formStream(t, d)
	tb := newTable("id")
	mustRead(t, tb, st)
	if len(tb.note) != 1 || !strings.Contains(tb.note[0].Message, "kept changing") {
		t.Errorf("notes %+v, want one that says so", tb.note)
	}
}

func TestE23_EveryWayToSayNothing(t *testing.T) {
	for name, reply := range map[string]string{
		"warning":         `{"success":true,"errors":[],"requestId":"a#1","warnings":["No assets found for the given search criteria."]}`,
		"702":             faulty("702", "No data found"),
		"missing result":  `{"requestId":"a#1","success":true}`,
		"null result":     `{"requestId":"a#1","success":true,"result":null}`,
		"an empty result": `{"requestId":"a#1","success":true,"result":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			d := &drawer{records: forms(1, 3)}
			v, st := formStream(t, d)
			tb := newTable("id")
			mustRead(t, tb, st)
			v.paths[assetRoot+"forms.json"] = replies(reply)
			mustRead(t, tb, st)
			if n := len(tb.live()); n != 0 {
				t.Errorf("%d forms are left, want none", n)
			}
		})
	}
}

func TestListingThatDoesNotPage(t *testing.T) {
	d := &drawer{records: forms(1, 3), ignores: true}
	_, st := formStream(t, d)
	tb := newTable("id")
	mustRead(t, tb, st)
	if d.calls != 2 || len(tb.live()) != 3 || tb.wins[0].Parsed != 3 {
		t.Errorf("%d calls, forms %v, windows %+v, want 2 calls and 3 forms", d.calls, tb.live(), tb.wins)
	}
}

// A record that does not fit is kept aside, and what it is must not count as deleted.
func TestListingQuarantine(t *testing.T) {
	d := &drawer{records: []string{`{"id":1}`, `{"id":"x"}`, `{"name":"nobody"}`, `{"id":null}`, `{"id":4,"updatedAt":"soon"}`, `{"id":"5","name":"text"}`, `{"id":1}`}}
	_, st := formStream(t, d)
	tb := newTable("id")
	mustRead(t, tb, st)
	if diff := cmp.Diff([]string{"1", "5"}, tb.live()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var bad []string
	for _, q := range tb.bad {
		bad = append(bad, fmt.Sprintf("%d %s %s", q.Line, q.Column, q.Raw))
	}
	if diff := cmp.Diff([]string{
		`2 id {"id":"x"}`, `3 id {"name":"nobody"}`, `4 id {"id":null}`, `5 updated_at {"id":4,"updatedAt":"soon"}`,
	}, bad); diff != "" {
		t.Errorf("quarantine (-want +got):\n%s", diff)
	}
	if w := tb.wins[0]; w.Parsed != 6 || w.Quarantined != 4 {
		t.Errorf("window %+v, want 6 rows of which 4 are in quarantine", w)
	}
	if len(tb.note) != 1 {
		t.Errorf("notes %+v, want one about deletions", tb.note)
	}
	// It is looked at again each time, until it fits.
	d.records = forms(1, 1)
	mustRead(t, tb, st)
	if diff := cmp.Diff([]string{"1"}, tb.live()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLargeListingIsNotHeld(t *testing.T) {
	var records []string
	for i := range 900 {
		records = append(records, fmt.Sprintf(`{"id":%d,"description":%q}`, i, strings.Repeat("x", 6000)))
	}
	d := &drawer{records: records}
	_, st := formStream(t, d)
	tb := newTable("id")
	mustRead(t, tb, st)
	n := 0
	for b, err := range st.Read(t.Context(), tb.cur, martsync.Span{}) {
		if err != nil {
			t.Fatal(err)
		}
		if b.Records != nil {
			n += b.Records.Len
		}
	}
	if len(tb.live()) != 900 || n != 900 {
		t.Errorf("%d rows, and %d the second time, want 900: more than is held is written again", len(tb.live()), n)
	}
}

func TestTagsAreReadByName(t *testing.T) {
	v := newFakeVendor(t, map[string]script{
		assetRoot + "tagTypes.json": (&drawer{records: []string{
			`{"tagType":"Region","required":true}`, `{"tagType":"A, B","required":false}`, `{"tagType":"Gone","required":false}`, `{"required":true}`,
		}}).serve,
		assetRoot + "tagType/byName.json": func(n int, w http.ResponseWriter, r *http.Request) {
			switch name := r.Form.Get("name"); name {
			case "Region":
				replies(result(`{"tagType":"Region","required":true,"allowableValues":"[EMEA, APJ]"}`))(n, w, r)
			case "Gone":
				replies(faulty("702", "Tag type not found"))(n, w, r)
			default:
				t.Errorf("asked for %q by name", name)
			}
		},
	})
	tb := newTable("tag_type")
	mustRead(t, tb, v.source(t).listing(t, "tags"))
	if diff := cmp.Diff([]string{"A, B", "Region"}, tb.live()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := tb.vals["Region"]["allowableValues"]; got != "[EMEA, APJ]" {
		t.Errorf("values of Region: %v", got)
	}
	if len(tb.bad) != 1 || tb.bad[0].Column != "tagType" {
		t.Errorf("quarantine %+v, want the one without a name", tb.bad)
	}
}

func TestShapes(t *testing.T) {
	for _, c := range []struct {
		name, stream, parent, record string
		want                         []string
		fails                        bool
	}{
		{"itself", "forms", "", `{"id":1}`, []string{`{"id":1}`}, false},
		{"folder", "folders", "", `{"name":"x","folderId":{"id":"390","type":"PROGRAM"},"id":1}`, []string{`{"name":"x","folderId":{"id":"390","type":"PROGRAM"},"id":1,"id":390,"type":"Program"}`}, false},
		{"folder with an id only", "folders", "", `{"id":7}`, []string{`{"id":7,"id":7,"type":"Folder"}`}, false},
		{"no folder", "folders", "", `{"name":"x"}`, nil, true},
		{"segment", "segments", "12", ` { } `, []string{`{"segmentationId":12}`}, false},
		{"field by both names", "lead_fields", "", `{"id":1,"rest":{"name":"a","readOnly":true},"soap":{"name":"A"}}`, []string{`{"id":1,"rest":{"name":"a","readOnly":true},"soap":{"name":"A"},"name":"a","rest_name":"a","rest_read_only":true,"soap_name":"A","soap_read_only":null}`}, false},
		{"field without a REST name", "lead_fields", "", `{"id":1,"displayName":"D","soap":{"name":"S"}}`, []string{`{"id":1,"displayName":"D","soap":{"name":"S"},"name":"S","rest_name":null,"rest_read_only":null,"soap_name":"S","soap_read_only":null}`}, false},
		{"field with a display name only", "lead_fields", "", `{"displayName":"a\"b"}`, []string{`{"displayName":"a\"b","name":"a\"b","rest_name":null,"rest_read_only":null,"soap_name":null,"soap_read_only":null}`}, false},
		{"field without any name", "lead_fields", "", `{"id":1}`, nil, true},
		{"usage", "api_usage", "", `{"date":"2026-03-08","total":3,"users":[{"userId":"a","count":1},{"userId":"b","count":2}]}`, []string{`{"userId":"a","count":1,"date":"2026-03-08","total":3}`, `{"userId":"b","count":2,"date":"2026-03-08","total":3}`}, false},
		{"a day without usage", "api_usage", "", `{"date":"2026-03-08","total":0}`, nil, false},
		{"usage that is no list", "api_usage", "", `{"users":5}`, nil, true},
		{"errors", "api_errors", "", `{"date":"d","total":1,"errors":[{"errorCode":"606","count":1}]}`, []string{`{"errorCode":"606","count":1,"date":"d","total":1}`}, false},
		{"tokens", "tokens", "Program 5", `{"folder":{"type":"Program","value":5},"tokens":[{"name":"a"}]}`, []string{`{"name":"a","parent":"Program 5","folder_type":"Program","folder_id":5}`}, false},
		{"tokens that name no folder", "tokens", "Folder 5", `{"tokens":[{"name":"a"}]}`, []string{`{"name":"a","parent":"Folder 5","folder_type":"Folder","folder_id":5}`}, false},
		{"tokens of another folder", "tokens", "Folder 5", `{"folder":{"type":"Folder","value":6},"tokens":[{"name":"a"}]}`, nil, false},
		{"tokens of the program of that id", "tokens", "Folder 5", `{"folder":{"type":"program","value":5},"tokens":[{"name":"a"}]}`, nil, false},
		{"no tokens", "tokens", "Folder 5", `{"folder":{"type":"Folder","value":5}}`, nil, false},
		{"a token that is none", "tokens", "Folder 5", `{"tokens":[5]}`, nil, true},
		{"a number", "forms", "", `5`, []string{`5`}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, err := shapeOf(c.stream)([]byte(c.record), c.parent)
			if (err != nil) != c.fails {
				t.Fatalf("error %v, want one: %v", err, c.fails)
			}
			if c.fails {
				return
			}
			var got []string
			for _, r := range rows {
				if !json.Valid(r) {
					t.Errorf("row %s is not JSON", r)
				}
				got = append(got, string(r))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
