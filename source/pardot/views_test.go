package pardot

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

func viewSchemas() map[string]martsync.Schema {
	schema := func(stream string, names ...string) martsync.Schema {
		s := martsync.Schema{Stream: stream}
		for _, n := range names {
			s.Columns = append(s.Columns, martsync.Column{Name: n, Type: martsync.String})
		}
		return s
	}
	schemas := map[string]martsync.Schema{}
	for _, s := range []martsync.Schema{
		schema(activityStream, "id", "type", "type_name", "prospect_id", "created_at"),
		schema(prospectStream, "id", "email", "prospect_account_id", "account_id", "is_deleted"),
		schema(membershipStream, "id", "list_id", "prospect_id", "list_name"),
		schema(listStream, "id", "name"),
		schema(clickStream, "id", "prospect_id", "url"),
		schema(pairStream, "opportunity_id", "prospect_id"),
		schema(dealStream, "id", "name"),
	} {
		schemas[s.Stream] = s
	}
	return schemas
}

func TestViews(t *testing.T) {
	views := makeViews(viewSchemas())
	byName := map[string]martsync.View{}
	for _, v := range views {
		if _, twice := byName[v.Name]; twice {
			t.Errorf("two views are called %s", v.Name)
		}
		byName[v.Name] = v
		var names []string
		for _, c := range v.Columns {
			if c.Name == "" || slices.Contains(names, c.Name) {
				t.Errorf("%s: column %q twice or without a name", v.Name, c.Name)
			}
			names = append(names, c.Name)
		}
		if strings.Contains(v.Name, "__") || strings.HasSuffix(v.Name, "_") || v.Description == "" {
			t.Errorf("view %q, %q: want a name without stray underscores, and a description", v.Name, v.Description)
		}
	}
	join := &martsync.Join{Stream: "prospects", On: [][2]string{{"prospect_id", "id"}}}
	want := martsync.View{
		Name: "prospect_activities", From: "visitor_activities", Join: join, Description: byName["prospect_activities"].Description,
		Columns: []martsync.ViewColumn{
			{Name: "id", Column: "id"},
			{Name: "type", Column: "type"},
			{Name: "type_name", Column: "type_name"},
			{Name: "prospect_id", Column: "prospect_id"},
			{Name: "created_at", Column: "created_at"},
			{Name: "prospect_email", Joined: true, Column: "email"},
			{Name: "prospect_prospect_account_id", Joined: true, Column: "prospect_account_id"},
			{Name: "prospect_account_id", Joined: true, Column: "account_id"},
			{Name: "prospect_is_deleted", Joined: true, Column: "is_deleted"},
			{Name: "prospect_deleted", Joined: true, Column: "_deleted"},
		},
	}
	if diff := cmp.Diff(want, byName["prospect_activities"]); diff != "" {
		t.Errorf("prospect_activities (-want +got):\n%s", diff)
	}
	want = martsync.View{
		Name: "missing_prospects", From: "visitor_activities", Description: byName["missing_prospects"].Description, Distinct: true,
		Join:    &martsync.Join{Stream: "prospects", Anti: true, On: [][2]string{{"prospect_id", "id"}}},
		Where:   []martsync.Condition{{Column: "prospect_id", Op: "is not null"}},
		Columns: []martsync.ViewColumn{{Name: "prospect_id", Column: "prospect_id"}},
	}
	if diff := cmp.Diff(want, byName["missing_prospects"]); diff != "" {
		t.Errorf("missing_prospects (-want +got):\n%s", diff)
	}
	// The list's name has a prefix that makes it a column of the membership: it gives way.
	lists := byName["prospect_lists"]
	if i := slices.IndexFunc(lists.Columns, func(c martsync.ViewColumn) bool { return c.Joined && c.Column == "name" }); i < 0 || lists.Columns[i].Name != "list_name_2" {
		t.Errorf("prospect_lists has the columns %+v, want the list's name as list_name_2", lists.Columns)
	}
	if got := byName["opportunity_members"].Join.Stream + " " + byName["prospect_opportunities"].Join.Stream; got != "prospects opportunities" {
		t.Errorf("opportunity views join %s, want prospects opportunities", got)
	}
}

func TestViewsOfActivityTypes(t *testing.T) {
	got := map[int64]string{}
	for _, v := range makeViews(viewSchemas()) {
		if len(v.Where) == 1 && v.Where[0].Column == "type" {
			got[v.Where[0].Value] = v.Name
		}
	}
	if len(got) != 38 {
		t.Errorf("%d views of a type, want one for each of 38", len(got))
	}
	for n := int64(1); n <= 38; n++ {
		if got[n] == "" {
			t.Errorf("there is no view of type %d", n)
		}
	}
	want := map[int64]string{
		1: "activity_click", 6: "activity_sent", 11: "activity_open", 17: "activity_click_third_party",
		31: "activity_user_voice_suggestion", 34: "activity_video_watched_75_or_more", 38: "activity_opportunity_unlinked",
	}
	for n, name := range want {
		if got[n] != name {
			t.Errorf("the view of type %d is called %s, want %s", n, got[n], name)
		}
	}
}

func TestViewsWithoutStreams(t *testing.T) {
	schemas := viewSchemas()
	delete(schemas, activityStream)
	delete(schemas, pairStream)
	for _, v := range makeViews(schemas) {
		if v.From == "" || len(v.Columns) == 0 {
			t.Errorf("view %s is of nothing", v.Name)
		}
		if len(v.Where) == 1 && v.Where[0].Column == "type" {
			t.Errorf("view %s is of activities, which there are none of", v.Name)
		}
	}
}
