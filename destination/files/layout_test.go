package files

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

func TestLayoutKeys(t *testing.T) {
	values := layoutValues{
		Source: "acme", Stream: "visitor_activities", Sync: "run-7", Seq: 42, ActivityType: "12", Export: true,
		Time:   time.Date(2026, 2, 3, 4, 5, 6, 0, time.FixedZone("", 6*3600)),
		Format: fileFormat{Kind: csvFormat, Compression: gzipCompression},
	}
	tests := []struct {
		template string
		change   func(v *layoutValues)
		want     string
	}{
		{"", nil, "visitor_activities/dt=2026-02-02/visitor_activities-20260202T220506Z-000042.csv.gz"},
		{"{source}/{stream}/{date}/{hour}/{sync}-{seq}.{format}", nil, "acme/visitor_activities/2026-02-02/22/run-7-000042.csv.gz"},
		{"{object}/{object}_{way}_{time}_{seq}.{format}", nil, "VisitorActivity/VisitorActivity_bulk_20260202T220506Z_000042.csv.gz"},
		{"{object}/{object}_{way}_{time}_{seq}.{format}", func(v *layoutValues) { v.Export = false; v.Seq = 1_234_567 }, "VisitorActivity/VisitorActivity_api_20260202T220506Z_1234567.csv.gz"},
		{"{stream}/type={activity_type}/{seq}.{format}", nil, "visitor_activities/type=12/000042.csv.gz"},
		{"{stream}/type={activity_type}/{seq}.{format}", func(v *layoutValues) { v.ActivityType = "" }, "visitor_activities/000042.csv.gz"},
		{"{stream}/{activity_type}-{seq}.{format}", func(v *layoutValues) { v.ActivityType = "" }, "visitor_activities/none-000042.csv.gz"},
		{"{stream}/{activity_type}/{seq}.{format}", func(v *layoutValues) { v.ActivityType = "../Visit @ü" }, "visitor_activities/..@2fVisit@20@40@c3@bc/000042.csv.gz"},
		{"{source}/{stream}/{seq}.{format}", func(v *layoutValues) { v.Source = ".." }, "@2e@2e/visitor_activities/000042.csv.gz"},
		{"{source}/{stream}/{seq}.{format}", func(v *layoutValues) { v.Source = "" }, "default/visitor_activities/000042.csv.gz"},
		{"{sync}/{stream}/{seq}.{format}", func(v *layoutValues) { v.Format = fileFormat{Kind: parquetFormat} }, "run-7/visitor_activities/000042.parquet"},
	}
	for _, test := range tests {
		l, err := parseLayout(test.template)
		if err != nil {
			t.Errorf("%s: %v", test.template, err)
			continue
		}
		v := values
		if test.change != nil {
			test.change(&v)
		}
		if got := l.key(v); got != test.want {
			t.Errorf("%s: got %s, want %s", test.template, got, test.want)
		}
	}
}

func TestLayoutErrors(t *testing.T) {
	tests := []struct{ template, want, hint string }{
		{"{strem}/{seq}.{format}", "no placeholder {strem}", `"stream"`},
		{"{stream}/{activitytype}/{seq}.{format}", "no placeholder {activitytype}", `"activity_type"`},
		{"{stream}/{qqqqqqqq}/{seq}.{format}", "no placeholder {qqqqqqqq}", "Use one of activity_type, date, "},
		{"{stream}/{}/{seq}.{format}", "{} has no name", "{stream}"},
		{"{stream/{seq}.{format}", "a { has no }", "{stream}"},
		{"{stream}}/{seq}.{format}", "a } has no {", "{stream}"},
		{"{date}/{seq}.{format}", "different streams", "Add {stream}"},
		{"{stream}/{date}.{format}", "files of one stream", "Add {seq}"},
		{"{stream}/{seq}.csv", "format of the files", "End it with .{format}."},
		{"/{stream}/{seq}.{format}", "empty", "such as"},
		{"{stream}//{seq}.{format}", "empty", "such as"},
		{"../{stream}/{seq}.{format}", "dot", "such as"},
		{"{stream}/.{seq}.{format}", "dot", "such as"},
		{"_martsync/{stream}/{seq}.{format}", "manifests", "another name"},
		{`{stream}\{seq}.{format}`, `'\\' is not allowed`, "letters"},
		{"{stream}/ä/{seq}.{format}", "'ä' is not allowed", "letters"},
		{"{stream}/ /{seq}.{format}", "' ' is not allowed", "letters"},
	}
	for _, test := range tests {
		_, err := parseLayout(test.template)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(martsync.HintOf(err), test.hint) || martsync.KindOf(err) != martsync.Config {
			t.Errorf("%s: got %v (%s), want %s (%s)", test.template, err, martsync.HintOf(err), test.want, test.hint)
		}
	}
}

func FuzzLayout(f *testing.F) {
	for _, template := range []string{"", defaultLayout, presets[pardotPreset].Layout, "{source}/{stream}/{activity_type}/{hour}.{seq}.{format}", "a{", "}", "{{stream}}"} {
		f.Add(template, "leads", "7")
	}
	f.Fuzz(func(t *testing.T, template, stream, activity string) {
		l, err := parseLayout(template)
		if err != nil || stream == "" {
			return
		}
		v := layoutValues{Stream: stream, ActivityType: activity, Format: fileFormat{Kind: csvFormat}}
		key := l.key(v)
		for part := range strings.SplitSeq(key, "/") {
			if part == "" || part == "." || part == ".." {
				t.Errorf("%q of stream %q and type %q: the key %q has a part %q", template, stream, activity, key, part)
			}
		}
		v.Seq++
		if l.key(v) == key {
			t.Errorf("%q: files have the same key %q", template, key)
		}
	})
}

func TestObjectsHaveTheVendorsNames(t *testing.T) {
	for stream, want := range map[string]string{
		"prospects": "Prospect", "list_memberships": "ListMembership", "visitor_activities": "VisitorActivity", "visitors": "Visitor",
		"prospect_accounts": "ProspectAccount", "opportunities": "Opportunity", "tag_objects": "TagObject", "email_clicks": "EmailClick",
		"lifecycle_histories": "LifecycleHistory", "engagement_studio_programs": "EngagementStudioProgram", "access": "Access",
	} {
		if got := object(stream); got != want {
			t.Errorf("%s: got %s, want %s", stream, got, want)
		}
	}
}

func activities() (martsync.Schema, *martsync.Records) {
	s := martsync.Schema{Stream: "activities", Key: []string{"guid"}, Columns: []martsync.Column{
		{Name: "guid", Type: martsync.String},
		{Name: "activity_type_id", Type: martsync.Int64},
		{Name: "data", Type: martsync.Binary},
		{Name: "flag", Type: martsync.Bool},
	}}
	b := rows.NewBuilder(s.Columns)
	for i, kind := range []any{int64(12), int64(1), nil, int64(12), int64(1), int64(12)} {
		b.Append(fmt.Sprint("guid ", i), kind, rows.Bytes(strings.Repeat("x", i)), i%2 == 0)
	}
	return s, b.Records()
}

func TestPartitions(t *testing.T) {
	l, err := parseLayout("{stream}/{activity_type}/{seq}.{format}")
	if err != nil {
		t.Fatal(err)
	}
	s, r := activities()
	all := listed(s, r)
	want := map[string][]string{"12": {all[0], all[3], all[5]}, "1": {all[1], all[4]}, "none": {all[2]}}
	got := map[string][]string{}
	var order []string
	for name, part := range l.partitions(&s, r) {
		if err := rows.Check(&s, part); err != nil {
			t.Errorf("partition %s: %v", name, err)
		}
		got[name] = listed(s, part)
		order = append(order, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"12", "1", "none"}, order); diff != "" {
		t.Errorf("order: -want +got\n%s", diff)
	}

	whole := func(name string, l *layout, s martsync.Schema, want string) {
		t.Helper()
		for got, part := range l.partitions(&s, r) {
			if part != r || got != want {
				t.Errorf("%s: got a partition %q of %d rows, want %q of all", name, got, part.Len, want)
			}
		}
	}
	plain, err := parseLayout("")
	if err != nil {
		t.Fatal(err)
	}
	whole("a layout without types", plain, s, "")
	deletes := s
	deletes.Deletes = true // a tombstone does not tell its type
	whole("a stream with deletions", l, deletes, "")
	other := s
	other.Stream = "programs"
	other.Columns = append([]martsync.Column{}, s.Columns...)
	other.Columns[1].Name = "type"
	whole("a stream without activities", l, other, "")
	other.Stream = "visitor_activities"
	if !l.partitioned(&other) {
		t.Error("visitor_activities are not divided by type")
	}
}

func TestSlice(t *testing.T) {
	s, r := activities()
	s.Deletes = true
	r.Deleted = []bool{true, false, true, false, true, false}
	all := listed(s, r)
	for from := range r.Len + 1 {
		for to := from; to <= r.Len; to++ {
			part := slice(r, from, to)
			if err := rows.Check(&s, part); err != nil {
				t.Errorf("%d to %d: %v", from, to, err)
			}
			if diff := cmp.Diff(append([]string(nil), all[from:to]...), listed(s, part)); diff != "" {
				t.Errorf("%d to %d: -want +got\n%s", from, to, diff)
			}
		}
	}
	if part := slice(r, 0, 1); part.Size() >= r.Size()/2 {
		t.Errorf("a row of six has %d of %d bytes", part.Size(), r.Size())
	}
}

// A sized encoder has a size and rows and does nothing.
type sized struct {
	encoder
	rows, size int64
}

func (s sized) Rows() int64 { return s.rows }
func (s sized) Size() int64 { return s.size }

func TestRotation(t *testing.T) {
	begun := someTime
	tests := []struct {
		name       string
		rotation   rotation
		rows, size int64
		age        time.Duration
		due        bool
		room       int // of 1000
	}{
		{"no bounds", rotation{}, 1 << 40, 1 << 50, 1 << 60, false, 1000},
		{"below", rotation{Rows: 1000, Bytes: 1000, Age: time.Hour}, 999, 999, time.Hour - 1, false, 1},
		{"rows", rotation{Rows: 1000}, 1000, 0, 0, true, 0},
		{"bytes", rotation{Bytes: 1000}, 1, 1000, 0, true, 1000},
		{"age", rotation{Age: time.Hour}, 1, 0, time.Hour, true, 1000},
		{"nothing in it", rotation{Rows: 2000, Bytes: 10, Age: time.Hour}, 0, 1000, 2 * time.Hour, false, 1000},
	}
	for _, test := range tests {
		e := sized{rows: test.rows, size: test.size}
		if got := test.rotation.due(e, begun, begun.Add(test.age)); got != test.due {
			t.Errorf("%s: due is %v", test.name, got)
		}
		if got := test.rotation.room(e, 1000); got != test.room {
			t.Errorf("%s: room for %d of 1000 rows, want %d", test.name, got, test.room)
		}
	}
}

// Rotation by bytes goes by Size, so Size must grow with what is written.
func TestSizeFollowsTheFile(t *testing.T) {
	s := martsync.Schema{Stream: "x", Columns: []martsync.Column{{Name: "text", Type: martsync.String}}}
	var batches []*martsync.Records
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := rows.NewBuilder(s.Columns)
		for range 1000 {
			b.Append(strings.Repeat(strconv.FormatUint(r.Uint64(), 16)+" ", 2) + strconv.FormatUint(r.Uint64(), 36))
		}
		batches = append(batches, b.Records())
	}
	for _, f := range allFormats() {
		e, err := newEncoder(io.Discard, f, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		var last int64
		for i := range batches {
			if err := e.Write(batches[i], someTime); err != nil {
				t.Fatal(err)
			}
			if e.Size() <= last {
				t.Errorf("%v: %d bytes after a batch, %d before", f, e.Size(), last)
			}
			last = e.Size()
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if closed := e.Size(); float64(last) < 0.8*float64(closed) || float64(last) > 1.2*float64(closed) {
			t.Errorf("%v: %d bytes before Close, %d after", f, last, closed)
		}
	}
}

func TestPresets(t *testing.T) {
	p, err := presetOf("")
	if err != nil || p.Format != (fileFormat{Kind: parquetFormat, Compression: zstdCompression}) || p.rotation("leads").Bytes == 0 {
		t.Errorf("the default: got %+v, %v", p, err)
	}
	if _, err := presetOf("pardot_etl"); err == nil || martsync.HintOf(err) != `Did you mean "pardot-etl"?` {
		t.Errorf("an unknown preset: got %v (%s)", err, martsync.HintOf(err))
	}
	if p, err = presetOf("pardot-etl"); err != nil {
		t.Fatal(err)
	}
	l, err := parseLayout(p.Layout)
	if err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string]string{
		"prospects": "Prospect/Prospect_bulk_20260203T040506Z_000001.csv",
		"campaigns": "Campaign/Campaign_api_20260203T040506Z_000001.csv",
	} {
		if got := l.key(layoutValues{Stream: stream, Time: someTime, Seq: 1, Export: p.export(stream), Format: p.Format}); got != want {
			t.Errorf("%s: got %s, want %s", stream, got, want)
		}
	}
	if got := p.rotation("campaigns"); got != (rotation{Rows: 1000}) {
		t.Errorf("campaigns: got %+v", got)
	}
	if got := p.rotation("prospects"); got != (rotation{}) {
		t.Errorf("prospects: got %+v", got)
	}
	if !p.Format.Bare || p.Format.Kind != csvFormat {
		t.Errorf("format: got %+v, want CSV without columns of ours", p.Format)
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"date", "hour", "stream"}
	for got, want := range map[string]string{
		"dat": `Did you mean "date"?`, "Stream": `Did you mean "stream"?`, "steam": `Did you mean "stream"?`, "hours": `Did you mean "hour"?`,
		"s": `Did you mean "stream"?`, "": "Use one of date, hour, stream.", "partition": "Use one of date, hour, stream.",
	} {
		if hint := suggest(got, known); hint != want {
			t.Errorf("%q: got %s, want %s", got, hint, want)
		}
	}
}
