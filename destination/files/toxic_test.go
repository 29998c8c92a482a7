package files

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/simulate"
)

// A networkFault is what can happen to a request between us and the store. It is done by a proxy that
// the request has for itself, or by the store's server.
type networkFault struct {
	toxics func(r *http.Request) []string // of the proxy, as its interface writes them
	server func(w http.ResponseWriter, r *http.Request, next http.Handler) bool

	meets    func(r *http.Request) bool // which requests it can happen to; nil: all
	harmless bool                       // it takes time, no more
}

func toxics(all ...string) func(*http.Request) []string {
	return func(*http.Request) []string { return all }
}

var networkFaults = map[string]networkFault{
	"upload cut": {
		toxics: func(r *http.Request) []string {
			// Its body breaks off in the middle, whatever the length of the header.
			header, err := httputil.DumpRequestOut(r.Clone(r.Context()), false)
			if err != nil {
				panic(err)
			}
			return []string{fmt.Sprintf(`{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": %d}}`, int64(len(header))+r.ContentLength/2)}
		},
		meets: func(r *http.Request) bool { return r.ContentLength > 0 },
	},
	"download cut": {
		// Longer than any header of a reply: it is the body that breaks off, of manifests, data files and
		// longer listings. What is shorter gets through.
		toxics: toxics(`{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 1000}}`),
		meets:  func(r *http.Request) bool { return r.Method == http.MethodGet },
	},
	"request lost":  {toxics: toxics(`{"type": "timeout", "stream": "upstream", "attributes": {"timeout": 3}}`)},
	"reply lost":    {toxics: toxics(`{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 10}}`)},
	"request reset": {toxics: toxics(`{"type": "reset_peer", "stream": "upstream", "attributes": {"timeout": 0}}`)},
	"reply reset":   {toxics: toxics(`{"type": "reset_peer", "stream": "downstream", "attributes": {"timeout": 0}}`)},
	"slow link": {
		toxics: toxics(
			`{"type": "latency", "stream": "upstream", "attributes": {"latency": 2, "jitter": 1}}`,
			`{"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 1000}}`,
			`{"type": "latency", "stream": "downstream", "attributes": {"latency": 2, "jitter": 1}}`,
			`{"type": "bandwidth", "stream": "downstream", "attributes": {"rate": 1000}}`,
		),
		harmless: true,
	},
	"500":     {server: says(http.StatusInternalServerError, "InternalError")},
	"503":     {server: says(http.StatusServiceUnavailable, "SlowDown")},
	"hung up": {server: s3test.LoseReply},
}

// says answers with an error.
func says(status int, code string) func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		s3test.Say(w, status, code, "Please try again.")
		return true
	}
}

// toxicHeader marks the requests that the server's faults happen to.
const toxicHeader = "Martsync-Toxic"

// A faultyNetwork lies between us and a store. It lets a fault happen at one place of everything that is
// asked of the store.
type faultyNetwork struct {
	tb     testing.TB
	s3     *blobtest.S3
	fault  networkFault
	server *toxiproxy.ApiServer
	direct *http.Transport

	at      int  // the number of the request; -1: none
	lasting bool // until an error has reached the caller: longer than the SDK is patient
	every   int  // instead: every n-th request

	mu     sync.Mutex      // of what follows
	asked  []*http.Request // those that the fault can meet
	loaded int             // how many of them had come when the tables were loaded
	broken bool            // a lasting fault lasts
	hits   int
	errors int // that reached the caller
}

func newFaultyNetwork(tb testing.TB, f networkFault) *faultyNetwork {
	n := &faultyNetwork{
		tb: tb, s3: blobtest.NewS3(tb), fault: f, at: -1, direct: &http.Transport{},
		server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
	}
	tb.Cleanup(n.direct.CloseIdleConnections)
	n.s3.During(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		return r.Header.Get(toxicHeader) != "" && f.server(w, r, next)
	})
	return n
}

func (n *faultyNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	if !n.hit(r) {
		return n.direct.RoundTrip(r)
	}
	// A connection for this request alone: nothing else suffers, and net/http does not try again by itself,
	// as it does if a connection that it had used before is closed.
	alone := &http.Transport{DisableKeepAlives: true}
	if n.fault.server != nil {
		r = r.Clone(r.Context())
		r.Header.Set(toxicHeader, "yes")
		return alone.RoundTrip(r)
	}
	proxy := toxiproxy.NewProxy(n.server, "s3", "127.0.0.1:0", n.s3.Address())
	if err := proxy.Start(); err != nil {
		n.tb.Error(err)
		return nil, err
	}
	n.tb.Cleanup(proxy.Stop)
	for _, toxic := range n.fault.toxics(r) {
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			n.tb.Error(err)
			return nil, err
		}
	}
	alone.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, proxy.Listen)
	}
	return alone.RoundTrip(r)
}

// hit counts a request and reports whether the fault happens to it.
func (n *faultyNetwork) hit(r *http.Request) bool {
	if n.fault.meets != nil && !n.fault.meets(r) {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	number := len(n.asked)
	n.asked = append(n.asked, r)
	hit := number == n.at || n.broken
	n.broken = hit && n.lasting
	if n.every > 0 {
		hit = number%n.every == n.every-1
	}
	if hit {
		n.hits++
	}
	return hit
}

// failed ends a lasting fault, about which the caller was told.
func (n *faultyNetwork) failed(t *testing.T, err error) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.broken = false
	n.errors++
	// A request whose connection broke may still be carried out, also after its writer was replaced.
	if k := martsync.KindOf(err); k != martsync.Transient && k != martsync.Conflict {
		t.Errorf("an error of kind %v: %v", k, err)
	}
	if n.errors > 20 {
		t.Fatalf("it does not end: %v", err)
	}
}

// destination opens everything anew, as another process would.
func (n *faultyNetwork) destination(t *testing.T, through http.RoundTripper) *destination {
	t.Helper()
	// The time stands still so that each run asks the same of the store.
	env := coreEnv(t, simulate.NewClock(noon))
	env.HTTP = &http.Client{Transport: through, Timeout: time.Minute}
	// Of the formats this one takes the least time.
	return destinationOn(t, blobtest.Open(t, "data", n.s3.Options(), env), Config{Format: "ndjson"}, env)
}

var (
	toxicColumns = []martsync.Column{
		{Name: "id", Type: martsync.Int64}, {Name: "text", Type: martsync.String}, {Name: "version", Type: martsync.Int64},
	}
	toxicTables = []martsync.Schema{
		{Stream: "contacts", Key: []string{"id"}, Version: "version", Columns: toxicColumns},
		{Stream: "clicks", Columns: toxicColumns}, // a row that is written twice is there twice
	}
)

const (
	toxicCommits = 3
	toxicRows    = 14 // of a commit
)

// toxicRow is a row of a commit. Half of the ids of the commit before it come again. Its text
// cannot be compressed, so that each file is sent in several parts.
func toxicRow(commit, i int) (id int64, text string, version int64) {
	id = int64(commit*toxicRows/2 + i)
	random := rand.New(rand.NewPCG(uint64(commit), uint64(i)))
	for range 6 {
		text += strconv.FormatUint(random.Uint64(), 36)
	}
	return id, text, int64(commit)
}

// toxicWant is what a table must hold in the end.
func toxicWant(s martsync.Schema) []string {
	newest := map[int64]string{}
	var all []string
	for commit := range toxicCommits {
		for i := range toxicRows {
			id, text, version := toxicRow(commit, i)
			newest[id] = fmt.Sprint([]any{id, text, version})
			all = append(all, newest[id])
		}
	}
	if len(s.Key) > 0 {
		all = slices.Collect(maps.Values(newest))
	}
	slices.Sort(all)
	return all
}

func toxicRead(ctx context.Context, d *destination, stream string) ([]string, error) {
	schema, batches, err := d.ReadTable(ctx, stream)
	if err != nil {
		return nil, err
	}
	var all []string
	for r, err := range batches {
		if err != nil {
			return nil, err
		}
		for _, row := range rows.Of(schema.Columns, r) {
			all = append(all, fmt.Sprint([]any{row[schema.Index("id")], row[schema.Index("text")], row[schema.Index("version")]}))
		}
	}
	slices.Sort(all)
	return all, nil
}

// load brings a table to its end. After an error it assumes nothing, closes, opens again and lets the
// destination say which way it went.
func (n *faultyNetwork) load(t *testing.T, s martsync.Schema) {
	t.Helper()
	var confirmed, attempted int // commits
	for {
		err := func() error {
			w, err := n.destination(t, n).Open(t.Context(), s)
			if err != nil {
				return err
			}
			defer w.Close()
			at := 0
			if w.Cursor() != "" {
				if at, err = strconv.Atoi(string(w.Cursor())); err != nil {
					t.Fatal(err)
				}
			}
			if at < confirmed || at > attempted {
				t.Fatalf("%s stands at commit %d; %d were confirmed and %d attempted", s.Stream, at, confirmed, attempted)
			}
			for ; at < toxicCommits; at++ {
				b := rows.NewBuilder(s.Columns)
				for i := range toxicRows {
					id, text, version := toxicRow(at, i)
					b.Append(id, text, version)
				}
				if err := w.Write(t.Context(), b.Records()); err != nil {
					return err
				}
				rows.Poison(b.Records())
				attempted = at + 1
				err := w.Commit(t.Context(), martsync.Commit{
					Sync: "test", At: noon, Next: martsync.Cursor(strconv.Itoa(at + 1)), Windows: []martsync.Window{{Job: strconv.Itoa(at)}},
				})
				if err != nil {
					return err
				}
				confirmed = at + 1
			}
			return nil
		}()
		if err == nil {
			return
		}
		n.failed(t, err)
	}
}

// tell loads all tables and reads them, through the fault.
func (n *faultyNetwork) tell(t *testing.T) {
	t.Helper()
	for _, s := range toxicTables {
		n.load(t, s)
	}
	n.mu.Lock()
	n.loaded = len(n.asked)
	n.mu.Unlock()
	for _, s := range toxicTables {
		for {
			got, err := toxicRead(t.Context(), n.destination(t, n), s.Stream)
			if err != nil {
				n.failed(t, err)
				continue
			}
			// What broke off must not pass for a table that is shorter.
			if diff := cmp.Diff(toxicWant(s), got); diff != "" {
				t.Errorf("%s, read through the fault (-want +got):\n%s", s.Stream, diff)
			}
			break
		}
	}
}

// check looks at what the store holds, without the fault.
func (n *faultyNetwork) check(t *testing.T) {
	t.Helper()
	d := n.destination(t, n.direct)
	files := map[string]bool{}
	for _, s := range toxicTables {
		got, err := toxicRead(t.Context(), d, s.Stream)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(toxicWant(s), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.Stream, diff)
		}
		var windows []string
		for m, err := range d.history(t.Context(), s.Stream) {
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range m.Windows {
				windows = append(windows, w.Job)
			}
			for i := range m.Files {
				if files[m.Files[i].Key] {
					t.Errorf("file %s is promised twice", m.Files[i].Key)
				}
				files[m.Files[i].Key] = true
			}
		}
		if want := []string{"0", "1", "2"}; !slices.Equal(windows, want) {
			t.Errorf("ledger of %s: got %q, want %q", s.Stream, windows, want)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(visible(t, d.store)))); diff != "" {
		t.Errorf("visible files (-promised +visible):\n%s", diff)
	}
}

// A toxicPlace finds the request that a fault begins with, among those that are made without it.
type toxicPlace struct {
	find func(asked []*http.Request, loaded int) int // -1: there is none such
	once bool                                        // a fault of this one request is tried too
}

var toxicPlaces = map[string]toxicPlace{
	"first":   {func([]*http.Request, int) int { return 0 }, false},
	"middle":  {func(_ []*http.Request, loaded int) int { return loaded / 2 }, false},
	"last":    {func(_ []*http.Request, loaded int) int { return loaded - 1 }, false},
	"commit":  {toxicFind(http.MethodPut, "/manifest-"), true},
	"finish":  {toxicFind(http.MethodPost, "uploadId="), false},
	"reading": {func(asked []*http.Request, loaded int) int { return max(loaded, (loaded+len(asked))/2) }, false},
}

func toxicFind(method, text string) func([]*http.Request, int) int {
	return func(asked []*http.Request, _ int) int {
		return slices.IndexFunc(asked, func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.String(), text) })
	}
}

// TestToxicNetwork lets the network fail at many places of loading and reading two tables. If it does so
// once, the SDK gets over it; if it lasts, the sync has to.
func TestToxicNetwork(t *testing.T) {
	calm := newFaultyNetwork(t, networkFault{})
	calm.tell(t)
	calm.check(t)
	if calm.errors > 0 || t.Failed() {
		t.Fatalf("%d errors without a fault", calm.errors)
	}
	for name, fault := range networkFaults {
		var asked []*http.Request
		loaded := 0
		for i, r := range calm.asked {
			if fault.meets == nil || fault.meets(r) {
				asked = append(asked, r)
				if i < calm.loaded {
					loaded++
				}
			}
		}
		t.Run(name, func(t *testing.T) {
			for place, p := range toxicPlaces {
				at := p.find(asked, loaded)
				if at < 0 || at >= len(asked) {
					continue
				}
				if p.once && !fault.harmless {
					t.Run(place, func(t *testing.T) {
						t.Parallel()
						n := newFaultyNetwork(t, fault)
						n.at = at
						n.run(t)
					})
				}
				if fault.harmless && place != "first" {
					continue // that lasts to the end
				}
				t.Run(place+", lasting", func(t *testing.T) {
					t.Parallel()
					n := newFaultyNetwork(t, fault)
					n.at, n.lasting = at, true
					n.run(t)
					// Cleaning up fails without a word, and that may be the last request.
					if place != "last" && (n.errors > 0) == fault.harmless {
						t.Errorf("%d errors", n.errors)
					}
				})
			}
			t.Run("every second", func(t *testing.T) {
				t.Parallel()
				n := newFaultyNetwork(t, fault)
				n.every = 2
				n.run(t)
			})
		})
	}
}

func (n *faultyNetwork) run(t *testing.T) {
	t.Helper()
	n.tell(t)
	if n.hits == 0 {
		t.Errorf("nothing happened in %d requests", len(n.asked))
	}
	n.check(t)
}
