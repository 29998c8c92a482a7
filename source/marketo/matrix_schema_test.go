package marketo

import (
	"log/slog"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// E20: fields that are added, retyped and removed between syncs, and while an export is on its way. The table follows.
func TestE20FieldsComeGoAndChange(t *testing.T) {
	d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 60}, LeadSpan: 20 * 24 * time.Hour})
	one := []string{"leads"}
	column := func(name string) (found martsync.Column, ok bool) {
		schema, _, err := memory.New(d.storage).ReadTable(t.Context(), "leads")
		if err != nil {
			t.Fatal(err)
		}
		i := schema.Index(name)
		if i < 0 {
			return found, false
		}
		return schema.Columns[i], true
	}
	values := func(name string) (n int) {
		for row := range d.Truth("leads") {
			if row.Values[name] != nil {
				n++
			}
		}
		return n
	}
	d.sync(t, one)
	d.equal(t, one)
	if _, ok := column("shoe_size__c"); ok {
		t.Fatal("the column is there before the field")
	}
	for _, step := range []struct {
		name   string
		change func() error
		want   martsync.Type
	}{
		{"added", func() error { return d.AddField("shoeSize__c", "Shoe Size", "integer") }, martsync.Int64},
		{"integers become text", func() error { return d.RetypeField("shoeSize__c", "string") }, martsync.String},
		{"removed", func() error { return d.RemoveField("shoeSize__c") }, martsync.String},
	} {
		t.Run(step.name, func(t *testing.T) {
			if err := step.change(); err != nil {
				t.Fatal(err)
			}
			d.clock.Advance(time.Hour)
			d.Change(400)
			d.clock.Advance(time.Hour)
			for _, st := range d.sync(t, one).Stats.Streams {
				if st.Error != "" || st.Quarantined > 0 {
					t.Errorf("%s ended as %s: %s; %d in quarantine", st.Stream, st.Phase, st.Error, st.Quarantined)
				}
			}
			// The field has come to leads that nobody has changed, which only reading all of them again tells.
			if _, err := pipeline.Run(t.Context(), &pipeline.Sync{
				Name: "depot", Source: d.open(t), Destination: memory.New(d.storage), Streams: one, State: d.state, Clock: d.clock,
				Log: slog.New(slog.DiscardHandler), Backfill: true,
			}); err != nil {
				t.Fatal(err)
			}
			d.equal(t, one)
			c, ok := column("shoe_size__c")
			if !ok || c.Type != step.want {
				t.Errorf("the column is there: %v, as %s; want %s", ok, c.Type, step.want)
			}
			if n := values("shoeSize__c"); (n == 0) != (step.name == "removed") {
				t.Errorf("%d leads have a value", n)
			}
		})
	}
}
