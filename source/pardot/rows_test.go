package pardot

import (
	"bytes"
	"encoding/json"
	"html"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// all4 has a column of each type that version 4 tells.
var all4 = []martsync.Column{
	{Name: "id", Type: martsync.Int64, Origin: "id"},
	{Name: "name", Type: martsync.String, Origin: "name"},
	{Name: "zip", Type: martsync.String, Origin: "zip"},
	{Name: "value", Type: martsync.Float64, Origin: "value"},
	{Name: "opted_out", Type: martsync.Bool, Origin: "opted_out"},
	{Name: "campaign_id", Type: martsync.Int64, Origin: "campaign_id"},
	{Name: "assigned_to_id", Type: martsync.Int64, Origin: "assigned_to_user_id"},
	{Name: "last_activity", Type: martsync.Int64, Origin: "last_activity_visitor_activity_id"},
	{Name: "colors", Type: martsync.JSON, Origin: "colors"},
	{Name: "prospects", Type: martsync.JSON, Origin: "prospects"},
	{Name: "size", Type: martsync.Decimal, Precision: 38, Scale: 10, Origin: "size"},
	{Name: "at", Type: martsync.Timestamp, Origin: "created_at"},
}

// cellsOf are the cells of the builder's only row by column, as text; nulls are left out.
func cellsOf(t testing.TB, b *rowBuilder) map[string]string {
	t.Helper()
	batch := b.batch()
	if batch.Records == nil || batch.Records.Len != 1 || len(batch.Quarantined) > 0 {
		t.Fatalf("got %+v, want one row", batch)
	}
	if err := rows.Check(&martsync.Schema{Columns: b.columns}, batch.Records); err != nil {
		t.Fatal(err)
	}
	cells := map[string]string{}
	for _, row := range rows.Of(b.columns, batch.Records) {
		for i, c := range b.columns {
			if row[i] != nil {
				cells[c.Name] = rows.Text(row[i])
			}
		}
	}
	return cells
}

func TestX04RowsOfVersion4(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{loc: newYork}
	for _, tt := range []struct {
		name, row string
		want      map[string]string
	}{
		{
			"plain", `{"id":501,"name":"Moor \u0026 Sons","zip":"02134","value":5400.5,"opted_out":true,"campaign_id":101,"size":"12.50","created_at":"2025-07-02 01:30:00"}`,
			map[string]string{"id": "501", "name": "Moor & Sons", "zip": "02134", "value": "5400.5", "opted_out": "true", "campaign_id": "101", "size": "12.5000000000", "at": "2025-07-02T05:30:00Z"},
		},
		{
			"nested", `{"id":1,"campaign":{"id":101,"name":"Fair","cost":1200},"assigned_to":{"user":{"id":7,"email":"a@b.example"}},"last_activity":{"visitor_activity":{"id":9001}}}`,
			map[string]string{"id": "1", "campaign_id": "101", "assigned_to_id": "7", "last_activity": "9001"},
		},
		{
			"nothing four times", `{"id":1,"name":null,"zip":"","value":{},"opted_out":[],"campaign":{"id":null},"colors":{ },"prospects":"","created_at":""}`,
			map[string]string{"id": "1"},
		},
		{"several values", `{"id":1,"colors":{"value":["red","teal"]}}`, map[string]string{"id": "1", "colors": `["red","teal"]`}},
		{"the only value", `{"id":1,"colors":{"value":"red"}}`, map[string]string{"id": "1", "colors": `["red"]`}},
		{"the only value, bare", `{"id":1,"colors":"red"}`, map[string]string{"id": "1", "colors": `["red"]`}},
		{"values without", `{"id":1,"colors":{"value":[]},"name":{"value":null},"zip":{"value":""}}`, map[string]string{"id": "1"}},
		{"a list", `{"id":1,"colors":["red"]}`, map[string]string{"id": "1", "colors": `["red"]`}},
		{"values of a field that has one", `{"id":1,"name":{"value":"x"},"zip":{"value":["1","2"]}}`, map[string]string{"id": "1", "name": "x", "zip": `["1","2"]`}},
		{
			"an object that is wanted", `{"id":1,"prospects":{"prospect":{"id":501,"company":"Moor &amp; Sons"}}}`,
			map[string]string{"id": "1", "prospects": `{"prospect":{"id":501,"company":"Moor & Sons"}}`},
		},
		{"booleans", `{"id":1,"opted_out":0}`, map[string]string{"id": "1", "opted_out": "false"}},
		{"booleans in quotes", `{"id":"1","opted_out":"true"}`, map[string]string{"id": "1", "opted_out": "true"}},
		{
			"text byte for byte", `{"id":1,"name":" A\/B\r\n\u00e9\ud83d\ude00 \"q\" \\ ","zip":2134}`,
			map[string]string{"id": "1", "name": " A/B\r\né😀 \"q\" \\ ", "zip": "2134"},
		},
		{
			"entities, once", `{"id":1,"name":"R&amp;D &lt;b&gt; &#39;x&#039; &quot;y&quot; &amp;lt; &eacute; a&b;c &unknown; &amp","colors":{"value":["a &amp; b"]}}`,
			map[string]string{"id": "1", "name": `R&D <b> 'x' "y" &lt; é a&b;c &unknown; &amp`, "colors": `["a & b"]`},
		},
		{"addresses", `{"id":1,"name":"https://x.example/?a=1&copy=2&lt=3"}`, map[string]string{"id": "1", "name": "https://x.example/?a=1&copy=2&lt=3"}},
		{"a control character from an entity", `{"id":1,"name":"a&#10;b&#x22;c"}`, map[string]string{"id": "1", "name": "a\nb\"c"}},
		{"the earlier of two", `{"id":1,"created_at":"2025-11-02 01:30:00"}`, map[string]string{"id": "1", "at": "2025-11-02T05:30:00Z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newRowBuilder(all4, true)
			if !b.append4(json.RawMessage(tt.row), z) {
				t.Fatalf("in quarantine: %+v", b.batch().Quarantined)
			}
			if d := cmp.Diff(tt.want, cellsOf(t, b)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
	b := newRowBuilder(all4, false)
	b.append4(json.RawMessage(`{"id":1,"name":"R&amp;D"}`), z)
	if got := cellsOf(t, b)["name"]; got != "R&amp;D" {
		t.Errorf("kept as it is: got %q", got)
	}
}

func TestRowsOfVersion5(t *testing.T) {
	cols := []martsync.Column{
		{Name: "id", Type: martsync.Int64, Origin: "id"},
		{Name: "sender_type", Type: martsync.String, Origin: "senderOptions.type"},
		{Name: "sender_user", Type: martsync.Int64, Origin: "senderOptions.userId"},
		{Name: "folder", Type: martsync.String, Origin: "campaign.folder.name"},
		{Name: "lists", Type: martsync.JSON, Origin: "recipientListIds"},
		{Name: "name", Type: martsync.String, Origin: "name"},
		{Name: "at", Type: martsync.Timestamp, Origin: "updatedAt"},
	}
	b := newRowBuilder(cols, false)
	if !b.append5(json.RawMessage(`{"id":3,"senderOptions":{"type":"user","userId":7,"other":1},"campaign":{"folder":{"name":"Uncategorized"}},"recipientListIds":[1, 2],"name":"","updatedAt":"2025-11-02T01:30:00-05:00"}`)) {
		t.Fatalf("in quarantine: %+v", b.batch().Quarantined)
	}
	want := map[string]string{
		"id": "3", "sender_type": "user", "sender_user": "7", "folder": "Uncategorized", "lists": "[1,2]", "name": "", "at": "2025-11-02T06:30:00Z",
	}
	if d := cmp.Diff(want, cellsOf(t, b)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	b.append5(json.RawMessage(`{"id":4,"senderOptions":null,"campaign":{"folder":[]},"senderOptions.userId":9}`))
	if d := cmp.Diff(map[string]string{"id": "4", "sender_user": "9"}, cellsOf(t, b)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestRowsInQuarantine(t *testing.T) {
	b := newRowBuilder(all4, true)
	b.from("/prospect", 400)
	z := &zone{loc: time.UTC}
	for _, row := range []string{`{"id":1}`, `{"id":2,"campaign":{"id":"x"}}`, `{"id":3`, `[4]`, "{\"id\":\"\xff\"}", `{"id":6}`} {
		b.append4(json.RawMessage(row), z)
	}
	b.markDeleted()
	batch := b.batch()
	if batch.Records.Len != 2 || !rows.Deleted(batch.Records, 1) || rows.Deleted(batch.Records, 0) {
		t.Errorf("got %d rows, deleted %v, want 2, the second deleted", batch.Records.Len, batch.Records.Deleted)
	}
	var got []string
	for _, q := range batch.Quarantined {
		if q.Job != "/prospect" || q.Reason == "" || !utf8.ValidString(q.Raw) {
			t.Errorf("quarantined: %+v", q)
		}
		got = append(got, strings.Join([]string{q.Column, q.Raw}, " "))
	}
	want := []string{`campaign_id {"id":2,"campaign":{"id":"x"}}`, ` {"id":3`, " [4]", "id {\"id\":\"\uFFFD\"}"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if first, last := batch.Quarantined[0].Line, batch.Quarantined[3].Line; first != 402 || last != 405 {
		t.Errorf("lines: got %d to %d, want 402 to 405", first, last)
	}

	long := []byte(`{"id":"` + strings.Repeat("é", martsync.MaxQuarantineRaw) + `"}`)
	b.refuse(long, "id", "long")
	if raw := b.batch().Quarantined[0].Raw; len(raw) > martsync.MaxQuarantineRaw || len(raw) < martsync.MaxQuarantineRaw-4 || !utf8.ValidString(raw) {
		t.Errorf("a long row: %d bytes, valid %v", len(raw), utf8.ValidString(raw))
	}
}

func TestBatchesAreBounded(t *testing.T) {
	b := newRowBuilder(all4, false)
	row, err := json.Marshal(map[string]any{"id": 1, "name": strings.Repeat("x", 3<<20)})
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{loc: time.UTC}
	n := 0
	for ; !b.full(row); n++ {
		b.append4(row, z)
	}
	if batch := b.batch(); n != 2 || batch.Records.Size() > martsync.MaxBytes {
		t.Errorf("got %d rows of %d bytes, want two and at most %d", n, batch.Records.Size(), martsync.MaxBytes)
	}
	if b.full(row) {
		t.Error("a batch that has been lent is full")
	}
	if b.append4(row, z); b.batch().Records.Len != 1 {
		t.Error("the row after a batch is not alone")
	}

	small := json.RawMessage(`{"id":1}`)
	b = newRowBuilder(all4[:1], false)
	for n = 0; !b.full(small); n++ {
		b.append5(small)
	}
	if n != martsync.MaxRows {
		t.Errorf("full after %d rows, want %d", n, martsync.MaxRows)
	}

	huge := append([]byte{'"'}, bytes.Repeat([]byte("x"), martsync.MaxQuarantineRaw)...)
	b = newRowBuilder(all4[:1], false)
	for n = 0; !b.full(huge); n++ {
		b.append5(huge)
	}
	if n < 10 || n > martsync.MaxBytes/martsync.MaxQuarantineRaw {
		t.Errorf("full after %d rows in quarantine, want some and at most %d MiB", n, martsync.MaxBytes>>20)
	}
}

func TestFaces(t *testing.T) {
	for row, want := range map[string]face{
		`{"id":5}`:                                 {id: 5},
		`{"id":"5","isDeleted":true}`:              {id: 5, deleted: true},
		`{"isDeleted":false,"id":4294967296}`:      {id: 1 << 32},
		`{"id":9223372036854775807,"isDeleted":1}`: {id: 1<<63 - 1, deleted: true},
		`{"id":9223372036854775808}`:               {},
		`{"id":-5}`:                                {},
		`{"id":1.5}`:                               {},
		`{"id":null}`:                              {},
		`{"name":"x"}`:                             {},
		`{"id":5`:                                  {},
		`[]`:                                       {},
	} {
		if got := faceOf(json.RawMessage(row)); got != want {
			t.Errorf("%s: got %+v, want %+v", row, got, want)
		}
	}
	for row, want := range map[string]string{`{"type":6}`: "6", `{"objectType":"form-handler"}`: "form-handler", `{"type":"Form Handler"}`: "form-handler", `{}`: ""} {
		if got := kindOf(json.RawMessage(row)); got != want {
			t.Errorf("kind of %s: got %q, want %q", row, got, want)
		}
	}
}

func FuzzAppend4(f *testing.F) {
	for _, row := range []string{
		`{"id":501,"name":"a &amp; b","campaign":{"id":101},"colors":{"value":["red"]},"created_at":"2025-11-02 01:30:00"}`,
		`{"id":1,"colors":{"value":"r&#39;d"},"prospects":{"prospect":{"id":5}}}`, `{"name":{},"zip":[],"value":""}`, `{"id":`, `[]`, ``,
		"{\"name\":\"\xff&lt;\\u0026gt;\\ud83d\"}",
	} {
		f.Add(row, true)
		f.Add(row, false)
	}
	z := &zone{loc: time.UTC}
	f.Fuzz(func(t *testing.T, row string, decode bool) {
		b := newRowBuilder(all4, decode)
		fits := b.append4(json.RawMessage(row), z)
		if fits && !json.Valid([]byte(row)) {
			t.Fatalf("%q is no JSON and has become a row", row)
		}
		batch := b.batch()
		if fits == (len(batch.Quarantined) > 0) || fits != (batch.Records != nil && batch.Records.Len == 1) {
			t.Fatalf("%q: %v, but %+v", row, fits, batch)
		}
		if !fits {
			return
		}
		if err := rows.Check(&martsync.Schema{Columns: all4}, batch.Records); err != nil {
			t.Fatalf("%q: %v", row, err)
		}
		var plain map[string]any
		if json.Unmarshal([]byte(row), &plain) != nil {
			return
		}
		// A name that is there as text arrives as that text.
		if name, ok := plain["name"].(string); ok && !decode && name != "" && strings.Count(row, "name") == 1 {
			if got := string(batch.Records.Columns[1].Bytes(0)); got != name {
				t.Fatalf("%q: name %q, want %q", row, got, name)
			}
		}
	})
}

func FuzzDecodeEntities(f *testing.F) {
	for _, text := range []string{"&amp;lt;", "a&b;c", "&#x1F600;", "&notit;", "&amp", "&;", "&#0;", "&CounterClockwiseContourIntegral;"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := string(decodeEntities([]byte(text)))
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("%q became %q", text, got)
		}
		if !strings.Contains(text, ";") && got != text {
			t.Fatalf("%q became %q without an entity", text, got)
		}
		// What was encoded is what comes back.
		if back := string(decodeEntities([]byte(html.EscapeString(text)))); back != text {
			t.Fatalf("%q came back as %q", text, back)
		}
	})
}
