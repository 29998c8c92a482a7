package marketo

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

func TestViews(t *testing.T) {
	leads := martsync.Schema{Stream: "leads", Columns: fieldList("id integer", "email")}
	activities := martsync.Schema{Stream: "activities", Columns: []martsync.Column{
		{Name: "marketo_guid", Type: martsync.String},
		{Name: "lead_id", Type: martsync.Int64},
		{Name: "activity_type_id", Type: martsync.Int64},
		{Name: "attributes", Type: martsync.JSON},
	}}
	types := []activityType{
		{ID: 1, Name: "Visit Webpage", Description: "User visits a page", Attributes: []attribute{
			{"Webpage URL", "string"}, {"Lead ID", "integer"}, {"lead id", "integer"}, {"Webpage URL", "string"}, {"Paid (€)", "currency"}, {"", "string"},
		}},
		{ID: 100001, Name: "visit  webpage "},
		{ID: 100002, Name: "Visit Webpage"},
	}
	got := makeViews(leads, activities, types)
	want := []martsync.View{
		{
			Name: "datamart", From: "activities", Join: &martsync.Join{Stream: "leads", On: [][2]string{{"lead_id", "id"}}},
			Description: got[0].Description,
			Columns: []martsync.ViewColumn{
				{Name: "marketo_guid_ma", Column: "marketo_guid"},
				{Name: "lead_id_ma", Column: "lead_id"},
				{Name: "activity_type_id_ma", Column: "activity_type_id"},
				{Name: "attributes_ma", Column: "attributes"},
				{Name: "id_ml", Joined: true, Column: "id"},
				{Name: "email_ml", Joined: true, Column: "email"},
			},
		},
		{
			Name: "missing_leads", From: "activities", Join: &martsync.Join{Stream: "leads", Anti: true, On: [][2]string{{"lead_id", "id"}}},
			Description: got[1].Description, Where: []martsync.Condition{{Column: "lead_id", Op: "is not null"}},
			Columns: []martsync.ViewColumn{{Name: "lead_id", Column: "lead_id"}}, Distinct: true,
		},
		{
			Name: "leads_current", From: "leads", Description: got[2].Description,
			Follow:  &martsync.Follow{Key: "id", Stream: "lead_merges", Old: "loser_id", New: "winner_id"},
			Columns: []martsync.ViewColumn{{Name: "email", Column: "email"}, {Name: "_deleted", Column: "_deleted"}},
		},
		{
			Name: "activity_visit_webpage", From: "activities", Description: "Activities of type 1, Visit Webpage. User visits a page",
			Where: []martsync.Condition{{Column: "activity_type_id", Op: "=", Value: 1}},
			Columns: []martsync.ViewColumn{
				{Name: "marketo_guid", Column: "marketo_guid"},
				{Name: "lead_id", Column: "lead_id"},
				{Name: "webpage_url", Column: "attributes", Key: "Webpage URL", Type: martsync.String},
				{Name: "lead_id_2", Column: "attributes", Key: "Lead ID", Type: martsync.Int64},
				{Name: "lead_id_3", Column: "attributes", Key: "lead id", Type: martsync.Int64},
				{Name: got[3].Columns[5].Name, Column: "attributes", Key: "Paid (€)", Type: martsync.Float64},
			},
		},
	}
	if diff := cmp.Diff(want, got[:4]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	names := map[string]bool{}
	for _, v := range got {
		if names[v.Name] {
			t.Errorf("two views are called %s", v.Name)
		}
		names[v.Name] = true
		var columns []string
		for _, c := range v.Columns {
			if slices.Contains(columns, c.Name) || c.Name == "" {
				t.Errorf("%s: column %q twice or without a name", v.Name, c.Name)
			}
			columns = append(columns, c.Name)
		}
	}
	if len(got) != 6 {
		t.Errorf("%d views, want 6", len(got))
	}
}
