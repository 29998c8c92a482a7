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

func TestX09RefsOfACompleteExport(t *testing.T) {
	tests := []struct {
		name  string
		files int
		shape func(urls []string) any
	}{
		{"one, as a text", 1, nil},
		{"one, in an array", 1, func(urls []string) any { return urls }},
		{"many, in no order", 7, nil},
		{"many, in falling order", 7, func(urls []string) any { slices.Reverse(urls); return urls }},
		{"one of them twice", 3, func(urls []string) any { return append(urls, urls[0]) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newExportRig(t, 100*time.Hour, func(f *fakeExports) { f.files, f.shape = test.files, test.shape })
			if err := g.finish(t); err != nil {
				t.Fatal(err)
			}
			g.compare(t)
			if want := (exportCount{rows: 99, calls: int64(2 + test.files)}); g.counted != want {
				t.Errorf("counted %+v, want %+v", g.counted, want)
			}
			if g.creates != 1 {
				t.Errorf("%d jobs were created, want 1", g.creates)
			}
		})
	}
}

func TestX09CompleteWithoutRefsIsEmpty(t *testing.T) {
	for _, test := range []struct {
		name  string
		shape func([]string) any
	}{
		{"absent", nil},
		{"null", func([]string) any { return nil }},
		{"empty text", func([]string) any { return "" }},
		{"empty array", func([]string) any { return []string{} }},
		{"empty object", func([]string) any { return struct{}{} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newExportRig(t, 48*time.Hour, func(f *fakeExports) { f.records, f.shape = nil, test.shape })
			if err := g.finish(t); err != nil {
				t.Fatal(err)
			}
			if g.counted.rows != 0 || g.creates != 1 || g.batches != 0 {
				t.Errorf("%d rows of %d jobs in %d batches, want none of one", g.counted.rows, g.creates, g.batches)
			}
		})
	}
}

func TestX09RefsOfAnotherKindAreAnError(t *testing.T) {
	g := newExportRig(t, 48*time.Hour, func(f *fakeExports) { f.shape = func([]string) any { return 7 } })
	err := g.read(t)
	for range 3 {
		g.clock.Advance(martsync.AfterOf(err))
		err = g.read(t)
	}
	if err == nil || !strings.Contains(err.Error(), "resultRefs") {
		t.Errorf("error %v, want one about resultRefs", err)
	}
	if len(g.rows) > 0 || g.creates != 1 {
		t.Errorf("%d rows, %d jobs", len(g.rows), g.creates)
	}
}

func TestX10WaitingForHoursIsResumedByID(t *testing.T) {
	g := newExportRig(t, 100*time.Hour, func(f *fakeExports) { f.waits = 40 })
	if err := g.finish(t); err != nil { // each read is another process
		t.Fatal(err)
	}
	g.compare(t)
	if g.creates != 1 {
		t.Errorf("%d jobs were created, want 1", g.creates)
	}
	if waited := g.clock.Now().Sub(exportStart); waited < 4*time.Hour || waited > 6*time.Hour {
		t.Errorf("40 looks took %s, want them to be minutes apart, at most ten", waited)
	}
}

func TestX10NoLookBeforeItIsDue(t *testing.T) {
	g := newExportRig(t, 100*time.Hour, func(f *fakeExports) { f.waits = 3 })
	for range 5 {
		err := g.read(t)
		if martsync.KindOf(err) != martsync.Pending || martsync.AfterOf(err) != time.Minute {
			t.Fatalf("error %v of kind %s after %s, want pending for a minute", err, martsync.KindOf(err), martsync.AfterOf(err))
		}
	}
	if g.polls != 0 || g.creates != 1 {
		t.Errorf("%d looks and %d jobs, want none and one", g.polls, g.creates)
	}
}

func TestX10AHintAfterALongWait(t *testing.T) {
	g := newExportRig(t, 100*time.Hour, func(f *fakeExports) { f.waits = 1000 })
	err := g.read(t)
	if martsync.HintOf(err) != "" {
		t.Errorf("hint %q at once", martsync.HintOf(err))
	}
	for g.clock.Now().Before(exportStart.Add(4 * time.Hour)) {
		g.clock.Advance(martsync.AfterOf(err))
		err = g.read(t)
	}
	if martsync.HintOf(err) == "" {
		t.Errorf("no hint after four hours: %v", err)
	}
}

// A crash at any cursor, just before or just after it has been stored, costs neither a row nor a
// second job.
func TestX10CrashAtEachCursor(t *testing.T) {
	for _, v := range []version{v4, v5} {
		for at := 1; at < 12; at++ {
			for _, when := range []int{at, -at} {
				t.Run(fmt.Sprintf("%s %d", v, when), func(t *testing.T) {
					g := newExportRig(t, 100*time.Hour, func(f *fakeExports) { f.files, f.waits = 3, 2 })
					if v == v5 {
						g.version5()
					}
					g.crash = func(n int) error {
						if n == when {
							return errCrash
						}
						return nil
					}
					err := g.finish(t)
					crashed := errors.Is(err, errCrash)
					if crashed {
						err = g.finish(t)
					}
					if err != nil {
						t.Fatal(err)
					}
					g.compare(t)
					if g.creates != 1 {
						t.Errorf("%d jobs were created, want 1", g.creates)
					}
					if g.counted.rows != 99 {
						t.Errorf("%d rows were counted, want 99", g.counted.rows)
					}
					if !crashed && at < 8 {
						t.Errorf("there was no cursor %d", at)
					}
				})
			}
		}
	}
}

func (g *exportRig) version5() {
	g.ver, g.names = v5, []string{"id", "name", "updatedAt", "isDeleted"}
}

func TestX10LostReplyToCreate(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*fakeExports)
		creates int
	}{
		{"found in the list", func(*fakeExports) {}, 1},
		{"the list may not be seen", func(f *fakeExports) { f.unlisted = true }, 2},
		{"another program's jobs are there too", func(f *fakeExports) {
			f.jobs[9000] = &fakeJob{id: 9000, object: "visitorActivity", fields: []string{"updated_at", "id"}, version: v4, state: "Waiting", args: map[string]string{"updated_after": "2026-05-01 00:00:00", "updated_before": "2026-05-02 00:00:00"}, created: f.clock.Now()}
			f.jobs[9001] = &fakeJob{id: 9001, object: "prospect", fields: []string{"id"}, version: v4, state: "Waiting", created: f.clock.Now()}
			f.jobs[9002] = &fakeJob{id: 9002, object: "visitorActivity", fields: []string{"id"}, version: v4, state: "Failed", created: f.clock.Now()}
			f.jobs[9003] = &fakeJob{id: 9003, object: "visitorActivity", fields: []string{"id"}, version: v4, state: "Waiting", created: f.clock.Now().Add(-30 * time.Minute)}
		}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newExportRig(t, 100*time.Hour, func(f *fakeExports) { f.lose = true; test.change(f) })
			err := g.read(t)
			if martsync.KindOf(err) != martsync.Transient {
				t.Fatalf("error %v, want a transient one", err)
			}
			g.mu.Lock() // the vendor may not have noticed yet that nobody waits for the reply
			g.lose = false
			g.mu.Unlock()
			g.clock.Advance(2 * time.Minute)
			if err := g.finish(t); err != nil {
				t.Fatal(err)
			}
			g.compare(t)
			if g.creates != test.creates {
				t.Errorf("%d jobs were created, want %d", g.creates, test.creates)
			}
			for id, j := range g.jobs {
				if id > 9000 && id < 9900 && j.served > 0 {
					t.Errorf("the file of job %d was fetched", id)
				}
			}
		})
	}
}

// A job of another program that asks for the same columns, by another filter, cannot be told from
// ours until its file is there; then its header does not prove that it is.
func TestX10AForeignJobIsNotTakenOver(t *testing.T) {
	names := []string{"id", "name", "updated_at", "type", "details", "prospect_id", "visitor_id", "campaign_id"}
	g := newExportRig(t, 100*time.Hour)
	g.names = names
	g.crash = func(n int) error {
		if n == -1 { // the intention is stored, the job not yet made
			return errCrash
		}
		return nil
	}
	if err := g.read(t); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	g.jobs[9800] = &fakeJob{
		id: 9800, object: "visitorActivity", fields: names, version: v4, state: "Waiting", created: g.clock.Now(),
		args: map[string]string{"updated_after": "2026-05-29 00:00:00", "updated_before": "2026-05-30 00:00:00", "deleted": "all"},
	}
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
	if g.counted.rows != 99 || g.creates != 1 {
		t.Errorf("%d rows, %d jobs, want 99 rows of a job of our own", g.counted.rows, g.creates)
	}
	if g.jobs[9800].served != 1 {
		t.Errorf("the foreign file was fetched %d times, want once, for its header", g.jobs[9800].served)
	}
}

func TestX11FailedOnceIsMadeAnew(t *testing.T) {
	for _, state := range []string{"Failed", "Canceled", "Cancelled", "Expired"} {
		t.Run(state, func(t *testing.T) {
			failures := 0
			g := newExportRig(t, 100*time.Hour, func(f *fakeExports) {
				f.fate = func(*fakeJob) string {
					if failures++; failures == 1 {
						return state
					}
					return "Complete"
				}
			})
			if err := g.finish(t); err != nil {
				t.Fatal(err)
			}
			g.compare(t)
			if g.creates != 2 || g.halves != 0 {
				t.Errorf("%d jobs, %d halvings, want 2 and none", g.creates, g.halves)
			}
			if !g.noted("given up") {
				t.Errorf("no note tells of it: %q", g.notes)
			}
		})
	}
}

func TestX11FailedTwiceIsSplit(t *testing.T) {
	to := secondOf(exportStart)
	g := newExportRig(t, 100*time.Hour, func(f *fakeExports) {
		f.fate = func(j *fakeJob) string {
			if len(f.matching(j)) > 30 {
				return "Failed"
			}
			return "Complete"
		}
	})
	for g.From < to {
		g.To, g.cursor = to, nil
		if err := g.finish(t); err != nil {
			t.Fatal(err)
		}
		if g.To.sub(g.From) > 51*time.Hour && g.To != to {
			t.Errorf("a range of %s was not halved", g.To.sub(g.From))
		}
		g.From = g.To // the next window
	}
	g.From, g.To = secondOf(exportStart.Add(-100*time.Hour)), to
	g.compare(t)
	if g.halves < 2 {
		t.Errorf("%d halvings, want several", g.halves)
	}
}

func TestX11NothingHelps(t *testing.T) {
	g := newExportRig(t, 300*24*time.Hour, func(f *fakeExports) { f.fate = func(*fakeJob) string { return "Failed" } })
	err := g.finish(t)
	if !errors.Is(err, errNoExport) {
		t.Fatalf("error %v, want %v", err, errNoExport)
	}
	if g.creates > exportFailures || g.creates < 5 {
		t.Errorf("%d jobs were created", g.creates)
	}
	if !strings.Contains(err.Error(), "Failed") && !strings.Contains(err.Error(), "failed") {
		t.Errorf("error %q does not say why", err)
	}
}

// The files expire between two reads: the job is known to be complete, its files are not there.
func TestX11ExpiresBeforeTheDownload(t *testing.T) {
	g := newExportRig(t, 100*time.Hour, func(f *fakeExports) { f.files = 3 })
	stored := 0
	g.crash = func(n int) error {
		if n == -4 { // intention, id, completion, first file
			return errCrash
		}
		stored = max(stored, n)
		return nil
	}
	if err := g.finish(t); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if len(g.rows) == 0 || len(g.rows) == 99 {
		t.Fatalf("%d rows before the crash, want some", len(g.rows))
	}
	for _, j := range g.jobs {
		j.expired = true
	}
	g.crash = nil
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
	if g.creates != 2 {
		t.Errorf("%d jobs, want 2", g.creates)
	}
}

func TestX11LostByTheVendor(t *testing.T) {
	g := newExportRig(t, 100*time.Hour)
	if err := g.read(t); martsync.KindOf(err) != martsync.Pending {
		t.Fatal(err)
	}
	clear(g.jobs)
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
	if g.creates != 2 {
		t.Errorf("%d jobs, want 2", g.creates)
	}
}

func TestX11NeverComesToAnEnd(t *testing.T) {
	stuck := true
	g := newExportRig(t, 10*time.Hour, func(f *fakeExports) {
		f.fate = func(*fakeJob) string {
			if stuck {
				return "Processing"
			}
			return "Complete"
		}
	})
	for range 400 {
		err := g.read(t)
		if err == nil {
			break
		}
		if g.creates == 2 {
			stuck = false
		}
		g.clock.Advance(martsync.AfterOf(err))
	}
	g.compare(t)
	if waited := g.clock.Now().Sub(exportStart); waited < 24*time.Hour || waited > 26*time.Hour {
		t.Errorf("it took %s to give the job up, want a day", waited)
	}
}

// Both bounds are exclusive at the vendor; neighbouring windows share no row and lose none.
func TestX12WindowsOfAYear(t *testing.T) {
	for _, v := range []version{v4, v5} {
		t.Run(string(v), func(t *testing.T) {
			const ago = 3*365*24*time.Hour + 5*time.Hour
			begin, end := secondOf(exportStart.Add(-ago)), secondOf(exportStart)
			g := newExportRig(t, ago)
			if v == v5 {
				g.version5()
			}
			g.records = nil
			id := int64(0)
			add := func(at second) {
				id++
				g.records = append(g.records, fakeRecord{id: id, name: "r", at: unix(at)})
			}
			for at := begin; at < end; at = at.add(26*time.Hour + 17*time.Second) {
				add(at)
			}
			for at := begin; at < end; at = at.add(exportLongest) { // on the seams, and beside them
				add(at - 1)
				add(at)
				add(at + 1)
			}
			windows := 0
			for at := begin; at < end; at = g.To {
				g.From, g.To, g.cursor = at, min(end, at.add(exportLongest)), nil
				if err := g.finish(t); err != nil {
					t.Fatal(err)
				}
				windows++
			}
			g.From, g.To = begin, end
			g.compare(t)
			if want := int(ago/exportLongest) + 1; windows != want {
				t.Errorf("%d windows, want %d", windows, want)
			}
			in := 0
			for _, r := range g.records {
				if !r.at.Before(unix(begin)) && r.at.Before(unix(end)) {
					in++
				}
			}
			if g.counted.rows != int64(in) {
				t.Errorf("%d rows were delivered for %d records: windows overlap", g.counted.rows, in)
			}
		})
	}
}

// Windows that begin or end in the hour that comes twice are wider on the wire than they are.
func TestX12SeamInTheHourThatComesTwice(t *testing.T) {
	back := time.Date(2025, 11, 2, 6, 0, 0, 0, time.UTC) // 01:00 EST, the second time
	g := newExportRig(t, 10*time.Hour)
	g.records = nil
	for i := range 240 {
		g.records = append(g.records, fakeRecord{id: int64(i + 1), name: "r", at: back.Add(time.Duration(i-120) * time.Minute)})
	}
	begin, end := secondOf(back.Add(-2*time.Hour)), secondOf(back.Add(2*time.Hour))
	for at := begin; at < end; at = at.add(25 * time.Minute) {
		g.From, g.To, g.cursor = at, min(end, at.add(25*time.Minute)), nil
		if err := g.finish(t); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range g.records {
		got, ok := g.rows[r.id]
		if !ok {
			t.Errorf("record %d of %s is missing", r.id, r.at)
			continue
		}
		// Its clock showed the same an hour before or after.
		if off := got.at.Sub(r.at).Abs(); off != 0 && off != time.Hour {
			t.Errorf("record %d of %s is at %s", r.id, r.at, got.at)
		}
	}
}
