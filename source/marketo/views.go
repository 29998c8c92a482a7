package marketo

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
	leadStream     = "leads"
	activityStream = "activities"
)

// Views suggests the activities beside their leads, the leads that only activities name,
// and a table for each type of activity with its attributes as columns.
func (s *source) Views(ctx context.Context) ([]martsync.View, error) {
	streams, err := s.bulkStreams(ctx)
	if err != nil {
		return nil, err
	}
	types, err := s.activityTypes(ctx)
	if err != nil {
		return nil, err
	}
	var leads, activities martsync.Schema
	for _, st := range streams {
		switch sch := st.Schema(); sch.Stream {
		case leadStream:
			leads = sch
		case activityStream:
			activities = sch
		}
	}
	return makeViews(leads, activities, types), nil
}

func makeViews(leads, activities martsync.Schema, types []activityType) []martsync.View {
	views := []martsync.View{datamart(leads, activities), {
		Name:        "missing_leads",
		Description: "Ids of leads that activities name and the table of leads lacks: anonymous, deleted or merged ones.",
		From:        activityStream,
		Join:        &martsync.Join{Stream: leadStream, Anti: true, On: [][2]string{{"lead_id", "id"}}},
		Where:       []martsync.Condition{{Column: "lead_id", Op: "is not null"}},
		Columns:     []martsync.ViewColumn{{Name: "lead_id", Column: "lead_id"}},
		Distinct:    true,
	}, leadsCurrent(leads)}
	names := columns.NewSnakeNamer()
	for _, v := range views {
		names.Name(v.Name)
	}
	for _, t := range types {
		views = append(views, typedView(names.Name("activity_"+columns.Snake(strings.TrimSpace(t.Name))), activities, t))
	}
	return views
}

// datamart is the activities with everything that is known about their leads. Columns of
// the two keep apart by their endings: _ma is the activity, _ml the lead.
func datamart(leads, activities martsync.Schema) martsync.View {
	v := martsync.View{
		Name:        "datamart",
		Description: "Activities with their leads: columns of the activity end in _ma, those of the lead in _ml.",
		From:        activityStream,
		Join:        &martsync.Join{Stream: leadStream, On: [][2]string{{"lead_id", "id"}}},
	}
	for _, c := range activities.Columns {
		v.Columns = append(v.Columns, martsync.ViewColumn{Name: c.Name + "_ma", Column: c.Name})
	}
	for _, c := range leads.Columns {
		v.Columns = append(v.Columns, martsync.ViewColumn{Name: c.Name + "_ml", Joined: true, Column: c.Name})
	}
	return v
}

// leadsCurrent has a row for each id that a lead ever had, with the lead that it is today: activities of leads that were
// merged away join to the winner.
func leadsCurrent(leads martsync.Schema) martsync.View {
	v := martsync.View{
		Name:        "leads_current",
		Description: "Each id that a lead has or had before it was merged, with the lead that it is today. Activities join on id; canonical_id is that of the lead.",
		From:        leadStream,
		Follow:      &martsync.Follow{Key: "id", Stream: "lead_merges", Old: "loser_id", New: "winner_id"},
	}
	for _, c := range leads.Columns {
		if c.Name != "id" {
			v.Columns = append(v.Columns, martsync.ViewColumn{Name: c.Name, Column: c.Name})
		}
	}
	v.Columns = append(v.Columns, martsync.ViewColumn{Name: martsync.Deleted, Column: martsync.Deleted})
	return v
}

// typedView shows the activities of one type: their columns, then their attributes.
func typedView(name string, activities martsync.Schema, t activityType) martsync.View {
	v := martsync.View{
		Name:        name,
		Description: strings.TrimSpace(fmt.Sprintf("Activities of type %d, %s. %s", t.ID, t.Name, t.Description)),
		From:        activityStream,
		Where:       []martsync.Condition{{Column: "activity_type_id", Op: "=", Value: t.ID}},
	}
	namer := columns.NewSnakeNamer()
	for _, c := range activities.Columns {
		// What a view of one type shows in every row alike, or as columns, is left out.
		if c.Name == "activity_type_id" || c.Name == "attributes" {
			continue
		}
		v.Columns = append(v.Columns, martsync.ViewColumn{Name: namer.Name(c.Name), Column: c.Name})
	}
	var keys []string
	for _, a := range t.Attributes {
		if a.Name == "" || slices.Contains(keys, a.Name) {
			continue
		}
		keys = append(keys, a.Name)
		v.Columns = append(v.Columns, martsync.ViewColumn{
			Name: namer.Name(a.Name), Column: "attributes", Key: a.Name, Type: attributeType(a.DataType),
		})
	}
	return v
}

// attributeType is the type of an attribute in a view. A view column has no scale, so
// decimals become doubles; the table keeps them exact.
func attributeType(dataType string) martsync.Type {
	t := columnType(dataType)
	if t == martsync.Decimal {
		return martsync.Float64
	}
	return t
}
