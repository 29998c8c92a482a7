package files

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/rows"
)

// allFormats are the formats that hold all there is to a row, in every compression.
func allFormats() (all []fileFormat) {
	for _, kind := range []formatKind{parquetFormat, csvFormat, ndjsonFormat} {
		for _, c := range []compression{noCompression, gzipCompression, zstdCompression} {
			all = append(all, fileFormat{Kind: kind, Compression: c})
		}
	}
	return all
}

func (f fileFormat) String() string { return f.extension() + " " + string(f.Compression) }

var someTime = time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC)

// everyType has a key and a column of each type.
func everyType() martsync.Schema {
	s := martsync.Schema{Stream: "things", Key: []string{"id"}, Version: "changed", Deletes: true, Columns: []martsync.Column{
		{Name: "id", Type: martsync.Int64},
		{Name: "changed", Type: martsync.Timestamp},
		{Name: "flag", Type: martsync.Bool},
		{Name: "number", Type: martsync.Int64},
		{Name: "double", Type: martsync.Float64},
		{Name: "word", Type: martsync.Decimal, Precision: 18, Scale: 18},
		{Name: "wide", Type: martsync.Decimal, Precision: 38, Scale: 6},
		{Name: "text", Type: martsync.String},
		{Name: "bytes", Type: martsync.Binary},
		{Name: "day", Type: martsync.Date},
		{Name: "moment", Type: martsync.Timestamp},
		{Name: `odd, "name"`, Type: martsync.JSON},
	}}
	return s
}

func mustDecimal(text string, scale int) rows.Decimal {
	d, err := rows.ParseDecimal(text, scale)
	if err != nil {
		panic(err)
	}
	return d
}

// extremes are values of every type that are hard to keep.
func extremes() *martsync.Records {
	b := rows.NewBuilder(everyType().Columns)
	nines := strings.Repeat("9", 32) + ".999999"
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for i, row := range [][]any{
		{true, int64(math.MaxInt64), math.MaxFloat64, "0." + strings.Repeat("9", 18), nines, "", "", int32(math.MaxInt32), int64(math.MaxInt64), `null`},
		{false, int64(math.MinInt64), -math.MaxFloat64, "-0." + strings.Repeat("9", 18), "-" + nines, `"`, "\x00", int32(math.MinInt32), int64(math.MinInt64), `{}`},
		{nil, int64(1<<53 + 1), math.SmallestNonzeroFloat64, "0.000000000000000001", "0.000001", "a,b\r\nc\rd\n", string(all), int32(0), int64(0), `""`},
		{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
		{true, int64(0), math.Copysign(0, -1), "0", "0", " leading and trailing\t", "x", int32(-1), int64(-1), `{"a":[1, 2.50, {"b":null}],"ü":"🙂 \" \\ \n \u00e9"}`},
		{true, int64(-1), math.Inf(1), "0", "18446744073709551616", "a\x00b\u0001\u007f\u2028\ufeff\ufffd\U0010ffff", "\xff\xfe", int32(-719_528), int64(-62_167_219_200_000_000), `12345678901234567890123.1e5`},
		{true, int64(-1), math.Inf(-1), "0", "0", `\.`, `\N`, int32(-719_529), int64(-62_167_219_200_000_001), `[ ]`},
		{true, int64(-1), 1e21, "0", "0", "null", "null", int32(2_932_896), int64(253_402_300_799_999_999), `true`},
		{true, int64(-1), 1e-7, "0", "0", `{"_deleted":true}` + "\n" + `"quoted ""twice"""`, "", int32(2_932_897), int64(253_402_300_800_000_000), `"\ud800"`},
		{true, int64(-1), 0.1, "0", "0", strings.Repeat("長い🙂\n\"", 20_000), strings.Repeat("\xff\x00", 1<<16), int32(1), int64(1), `"` + strings.Repeat("x", 300_000) + `"`},
	} {
		cells := make([]any, len(row))
		copy(cells, row)
		for k, c := range everyType().Columns[2:] {
			switch {
			case row[k] == nil:
			case c.Type == martsync.Decimal:
				cells[k] = mustDecimal(row[k].(string), c.Scale)
			case c.Type == martsync.Binary:
				cells[k] = rows.Bytes(row[k].(string))
			case c.Type == martsync.Date:
				cells[k] = rows.Date(row[k].(int32))
			case c.Type == martsync.Timestamp:
				cells[k] = rows.Micros(row[k].(int64))
			case c.Type == martsync.JSON:
				cells[k] = rows.JSON(row[k].(string))
			}
		}
		id, changed := any(int64(i)), any(rows.Time(someTime))
		switch {
		case i == 3:
			b.AppendTombstone(append([]any{id, changed}, cells...)...)
		case i%4 == 1:
			b.AppendDeleted(append([]any{id, changed}, cells...)...)
		default:
			b.Append(append([]any{id, changed}, cells...)...)
		}
	}
	return b.Records()
}

// listed is records as rows of text, with their flags.
func listed(s martsync.Schema, batches ...*martsync.Records) (out []string) {
	for _, r := range batches {
		for i := range r.Len {
			var b strings.Builder
			fmt.Fprintf(&b, "deleted=%v tombstone=%v", rows.Deleted(r, i), rows.Tombstone(r, i))
			for k, c := range s.Columns {
				text := "null"
				if !r.Columns[k].Null(i) {
					text = fmt.Sprintf("%q", columns.Format(c, &r.Columns[k], i))
				}
				if len(text) > 200 {
					text = fmt.Sprintf("%.200s… %d %x", text, len(text), fold(text))
				}
				fmt.Fprintf(&b, "\n  %s=%s", c.Name, text)
			}
			out = append(out, b.String())
		}
	}
	return out
}

func fold(s string) (h uint64) {
	for i := range len(s) {
		h = h*1_099_511_628_211 + uint64(s[i])
	}
	return h
}

type tester interface {
	Context() context.Context
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func encoded(t tester, f fileFormat, s martsync.Schema, batches ...*martsync.Records) ([]byte, fileFormat) {
	t.Helper()
	var b bytes.Buffer
	e, err := newEncoder(&b, f, s, [][2]string{{"stream", s.Stream}})
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, r := range batches {
		if err := e.Write(r, someTime); err != nil {
			t.Fatal(err)
		}
		n += int64(r.Len)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e.Rows() != n {
		t.Fatalf("Rows: got %d, want %d", e.Rows(), n)
	}
	if e.Size() != int64(b.Len()) {
		t.Fatalf("Size after Close: got %d, want %d", e.Size(), b.Len())
	}
	return b.Bytes(), e.Format()
}

func decoded(t tester, file []byte, f fileFormat, s martsync.Schema) (out []string) {
	t.Helper()
	for r, err := range decode(t.Context(), bytes.NewReader(file), int64(len(file)), f, s) {
		if err != nil {
			t.Fatal(err)
		}
		if err := rows.Check(&s, r); err != nil {
			t.Fatalf("decoded records: %v", err)
		}
		out = append(out, listed(s, r)...)
	}
	return out
}

func TestExtremesSurviveEachFormat(t *testing.T) {
	s, want := everyType(), listed(everyType(), extremes())
	for _, f := range allFormats() {
		t.Run(f.String(), func(t *testing.T) {
			file, format := encoded(t, f, s, extremes())
			if diff := cmp.Diff(want, decoded(t, file, format, s)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			again, _ := encoded(t, f, s, extremes())
			if !bytes.Equal(file, again) {
				t.Error("the same rows give other bytes")
			}
		})
	}
}

func TestManyBatchesSurviveEachFormat(t *testing.T) {
	s := everyType()
	s.Deletes = false
	b := rows.NewBuilder(s.Columns)
	var batches []*martsync.Records
	for i := range 25_000 {
		text := any(fmt.Sprintf("text %d, with \"quotes\"", i%1000))
		if i%7 == 0 {
			text = nil
		}
		b.Append(int64(i), rows.Micros(i), i%2 == 0, int64(i)*1e15, float64(i)/8, mustDecimal("0.5", 18), mustDecimal("-0.25", 6), text,
			rows.Bytes("b"), rows.Date(i), rows.Micros(-i), rows.JSON(`{"i":1}`))
		if b.Len() == martsync.MaxRows || i == 24_999 {
			batches = append(batches, b.Records())
			b.Reset()
		}
	}
	want := listed(s, batches...)
	for _, f := range allFormats() {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			file, format := encoded(t, f, s, batches...)
			got := decoded(t, file, format, s)
			if len(got) != len(want) {
				t.Fatalf("%d rows, want %d", len(got), len(want))
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("row %d: got %s, want %s", i, got[i], want[i])
				}
			}
		})
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, f := range allFormats() {
		file, format := encoded(t, f, everyType())
		if got := decoded(t, file, format, everyType()); len(got) != 0 {
			t.Errorf("%v: %d rows of a file of none", f, len(got))
		}
	}
}

func TestLaterSchemasReadEarlierFiles(t *testing.T) {
	later := everyType()
	later.Columns = append([]martsync.Column{{Name: "new", Type: martsync.String}}, later.Columns[:7]...)
	var want []string
	for r := extremes(); ; {
		r.Columns = append([]martsync.Vector{{Type: martsync.String, Nulls: trues(r.Len), Offsets: make([]int32, r.Len+1)}}, r.Columns[:7]...)
		want = listed(later, r)
		break
	}
	for _, f := range allFormats() {
		file, format := encoded(t, f, everyType(), extremes())
		if diff := cmp.Diff(want, decoded(t, file, format, later)); diff != "" {
			t.Errorf("%v: -want +got\n%s", f, diff)
		}
	}
}

func trues(n int) []bool {
	all := make([]bool, n)
	for i := range all {
		all[i] = true
	}
	return all
}

// Tombstones keep key and version; whatever else their rows hold is not stored.
func TestTombstonesLoseTheRest(t *testing.T) {
	s := everyType()
	full := func() *martsync.Records {
		r := extremes()
		r = slice(r, 0, 3)
		r.Tombstone, r.Deleted = []bool{false, true, false}, nil
		return r
	}
	want := listed(s, full())
	for i, c := range s.Columns {
		if i > 1 {
			line := fmt.Sprintf("\n  %s=", c.Name)
			at := strings.Index(want[1], line) + len(line)
			end := strings.IndexByte(want[1][at:], '\n')
			if end < 0 {
				end = len(want[1]) - at
			}
			want[1] = want[1][:at] + "null" + want[1][at+end:]
		}
	}
	for _, f := range allFormats() {
		r := full()
		file, format := encoded(t, f, s, r)
		if diff := cmp.Diff(want, decoded(t, file, format, s)); diff != "" {
			t.Errorf("%v: -want +got\n%s", f, diff)
		}
		if diff := cmp.Diff(listed(s, full()), listed(s, r)); diff != "" {
			t.Errorf("%v changed the records that it was lent:\n%s", f, diff)
		}
	}
}

// Any text at all survives as text, as bytes and within JSON.
func TestAnyTextSurvives(t *testing.T) {
	s := martsync.Schema{Stream: "texts", Columns: []martsync.Column{
		{Name: "text", Type: martsync.String},
		{Name: "bytes", Type: martsync.Binary},
		{Name: "json", Type: martsync.JSON},
		{Name: "double", Type: martsync.Float64},
		{Name: "time", Type: martsync.Timestamp},
		{Name: "day", Type: martsync.Date},
		{Name: "decimal", Type: martsync.Decimal, Precision: 38, Scale: 20},
	}}
	text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("\",\r\n \t\\.ax\x00é"))))
	rapid.Check(t, func(t *rapid.T) {
		b := rows.NewBuilder(s.Columns)
		for range rapid.IntRange(0, 5).Draw(t, "rows") {
			cells := []any{
				text.Draw(t, "text"), rows.Bytes(text.Draw(t, "bytes")),
				rows.JSON(appendJSONString(nil, []byte(text.Draw(t, "json")))), rapid.Float64().Draw(t, "double"),
				rows.Micros(rapid.Int64().Draw(t, "time")), rows.Date(rapid.Int32().Draw(t, "day")),
				rows.Decimal{Int: martsync.Int128{Hi: rapid.Int64Range(-1<<62, 1<<62).Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}, Scale: 20},
			}
			if d := cells[6].(rows.Decimal); len(strings.Trim(d.Big().String(), "-")) > 38 {
				cells[6] = nil
			}
			for i := range cells {
				if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
					cells[i] = nil
				}
			}
			b.Append(cells...)
		}
		f := rapid.SampledFrom(allFormats()).Draw(t, "format")
		file, format := encoded(t, f, s, b.Records())
		if diff := cmp.Diff(listed(s, b.Records()), decoded(t, file, format, s)); diff != "" {
			t.Fatalf("%v: -want +got\n%s", f, diff)
		}
	})
}

func TestNaNSurvives(t *testing.T) {
	s := martsync.Schema{Stream: "numbers", Columns: []martsync.Column{{Name: "x", Type: martsync.Float64}}}
	for _, f := range allFormats() {
		file, format := encoded(t, f, s, &martsync.Records{Len: 1, Columns: []martsync.Vector{{Type: martsync.Float64, Floats: []float64{math.NaN()}}}})
		for r, err := range decode(t.Context(), bytes.NewReader(file), int64(len(file)), format, s) {
			if err != nil || !math.IsNaN(r.Columns[0].Floats[0]) {
				t.Errorf("%v: got %v, %v", f, r, err)
			}
		}
	}
}

func TestColumnsOfOurNamesAreRefused(t *testing.T) {
	for _, name := range []string{martsync.SyncedAt, martsync.Deleted} {
		s := martsync.Schema{Stream: "x", Columns: []martsync.Column{{Name: name, Type: martsync.Bool}}}
		for _, f := range allFormats() {
			if _, err := newEncoder(io.Discard, f, s, nil); martsync.KindOf(err) != martsync.Data || err == nil {
				t.Errorf("%v: column %s: got %v, want an error of kind data", f, name, err)
			}
		}
	}
}

func TestParseFormat(t *testing.T) {
	tests := []struct{ kind, method, extension, content, err, hint string }{
		{"", "", "parquet", "application/vnd.apache.parquet", "", ""},
		{"parquet", "gzip", "parquet", "application/vnd.apache.parquet", "", ""},
		{"csv", "", "csv", "text/csv; charset=utf-8", "", ""},
		{"csv", "gzip", "csv.gz", "application/gzip", "", ""},
		{"ndjson", "zstd", "ndjson.zst", "application/zstd", "", ""},
		{"ndjson", "none", "ndjson", "application/x-ndjson", "", ""},
		{"parket", "", "", "", `no format is named "parket"`, `Did you mean "parquet"?`},
		{"xml", "", "", "", `no format is named "xml"`, "Use one of parquet, csv, ndjson."},
		{"csv", "gz", "", "", `no compression is named "gz"`, `Did you mean "gzip"?`},
	}
	for _, test := range tests {
		f, err := parseFormat(test.kind, test.method)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) || martsync.HintOf(err) != test.hint || martsync.KindOf(err) != martsync.Config {
				t.Errorf("%s %s: got %v (%s), want %s (%s)", test.kind, test.method, err, martsync.HintOf(err), test.err, test.hint)
			}
			continue
		}
		if err != nil || f.extension() != test.extension || f.contentType() != test.content {
			t.Errorf("%s %s: got %s, %s, %v, want %s, %s", test.kind, test.method, f.extension(), f.contentType(), err, test.extension, test.content)
		}
	}
}

// Long rows make batches of few rows, though the file is a small one.
func TestBatchesAreBounded(t *testing.T) {
	const size, count = 256 << 10, 200
	s := martsync.Schema{Stream: "x", Columns: []martsync.Column{{Name: "text", Type: martsync.String}}}
	b := rows.NewBuilder(s.Columns)
	for range 20 {
		b.Append(strings.Repeat("x", size))
	}
	var batches []*martsync.Records
	for range count / 20 {
		batches = append(batches, b.Records())
	}
	for _, f := range allFormats() {
		if f.Compression != zstdCompression {
			continue
		}
		file, format := encoded(t, f, s, batches...)
		got := 0
		for r, err := range decode(t.Context(), bytes.NewReader(file), int64(len(file)), format, s) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Size() > martsync.MaxBytes+size+1024 {
				t.Errorf("%v: a batch of %d bytes", f, r.Size())
			}
			got += r.Len
		}
		if got != count {
			t.Errorf("%v: %d rows, want %d", f, got, count)
		}
	}
}

func benchmarkRows() (martsync.Schema, *martsync.Records) {
	s := everyType()
	s.Deletes = false
	b := rows.NewBuilder(s.Columns)
	for i := range martsync.MaxRows {
		b.Append(int64(i), rows.Micros(i*1e9), i%2 == 0, int64(i)*12345, float64(i)/8, mustDecimal("0.5", 18), mustDecimal("-0.25", 6),
			fmt.Sprintf("text %d of some length", i*7919%10007), rows.Bytes("bytes"), rows.Date(i), rows.Micros(i*1e6), rows.JSON(`{"name":"value","n":1}`))
	}
	return s, b.Records()
}

func BenchmarkEncode(b *testing.B) {
	s, r := benchmarkRows()
	for _, f := range allFormats() {
		b.Run(strings.ReplaceAll(f.String(), " ", "/"), func(b *testing.B) {
			e, err := newEncoder(io.Discard, f, s, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(r.Size()))
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Write(r, someTime); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	s, r := benchmarkRows()
	for _, f := range allFormats() {
		b.Run(strings.ReplaceAll(f.String(), " ", "/"), func(b *testing.B) {
			file, format := encoded(b, f, s, r, r, r, r)
			b.SetBytes(4 * int64(r.Size()))
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range decode(b.Context(), bytes.NewReader(file), int64(len(file)), format, s) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
