package pardot

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/simulate"
)

// exportStart is when the tests of exports begin; the API user is in New York.
var exportStart = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const exportZone = "America/New_York"

// A fakeRecord is a record of the fake vendor.
type fakeRecord struct {
	id      int64
	name    string
	at      time.Time
	deleted bool
}

// A fakeExports is the vendor's export API, with the faults that a test wants.
type fakeExports struct {
	t     testing.TB
	clock martsync.Clock
	loc   *time.Location

	records []fakeRecord

	mu      sync.Mutex
	jobs    map[int64]*fakeJob
	next    int64
	creates int
	polls   int
	created []map[string]any // bodies

	// Faults.
	refuse   func(body map[string]any) (code int, message string)
	lose     bool                    // jobs are created, and the reply is lost
	waits    int                     // polls before a job is complete
	fate     func(j *fakeJob) string // its state once it has waited; default Complete
	files    int                     // of a job; default 1
	shape    func(urls []string) any // of resultRefs; default as the vendor does it
	serve    func(http.ResponseWriter, *fakeJob, int, []byte) bool
	unlisted bool // nobody may see the list
	bare     bool // jobs come without the envelope
	body     func(j *fakeJob, file int) io.Reader
	header   func([]string) []string
	prefix   string // of files: a byte order mark
	end      string // of lines
}

type fakeJob struct {
	id      int64
	object  string
	fields  []string
	args    map[string]string
	version version
	state   string
	expired bool
	polls   int
	created time.Time
	served  int
}

func (f *fakeExports) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := r.URL.Path
	switch {
	case strings.HasSuffix(path, "/oauth2/token"):
		answerJSON(w, 200, map[string]any{"access_token": "00Dx!token", "instance_url": "https://kites.my.salesforce.com", "issued_at": "1", "token_type": "Bearer", "id": "https://login.salesforce.com/id/00D/005"})
	case path == "/api/v5/objects/account":
		answerJSON(w, 200, map[string]any{"id": 1, "apiCallsUsed": 10, "maximumDailyApiCalls": 50000})
	case r.Header.Get("Authorization") == "" || r.Header.Get("Pardot-Business-Unit-Id") == "":
		f.fail(w, v4, 49, "Access Denied")
	case strings.HasSuffix(path, "/do/create"):
		f.create(w, r, v4)
	case path == "/api/v5/exports" && r.Method == http.MethodPost:
		f.create(w, r, v5)
	case strings.HasSuffix(path, "/do/query"):
		f.list(w, r, v4)
	case path == "/api/v5/exports":
		f.list(w, r, v5)
	case strings.Contains(path, "/do/read/id/"):
		f.read(w, path[strings.LastIndex(path, "/")+1:], v4)
	case strings.Contains(path, "/do/downloadResults/"):
		parts := strings.Split(path, "/")
		f.download(w, parts[len(parts)-3], parts[len(parts)-1])
	case strings.Contains(path, "/results/"):
		parts := strings.Split(path, "/")
		f.download(w, parts[len(parts)-3], parts[len(parts)-1])
	case strings.HasPrefix(path, "/api/v5/exports/"):
		f.read(w, path[strings.LastIndex(path, "/")+1:], v5)
	default:
		f.t.Errorf("unexpected call %s %s", r.Method, r.URL)
		http.NotFound(w, r)
	}
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (f *fakeExports) fail(w http.ResponseWriter, v version, code int, message string) {
	if v == v5 {
		answerJSON(w, 400, map[string]any{"code": code, "message": message})
		return
	}
	answerJSON(w, 200, map[string]any{"@attributes": map[string]any{"stat": "fail", "version": 1, "err_code": code}, "err": message})
}

func (f *fakeExports) create(w http.ResponseWriter, r *http.Request, v version) {
	f.creates++
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		f.t.Errorf("create: %v", err)
	}
	f.created = append(f.created, body)
	if f.refuse != nil {
		if code, message := f.refuse(body); code != 0 {
			f.fail(w, v, code, message)
			return
		}
	}
	f.next++
	j := &fakeJob{id: 9900 + f.next, object: body["object"].(string), version: v, state: "Waiting", args: map[string]string{}, created: f.clock.Now()}
	if list, ok := body["fields"].([]any); ok {
		for _, name := range list {
			j.fields = append(j.fields, name.(string))
		}
	} else {
		j.fields = []string{"id", "name", "updated_at"}
	}
	for name, value := range body["procedure"].(map[string]any)["arguments"].(map[string]any) {
		j.args[name] = fmt.Sprint(value)
	}
	f.jobs[j.id] = j
	if f.lose {
		panic(http.ErrAbortHandler)
	}
	f.answer(w, j, false)
}

func (f *fakeExports) answer(w http.ResponseWriter, j *fakeJob, files bool) {
	m := f.resource(j)
	if files && j.state == "Complete" && !j.expired {
		urls := []string{}
		for i := range f.chunks(j) {
			n := strconv.Itoa(50 + (i*7)%11) // in no order
			if j.version == v5 {
				urls = append(urls, fmt.Sprintf("https://pi.pardot.com/api/v5/exports/%d/results/%s", j.id, n))
			} else {
				urls = append(urls, fmt.Sprintf("https://www.pardot.com/api/export/version/4/do/downloadResults/id/%d/file/%s", j.id, n))
			}
		}
		switch {
		case f.shape != nil:
			m["resultRefs"] = f.shape(urls)
		case len(urls) == 1 && j.version == v4:
			m["resultRefs"] = urls[0]
		case len(urls) > 0:
			m["resultRefs"] = urls
		}
	}
	if j.version == v5 || f.bare {
		answerJSON(w, 200, m)
		return
	}
	answerJSON(w, 200, map[string]any{"@attributes": map[string]any{"stat": "ok", "version": 1}, "export": m})
}

func (f *fakeExports) resource(j *fakeJob) map[string]any {
	m := map[string]any{"id": j.id, "isExpired": j.expired}
	if j.version == v5 {
		m["status"], m["createdAt"] = j.state, j.created.In(f.loc).Format(time.RFC3339)
	} else {
		m["state"], m["createdAt"] = j.state, j.created.In(f.loc).Format(time.DateTime)
	}
	return m
}

func (f *fakeExports) list(w http.ResponseWriter, r *http.Request, v version) {
	if f.unlisted {
		f.fail(w, v, 46, "User lacks permission")
		return
	}
	q := r.URL.Query()
	var since time.Time
	var err error
	if v == v4 {
		since, err = time.ParseInLocation(time.DateTime, q.Get("created_after"), f.loc)
	} else {
		since, err = time.Parse(time.RFC3339, q.Get("updatedAtAfterOrEqualTo"))
	}
	if err != nil {
		f.t.Errorf("list: %v", err)
	}
	list := []any{}
	for _, id := range slices.Sorted(maps.Keys(f.jobs)) {
		j := f.jobs[id]
		if j.version == v && j.created.After(since) && (v == v5 || j.object == q.Get("object")) {
			list = append(list, f.resource(j))
		}
	}
	if v == v5 {
		answerJSON(w, 200, map[string]any{"values": list, "nextPageToken": nil})
		return
	}
	result := map[string]any{"total_results": len(list)}
	switch len(list) {
	case 0:
	case 1:
		result["export"] = list[0]
	default:
		result["export"] = list
	}
	answerJSON(w, 200, map[string]any{"@attributes": map[string]any{"stat": "ok", "version": 1}, "result": result})
}

func (f *fakeExports) read(w http.ResponseWriter, id string, v version) {
	f.polls++
	n, _ := strconv.ParseInt(id, 10, 64)
	j := f.jobs[n]
	if j == nil {
		f.fail(w, v, 109, "Record not found")
		return
	}
	if j.polls++; j.polls > f.waits && j.state == "Waiting" {
		j.state = "Complete"
		if f.fate != nil {
			j.state = f.fate(j)
		}
		if j.state == "Expired" {
			j.state, j.expired = "Complete", true
		}
	}
	f.answer(w, j, true)
}

// matching are the records of a job's range. Both bounds are exclusive.
func (f *fakeExports) matching(j *fakeJob) (found []fakeRecord) {
	var after, before time.Time
	deleted := "false"
	for name, text := range j.args {
		parse := func() time.Time {
			at, err := time.ParseInLocation(time.DateTime, text, f.loc)
			if j.version == v5 {
				at, err = time.Parse("2006-01-02T15:04:05-07:00", text)
			}
			if err != nil {
				f.t.Errorf("argument %s: %v", name, err)
			}
			return at
		}
		switch {
		case strings.Contains(strings.ToLower(name), "after"):
			after = parse()
		case strings.Contains(strings.ToLower(name), "before"):
			before = parse()
		case name == "deleted":
			deleted = text
		}
	}
	if before.Sub(after) > 365*24*time.Hour {
		f.t.Errorf("a range of %s", before.Sub(after))
	}
	for _, r := range f.records {
		if r.at.After(after) && r.at.Before(before) && (deleted == "all" || strconv.FormatBool(r.deleted) == deleted) {
			found = append(found, r)
		}
	}
	return found
}

// chunks are the records of a job's files.
func (f *fakeExports) chunks(j *fakeJob) [][]fakeRecord {
	found := f.matching(j)
	if len(found) == 0 {
		return nil
	}
	n := max(f.files, 1)
	return slices.Collect(slices.Chunk(found, (len(found)+n-1)/n))
}

func (f *fakeExports) file(j *fakeJob, i int) []byte {
	var b bytes.Buffer
	b.WriteString(f.prefix)
	w := csv.NewWriter(&b)
	header := j.fields
	if f.header != nil {
		header = f.header(header)
	}
	_ = w.Write(header)
	for _, r := range f.chunks(j)[i] {
		var line []string
		for _, name := range j.fields {
			switch name {
			case "id":
				line = append(line, strconv.FormatInt(r.id, 10))
			case "name":
				line = append(line, r.name)
			case "isDeleted":
				line = append(line, strconv.FormatBool(r.deleted))
			case "updatedAt":
				line = append(line, r.at.In(f.loc).Format(time.RFC3339))
			case "updated_at":
				line = append(line, r.at.In(f.loc).Format(time.DateTime))
			default:
				line = append(line, "")
			}
		}
		_ = w.Write(line)
	}
	w.Flush()
	if f.end != "" {
		return bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte(f.end))
	}
	return b.Bytes()
}

func (f *fakeExports) download(w http.ResponseWriter, id, file string) {
	n, _ := strconv.ParseInt(id, 10, 64)
	j := f.jobs[n]
	if j == nil || j.expired {
		f.fail(w, v4, 178, "The export is not complete or has expired")
		return
	}
	i := slices.IndexFunc(slices.Collect(func(yield func(int) bool) {
		for i := range f.chunks(j) {
			if !yield(50 + (i*7)%11) {
				return
			}
		}
	}), func(k int) bool { return strconv.Itoa(k) == file })
	if i < 0 {
		f.t.Errorf("file %s of %d is not there", file, n)
		http.NotFound(w, nil)
		return
	}
	j.served++
	w.Header().Set("Content-Type", "text/csv")
	if f.body != nil {
		_, _ = io.Copy(w, f.body(j, i))
		return
	}
	data := f.file(j, i)
	if f.serve != nil && f.serve(w, j, i, data) {
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}

// An exportRig reads a range of the fake vendor, and keeps what a destination would: rows count
// once a cursor covers them.
type exportRig struct {
	*fakeExports
	clock  *simulate.Clock
	src    *source
	log    *lockedBuffer
	object *exportObject
	ver    version
	names  []string // fields, in the version's words
	wish   string   // one of them that an account may lack

	From, To second
	cursor   []byte // of the state, as stored

	rows     map[int64]fakeRecord
	pending  []fakeRecord
	counted  exportCount
	notes    []string
	batches  int
	largest  int
	remember int               // cursors stored so far
	crash    func(n int) error // called before (and with -n after) the n-th is stored
	bad      []martsync.Quarantined
	halves   int

	light       bool           // only counts rows
	kept        int64          // bytes of files
	bodies      map[string]int // files by name
	discards    int
	watch       func()       // called with each batch
	refuseBatch func() error // what the consumer says to a batch
}

type exportCount struct{ rows, bad, calls int64 }

var fakeObject = &exportObject{
	v4: "visitorActivity", v5: "VisitorActivity", procedures: []procedure{byUpdate}, passes: []pass{{arguments: map[string]any{"deleted": "all"}}},
}

// newExportRig starts a fake vendor with a record every hour since `ago`.
func newExportRig(t testing.TB, ago time.Duration, change ...func(*fakeExports)) *exportRig {
	t.Helper()
	loc, err := time.LoadLocation(exportZone)
	if err != nil {
		t.Fatal(err)
	}
	clock := simulate.NewClock(exportStart)
	f := &fakeExports{t: t, clock: clock, loc: loc, jobs: map[int64]*fakeJob{}}
	for i, at := 0, exportStart.Add(-ago); at.Before(exportStart.Add(-time.Hour)); i, at = i+1, at.Add(time.Hour) {
		f.records = append(f.records, fakeRecord{id: int64(i + 1), name: fmt.Sprintf("record %d", i+1), at: at, deleted: i%5 == 4})
	}
	for _, c := range change {
		c(f)
	}
	server := httptest.NewServer(f)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(server.Close)
	connections := &http.Transport{}
	t.Cleanup(connections.CloseIdleConnections)
	log := &lockedBuffer{}
	src, err := open(Config{
		BusinessUnit: "0Uv000000000001AAA", APIHost: server.URL, LoginURL: server.URL, Grant: grantClientCredentials,
		ClientID: "client", ClientSecret: "secret", Timezone: exportZone,
	}, martsync.Env{
		Log:  slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		HTTP: &http.Client{Transport: connections}, Clock: clock, TempDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &exportRig{
		fakeExports: f, clock: clock, src: src, log: log, object: fakeObject, ver: v4, names: []string{"id", "name", "updated_at"},
		From: secondOf(exportStart.Add(-ago)), To: secondOf(exportStart), rows: map[int64]fakeRecord{},
	}
}

var errCrash = fmt.Errorf("the process was killed")

// read is one read from the stored cursor, as another process would do it.
func (g *exportRig) read(t testing.TB) error {
	t.Helper()
	g.pending = nil
	state, run := &exportState{}, g.counted
	if g.cursor != nil {
		if err := json.Unmarshal(g.cursor, state); err != nil {
			t.Fatal(err)
		}
		if err := state.check(); err != nil {
			t.Fatalf("stored state %s: %v", g.cursor, err)
		}
	}
	names := []martsync.Column{
		{Name: "id", Type: martsync.Int64, Origin: "id"},
		{Name: "name", Type: martsync.String, Origin: "name"},
		{Name: "updated_at", Type: martsync.Timestamp, Origin: "updated_at"},
		{Name: "is_deleted", Type: martsync.Bool, Origin: noOrigin},
	}
	if g.ver == v5 {
		names[2].Origin, names[3].Origin = "updatedAt", "isDeleted"
	}
	schema := martsync.Schema{Stream: "things", Columns: names, Key: []string{"id"}, Deletes: true}
	task := &exportTask{
		src: g.src, stream: "things", noun: "thing", object: g.object, version: g.ver, columns: names, bin: 3, deletes: true,
		from: g.From, to: g.To, state: state,
		halve: func(to second) { g.To = to; g.halves++ },
		count: func(n, bad, calls int64) { run.rows += n; run.bad += bad; run.calls += calls },
		note:  func(op, format string, args ...any) { g.notes = append(g.notes, op+": "+fmt.Sprintf(format, args...)) },
	}
	for _, name := range g.names {
		task.fields = append(task.fields, exportField{name: name, wish: name == g.wish})
	}
	if g.bodies == nil {
		g.bodies = map[string]int{}
	}
	proof := &proof{t: t, schema: schema, names: g.bodies}
	task.schema, task.keep = names, func(r martsync.Raw) { proof.piece(r) }
	if g.light {
		task.keep = func(r martsync.Raw) { g.kept += int64(len(r.Data)) }
	}
	store := func() error {
		if proof.end(); t.Failed() {
			t.FailNow()
		}
		g.remember++
		if g.crash != nil {
			if err := g.crash(g.remember); err != nil {
				return err
			}
		}
		cursor, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range g.pending {
			g.rows[r.id] = r
		}
		g.pending, g.cursor, g.counted = nil, cursor, run
		if g.crash != nil {
			return g.crash(-g.remember)
		}
		return nil
	}
	task.remember = store
	task.discard = func() error { g.pending = nil; g.discards++; proof.forget(); return store() }
	task.send = func(b martsync.Batch) error {
		g.batches++
		if g.refuseBatch != nil {
			return g.refuseBatch()
		}
		if g.watch != nil {
			g.watch()
		}
		if !g.light {
			proof.add(b)
		}
		for _, r := range b.Raw {
			g.kept += int64(len(r.Data))
		}
		g.bad = append(g.bad, b.Quarantined...)
		if b.Records == nil {
			return nil
		}
		if err := rows.Check(&schema, b.Records); err != nil {
			t.Fatalf("batch: %v", err)
		}
		g.largest = max(g.largest, b.Records.Size())
		for i := 0; i < b.Records.Len && !g.light; i++ {
			value := func(c int) any { return columns.Value(names[c], &b.Records.Columns[c], i) }
			r := fakeRecord{id: value(0).(int64), at: value(2).(time.Time)}
			r.name, _ = value(1).(string)
			r.deleted = b.Records.Deleted != nil && b.Records.Deleted[i]
			if told, ok := value(3).(bool); ok && told != r.deleted {
				t.Errorf("record %d: is_deleted is %t, the mark is %t", r.id, told, r.deleted)
			}
			g.pending = append(g.pending, r)
		}
		return nil
	}
	err := task.read(t.Context())
	if err == nil {
		return store() // the owner closes the window
	}
	g.pending = nil
	return err
}

// finish reads until the range is in, or an error that does not pass with time.
func (g *exportRig) finish(t testing.TB) error {
	t.Helper()
	for range 500 {
		err := g.read(t)
		if err == nil || !martsync.KindOf(err).Waits() {
			return err
		}
		if martsync.KindOf(err) == martsync.Pending && martsync.AfterOf(err) <= 0 {
			t.Fatalf("a wait without an end: %v", err)
		}
		g.clock.Advance(max(martsync.AfterOf(err), time.Second))
	}
	t.Fatal("it does not come to an end")
	return nil
}

// compare compares what was stored with the vendor's records of the range.
func (g *exportRig) compare(t testing.TB) {
	t.Helper()
	want := 0
	for _, r := range g.records {
		if r.at.Before(unix(g.From)) || !r.at.Before(unix(g.To)) {
			continue
		}
		want++
		got, ok := g.rows[r.id]
		switch {
		case !ok:
			t.Errorf("record %d of %s is missing", r.id, r.at)
		case got.name != r.name || !got.at.Equal(r.at):
			t.Errorf("record %d is %+v, want %+v", r.id, got, r)
		}
	}
	if want == 0 {
		t.Error("there is nothing to compare")
	}
}

// noted reports whether a note contains text.
func (g *exportRig) noted(text string) bool {
	return slices.ContainsFunc(g.notes, func(n string) bool { return strings.Contains(n, text) })
}
