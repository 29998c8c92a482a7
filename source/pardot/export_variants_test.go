package pardot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

func TestU3AnotherProcedure(t *testing.T) {
	second := procedure{name: "filter_by_created_at", after: "created_after", before: "created_before"}
	tests := []struct {
		name       string
		procedures []procedure
		code       int
		refused    []string
		creates    int
		want       error
	}{
		{"unknown procedure", []procedure{byUpdate, second}, 174, []string{byUpdate.name}, 2, nil},
		{"unknown argument", []procedure{byUpdate, second}, 175, []string{byUpdate.name}, 2, nil},
		{"none of them", []procedure{byUpdate, second}, 174, []string{byUpdate.name, second.name}, 2, errNoExport},
		{"the only one", []procedure{byUpdate}, 175, []string{byUpdate.name}, 1, errNoExport},
		{"no right", []procedure{byUpdate}, 46, []string{byUpdate.name}, 1, errNoExport},
		{"bad argument", []procedure{byUpdate}, 177, []string{byUpdate.name}, 1, errNoExport},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newExportRig(t, 48*time.Hour, func(f *fakeExports) {
				f.refuse = func(body map[string]any) (int, string) {
					if slices.Contains(test.refused, body["procedure"].(map[string]any)["name"].(string)) {
						return test.code, "The requested procedure is not valid"
					}
					return 0, ""
				}
			})
			o := *fakeObject
			o.procedures = test.procedures
			g.object = &o
			err := g.finish(t)
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if g.creates != test.creates {
				t.Errorf("%d tries, want %d", g.creates, test.creates)
			}
			if test.want == nil {
				g.compare(t)
			} else if codeOf(err) != test.code {
				t.Errorf("error %v has the code %d, want %d", err, codeOf(err), test.code)
			}
		})
	}
}

func TestU3AVersionThatDoesNotExport(t *testing.T) {
	g := newExportRig(t, 48*time.Hour)
	g.ver, g.object = v5, &exportObject{v4: "visitor", procedures: []procedure{byUpdate}}
	if err := g.read(t); !errors.Is(err, errNoExport) {
		t.Errorf("error %v, want %v", err, errNoExport)
	}
	if g.creates > 0 {
		t.Error("it was tried")
	}
}

func TestQuotaEndsTheReadWithoutALostJob(t *testing.T) {
	spent := true
	g := newExportRig(t, 48*time.Hour, func(f *fakeExports) {
		f.refuse = func(map[string]any) (int, string) {
			if spent {
				return 122, "Daily API rate limit met"
			}
			return 0, ""
		}
	})
	err := g.read(t)
	if martsync.KindOf(err) != martsync.Quota {
		t.Fatalf("error %v of kind %s, want quota", err, martsync.KindOf(err))
	}
	spent = false
	g.clock.Advance(24 * time.Hour)
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
}

// One job for the records that are there, one for those in the recycle bin.
func TestBothPassesOfListMemberships(t *testing.T) {
	g := newExportRig(t, 100*time.Hour, func(f *fakeExports) { f.files = 2 })
	g.object = &exportObject{v4: "listMembership", procedures: []procedure{byUpdate}, passes: []pass{
		{arguments: map[string]any{"deleted": "false"}}, {arguments: map[string]any{"deleted": "true"}, deleted: true},
	}}
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
	marked := 0
	for _, r := range g.records {
		if g.rows[r.id].deleted != r.deleted {
			t.Errorf("record %d: deleted is %t, want %t", r.id, g.rows[r.id].deleted, r.deleted)
		}
		if r.deleted {
			marked++
		}
	}
	if marked == 0 || g.creates != 2 {
		t.Errorf("%d records in the recycle bin, %d jobs", marked, g.creates)
	}
	open := 0
	for _, body := range g.created {
		if body["procedure"].(map[string]any)["arguments"].(map[string]any)["deleted"] == "true" {
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d jobs for the recycle bin, want 1", open)
	}
}

func TestUnknownFieldsAreLeftOut(t *testing.T) {
	tests := []struct {
		name    string
		code    int
		message string
		fields  []string
		wish    string
		noted   bool
		want    error
	}{
		{"named, version 4", 180, "Invalid field for this operation: kite_size", []string{"id", "name", "updated_at", "kite_size"}, "", true, nil},
		{"named, as a wish", 180, "Invalid field for this operation: kite_size", []string{"id", "name", "updated_at", "kite_size"}, "kite_size", false, nil},
		{"not named, a wish", 130, "One or more fields are invalid", []string{"id", "name", "updated_at", "kite_size"}, "kite_size", false, nil},
		{"not named", 130, "One or more fields are invalid", []string{"id", "name", "updated_at", "kite_size"}, "", false, errNoExport},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newExportRig(t, 48*time.Hour, func(f *fakeExports) {
				f.refuse = func(body map[string]any) (int, string) {
					if slices.Contains(body["fields"].([]any), any("kite_size")) {
						return test.code, test.message
					}
					return 0, ""
				}
			})
			g.names, g.wish = test.fields, test.wish
			err := g.finish(t)
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if err == nil {
				g.compare(t)
			}
			if got := len(g.notes) > 0; got != test.noted {
				t.Errorf("notes %q, want some: %t", g.notes, test.noted)
			}
		})
	}
}

// More fields than a job may name: it names none and gets all there are.
func TestMoreFieldsThanAJobMayName(t *testing.T) {
	g := newExportRig(t, 48*time.Hour)
	for i := range exportFieldsMost {
		g.names = append(g.names, fmt.Sprintf("custom_%d", i))
	}
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
	if _, named := g.created[0]["fields"]; named {
		t.Error("the job names fields")
	}
}

func TestVersion5Exports(t *testing.T) {
	g := newExportRig(t, 100*time.Hour, func(f *fakeExports) { f.files, f.waits = 3, 2 })
	g.version5()
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
	for _, r := range g.records {
		if g.rows[r.id].deleted != r.deleted {
			t.Errorf("record %d: deleted is %t, want %t", r.id, g.rows[r.id].deleted, r.deleted)
		}
	}
	body := g.created[0]
	arguments := body["procedure"].(map[string]any)["arguments"].(map[string]any)
	if want := unix(g.From-1).Format("2006-01-02T15:04:05") + "+00:00"; arguments["updatedAfter"] != want {
		t.Errorf("updatedAfter is %v, want %s", arguments["updatedAfter"], want)
	}
	if body["object"] != "VisitorActivity" || body["includeByteOrderMark"] != false || body["legacyDateFormat"] != false {
		t.Errorf("the request is %v", body)
	}
}

func TestU2ArgumentsOfVersion5InSnakeCase(t *testing.T) {
	g := newExportRig(t, 48*time.Hour, func(f *fakeExports) {
		f.refuse = func(body map[string]any) (int, string) {
			for name := range body["procedure"].(map[string]any)["arguments"].(map[string]any) {
				if strings.ToLower(name) != name {
					return 175, "Unknown procedure argument: " + name
				}
			}
			return 0, ""
		}
	})
	g.version5()
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
	if len(g.jobs) != 1 {
		t.Errorf("%d jobs, want 1", len(g.jobs))
	}
}

func TestTheEnvelopeMayBeMissing(t *testing.T) {
	g := newExportRig(t, 48*time.Hour, func(f *fakeExports) { f.bare = true })
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
}

// The time of creation that the vendor tells is the API user's clock. If that is not what it is
// thought to be, times in files would be wrong by hours.
func TestX07TheZoneIsNotTheOneThatWasSet(t *testing.T) {
	g := newExportRig(t, 48*time.Hour, func(f *fakeExports) { f.loc = time.FixedZone("elsewhere", 9*3600) })
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	if !g.noted("time zone") {
		t.Errorf("no note tells of it: %q", g.notes)
	}
	if g.creates != 1 {
		t.Errorf("%d jobs, want 1: the zone was set by hand", g.creates)
	}
}
