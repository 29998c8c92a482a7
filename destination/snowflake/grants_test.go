package snowflake

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLacks(t *testing.T) {
	var g grants
	g.add("USAGE", "DATABASE", "MART")
	g.add("create table", "schema", `MART."my schema"`)
	g.add("OWNERSHIP", "TABLE", "MART.PUBLIC.LEADS")
	g.add("ALL", "STAGE", `MART.PUBLIC."a.b"`)
	for _, tt := range []struct {
		on, name   string
		privileges []string
		want       []string
	}{
		{"DATABASE", `"MART"`, []string{"USAGE"}, nil},
		{"DATABASE", `"MART"`, []string{"USAGE", "CREATE SCHEMA"}, []string{"CREATE SCHEMA"}},
		{"DATABASE", `"mart"`, []string{"USAGE"}, []string{"USAGE"}}, // another one
		{"SCHEMA", `"MART"."my schema"`, []string{"USAGE", "CREATE TABLE"}, []string{"USAGE"}},
		{"TABLE", `"MART"."PUBLIC"."LEADS"`, []string{"SELECT", "INSERT"}, nil}, // the owner lacks nothing
		{"VIEW", `"MART"."PUBLIC"."LEADS"`, []string{"SELECT"}, []string{"SELECT"}},
		{"STAGE", `"MART"."PUBLIC"."a.b"`, []string{"READ", "WRITE"}, nil},
		{"STAGE", `"MART"."PUBLIC"."a"."b"`, []string{"READ"}, []string{"READ"}},
	} {
		if diff := cmp.Diff(tt.want, g.lacks(tt.on, tt.name, tt.privileges...)); diff != "" {
			t.Errorf("%s %s %v (-want +got):\n%s", tt.on, tt.name, tt.privileges, diff)
		}
	}
}

func TestSplit(t *testing.T) {
	for name, want := range map[string][]string{
		"A":            {"A"},
		"A.B.C":        {"A", "B", "C"},
		`"a.b".C`:      {"a.b", "C"},
		`"a""b"."c d"`: {`a"b`, "c d"},
		`A."日本".lower`: {"A", "日本", "lower"},
	} {
		if diff := cmp.Diff(want, split(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestObjectPath(t *testing.T) {
	d := &destination{database: "MART", schema: "PUBLIC"}
	for name, want := range map[string][]string{
		"landing":             {"MART", "PUBLIC", "LANDING"},
		"raw.landing":         {"MART", "RAW", "LANDING"},
		`lake.raw."my stage"`: {"LAKE", "RAW", "my stage"},
		`"a.b"`:               {"MART", "PUBLIC", "a.b"},
	} {
		if diff := cmp.Diff(want, d.objectPath(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
