package marketo

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/martsync/martsync"
)

func fullPosition() *position {
	h := newRollingHash()
	size, rows := int64(12_345_678), int64(4_321)
	from := day("2026-01-01")
	return &position{V: positionVersion, Until: day("2026-03-01"), Stray: from, Keys: keySet{"", "a", "a\n", "ab", "b"}, Parts: map[string]*part{
		"leads": {At: from, By: byUpdate, Was: byCreation, Fails: 1, Step: 86_400, Refused: []string{"leadScore"}, Pace: pace{Rows: 10.5, Bytes: 2_000}, Jobs: []*job{
			{
				window: window{From: from, To: from + 100}, Since: from + 7, Sign: "00112233", ID: "0d2f9a34-55c8", State: completed, Asked: from + 60, Made: from + 55,
				Rows: &rows, Size: &size, Sum: strings.Repeat("ab", 32), Calls: 9,
				File: &filePosition{Offset: 700, Hashed: 0, Hash: h.mark(0).state, Rows: 12, Out: 11, Bad: 1},
			},
			{window: window{From: from + 100, To: from + 200}, Since: from + 8, Sign: "aa", ID: "b", State: created, Wait: 2, Asked: from + 9},
			{window: window{From: from + 200, To: from + 300}, Since: from + 9, Sign: "bb", Tries: 2},
			{window: window{From: from + 300, To: from + 301}},
		}},
		"deleted": {At: from, Swept: from, Feed: &feed{window: window{From: from, To: from + 5}, Types: []int{1, 32}, Loop: 1, Token: "MFRGG===", Seen: from + 1, Rows: 3, Bad: 1, Calls: 2}},
	}}
}

func TestPositionRoundTrip(t *testing.T) {
	p := fullPosition()
	got, err := parsePosition("leads", p.cursor())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, got, cmp.AllowUnexported(job{}, feed{})); d != "" {
		t.Errorf("the position changed (-want +got):\n%s", d)
	}
	if got.cursor() != p.cursor() {
		t.Error("the same position has two cursors")
	}
}

func TestCorruptCursors(t *testing.T) {
	good := string(fullPosition().cursor())
	for _, c := range []struct{ name, cursor string }{
		{"not JSON", "2026-03-01"},
		{"another stream's", `{"v":1,"list":7}`},
		{"another version", `{"v":2,"until":5,"parts":{}}`},
		{"no version", `{}`},
		{"null part", `{"v":1,"until":5,"parts":{"leads":null}}`},
		{"trailing data", good + "{}"},
		{"cut", good[:len(good)/2]},
		{"negative time", `{"v":1,"until":-5,"parts":{}}`},
		{"absurd time", `{"v":1,"until":5,"parts":{"leads":{"at":99999999999999}}}`},
		{"gap between windows", strings.Replace(good, `"from":`, `"from":1`, 1)},
		{"unknown state", strings.Replace(good, `"state":"created"`, `"state":"resting"`, 1)},
		{"unknown way", `{"v":1,"until":5,"parts":{"leads":{"at":1,"way":"pigeon"}}}`},
		{"unknown filter", `{"v":1,"until":5,"parts":{"leads":{"at":1,"by":"smartListId"}}}`},
		{"an id that would leave the path", strings.Replace(good, `"id":"b"`, `"id":"../../v1"`, 1)},
		{"a job without id", strings.Replace(good, `"id":"b",`, ``, 1)},
		{"a broken hash", strings.Replace(good, `"hash":"`, `"hash":"!`, 1)},
		{"a hash of something else", strings.Replace(good, `"hash":"c2hhA`, `"hash":"AAAAA`, 1)},
		{"offset before the hash", strings.Replace(good, `"hashed":0`, `"hashed":701`, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cursor == good {
				t.Fatal("the case changes nothing")
			}
			p, err := parsePosition("leads", martsync.Cursor(c.cursor))
			if err == nil {
				t.Fatalf("accepted as %+v", p)
			}
			if k := martsync.KindOf(err); k != martsync.Data {
				t.Errorf("kind is %s, want data: %v", k, err)
			}
			if martsync.HintOf(err) == "" {
				t.Errorf("no hint in %v", err)
			}
		})
	}
}

func FuzzPosition(f *testing.F) {
	f.Add(string(fullPosition().cursor()))
	f.Add(`{"v":1,"until":1772323200,"parts":{"activities":{"at":1,"way":"rest","feed":{"from":1,"to":2,"types":[1]}}}}`)
	f.Add(`{"v":1,"until":0,"parts":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePosition("leads", martsync.Cursor(text))
		if err != nil {
			if martsync.KindOf(err) != martsync.Data {
				t.Errorf("kind is %s: %v", martsync.KindOf(err), err)
			}
			return
		}
		// What is accepted survives being written, and the arithmetic on it.
		again, err := parsePosition("leads", p.cursor())
		if err != nil {
			t.Fatalf("its own cursor is refused: %v", err)
		}
		if again.cursor() != p.cursor() {
			t.Errorf("%s became %s", p.cursor(), again.cursor())
		}
		for _, q := range p.Parts {
			_ = q.end()
			for _, j := range q.Jobs {
				_, _, _, _ = j.queueDue(), j.statusDue(), j.halves(), j.wire()
			}
		}
	})
}

func TestRollingHashResumes(t *testing.T) {
	data := make([]byte, 3*markEvery+1000)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(data)
	want := sha256.Sum256(data)
	h := newRollingHash()
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1+rand.IntN(100_000))
		_, _ = h.Write(rest[:n])
		rest = rest[n:]
	}
	if n, sum := h.total(); n != int64(len(data)) || !slices.Equal(sum, want[:]) {
		t.Fatalf("got %d bytes, %x, want %d, %x", n, sum, len(data), want)
	}
	for _, offset := range []int64{0, 1, markEvery - 1, markEvery, 2*markEvery + 77, int64(len(data))} {
		m := h.mark(offset)
		if m.at > offset || offset-m.at >= markEvery {
			t.Errorf("the mark for %d is at %d", offset, m.at)
		}
		again, err := resumeHash(m.at, m.state)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = again.Write(data[m.at:])
		if n, sum := again.total(); n != int64(len(data)) || !slices.Equal(sum, want[:]) {
			t.Errorf("resumed at %d: got %d bytes, %x", offset, n, sum)
		}
	}
	if len(h.marks) != 1 {
		t.Errorf("%d marks are kept after the last was asked for", len(h.marks))
	}
}

func TestParseSum(t *testing.T) {
	digits := hex.EncodeToString(make([]byte, 32))
	for in, want := range map[string]string{
		"sha256:" + digits:                    digits,
		" SHA256:" + strings.Repeat("AB", 32): strings.Repeat("ab", 32),
		"":                                    "",
		digits:                                "",
		"md5:" + digits:                       "",
		"sha256:" + digits[2:]:                "",
		"sha256:" + strings.Repeat("zz", 32):  "",
		"sha256:" + strings.Repeat("ab", 32) + " ": strings.Repeat("ab", 32),
	} {
		if got := parseSum(in); got != want {
			t.Errorf("parseSum(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestE9StatesHaveOneSpelling(t *testing.T) {
	for in, want := range map[string]state{
		"Created": created, "Queued": queued, "PROCESSING": processing, "Completed": completed, "Failed": failed,
		"Cancelled": cancelled, "Canceled": cancelled, "canceled": cancelled, "Cancelling": cancelled, "Resting": "resting", "": "",
	} {
		v := vendorJob{Status: in}
		if got := v.state(); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestDispatcherSharesThePlaces(t *testing.T) {
	d := newDispatcher()
	running := func(n int) *position {
		p := &part{}
		for i := range n {
			p.Jobs = append(p.Jobs, &job{ID: string(rune('a' + i)), State: queued})
		}
		return &position{Parts: map[string]*part{"x": p}}
	}
	fill := func(stream string) (n int) {
		for d.take(stream) {
			n++
		}
		return n
	}
	if got := fill("leads"); got != queueShare {
		t.Fatalf("alone: %d places, want %d", got, queueShare)
	}
	d.update("leads", running(queueShare))
	if got := fill("activities"); got != 0 {
		t.Fatalf("with all places taken: got %d more", got)
	}
	// The next place that becomes free is for the stream that has none.
	d.update("leads", running(queueShare-1))
	if got := fill("leads"); got != 0 {
		t.Errorf("leads took %d places before activities had one", got)
	}
	if got := fill("activities"); got != 1 {
		t.Errorf("activities got %d places, want 1", got)
	}
	d.update("activities", running(0))
	d.done("activities")
	if got := fill("leads"); got != 1 {
		t.Errorf("leads got %d places after activities were done, want 1", got)
	}
}

func TestNamesField(t *testing.T) {
	for _, c := range []struct {
		message, field string
		want           bool
	}{
		{"Invalid fields: leadScore", "leadScore", true},
		{"Field 'score' not found", "score", true},
		{"Invalid fields [leadScore, crmKey__c]", "crmKey__c", true},
		{"Invalid fields: leadScoreOld", "leadScore", false},
		{"Invalid fields: oldleadScore leadScore", "leadScore", true},
		{"Invalid fields: crmKey__c", "crmKey", false},
		{"Invalid Data", "id", false},
	} {
		if got := namesField(c.message, c.field); got != c.want {
			t.Errorf("namesField(%q, %q) = %t, want %t", c.message, c.field, got, c.want)
		}
	}
}
