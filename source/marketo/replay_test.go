package marketo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/source/sourcetest"
)

// servedFiles knows the export files that an account has given out whole.
type servedFiles struct {
	next http.RoundTripper

	mu   sync.Mutex
	sums map[string]string // by job
}

// newServed looks at everything that comes over the line, before anything can happen to it there.
func newServed(l *line) *servedFiles {
	s := &servedFiles{next: l.next, sums: map[string]string{}}
	l.next = s
	return s
}

func (s *servedFiles) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/file.json") || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	file, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(file))
	sum := sha256.Sum256(file)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sums[path.Base(path.Dir(r.URL.Path))] = hex.EncodeToString(sum[:])
	return resp, nil
}

func (s *servedFiles) sum(body string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	job, _ := strings.CutPrefix(strings.TrimSuffix(body, ".csv"), "job-")
	return s.sums[job]
}

func (a *account) calls() int64 { return int64(a.sim.Stats().Calls) }

// Whatever way the records come, and whatever is wrong with their files, the same records come of what was kept.
func TestReplayOfEveryWay(t *testing.T) {
	dirt := []string{"nul:every=1", "quotes:every=1", "cr:every=1", "utf8:every=1", "columns:every=1", "misfit:every=1", "dup:every=1"}
	for _, c := range []struct {
		name    string
		config  marketosim.Config
		mode    func(*Config)
		streams []string
		quiet   bool // no file is served
	}{
		{name: "files", mode: byBulk, streams: bulkNames},
		{name: "pages", mode: byRest, streams: []string{"activities", "deleted_leads", "lead_merges"}, quiet: true},
		{name: "damaged rows", config: marketosim.Config{Options: simulate.Options{Faults: dirt}}, mode: byBulk, streams: bulkNames},
		{name: "downloads that break off", config: marketosim.Config{Options: simulate.Options{Faults: []string{"cut:path=file.json,every=2"}}}, mode: byBulk, streams: bulkNames},
		{name: "no final newline", config: marketosim.Config{Newline: "\r\n", NoFinal: true, QuoteAlways: true}, mode: byBulk, streams: bulkNames},
		{name: "pages without records", config: marketosim.Config{PageBlock: 5}, mode: byRest, streams: []string{"leads", "lead_merges", "deleted_leads"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sourcetest.RunReplay(t, func(t testing.TB) sourcetest.Setup {
				c.config.Rows, c.config.PerLead = 30, 5
				a := newAccount(t, c.config)
				a.tweak = c.mode
				files := newServed(a.line)
				s := sourcetest.Setup{
					Open:  func(testing.TB) martsync.Source { return onlyBulk{source: a.open(), longest: 15 * 24 * time.Hour} },
					Clock: a.clock, Streams: c.streams, MaxCursors: 4,
					Span:  martsync.Span{End: a.clock.Now().Add(-visibleAfter)},
					Calls: a.calls, Sum: files.sum,
					Change: func() {
						a.sim.Change(40)
						a.clock.Advance(25 * time.Hour)
					},
				}
				if c.quiet {
					s.Sum = nil
				}
				return s
			})
		})
	}
}

// Listings of several pages are walked more than once, in whole and for what was updated; members come again
// and go no further.
func TestReplayOfListings(t *testing.T) {
	sourcetest.RunReplay(t, func(t testing.TB) sourcetest.Setup {
		l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 3000}})
		rounds := 0
		return sourcetest.Setup{
			Open:  func(t testing.TB) martsync.Source { return l.open(t) },
			Clock: l.clock, Streams: restStreams, MaxCursors: 4,
			Calls: func() int64 { return int64(l.Stats().Calls) },
			Change: func() {
				l.Change(1500)
				if rounds++; rounds%2 == 0 { // the next full listing is due
					l.clock.Advance(8 * 24 * time.Hour)
				}
				l.clock.Advance(time.Hour)
			},
		}
	})
}

// A file of several chunks, with a cursor after each, and its rows made anew from its pieces.
func TestReplayOfLargeFiles(t *testing.T) {
	sourcetest.RunReplay(t, func(t testing.TB) sourcetest.Setup {
		a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 1_100}, ActivitySpan: 20 * 24 * time.Hour, LeadSpan: 20 * 24 * time.Hour})
		a.tweak = byBulk
		files := newServed(a.line)
		return sourcetest.Setup{
			Open:    func(testing.TB) martsync.Source { return onlyBulk{source: a.open(), every: 1} },
			Clock:   a.clock,
			Streams: []string{"activities"}, MaxCursors: 3,
			Span:  martsync.Span{Start: a.clock.Now().Add(-25 * 24 * time.Hour), End: a.clock.Now().Add(-visibleAfter)},
			Calls: a.calls, Sum: files.sum,
		}
	})
}

// strange answers with pages that the simulator does not have: records that do not fit, have no id or come
// twice, lists that vanish while they are read, and the vendor's other ways to say "nothing".
func strange(t testing.TB) *fakeVendor {
	t.Helper()
	asset := func(pages ...string) script {
		return func(_ int, w http.ResponseWriter, r *http.Request) {
			n, _ := strconv.Atoi(r.Form.Get("offset"))
			_, _ = io.WriteString(w, pages[min(n/assetPage, len(pages)-1)])
		}
	}
	token := func(pages ...string) script {
		return func(_ int, w http.ResponseWriter, r *http.Request) {
			n, _ := strconv.Atoi(r.Form.Get("nextPageToken"))
			page := pages[min(n, len(pages)-1)]
			if n < len(pages)-1 {
				page = strings.TrimSuffix(page, "}") + fmt.Sprintf(`,"nextPageToken":"%d"}`, n+1)
			}
			_, _ = io.WriteString(w, page)
		}
	}
	log := func(items string) string {
		return strings.TrimSuffix(result(items), "}") + `,"nextPageToken":"end","moreResult":false}`
	}
	event := `{"marketoGUID":"%s","leadId":%s,"activityDate":"%s","activityTypeId":6,"attributes":%s}`
	return newFakeVendor(t, map[string]script{
		"/rest/v1/leads/describe.json":          replies(result(`{"id":1,"displayName":"Id","dataType":"integer","rest":{"name":"id"}}`)),
		"/rest/v1/activities/types.json":        replies(result(`{"id":6,"name":"Send Email","attributes":[]}`)),
		"/rest/v1/activities/pagingtoken.json":  replies(`{"requestId":"t","success":true,"nextPageToken":"begin"}`),
		"/rest/v1/activities/deletedleads.json": replies(log(``)),
		activitiesPath: replies(log(strings.Join([]string{
			fmt.Sprintf(event, "a", "1", "2026-03-08T10:00:00Z", `[{"name":"Campaign","value":"x"}]`),
			fmt.Sprintf(event, "b", `"one"`, "2026-03-08T10:00:01Z", `[]`),    // no number
			fmt.Sprintf(event, "c", "1", "2026-03-08T10:00:02Z", `"rubbish"`), // no attributes
			fmt.Sprintf(event, "d", "1", "2019-03-08T10:00:02Z", `[]`),        // before the window
			fmt.Sprintf(event, "e", "1", "yesterday", `[]`),
			`17`,
		}, ","))),
		assetRoot + "programs.json": asset(
			result(`{"id":1,"name":"a"},{"id":2,"startDate":"soon"},{"name":"no id"},{"id":1,"name":"a"},{"id":3,"name":"c"}`),
			result(`{"id":3,"name":"c"},{"id":3,"name":"c, changed"},{"id":4,"headStart":"perhaps"},[]`),
			`{"requestId":"x","success":true,"errors":[],"warnings":["No assets found for the given search criteria."]}`),
		assetRoot + "smartCampaigns.json": asset(result(`{"id":5,"name":"one"}`), faulty("702", "No data found for given search scenario")),
		campaignPath:                      token(result(`{"id":1,"name":"x"},{"id":"two"},{"id":1,"name":"x"}`), result(``), result(`{"id":1,"name":"x"},{"id":3,"active":7}`)),
		listsPath:                         token(result(`{"id":7,"name":"Seven"},{"id":8,"name":"Eight"}`), result(`{"id":9,"name":"Nine"},{"id":10,"name":"Ten"}`)),
		"/rest/v1/lists/7/leads.json":     token(result(`{"id":30},{"id":"20"},{"name":"nobody"}`), result(``), result(`{"id":10},{"id":30}`)),
		"/rest/v1/lists/8/leads.json":     token(result(`{"id":3},{"id":2}`), faulty("1013", "Object not found")),
		"/rest/v1/lists/9/leads.json":     replies(faulty("702", "No data found")),
		"/rest/v1/lists/10/leads.json":    token(result(`{"id":2}`), result(`{"id":1}`)),
	})
}

func TestReplayOfStrangePages(t *testing.T) {
	sourcetest.RunReplay(t, func(t testing.TB) sourcetest.Setup {
		v := strange(t)
		return sourcetest.Setup{
			Open: func(t testing.TB) martsync.Source { return v.source(t, byRest) }, Clock: v.clock,
			Streams: []string{"activities", "programs", "smart_campaigns", "campaigns", "list_members"},
			Span:    martsync.Span{Start: v.clock.Now().Add(-24 * time.Hour)},
			Calls: func() int64 {
				v.mu.Lock()
				defer v.mu.Unlock()
				return int64(len(v.seen))
			},
			Change: func() { v.clock.advance(9 * 24 * time.Hour) }, // full listings, and members as before
		}
	})
}

// What is kept of an account that answers strangely, in words.
func TestKeptPages(t *testing.T) {
	v := strange(t)
	s := v.source(t, byRest)
	s.KeepRaw()
	streams, err := s.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"activities": {
			`rest/v1/activities.json {"kind":"feed","part":"activities","from":1772884800,"to":1772970900}`,
		},
		"programs": {
			`rest/asset/v1/programs.json {"kind":"listing","passed":[[3,3]]}`,
			`rest/asset/v1/programs.json {"kind":"listing","line":200,"passed":[[0,0]]}`,
			`rest/asset/v1/programs.json {"kind":"listing","line":400}`,
			`rest/asset/v1/programs.json {"kind":"listing","passed":[[0,1],[3,3]]}`,
		},
		"smart_campaigns": { // the page that is an error is no page
			`rest/asset/v1/smartCampaigns.json {"kind":"listing"}`,
		},
		"campaigns": {
			`rest/v1/campaigns.json {"kind":"listing","passed":[[2,2]]}`,
			`rest/v1/campaigns.json {"kind":"listing","line":3}`,
			`rest/v1/campaigns.json {"kind":"listing","line":3,"passed":[[0,0]]}`,
		},
		"list_members": {
			`rest/v1/lists.json {"kind":"lists"}`,
			`rest/v1/lists.json {"kind":"lists"}`,
			`rest/v1/lists/7/leads.json {"kind":"members","list":7}`,
			`rest/v1/lists/7/leads.json {"kind":"members","list":7}`,
			`rest/v1/lists/7/leads.json {"kind":"members","list":7,"end":"rows"}`,
			`rest/v1/lists/8/leads.json {"kind":"members","list":8,"end":"rows"}`,
			`rest/v1/lists/10/leads.json {"kind":"members","list":10}`,
			`rest/v1/lists/10/leads.json {"kind":"members","list":10,"end":"rows"}`,
		},
	}
	for _, st := range streams {
		name := st.Schema().Stream
		expected, ours := want[name]
		if !ours {
			continue
		}
		var got []string
		for b, err := range st.Read(t.Context(), "", martsync.Span{Start: v.clock.Now().Add(-24 * time.Hour)}) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, r := range b.Raw {
				if r.Offset != 0 || !strings.HasPrefix(string(r.Data), `{"requestId"`) {
					t.Errorf("%s: %s at %d is %q, want a page", name, r.Body, r.Offset, r.Data)
				}
				got = append(got, r.Body+" "+r.How)
			}
		}
		if diff := cmp.Diff(expected, got[:min(len(got), len(expected))]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if strings.Contains(v.log.String(), "hush") {
		t.Error("the secret is shown")
	}
}

// What cannot have been kept by this program is refused, and says which body it is.
func TestReplayRefusesOthersBodies(t *testing.T) {
	v := newFakeVendor(t, nil)
	leads := martsync.Schema{
		Stream: "leads", Key: []string{"id"}, Version: "updated_at", Deletes: true,
		Columns: columnsOf([]field{{Name: "id", DataType: "integer"}, {Name: "updatedAt", DataType: "datetime"}}),
	}
	page := result(`{"id":1}`)
	for _, c := range []struct {
		name   string
		stream string
		body   martsync.RawBody
		data   string
		want   string
	}{
		{"no how", "leads", martsync.RawBody{}, page, "how to read it"},
		{"a new kind", "leads", martsync.RawBody{How: `{"kind":"postcard"}`}, page, `unknown kind "postcard"`},
		{"a new part", "leads", martsync.RawBody{How: `{"kind":"feed","part":"moved"}`}, page, `part "moved"`},
		{"a file of a feed", "leads", martsync.RawBody{How: `{"kind":"export","part":"deleted"}`}, page, `part "deleted"`},
		{"the end of a file", "leads", martsync.RawBody{How: `{"kind":"export","part":"leads"}`, Offset: 7}, page, "begins at byte 7"},
		{"a new stream", "weather", martsync.RawBody{How: `{"kind":"feed","part":"weather"}`}, page, `part "weather"`},
		{"half a page", "programs", martsync.RawBody{How: `{"kind":"listing"}`}, page[:20], "not a JSON envelope"},
		{"an error", "programs", martsync.RawBody{How: `{"kind":"listing"}`}, faulty("601", "Access token invalid"), "601"},
		{"no CSV", "leads", martsync.RawBody{How: `{"kind":"export","part":"leads"}`}, "id,id\n1,2\n", "occurs twice"},
		{"members of more columns", "list_members", martsync.RawBody{How: `{"kind":"members","list":1}`}, page, "has 2 columns"},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema := leads
			if schema.Stream = c.stream; c.stream == "list_members" {
				schema.Columns = append(slices.Clone(schema.Columns), martsync.Column{Name: "more", Type: martsync.String})
				c.want = "has 3 columns"
			}
			c.body.Name, c.body.Data = "some/body", strings.NewReader(c.data)
			var last error
			for b, err := range v.source(t).Replay(t.Context(), schema, one(c.body)) {
				if last = err; err == nil {
					t.Errorf("a batch of %+v", b)
				}
			}
			if last == nil || !strings.Contains(last.Error(), c.want) || !strings.Contains(last.Error(), "some/body") || martsync.KindOf(last) != martsync.Data {
				t.Errorf("got %v of kind %v, want an error of kind data about %q", last, martsync.KindOf(last), c.want)
			}
		})
	}
	if len(v.seen) > 0 {
		t.Errorf("replaying made %d calls", len(v.seen))
	}
}

func one(b martsync.RawBody) iter.Seq2[martsync.RawBody, error] {
	return func(yield func(martsync.RawBody, error) bool) { yield(b, nil) }
}

// The schema counts that was recorded, not today's: columns that it lacks are left out, those that are no
// more are null.
func TestReplayIntoOlderSchema(t *testing.T) {
	v := newFakeVendor(t, nil)
	log := `{"requestId":"r","success":true,"result":[{"marketoGUID":"g","id":5,"leadId":1,"activityDate":"2026-03-08T10:00:00Z","activityTypeId":32,` +
		`"attributes":[{"name":"Merge Ids","value":[8,9]},{"name":"Merge Source","value":"SFDC"}]}]}`
	file := "marketoGUID,leadId,activityDate,attributes\ng,1,2026-03-08T10:00:00Z,\"{\"\"Merge Ids\"\":\"\"8\"\"}\"\n"
	text := func(names ...string) (cols []martsync.Column) {
		for _, n := range names {
			cols = append(cols, martsync.Column{Name: n, Type: martsync.String})
		}
		return cols
	}
	for _, c := range []struct {
		stream  string
		columns []martsync.Column
		how     how
		data    string
		want    []string
	}{
		{"activities", text("attributes", "gone", "marketo_guid"), how{Kind: feedPage, Part: "activities", To: 1 << 31}, log, []string{`{"Merge Ids":[8,9],"Merge Source":"SFDC"}||g`}},
		{"deleted_leads", text("lead_id", "id"), how{Kind: feedPage, Part: "deleted_leads", To: 1 << 31}, log, []string{"1|5"}},
		{"lead_merges", text("winner_id", "gone", "loser_id"), how{Kind: feedPage, Part: "lead_merges", To: 1 << 31}, log, []string{"1||8", "1||9"}},
		{"lead_merges", text("winner_id", "gone", "loser_id"), how{Kind: exportFile, Part: "lead_merges", Job: "j"}, file, []string{"1||8"}},
		{"campaigns", []martsync.Column{{Name: "id", Type: martsync.Int64, Origin: "id"}, {Name: "gone", Type: martsync.String, Origin: "gone"}}, how{Kind: listingPage}, result(`{"id":3,"name":"new"}`), []string{"3|"}},
	} {
		t.Run(c.stream, func(t *testing.T) {
			schema := martsync.Schema{Stream: c.stream, Columns: c.columns}
			var got []string
			for b, err := range v.source(t).Replay(t.Context(), schema, one(martsync.RawBody{Name: "b", How: c.how.text(), Data: strings.NewReader(c.data)})) {
				if err != nil {
					t.Fatal(err)
				}
				if len(b.Quarantined) > 0 {
					t.Errorf("in quarantine: %+v", b.Quarantined)
				}
				for _, cells := range rows.Of(c.columns, b.Records) {
					texts := make([]string, len(cells))
					for i, cell := range cells {
						if cell != nil {
							texts[i] = rows.Text(cell)
						}
					}
					got = append(got, strings.Join(texts, "|"))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Bytes of a file that turn out wrong are taken back with the rows: as the last word of a unit they would
// be replayed.
func TestBytesOfBadFilesAreTakenBack(t *testing.T) {
	for _, n := range []int{0, 40} {
		a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: max(n, 1)}, LeadSpan: time.Hour})
		bad := 0
		a.line.bend = func(r *http.Response) error {
			if bad == 0 && strings.HasSuffix(r.Request.URL.Path, "/file.json") {
				bad++
				text, err := io.ReadAll(r.Body)
				if err != nil {
					return err
				}
				if n == 0 { // the header, and lines that are no records
					text = append(text[:bytes.IndexByte(text, '\n')], bytes.Repeat([]byte("\n"), len(text)-bytes.IndexByte(text, '\n'))...)
				} else {
					text[len(text)-2] ^= 1
				}
				r.Body = io.NopCloser(bytes.NewReader(text))
			}
			return nil
		}
		s := a.open()
		s.KeepRaw()
		st, err := a.stream(s, "leads")
		if err != nil {
			t.Fatal(err)
		}
		var trace []string
		from := martsync.Cursor("")
		for range 20 {
			again := false
			for b, err := range st.Read(t.Context(), from, martsync.Span{Start: a.clock.Now().Add(-24 * time.Hour)}) {
				if err != nil {
					if !martsync.KindOf(err).Waits() {
						t.Fatal(err)
					}
					a.clock.Advance(max(martsync.AfterOf(err), time.Second))
					again = true
					break
				}
				if b.Cursor != "" {
					from = b.Cursor
				}
				for _, r := range b.Raw {
					if strings.HasSuffix(r.Body, ".csv") {
						trace = append(trace, fmt.Sprintf("piece at %d", min(r.Offset, 1)))
					}
				}
				switch {
				case b.Discard:
					trace = append(trace, "discard")
				case b.Window != nil && b.Window.Job != "":
					trace = append(trace, "window")
				case b.Cursor != "" && len(trace) > 0 && strings.HasPrefix(trace[len(trace)-1], "piece"):
					trace = append(trace, "remember")
				}
			}
			if !again {
				break
			}
		}
		got := strings.Join(slices.Compact(trace), ", ")
		if want := "piece at 0, discard, piece at 0, window"; bad != 1 || got != want {
			t.Errorf("%d rows: got %s, want %s", n, got, want)
		}
	}
}

// Pages without a row are not gathered for ever: the log of a busy account may have thousands of them
// before the first activity of a rare type.
func TestPagesWithoutRowsAreYielded(t *testing.T) {
	const pages = 12
	size := 300 << 10
	v := newFakeVendor(t, map[string]script{
		"/rest/v1/activities/pagingtoken.json": replies(`{"requestId":"t","success":true,"nextPageToken":"0"}`),
		"/rest/v1/activities/deletedleads.json": func(n int, w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"requestId":"%d","success":true,"result":[{"activityDate":"2001-01-01T00:00:00Z","attributes":%q}],"nextPageToken":"%d","moreResult":%t}`,
				n, strings.Repeat("x", size), n+1, n+1 < pages)
		},
	})
	s := v.source(t)
	s.KeepRaw()
	st := newDeletedLeads(s, newDispatcher())
	seen, batches := 0, 0
	for b, err := range st.Read(t.Context(), "", martsync.Span{Start: v.clock.Now().Add(-24 * time.Hour)}) {
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, r := range b.Raw {
			bytes += len(r.Data)
			seen++
		}
		if bytes > rawMost+2*size {
			t.Errorf("a batch with %d bytes of pages, want little more than %d", bytes, rawMost)
		}
		if len(b.Raw) > 0 {
			batches++
		}
		if b.Records != nil || len(b.Raw) > 0 && b.Cursor == "" {
			t.Errorf("batch %+v: want no records, and a cursor with the pages", b.Cursor)
		}
	}
	if seen != pages || batches != 3 {
		t.Errorf("%d pages in %d batches, want %d in 3", seen, batches, pages)
	}
}

// A job of which the vendor tells neither count nor size, and whose file is gone for the second time, had
// nothing to export; but not if half of the file has come.
func TestHalfAFileIsNotAnEmptyOne(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 30}, LeadSpan: time.Hour})
	files := 0
	a.line.bend = func(r *http.Response) error {
		var change func([]byte) []byte
		switch {
		case strings.HasSuffix(r.Request.URL.Path, "/status.json"):
			change = func(text []byte) []byte {
				for _, name := range []string{"numberOfRecords", "fileSize"} {
					text = bytes.ReplaceAll(text, []byte(name), []byte("un"+name))
				}
				return text
			}
		case strings.HasSuffix(r.Request.URL.Path, "/file.json"):
			switch files++; files {
			case 1, 3:
				r.StatusCode = http.StatusNotFound
				change = func([]byte) []byte { return nil }
			case 2:
				text, err := io.ReadAll(r.Body)
				r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(text[:len(text)/2]), iotest.ErrReader(io.ErrUnexpectedEOF)))
				return err
			}
		}
		if change == nil {
			return nil
		}
		text, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(change(text)))
		return err
	}
	m := a.mart("leads")
	a.sync(m)
	a.check(m)
	if m.discards == 0 || files < 4 {
		t.Errorf("%d files were read and %d times rows were taken back, want a third file after half of one", files, m.discards)
	}
}
