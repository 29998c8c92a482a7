package marketo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/flatjson"
)

// Activity types that mean more than a row. Marketo REST API, Activities.
const (
	mergeLeads = 32
	deleteLead = 37 // not in bulk exports; the endpoint for deleted leads has it
)

const activitiesPath = "/rest/v1/activities.json"

// activityColumns are those of activities, wherever they come from.
func activityColumns() []martsync.Column {
	return []martsync.Column{
		{Name: "marketo_guid", Type: martsync.String, Origin: "marketoGUID"},
		{Name: "id", Type: martsync.Int64, Origin: "id", Sticky: true, Description: "only of activities read page by page; being retired by the vendor"},
		{Name: "lead_id", Type: martsync.Int64, Origin: "leadId"},
		{Name: "activity_date", Type: martsync.Timestamp, Origin: "activityDate"},
		{Name: "activity_type_id", Type: martsync.Int64, Origin: "activityTypeId"},
		{Name: "campaign_id", Type: martsync.Int64, Origin: "campaignId"},
		{Name: "primary_attribute_value_id", Type: martsync.Int64, Origin: "primaryAttributeValueId"},
		{Name: "primary_attribute_value", Type: martsync.String, Origin: "primaryAttributeValue"},
		{Name: "action_result", Type: martsync.String, Origin: "actionResult", Sticky: true, Description: "only of activities read by export job"},
		{Name: "attributes", Type: martsync.JSON, Origin: "attributes", Description: "one object; its keys are the attributes' display names"},
	}
}

// newActivities reads activities of all types but the excluded ones, in one export job a
// window or page by page, whichever is cheaper. They appear late, so runs overlap (see
// reread); the key makes what comes twice one row.
func newActivities(s *source, d *dispatcher) *rangeStream {
	schema := martsync.Schema{Stream: "activities", Columns: activityColumns(), Key: []string{"marketo_guid"}}
	spec := &partSpec{
		name: "activities", object: activityObject, overlap: s.overlap(), learns: s.measured, way: s.activityWay(),
		fields: []string{ // all that the vendor exports; there is no numeric id. Source: Bulk Activity Extract
			"marketoGUID", "leadId", "activityDate", "activityTypeId", "campaignId", "primaryAttributeValueId",
			"primaryAttributeValue", "actionResult", "attributes",
		},
		pages: &pages{noun: "activities", path: activitiesPath, types: s.wantedTypes, row: activityRow},
	}
	if len(s.cfg.Activities.Exclude) > 0 {
		spec.types = s.wantedTypes
	}
	return &rangeStream{src: s, jobs: d, cursorEvery: cursorEvery, schema: schema, parts: []*partSpec{spec}}
}

func (s *source) overlap() time.Duration { return time.Duration(s.cfg.Activities.Overlap) }

// activityWay is the way that the configuration demands; "": none.
func (s *source) activityWay() way {
	if w := way(s.cfg.Activities.Mode); w == byJob || w == byPage {
		return w
	}
	return ""
}

// allTypes is for endpoints that have one type only.
func allTypes(context.Context) ([]int, error) { return nil, nil }

// onlyMerges is for what reads no other activities.
func onlyMerges(context.Context) ([]int, error) { return []int{mergeLeads}, nil }

// wantedTypes are the ids of the account's activity types without the excluded ones.
func (s *source) wantedTypes(ctx context.Context) ([]int, error) {
	types, err := s.activityTypes(ctx)
	if err != nil {
		return nil, err
	}
	excluded := map[int64]bool{deleteLead: true}
	for _, e := range s.cfg.Activities.Exclude {
		id, err := strconv.ParseInt(e, 10, 64)
		if err != nil {
			i := slices.IndexFunc(types, func(t activityType) bool { return strings.EqualFold(t.Name, strings.TrimSpace(e)) })
			if i < 0 {
				return nil, configError(fmt.Sprintf("activities.exclude: the account has no activity type %q", e),
					"Use the name that Marketo shows, or the id.")
			}
			id = types[i].ID
		}
		excluded[id] = true
	}
	ids := make([]int, 0, len(types))
	for _, t := range types {
		if !excluded[t.ID] {
			ids = append(ids, int(t.ID))
		}
	}
	if len(ids) == 0 {
		return nil, configError("activities.exclude leaves no activity type", "Leave out the stream activities instead.")
	}
	return ids, nil
}

// activityRow makes a row of an activity read page by page.
func activityRow(w *rowWriter, a *activity) error {
	attributes, err := flatAttributes(a.Attributes)
	if err != nil {
		return err
	}
	return w.cells(
		a.cell(a.GUID), a.cell(a.ID), a.cell(a.LeadID), a.cell(a.Date), a.cell(a.TypeID), a.cell(a.CampaignID),
		a.cell(a.PrimaryValueID), a.cell(a.PrimaryValue), a.cell(a.ActionResult), attributes,
	)
}

// flatAttributes turns the list of attributes that REST gives into the object that export
// files hold: display names to values, which keep their JSON types. Attributes without a value
// are left out there, so they are here.
func flatAttributes(raw json.RawMessage) ([]byte, error) {
	trimmed := strings.TrimSpace(string(raw))
	switch {
	case trimmed == "" || trimmed == "null":
		return nil, nil
	case trimmed[0] == '{':
		return raw, nil
	}
	var list []struct {
		Name  string          `json:"name"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, &columns.CellError{Column: "attributes", Reason: "neither a list nor an object of attributes"}
	}
	seen := make(map[string]bool, len(list))
	flat := []byte{'{'}
	for _, a := range list {
		if a.Name == "" || len(a.Value) == 0 || string(a.Value) == "null" || seen[a.Name] {
			continue
		}
		seen[a.Name] = true
		if len(flat) > 1 {
			flat = append(flat, ',')
		}
		name, err := marshalText(a.Name)
		if err != nil {
			return nil, err
		}
		flat = append(append(append(flat, name...), ':'), a.Value...)
	}
	return append(flat, '}'), nil
}

// marshalText writes a JSON string without turning <, > and & into escapes.
func marshalText(s string) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	return []byte(strings.TrimRight(b.String(), "\n")), nil
}

// A merge is what a Merge Leads activity tells beside winner and date.
type merge struct {
	losers [][]byte // ids as text
	source []byte   // nil: not told
	master []byte   // true, false or nil
	sales  []byte
}

// mergeOf reads the attributes of a Merge Leads activity, in the form of either way.
func mergeOf(raw json.RawMessage) (merge, error) {
	var m merge
	flat, err := flatAttributes(raw)
	if err != nil {
		return m, err
	}
	if flat == nil {
		return m, &columns.CellError{Column: "attributes", Reason: "there are none, so the merged leads are not known"}
	}
	found := false
	err = flatjson.Members(flat, func(key, value []byte) error {
		text := bare(slices.Clone(value))
		switch string(key) {
		case "Merge Ids":
			found = true
			ids, err := loserIDs(value)
			m.losers = ids
			return err
		case "Merge Source":
			m.source = orNil(text)
		case "Master Updated":
			m.master = orNil(text)
		case "Merged in Sales":
			m.sales = orNil(text)
		}
		return nil
	})
	if err == nil && !found {
		err = errors.New("there are no Merge Ids")
	}
	if err != nil {
		return m, &columns.CellError{Column: "attributes", Reason: err.Error()}
	}
	return m, nil
}

func orNil(text string) []byte {
	if text == "" || text == "null" {
		return nil
	}
	return []byte(text)
}

// loserIDs reads [1,2], ["1","2"], 1, or any of these as text.
func loserIDs(raw []byte) ([][]byte, error) {
	text := strings.TrimSpace(bare(slices.Clone(raw)))
	var list []json.RawMessage
	if strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return nil, fmt.Errorf("Merge Ids: %w", err) //nolint:staticcheck // the vendor's name
		}
	} else {
		for id := range strings.SplitSeq(text, ",") {
			list = append(list, json.RawMessage(strings.TrimSpace(id)))
		}
	}
	ids := make([][]byte, 0, len(list))
	for _, l := range list {
		id, err := wholeNumber([]byte(bare(l)))
		if err != nil {
			return nil, fmt.Errorf("Merge Ids: %w", err) //nolint:staticcheck // the vendor's name
		}
		ids = append(ids, strconv.AppendInt(nil, id, 10))
	}
	return ids, nil
}

// wholeNumber reads an id.
func wholeNumber(text []byte) (int64, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not an id", text)
	}
	return n, nil
}
