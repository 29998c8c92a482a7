package pipeline

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/martsync/martsync"
)

// header is what the engine's line begins with; package position writes it.
const header = "martsync:"

func TestPositionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom([]string{"", header, header + "{}\n", header + `{"rows":7}` + "\n"}).Draw(t, "prefix")
		want := position{
			cursor:      martsync.Cursor(prefix + rapid.String().Draw(t, "cursor")),
			rows:        rapid.Int64Range(0, 3).Draw(t, "rows"),
			written:     rapid.Int64Range(0, 3).Draw(t, "written"),
			quarantined: rapid.Int64().Draw(t, "quarantined"),
			digest:      rapid.SampledFrom([]string{"", "0f"}).Draw(t, "digest"),
			account:     rapid.SampledFrom([]string{"", `vendor:"1"/<ä>`}).Draw(t, "account"),
		}
		if (want == position{account: want.account}) {
			want.account = "" // where nothing was read
		}
		if got := decodePosition(want.encode()); got != want {
			t.Errorf("decode(%q): got %+v, want %+v", want.encode(), got, want)
		}
	})
	if got := (position{cursor: "plain"}).encode(); got != "plain" {
		t.Errorf("a position without counts: got %q, want the cursor itself", got)
	}
}

func FuzzDecodePosition(f *testing.F) {
	f.Add("")
	f.Add(`{"page":"x"}`)
	f.Add(header + `{"rows":1}` + "\ncursor")
	f.Add(header + `{"rows":`)
	f.Add(header + `{"account":"vendor:1"}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		p := decodePosition(martsync.Cursor(text))
		if (p == position{account: p.account}) {
			p.account = ""
		}
		if got := decodePosition(p.encode()); got != p {
			t.Errorf("%q: got %+v, want %+v", text, got, p)
		}
	})
}
