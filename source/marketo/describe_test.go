package marketo

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/cached"
)

const describeReply = `
 {"id":48,"displayName":"First Name","dataType":"string","length":255,"rest":{"name":"firstName","readOnly":false},"soap":{"name":"FirstName","readOnly":false}},
 {"id":641,"displayName":"Lead Score","dataType":"score","rest":{"name":"leadScore","readOnly":false}},
 {"id":702,"displayName":"Legacy Tag","dataType":"string","length":255,"soap":{"name":"Legacy_Tag","readOnly":true}},
 {"id":703,"displayName":"Computed","dataType":"formula","rest":{"name":"computed"}},
 {"id":1,"displayName":"Id","dataType":"integer","rest":{"name":"id","readOnly":true}},
 {"id":704,"displayName":"Twice","dataType":"string","rest":{"name":"firstName"}},
 {"id":705,"displayName":"first name","dataType":"text","rest":{"name":"FirstName"}}`

func TestDescribe(t *testing.T) {
	want := []field{
		{48, "firstName", "First Name", "string", 255},
		{641, "leadScore", "Lead Score", "score", 0},
		{1, "id", "Id", "integer", 0},
		{705, "FirstName", "first name", "text", 0},
	}
	v := newFakeVendor(t, map[string]script{"/rest/v1/leads/describe.json": replies(result(describeReply))})
	s := v.source(t)
	for range 3 {
		got, err := s.describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if got := v.count("/rest/v1/leads/describe.json"); got != 1 {
		t.Errorf("%d calls, want 1 for all", got)
	}
	v.clock.advance(cached.Keep + time.Minute)
	if _, err := s.describe(t.Context()); err != nil || v.count("/rest/v1/leads/describe.json") != 2 {
		t.Errorf("later: %d calls, %v, want a second one", v.count("/rest/v1/leads/describe.json"), err)
	}
}

func TestDescribeFallsBackToTheNewerEndpoint(t *testing.T) {
	v := newFakeVendor(t, map[string]script{"/rest/v1/leads/describe2.json": replies(result(`{"name":"API Lead","searchableFields":[["id"]],"fields":[
		{"name":"id","displayName":"Id","dataType":"integer"},{"name":"email","displayName":"Email Address","dataType":"email","length":255}]}`))})
	got, err := v.source(t).describe(t.Context())
	want := []field{{0, "id", "Id", "integer", 0}, {0, "email", "Email Address", "email", 255}}
	if err != nil || !cmp.Equal(want, got) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestDescribeWithoutFieldsIsAnError(t *testing.T) {
	v := newFakeVendor(t, map[string]script{"/rest/v1/leads/describe.json": replies(result(""))})
	if _, err := v.source(t).describe(t.Context()); martsync.KindOf(err) != martsync.Data || err == nil {
		t.Errorf("got %v, want an error: an export of no fields would be refused later", err)
	}
}

func TestColumns(t *testing.T) {
	for dataType, want := range map[string]string{
		"string": "string", "text": "string", "textarea": "string", "email": "string", "phone": "string", "url": "string",
		"reference": "string", "lead_function": "string", "something new": "string", "": "string",
		"integer": "int64", "score": "int64", "percent": "decimal(38,6)", "currency": "decimal(38,6)", "float": "float64",
		"boolean": "bool", "date": "date", "datetime": "timestamp", "array": "json", "Integer": "int64",
	} {
		c := column("someField", dataType)
		if c.TypeName() != want || c.Name != "some_field" || c.Origin != "someField" {
			t.Errorf("%q: %+v of type %s, want %s", dataType, c, c.TypeName(), want)
		}
	}
	cols := columnsOf([]field{{Name: "firstName", DisplayName: "First Name"}, {Name: "FirstName"}, {Name: "first_name"}, {Name: "2nd", DataType: "integer"}})
	var names []string
	for _, c := range cols {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"first_name", "first_name_2", "first_name_3", "_2nd"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if cols[0].Description != "First Name" || cols[0].Origin != "firstName" || cols[1].Origin != "FirstName" {
		t.Errorf("columns %+v", cols)
	}
}

func TestActivityTypes(t *testing.T) {
	v := newFakeVendor(t, map[string]script{"/rest/v1/activities/types.json": replies(result(`
 {"id":100001,"name":"Attend Clinic","description":"","apiName":"attendClinic","primaryAttribute":{"name":"Clinic Name","dataType":"string"},"attributes":[{"name":"Seats","dataType":"integer"}]},
 {"id":37,"name":"Delete Lead","description":"Delete a lead"},
 {"name":"odd"},
 {"id":1,"name":"Visit Webpage","primaryAttribute":{"name":"Webpage ID","dataType":"integer"},"attributes":[{"name":"Webpage URL","dataType":"string"}]},
 {"id":37,"name":"again"}`))})
	s := v.source(t)
	got, err := s.activityTypes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []activityType{
		{ID: 1, Name: "Visit Webpage", Primary: &attribute{"Webpage ID", "integer"}, Attributes: []attribute{{"Webpage URL", "string"}}},
		{ID: 37, Name: "Delete Lead", Description: "Delete a lead"},
		{ID: 100001, Name: "Attend Clinic", APIName: "attendClinic", Primary: &attribute{"Clinic Name", "string"}, Attributes: []attribute{{"Seats", "integer"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := s.activityTypes(t.Context()); err != nil || v.count("/rest/v1/activities/types.json") != 1 {
		t.Errorf("asked %d times, %v, want once", v.count("/rest/v1/activities/types.json"), err)
	}
}
