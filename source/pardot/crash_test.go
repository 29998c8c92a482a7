package pardot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/internal/truth"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot/pardotsim"
)

// crashStreams are one for each way of reading: ranges by both versions, whole listings, exports
// of one and of two passes, joins, and the special ones.
var crashStreams = []string{
	"prospects", "visitor_activities", "list_memberships", "visitors", "forms", "list_emails", "opportunity_prospects", "accounts",
}

// crashWorld is a business unit of some prospects that changes between syncs.
func crashWorld(m mode) func(t testing.TB, seed uint64) *crash.World {
	return func(t testing.TB, seed uint64) *crash.World {
		l := newLab(t, pardotsim.Config{Options: simulate.Options{Seed: seed + 1, Rows: 12}, FileRows: 30})
		l.read(m)
		open := func() someStreams { return someStreams{l.open(t, m.change), m.streams} }
		return &crash.World{
			Open: func() (martsync.Source, error) {
				l.clock.Advance(25 * time.Hour) // so that each sync looks for what is gone
				return open(), nil
			},
			Change: func() { l.Change(10) },
			Verify: func(ctx context.Context, d martsync.Destination) error { return l.verify(ctx, open(), d) },
			Clock:  l.clock,
		}
	}
}

// someStreams is a source with only some of its streams.
type someStreams struct {
	*source
	names []string
}

func (s someStreams) Streams(ctx context.Context) ([]martsync.Stream, error) {
	streams, err := s.source.Streams(ctx)
	return slices.DeleteFunc(streams, func(st martsync.Stream) bool { return !slices.Contains(s.names, st.Schema().Stream) }), err
}

// verify compares tables with the truth.
func (l *lab) verify(ctx context.Context, s martsync.Source, d martsync.Destination) error {
	reader, ok := d.(martsync.TableReader)
	if !ok {
		return martsync.ErrUnsupported
	}
	streams, err := s.Streams(ctx)
	if err != nil {
		return err
	}
	for _, st := range streams {
		schema := st.Schema()
		report, err := truth.Compare(ctx, reader, schema, l.truth(schema.Stream))
		if err != nil {
			return err
		}
		if !report.OK() {
			return errors.New(report.String())
		}
	}
	return nil
}

func memoryFactory(testing.TB) destinationtest.Factory {
	s := memory.NewStorage()
	return destinationtest.Factory{
		Open: func(testing.TB) martsync.Destination { return memory.New(s) },
		Quarantine: func(_ testing.TB, _ martsync.Destination, stream string) []martsync.Quarantined {
			return s.Quarantined(stream)
		},
	}
}

// TestCrash lets a sync die at its calls to the source, the destination and the state store, in every
// mode, and compares. MARTSYNC_NIGHTLY=1 makes it long.
func TestCrash(t *testing.T) {
	usual, exports := modes()[0], modes()[3]
	usual.streams, exports.streams = crashStreams, []string{"prospects", "list_memberships", "visitor_activities"}
	for _, m := range []mode{usual, exports} {
		t.Run(m.name, func(t *testing.T) {
			o := crash.Options{Runs: 5, Every: -1, Limits: pipeline.Thresholds{Rows: 7, Staged: 1}}
			if crash.Nightly() {
				o.Runs, o.Every = 1_000, 1
			}
			crash.Test(t, crashWorld(m), memoryFactory, o)
		})
	}
}

// A witness sees every secret that goes over the wire.
type witness struct {
	next http.RoundTripper

	mu      sync.Mutex
	secrets map[string]string // and where they were
}

func (w *witness) saw(where, secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(secret) >= 8 {
		w.secrets[secret] = where
	}
}

// RoundTrip makes the call, and keeps what it and the reply hold.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		_, token, _ := strings.Cut(header, " ")
		w.saw("Authorization", token)
	}
	if !strings.HasPrefix(r.URL.Path, "/services/oauth2/token") || r.Body == nil {
		return w.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"client_secret", "refresh_token", "password", "assertion"} {
		w.saw("form "+name, form.Get(name))
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	reply, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(reply))
	for _, name := range []string{"access_token", "refresh_token"} {
		if _, rest, ok := strings.Cut(string(reply), `"`+name+`":"`); ok {
			secret, _, _ := strings.Cut(rest, `"`)
			w.saw("reply "+name, secret)
		}
	}
	return resp, nil
}

// TestX23NoSecretLeavesTheWire looks for every secret that went over the wire in everything that a
// sync, a check and their errors leave behind, whichever way they log in and whatever goes wrong.
func TestX23NoSecretLeavesTheWire(t *testing.T) {
	user := pardotsim.DefaultUsers()[0]
	grants := map[string]func(*Config){
		grantRefreshToken:      func(*Config) {},
		grantClientCredentials: func(c *Config) { c.Grant, c.RefreshToken = grantClientCredentials, "" },
		grantPassword: func(c *Config) {
			c.Grant, c.RefreshToken = grantPassword, ""
			c.Username, c.Password, c.SecurityToken = user.Username, martsync.Secret(user.Password), martsync.Secret(user.SecurityToken)
		},
	}
	for _, grant := range slices.Sorted(maps.Keys(grants)) {
		t.Run(grant, func(t *testing.T) {
			l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 40}, Rotate: true, TokenLife: 10 * time.Minute})
			w := &witness{secrets: map[string]string{}}
			l.transport = func(next http.RoundTripper) http.RoundTripper { w.next = next; return w }
			for _, fault := range []string{
				"expire:every=9", "code:code=184,every=23,message=access_token is bad", "broken:every=13", "drop:every=17", "cut:path=*downloadResults*,times=1",
				"login:error=rate_limit_exceeded,nth=2", "status:path=/services/oauth2/token,nth=3", "broken:path=/services/oauth2/token,nth=4",
			} {
				if err := l.AddFault(fault); err != nil {
					t.Fatal(err)
				}
			}
			s := l.open(t, grants[grant])
			left := describe(s.Check(t.Context()))
			for range 2 {
				out, err := l.run(t, s)
				left += fmt.Sprintf("%+v %v", out, err)
				l.Change(20)
				l.clock.Advance(21 * time.Hour)
			}
			// What the vendor refuses for good.
			w.saw("configuration", "a-secret-that-is-wrong")
			wrong := l.open(t, grants[grant], func(c *Config) { c.ClientSecret = "a-secret-that-is-wrong" })
			left += describe(wrong.Check(t.Context()))
			_, err := l.run(t, wrong)
			left += fmt.Sprintf("%v %+v %#v", err, err, wrong.cfg)
			if err == nil {
				t.Error("a wrong secret is accepted")
			}
			left += l.log.String() + l.remains(t)
			if len(w.secrets) < 4 || len(left) < 10_000 {
				t.Fatalf("%d secrets and %d bytes of text: this proves nothing", len(w.secrets), len(left))
			}
			for secret, where := range w.secrets {
				for _, form := range []string{secret, url.QueryEscape(secret), strings.ReplaceAll(secret, "/", `\/`)} {
					if i := strings.Index(left, form); i >= 0 {
						t.Errorf("the secret of %s is shown: …%s", where, left[max(0, i-80):i])
					}
				}
			}
			if strings.Contains(left, "Bearer ") {
				t.Error("an Authorization header is shown")
			}
		})
	}
}

// remains is everything that syncs have left in the state store and in the mart, as text.
func (l *lab) remains(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	keys, err := l.state.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		d, err := l.state.Get(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s\n", k, d.Data)
	}
	d := memory.New(l.storage)
	for e, err := range d.Ledger(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%+v\n", e)
	}
	for _, o := range catalog {
		fmt.Fprintf(&b, "%+v %+v\n", l.storage.Log(o.stream), l.storage.Quarantined(o.stream))
		schema, records, err := d.ReadTable(t.Context(), o.stream)
		if err != nil {
			continue // its sync has failed
		}
		for r, err := range records {
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows.Of(schema.Columns, r) {
				for _, cell := range row {
					b.WriteString(rows.Text(cell) + "\t")
				}
			}
		}
	}
	return b.String()
}
