package position

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/martsync/martsync"
)

func TestTexts(t *testing.T) {
	for _, c := range []struct {
		name   string
		cursor martsync.Cursor
		told   Told
		want   martsync.Cursor
	}{
		{"the beginning", "", Told{Account: "vendor:1"}, ""},
		{"a cursor alone", `{"page":1}`, Told{}, `{"page":1}`},
		{"of an account", `{"page":1}`, Told{Account: "vendor:1"}, "martsync:{\"account\":\"vendor:1\"}\n{\"page\":1}"},
		{"all of it", "c", Told{1, 4, 2, 3, "0f", "abc", "vendor:1"}, `martsync:{"rows":1,"bad":4,"written":2,"quarantined":3,"digest":"0f","raw":"abc","account":"vendor:1"}` + "\nc"},
		{"a cursor that looks like one", "martsync:{}\nc", Told{}, "martsync:{}\nmartsync:{}\nc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Encode(c.cursor, c.told); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestBare: what was written down without an account is equal to what is written now, and to nothing else.
func TestBare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cursor := martsync.Cursor(rapid.StringMatching(`(martsync:(\{\}\n)?)?[a-c]{0,2}`).Draw(t, "cursor"))
		told := Told{
			Rows: rapid.Int64Range(0, 2).Draw(t, "rows"), Digest: rapid.SampledFrom([]string{"", "0f"}).Draw(t, "digest"),
			Mark: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "mark"),
		}
		before := Encode(cursor, told)
		told.Account = "vendor:1"
		if got := Bare(Encode(cursor, told)); got != before {
			t.Errorf("got %q, want %q", got, before)
		}
		if got := Bare(before); got != before {
			t.Errorf("of what has none: got %q, want %q", got, before)
		}
	})
}

func TestCheck(t *testing.T) {
	at := Encode("c", Told{Account: "vendor:1"})
	for _, fine := range []martsync.Cursor{"", "c", "martsync:{\"rows\":1}\nc", at} {
		if err := Check(fine, "leads", "vendor:1"); err != nil {
			t.Errorf("%q: %v", fine, err)
		}
	}
	err := Check(at, "leads", "vendor:2")
	if martsync.KindOf(err) != martsync.Config {
		t.Fatalf("got %v, want a Config error", err)
	}
	for _, want := range []string{"table leads holds", "vendor:1", "vendor:2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	if !strings.Contains(martsync.HintOf(err), "--same-account") {
		t.Errorf("the hint %q does not say what to do", martsync.HintOf(err))
	}
	for want, streams := range map[string][]string{
		"tables a and b hold": {"a", "b"}, "tables a, b and c hold": {"a", "b", "c"}, "tables a, b, c and 2 more hold": {"a", "b", "c", "d", "e"},
	} {
		if err := Refuse(streams, "1", "2"); !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
}
