package marketo

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// E27: streams that wait because the day's bytes are spent, while jobs are still under way, do not read the list of
// finished jobs at each of their minutes: only jobs that finish change it.
func TestE27ListOfFinishedJobsIsReadWhenItChanges(t *testing.T) {
	const day = 24 * time.Hour
	a := newAccount(t, marketosim.Config{
		Options: simulate.Options{Rows: 500}, PerLead: 30, LeadSpan: 300 * day, ActivitySpan: 300 * day, KeepsAll: true,
		// What is under way stays so for hours, as when other integrations fill the queue.
		ProcessTime: func(*simulate.Job) time.Duration { return 3 * time.Hour },
	})
	a.tweak = func(c *Config) {
		byBulk(c)
		c.Limits.ExportMegabytes = 1
	}
	lists := 0
	a.line.block = func(r *http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/leads/export.json") && r.URL.Query().Get("status") == "Completed" {
			lists++
		}
		return nil
	}
	s := a.open()
	by := bulkByName(t, s)
	begin := a.clock.Now()
	end := martsync.Span{End: begin}
	open := []*mart{a.mart("leads"), a.mart("activities"), a.mart("lead_merges")}
	for round := 0; len(open) > 0; round++ {
		if round > 10_000 {
			t.Fatal("it never ends")
		}
		var wait time.Duration
		var left []*mart
		for _, m := range open {
			err := m.attempt(t.Context(), by[m.schema.Stream], end, never)
			if err == nil {
				a.check(m)
				continue
			}
			if !martsync.KindOf(err).Waits() {
				t.Fatal(err)
			}
			left = append(left, m)
			if after := martsync.AfterOf(err); wait == 0 || after < wait {
				wait = after
			}
		}
		open = left
		a.clock.Advance(wait)
	}
	days := int(a.clock.Now().Sub(begin)/day) + 1
	jobs := a.sim.Stats().ExportJobs
	t.Logf("%d lists, %d jobs, %d days", lists, jobs, days)
	if days < 3 {
		t.Fatalf("it took %d days: too few to be a test", days)
	}
	if most := jobs + days; lists > most {
		t.Errorf("the list was read %d times on %d days with %d jobs, want at most %d", lists, days, jobs, most)
	}
}
