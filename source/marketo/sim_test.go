package marketo

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/source/sourcetest"
)

// A lab is a simulated account and a source on it.
type lab struct {
	*marketosim.Server
	clock *simulate.Clock
	url   string
	log   *lockedBuffer
}

var restStreams = []string{"programs", "smart_campaigns", "emails", "static_lists", "campaigns", "list_members"}

func newLab(t testing.TB, cfg marketosim.Config) *lab {
	t.Helper()
	l := &lab{clock: simulate.NewClock(time.Date(2026, 3, 16, 9, 30, 0, 0, time.UTC)), log: &lockedBuffer{}}
	cfg.Clock, cfg.Seed = l.clock, 7
	if cfg.Rows == 0 {
		cfg.Rows = 3000
	}
	sim, err := marketosim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.Server = sim
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

func (l *lab) open(t testing.TB, change ...func(*Config)) *source {
	t.Helper()
	text, err := json.Marshal(l.SourceConfig(l.url))
	if err != nil {
		t.Fatal(err)
	}
	var cfg Config
	if err := json.Unmarshal(text, &cfg); err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&cfg)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s, err := open(cfg, martsync.Env{
		Log:  slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		HTTP: &http.Client{Transport: transport}, Clock: l.clock, TempDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stream makes one of the streams of this file without those of bulk exports.
func (s *source) stream(t testing.TB, name string) martsync.Stream {
	t.Helper()
	for i := range assets {
		if assets[i].stream == name {
			return newAssetStream(s, &assets[i])
		}
	}
	switch name {
	case "campaigns":
		return newCampaignStream(s)
	case "list_members":
		return newMemberStream(s)
	}
	t.Fatalf("no stream %s", name)
	return nil
}

// differences compares a table with the truth.
func (l *lab) differences(tb *table, name string) (diffs []string) {
	left := map[string]bool{}
	for _, k := range tb.live() {
		left[k] = true
	}
	for row := range l.Truth(name) {
		var key []string
		for _, k := range tb.key {
			key = append(key, fmt.Sprint(row.Values[k]))
		}
		k := strings.Join(key, "/")
		switch {
		case row.Gone && left[k]:
			diffs = append(diffs, k+" is gone and still there")
		case !row.Gone && !left[k]:
			diffs = append(diffs, k+" is missing")
		case !row.Gone:
			for column, want := range row.Values {
				if got := tb.vals[k][column]; !same(want, got) {
					diffs = append(diffs, fmt.Sprintf("%s: %s is %v, want %v", k, column, got, want))
				}
			}
		}
		delete(left, k)
	}
	for k := range left {
		diffs = append(diffs, k+" should not be there")
	}
	slices.Sort(diffs)
	return diffs[:min(len(diffs), 10)]
}

func same(want, got any) bool {
	switch w := want.(type) {
	case simulate.OneOf:
		return slices.ContainsFunc(w, func(w any) bool { return same(w, got) })
	case json.RawMessage:
		g, ok := got.(json.RawMessage)
		var a, b any
		return ok && json.Unmarshal(w, &a) == nil && json.Unmarshal(g, &b) == nil && reflect.DeepEqual(a, b)
	case time.Time:
		g, ok := got.(time.Time)
		return ok && w.Equal(g)
	}
	if day, ok := got.(time.Time); ok {
		return want == day.Format(time.DateOnly)
	}
	return want == got
}

func TestSimulatorFirstSyncChangesAndFullPasses(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 1000}})
	tables := map[string]*table{}
	for round := range 6 {
		s := l.open(t)
		for _, name := range restStreams {
			st := s.stream(t, name)
			if tables[name] == nil {
				tables[name] = newTable(originsOf(st.Schema())...)
			}
			mustRead(t, tables[name], st)
			diffs := l.differences(tables[name], name)
			if round%2 == 1 && name != "campaigns" && name != "list_members" {
				// Between full listings only what vanished may still be there.
				diffs = slices.DeleteFunc(diffs, func(d string) bool {
					return strings.HasSuffix(d, "still there") || strings.HasSuffix(d, "should not be there")
				})
			}
			if len(diffs) > 0 {
				t.Errorf("round %d, %s:\n%s", round, name, strings.Join(diffs, "\n"))
			}
		}
		l.clock.Advance(time.Hour)
		if said := l.Change(400); len(said) == 0 {
			t.Fatal("nothing has changed")
		}
		l.clock.Advance(time.Hour)
		if round%2 == 1 {
			l.clock.Advance(8 * 24 * time.Hour)
		}
	}
	for _, name := range restStreams {
		if len(tables[name].live()) == 0 {
			t.Errorf("%s: the simulator has none, so this proves nothing", name)
		}
		if len(tables[name].bad) > 0 {
			t.Errorf("%s: in quarantine: %+v", name, tables[name].bad[0])
		}
	}
	st := l.Stats()
	if len(st.Refused) > 0 {
		t.Errorf("the vendor refused calls: %v", st.Refused)
	}
	if got := l.MaxInFlight(); got > 5 {
		t.Errorf("%d calls in flight, want at most 5", got)
	}
}

// originsOf is a schema's key in the words of the truth.
func originsOf(s martsync.Schema) (names []string) {
	for _, k := range s.Key {
		names = append(names, setting.Or(s.Columns[s.Index(k)].Origin, k))
	}
	return names
}

func TestSimulatorFaultsCostOnlyTime(t *testing.T) {
	for _, fault := range []string{
		"code:code=606,every=7", "code:code=615,every=5", "code:code=608,every=4", "code:code=611,every=6", "code:code=604,every=9",
		"status:code=502,every=4", "status:code=503,every=5", "status:code=429,every=8", "empty:every=6", "broken:every=5", "cut:every=6",
		"expire:every=11", "slow:for=20m,every=13",
	} {
		t.Run(fault, func(t *testing.T) {
			l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 200}})
			if err := l.AddFault(fault); err != nil {
				t.Fatal(err)
			}
			s := l.open(t)
			for _, name := range restStreams {
				st := s.stream(t, name)
				tb := newTable(originsOf(st.Schema())...)
				mustRead(t, tb, st)
				if diffs := l.differences(tb, name); len(diffs) > 0 {
					t.Errorf("%s:\n%s", name, strings.Join(diffs, "\n"))
				}
			}
			if len(l.Stats().Faults) == 0 {
				t.Error("the fault never happened")
			}
		})
	}
}

func TestSimulatorLookup(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 400}})
	s := l.open(t)
	want := map[string]map[string]any{}
	var ids []string
	for row := range l.Truth("leads") {
		id := fmt.Sprint(row.Values["id"])
		ids = append(ids, id)
		if !row.Gone {
			want[id] = row.Values
		}
	}
	ids = append(ids, "999999999")
	schema, seq, err := s.Lookup(t.Context(), "leads", ids, []string{"email", "firstName", "createdAt", "annualRevenue"})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := texts(t, schema, seq)
	if err != nil || len(rows) != len(want) || len(want) < 300 {
		t.Fatalf("%d rows, %v, want %d", len(rows), err, len(want))
	}
	for _, row := range rows {
		w := want[row[0]]["email"]
		got := any(row[schema.Index("email")])
		if got == "null" {
			got = nil
		}
		if !same(w, got) {
			t.Errorf("lead %s: email %q, want %v", row[0], got, w)
		}
	}
}

func TestSimulatorCheck(t *testing.T) {
	healthy := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}})
	findings := healthy.open(t).Check(t.Context())
	seen := map[string]martsync.Finding{}
	for _, f := range findings {
		if !f.OK {
			t.Errorf("%s: %s", f.Subject, f.Detail)
		}
		if _, twice := seen[f.Subject]; twice || f.Detail == "" {
			t.Errorf("finding %+v comes twice or says nothing", f)
		}
		seen[f.Subject] = f
	}
	for subject, text := range map[string]string{
		"endpoint": "127.0.0.1", "credentials": "warehouse.api@larkfield.example", "API calls today": "of 50000",
		"stream leads": "exportable fields", "stream leads: changes": "filter updatedAt works", "stream activities": "activity types",
		"stream programs": "readable", "stream list_members": "readable", "stream campaigns": "readable",
	} {
		if !strings.Contains(seen[subject].Detail, text) {
			t.Errorf("%s: %q, want %q in it", subject, seen[subject].Detail, text)
		}
	}

	users := marketosim.DefaultUsers()
	users[0].Denied = []string{"Read-Only Assets", "Read-Only Campaign"}
	poor := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}, Users: users, NoUpdatedAt: true})
	want := map[string]string{
		"stream program_members": "Read-Only Assets", "stream programs": "Read-Only Assets", "stream emails": "Read-Only Assets", "stream smart_campaigns": "Read-Only Assets",
		"stream static_lists": "Read-Only Assets", "stream smart_lists": "Read-Only Assets", "stream tokens": "Read-Only Assets",
		"stream campaigns": "Read-Only Campaign",
	}
	for i := range listings {
		if newListingStream(nil, &listings[i]).listing.permission == readAssets {
			want["stream "+listings[i].stream] = "Read-Only Assets"
		}
	}
	for _, f := range poor.open(t).Check(t.Context()) {
		if f.Subject == "stream leads: changes" && (!f.OK || !strings.Contains(f.Detail, "changes feed and read by id, and every 30d")) {
			t.Errorf("%+v, want it to say in which way changes arrive", f)
		}
		hint, bad := want[f.Subject]
		if f.OK == bad || bad && !strings.Contains(f.Hint, hint) {
			t.Errorf("%+v, want a hint about %q: %v", f, hint, bad)
		}
		delete(want, f.Subject)
	}
	if len(want) > 0 {
		t.Errorf("no findings about %v", want)
	}

	wrong := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}})
	findings = wrong.open(t, func(c *Config) { c.ClientSecret = "hush-hush" }).Check(t.Context())
	if last := findings[len(findings)-1]; last.Subject != "credentials" || last.OK || !strings.Contains(last.Hint, "client_secret") || len(findings) != 2 {
		t.Errorf("with a wrong secret: %+v, want to stop at the credentials", findings)
	}
	if strings.Contains(wrong.log.String()+fmt.Sprint(findings), "hush-hush") {
		t.Error("the secret is shown")
	}
}

func TestSimulatorViews(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}})
	s := l.open(t)
	views, err := s.Views(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	streams, err := s.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	schemas := map[string]martsync.Schema{}
	for _, st := range streams {
		schemas[st.Schema().Stream] = st.Schema()
	}
	if len(views) < 20 {
		t.Errorf("%d views, want one for each activity type", len(views))
	}
	for _, v := range views {
		for _, c := range v.Columns {
			of := schemas[v.From]
			if c.Joined {
				of = schemas[v.Join.Stream]
			}
			if of.Index(c.Column) < 0 && c.Column != martsync.Deleted {
				t.Errorf("%s.%s is of a column %s that %s lacks", v.Name, c.Name, c.Column, of.Stream)
			}
		}
	}
}

func TestLaws(t *testing.T) {
	sourcetest.Run(t, func(t testing.TB) sourcetest.Setup {
		l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 300}})
		return sourcetest.Setup{
			Open:    func(t testing.TB) martsync.Source { return l.open(t) },
			Clock:   l.clock,
			Streams: restStreams,
			Calls:   func() int64 { return int64(l.Stats().Calls) },
		}
	})
}
