package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (o Options) configType() reflect.Type { return reflect.TypeOf(o.Sources[0].NewConfig()).Elem() }

func TestExpand(t *testing.T) {
	get := environment("A", "1", "B_2", "two", "NEST", "${A}")
	for _, tc := range []struct{ name, in, want, wantErr string }{
		{"nothing", "plain $ text $5", "plain $ text $5", ""},
		{"one", "${A}", "1", ""},
		{"several", "x${A}${B_2}y", "x1twoy", ""},
		{"escaped", "$${A} and ${A}", "${A} and 1", ""},
		{"values are not expanded again", "${NEST}", "${A}", ""},
		{"default", "${C:-d:-e}", "d:-e", ""},
		{"default not needed", "${A:-9}", "1", ""},
		{"missing", "${C}", "", "variable C is not set"},
		{"open", "a${A", "", `"${" without "}"`},
		{"empty", "${}", "", "not the name of a variable"},
		{"bad name", "${1A}", "", "not the name of a variable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := expand(tc.in, get)
			if got != tc.want || (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("got %q, %v; want %q, error with %q", got, err, tc.want, tc.wantErr)
			}
		})
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"", "${A}", "$${A}", "$$${A}", "${A:-b}", "a${", "${}", "$", "${A}}${"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := expand(s, environment("A", "value"))
		if err == nil && !strings.Contains(s, "${") && got != s {
			t.Errorf("expand(%q) = %q, but there is nothing to expand", s, got)
		}
		// Escaping every "${" gives back the text, whatever it is, unless it had "$${".
		if !strings.Contains(s, "$$") {
			back, err := expand(strings.ReplaceAll(s, "${", "$${"), environment())
			if err != nil || back != s {
				t.Errorf("escaped %q came back as %q, %v", s, back, err)
			}
		}
	})
}

func TestParseDotenv(t *testing.T) {
	const text = "\uFEFF# comment\r\n\r\nA=1\nexport B = two # comment\nC='it is # ${not} \\n'\nD=\"a\\nb \\\"c\\\" \\$ \\x\" # comment\nE=\nF=a#b\nG=\"two\nlines\"\nH=last"
	got, err := parseDotenv([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"A": "1", "B": "two", "C": `it is # ${not} \n`, "D": "a\nb \"c\" $ \\x", "E": "", "F": "a#b", "G": "two\nlines", "H": "last",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for in, wantErr := range map[string]string{
		"A=1\nno value":     "line 2 is not of the form NAME=value",
		"A-B=1":             "line 1 is not of the form NAME=value",
		"\n\nA=\"x\nB=2\n":  `line 3: A has no closing "`,
		"A='x' y":           "line 1: A has text after its closing quote",
		"A=\"x\ny\"\n=\nB=": "line 3 is not of the form NAME=value",
	} {
		if _, err := parseDotenv([]byte(in)); err == nil || err.Error() != wantErr {
			t.Errorf("parseDotenv(%q): got %v, want %s", in, err, wantErr)
		}
	}
}

func FuzzDotenv(f *testing.F) {
	for _, s := range []string{"", "A=1", "A='x'", "A=\"\\n\"", "export A=b # c", "A", "=", "A=\"\n\n\"", "A=\"", "\uFEFFA=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		vars, err := parseDotenv([]byte(s))
		if err != nil && vars != nil {
			t.Errorf("got both %v and %v", vars, err)
		}
		// Whatever a value is, writing and reading it gives it back.
		back, err := parseDotenv([]byte("A=" + QuoteEnv(s) + "\nB=2\n"))
		if err != nil || back["A"] != s || back["B"] != "2" {
			t.Errorf("%q was written as %s and came back as %q, %v", s, QuoteEnv(s), back["A"], err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("a: &a [*a]\n")
	f.Add("version: 1\nsyncs: [{}]\n")
	f.Add("version: 1\nsources: {a: }\n")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parse("x.yaml", []byte(s), lookup{getenv: environment("A", "1"), dir: "."}, connectors(new([]any)))
		if (c == nil) == (err == nil) {
			t.Errorf("got %v and %v", c, err)
		}
	})
}

func TestParseTime(t *testing.T) {
	now := time.Date(2024, 5, 10, 12, 0, 0, 0, time.UTC)
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ in, want string }{
		{"2024-05-01", "2024-04-30T15:00:00Z"},
		{"2024-05-01T10:00:00", "2024-05-01T01:00:00Z"},
		{"2024-05-01 10:00", "2024-05-01T01:00:00Z"},
		{"2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"},
		{"2024-05-01T10:00:00+02:00", "2024-05-01T08:00:00Z"},
		{"36h", "2024-05-09T00:00:00Z"},
		{"1w", "2024-05-03T12:00:00Z"},
	} {
		got, err := ParseTime(tc.in, now, tokyo)
		if err != nil || got.Format(time.RFC3339) != tc.want {
			t.Errorf("ParseTime(%q): got %v, %v; want %s", tc.in, got, err, tc.want)
		}
	}
	for _, in := range []string{"", "yesterday", "2024-02-30", "-5h"} {
		if got, err := ParseTime(in, now, tokyo); err == nil {
			t.Errorf("ParseTime(%q): got %v, want an error", in, got)
		}
	}
	if got, err := ParseTime("5d", time.Time{}, tokyo); err == nil {
		t.Errorf("a duration where only a time can stand: got %v, want an error", got)
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "1d": 24 * time.Hour, "1w2d3h": (9*24 + 3) * time.Hour, "2d": 48 * time.Hour, "1.5h": 90 * time.Minute,
	} {
		if got, err := ParseDuration(in); err != nil || got != want {
			t.Errorf("ParseDuration(%q): got %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "5", "-1h", "1d-1h", "1d2w", "d", "9999999w", "1.5d", "+1h", "1x"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q): got %v, want an error", in, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"1d", "1w2d3h", "0", "106751d23h", "15250w"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDuration(s); err == nil && d < 0 {
			t.Errorf("ParseDuration(%q) = %v, which is negative", s, d)
		}
	})
}
