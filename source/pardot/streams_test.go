package pardot

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

func TestPlan(t *testing.T) {
	yes, no := true, false
	day := 24 * time.Hour
	plain := reading{api: v5, read: byQuery, exports: v4, overlap: day, sweep: 20 * time.Hour, stats: true, statsFor: 30 * day}
	with := func(change func(*reading)) reading {
		r := plain
		change(&r)
		return r
	}
	tests := []struct {
		name   string
		stream string
		cfg    Config
		want   reading
	}{
		{"defaults", "campaigns", Config{}, plain},
		{"prospects are queried", "prospects", Config{}, plain},
		{"exports for long ranges", "visitor_activities", Config{}, with(func(r *reading) { r.read = byAuto })},
		{"version 4 is preferred", "visitors", Config{}, with(func(r *reading) { r.api, r.read = v4, byAuto })},
		{
			"no exports of version 5", "visitors",
			Config{Exports: Exports{API: "v5"}},
			with(func(r *reading) { r.api, r.exports = v4, v5 }),
		},
		{
			"exports where asked for", "prospects",
			Config{Streams: map[string]StreamConfig{"prospects": {Read: "export"}}},
			with(func(r *reading) { r.read = byExport }),
		},
		{
			"exports that only version 5 has", "campaigns",
			Config{Exports: Exports{API: "v5"}, Streams: map[string]StreamConfig{"campaigns": {Read: "export"}}},
			with(func(r *reading) { r.read, r.exports = byExport, v5 }),
		},
		{
			"settings of the source", "tags",
			Config{Overlap: setting.Duration(time.Hour), Sweep: sweepOff},
			with(func(r *reading) { r.overlap, r.sweep = time.Hour, -1 }),
		},
		{
			"a stream's settings win", "tags",
			Config{Overlap: setting.Duration(time.Hour), Sweep: sweepOff, Streams: map[string]StreamConfig{"tags": {
				API: "v4", Read: "query", Overlap: setting.Duration(2 * time.Hour), Sweep: Sweep(7 * day), Every: setting.Duration(day),
			}}},
			with(func(r *reading) { r.api, r.overlap, r.sweep, r.every = v4, 2*time.Hour, 7*day, day }),
		},
		{
			"another stream's do not", "tags", Config{Streams: map[string]StreamConfig{"lists": {API: "v4"}}}, plain,
		},
		{"listed once a day", "opportunity_prospects", Config{}, with(func(r *reading) { r.api, r.every = v4, day })},
		{"messages of list e-mails", "list_emails", Config{}, with(func(r *reading) { r.messages = true })},
		{
			"neither messages nor statistics", "list_emails",
			Config{Streams: map[string]StreamConfig{"list_emails": {Messages: &no, Stats: &no}}},
			with(func(r *reading) { r.stats = false }),
		},
		{
			"messages of e-mails", "emails",
			Config{Streams: map[string]StreamConfig{"emails": {API: "v4", Messages: &yes}}},
			with(func(r *reading) { r.api, r.messages = v4, true }),
		},
		{
			"kinds in the words of version 5", "tag_objects",
			Config{Streams: map[string]StreamConfig{"tag_objects": {Types: []string{"Form Handler", "prospect"}}}},
			with(func(r *reading) { r.types = []string{"form-handler", "prospect"} }),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := sourceWith(tt.cfg).plan(objectOf(tt.stream))
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(reading{})); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettingsThatAskForWhatIsNotThere(t *testing.T) {
	yes := true
	tests := []struct {
		name   string
		stream string
		cfg    StreamConfig
		want   string // in the error; "": none
	}{
		{"version 4 has no users", "users", StreamConfig{API: "v4"}, "streams.users.api is v4"},
		{"version 5 lists no prospects of opportunities", "opportunity_prospects", StreamConfig{API: "v5"}, "api is v5"},
		{"clicks of version 5", "email_clicks", StreamConfig{API: "v5"}, ""},
		{"tags cannot be exported", "tags", StreamConfig{Read: "export"}, "cannot be exported"},
		{"exports of version 4 have no campaigns", "campaigns", StreamConfig{Read: "export"}, "exports of v4"},
		{"accounts of prospects can be exported", "prospect_accounts", StreamConfig{Read: "export"}, ""},
		{"types of lists", "lists", StreamConfig{Types: []string{"a"}}, "types"},
		{"types of activities", "visitor_activities", StreamConfig{Types: []string{"1"}}, ""},
		{"statistics of e-mails", "emails", StreamConfig{Stats: &yes}, "stats"},
		{"messages of e-mails", "emails", StreamConfig{Messages: &yes}, ""},
		{"messages of tags", "tags", StreamConfig{Messages: &yes}, "messages"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{Streams: map[string]StreamConfig{tt.stream: tt.cfg}}
			err := cfg.checkStreams()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == ""):
				t.Errorf("got %v of kind %v, want a hint and an error of the configuration with %q", err, martsync.KindOf(err), tt.want)
			}
			if got := sourceWith(cfg).plan(objectOf(tt.stream)); !objectOf(tt.stream).has(got.api) {
				t.Errorf("planned by %s, which does not have it", got.api)
			}
		})
	}
}

// Objects that are read in a way of their own get the stream that can.
func TestStreamsOfTheirOwn(t *testing.T) {
	srv := newFieldServer(t)
	src := srv.open(t)
	src.cfg.Streams = map[string]StreamConfig{"emails": {API: "v4"}}
	streams, err := src.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range streams {
		name := st.Schema().Stream
		var ok bool
		switch name {
		case "accounts":
			_, ok = st.(*accountStream)
		case "opportunity_prospects":
			_, ok = st.(*opportunityProspectStream)
		case "emails":
			_, ok = st.(*emails4Stream)
		case "list_emails":
			_, ok = st.(*freshStream)
		default:
			_, ok = st.(*stream)
		}
		if !ok {
			t.Errorf("%s is read by a %T", name, st)
		}
	}
	wrong := Config{Streams: map[string]StreamConfig{"users": {API: "v4"}}}
	if _, err := wrong.withStreams(); martsync.KindOf(err) != martsync.Config {
		t.Errorf("streams: %v, want an error of the configuration", err)
	}
	for _, p := range srv.paths {
		if p != fields5Path && p != describePath {
			t.Errorf("listing the streams asks for %s", p)
		}
	}
}
