package pardot

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// sourceWith is a source that makes no call.
func sourceWith(cfg Config) *source { return &source{cfg: cfg} }

// someCustom are custom fields of each kind, one of them with the name of a field of the vendor.
func someCustom() []field {
	var fields []field
	for i, typ := range []string{"Text", "Number", "Date", "Multi-Select", "Checkbox", "Dropdown"} {
		fields = append(fields, customField{ID: int64(i + 1), Name: typ, FieldID: "kite_" + typ, Type: typ}.field())
	}
	return append(fields, customField{ID: 9, FieldID: "email", Type: "Text", Multiple: true}.field())
}

// combinations are all ways of reading an object that the configuration can choose.
func combinations(o *object) (all []StreamConfig) {
	yes, no := true, false
	for _, v := range []version{v4, v5} {
		for _, w := range []way{byAuto, byQuery, byExport} {
			if o.has(v) {
				all = append(all, StreamConfig{API: string(v), Read: string(w), Messages: &yes}, StreamConfig{API: string(v), Read: string(w), Messages: &no, Stats: &no})
			}
		}
	}
	return all
}

func TestSchemasAreValidForEveryWayOfReading(t *testing.T) {
	for _, o := range catalog {
		if o == opportunityProspectObject {
			continue
		}
		for _, c := range combinations(o) {
			for _, exports := range []version{v4, v5} {
				s := sourceWith(Config{Exports: Exports{API: string(exports)}, Streams: map[string]StreamConfig{o.stream: c}})
				plan := s.plan(o)
				var custom []field
				if o.custom != noCustom {
					custom = someCustom()
				}
				l := makeLayout(o, plan, custom)
				name := fmt.Sprintf("%s %s %s exports %s", o.stream, c.API, c.Read, exports)
				if err := l.schema.Validate(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if len(l.fields) != len(l.schema.Columns) {
					t.Errorf("%s: %d fields of %d columns", name, len(l.fields), len(l.schema.Columns))
				}
				if l.schema.Columns[0].Name != "id" || l.schema.Columns[0].Type != martsync.Int64 || l.schema.Columns[0].Sticky {
					t.Errorf("%s: the first column is %+v", name, l.schema.Columns[0])
				}
				if !slices.Equal(l.schema.Key, []string{"id"}) {
					t.Errorf("%s: key %v", name, l.schema.Key)
				}
				for i, f := range l.fields {
					if got := l.schema.Columns[i].Name; f.name == "" && !strings.HasPrefix(got, columns.Snake(firstOf(f.v5, f.v4))) {
						t.Errorf("%s: column %s of field %+v", name, got, f)
					}
				}
				for _, v := range []version{v4, v5} {
					if n := len(l.fileFields(v)); n > mostFileFields {
						t.Errorf("%s: an export of %s is asked for %d fields", name, v, n)
					}
				}
			}
		}
	}
}

func firstOf(names ...string) string {
	return names[slices.IndexFunc(names, func(n string) bool { return n != "" })]
}

// A column has one name, one type and one origin, whichever way its table is read.
func TestColumnsAreTheSameWhicheverVersionIsRead(t *testing.T) {
	for _, o := range catalog {
		if o == opportunityProspectObject {
			continue
		}
		known := map[string]martsync.Column{}
		origins := map[string]string{}
		for _, c := range combinations(o) {
			s := sourceWith(Config{Streams: map[string]StreamConfig{o.stream: c}})
			for _, col := range makeLayout(o, s.plan(o), someCustom()).schema.Columns {
				col.Sticky = false
				if was, ok := known[col.Name]; ok && was != col {
					t.Errorf("%s: column %+v, read otherwise %+v", o.stream, col, was)
				}
				if was, ok := origins[col.Origin]; ok && was != col.Name {
					t.Errorf("%s: %s is the column %s, read otherwise %s", o.stream, col.Origin, col.Name, was)
				}
				known[col.Name], origins[col.Origin] = col, col.Name
			}
		}
	}
}

func TestColumnsOfAWayOfReading(t *testing.T) {
	const (
		absent = iota
		there
		sticky
	)
	tests := []struct {
		name   string
		stream string
		cfg    StreamConfig
		column string
		want   int
	}{
		{"version 5 lacks it", "lists", StreamConfig{}, "is_crm_visible", absent},
		{"version 4 has it", "lists", StreamConfig{API: "v4"}, "is_crm_visible", there},
		{"version 4 lacks it", "lists", StreamConfig{API: "v4"}, "folder_id", absent},
		{"exports and queries: both tell", "list_memberships", StreamConfig{}, "opted_out", there},
		{"exports and queries: the query alone tells", "list_memberships", StreamConfig{}, "created_by_id", sticky},
		{"queries alone", "list_memberships", StreamConfig{Read: "query"}, "created_by_id", there},
		{"exports alone", "list_memberships", StreamConfig{Read: "export"}, "created_by_id", absent},
		{"version 4 both ways", "visitors", StreamConfig{}, "browser", there},
		{"exports of version 4, queries of version 5", "visitors", StreamConfig{API: "v5"}, "browser", sticky},
		{"queries of version 5, exports of version 4", "visitors", StreamConfig{API: "v5"}, "is_identified", sticky},
		{"what files lack", "prospects", StreamConfig{Read: "export"}, "grade", absent},
		{"auto is no export where files lack something", "prospects", StreamConfig{}, "grade", there},
		{"messages are read by default", "list_emails", StreamConfig{}, "html_message", sticky},
		{"messages of single e-mails are not", "emails", StreamConfig{}, "html_message", absent},
		{"statistics", "list_emails", StreamConfig{}, "stats_unique_opens", sticky},
		{"no statistics", "list_emails", StreamConfig{Stats: new(bool)}, "stats_unique_opens", absent},
		{"messages are not statistics", "list_emails", StreamConfig{Messages: new(bool)}, "stats_sent", sticky},
		{"no messages", "list_emails", StreamConfig{Messages: new(bool)}, "html_message", absent},
		{"e-mail templates tell theirs in queries", "email_templates", StreamConfig{}, "html_message", there},
		{"several values, completed by a join", "prospects", StreamConfig{}, "kite_multi_select__c", there},
		{"several values of version 4", "prospects", StreamConfig{API: "v4"}, "kite_multi_select__c", there},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := objectOf(tt.stream)
			s := sourceWith(Config{Streams: map[string]StreamConfig{tt.stream: tt.cfg}})
			var custom []field
			if o.custom == prospectCustom {
				custom = someCustom()
			}
			schema := makeLayout(o, s.plan(o), custom).schema
			got := absent
			if i := schema.Index(tt.column); i >= 0 {
				got = there
				if schema.Columns[i].Sticky {
					got = sticky
				}
			}
			if got != tt.want {
				t.Errorf("%s.%s: got %d, want %d", tt.stream, tt.column, got, tt.want)
			}
		})
	}
}

// Only times with an offset order the versions of a record: naive ones repeat an hour in the autumn.
func TestOnlyQueriesOfVersion5OrderVersions(t *testing.T) {
	tests := []struct {
		stream string
		cfg    StreamConfig
		want   string
	}{
		{"prospects", StreamConfig{}, "updated_at"},
		{"prospects", StreamConfig{API: "v4"}, ""},
		{"prospects", StreamConfig{Read: "export"}, ""},
		{"list_memberships", StreamConfig{}, ""},
		{"list_memberships", StreamConfig{Read: "query"}, "updated_at"},
		{"visitors", StreamConfig{}, ""},
		{"campaigns", StreamConfig{}, "updated_at"},
		{"tag_objects", StreamConfig{}, ""},
		{"emails", StreamConfig{}, ""},
		{"form_handlers", StreamConfig{}, ""},
	}
	for _, tt := range tests {
		s := sourceWith(Config{Streams: map[string]StreamConfig{tt.stream: tt.cfg}})
		o := objectOf(tt.stream)
		if got := makeLayout(o, s.plan(o), nil).schema.Version; got != tt.want {
			t.Errorf("%s %+v: version %q, want %q", tt.stream, tt.cfg, got, tt.want)
		}
	}
}

func TestTablesThatTellWhatIsGone(t *testing.T) {
	without := map[string]bool{
		"visitor_activities": true, "visits": true, "visitor_page_views": true, "email_clicks": true, "lifecycle_histories": true, "accounts": true,
	}
	for _, o := range catalog {
		if got := o.deletes(); got == without[o.stream] {
			t.Errorf("%s: deletes %t, want %t", o.stream, got, !got)
		}
	}
}

func TestWhatIsAskedFor(t *testing.T) {
	s := sourceWith(Config{})
	o := objectOf("prospects")
	l := makeLayout(o, s.plan(o), someCustom())
	for _, name := range []string{"id", "salesforceLeadId", "kite_Text__c", "kite_Number__c", "kite_Date__c", "kite_Dropdown__c"} {
		if !slices.Contains(l.fields5, name) {
			t.Errorf("version 5 is not asked for %s", name)
		}
	}
	for _, name := range []string{"kite_Multi-Select__c", "kite_Checkbox__c", "email__c", "", "last_activity_visitor_activity_id"} {
		if slices.Contains(l.fields5, name) {
			t.Errorf("version 5 is asked for %q, which no query of it tells", name)
		}
	}
	for _, name := range []string{"id", "crm_lead_fid", "kite_Text", "kite_Multi-Select", "email"} {
		if !slices.Contains(l.fields4, name) {
			t.Errorf("version 4 is not asked for %s", name)
		}
	}
	if slices.Contains(l.fields4, "") || slices.Contains(l.fields4, "doNotSell") {
		t.Errorf("version 4 is asked for %v", l.fields4)
	}
	if !l.custom || makeLayout(o, s.plan(o), nil).custom {
		t.Error("custom fields are not told apart")
	}

	files := l.fileFields(v4)
	for _, name := range []string{"grade", "notes", "assigned_to_user_id", ""} {
		if slices.Contains(files, name) {
			t.Errorf("an export is asked for %q, which it does not have", name)
		}
	}
	if !slices.Contains(files, "comments") || !slices.Contains(files, "kite_Multi-Select") {
		t.Errorf("an export is asked for %v", files)
	}
	if files := l.fileFields(v5); slices.Contains(files, "kite_Multi-Select__c") || !slices.Contains(files, "grade") {
		t.Errorf("an export of version 5 is asked for %v", files)
	}
	e := makeLayout(objectOf("list_emails"), reading{api: v5, read: byExport, exports: v5}, nil)
	if files := e.fileFields(v5); slices.ContainsFunc(files, func(f string) bool { return strings.Contains(f, ".") || strings.HasSuffix(f, "Message") }) {
		t.Errorf("an export of list e-mails is asked for %v", files)
	}
}

func TestMoreFieldsThanAnExportTakes(t *testing.T) {
	o := objectOf("prospects")
	plan := sourceWith(Config{Streams: map[string]StreamConfig{"prospects": {Read: "export"}}}).plan(o)
	base := len(makeLayout(o, plan, nil).fileFields(v4))
	for _, n := range []int{mostFileFields - base, mostFileFields - base + 1} {
		var custom []field
		for i := range n {
			custom = append(custom, customField{FieldID: fmt.Sprintf("kite_%d", i), Type: "Text"}.field())
		}
		got := makeLayout(o, plan, custom).fileFields(v4)
		if fits := base+n <= mostFileFields; fits != (len(got) == base+n) || !fits && got != nil {
			t.Errorf("%d fields: asked for %d", base+n, len(got))
		}
	}
}

// A column that a version lacks must not take the value of a field that happens to have its name.
func TestColumnsForAVersion(t *testing.T) {
	o := objectOf("list_memberships")
	l := makeLayout(o, sourceWith(Config{}).plan(o), nil)
	b := columns.NewBuilder(l.columnsFor(v4))
	if err := b.AppendJSON([]byte(`{"id":1,"list_id":2,"prospect_id":3,"opted_out":1,"is_deleted":true,"created_by_id":4,"isDeleted":true,"created_at":"2025-01-01 00:00:00"}`)); err != nil {
		t.Fatal(err)
	}
	r := b.Records()
	got := map[string]bool{}
	for i, c := range l.schema.Columns {
		got[c.Name] = !r.Columns[i].Null(0)
	}
	want := map[string]bool{
		"id": true, "list_id": true, "prospect_id": true, "opted_out": true, "is_deleted": false, "created_at": true, "updated_at": false,
		"created_by_id": false, "updated_by_id": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns with a value (-want +got):\n%s", diff)
	}
	for i, c := range l.columnsFor(v5) {
		if c.Origin != l.fields[i].v5 || c.Name != l.schema.Columns[i].Name {
			t.Errorf("column %+v of field %+v", c, l.fields[i])
		}
	}
}
