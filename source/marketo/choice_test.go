package marketo

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

const vendorPage = "../../docs/vendors/marketo.md"

// inVendorPage compares a table with the one that the page has under the same head.
func inVendorPage(t *testing.T, want []string) {
	t.Helper()
	page, err := os.ReadFile(vendorPage)
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(want, "\n") + "\n"; !strings.Contains(string(page), "\n"+text+"\n") {
		t.Errorf("%s should have this table:\n\n%s", vendorPage, text)
	}
}

// ways are those in which a part can be read.
func (spec *partSpec) ways() string {
	switch {
	case spec.object == nil:
		return "pages"
	case spec.pages == nil:
		return "export jobs"
	}
	return "whichever is cheaper"
}

// Each part of each stream has its row in the documents, with the ways that the code has and why there is no other.
func TestDocumentedWays(t *testing.T) {
	a := newAccount(t, marketosim.Config{})
	s := a.open()
	streams, err := s.bulkStreams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{"| stream, part | read by | because |", "| --- | --- | --- |"}
	why := map[string]string{
		"leads":                "no page shows leads by the time of their change: pages are by key, or of a list",
		"leads, sweep":         "likewise; only without the filter `updatedAt`",
		"leads, changes":       "a job has no such filter: without the filter `updatedAt`, what has changed is read by id",
		"leads, touched":       "likewise",
		"leads, deleted":       "type 37 is refused in exports",
		"leads, merged":        "both tell the same",
		"activities":           "both tell the same; `activities.mode` decides otherwise",
		"deleted_leads":        "type 37 is refused in exports",
		"lead_merges":          "both tell the same; `activities.mode` decides otherwise",
		"program_members, log": "it is walked up to 450 calls; where it would take more, all programs are asked for changes",
		"program_members":      "8 calls are for ten programs; pages take one for each program and 300 members, whose filter the documentation has in two forms, and none for those with more than 100,000 members",
	}
	row := func(stream string, spec *partSpec) {
		name := stream
		if spec.name != stream && spec.name != "members" && spec.name != "records" {
			name += ", " + spec.name
		}
		if strings.HasPrefix(stream, customPrefix) {
			return // below
		}
		if why[name] == "" {
			t.Errorf("nothing says why %s is read by %s", name, spec.ways())
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |", strings.Replace("`"+name+"`", ", "+spec.name+"`", "`, "+spec.name, 1), spec.ways(), why[name]))
	}
	for _, st := range streams {
		for _, spec := range st.(*rangeStream).parts {
			row(st.Schema().Stream, spec)
		}
	}
	log, members := memberParts(&martsync.Schema{Stream: programStream, Key: []string{"program_id", "lead_id"}}, nil)
	row(programStream, log)
	row(programStream, members)
	custom := newCustom(s, newDispatcher(), "custom_device_owned", description{})
	for _, spec := range append(custom.parts, custom.whole) {
		if spec.ways() != "export jobs" {
			t.Errorf("custom objects, %s: read by %s", spec.name, spec.ways())
		}
	}
	rows = append(rows, "| `custom_…` | export jobs | pages are by key |")
	inVendorPage(t, rows)
}

// The examples of the documents are what the code decides.
func TestDocumentedChoices(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	const types = 4 // walks for some 35 activity types
	rows := []string{
		"| to read | of an account with | pages take | a job takes | read by |",
		"| --- | --- | --- | --- | --- |",
	}
	spent, tight := wholeDay, wholeDay
	spent.bytes = 0
	tight.calls = 100
	for _, c := range []struct {
		what, of string
		stretch  time.Duration
		loops    int
		pace     pace
		left     budget
	}{
		{"activities of an hour", "no history here yet", hour, types, pace{}, wholeDay},
		{"activities of a day", "no history here yet", day, types, pace{}, wholeDay},
		{"activities of an hour", "2,000 a day", hour, types, pace{Rows: 2_000, Bytes: 500_000}, wholeDay},
		{"activities of two days", "2,000 a day", 2 * day, types, pace{Rows: 2_000, Bytes: 500_000}, wholeDay},
		{"activities of a month", "2,000 a day", 30 * day, types, pace{Rows: 2_000, Bytes: 500_000}, wholeDay},
		{"activities of a quarter of an hour", "200,000 a day", hour / 4, types, pace{Rows: 200_000, Bytes: 48e6}, wholeDay},
		{"activities of an hour", "200,000 a day", hour, types, pace{Rows: 200_000, Bytes: 48e6}, wholeDay},
		{"activities of two days", "200,000 a day", 2 * day, types, pace{Rows: 200_000, Bytes: 48e6}, wholeDay},
		{"the same, the day's bytes are spent", "200,000 a day", 2 * day, types, pace{Rows: 200_000, Bytes: 48e6}, spent},
		{"activities of three hours, the day's bytes are spent", "200,000 a day", 3 * hour, types, pace{Rows: 200_000, Bytes: 48e6}, spent},
		{"the same, a hundred calls are left", "200,000 a day", 3 * hour, types, pace{Rows: 200_000, Bytes: 48e6}, tight},
		{"merges of two days", "200,000 activities a day, 200 pages of them", 2 * day, 1, pace{Rows: 10, Bytes: 2_000, Calls: 200}, wholeDay},
		{"merges of half an hour", "200,000 activities a day, 200 pages of them", hour / 2, 1, pace{Rows: 10, Bytes: 2_000, Calls: 200}, wholeDay},
	} {
		calls, bytes := costOf(c.stretch, c.loops, c.pace)
		pages, file := "not known", "not known"
		if calls >= 0 {
			pages, file = fmt.Sprintf("%.0f calls", calls), fmt.Sprintf("%d calls, %s", jobCalls, megabytes(bytes))
		}
		read := "a job"
		if cheaper(c.stretch, c.loops, c.pace, c.left) == byPage {
			read = "pages"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s |", c.what, c.of, pages, file, read))
	}
	inVendorPage(t, rows)
}

func megabytes(n float64) string {
	if n < 50_000 {
		return "next to nothing"
	}
	return fmt.Sprintf("%.1f MB", n/1e6)
}

// What is left of a day is what the configuration allows, less what has been spent.
func TestBudget(t *testing.T) {
	a := newAccount(t, marketosim.Config{})
	a.tweak = func(c *Config) {
		c.Limits.DailyCalls, c.Limits.ExportMegabytes, c.Limits.CallsPer20s = 1_000, 10, 100
	}
	s := a.open()
	if got, want := s.budget(), (budget{calls: 1_000, bytes: 10_000_000, pages: 900}); got != want {
		t.Errorf("at first: got %+v, want %+v", got, want)
	}
	m := s.client.meter
	for range 3 {
		m.must()
	}
	m.learnExported(4_000_000)
	if got, want := s.budget(), (budget{calls: 997, bytes: 6_000_000, pages: 900}); got != want {
		t.Errorf("in the middle of the day: got %+v, want %+v", got, want)
	}
	m.learn(39_500, 3, true) // of 50,000, of which 10,000 are reserved for others
	if got, want := s.budget().calls, 500.0; got != want {
		t.Errorf("when others have spent much: %v calls, want %v", got, want)
	}
	m.learn(45_000, 3, true)
	if got := s.budget().calls; got != 0 {
		t.Errorf("when others have spent everything: %v calls", got)
	}
	a.clock.Advance(48 * time.Hour)
	if got, want := s.budget(), (budget{calls: 1_000, bytes: 10_000_000, pages: 900}); got != want {
		t.Errorf("on another day: got %+v, want %+v", got, want)
	}
}
