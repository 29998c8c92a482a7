package pardot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/simulate"
)

// kiteTime is the present of the tests with kites.
var kiteTime = time.Date(2026, 3, 18, 16, 30, 0, 0, time.UTC)

// A kite is a record of the vendor that kites_test.go fakes.
type kite struct {
	id      int64
	name    any // string, or what the vendor sends in its place
	updated time.Time
	binned  bool
	hidden  bool   // the API user may not see it
	only4   bool   // version 5 does not list it
	raw     string // sent as it is, if not empty
}

// kiteServer is the smallest vendor that has one object, in both versions. It keeps to what
// the vendor documents and lets a test be in the way.
type kiteServer struct {
	*httptest.Server

	clock *simulate.Clock

	mu     sync.Mutex
	kites  []kite
	loc    *time.Location // of the API user
	fields map[string]bool
	calls  []url.Values // the queries of v4 and v5; "path" is the path

	// between is called before each query is answered, to change kites or to answer otherwise:
	// status 0 goes on.
	between func(path string, q url.Values) (status int, body string)

	// withholds makes pages lack the kites that are hidden, with a warning, and gives tokens that can be
	// followed.
	withholds bool

	// chain, if not 0, is how many records a sequence of pages may have: a page behind it comes
	// without a token and with the warning 203.
	chain int
}

func newKiteServer(t testing.TB, kites ...kite) *kiteServer {
	t.Helper()
	s := &kiteServer{
		clock: simulate.NewClock(kiteTime), kites: kites, loc: time.UTC,
		fields: map[string]bool{"id": true, "name": true, "updatedAt": true, "isDeleted": true},
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *kiteServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/services/oauth2/token" {
		fmt.Fprintf(w, `{"access_token":"00D!kite","token_type":"Bearer","id":"https://login.example/id/00D/005","instance_url":"https://kite.example","issued_at":"1"}`)
		return
	}
	q := r.Form
	s.mu.Lock()
	s.calls = append(s.calls, with(q, "path", r.URL.Path))
	between := s.between
	s.mu.Unlock()
	if between != nil {
		if status, body := between(r.URL.Path, q); status != 0 {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.URL.Path == "/api/v5/objects/kites":
		s.query5(w, q)
	case strings.HasPrefix(r.URL.Path, "/api/kite/version/"):
		s.query4(w, q)
	case r.URL.Path == "/api/v5/objects/account":
		fmt.Fprint(w, `{"id":1,"createdAt":"2024-02-03T04:05:06-05:00","maximumDailyApiCalls":50000,"apiCallsUsed":10}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code":198,"message":"endpoint not found"}`)
	}
}

func with(q url.Values, key, value string) url.Values {
	q = maps.Clone(q)
	q.Set(key, value)
	return q
}

func refuse5(w http.ResponseWriter, code int, message string) {
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, `{"code":%d,"message":%q}`, code, message)
}

func (s *kiteServer) query5(w http.ResponseWriter, q url.Values) {
	if token := q.Get("nextPageToken"); token != "" && s.withholds {
		if len(q) != 2 || q.Get("fields") == "" {
			refuse5(w, 51, "Invalid parameter: beside a token there are only fields.")
			return
		}
		q, _ = url.ParseQuery(token)
	}
	var after int64
	limit, from, to := 200, time.Time{}, time.Time{}
	for key := range q {
		value := q.Get(key)
		moment := func(to *time.Time) bool {
			t, err := time.Parse("2006-01-02T15:04:05-07:00", value)
			*to = t
			return err == nil && !strings.HasSuffix(value, "Z")
		}
		ok := true
		switch key {
		case "fields", "orderBy", "deleted":
		case "limit":
			limit, _ = strconv.Atoi(value)
			ok = limit >= 1 && limit <= 1000
		case "idGreaterThan":
			after, _ = strconv.ParseInt(value, 10, 64)
		case "updatedAtAfterOrEqualTo":
			ok = moment(&from)
		case "updatedAtBefore":
			ok = moment(&to)
		case "nextPageToken":
			refuse5(w, 210, "Page token has expired.")
			return
		default:
			ok = false
		}
		if !ok {
			refuse5(w, 51, "Invalid parameter: Parameter "+key+" is invalid.")
			return
		}
	}
	fields := strings.Split(q.Get("fields"), ",")
	for _, f := range fields {
		if !s.fields[f] {
			refuse5(w, 51, "Invalid parameter: fields. It contains an invalid or unknown field: "+f+".")
			return
		}
	}
	if q.Get("orderBy") != "id" {
		refuse5(w, 19, "invalid sort")
		return
	}
	deleted := cmp.Or(q.Get("deleted"), "false")
	found := s.find(func(k kite) bool {
		return k.id > after && !k.only4 && (deleted == "all" || k.binned == (deleted == "true")) &&
			(from.IsZero() || !k.updated.IsZero() && !k.updated.Before(from)) && (to.IsZero() || !k.updated.IsZero() && k.updated.Before(to))
	})
	values := []json.RawMessage{}
	for _, k := range found[:min(limit, len(found))] {
		if k.hidden && s.withholds {
			continue
		}
		values = append(values, k.json(map[string]any{
			"id": k.id, "name": k.name, "updatedAt": k.time(s.loc, time.RFC3339), "isDeleted": k.binned,
		}, fields))
	}
	var token any
	switch {
	case len(found) <= limit:
	case s.withholds:
		token = with(q, "idGreaterThan", strconv.FormatInt(found[limit-1].id, 10)).Encode()
	case s.chain > 0 && limit >= s.chain:
		w.Header().Set("Pardot-Warning", "203;Record count for nextPageToken sequence has been exceeded. No page token returned.")
	default:
		token = "expired-soon"
	}
	if len(values) < min(limit, len(found)) {
		w.Header().Add("Pardot-Warning", "202;Record(s) have been redacted")
		w.Header().Add("Pardot-Warning", "201;Record In Recycle Bin")
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"nextPageToken": token, "nextPageUrl": nil, "values": values})
}

// find returns the kites that match, by id.
func (s *kiteServer) find(match func(kite) bool) (found []kite) {
	for _, k := range s.kites {
		if match(k) {
			found = append(found, k)
		}
	}
	slices.SortStableFunc(found, func(a, b kite) int { return cmp.Compare(a.id, b.id) })
	return found
}

func (k kite) time(loc *time.Location, layout string) any {
	if k.updated.IsZero() {
		return nil
	}
	return k.updated.In(loc).Format(strings.ReplaceAll(layout, "Z07:00", "-07:00"))
}

func (k kite) json(values map[string]any, fields []string) json.RawMessage {
	if k.raw != "" {
		return json.RawMessage(k.raw)
	}
	maps.DeleteFunc(values, func(f string, _ any) bool { return fields != nil && !slices.Contains(fields, f) })
	b, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return b
}

// query4 answers with the quirks of version 4: bounds are exclusive and naive, the only record
// is an object, none is nothing.
func (s *kiteServer) query4(w http.ResponseWriter, q url.Values) {
	after, _ := strconv.ParseInt(q.Get("id_greater_than"), 10, 64)
	limit, err := strconv.Atoi(cmp.Or(q.Get("limit"), "200"))
	order := q.Get("sort_order")
	if err != nil || limit > 200 || q.Get("sort_by") != "id" || order != "ascending" && order != "descending" {
		fmt.Fprint(w, `{"@attributes":{"stat":"fail","version":1,"err_code":19},"err":"Invalid sort_by parameter"}`)
		return
	}
	// As the vendor does, compare what clocks show.
	from, to := q.Get("updated_after"), q.Get("updated_before")
	found := s.find(func(k kite) bool {
		shown, _ := k.time(s.loc, time.DateTime).(string)
		return k.id > after && k.binned == (q.Get("deleted") == "true") && (from == "" || shown > from) && (to == "" || shown != "" && shown < to)
	})
	if order == "descending" {
		slices.Reverse(found)
	}
	total := len(found)
	var values []json.RawMessage
	for _, k := range found[:min(limit, len(found))] {
		values = append(values, k.json(map[string]any{"id": k.id, "name": k.name, "updated_at": k.time(s.loc, time.DateTime)}, nil))
	}
	result := map[string]any{}
	if q.Get("output") != "bulk" {
		result["total_results"] = total
	}
	switch len(values) {
	case 0:
	case 1:
		result["kite"] = values[0]
	default:
		result["kite"] = values
	}
	var out any = result
	if len(result) == 0 {
		out = nil
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"@attributes": map[string]any{"stat": "ok", "version": 1}, "result": out})
}

// queries returns the queries of a path's prefix that were made, and forgets all.
func (s *kiteServer) queries(prefix string) (queries []url.Values) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.calls {
		if strings.HasPrefix(q.Get("path"), prefix) {
			queries = append(queries, q)
		}
	}
	s.calls = nil
	return queries
}

// change changes the kites.
func (s *kiteServer) change(f func(kites []kite) []kite) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kites = f(s.kites)
}

// stream returns a stream of kites of a source of its own, as another process would open it.
func (s *kiteServer) stream(t testing.TB, change ...func(*stream)) *stream {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	src, err := open(Config{
		BusinessUnit: "0Uv000000000001CAA", APIHost: s.URL, LoginURL: s.URL, ClientID: "id",
		ClientSecret: "secret", RefreshToken: "refresh", Timezone: s.loc.String(),
	}, martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Transport: transport}, Clock: s.clock, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	st := &stream{
		src: src, obj: kites(), plan: reading{api: v5, read: byQuery, overlap: 24 * time.Hour, sweep: 20 * time.Hour},
		described: secondOf(src.now()),
	}
	for _, f := range change {
		f(st)
	}
	if st.layout == nil {
		st.layout = kiteLayout(st.obj)
	}
	return st
}

// kites is the object of the tests.
func kites() *object {
	return &object{
		stream: "kites", noun: "kite",
		v5: &collection{path: "kites", since: "updatedAt", bin: true},
		v4: &resource{path: "kite", key: "kite", since: "updated", bin: true, params: url.Values{"output": {"bulk"}}},
		fields: []field{
			{v5: "id", v4: "id", typ: martsync.Int64},
			{v5: "name", v4: "name", typ: martsync.String},
			{v5: "updatedAt", v4: "updated_at", typ: martsync.Timestamp},
			{v5: "isDeleted", typ: martsync.Bool},
		},
	}
}

func kiteLayout(o *object) *layout {
	l := &layout{fields: o.fields, schema: martsync.Schema{Stream: "kites", Key: []string{"id"}, Deletes: o.deletes()}}
	for _, f := range o.fields {
		name := f.v5
		for i, c := range []string{"updated_at", "is_deleted"} {
			if f.v5 == []string{"updatedAt", "isDeleted"}[i] {
				name = c
			}
		}
		l.schema.Columns = append(l.schema.Columns, martsync.Column{Name: name, Type: f.typ, Origin: f.v5})
		l.fields5 = append(l.fields5, f.v5)
	}
	return l
}

// byV4 makes a stream query version 4.
func byV4(s *stream) { s.plan.api = v4 }

// A kiteMart is what the batches of a stream make: the table, and what came with them.
type kiteMart struct {
	table   map[int64]martRow
	windows []martsync.Window
	notes   []martsync.Note
	bad     []martsync.Quarantined
	cursors []martsync.Cursor
	batches int

	written, quarantined int64 // since the last window
}

type martRow struct {
	Name    string
	Updated string
	Gone    bool
}

func cellText(cell any) string {
	if cell == nil {
		return "null"
	}
	return rows.Text(cell)
}

func newKiteMart() *kiteMart { return &kiteMart{table: map[int64]martRow{}} }

func (m *kiteMart) last() martsync.Cursor {
	if len(m.cursors) == 0 {
		return ""
	}
	return m.cursors[len(m.cursors)-1]
}

// read reads the stream from the mart's position, batch after batch; stop, if not nil, leaves
// after a batch.
func (m *kiteMart) read(t testing.TB, s *stream, span martsync.Span, stop func(martsync.Batch) bool) error {
	t.Helper()
	schema := s.Schema()
	for b, err := range proven(t, s).Read(t.Context(), m.last(), span) {
		if err != nil {
			return err
		}
		m.take(t, &schema, b)
		if stop != nil && stop(b) {
			return nil
		}
	}
	return nil
}

// mustRead reads to the end.
func (m *kiteMart) mustRead(t testing.TB, s *stream) {
	t.Helper()
	if err := m.read(t, s, martsync.Span{}, nil); err != nil {
		t.Fatal(err)
	}
}

func (m *kiteMart) take(t testing.TB, schema *martsync.Schema, b martsync.Batch) {
	t.Helper()
	m.batches++
	if b.Cursor == "" || b.Unverified || b.Discard {
		t.Fatalf("batch %d cannot be resumed from: %+v", m.batches, b)
	}
	if b.Records != nil {
		if err := rows.Check(schema, b.Records); err != nil {
			t.Fatal(err)
		}
		for i, row := range rows.Of(schema.Columns, b.Records) {
			id := row[0].(int64)
			m.table[id] = martRow{Name: cellText(row[1]), Updated: cellText(row[2]), Gone: rows.Deleted(b.Records, i)}
		}
		m.written += int64(b.Records.Len)
		rows.Poison(b.Records)
	}
	m.bad = append(m.bad, b.Quarantined...)
	m.quarantined += int64(len(b.Quarantined))
	m.notes = append(m.notes, b.Notes...)
	if c := b.Census; c != nil {
		if !slices.IsSorted(c.Keys) {
			t.Errorf("census of %v: not ascending", c.Keys)
		}
		for id, row := range m.table {
			if id > c.After && id <= c.UpTo {
				row.Gone = !slices.Contains(c.Keys, id)
				m.table[id] = row
			}
		}
	}
	if w := b.Window; w != nil {
		if w.Parsed != m.written+m.quarantined || w.Quarantined != m.quarantined {
			t.Errorf("window %+v after %d rows written and %d in quarantine", *w, m.written, m.quarantined)
		}
		m.written, m.quarantined = 0, 0
		m.windows = append(m.windows, *w)
	}
	m.cursors = append(m.cursors, b.Cursor)
}

// compare compares the table with the vendor's kites. Records that the vendor has no more must
// be marked.
func (m *kiteMart) compare(t testing.TB, s *kiteServer) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	exists, wrong := map[int64]bool{}, 0
	complain := func(format string, args ...any) {
		t.Helper()
		if wrong++; wrong <= 5 {
			t.Errorf(format, args...)
		}
	}
	for _, k := range s.kites {
		exists[k.id] = true
		want := martRow{Name: fmt.Sprint(k.name), Gone: k.binned, Updated: "null"}
		if !k.updated.IsZero() {
			want.Updated = rows.Text(rows.Time(k.updated))
		}
		if got, ok := m.table[k.id]; !ok || got != want {
			complain("kite %d: got %+v (there: %v), want %+v", k.id, got, ok, want)
		}
	}
	for id, got := range m.table {
		if !exists[id] && !got.Gone {
			complain("kite %d is gone at the vendor: got %+v, want it marked", id, got)
		}
	}
	if wrong > 5 {
		t.Errorf("and %d more", wrong-5)
	}
}
