package pardot

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

func TestPositionSurvivesItsCursor(t *testing.T) {
	for name, p := range map[string]position{
		"nothing": {},
		"between": {At: 1773851280, Listed: 5, SweptAt: 7, SweepCalls: 3, Described: 8, Columns: "abc", Zone: "Asia/Tokyo"},
		"in a window": {
			At: 5, Next: 7, Until: 90, Step: 3, Again: 2,
			Window: &window{From: 7, To: 10, API: v4, Way: byQuery, Pass: 1, After: 1 << 40, Limit: 50, Rows: 12, Bad: 1, Calls: 9},
		},
		"in a listing": {Listed: 9, Window: &window{Whole: true, API: v5, Way: byQuery, After: 3}},
		"in a sweep":   {At: 5, Sweep: &sweepState{Began: 9, After: 12, Limit: 100, Calls: 2}},
	} {
		c := p.cursor()
		got, err := parsePosition("kites", c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(p, got); d != "" {
			t.Errorf("%s, %s: -want +got\n%s", name, c, d)
		}
		if again := got.cursor(); again != c {
			t.Errorf("%s: written again %s, want %s", name, again, c)
		}
	}
	if p, err := parsePosition("kites", ""); err != nil || p != (position{}) {
		t.Errorf("the beginning: got %+v, %v", p, err)
	}
	if got := (&position{}).cursor(); got == "" {
		t.Error("a position must not look like the beginning")
	}
}

func TestStrangePositionsAreRefused(t *testing.T) {
	for _, c := range []string{
		"x", "[]", `{"at":"yesterday"}`, `{"offset":7}`, `{} {}`, `{"at":-1}`, `{"at":999999999999999}`,
		`{"next":9,"until":5}`, `{"export":{}}`,
		`{"window":{}}`, `{"window":{"way":"auto"}}`, `{"window":{"way":"query","from":9,"to":5}}`,
		`{"window":{"way":"query","api":"v6"}}`, `{"window":{"way":"query","pass":2}}`, `{"window":{"way":"query","after":-1}}`,
		`{"window":{"way":"query","rows":1,"bad":2}}`, `{"window":{"way":"query","calls":-1}}`,
		`{"sweep":{}}`, `{"sweep":{"began":1,"after":-4}}`, `{"swept":5,"sweep_calls":-2}`,
	} {
		_, err := parsePosition("kites", martsync.Cursor(c))
		if martsync.KindOf(err) != martsync.Internal || martsync.HintOf(err) == "" || err != nil && !strings.Contains(err.Error(), "read kites") {
			t.Errorf("%s: got %v, want a refusal with a hint", c, err)
		}
	}
}

func TestSeconds(t *testing.T) {
	at := time.Date(2026, 11, 1, 5, 30, 0, 0, time.FixedZone("", -4*3600))
	s := secondOf(at)
	if !s.time().Equal(at) || s.time().Location() != time.UTC {
		t.Errorf("got %v, want %v in UTC", s.time(), at)
	}
	if got := s.add(-90 * time.Second).sub(s); got != -90*time.Second {
		t.Errorf("got %v, want -90s", got)
	}
	if secondOf(time.Time{}) != 0 || !second(0).time().IsZero() {
		t.Error("no moment is not kept")
	}
	if got := wireTime(s); got != "2026-11-01T09:30:00+00:00" {
		t.Errorf("on the wire: got %s", got)
	}
}

func FuzzPosition(f *testing.F) {
	f.Add(`{"at":1773851280,"window":{"from":5,"to":9,"way":"query","api":"v5","after":77}}`)
	f.Add(`{"until":9,"next":2,"step":4,"sweep":{"began":1}}`)
	f.Add(`{"window":{"way":"export","from":1,"to":2},"export":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePosition("kites", martsync.Cursor(text))
		if err != nil {
			if martsync.KindOf(err) != martsync.Internal {
				t.Fatalf("kind %v of %v", martsync.KindOf(err), err)
			}
			return
		}
		c := p.cursor()
		again, err := parsePosition("kites", c)
		if err != nil {
			t.Fatalf("%q was read, what was written of it is not: %s: %v", text, c, err)
		}
		if got := again.cursor(); got != c {
			t.Fatalf("%q: written %s and then %s", text, c, got)
		}
	})
}
