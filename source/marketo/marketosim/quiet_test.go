package marketosim

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// S18: changes that no activity tells are seen by the filter updatedAt and by nothing else.
func TestS18_QuietChanges(t *testing.T) {
	a := open(t, Config{})
	a.forward(time.Hour)
	at := a.clock.Now()
	token := a.since(at.Add(-time.Minute))
	ids := a.sim.ChangeQuietly(10)
	if len(ids) < 3 {
		t.Fatalf("%d leads have changed, want about ten", len(ids))
	}
	a.clock.Advance(time.Minute)
	_, p := a.export("leads", object{"fields": []string{"id"}, "filter": between31("updatedAt", at, at)})
	slices.Sort(ids)
	if rows := lines(p)[1:]; fmt.Sprint(rows) != fmt.Sprint(ids) {
		t.Errorf("the filter shows %v, want %v", rows, ids)
	}
	names := []string{}
	for _, f := range a.sim.state.Load().fields {
		if f.Exportable() {
			names = append(names, f.Name)
		}
	}
	if got, _ := a.read("/rest/v1/activities/leadchanges.json?fields="+url.QueryEscape(strings.Join(names, ",")), token); len(got) != 0 {
		t.Errorf("the feed of changes tells %d of them", len(got))
	}
	if got, _ := a.read("/rest/v1/activities.json?activityTypeIds=13,22", token); len(got) != 0 {
		t.Errorf("the log tells %d of them", len(got))
	}
}

func TestOneLeadChanged(t *testing.T) {
	a := open(t, Config{})
	a.forward(time.Hour)
	token := a.since(a.clock.Now().Add(-time.Minute))
	id := a.sim.world.leadID(a.sim.state.Load().total - 1)
	if !a.sim.TouchLead(id, "title") {
		t.Error("the lead cannot be touched")
	}
	if got, _ := a.read("/rest/v1/activities/leadchanges.json?fields=title", token); len(got) != 1 || got[0].LeadID != id {
		t.Errorf("the feed tells %+v, want the change of %d", got, id)
	}
	if !a.sim.DeleteLead(id) || a.sim.DeleteLead(id) || a.sim.TouchLead(id, "title") {
		t.Error("the lead can be deleted once, and not touched then")
	}
	if got, _ := a.read("/rest/v1/activities/deletedleads.json?x=1", token); len(got) != 1 || got[0].LeadID != id {
		t.Errorf("the log of deletions tells %+v, want %d", got, id)
	}
	if a.sim.TouchLead(1, "title") || a.sim.DeleteLead(500_002) {
		t.Error("ids of nobody can be changed")
	}
}
