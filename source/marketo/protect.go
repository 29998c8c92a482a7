package marketo

import (
	"context"
	"slices"
	"strconv"

	"github.com/martsync/martsync"
)

// Prune leaves columns of leads out of exports and lookups. The other streams have no choice of fields.
func (s *source) Prune(unwanted func(stream string, c martsync.Column) bool) { s.unwanted = unwanted }

// wantedFields are the fields of leads that are read. The id and the time of the last change always are.
func (s *source) wantedFields(ctx context.Context) ([]field, error) {
	fields, err := s.describe(ctx)
	if err != nil || s.unwanted == nil {
		return fields, err
	}
	cols := columnsOf(fields)
	wanted := make([]field, 0, len(fields))
	for i, f := range fields {
		if f.Name == leadObject.key || f.Name == byUpdate || !s.unwanted(leadStream, cols[i]) {
			wanted = append(wanted, f)
		}
	}
	return wanted, nil
}

// bounces are the activities that name the address which an e-mail could not be delivered to: of campaigns, for good and
// for now, and of sales. Source: Marketo REST API, Activities.
var bounces = []int{8, 27, 48}

// nameFields are the fields of leads that a lead's name is made of where an activity is about the lead itself. That the
// address stands in for a name is an assumption.
var nameFields = []string{"firstName", "middleName", "lastName", "email"}

// leadTypes are the activities whose primary attribute is the lead, so that its value is the lead's name: New Lead, what a
// CRM does with a lead, Merge Leads, Delete Lead. Of those of a CRM it is an assumption. Source: Marketo REST API, Activities.
var leadTypes = []int{12, 19, 21, 28, 29, 31, 32, 37, 300}

// Echoes finds the fields of leads in the activities that tell their changes, by the field's id or by one of its names:
// the vendor shows the display name in places and the API's in others. The address also stands in bounces,
// and the name in what happens to a lead as a whole.
// Source: Marketo REST API, Activities, Change Data Value; Email Bounced; Merge Leads; Get Deleted Leads.
func (s *source) Echoes(ctx context.Context, stream string, wanted func(martsync.Column) bool) ([]martsync.Echo, error) {
	if stream != leadStream {
		return nil, nil
	}
	fields, err := s.describe(ctx)
	if err != nil {
		return nil, err
	}
	var echoes []martsync.Echo
	named := false
	for i, c := range columnsOf(fields) {
		if !wanted(c) {
			continue
		}
		f := fields[i]
		e := martsync.Echo{
			Of: c, Stream: activityStream, Column: "attributes", Members: []string{"New Value", "Old Value", "Change Value"},
		}
		for _, name := range slices.Compact([]string{f.Name, f.DisplayName}) {
			if name != "" {
				e.Where = append(e.Where, martsync.EchoMatch{Column: "primary_attribute_value", Value: name})
			}
		}
		if f.ID > 0 {
			e.Where = append(e.Where, martsync.EchoMatch{Column: "primary_attribute_value_id", Value: strconv.FormatInt(f.ID, 10)})
		}
		echoes = append(echoes, e)
		if f.Name == "email" {
			e = martsync.Echo{Of: c, Stream: activityStream, Column: "attributes", Members: []string{"Email"}}
			for _, id := range bounces {
				e.Where = append(e.Where, martsync.EchoMatch{Column: "activity_type_id", Value: strconv.Itoa(id)})
			}
			echoes = append(echoes, e)
		}
		if !named && slices.Contains(nameFields, f.Name) {
			named = true
			e = martsync.Echo{Of: c, Stream: "deleted_leads", Column: "primary_attribute_value"}
			echoes = append(echoes, e)
			e.Stream = activityStream
			for _, id := range leadTypes {
				e.Where = append(e.Where, martsync.EchoMatch{Column: "activity_type_id", Value: strconv.Itoa(id)})
			}
			echoes = append(echoes, e)
		}
	}
	return echoes, nil
}
