package pardot

import (
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/simulate"
)

// deskTime is the present of the tests with a desk.
var deskTime = time.Date(2026, 3, 18, 16, 30, 0, 0, time.UTC)

// An answer is what a desk sends for a request.
type answer struct {
	status int // 0: 200
	body   string
}

// A desk is a vendor that answers by path: the answer to a path that it does not know is 404.
type desk struct {
	*httptest.Server

	clock  *simulate.Clock
	answer func(path string, q url.Values) answer

	mu   sync.Mutex
	seen []string // "path?query" in order, logins left out
}

// newDesk starts a vendor. Its API user lives in UTC.
func newDesk(t testing.TB, reply func(path string, q url.Values) answer) *desk {
	t.Helper()
	d := &desk{clock: simulate.NewClock(deskTime), answer: reply}
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/services/oauth2/token" {
		fmt.Fprint(w, `{"access_token":"00D!desk","token_type":"Bearer","id":"https://login.example/id/00D/005","instance_url":"https://desk.example","issued_at":"1"}`)
		return
	}
	d.mu.Lock()
	d.seen = append(d.seen, r.URL.Path+"?"+r.Form.Encode())
	d.mu.Unlock()
	a := d.answer(r.URL.Path, r.Form)
	switch {
	case a == answer{}:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code":109,"message":"record not found"}`)
	case a.status != 0:
		w.WriteHeader(a.status)
		fallthrough
	default:
		fmt.Fprint(w, a.body)
	}
}

// requests are the paths of the calls that were made, of those that contain part.
func (d *desk) requests(part string) (paths []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.seen {
		if strings.Contains(s, part) {
			paths = append(paths, s)
		}
	}
	return paths
}

// open opens a source.
func (d *desk) open(t testing.TB, change ...func(*Config)) *source {
	t.Helper()
	cfg := Config{
		BusinessUnit: "0Uv000000000001CAA", APIHost: d.URL, LoginURL: d.URL, ClientID: "id-" + t.Name(), ClientSecret: "desk-client-secret", RefreshToken: "desk-refresh-token",
		Timezone: "UTC", AccountTimezone: "UTC",
	}
	for _, f := range change {
		f(&cfg)
	}
	connections := &http.Transport{}
	t.Cleanup(connections.CloseIdleConnections)
	s, err := open(cfg, martsync.Env{
		Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Transport: connections}, Clock: d.clock, TempDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ok4 is a reply of version 4 with members beside the frame.
func ok4(members string) answer {
	if members != "" {
		members = "," + members
	}
	return answer{body: `{"@attributes":{"stat":"ok","version":1}` + members + `}`}
}

// fail4 is an error of version 4, which comes with status 200.
func fail4(code int, message string) answer {
	return answer{body: fmt.Sprintf(`{"@attributes":{"stat":"fail","version":1,"err_code":%d},"err":%q}`, code, message)}
}

// fail5 is an error of version 5.
func fail5(status, code int, message string) answer {
	return answer{status: status, body: fmt.Sprintf(`{"code":%d,"message":%q}`, code, message)}
}

// ok5 is a last page of version 5.
func ok5(rows ...string) answer {
	return answer{body: `{"nextPageToken":null,"nextPageUrl":null,"values":[` + strings.Join(rows, ",") + `]}`}
}

// What a read of a stream has yielded.
type outcome struct {
	rows     [][]string // as text, in the order of the schema
	batches  []martsync.Batch
	notes    []string
	windows  []martsync.Window
	complete int
	cursor   martsync.Cursor
}

// readAll reads a stream to its end, and proves that what is kept makes the same rows.
func readAll(t testing.TB, st martsync.Stream, from martsync.Cursor) (outcome, error) {
	t.Helper()
	return readAllOf(t, proven(t, st), from)
}

func readAllOf(t testing.TB, st martsync.Stream, from martsync.Cursor) (outcome, error) {
	t.Helper()
	out := outcome{cursor: from}
	schema := st.Schema()
	for b, err := range st.Read(t.Context(), from, martsync.Span{}) {
		if err != nil {
			return out, err
		}
		out.rows = append(out.rows, rowTexts(schema, b.Records)...)
		for _, n := range b.Notes {
			out.notes = append(out.notes, n.Operation+": "+n.Message)
		}
		if b.Window != nil {
			out.windows = append(out.windows, *b.Window)
		}
		if b.Complete != nil {
			out.complete++
		}
		if b.Cursor != "" {
			out.cursor = b.Cursor
		}
		b.Records = nil // borrowed
		b.Quarantined = slices.Clone(b.Quarantined)
		out.batches = append(out.batches, b)
	}
	return out, nil
}

// rowTexts writes records as text, null as "null".
func rowTexts(schema martsync.Schema, r *martsync.Records) (rows [][]string) {
	if r == nil {
		return nil
	}
	for i := range r.Len {
		row := make([]string, len(schema.Columns))
		for c := range schema.Columns {
			if row[c] = "null"; !r.Columns[c].Null(i) {
				row[c] = columns.Format(schema.Columns[c], &r.Columns[c], i)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// lookedUp reads a sequence of records as text.
func lookedUp(schema martsync.Schema, seq iter.Seq2[*martsync.Records, error]) (rows [][]string, err error) {
	for r, err := range seq {
		if err != nil {
			return rows, err
		}
		rows = append(rows, rowTexts(schema, r)...)
	}
	return rows, nil
}

// cell is the value of a column in a row.
func cell(t testing.TB, schema martsync.Schema, row []string, name string) string {
	t.Helper()
	i := schema.Index(name)
	if i < 0 {
		t.Fatalf("%s has no column %s", schema.Stream, name)
	}
	return row[i]
}
