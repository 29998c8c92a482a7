package protect_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/protect"
)

const key = "0123456789abcdef"

func hashOf(value string) string {
	h := hmac.New(sha256.New, []byte(key))
	_, _ = h.Write([]byte(value))
	return hex.EncodeToString(h.Sum(nil))
}

// A fake is a source of two streams: people, and a log that says what has changed of them.
type fake struct {
	martsync.Source
	people, log []map[string]string // JSON objects would do, but cells are what sources have
	bad         []martsync.Quarantined
	unwanted    func(string, martsync.Column) bool
}

var (
	peopleColumns = []martsync.Column{
		{Name: "id", Type: martsync.Int64},
		{Name: "email", Type: martsync.String, Origin: "emailAddress"},
		{Name: "phone", Type: martsync.String},
		{Name: "number", Type: martsync.Int64},
		{Name: "score", Type: martsync.Float64},
		{Name: "updated", Type: martsync.Timestamp},
	}
	logColumns = []martsync.Column{
		{Name: "id", Type: martsync.Int64},
		{Name: "field", Type: martsync.String},
		{Name: "attributes", Type: martsync.JSON},
		{Name: "email", Type: martsync.String},
		{Name: "who", Type: martsync.String},
		{Name: "caller", Type: martsync.String},
	}
)

func (f *fake) Streams(context.Context) ([]martsync.Stream, error) {
	return []martsync.Stream{
		&fakeStream{martsync.Schema{Stream: "people", Columns: peopleColumns, Key: []string{"id"}, Version: "updated", Deletes: true}, f.people, f.bad},
		&fakeStream{martsync.Schema{Stream: "log", Columns: logColumns, Key: []string{"id"}}, f.log, nil},
	}, nil
}

func (f *fake) Prune(unwanted func(string, martsync.Column) bool) { f.unwanted = unwanted }

func (f *fake) Echoes(_ context.Context, stream string, wanted func(martsync.Column) bool) (all []martsync.Echo, err error) {
	if stream != "people" {
		return nil, nil
	}
	for _, c := range peopleColumns {
		if wanted(c) {
			all = append(all, martsync.Echo{
				Of: c, Stream: "log", Column: "attributes", Members: []string{"New Value", "Old Value"},
				Where: []martsync.EchoMatch{{Column: "field", Value: c.Name}},
			})
		}
		if c.Name == "phone" && wanted(c) {
			all = append(all,
				martsync.Echo{Of: c, Stream: "log", Column: "who", Where: []martsync.EchoMatch{{Column: "field", Value: "Call"}, {Column: "field", Value: "answer"}}},
				martsync.Echo{Of: c, Stream: "log", Column: "caller"},
			)
		}
	}
	return all, nil
}

func (f *fake) Usage() []martsync.Usage { return []martsync.Usage{{Name: "calls"}} }
func (f *fake) KeepRaw()                {}
func (f *fake) Replay(context.Context, martsync.Schema, iter.Seq2[martsync.RawBody, error]) iter.Seq2[martsync.Batch, error] {
	return nil
}

func (f *fake) Lookup(_ context.Context, _ string, _, _ []string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	s := martsync.Schema{Stream: "people", Columns: peopleColumns[:3], Key: []string{"id"}}
	return s, func(yield func(*martsync.Records, error) bool) {
		yield(records(s.Columns, f.people[:3]), nil)
	}, nil
}

func (f *fake) Views(context.Context) ([]martsync.View, error) {
	return []martsync.View{{
		Name: "changes", From: "log", Join: &martsync.Join{Stream: "people", On: [][2]string{{"id", "id"}}},
		Columns: []martsync.ViewColumn{
			{Name: "id", Column: "id"},
			{Name: "new", Column: "attributes", Key: "New Value", Type: martsync.Int64},
			{Name: "why", Column: "attributes", Key: "Reason", Type: martsync.Int64},
			{Name: "phone", Joined: true, Column: "phone"},
			{Name: "mail", Joined: true, Column: "email"},
		},
	}}, nil
}

type fakeStream struct {
	schema martsync.Schema
	rows   []map[string]string
	bad    []martsync.Quarantined
}

func (s *fakeStream) Schema() martsync.Schema { return s.schema }
func (s *fakeStream) Read(context.Context, martsync.Cursor, martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		for part := range slices.Chunk(s.rows, 2) { // buffers are used again
			if !yield(martsync.Batch{Records: records(s.schema.Columns, part), Cursor: "x"}, nil) {
				return
			}
		}
		yield(martsync.Batch{Quarantined: s.bad, Cursor: "y", Raw: []martsync.Raw{{Data: []byte("everything")}}}, nil)
	}
}

// records makes rows of text; a column that a row lacks is null. A row with "gone" only says that it was deleted.
func records(cols []martsync.Column, rows []map[string]string) *martsync.Records {
	b := columns.NewBuilder(cols)
	for _, row := range rows {
		if _, gone := row["gone"]; gone {
			if err := b.AppendTombstone(map[string]any{"id": int64(9), "updated": time.Unix(0, 0)}); err != nil {
				panic(err)
			}
			continue
		}
		cells := make([][]byte, len(cols))
		for i, c := range cols {
			if v, ok := row[c.Name]; ok {
				cells[i] = []byte(v)
			}
		}
		if err := b.AppendCells(cells); err != nil {
			panic(err)
		}
	}
	return b.Records()
}

// seen is what goes on of a stream, as text.
func seen(t *testing.T, s martsync.Source, name string) (schema martsync.Schema, rows [][]string, bad []martsync.Quarantined) {
	t.Helper()
	streams, err := s.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range streams {
		schema = st.Schema()
		if schema.Stream != name {
			continue
		}
		if err := schema.Validate(); err != nil {
			t.Fatal(err)
		}
		for b, err := range st.Read(t.Context(), "", martsync.Span{}) {
			if err != nil {
				t.Fatal(err)
			}
			if b.Raw != nil {
				t.Error("what the vendor sent goes on")
			}
			bad = append(bad, b.Quarantined...)
			rows = append(rows, texts(b.Records)...)
		}
		return schema, rows, bad
	}
	t.Fatalf("there is no stream %s", name)
	return
}

func texts(r *martsync.Records) (rows [][]string) {
	if r == nil {
		return nil
	}
	for i := range r.Len {
		row := make([]string, len(r.Columns))
		for k := range r.Columns {
			v := &r.Columns[k]
			switch {
			case v.Null(i):
				row[k] = "null"
			case v.Offsets != nil:
				row[k] = string(v.Bytes(i))
			case v.Ints != nil:
				row[k] = fmt.Sprint(v.Ints[i])
			default:
				row[k] = fmt.Sprint(v.Floats[i])
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func wrap(t *testing.T, s martsync.Source, r protect.Rules) martsync.Source {
	t.Helper()
	if r.Key == "" && len(r.Hash) > 0 {
		r.Key = key
	}
	p, err := protect.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return p.Source(s)
}

func people() []map[string]string {
	return []map[string]string{
		{"id": "1", "email": "ada@example.com", "phone": "555", "number": "17", "score": "1.5"},
		{"id": "2", "phone": "556"},
		{"id": "3", "email": "", "number": "-1"},
		{"gone": ""},
	}
}

func TestColumns(t *testing.T) {
	for _, test := range []struct {
		name  string
		rules protect.Rules
		want  []string // columns of people
		first []string
	}{
		{"left out", protect.Rules{Exclude: []string{"people.phone", "score"}}, []string{"id", "email", "number", "updated"}, []string{"1", "ada@example.com", "17", "null"}},
		{"by the vendor's name", protect.Rules{Exclude: []string{"EMAILaddress"}}, []string{"id", "phone", "number", "score", "updated"}, []string{"1", "555", "17", "1.5", "null"}},
		{"of another stream", protect.Rules{Exclude: []string{"log.email"}}, []string{"id", "email", "phone", "number", "score", "updated"}, []string{"1", "ada@example.com", "555", "17", "1.5", "null"}},
		{"all but some", protect.Rules{Include: []string{"people.email"}}, []string{"id", "email", "updated"}, []string{"1", "ada@example.com", "null"}},
		{"all that can be", protect.Rules{Exclude: []string{"people.*"}}, []string{"id", "updated"}, []string{"1", "null"}},
		{"hashed", protect.Rules{Hash: []string{"email", "number"}}, []string{"id", "email", "phone", "number", "score", "updated"}, []string{"1", hashOf("ada@example.com"), "555", hashOf("17"), "1.5", "null"}},
		{"hashed and nothing else", protect.Rules{Include: []string{"people.phone"}, Hash: []string{"people.email"}}, []string{"id", "email", "phone", "updated"}, []string{"1", hashOf("ada@example.com"), "555", "null"}},
		{"hashed and left out", protect.Rules{Exclude: []string{"email"}, Hash: []string{"email"}}, []string{"id", "phone", "number", "score", "updated"}, []string{"1", "555", "17", "1.5", "null"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fake{people: people()}
			schema, rows, _ := seen(t, wrap(t, f, test.rules), "people")
			var names []string
			for _, c := range schema.Columns {
				names = append(names, c.Name)
			}
			if diff := cmp.Diff(test.want, names); diff != "" {
				t.Errorf("columns (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.first, rows[0]); diff != "" {
				t.Errorf("first row (-want +got)\n%s", diff)
			}
			if len(rows) != 4 {
				t.Errorf("got %d rows, want 4", len(rows))
			}
			i := schema.Index("email")
			if i >= 0 && rows[1][i] != "null" {
				t.Errorf("a null became %q", rows[1][i])
			}
			if i >= 0 && schema.Columns[i].Type != martsync.String {
				t.Errorf("email is a %s", schema.Columns[i].TypeName())
			}
			if f.unwanted("people", martsync.Column{Name: "phone"}) != (schema.Index("phone") < 0) {
				t.Error("the source was told something else about phone")
			}
		})
	}
}

// Members of JSON objects, and echoes: what a log of changes says about a column that is hidden.
func TestMembers(t *testing.T) {
	log := []map[string]string{
		{"id": "1", "field": "Email", "attributes": `{ "New Value" : "ada@example.com", "Old Value":null, "Reason":"<b>&\n"}`},
		{"id": "2", "field": "phone", "attributes": `{"New Value":"ada@example.com","n":1.50}`},
		{"id": "3", "field": "number", "attributes": `{"New Value":17,"Old Value":"x\u0041"}`},
		{"id": "4"},
		{"id": "5", "field": "none", "attributes": `{"New Value":"ada@example.com"}`},
	}
	got := func(r protect.Rules) (out []string) {
		_, rows, _ := seen(t, wrap(t, &fake{log: log}, r), "log")
		for _, row := range rows {
			out = append(out, row[2])
		}
		return out
	}
	for _, test := range []struct {
		name  string
		rules protect.Rules
		want  []string
	}{
		{"echoes", protect.Rules{Exclude: []string{"people.phone"}, Hash: []string{"people.email", "people.number"}}, []string{
			`{"New Value":"` + hashOf("ada@example.com") + `","Old Value":null,"Reason":"<b>&\n"}`, `{"n":1.50}`,
			`{"New Value":"` + hashOf("17") + `","Old Value":"` + hashOf("xA") + `"}`, "null", `{"New Value":"ada@example.com"}`,
		}},
		{"members", protect.Rules{Exclude: []string{"log.attributes.Old*"}, Hash: []string{"log.attributes.New Value"}}, []string{
			`{"New Value":"` + hashOf("ada@example.com") + `","Reason":"<b>&\n"}`, `{"New Value":"` + hashOf("ada@example.com") + `","n":1.50}`,
			`{"New Value":"` + hashOf("17") + `"}`, "null", `{"New Value":"` + hashOf("ada@example.com") + `"}`,
		}},
		{"untouched as it came", protect.Rules{Exclude: []string{"log.attributes.nothing"}}, []string{
			log[0]["attributes"], log[1]["attributes"], log[2]["attributes"], "null", log[4]["attributes"],
		}},
	} {
		if diff := cmp.Diff(test.want, got(test.rules)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
}

// Texts that a hidden column has a part in go on where they do not, and are null elsewhere: a hash of them would be of no use.
func TestTextsThatTell(t *testing.T) {
	log := []map[string]string{
		{"id": "1", "field": "call", "who": "Ada, 555", "caller": "555"},
		{"id": "2", "field": "phone", "who": "Ada"},
		{"id": "3", "field": "answer", "who": "Bo, 556", "caller": "556"},
		{"id": "4", "field": "call"},
		{"id": "5", "who": "Cy"},
	}
	for _, test := range []struct {
		name        string
		rules       protect.Rules
		who, caller []string
	}{
		{"left out", protect.Rules{Exclude: []string{"people.phone"}}, []string{"null", "Ada", "null", "null", "Cy"}, []string{"null", "null", "null", "null", "null"}},
		{"hashed", protect.Rules{Hash: []string{"phone"}}, []string{"null", "Ada", "null", "null", "Cy"}, []string{"null", "null", "null", "null", "null"}},
		{
			"the texts are hashed themselves",
			protect.Rules{Hash: []string{"phone", "who", "caller"}},
			[]string{hashOf("Ada, 555"), hashOf("Ada"), hashOf("Bo, 556"), "null", hashOf("Cy")},
			[]string{hashOf("555"), "null", hashOf("556"), "null", "null"},
		},
		{"another column", protect.Rules{Exclude: []string{"people.email"}}, []string{"Ada, 555", "Ada", "Bo, 556", "null", "Cy"}, []string{"555", "null", "556", "null", "null"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			schema, rows, _ := seen(t, wrap(t, &fake{log: log}, test.rules), "log")
			var who, caller []string
			for _, row := range rows {
				who, caller = append(who, row[schema.Index("who")]), append(caller, row[schema.Index("caller")])
			}
			if diff := cmp.Diff(test.who, who); diff != "" {
				t.Errorf("who (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.caller, caller); diff != "" {
				t.Errorf("caller (-want +got)\n%s", diff)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		rules protect.Rules
		want  string
	}{
		{"a short key", protect.Rules{Hash: []string{"email"}, Key: "short"}, "at least 16"},
		{"an empty rule", protect.Rules{Exclude: []string{""}}, "empty"},
		{"an empty stream", protect.Rules{Exclude: []string{".email"}}, "empty"},
		{"an empty member", protect.Rules{Exclude: []string{"log.attributes."}}, "no name"},
		{"no pattern", protect.Rules{Exclude: []string{"people.[a"}}, "patterns"},
		{"include without a stream", protect.Rules{Include: []string{"email"}}, "name a stream"},
		{"a misspelt column", protect.Rules{Hash: []string{"people.emial"}, Key: key}, `"people.emial"`},
		{"a misspelt stream", protect.Rules{Include: []string{"persons.email"}}, `"persons.email"`},
		{"the key", protect.Rules{Exclude: []string{"people.id"}}, "told apart"},
		{"a hash of the key", protect.Rules{Hash: []string{"people.id"}, Key: key}, "told apart"},
		{"the version", protect.Rules{Exclude: []string{"people.updated"}}, "told apart"},
		{"a hash of a float", protect.Rules{Hash: []string{"people.score"}, Key: key}, "float64"},
		{"members of a text", protect.Rules{Exclude: []string{"people.email.domain"}}, "no members"},
	} {
		p, err := protect.New(test.rules)
		if err == nil {
			_, err = p.Source(&fake{}).Streams(t.Context())
		}
		if martsync.KindOf(err) != martsync.Config || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: got %v, want an error of the configuration with %q", test.name, err, test.want)
		}
	}
}

// A row that is no object cannot be looked into, so it does not go on.
func TestUnreadableObject(t *testing.T) {
	f := &fake{log: []map[string]string{{"id": "1", "attributes": `["ada@example.com"]`}}}
	streams, err := wrap(t, f, protect.Rules{Exclude: []string{"log.attributes.x"}}).Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range streams[1].Read(t.Context(), "", martsync.Span{}) {
		if martsync.KindOf(err) != martsync.Data || strings.Contains(err.Error(), "ada") || b.Records != nil {
			t.Errorf("got %v, want an error of the data without the value", err)
		}
	}
}

// A row as it arrived holds everything, and a reason may hold a value.
func TestQuarantine(t *testing.T) {
	f := &fake{people: people(), bad: []martsync.Quarantined{
		{Line: 1, Column: "email", Reason: "ada@example.com is too long", Raw: "1,ada@example.com,555"},
		{Line: 2, Column: "score", Reason: "not a number: abc", Raw: "2,ada@example.com,556"},
		{Line: 3, Reason: "ada@example.com has 7 fields", Raw: "3"},
	}}
	_, _, bad := seen(t, wrap(t, f, protect.Rules{Hash: []string{"email"}}), "people")
	if len(bad) != 3 || strings.Contains(fmt.Sprint(bad), "ada") || !strings.Contains(bad[1].Reason, "not a number") {
		t.Errorf("got %+v", bad)
	}
	_, _, bad = seen(t, wrap(t, f, protect.Rules{Exclude: []string{"log.email"}}), "people")
	if diff := cmp.Diff(f.bad, bad); diff != "" {
		t.Errorf("of a stream without rules (-want +got)\n%s", diff)
	}
}

func TestAbilities(t *testing.T) {
	s := wrap(t, &fake{people: people()}, protect.Rules{Exclude: []string{"phone"}, Hash: []string{"email", "log.attributes.Reason"}})
	if _, ok := martsync.As[martsync.Replayer](s); ok {
		t.Error("what the vendor sent can be kept")
	}
	if m, ok := martsync.As[martsync.Meter](s); !ok || m.Usage()[0].Name != "calls" {
		t.Error("the meter is lost")
	}
	if _, ok := martsync.As[martsync.Checker](s); ok {
		t.Error("there is an ability that the source has not")
	}
	look, _ := martsync.As[martsync.Lookuper](s)
	schema, found, err := look.Lookup(t.Context(), "people", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range found {
		if err != nil {
			t.Fatal(err)
		}
		if got := texts(r)[0]; len(schema.Columns) != 2 || got[1] != hashOf("ada@example.com") {
			t.Errorf("looked up: %v", got)
		}
	}
	viewer, _ := martsync.As[martsync.Viewer](s)
	views, err := viewer.Views(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []martsync.ViewColumn{
		{Name: "id", Column: "id"},
		{Name: "new", Column: "attributes", Key: "New Value", Type: martsync.String},
		{Name: "why", Column: "attributes", Key: "Reason", Type: martsync.String},
		{Name: "mail", Joined: true, Column: "email"},
	}
	if diff := cmp.Diff(want, views[0].Columns); diff != "" {
		t.Errorf("view (-want +got)\n%s", diff)
	}
}

// Whatever rows there are: no value of a hidden column goes on, and what goes on of others is as it was.
func TestNothingGoesOn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.StringMatching(`secret-[a-zA-Z0-9"\\é ]{0,12}`)
		f := &fake{}
		for i := range rapid.IntRange(0, 7).Draw(rt, "rows") {
			row := map[string]string{"id": fmt.Sprint(i), "phone": fmt.Sprint("p", i)}
			if rapid.Bool().Draw(rt, "has email") {
				row["email"] = value.Draw(rt, "email")
			}
			f.people = append(f.people, row)
		}
		rules := protect.Rules{Hash: []string{"email"}}
		if rapid.Bool().Draw(rt, "leave out") {
			rules = protect.Rules{Exclude: []string{"email"}}
		}
		_, rows, _ := seen(t, wrap(t, f, rules), "people")
		if len(rows) != len(f.people) {
			rt.Fatalf("%d of %d rows", len(rows), len(f.people))
		}
		for i, row := range rows {
			if strings.Contains(fmt.Sprint(row), "secret-") || !slices.Contains(row, fmt.Sprint("p", i)) {
				rt.Fatalf("row %d is %q", i, row)
			}
			if e, ok := f.people[i]["email"]; ok && len(rules.Hash) > 0 && !slices.Contains(row, hashOf(e)) {
				rt.Fatalf("row %d is %q, want the hash of %q", i, row, e)
			}
		}
	})
}
