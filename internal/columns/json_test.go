package columns

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

func TestAppendJSON(t *testing.T) {
	tests := []struct {
		name, object string
		want         []any
	}{
		{
			"typed", `{"id":1,"email":"a\n\"b\"","OK":false,"score":2,"amount":-1.5,"born":"2026-03-02","updatedAt":"2026-03-02T08:15:04Z+0000","attributes":{"a":[1, 2]},"blob":"é"}`,
			[]any{
				int64(1), "a\n\"b\"", false, 2.0, "-1.50", time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
				time.Date(2026, 3, 2, 8, 15, 4, 0, time.UTC), json.RawMessage(`{"a":[1,2]}`), []byte("é"),
			},
		},
		{"nothing", `{}`, []any{nil, nil, nil, nil, nil, nil, nil, nil, nil}},
		{
			"nulls and strangers", `{"id":null,"x":{"id":9},"email":null,"attributes":null}`,
			[]any{nil, nil, nil, nil, nil, nil, nil, nil, nil},
		},
		{
			"numbers in strings, any order", ` { "score" : "1e3", "id" : "10.0" , "amount":"7", "OK":"1" }`,
			[]any{int64(10), nil, true, 1000.0, "7.00", nil, nil, nil, nil},
		},
		{
			"text of other kinds", `{"email":[1, {"b" : "c d"}],"attributes":"a b","id":1e2}`,
			[]any{int64(100), `[1,{"b":"c d"}]`, nil, nil, nil, nil, nil, json.RawMessage(`"a b"`), nil},
		},
		{
			"numbers keep their digits", `{"email":1.50,"attributes":12345678901234567890.10}`,
			[]any{nil, "1.50", nil, nil, nil, nil, nil, json.RawMessage("12345678901234567890.10"), nil},
		},
		{
			"empty strings", `{"id":"","email":"","born":"","attributes":""}`,
			[]any{nil, "", nil, nil, nil, nil, nil, json.RawMessage(`""`), nil},
		},
		{"the last of two counts", `{"id":1,"id":2,"email":"x","email":null}`, []any{int64(2), nil, nil, nil, nil, nil, nil, nil, nil}},
		{"escaped key", `{"\u0069d":5}`, []any{int64(5), nil, nil, nil, nil, nil, nil, nil, nil}},
		{"names are not origins", `{"updated_at":"2026-01-01","ok":true}`, []any{nil, nil, nil, nil, nil, nil, nil, nil, nil}},
	}
	b := NewBuilder(all)
	for _, tt := range tests {
		b.Reset()
		if err := b.AppendJSON([]byte(tt.object)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		checkShape(t, all, b.Records())
		if d := cmp.Diff(tt.want, rows(all, b.Records())[0]); d != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, d)
		}
	}
}

func TestAppendJSONMisfits(t *testing.T) {
	tests := []struct{ object, column string }{
		{`{"email":"x","id":true}`, "id"},
		{`{"email":"x","id":[1]}`, "id"},
		{`{"email":"x","id":1.5}`, "id"},
		{`{"email":"x","OK":{}}`, "ok"},
		{`{"email":"x","OK":2}`, "ok"},
		{`{"email":"x","updatedAt":1772439304}`, "updated_at"},
		{`{"email":"x","amount":1e-3}`, "amount"},
		{`{"email":"x","id":1`, ""},
		{`[{"id":1}]`, ""},
		{`null`, ""},
		{``, ""},
	}
	b := NewBuilder(all)
	for _, tt := range tests {
		err := b.AppendJSON([]byte(tt.object))
		var got *CellError
		if !errors.As(err, &got) || got.Column != tt.column || got.Reason == "" {
			t.Errorf("AppendJSON(%s): error %v, want one for column %q", tt.object, err, tt.column)
		}
		checkShape(t, all, b.Records())
		if b.Len() != 0 {
			t.Fatalf("AppendJSON(%s) left a row", tt.object)
		}
	}
}

// FuzzAppend looks for panics and for rows that break the shape of the batch.
func FuzzAppend(f *testing.F) {
	f.Add([]byte(`{"id":1,"email":"x","OK":true,"score":1,"amount":1,"born":"2026-01-01","updatedAt":"2026-01-01T00:00:00.5+0100","attributes":{"\ud800":1},"blob":""}`))
	f.Add([]byte(`{"attributes":"\u00"}`))
	f.Add([]byte("1\x002\x003.5\x004\x00\x00\x00"))
	b := NewBuilder(all)
	f.Fuzz(func(t *testing.T, text []byte) {
		b.Reset()
		good := 0
		if b.AppendJSON(text) == nil {
			good++
		}
		for i := range all {
			row := make([][]byte, len(all))
			row[i] = text
			if b.AppendCells(row) == nil {
				good++
			}
		}
		r := b.Records()
		checkShape(t, all, r)
		if r.Len != good {
			t.Fatalf("%d rows, want %d", r.Len, good)
		}
		for i := range r.Len {
			for c := range all {
				v := &r.Columns[c]
				if v.Null(i) {
					continue
				}
				if all[c].Type == martsync.JSON && !json.Valid(v.Bytes(i)) {
					t.Fatalf("JSON column holds %q", v.Bytes(i))
				}
				if all[c].Type == martsync.Binary {
					continue
				}
				// The canonical text of a value reads back as the value.
				one := NewBuilder(all[c : c+1])
				text := Format(all[c], v, i)
				if err := one.AppendCells([][]byte{[]byte(text)}); err != nil {
					t.Fatalf("%s: %q, which was read, does not read back: %v", all[c].Name, text, err)
				}
				if got := Format(all[c], &one.Records().Columns[0], 0); got != text {
					t.Fatalf("%s: %q reads back as %q", all[c].Name, text, got)
				}
			}
		}
	})
}
