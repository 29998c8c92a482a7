package pardot

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot/pardotsim"
)

// recorded is what a vendor sent for one row each way, and how it was told to be read, as an earlier
// version kept it. None of it may ever be changed: people have such bodies.
var recorded = []struct {
	name   string
	stream string
	bodies []keptBody
	rows   []string
	bad    string // reason of a row in quarantine
}{
	{
		"a page of version 5", "kites",
		[]keptBody{{"api/v5/objects/kites/after-0.json", `{"kind":"page","api":"v5","columns":{"wind":""},"job":"/kites","line":7,"need":["name"],"types":["form-handler"]}`, []byte(
			`{"values":[{"id":1,"name":"red","sentAt":"2026-03-01T10:00:00-05:00","wind":3,"type":"Form Handler"},{"id":2,"name":null,"type":"Form Handler"},{"id":3,"name":"x","type":"1"},{"id":4,"name":"y","sentAt":"never","type":"Form Handler"}]}`)}},
		[]string{"1 red null 2026-03-01T15:00:00Z null false"},
		"/kites 9 sent_at",
	},
	{
		"a page of version 4", "kites",
		[]keptBody{{"api/kite/after-0.json", `{"kind":"page","api":"v4","rows":"kite","columns":{"sent_at":"sent"},"zone":"America/New_York","entities":true,"job":"/kite","deleted":true}`, []byte(
			`{"@attributes":{"stat":"ok"},"result":{"total_results":1,"kite":{"id":1,"name":"a &amp; b","sent":"2026-03-01 10:00:00","Sorts":{"value":["x","y"]},"wind":{"id":4}}}}`)}},
		[]string{`1 a & b ["x","y"] 2026-03-01T15:00:00Z null true`},
		"",
	},
	{
		"a page of version 4 as it is", "kites",
		[]keptBody{{"api/kite/after-0.json", `{"kind":"page","api":"v4","rows":"kite","columns":{"wind":"wind_id"},"zone":"Asia/Tokyo"}`, []byte(
			`{"@attributes":{"stat":"ok"},"result":{"kite":[{"id":1,"name":"a &amp; b","wind":{"id":4}}]}}`)}},
		[]string{`1 a &amp; b null null 4 false`},
		"",
	},
	{
		"rows that are completed", "kites",
		[]keptBody{
			{"api/kite/values-after-0.json", `{"kind":"values","api":"v4","rows":"kite","entities":true,"members":{"Sorts__c":"Sorts"}}`, []byte(
				`{"@attributes":{"stat":"ok"},"result":{"kite":[{"id":1,"Sorts":{"value":"x &lt; y"}},{"id":9,"Sorts":"z"}]}}`)},
			{"api/kite/deleted-values-after-0.json", `{"kind":"values","api":"v4","rows":"kite","members":{"Sorts__c":"Sorts"}}`, []byte(
				`{"@attributes":{"stat":"ok"},"result":{"kite":{"id":1,"Sorts":"later"}}}`)},
			{"api/v5/objects/kites/2.json", `{"kind":"values","api":"v5","id":2,"members":{"Sorts__c":"Sorts__c"}}`, []byte(`{"id":2,"Sorts__c":["p","q"]}`)},
			{"api/v5/objects/kites/2/stats.json", `{"kind":"details","api":"v5","row":1,"members":{"stats.wind":"wind"}}`, []byte(`{"wind":12}`)},
			{"api/v5/objects/kites/after-0.json", `{"kind":"page","api":"v5"}`, []byte(`{"values":[{"id":1},{"id":2,"isDeleted":true},{"id":3}]}`)},
			{"api/v5/objects/kites/after-3.json", `{"kind":"page","api":"v5"}`, []byte(`{"values":[{"id":1}]}`)},
		},
		[]string{`1 null ["x < y"] null null false`, `2 null ["p","q"] null 12 true`, `3 null null null null false`, `1 null null null null false`},
		"",
	},
	{
		"what was sent since a time", "kites",
		[]keptBody{{"sent", `{"kind":"page","api":"v5","sent":1772370000}`, []byte(
			`{"values":[{"id":1,"sentAt":"2026-03-01T12:59:59Z"},{"id":2,"sentAt":"2026-03-01T13:00:00Z"},{"id":3}]}`)}},
		[]string{"2 null null 2026-03-01T13:00:00Z null false"},
		"",
	},
	{
		"an email of a list email", "kites",
		[]keptBody{{"api/email/5.json", `{"kind":"record","api":"v4","rows":"email","columns":{"wind":"list_email_id"},"zone":"UTC","job":"emails","list":77}`, []byte(
			`{"@attributes":{"stat":"ok"},"email":{"id":5,"name":"n"}}`)}},
		[]string{"5 n null null 77 false"},
		"",
	},
	{
		"a record that does not fit", "kites",
		[]keptBody{{"account.json", `{"kind":"record","api":"v5","job":"read the account"}`, []byte(`{"id":"x"}`)}},
		nil, "read the account 1 id",
	},
	{
		"a file", "kites",
		[]keptBody{
			{"ids", `{"kind":"aside"}`, []byte(`anything`)},
			{"job-4.csv", `{"kind":"file","api":"v4","columns":{"wind":""},"zone":"America/New_York","job":"4","bin":"wind"}`, []byte(
				"\xef\xbb\xbfsent_at,id,name,Sorts,wind\r\n2026-03-01 10:00:00,1,\"a\r\nb\",p;q,8\r\n\r\n")},
			{"job-5.csv", `{"kind":"file","api":"v5","job":"5"}`, nil},
		},
		[]string{"1 a\r\nb [\"p\",\"q\"] 2026-03-01T15:00:00Z null false"},
		"",
	},
	{
		"a file of what is in the bin", "kites",
		[]keptBody{{"job-5-file-2.csv", `{"kind":"file","api":"v5","job":"5","apart":true,"deleted":true}`, []byte("id,sentAt\n1,2026-03-01T10:00:00-05:00\nx,\n")}},
		[]string{"1 null null 2026-03-01T15:00:00Z null true"},
		"5 2 id",
	},
	{
		"prospects of opportunities", "pairs",
		[]keptBody{{"api/opportunity/after-6.json", `{"kind":"links","api":"v4","rows":"opportunity","after":6,"line":3}`, []byte(
			`{"@attributes":{"stat":"ok"},"result":{"opportunity":[{"id":7,"prospects":{"prospect":[{"id":2},{"id":1}]}},{"prospects":null}]}}`)}},
		[]string{"7 1 false", "7 2 false"},
		"opportunities after 7 6 ",
	},
}

var recordedSchemas = map[string]martsync.Schema{
	"kites": {Stream: "kites", Key: []string{"id"}, Deletes: true, Columns: []martsync.Column{
		{Name: "id", Type: martsync.Int64, Origin: "id"},
		{Name: "name", Type: martsync.String, Origin: "name"},
		{Name: "sorts__c", Type: martsync.JSON, Origin: "Sorts__c"},
		{Name: "sent_at", Type: martsync.Timestamp, Origin: "sentAt"},
		{Name: "wind", Type: martsync.Int64, Origin: "stats.wind"},
	}},
	"pairs": {Stream: "pairs", Key: []string{"a", "b"}, Deletes: true, Columns: []martsync.Column{
		{Name: "a", Type: martsync.Int64}, {Name: "b", Type: martsync.Int64},
	}},
}

func TestBodiesOfEarlierVersionsAreRead(t *testing.T) {
	for _, tt := range recorded {
		t.Run(tt.name, func(t *testing.T) {
			schema := recordedSchemas[tt.stream]
			var got []string
			bad := ""
			for b, err := range new(source).Replay(t.Context(), schema, feed(tt.bodies)) {
				if err != nil {
					t.Fatal(err)
				}
				for i, row := range rowTexts(schema, b.Records) {
					got = append(got, strings.Join(row, " ")+fmt.Sprintf(" %v", rows.Deleted(b.Records, i)))
				}
				for _, q := range b.Quarantined {
					bad += fmt.Sprintf("%s %d %s", q.Job, q.Line, q.Column)
				}
			}
			if diff := cmp.Diff(tt.rows, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if bad != tt.bad {
				t.Errorf("in quarantine: got %q, want %q", bad, tt.bad)
			}
		})
	}
}

func TestBodiesThatCannotBeReplayed(t *testing.T) {
	page := `{"kind":"page","api":"v5"}`
	file := `{"kind":"file","api":"v5","job":"5"}`
	for _, tt := range []struct {
		name, how, data string
		offset          int64
		kind            martsync.Kind
		text            string
	}{
		{"nobody said how", "", `{"values":[]}`, 0, martsync.Config, "how it is read"},
		{"how is no JSON", "{", `{"values":[]}`, 0, martsync.Config, "how it is read"},
		{"something that is not known yet", `{"kind":"page","api":"v5","upside_down":true}`, `{"values":[]}`, 0, martsync.Config, "upside_down"},
		{"a kind that is not known yet", `{"kind":"film"}`, "", 0, martsync.Config, "film"},
		{"a zone that is not known", `{"kind":"page","api":"v4","rows":"kite","zone":"Mars/Olympus"}`, `{"@attributes":{"stat":"ok"},"result":{"kite":{"id":1}}}`, 0, martsync.Config, "Mars/Olympus"},
		{"half a page", page, `{"values":[{"id":1`, 0, martsync.Data, "kept.json"},
		{"a page of something else", page, `{"value":[]}`, 0, martsync.Data, "no values"},
		{"no page at all", page, ``, 0, martsync.Data, "kept.json"},
		{"a record that is a list", `{"kind":"record","api":"v5"}`, `[1]`, 0, martsync.Data, "kept.json"},
		{"the rest of a file", file, "1\n", 3, martsync.Data, "first 3 bytes"},
		{"a file without a header", file, "\"", 0, martsync.Data, "names of its columns"},
		{"a header without an end", file, strings.Repeat("x", headerMost+1), 0, martsync.Data, "kept.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := martsync.RawBody{Name: "kept.json", How: tt.how, Offset: tt.offset, Data: strings.NewReader(tt.data)}
			var last error
			for _, err := range new(source).Replay(t.Context(), recordedSchemas["kites"], one(body)) {
				last = err
			}
			if martsync.KindOf(last) != tt.kind || !strings.Contains(fmt.Sprint(last), tt.text) {
				t.Errorf("error %v of kind %v, want %v and something about %q", last, martsync.KindOf(last), tt.kind, tt.text)
			}
			if martsync.HintOf(last) == "" {
				t.Errorf("%v: nothing is said about what to do", last)
			}
		})
	}
	gone := errors.New("gone")
	for _, err := range new(source).Replay(t.Context(), recordedSchemas["kites"], func(yield func(martsync.RawBody, error) bool) { yield(martsync.RawBody{}, gone) }) {
		if !errors.Is(err, gone) {
			t.Errorf("a body that cannot be had: got %v", err)
		}
	}
}

func one(body martsync.RawBody) iter.Seq2[martsync.RawBody, error] {
	return func(yield func(martsync.RawBody, error) bool) { yield(body, nil) }
}

// A page of very large records makes several batches, and is kept once: reading goes on before or after it.
func TestAVeryLargePageIsKeptOnce(t *testing.T) {
	for _, by := range []version{v5, v4} {
		var large []kite
		for id := range int64(2) {
			large = append(large, kite{id: id + 1, name: strings.Repeat("x", martsync.MaxBytes/2+1), updated: kiteTime.Add(-time.Hour)})
		}
		server := newKiteServer(t, large...)
		st := server.stream(t, func(s *stream) { s.plan.api = by })
		plain, err := readAllOf(t, server.stream(t, func(s *stream) { s.plan.api = by }), "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t, st, "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain.rows, got.rows); diff != "" || len(got.rows) != len(large) {
			t.Errorf("%s: %d rows (-as usual +keeping):\n%.300s", by, len(got.rows), diff)
		}
		if diff := cmp.Diff(plain.windows, got.windows); diff != "" {
			t.Errorf("%s: windows (-as usual +keeping):\n%s", by, diff)
		}
		kept, split, exist := 0, 0, 0
		for _, b := range got.batches {
			for _, r := range b.Raw {
				if kept++; !strings.HasSuffix(r.Body, "after-0.json") {
					t.Errorf("%s: the body is called %s", by, r.Body)
				}
			}
			if b.Cursor == "" {
				split++
			}
			if b.Census != nil {
				exist += len(b.Census.Keys)
			}
		}
		pages := 1 // and one of the recycle bin
		if by == v4 {
			pages = 2
		}
		if kept != pages || split < 1 || exist != len(large) {
			t.Errorf("%s: %d pages kept, %d batches without a position, a census of %d, want %d, at least 1, and %d", by, kept, split, exist, pages, len(large))
		}
		if i := slices.IndexFunc(plain.batches, func(b martsync.Batch) bool { return b.Cursor == "" || b.Raw != nil }); i >= 0 {
			t.Errorf("%s: as usual, batch %d has no position or a body", by, i)
		}
	}
}

// Which emails to read by version 4 is told by activities. These are kept too, and no row is made of them.
func TestEmailsOfVersion4AreKept(t *testing.T) {
	for _, tt := range []struct {
		read  string
		aside string // what bodies without rows are called
		fault string
	}{
		{"query", "api/visitorActivity/after-", "cut:every=3"},
		{"auto", "job-", "cut:path=*downloadResults*,times=2"},
	} {
		t.Run(tt.read, func(t *testing.T) {
			l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 120}})
			if err := l.AddFault(tt.fault); err != nil {
				t.Fatal(err)
			}
			known := newTap()
			l.transport, l.streams = known.transport, []string{emailStream}
			s := &provenSource{t: t, tap: known, source: l.open(t, func(c *Config) {
				c.Streams = map[string]StreamConfig{emailStream: {API: "v4", Read: tt.read}}
			})}
			if out, err := l.run(t, s); err != nil || !out.Done {
				t.Fatalf("sync: %+v, %v", out, err)
			}
			asides := 0
			for name, n := range s.bodies {
				if strings.HasPrefix(name, tt.aside) {
					asides += n
				}
			}
			if s.rows == 0 || asides == 0 || l.Stats().Faults["cut"] == 0 {
				t.Errorf("%d emails replayed, %d bodies of activities, faults %v, want some of each", s.rows, asides, l.Stats().Faults)
			}
		})
	}
}

// A file is kept though no row is made of it, and each file of a job by a name of its own.
func TestEachFileIsKept(t *testing.T) {
	nothing := func(header bool) func(*fakeExports) {
		return func(f *fakeExports) {
			f.serve = func(w http.ResponseWriter, _ *fakeJob, _ int, text []byte) bool {
				head, _, _ := strings.Cut(string(text), "\n")
				if head += "\n"; !header {
					head = ""
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(head)))
				_, _ = io.WriteString(w, head)
				return true
			}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*fakeExports)
		want   []string // after "job-" and the id
	}{
		{"nothing but a header", nothing(true), []string{".csv"}},
		{"nothing at all", nothing(false), []string{".csv"}},
		{"three files", func(f *fakeExports) { f.files = 3 }, []string{"-file-1.csv", "-file-2.csv", "-file-3.csv"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newExportRig(t, 100*time.Hour, tt.change)
			if err := g.finish(t); err != nil {
				t.Fatal(err)
			}
			want := map[string]int{}
			for id := range g.jobs {
				for _, end := range tt.want {
					want["job-"+formatID(id)+end] = 1
				}
			}
			if diff := cmp.Diff(want, g.bodies); diff != "" || len(want) != len(tt.want) {
				t.Errorf("files that are kept (-want +got):\n%s", diff)
			}
		})
	}
}

// A file of a job that was taken for ours can turn out wrong after some of its rows were handed over:
// these are taken back, and what is kept with them.
func TestRowsOfAForeignFileAreTakenBack(t *testing.T) {
	g := newExportRig(t, 400*time.Hour, func(f *fakeExports) { f.lose = true })
	if err := g.read(t); martsync.KindOf(err) != martsync.Transient {
		t.Fatalf("error %v, want a transient one: nobody hears of the job that was made", err)
	}
	g.mu.Lock()
	g.lose = false
	g.mu.Unlock()
	g.clock.Advance(2 * time.Minute)
	first := true
	g.serve = func(w http.ResponseWriter, _ *fakeJob, _ int, text []byte) bool {
		if !first {
			return false
		}
		first = false
		// Rows enough for several batches, and in the end one without an id.
		header, row, _ := strings.Cut(string(text), "\n")
		row, _, _ = strings.Cut(row, "\n")
		_, _ = fmt.Fprintf(w, "%s\n%s%s\n", header, strings.Repeat(row+"\n", 3*martsync.MaxRows), strings.Repeat(",", strings.Count(header, ",")))
		return true
	}
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	if g.discards != 1 {
		t.Errorf("rows were taken back %d times, want once", g.discards)
	}
	g.compare(t)
}
