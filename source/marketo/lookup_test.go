package marketo

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// texts reads a sequence of records as text.
func texts(t testing.TB, schema martsync.Schema, seq iter.Seq2[*martsync.Records, error]) (rows [][]string, err error) {
	t.Helper()
	for r, err := range seq {
		if err != nil {
			return rows, err
		}
		for i := range r.Len {
			row := make([]string, len(schema.Columns))
			for c := range schema.Columns {
				if row[c] = "null"; !r.Columns[c].Null(i) {
					row[c] = columns.Format(schema.Columns[c], &r.Columns[c], i)
				}
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func TestLookupLeads(t *testing.T) {
	var sizes []int
	v := newFakeVendor(t, map[string]script{
		"/rest/v1/leads/describe.json": replies(result(describeReply)),
		"/rest/v1/leads.json": func(n int, w http.ResponseWriter, r *http.Request) {
			asked := strings.Split(r.Form.Get("filterValues"), ",")
			sizes = append(sizes, len(asked))
			if r.Form.Get("filterType") != "id" || len(asked) > 300 {
				replies(faulty("1003", "Invalid Data"))(n, w, r)
				return
			}
			var found []string
			for _, id := range asked {
				if n, _ := strconv.Atoi(id); n%2 == 0 { // null fields are left out, odd leads do not exist
					found = append(found, fmt.Sprintf(`{"id":%d,"leadScore":%d}`, n, n/2))
				}
			}
			replies(result(strings.Join(found, ",")))(n, w, r)
		},
	})
	s := v.source(t)
	var ids []string
	for i := 700; i > 0; i-- {
		ids = append(ids, strconv.Itoa(i), " "+strconv.Itoa(i))
	}
	schema, seq, err := s.Lookup(t.Context(), "leads", ids, []string{"lead_score", "firstName"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range schema.Columns {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"id", "first_name", "lead_score"}, names); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	rows, err := texts(t, schema, seq)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 350 || !cmp.Equal(rows[4], []string{"10", "null", "5"}) {
		t.Errorf("%d rows, the fifth %v, want 350 and [10 null 5]", len(rows), rows[4])
	}
	if diff := cmp.Diff([]int{300, 300, 100}, sizes); diff != "" {
		t.Errorf("ids a call (-want +got):\n%s", diff)
	}
	if f := v.seen[len(v.seen)-1].Form.Get("fields"); f != "id,firstName,leadScore" {
		t.Errorf("asked for fields %q", f)
	}
}

func TestLookupOfAllFieldsUsesAForm(t *testing.T) {
	var fields []string
	for i := range 900 {
		fields = append(fields, fmt.Sprintf(`{"id":%d,"dataType":"string","rest":{"name":"customField%d__c"}}`, i+1, i))
	}
	v := newFakeVendor(t, map[string]script{
		"/rest/v1/leads/describe.json": replies(result(strings.Join(fields, ","))),
		"/rest/v1/leads.json":          replies(result(`{"id":5,"customField7__c":"x"}`)),
	})
	schema, seq, err := v.source(t).Lookup(t.Context(), "leads", []string{"5"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := texts(t, schema, seq)
	if err != nil || len(rows) != 1 || rows[0][schema.Index("custom_field7__c")] != "x" || len(schema.Columns) != 901 {
		t.Errorf("%d rows of %d columns, %v", len(rows), len(schema.Columns), err)
	}
	if r := v.seen[len(v.seen)-1]; r.Method != http.MethodPost {
		t.Errorf("method %s, want POST", r.Method)
	}
}

func TestLookupErrors(t *testing.T) {
	v := newFakeVendor(t, map[string]script{
		"/rest/v1/leads/describe.json": replies(result(describeReply)),
		"/rest/v1/leads.json":          replies(result(`{"id":8,"leadScore":"very high"}`)),
	})
	s := v.source(t)
	for _, tc := range []struct {
		name, stream string
		ids, fields  []string
		kind         martsync.Kind
		text         string
	}{
		{"an id that is none", "leads", []string{"12", "x"}, nil, martsync.Config, `"x" is not an id`},
		{"a negative id", "programs", []string{"-1"}, nil, martsync.Config, `"-1" is not an id`},
		{"an unknown field", "leads", []string{"12"}, []string{"frstName"}, martsync.Config, `no field "frstName"`},
		{"an unknown field of an asset", "emails", []string{"12"}, []string{"frstName"}, martsync.Config, `no field "frstName"`},
		{"a misfit", "leads", []string{"8"}, nil, martsync.Data, "record 8: column lead_score"},
	} {
		schema, seq, err := s.Lookup(t.Context(), tc.stream, tc.ids, tc.fields)
		if err == nil {
			_, err = texts(t, schema, seq)
		}
		if err == nil || martsync.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v (%v), want kind %v with %q", tc.name, err, martsync.KindOf(err), tc.kind, tc.text)
		}
	}
	if _, _, err := s.Lookup(t.Context(), "activities", []string{"1"}, nil); !errors.Is(err, martsync.ErrUnsupported) {
		t.Errorf("activities: %v, want ErrUnsupported", err)
	}
}

func TestLookupAssets(t *testing.T) {
	v := newFakeVendor(t, map[string]script{
		"/rest/asset/v1/smartCampaign/5.json": replies(result(`{"id":5,"name":"five","isActive":true}`)),
		"/rest/asset/v1/smartCampaign/6.json": replies(`{"success":true,"errors":[],"requestId":"x","warnings":["No assets found for the given search criteria."]}`),
		"/rest/asset/v1/smartCampaign/7.json": replies(faulty("702", "Smart campaign not found")),
	})
	schema, seq, err := v.source(t).Lookup(t.Context(), "smart_campaigns", []string{"7", "6", "5"}, []string{"isActive"})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := texts(t, schema, seq)
	if err != nil || !cmp.Equal(rows, [][]string{{"5", "true"}}) {
		t.Errorf("got %v, %v, want [[5 true]]", rows, err)
	}
}
