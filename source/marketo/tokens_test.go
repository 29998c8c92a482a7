package marketo

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

// A keyring has folders and programs with tokens.
type keyring struct {
	mu      sync.Mutex
	places  map[string]time.Time // "Program 5" → updated; zero: the record does not say
	tokens  map[string][]string  // names
	asked   []string
	wrong   string                      // a place whose reply is an error
	onAsk   func(k *keyring, of string) // may change it
	unknown map[string]bool             // places whose tokens are answered "no such folder"
}

func (k *keyring) vendor(t testing.TB) *fakeVendor {
	listing := func(program bool) script {
		return func(n int, w http.ResponseWriter, r *http.Request) {
			k.mu.Lock()
			defer k.mu.Unlock()
			d := drawer{}
			for _, name := range slices.Sorted(maps.Keys(k.places)) {
				p, err := placeNamed(name)
				if err != nil {
					t.Error(err)
				}
				at := k.places[name]
				stamp := ""
				if !at.IsZero() {
					stamp = fmt.Sprintf(`,"updatedAt":"%s"`, at.UTC().Format("2006-01-02T15:04:05Z+0000"))
				}
				if from := r.Form.Get("earliestUpdatedAt"); program && from != "" && !at.IsZero() && at.UTC().Format("2006-01-02T15:04:05Z") < from {
					continue
				}
				switch {
				case program && p.program:
					d.records = append(d.records, fmt.Sprintf(`{"id":%d%s}`, p.id, stamp))
				case !program && !p.program: // this vendor does not list programs as folders
					d.records = append(d.records, fmt.Sprintf(`{"id":%d,"folderId":{"id":%d,"type":"FOLDER"}%s}`, p.id, p.id, stamp))
				}
			}
			d.serve(n, w, r)
		}
	}
	v := newFakeVendor(t, map[string]script{foldersPath: listing(false), assets[0].path: listing(true)})
	inner := v.Config.Handler
	v.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, assetRoot+"folder/"), "/tokens.json")
		if !ok {
			inner.ServeHTTP(w, r)
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		of := r.URL.Query().Get("folderType") + " " + id
		k.asked = append(k.asked, of)
		if k.onAsk != nil {
			k.onAsk(k, of)
		}
		var list []string
		for _, n := range k.tokens[of] {
			list = append(list, fmt.Sprintf(`{"name":%q,"type":"text","value":"v %s","computedUrl":"u"}`, n, n))
		}
		_, exists := k.places[of]
		switch {
		case of == k.wrong:
			replies(faulty("1003", "no"))(0, w, r)
		case !exists || k.unknown[of]:
			replies(faulty("710", "Folder not found"))(0, w, r)
		case list == nil:
			replies(`{"success":true,"errors":[],"requestId":"x","warnings":["No assets found for the given search criteria."]}`)(0, w, r)
		default:
			n, _ := strconv.Atoi(id)
			replies(result(fmt.Sprintf(`{"folder":{"type":%q,"value":%d},"tokens":[%s]}`, r.URL.Query().Get("folderType"), n, strings.Join(list, ","))))(0, w, r)
		}
	})
	return v
}

func (k *keyring) want() []string {
	var keys []string
	for of, names := range k.tokens {
		if _, exists := k.places[of]; !exists {
			continue
		}
		for _, n := range names {
			keys = append(keys, of+"/"+n+"/text")
		}
	}
	slices.Sort(keys)
	return keys
}

func (k *keyring) taken() []string {
	asked := k.asked
	k.asked = nil
	return asked
}

func newKeyring(at time.Time) *keyring {
	return &keyring{
		places: map[string]time.Time{"Folder 5": at, "Program 5": at, "Folder 9": at, "Program 12": at, "Folder 700": at},
		tokens: map[string][]string{"Folder 5": {"a", "b"}, "Program 5": {"a"}, "Program 12": {"x", "y", "z"}},
	}
}

func TestTokensFollowTheirFolders(t *testing.T) {
	k := newKeyring(newStillClock().Now().Add(-90 * 24 * time.Hour))
	v := k.vendor(t)
	s := newTokenStream(v.source(t))
	tb := newTable(s.schema.Key...)
	check := func(what string, asked ...string) {
		t.Helper()
		mustRead(t, tb, s)
		if diff := cmp.Diff(k.want(), tb.live()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		if diff := cmp.Diff(asked, k.taken()); diff != "" {
			t.Errorf("%s: asked (-want +got):\n%s", what, diff)
		}
		v.clock.advance(time.Hour)
	}
	all := []string{"Folder 5", "Program 5", "Folder 9", "Program 12", "Folder 700"}
	check("first pass", all...)
	if got := tb.vals["Program 5/a/text"]; got["folder_id"] != int64(5) || got["folder_type"] != "Program" || got["value"] != "v a" || got["computedUrl"] != "u" {
		t.Errorf("a token: %v", got)
	}
	if len(tb.wins) != 3 || tb.wins[0].Parsed != 2 {
		t.Errorf("windows %+v, want one for each folder with tokens", tb.wins)
	}
	check("nothing is new")

	now := v.clock.Now().Add(-30 * time.Minute) // before what the next read looks back at
	k.places["Program 12"], k.tokens["Program 12"] = now, []string{"y", "new"}
	k.places["Folder 800"], k.tokens["Folder 800"] = now, []string{"c"}
	check("a program was updated and a folder is new", "Program 12", "Folder 800")
	k.places["Folder 9"], k.tokens["Folder 9"] = time.Time{}, []string{"q"}
	check("who does not say when it was updated is asked each time", "Folder 9")
	check("and again", "Folder 9")
	k.places["Folder 9"] = now.Add(-time.Hour)

	// What no folder shows comes with the next pass, at the latest a day later.
	k.tokens["Folder 5"] = nil
	k.tokens["Folder 700"] = []string{"late"}
	delete(k.places, "Program 5")
	v.clock.advance(24 * time.Hour)
	check("the next day", "Folder 5", "Folder 9", "Program 12", "Folder 700", "Folder 800")
	k.unknown = map[string]bool{"Program 12": true} // vanishes between the listing and the question
	k.tokens["Program 12"] = nil
	v.clock.advance(24 * time.Hour)
	check("the day after", "Folder 5", "Folder 9", "Program 12", "Folder 700", "Folder 800")
}

func TestTokensResumeAtEveryCursor(t *testing.T) {
	run := func(stop int) (batches int, got, want []string) {
		k := newKeyring(newStillClock().Now().Add(-90 * 24 * time.Hour))
		v := k.vendor(t)
		tb := newTable("parent", "name", "type")
		mustRead(t, tb, newTokenStream(v.source(t)))
		v.clock.advance(25 * time.Hour)
		k.tokens = map[string][]string{"Folder 5": {"b"}, "Folder 9": {"n"}, "Program 12": {"x", "y", "z"}, "Folder 700": {"n", "m"}}
		delete(k.places, "Program 5")
		if err := tb.read(t, newTokenStream(v.source(t)), martsync.Span{}, func(n int) bool { batches = n; return n == stop }); err != nil {
			t.Fatal(err)
		}
		if stop > 0 {
			mustRead(t, tb, newTokenStream(v.source(t)))
		}
		return batches, tb.live(), k.want()
	}
	batches, _, _ := run(0)
	for stop := range batches + 1 {
		if _, got, want := run(stop); !slices.Equal(got, want) {
			t.Errorf("stopped after batch %d: %v, want %v", stop, got, want)
		}
	}
}

// A pass that breaks off goes on where it was.
func TestTokensGoOnWhereTheyStopped(t *testing.T) {
	k := newKeyring(newStillClock().Now().Add(-90 * 24 * time.Hour))
	k.wrong = "Program 12"
	v := k.vendor(t)
	s := newTokenStream(v.source(t))
	tb := newTable(s.schema.Key...)
	if err := tb.read(t, s, martsync.Span{}, nil); martsync.KindOf(err) != martsync.Data {
		t.Fatalf("got %v, want an error of kind Data", err)
	}
	k.wrong = ""
	k.taken()
	mustRead(t, tb, s)
	// Folder 9 has none, so no cursor came after it.
	if diff := cmp.Diff([]string{"Folder 9", "Program 12", "Folder 700"}, k.taken()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(k.want(), tb.live()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTokensQuarantine(t *testing.T) {
	v := newFakeVendor(t, map[string]script{
		foldersPath:    (&drawer{records: []string{`{"id":5,"folderId":{"id":5,"type":"Folder"},"updatedAt":"2026-01-01T00:00:00Z+0000"}`}}).serve,
		assets[0].path: (&drawer{}).serve,
		assetRoot + "folder/5/tokens.json": replies(
			result(`{"folder":{"type":"Folder","value":5},"tokens":[{"name":"a","type":"text"},{"name":"b","type":"text"}]}`),
			result(`{"folder":{"type":"Folder","value":5},"tokens":[{"name":"a","type":"text"},{"name":"b"}]}`),
			result(`{"folder":{"type":"Folder","value":5},"tokens":[{"name":"a","type":"text"}]}`)),
	})
	s := newTokenStream(v.source(t, func(c *Config) { c.Tokens.Every = setting.Duration(time.Minute) }))
	tb := newTable(s.schema.Key...)
	for _, want := range [][]string{
		{"Folder 5/a/text", "Folder 5/b/text"},
		{"Folder 5/a/text", "Folder 5/b/text"}, // one is in quarantine, so nothing is known to be gone
		{"Folder 5/a/text"},
		{"Folder 5/a/text"},
	} {
		mustRead(t, tb, s)
		if diff := cmp.Diff(want, tb.live()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		v.clock.advance(time.Hour)
	}
	if len(tb.bad) != 1 || tb.bad[0].Column != "type" {
		t.Errorf("quarantine %+v, want the token without a type", tb.bad)
	}
	if len(tb.wins) != 3 || tb.wins[1].Parsed != 2 || tb.wins[1].Quarantined != 1 {
		t.Errorf("windows %+v", tb.wins)
	}
}

func TestTokenCursor(t *testing.T) {
	p := tokenPosition{Read: 1, Since: 2, Pass: 3, Done: 11, Sums: summaries{{List: 10, Sum: 5}, {List: 11, Sum: 6}}}
	var again tokenPosition
	if err := json.Unmarshal([]byte(p.cursor()), &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, again); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, pl := range []place{{5, false}, {5, true}, {0, false}} {
		if got := placeNumbered(pl.number()); got != pl {
			t.Errorf("%v has number %d, which is %v", pl, pl.number(), got)
		}
		if got, err := placeNamed(pl.String()); err != nil || got != pl {
			t.Errorf("%v is named %q, which is %v, %v", pl, pl, got, err)
		}
	}
	for _, bad := range []string{"", "Folder", "Folder x"} {
		if _, err := placeNamed(bad); err == nil {
			t.Errorf("%q names a folder", bad)
		}
	}
	s := newTokenStream(newFakeVendor(t, nil).source(t))
	for _, cursor := range []martsync.Cursor{"rubbish", `{"sums":"?"}`} {
		tb := newTable("parent")
		tb.cur = cursor
		if err := tb.read(t, s, martsync.Span{}, nil); martsync.KindOf(err) != martsync.Internal {
			t.Errorf("cursor %s: %v, want an error of kind Internal", cursor, err)
		}
	}
}
