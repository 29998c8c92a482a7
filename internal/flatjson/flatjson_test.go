package flatjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var samples = []string{
	`{"Source Type":"Web form fillout","Created Date":"2026-03-02"}`,
	`{"New Value":"35","Old Value":"20","Reason":"Flow step, \"Warm up\"","Source":"Marketo Flow Action"}`,
	`{"Merge Ids":[500177],"Master Updated":true,"Merge Source":"leaddb","Merged in Sales":false}`,
	` { "a" : 1 , "b" : [ 1 , { "c" : null } ] , "a" : -2.5e+3 } `,
	`{}`, ` { } `, `[]`, `"x"`, `-0`, `1.5E7`, `null`, `true`, `nul`, `truex`, `01`, `1.`, `.5`, `-`, `1e`, `1e+`,
	`{"a":1,}`, `{"a"}`, `{"a":}`, `{,}`, `{"a":1 "b":2}`, `{"a":1}x`, `{"a":1}}`, `[1,]`, `[,1]`, `[1 2]`, `{"a":[}`, `{`, `"`, `"\`, `"\u12`, `"\x"`, "",
	"\"a\x01b\"", "\"tab\there\"", "{\"k\xff\":\"v\xfe\"}", `{"\u0061\ud83d\ude00":"\ud83d","b":"\ude00\ud83d\ude00x"}`,
	`{"é":"日本語 😀","line":"a\r\nb","long":"0123456789012345678901234567890123456789\"x"}`,
	strings.Repeat("[", 70) + strings.Repeat("]", 70),
	`{"deep":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `,"after":1}`,
	strings.Repeat("[", 10001) + strings.Repeat("]", 10001),
	"\xef\xbb\xbf{}", "{\"a\":1}\x00",
}

func TestValid(t *testing.T) {
	for _, s := range samples {
		if got, want := Valid([]byte(s)), json.Valid([]byte(s)); got != want {
			t.Errorf("Valid(%.60q) = %v, want %v", s, got, want)
		}
	}
}

func TestMembers(t *testing.T) {
	for _, s := range samples {
		checkMembers(t, []byte(s))
	}
}

// checkMembers compares Members and AppendString with encoding/json.
func checkMembers(t *testing.T, text []byte) {
	t.Helper()
	var want map[string]json.RawMessage
	wantErr := json.Unmarshal(text, &want)
	got := map[string]json.RawMessage{}
	err := Members(text, func(key, value []byte) error {
		got[string(key)] = bytes.Clone(value)
		return nil
	})
	if wantErr == nil && want == nil { // null
		if !errors.Is(err, ErrNotObject) {
			t.Fatalf("Members(%q): error %v, want ErrNotObject", text, err)
		}
		return
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("Members(%q): error %v, encoding/json: %v", text, err, wantErr)
	}
	if err != nil {
		if json.Valid(text) != errors.Is(err, ErrNotObject) {
			t.Fatalf("Members(%q): error %v, but valid: %v", text, err, json.Valid(text))
		}
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("Members(%q): -want +got\n%s", text, d)
	}
	for _, raw := range got {
		checkString(t, raw)
		var want bytes.Buffer
		if err := json.Compact(&want, raw); err != nil {
			t.Fatalf("value %q is not valid: %v", raw, err)
		}
		if c := AppendCompact(nil, raw); !bytes.Equal(c, want.Bytes()) {
			t.Fatalf("AppendCompact(%q) = %q, want %q", raw, c, want.Bytes())
		}
	}
}

func checkString(t *testing.T, raw []byte) {
	t.Helper()
	var want string
	err := json.Unmarshal(raw, &want)
	if bytes.Equal(raw, []byte("null")) {
		err = errors.New("not a string")
	}
	got, ok := AppendString(nil, raw)
	if ok != (err == nil) {
		t.Fatalf("AppendString(%q): %v, encoding/json: %v", raw, ok, err)
	}
	if ok && string(got) != want {
		t.Fatalf("AppendString(%q) = %q, want %q", raw, got, want)
	}
	if !utf8.Valid(got) {
		t.Fatalf("AppendString(%q) = %q is not UTF-8", raw, got)
	}
}

func TestMembersStopsAtError(t *testing.T) {
	stop, n := errors.New("stop"), 0
	err := Members([]byte(`{"a":1,"b":2,"c":3}`), func(key, _ []byte) error {
		if n++; string(key) == "b" {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 2 {
		t.Errorf("error %v after %d members, want %v after 2", err, n, stop)
	}
}

func TestMembersDoesNotAllocate(t *testing.T) {
	text := []byte(samples[1])
	n := 0
	if got := testing.AllocsPerRun(100, func() {
		_ = Members(text, func(_, v []byte) error { n += len(v); return nil })
		if !Valid(text) {
			t.Fail()
		}
	}); got != 0 {
		t.Errorf("%v allocations a run, want none", got)
	}
}

func ExampleMembers() {
	_ = Members([]byte(`{"New Value":"35","Reason":"\"Warm up\""}`), func(key, value []byte) error {
		text, _ := AppendString(nil, value)
		fmt.Printf("%s = %s\n", key, text)
		return nil
	})
	// Output:
	// New Value = 35
	// Reason = "Warm up"
}

func FuzzFlatJSON(f *testing.F) {
	for _, s := range samples {
		if len(s) < 1000 {
			f.Add([]byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := Valid(text), json.Valid(text); got != want {
			t.Fatalf("Valid(%q) = %v, want %v", text, got, want)
		}
		checkMembers(t, text)
		if string(bytes.TrimSpace(text)) == string(text) {
			checkString(t, text)
		}
	})
}

func BenchmarkMembers(b *testing.B) {
	text := []byte(`{"Campaign Run ID":"12345","Choice Number":"0","Step ID":"889","Device":"Mobile","Is Mobile Device":true,"Platform":"iOS","User Agent":"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)","Link":"https://example.com/a?b=\"c\"","Link ID":7011,"Test Variant":0,"Campaign":"Spring \u00e9t\u00e9"}`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_ = Members(text, func(_, _ []byte) error { return nil })
	}
}

func BenchmarkValid(b *testing.B) {
	text := []byte(samples[1])
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Valid(text)
	}
}
