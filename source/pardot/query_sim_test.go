package pardot

import (
	"iter"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot/pardotsim"
)

// asV4 makes the queries of streams those of version 4.
func asV4(streams ...string) func(*Config) {
	return func(c *Config) {
		c.Streams = map[string]StreamConfig{}
		for _, s := range streams {
			c.Streams[s] = StreamConfig{API: "v4", Read: "query"}
		}
	}
}

func TestX05ManyInOneSecondAgainstTheSimulator(t *testing.T) {
	l := newLab(t, pardotsim.Config{})
	l.streams = []string{"prospects", "visitor_activities"}
	l.sync(t)
	l.AddProspects(1500, l.clock.Now())
	l.AddActivities(1500, l.clock.Now())
	l.clock.Advance(time.Hour)
	stats := l.sync(t)
	for _, st := range stats.Streams {
		if st.Rows < 1500 {
			t.Errorf("%s: %d rows, want those of the one second at least", st.Stream, st.Rows)
		}
	}
	if t.Failed() {
		return
	}
	// A list is imported: every row changes within one second.
	l.Touch("prospects", 1200, l.clock.Now())
	l.clock.Advance(time.Hour)
	l.sync(t)
}

func TestX18ShortSequencesAgainstTheSimulator(t *testing.T) {
	cfg := pardotsim.Config{Sequence: 20}
	cfg.Rows = 900
	l := newLab(t, cfg)
	l.streams = []string{"prospects", "list_memberships", "campaigns", "forms"}
	l.sync(t)
}

func TestX19DeletesAgainstTheSimulator(t *testing.T) {
	for name, change := range map[string]func(*Config){"version 5": func(*Config) {}, "version 4": asV4("prospects", "list_memberships", "prospect_accounts")} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, pardotsim.Config{})
			l.streams = []string{"prospects", "list_memberships", "prospect_accounts", "campaigns", "forms"}
			if name == "version 4" {
				l.truth = func(table string) iter.Seq[simulate.Row] {
					if table == "campaigns" || table == "forms" {
						return l.Truth(table)
					}
					return l.TruthBy(table, "v4")
				}
			}
			l.sync(t, change)
			gone := 0
			for _, table := range []string{"prospects", "list_memberships", "campaigns"} {
				l.Remove(table, 5)
				gone += len(l.Purge(table, 3))
			}
			if gone == 0 {
				t.Fatal("nothing was purged")
			}
			l.clock.Advance(21 * time.Hour) // a sweep is due
			l.sync(t, change)
		})
	}
}

func TestX21FieldsAppearAgainstTheSimulator(t *testing.T) {
	l := newLab(t, pardotsim.Config{})
	l.streams = []string{"prospects"}
	l.sync(t)
	l.clock.Advance(time.Hour)
	for name, kind := range map[string]string{"kite_length": "Number", "kite_friends": "Multi-Select"} {
		if err := l.AddCustomField(name, kind, kind != "Number"); err != nil {
			t.Fatal(err)
		}
	}
	l.clock.Advance(time.Hour)
	l.sync(t)
}
