package snowflake

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/martsync/martsync"
)

// someViews are what a source suggests: one of each kind.
var someViews = []martsync.View{
	{
		Name: datamart, From: "activities", Join: &martsync.Join{Stream: "leads", On: [][2]string{{"lead_id", "id"}}},
		Columns: []martsync.ViewColumn{
			{Name: "marketo_guid_ma", Column: "marketo_guid"},
			{Name: "lead_id_ma", Column: "lead_id"},
			{Name: "id_ml", Joined: true, Column: "id"},
			{Name: "first_name_ml", Joined: true, Column: "first_name"},
			{Name: "gone_ml", Joined: true, Column: "gone"},
		},
	},
	{
		Name: "missing_leads", From: "activities", Join: &martsync.Join{Stream: "leads", Anti: true, On: [][2]string{{"lead_id", "id"}}},
		Where: []martsync.Condition{{Column: "lead_id", Op: "is not null"}}, Columns: []martsync.ViewColumn{{Name: "lead_id", Column: "lead_id"}}, Distinct: true,
	},
	{
		Name: "activity_fill_out_form", From: "activities", Where: []martsync.Condition{{Column: "activity_type_id", Op: "=", Value: 2}},
		Columns: []martsync.ViewColumn{
			{Name: "marketo_guid", Column: "marketo_guid"},
			{Name: "form_fields", Column: "attributes", Key: "Form Fields", Type: martsync.JSON},
			{Name: "client", Column: "attributes", Key: `the client's \ "IP"`},
			{Name: "webform_id", Column: "attributes", Key: "Webform ID", Type: martsync.Int64},
			{Name: "score", Column: "attributes", Key: "Score", Type: martsync.Float64},
			{Name: "price", Column: "attributes", Key: "Price", Type: martsync.Decimal},
			{Name: "opened", Column: "attributes", Key: "Opened", Type: martsync.Bool},
			{Name: "day", Column: "attributes", Key: "Day", Type: martsync.Date},
			{Name: "moment", Column: "attributes", Key: "Moment", Type: martsync.Timestamp},
		},
	},
	{
		Name: "leads_current", From: "leads", Follow: &martsync.Follow{Key: "id", Stream: "lead_merges", Old: "loser_id", New: "winner_id"},
		Columns: []martsync.ViewColumn{{Name: "first_name", Column: "first_name"}},
	},
	{Name: "of_nothing", From: "programs", Columns: []martsync.ViewColumn{{Name: "id", Column: "id"}}},
	{Name: "taken", From: "leads", Columns: []martsync.ViewColumn{{Name: "id", Column: "id"}}},
}

// aViewer looks at tables as they would be with these identifiers.
func aViewer(identifiers string) *viewer {
	d := &destination{
		config: Config{Identifiers: identifiers}, database: "MART", schema: "MARKETO", env: martsync.Env{Log: slog.New(slog.DiscardHandler)},
	}
	v := &viewer{d: d, tables: map[string][]string{}, taken: map[string]bool{d.config.tableName("taken"): true}}
	for stream, origins := range map[string][]string{
		"leads": {"id", "firstName"}, "lead_merges": {"loser_id", "winner_id"}, "activities": {"marketoGUID", "leadId", "activityTypeId", "attributes"},
		"_martsync_log": {"stream", "sync", "time", "operation", "success", "message"},
	} {
		table := d.config.tableName(stream)
		for _, o := range append(origins, martsync.SyncedAt) {
			c := martsync.Column{Name: map[string]string{
				"firstName": "first_name", "marketoGUID": "marketo_guid", "leadId": "lead_id", "activityTypeId": "activity_type_id",
			}[o], Origin: o}
			if c.Name == "" {
				c.Name = o
			}
			v.tables[table] = append(v.tables[table], d.config.columnName(c))
		}
		v.taken[table] = true
	}
	return v
}

func TestViews(t *testing.T) {
	for _, identifiers := range []string{upperIdentifiers, quotedIdentifiers, preserveIdentifiers} {
		t.Run(identifiers, func(t *testing.T) {
			v := aViewer(identifiers)
			var out []string
			for _, w := range someViews {
				statement, ok := v.view(w, "")
				if want := w.Name != "of_nothing" && w.Name != "taken"; ok != want {
					t.Errorf("%s: got %t, want %t", w.Name, ok, want)
				}
				if ok {
					out = append(out, statement)
				}
			}
			legacy, ok := v.view(someViews[0], legacyDatamart)
			if !ok {
				t.Error("the legacy datamart makes no sense")
			}
			name := v.d.config.tableName
			out = append(out, legacy, v.log(),
				v.metadata(name("metadata"), []string{name("activities"), name("leads")}, [3]string{name("table_name"), name("row_count"), name("newest")}),
				v.metadata(legacyMetadata, nil, [3]string{"TABLE_NAME", "ROW_COUNT", "NEWEST_TIMESTAMP"}))
			golden(t, "views_"+identifiers, out)
			for _, s := range out {
				if !strings.HasPrefix(s, "CREATE OR REPLACE VIEW ") || !strings.Contains(s, " COPY GRANTS AS\n") {
					t.Errorf("it is no view, or drops what was granted on the one it replaces:\n%s", s)
				}
			}
		})
	}
}

func TestSuggestedViewsStay(t *testing.T) {
	before := someViews[0].Join.On[0]
	aViewer(upperIdentifiers).view(someViews[0], "")
	if someViews[0].Join.On[0] != before || someViews[0].From != "activities" || someViews[0].Columns[0].Column != "marketo_guid" {
		t.Errorf("the view of the source was changed: %+v", someViews[0])
	}
}
