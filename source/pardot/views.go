package pardot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// Names of the streams that views are made of.
const (
	activityStream   = "visitor_activities"
	clickStream      = "email_clicks"
	prospectStream   = "prospects"
	membershipStream = "list_memberships"
	listStream       = "lists"
	pairStream       = "opportunity_prospects"
	dealStream       = "opportunities"
)

// activityTypes are the names of the types of visitor activities. The field type_name is no such
// name: it tells the kind of asset. Account Engagement API, Object Field References, Visitor Activity.
var activityTypes = [...]string{
	1: "Click", 2: "View", 3: "Error", 4: "Success", 5: "Session", 6: "Sent", 7: "Search",
	8: "New Opportunity", 9: "Opportunity Won", 10: "Opportunity Lost", 11: "Open",
	12: "Unsubscribe Page", 13: "Bounced", 14: "Spam Complaint", 15: "Email Preference Page",
	16: "Resubscribed", 17: "Click (Third Party)", 18: "Opportunity Reopened", 19: "Opportunity Linked",
	20: "Visit", 21: "Custom URL Click", 22: "Olark Chat", 23: "Invited to Webinar",
	24: "Attended Webinar", 25: "Registered for Webinar", 26: "Social Post Click", 27: "Video View",
	28: "Event Registered", 29: "Event Checked In", 30: "Video Conversion",
	31: "UserVoice Suggestion", 32: "UserVoice Comment", 33: "UserVoice Ticket",
	34: "Video Watched (75% or more)", 35: "Indirect Unsubscribe Open", 36: "Indirect Bounce",
	37: "Indirect Resubscribed", 38: "Opportunity Unlinked",
}

// Views suggests the activities beside their prospects, the prospects that only activities or
// memberships name, members and opportunities with names, and a table for each type of activity.
func (s *source) Views(ctx context.Context) ([]martsync.View, error) {
	streams, err := s.Streams(ctx)
	if err != nil {
		return nil, err
	}
	schemas := map[string]martsync.Schema{}
	for _, st := range streams {
		sch := st.Schema()
		schemas[sch.Stream] = sch
	}
	return makeViews(schemas), nil
}

// person is what the smaller views show of a prospect.
var person = []string{"email", "first_name", "last_name", "company", "job_title", "score", "grade"}

func makeViews(schemas map[string]martsync.Schema) []martsync.View {
	activities, prospects := schemas[activityStream], schemas[prospectStream]
	toProspect := &martsync.Join{Stream: prospectStream, On: [][2]string{{"prospect_id", "id"}}}
	views := []martsync.View{
		joined("prospect_activities", "Visitor activities with everything that is known about their prospects, whose columns begin with prospect_.",
			activities, toProspect, "prospect_", append(otherColumns(prospects, "id"), martsync.Deleted)),
		absent("missing_prospects", activityStream, "Ids of prospects that activities name and the table of prospects lacks: merged or permanently deleted ones."),
		absent("missing_members", membershipStream, "Ids of prospects that list memberships name and the table of prospects lacks."),
		joined("list_members", "List memberships with the prospects they are about.", schemas[membershipStream], toProspect, "prospect_", person),
		joined("prospect_lists", "List memberships with the names of the lists.", schemas[membershipStream],
			&martsync.Join{Stream: listStream, On: [][2]string{{"list_id", "id"}}}, "list_", []string{"name", "title", "is_public", "is_dynamic", martsync.Deleted}),
		joined("email_click_prospects", "Clicks in emails with the prospects that clicked.", schemas[clickStream], toProspect, "prospect_", person),
		joined("opportunity_members", "Who belongs to an opportunity, with names.", schemas[pairStream], toProspect, "prospect_", person),
		joined("prospect_opportunities", "Which opportunities prospects belong to, with amounts and stages.", schemas[pairStream],
			&martsync.Join{Stream: dealStream, On: [][2]string{{"opportunity_id", "id"}}}, "opportunity_",
			[]string{"name", "value", "probability", "type", "stage", "status", "closed_at", "created_at", "updated_at", martsync.Deleted}),
	}
	views = slices.DeleteFunc(views, func(v martsync.View) bool { return len(v.Columns) == 0 })
	names := columns.NewSnakeNamer()
	for _, v := range views {
		names.Name(v.Name)
	}
	if len(activities.Columns) == 0 {
		return views
	}
	for number, name := range activityTypes {
		if name == "" {
			continue
		}
		v := joined(names.Name("activity_"+typeName(name)), fmt.Sprintf("Visitor activities of type %d, %s, with their prospects.", number, name),
			activities, toProspect, "prospect_", person)
		v.Where = []martsync.Condition{{Column: "type", Op: "=", Value: int64(number)}}
		views = append(views, v)
	}
	return views
}

// typeName writes the name of a type for a view: "Click (Third Party)" is click_third_party.
func typeName(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '(' || r == ')' || r == '%' })
	return columns.Snake(strings.Join(words, "_"))
}

// joined shows all of one stream and some columns of another, which get a prefix. Without the first
// stream the view has no columns.
func joined(name, description string, from martsync.Schema, join *martsync.Join, prefix string, others []string) martsync.View {
	v := martsync.View{Name: name, Description: description, From: from.Stream, Join: join}
	if len(from.Columns) == 0 {
		return v
	}
	namer := columns.NewSnakeNamer()
	for _, c := range from.Columns {
		v.Columns = append(v.Columns, martsync.ViewColumn{Name: namer.Name(c.Name), Column: c.Name})
	}
	for _, c := range others {
		v.Columns = append(v.Columns, martsync.ViewColumn{Name: namer.Name(prefix + strings.TrimPrefix(c, "_")), Joined: true, Column: c})
	}
	return v
}

// absent shows the ids of prospects that a stream names and the prospects lack.
func absent(name, from, description string) martsync.View {
	return martsync.View{
		Name: name, Description: description, From: from,
		Join:     &martsync.Join{Stream: prospectStream, Anti: true, On: [][2]string{{"prospect_id", "id"}}},
		Where:    []martsync.Condition{{Column: "prospect_id", Op: "is not null"}},
		Columns:  []martsync.ViewColumn{{Name: "prospect_id", Column: "prospect_id"}},
		Distinct: true,
	}
}

// otherColumns names the columns of a schema but for one.
func otherColumns(s martsync.Schema, but string) (names []string) {
	for _, c := range s.Columns {
		if c.Name != but {
			names = append(names, c.Name)
		}
	}
	return names
}
