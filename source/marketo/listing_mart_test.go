package marketo

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// The engine's tables are the truth after every change, whatever goes wrong on the way.
func TestListingTablesEqualTheTruth(t *testing.T) {
	streams := slices.Concat(wholeStreams, usageStreams, []string{"programs"})
	daily := func(c *Config) { c.Assets.FullListingEvery = setting.Duration(time.Hour) }
	d := newDepot(t, marketosim.Config{
		Options: simulate.Options{Rows: 1000, Faults: []string{"code:code=611,every=29", "status:code=502,every=31", "cut:every=37"}},
	})
	for round := range 5 {
		out := d.sync(t, streams, daily)
		for _, st := range out.Stats.Streams {
			if st.Error != "" || st.Quarantined > 0 {
				t.Errorf("round %d, %s ended as %s: %s; %d in quarantine", round, st.Stream, st.Phase, st.Error, st.Quarantined)
			}
		}
		d.equal(t, streams, daily)
		if t.Failed() {
			t.Fatalf("after round %d\n%s", round, d.log.tail())
		}
		d.clock.Advance(25 * time.Hour)
		if said := strings.Join(d.Change(500), "\n"); !strings.Contains(said, "Design studio:") {
			t.Fatalf("no asset has changed:\n%s", said)
		}
		d.clock.Advance(time.Hour)
	}
}

// E28: what a role or a subscription lacks costs its own streams, and no others.
func TestE28_OtherStreamsGoOnWithoutAssets(t *testing.T) {
	users := marketosim.DefaultUsers()
	users[0].Denied = []string{"Read-Only Assets"}
	d := newDepot(t, marketosim.Config{Users: users})
	streams := []string{"forms", "tokens", "segments", "lead_fields", "activity_types", "api_usage", "api_errors"}
	out := d.sync(t, streams)
	readable := streams[3:]
	for _, st := range out.Stats.Streams {
		if skipped := st.Error != ""; skipped == slices.Contains(readable, st.Stream) {
			t.Errorf("%s ended as %s: %q", st.Stream, st.Phase, st.Error)
		}
	}
	d.equal(t, readable)
}
