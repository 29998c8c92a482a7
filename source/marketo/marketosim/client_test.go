package marketosim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

// account is a simulated account behind a real server, its clock, and a plain HTTP client.
type account struct {
	t     *testing.T
	sim   *Server
	clock *simulate.Clock
	url   string
	token string
	http  *http.Client
}

var testStart = time.Date(2026, 3, 16, 9, 30, 0, 0, time.UTC)

func open(t *testing.T, cfg Config) *account {
	t.Helper()
	clock := simulate.NewClock(testStart)
	if c, ok := cfg.Clock.(*simulate.Clock); ok {
		clock = c
	}
	cfg.Clock = clock
	if cfg.Rows == 0 {
		cfg.Rows = 300
	}
	sim, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 20}
	t.Cleanup(tr.CloseIdleConnections)
	a := &account{t: t, sim: sim, clock: clock, url: srv.URL, http: &http.Client{Transport: tr}}
	a.login(0)
	return a
}

// login takes a token of one of the users.
func (a *account) login(user int) {
	a.t.Helper()
	u := a.sim.cfg.Users[user]
	status, _, body := a.do("GET", "/identity/oauth/token?grant_type=client_credentials&client_id="+url.QueryEscape(u.ClientID)+"&client_secret="+url.QueryEscape(u.Secret), nil, nil)
	var r struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &r); err != nil || status != 200 || r.Token == "" {
		a.t.Fatalf("token: status %d, body %s", status, body)
	}
	a.token = r.Token
}

// do sends a request with the token and reads the reply.
func (a *account) do(method, path string, header http.Header, body []byte) (int, http.Header, []byte) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	resp, err := a.http.Do(r)
	if err != nil {
		return 0, nil, nil
	}
	defer func() { _ = resp.Body.Close() }()
	p, err := io.ReadAll(resp.Body)
	if err != nil {
		return -1, resp.Header, p
	}
	return resp.StatusCode, resp.Header, p
}

// reply is any envelope.
type reply struct {
	RequestID string            `json:"requestId"`
	Success   bool              `json:"success"`
	Result    []json.RawMessage `json:"result"`
	Errors    []struct{ Code, Message string }
	Warnings  []string `json:"warnings"`
	Token     string   `json:"nextPageToken"`
	More      *bool    `json:"moreResult"`
	raw       []byte
}

func (r reply) code() string {
	if len(r.Errors) == 0 {
		return ""
	}
	return r.Errors[0].Code
}

func (r reply) message() string {
	if len(r.Errors) == 0 {
		return ""
	}
	return r.Errors[0].Message
}

func (a *account) call(method, path string, body any) reply {
	a.t.Helper()
	var p []byte
	header := http.Header{}
	if body != nil {
		p, _ = json.Marshal(body)
		header.Set("Content-Type", "application/json")
	}
	status, _, got := a.do(method, path, header, p)
	var r reply
	if err := json.Unmarshal(got, &r); err != nil || status != 200 {
		a.t.Fatalf("%s %s: status %d, body %.300s", method, path, status, got)
	}
	if r.RequestID == "" {
		a.t.Errorf("%s %s: no requestId in %.200s", method, path, got)
	}
	r.raw = got
	return r
}

func (a *account) get(path string) reply { a.t.Helper(); return a.call("GET", path, nil) }

// want checks the error code of a reply; "" is success.
func (a *account) want(r reply, code string) {
	a.t.Helper()
	if r.code() != code || r.Success != (code == "") {
		a.t.Fatalf("reply: got code %q, success %v (%.200s), want code %q", r.code(), r.Success, r.raw, code)
	}
}

// forward moves the clock and takes a token if the old one has ended.
func (a *account) forward(d time.Duration) {
	a.t.Helper()
	a.clock.Advance(d)
	a.login(0)
}

// job is an export job on the wire.
type job struct {
	ExportID, Format, Status, CreatedAt, QueuedAt, StartedAt, FinishedAt, ErrorMsg, FileChecksum string
	NumberOfRecords, FileSize                                                                    *int64
}

func (a *account) job(r reply) job {
	a.t.Helper()
	a.want(r, "")
	var j job
	if len(r.Result) != 1 {
		a.t.Fatalf("job reply has %d results: %s", len(r.Result), r.raw)
	}
	if err := json.Unmarshal(r.Result[0], &j); err != nil {
		a.t.Fatal(err)
	}
	return j
}

type object = map[string]any

func between31(field string, from, to time.Time) object {
	return object{field: object{"startAt": from.Format(time.RFC3339), "endAt": to.Format(time.RFC3339)}}
}

// create makes an export job of the last 31 days.
func (a *account) create(obj string, fields []string) string {
	a.t.Helper()
	body := object{"filter": between31("createdAt", a.clock.Now().AddDate(0, 0, -30), a.clock.Now())}
	if fields != nil {
		body["fields"] = fields
	}
	return a.job(a.call("POST", "/bulk/v1/"+obj+"/export/create.json", body)).ExportID
}

func (a *account) enqueue(obj, id string) reply {
	a.t.Helper()
	return a.call("POST", "/bulk/v1/"+obj+"/export/"+id+"/enqueue.json", nil)
}

func (a *account) status(obj, id string) job {
	a.t.Helper()
	return a.job(a.get("/bulk/v1/" + obj + "/export/" + id + "/status.json"))
}

// export runs a whole job and returns its final status and its file.
func (a *account) export(obj string, body object) (job, []byte) {
	a.t.Helper()
	id := a.job(a.call("POST", "/bulk/v1/"+obj+"/export/create.json", body)).ExportID
	a.want(a.enqueue(obj, id), "")
	j := a.finish(obj, id)
	_, _, p := a.do("GET", "/bulk/v1/"+obj+"/export/"+id+"/file.json", nil, nil)
	return j, p
}

// finish polls until the job ends.
func (a *account) finish(obj, id string) job {
	a.t.Helper()
	for range 2000 {
		j := a.status(obj, id)
		switch j.Status {
		case "Created", "Queued", "Processing":
			a.forward(time.Minute)
		default:
			return j
		}
	}
	a.t.Fatal("the job does not end")
	return job{}
}

// lines splits a file of rows without newlines inside cells.
func lines(p []byte) []string { return strings.Split(strings.TrimSuffix(string(p), "\n"), "\n") }
