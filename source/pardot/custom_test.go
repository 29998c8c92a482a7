package pardot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
)

// A fieldServer is an account as far as it describes its fields.
type fieldServer struct {
	*httptest.Server

	clock *simulate.Clock
	log   bytes.Buffer

	mu       sync.Mutex
	fields   []customField
	describe string            // what version 4 says about prospect accounts: the result
	refuse   map[string]string // by path: the error that is sent instead
	paths    []string          // what was asked
}

const (
	fields5Path  = "/api/v5/objects/custom-fields"
	fields4Path  = "/api/customField/version/4/do/query"
	describePath = "/api/prospectAccount/version/4/do/describe"

	denied5 = `{"code":46,"message":"User does not have permission"}`
	denied4 = `{"@attributes":{"stat":"fail","version":1,"err_code":46},"err":"User does not have permission"}`
)

func newFieldServer(t *testing.T, fields ...customField) *fieldServer {
	t.Helper()
	s := &fieldServer{
		clock:  simulate.NewClock(time.Date(2026, 3, 18, 16, 30, 0, 0, time.UTC)),
		fields: fields, describe: `{}`, refuse: map[string]string{},
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *fieldServer) open(t *testing.T) *source {
	t.Helper()
	src, err := open(Config{
		BusinessUnit: "0Uv000000000001CAA", APIHost: s.URL, LoginURL: s.URL, Timezone: "UTC",
		ClientID: "kites", ClientSecret: "secret", RefreshToken: "token",
	}, martsync.Env{Log: slog.New(slog.NewTextHandler(&s.log, nil)), HTTP: &http.Client{}, Clock: s.clock, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func (s *fieldServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/services/oauth2/token" {
		fmt.Fprint(w, `{"access_token":"00D!fields","token_type":"Bearer","id":"https://login.example/id/00D/005","instance_url":"https://kite.example","issued_at":"1"}`)
		return
	}
	s.paths = append(s.paths, r.URL.Path)
	if fault, ok := s.refuse[r.URL.Path]; ok {
		if strings.Contains(fault, `"code"`) {
			w.WriteHeader(http.StatusBadRequest)
		}
		fmt.Fprint(w, fault)
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case fields5Path:
		rows := []map[string]any{}
		for _, f := range s.after(r.Form.Get("idGreaterThan"), 2) {
			rows = append(rows, map[string]any{"id": f.ID, "name": f.Name, "fieldId": f.FieldID, "type": f.Type, "isRecordMultipleResponses": f.Multiple})
		}
		var token any
		if len(rows) == 2 {
			token = "more"
		}
		s.write(w, map[string]any{"nextPageToken": token, "nextPageUrl": token, "values": rows})
	case fields4Path:
		var rows []map[string]any
		for _, f := range s.after(r.Form.Get("id_greater_than"), 200) {
			multiple := 0
			if f.Multiple {
				multiple = 1
			}
			rows = append(rows, map[string]any{"id": f.ID, "name": f.Name, "field_id": f.FieldID, "type": f.Type, "is_record_multiple_responses": multiple})
		}
		result := map[string]any{"total_results": len(rows)}
		switch len(rows) {
		case 0:
		case 1:
			result["customField"] = rows[0]
		default:
			result["customField"] = rows
		}
		s.write(w, map[string]any{"@attributes": map[string]any{"stat": "ok", "version": 1}, "result": result})
	case describePath:
		fmt.Fprintf(w, `{"@attributes":{"stat":"ok","version":1},"result":%s}`, s.describe)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code":198,"message":"endpoint not found"}`)
	}
}

// after are the next fields by id.
func (s *fieldServer) after(id string, limit int) (page []customField) {
	last, _ := strconv.ParseInt(id, 10, 64)
	for _, f := range s.fields {
		if f.ID > last && len(page) < limit {
			page = append(page, f)
		}
	}
	return page
}

func (s *fieldServer) write(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// asked is how often a path was asked for.
func (s *fieldServer) asked(path string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.paths {
		if p == path {
			n++
		}
	}
	return n
}

// change does something to the account.
func (s *fieldServer) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// schemaOf is the schema of a stream as the source lists it.
func schemaOf(t *testing.T, s *source, stream string) martsync.Schema {
	t.Helper()
	streams, err := s.Streams(t.Context())
	if err != nil {
		t.Fatalf("streams: %v", err)
	}
	for _, st := range streams {
		if st.Schema().Stream == stream {
			return st.Schema()
		}
	}
	t.Fatalf("there is no stream %s", stream)
	return martsync.Schema{}
}

// kiteFields are custom fields of all types that the vendor documents.
func kiteFields() []customField {
	return []customField{
		{11, "Kite colour", "kite_colour", "Text", false},
		{12, "Wingspan", "Wingspan", "Number", false},
		{13, "Bought", "bought", "Date", false},
		{14, "Colours", "kite_colours", "Multi-Select", false},
		{15, "Likes", "likes", "Checkbox", false},
		{16, "Size", "size", "Radio Button", false},
		{17, "Visited", "visited", "Dropdown", true},
		{18, "Seller", "seller", "CRM User", false},
		{19, "E-mail, once more", "email", "Textarea", false},
	}
}

func TestCustomColumnsHaveTheTypesOfTheMetadata(t *testing.T) {
	srv := newFieldServer(t, kiteFields()...)
	schema := schemaOf(t, srv.open(t), "prospects")
	got := schema.Columns[len(objectOf("prospects").fields)-1:] // all but the one that version 5 lacks
	want := []martsync.Column{
		{Name: "kite_colour__c", Origin: "kite_colour__c", Type: martsync.String, Description: "Kite colour"},
		{Name: "wingspan__c", Origin: "Wingspan__c", Type: martsync.Decimal, Precision: 38, Scale: 10, Description: "Wingspan"},
		{Name: "bought__c", Origin: "bought__c", Type: martsync.Date, Description: "Bought"},
		{Name: "kite_colours__c", Origin: "kite_colours__c", Type: martsync.JSON, Description: "Colours"},
		{Name: "likes__c", Origin: "likes__c", Type: martsync.JSON, Description: "Likes"},
		{Name: "size__c", Origin: "size__c", Type: martsync.String, Description: "Size"},
		{Name: "visited__c", Origin: "visited__c", Type: martsync.JSON, Description: "Visited"},
		{Name: "seller__c", Origin: "seller__c", Type: martsync.String, Description: "Seller"},
		{Name: "email__c", Origin: "email__c", Type: martsync.String, Description: "E-mail, once more"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("custom columns (-want +got):\n%s", diff)
	}
	if n := srv.asked(fields5Path); n != 5 {
		t.Errorf("9 fields, 2 a page: %d calls, want 5", n)
	}
}

func TestFieldsOfSeveralValuesAreLeftToTheJoin(t *testing.T) {
	srv := newFieldServer(t, kiteFields()...)
	c, err := srv.open(t).customColumns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var multi []string
	for _, f := range c.multi {
		multi = append(multi, f.v5+" "+f.v4)
		if !f.joined {
			t.Errorf("%s is not left to the join", f.v5)
		}
	}
	if diff := cmp.Diff([]string{"kite_colours__c kite_colours", "likes__c likes", "visited__c visited"}, multi); diff != "" {
		t.Errorf("fields of several values (-want +got):\n%s", diff)
	}
	if !c.at.Equal(srv.clock.Now()) {
		t.Errorf("described at %s, want %s", c.at, srv.clock.Now())
	}
}

// X21: a field that appears becomes a column, behind the others and of the type that it is declared as.
func TestX21NewCustomFieldBecomesAColumn(t *testing.T) {
	srv := newFieldServer(t, kiteFields()[:2]...)
	src := srv.open(t)
	before := schemaOf(t, src, "prospects")

	srv.change(func() {
		srv.fields = append(srv.fields, customField{30, "Altitude", "altitude", "Number", false}, customField{31, "Winds", "winds", "Multi-Select", false})
	})
	if diff := cmp.Diff(before, schemaOf(t, src, "prospects")); diff != "" {
		t.Errorf("descriptions are not kept for a while (-before +now):\n%s", diff)
	}
	srv.clock.Advance(2 * time.Hour)
	after := schemaOf(t, src, "prospects")
	want := append(slices.Clone(before.Columns),
		martsync.Column{Name: "altitude__c", Origin: "altitude__c", Type: martsync.Decimal, Precision: 38, Scale: 10, Description: "Altitude"},
		martsync.Column{Name: "winds__c", Origin: "winds__c", Type: martsync.JSON, Description: "Winds"},
	)
	if diff := cmp.Diff(want, after.Columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(after, schemaOf(t, srv.open(t), "prospects")); diff != "" {
		t.Errorf("another process sees other columns (-this +other):\n%s", diff)
	}
}

func TestVersion4TellsTheSameCustomColumns(t *testing.T) {
	for _, n := range []int{0, 1, 9} { // no rows, one row and several look different
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			srv := newFieldServer(t, kiteFields()[:n]...)
			want := schemaOf(t, srv.open(t), "prospects")
			srv.change(func() { srv.refuse[fields5Path] = denied5 })
			if diff := cmp.Diff(want, schemaOf(t, srv.open(t), "prospects")); diff != "" {
				t.Errorf("columns (-by version 5 +by version 4):\n%s", diff)
			}
			if srv.asked(fields4Path) != 1 {
				t.Errorf("version 4 was asked %d times", srv.asked(fields4Path))
			}
		})
	}
}

func TestPagesOfCustomFieldsOfVersion4(t *testing.T) {
	for _, n := range []int{199, 200, 201, 400} {
		srv := newFieldServer(t)
		for i := range n {
			srv.fields = append(srv.fields, customField{int64(i + 1), "Kite", fmt.Sprintf("kite_%d", i), "Text", false})
		}
		srv.refuse[fields5Path] = denied5
		c, err := srv.open(t).customColumns(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := srv.asked(fields4Path), n/200+1; len(c.prospect) != n || got != want {
			t.Errorf("%d fields: got %d in %d calls, want %d calls", n, len(c.prospect), got, want)
		}
	}
}

func TestStreamsWithoutTheRightToSeeFields(t *testing.T) {
	srv := newFieldServer(t, kiteFields()...)
	srv.refuse[fields5Path], srv.refuse[fields4Path], srv.refuse[describePath] = denied5, denied4, denied4
	src := srv.open(t)
	if got, want := len(schemaOf(t, src, "prospects").Columns), len(objectOf("prospects").fields)-1; got != want {
		t.Errorf("prospects have %d columns, want %d", got, want)
	}
	for _, want := range []string{"custom fields of prospects cannot be listed", "custom fields of prospect accounts cannot be listed"} {
		if !strings.Contains(srv.log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, srv.log.String())
		}
	}
}

// What one stream lacks must not keep the others from being read.
func TestStreamsBesideABrokenOne(t *testing.T) {
	srv := newFieldServer(t, kiteFields()...)
	srv.describe = `{"field":[{"@attributes":"not an object"}]}`
	streams, err := srv.open(t).Streams(t.Context())
	if err != nil {
		t.Fatalf("streams: %v", err)
	}
	if len(streams) != len(catalog) {
		t.Fatalf("%d streams, want %d", len(streams), len(catalog))
	}
	for i, st := range streams {
		schema := st.Schema()
		if err := schema.Validate(); err != nil {
			t.Errorf("%s: %v", schema.Stream, err)
		}
		if schema.Stream != catalog[i].stream {
			t.Errorf("stream %d is %s, want %s", i, schema.Stream, catalog[i].stream)
		}
		_, broken := st.(*brokenStream)
		if broken != (schema.Stream == "prospect_accounts") {
			t.Errorf("%s: broken %t", schema.Stream, broken)
		}
		if !broken {
			continue
		}
		n := 0
		for b, err := range st.Read(t.Context(), "", martsync.Span{}) {
			if n++; martsync.KindOf(err) != martsync.Data || b.Records != nil {
				t.Errorf("read: %+v, %v; want an error of kind data", b, err)
			}
		}
		if n != 1 {
			t.Errorf("read yields %d times, want once", n)
		}
	}
}

func TestStreamsOfAnAccountThatRefusesEverything(t *testing.T) {
	tests := []struct {
		name  string
		fault string
		want  martsync.Kind
	}{
		{"the business unit is unknown", `{"code":201,"message":"account not found"}`, martsync.Config},
		{"calls are spent", `{"code":122,"message":"Daily API rate limit met"}`, martsync.Quota},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := newFieldServer(t)
			srv.refuse[fields5Path] = tt.fault
			_, err := srv.open(t).Streams(t.Context())
			if got := martsync.KindOf(err); err == nil || got != tt.want {
				t.Errorf("streams: %v of kind %v, want %v", err, got, tt.want)
			}
		})
	}
}

func TestFieldsOfProspectAccounts(t *testing.T) {
	const (
		industry = `{"@attributes":{"id":"industry","label":"Industry","required":false,"custom":false,"type":"text"}}`
		zip      = `{"@attributes":{"id":"billing_zip","label":"Zip","custom":"false","type":"text"}}`
		sicDesc  = `{"@attributes":{"id":"sic_desc","label":"SIC","custom":"0","type":"text"}}`
		fleet    = `{"@attributes":{"id":"kite_fleet","label":"Fleet","custom":true,"type":"Number","has_options":false}}`
		founded  = `{"id":"Founded","label":"Founded","custom":1,"type":"Date"}`
		lines    = `{"@attributes":{"id":"lines","label":"Lines","custom":"1","type":"multi_select","has_options":true},"options":{"option":["a","b"]}}`
	)
	fleetField := field{name: "kite_fleet__c", v4: "kite_fleet", v5: "kite_fleet__c", typ: martsync.Decimal, text: "Fleet"}
	tests := []struct {
		name   string
		result string
		want   []field
	}{
		{"none", `{"field":[]}`, nil},
		{"no key", `{}`, nil},
		{"null", `{"field":null}`, nil},
		{"empty element", `{"field":""}`, nil},
		{"only known ones", `{"field":[` + industry + `,` + zip + `]}`, nil},
		{"one", `{"field":` + fleet + `}`, []field{fleetField}},
		{"twice", `{"field":[` + fleet + `,` + fleet + `]}`, []field{fleetField}},
		{"alike but for capitals", `{"field":[` + founded + `,{"id":"founded","custom":1,"type":"Text"}]}`, []field{
			{name: "founded__c", v4: "Founded", v5: "Founded__c", typ: martsync.Date, text: "Founded"},
			{name: "founded__c", v4: "founded", v5: "founded__c", typ: martsync.String},
		}},
		{"several", `{"field":[` + industry + `,` + sicDesc + `,` + fleet + `,` + founded + `,` + lines + `]}`, []field{
			{name: "sic_desc", v4: "sic_desc", typ: martsync.String, text: "SIC"},
			fleetField,
			{name: "founded__c", v4: "Founded", v5: "Founded__c", typ: martsync.Date, text: "Founded"},
			{name: "lines__c", v4: "lines", typ: martsync.JSON, text: "Lines"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseDescribe([]byte(tt.result))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(field{})); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			schema := makeLayout(objectOf("prospect_accounts"), reading{api: v4, read: byQuery, exports: v4}, got).schema
			if err := schema.Validate(); err != nil {
				t.Error(err)
			}
		})
	}

	srv := newFieldServer(t)
	srv.describe = tests[len(tests)-1].result
	src := srv.open(t)
	o := objectOf("prospect_accounts")
	l, err := src.layout(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sic_desc", "kite_fleet__c", "founded__c", "lines__c", "billing_address_one", "assigned_to_id", "created_at"} {
		if l.schema.Index(name) < 0 {
			t.Errorf("no column %s", name)
		}
	}
	if i := l.schema.Index("sic_desc"); l.schema.Columns[i].Origin != "sic_desc" {
		t.Errorf("origin %q of a field that version 4 alone has", l.schema.Columns[i].Origin)
	}
	if !slices.Contains(l.fields4, "Founded") {
		t.Errorf("version 4 is asked for %v", l.fields4)
	}
	custom, _ := src.customColumns(t.Context())
	l = makeLayout(o, reading{api: v5, read: byQuery, exports: v4}, custom.account)
	if l.schema.Index("lines__c") >= 0 || l.schema.Index("kite_fleet__c") < 0 || l.schema.Index("sic_desc") >= 0 {
		t.Error("version 5 tells the columns of version 4")
	}
}

func TestCustomFieldsThatComeTwiceOrHaveNoID(t *testing.T) {
	srv := newFieldServer(t, customField{1, "One", "one", "Text", false}, customField{2, "None", "", "Text", false}, customField{3, "One again", "one", "Number", false})
	c, err := srv.open(t).customColumns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []field{{v5: "one__c", v4: "one", typ: martsync.String, text: "One"}}
	if diff := cmp.Diff(want, c.prospect, cmp.AllowUnexported(field{})); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// A vendor that repeats a page must not keep us for ever.
func TestCustomFieldsThatDoNotEnd(t *testing.T) {
	srv := newFieldServer(t)
	srv.refuse[fields5Path] = `{"nextPageToken":"again","nextPageUrl":"again","values":[{"id":5,"name":"Five","fieldId":"five","type":"Text"}]}`
	c, err := srv.open(t).customColumns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.prospect) != 1 || srv.asked(fields5Path) != 2 {
		t.Errorf("%d fields after %d calls, want 1 after 2", len(c.prospect), srv.asked(fields5Path))
	}
}

func FuzzParseDescribe(f *testing.F) {
	f.Add(`{"field":[{"@attributes":{"id":"kite_fleet","label":"Fleet","custom":true,"type":"Number"}}]}`)
	f.Add(`{"field":{"id":"Founded","custom":1,"type":"Date"}}`)
	f.Add(`{"field":""}`)
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := parseDescribe([]byte(text))
		if err != nil {
			if martsync.KindOf(err) != martsync.Data {
				t.Errorf("error of kind %v", martsync.KindOf(err))
			}
			return
		}
		schema := makeLayout(objectOf("prospect_accounts"), reading{api: v4, read: byQuery, exports: v4}, fields).schema
		if err := schema.Validate(); err != nil {
			t.Error(err)
		}
	})
}
