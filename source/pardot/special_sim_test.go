package pardot

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot/pardotsim"
	"github.com/martsync/martsync/source/sourcetest"
)

// specials are the streams that are not read as the others are.
var specials = []string{"accounts", "opportunity_prospects", "list_emails", "emails", "prospects"}

func TestLawsOfSpecialStreams(t *testing.T) {
	for _, tc := range []struct {
		name    string
		streams []string
		change  func(*Config)
	}{
		{"as they come", specials, func(*Config) {}},
		{"accounts by version 4", []string{"accounts"}, func(c *Config) { c.Streams = map[string]StreamConfig{"accounts": {API: "v4"}} }},
		{"emails by version 4", []string{"emails"}, mailV4(true)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sourcetest.Run(t, func(t testing.TB) sourcetest.Setup {
				l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 60}})
				return sourcetest.Setup{
					Open:  func(t testing.TB) martsync.Source { return l.open(t, tc.change) },
					Clock: l.clock, Streams: tc.streams, MaxCursors: 6,
				}
			})
		})
	}
}

// days syncs, lets days pass in which things change, and syncs again.
func days(t *testing.T, l *lab, n int, change ...func(*Config)) {
	t.Helper()
	for range n {
		l.sync(t, change...)
		if t.Failed() {
			return
		}
		if err := l.clock.Sleep(t.Context(), 25*time.Hour); err != nil {
			t.Fatal(err)
		}
		l.Change(40)
		if err := l.clock.Sleep(t.Context(), 10*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpecialStreamsFollowTheAccount(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 400}})
	l.streams = []string{"accounts", "opportunity_prospects", "list_emails", "prospects"}
	days(t, l, 3)
}

func TestX21NewMultipleValuesAreJoined(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 300}})
	l.streams = []string{"prospects"}
	l.sync(t)
	if err := l.clock.Sleep(t.Context(), 3*time.Hour); err != nil {
		t.Fatal(err)
	}
	l.AddCustomField("Kite shapes", "Multi-Select", true)
	if err := l.clock.Sleep(t.Context(), 25*time.Hour); err != nil {
		t.Fatal(err)
	}
	l.Touch("prospects", 40, l.clock.Now().Add(-time.Hour))
	l.sync(t)
	var found string
	for _, st := range l.chosen(t, l.open(t)) {
		for _, c := range st.Schema().Columns {
			if strings.Contains(c.Name, "shapes") && c.Type == martsync.JSON {
				found = c.Name
			}
		}
	}
	if found == "" {
		t.Error("there is no column of JSON for the new field")
	}
}

func TestSpecialStreamsOfAnAccountWithOneProspectForAnAddress(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 150}, SingleEmail: true, WrapAccount: true, NullResult: true})
	l.streams = []string{"accounts", "opportunity_prospects", "prospects"}
	l.sync(t)
}

func TestEmailsOfVersion4AreAmongThoseOfVersion5(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 300}})
	read := func(change ...func(*Config)) (martsync.Schema, outcome) {
		s := l.open(t, change...)
		streams, err := s.Streams(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(streams, func(st martsync.Stream) bool { return st.Schema().Stream == emailStream })
		from, all := martsync.Cursor(""), outcome{}
		for {
			got, err := readAll(t, streams[i], from)
			all.rows, all.notes = append(all.rows, got.rows...), append(all.notes, got.notes...)
			if err == nil {
				return streams[i].Schema(), all
			}
			if martsync.KindOf(err) != martsync.Pending {
				t.Fatal(err)
			}
			from = got.cursor
			if err := l.clock.Sleep(t.Context(), max(martsync.AfterOf(err), time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
	}
	schema5, five := read()
	known := map[string]string{}
	for _, row := range five.rows {
		known[cell(t, schema5, row, "id")] = cell(t, schema5, row, "list_email_id") + " " + cell(t, schema5, row, "subject")
	}
	for _, tc := range []struct {
		name   string
		change func(*Config)
	}{
		{"by queries", mailV4(true)},
		{"by export jobs", func(c *Config) { c.Streams = map[string]StreamConfig{emailStream: {API: string(v4)}} }},
	} {
		schema, four := read(tc.change)
		if len(four.rows) == 0 {
			t.Errorf("%s: no emails", tc.name)
		}
		seen := map[string]bool{}
		for _, row := range four.rows {
			id, list := cell(t, schema, row, "id"), cell(t, schema, row, "list_email_id")
			if want := known[id]; want != list+" "+cell(t, schema, row, "subject") {
				t.Errorf("%s: email %s is of list email %s with subject %q, by version 5 %q", tc.name, id, list, cell(t, schema, row, "subject"), want)
			}
			if seen[list] {
				t.Errorf("%s: two emails of list email %s", tc.name, list)
			}
			seen[list] = true
		}
		t.Logf("%s: %d emails of %d, notes %q", tc.name, len(four.rows), len(five.rows), four.notes)
	}
}
