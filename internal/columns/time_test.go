package columns

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestParseTimestamp(t *testing.T) {
	tests := []struct{ text, want string }{ // want in RFC 3339; "" = refused
		{"2026-03-02T08:15:04Z", "2026-03-02T08:15:04Z"},
		{"2026-03-02T08:15:04Z+0000", "2026-03-02T08:15:04Z"},
		{"2026-03-02T08:15:04+0000", "2026-03-02T08:15:04Z"},
		{"2026-03-02T00:15:04-08:00", "2026-03-02T08:15:04Z"},
		{"2026-03-02T13:45:04+0530", "2026-03-02T08:15:04Z"},
		{"2026-03-02 08:15:04", "2026-03-02T08:15:04Z"},
		{"2026-03-02", "2026-03-02T00:00:00Z"},
		{"2026-03-02T08:15:04.5Z", "2026-03-02T08:15:04.5Z"},
		{"2026-03-02T08:15:04.123456-01:00", "2026-03-02T09:15:04.123456Z"},
		{"2026-03-02T08:15:04.123456000Z", "2026-03-02T08:15:04.123456Z"},
		{"2026-03-02 08:15:04.000001", "2026-03-02T08:15:04.000001Z"},
		{"0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"},
		{"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
		{"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
		{"1900-02-29T00:00:00Z", ""},
		{"2026-03-02T08:15:04.1234567Z", ""},
		{"2026-03-02T08:15:04.Z", ""},
		{"2026-03-02T08:15:04", ""}, // local time of nobody knows where
		{"2026-03-02T08:15:60Z", ""},
		{"2026-03-02T24:00:00Z", ""},
		{"2026-13-02T08:15:04Z", ""},
		{"2026-00-02T08:15:04Z", ""},
		{"2026-04-31T08:15:04Z", ""},
		{"2026-04-00T08:15:04Z", ""},
		{"2026-03-02T08:15:04Z+0100", ""},
		{"2026-03-02T08:15:04+24:00", ""},
		{"2026-03-02T08:15:04+1:00", ""},
		{"2026-03-02T08:15:04z", ""},
		{"2026-03-02t08:15:04Z", ""},
		{"2026-03-02T08:15Z", ""},
		{"2026-3-2", ""},
		{"02.03.2026", ""},
		{"-026-03-02", ""},
		{"1772439304", ""},
	}
	for _, tt := range tests {
		micros, ok := parseTimestamp([]byte(tt.text))
		got := ""
		if ok {
			got = time.UnixMicro(micros).UTC().Format(time.RFC3339Nano)
		}
		if got != tt.want {
			t.Errorf("parseTimestamp(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestDaysOf(t *testing.T) {
	for d := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2500; d = d.AddDate(0, 0, 1) {
		if got, want := daysOf(d.Year(), int(d.Month()), d.Day()), d.Unix()/86_400; int64(got) != want {
			t.Fatalf("daysOf(%v) = %d, want %d", d, got, want)
		}
	}
}

var (
	zoned      = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|Z\+0000|[-+]\d\d:?\d\d)$`)
	unzoned    = regexp.MustCompile(`^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?)?$`)
	oddZone    = regexp.MustCompile(`T.*[-+](24:?\d\d|\d\d:?60)$`) // package time lets these pass
	fractionOf = regexp.MustCompile(`\.\d+`)
	layouts    = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z+0000", "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05", "2006-01-02"}
)

// FuzzTimestamp compares with package time.
func FuzzTimestamp(f *testing.F) {
	for _, s := range []string{"2026-03-02T08:15:04Z", "2026-03-02T08:15:04.25+0530", "2026-03-02 08:15:04", "2026-02-30", "0000-02-29"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		micros, ok := parseTimestamp([]byte(text))
		if !zoned.MatchString(text) && !unzoned.MatchString(text) {
			if ok {
				t.Fatalf("parseTimestamp(%q) accepts a form it should not know", text)
			}
			return
		}
		for _, layout := range layouts {
			want, err := time.Parse(layout, text)
			if err != nil {
				continue
			}
			// Package time cuts digits that it has no room for.
			fraction := strings.TrimRight(fractionOf.FindString(text), "0")
			exact := len(fraction) <= len(".123456") && !oddZone.MatchString(text)
			if ok != exact {
				t.Fatalf("parseTimestamp(%q): %v, but it is %v", text, ok, want)
			}
			if ok && micros != want.UnixMicro() {
				t.Fatalf("parseTimestamp(%q) = %v, want %v", text, time.UnixMicro(micros).UTC(), want)
			}
			return
		}
		if ok {
			t.Fatalf("parseTimestamp(%q) accepts what package time refuses", text)
		}
	})
}

func ExampleSnake() {
	fmt.Println(Snake("mktoIsPartner__c"), Snake("SICCode"))
	// Output: mkto_is_partner__c sic_code
}
