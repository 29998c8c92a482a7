package files

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// fewTypes is a schema for looking at files.
func fewTypes() martsync.Schema {
	return martsync.Schema{Stream: "leads", Key: []string{"id"}, Deletes: true, Columns: []martsync.Column{
		{Name: "id", Type: martsync.Int64},
		{Name: "name", Type: martsync.String},
		{Name: "score", Type: martsync.Decimal, Precision: 6, Scale: 2},
		{Name: "ratio", Type: martsync.Float64},
		{Name: "at", Type: martsync.Timestamp},
		{Name: "extra", Type: martsync.JSON},
		{Name: "raw", Type: martsync.Binary},
	}}
}

func fewRows() *martsync.Records {
	b := rows.NewBuilder(fewTypes().Columns)
	b.Append(int64(1), "Ann, \"A\"", mustDecimal("1.50", 2), 0.25, rows.Time(someTime), rows.JSON("{\"a\":\r\n[1]}"), rows.Bytes("\x01\x02"))
	b.AppendDeleted(int64(2), "", nil, math.Inf(-1), rows.Micros(0), rows.JSON("null"), rows.Bytes(""))
	b.AppendTombstone(int64(3), nil, nil, nil, nil, nil, nil)
	return b.Records()
}

func TestCSVText(t *testing.T) {
	file, _ := encoded(t, fileFormat{Kind: csvFormat, Compression: noCompression}, fewTypes(), fewRows())
	want := "id,name,score,ratio,at,extra,raw,_synced_at,_deleted,_tombstone\r\n" +
		"1,\"Ann, \"\"A\"\"\",1.50,0.25,2026-02-03T04:05:06.789012Z,\"{\"\"a\"\":\r\n[1]}\",AQI=,2026-02-03T04:05:06.789012Z,false,false\r\n" +
		"2,\"\",,-Infinity,1970-01-01T00:00:00Z,null,\"\",2026-02-03T04:05:06.789012Z,true,false\r\n" +
		"3,,,,,,,2026-02-03T04:05:06.789012Z,true,true\r\n"
	if diff := cmp.Diff(want, string(file)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	fewer := fewTypes()
	fewer.Deletes = false
	none, _ := encoded(t, fileFormat{Kind: csvFormat, Compression: noCompression}, fewer)
	if want := "id,name,score,ratio,at,extra,raw,_synced_at\r\n"; string(none) != want {
		t.Errorf("without deletions: got %q, want %q", none, want)
	}
}

func TestNDJSONText(t *testing.T) {
	file, _ := encoded(t, fileFormat{Kind: ndjsonFormat, Compression: noCompression}, fewTypes(), fewRows())
	want := `{"id":1,"name":"Ann, \"A\"","score":"1.50","ratio":0.25,"at":"2026-02-03T04:05:06.789012Z","extra":{"a":  [1]},"raw":"AQI=","_synced_at":"2026-02-03T04:05:06.789012Z","_deleted":false}
{"id":2,"name":"","ratio":"-Infinity","at":"1970-01-01T00:00:00Z","extra":null,"raw":"","_synced_at":"2026-02-03T04:05:06.789012Z","_deleted":true}
{"id":3,"_synced_at":"2026-02-03T04:05:06.789012Z","_deleted":true,"_tombstone":true}
`
	if diff := cmp.Diff(want, string(file)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What others read in our files: the readers of the standard library.
func TestOthersReadTextFiles(t *testing.T) {
	s := everyType()
	r := extremes()
	file, _ := encoded(t, fileFormat{Kind: csvFormat, Compression: noCompression}, s, r)
	records, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != r.Len+1 {
		t.Fatalf("CSV: %d records, want a header and %d", len(records), r.Len)
	}
	column := s.Index("text")
	for i := range r.Len {
		// That reader makes LF of every CRLF, in fields too.
		want := strings.ReplaceAll(string(r.Columns[column].Bytes(i)), "\r\n", "\n")
		if got := records[i+1][column]; got != want {
			t.Errorf("CSV, row %d: got %.60q, want %.60q", i, got, want)
		}
	}
	file, _ = encoded(t, fileFormat{Kind: ndjsonFormat, Compression: noCompression}, s, r)
	for i, line := range bytes.Split(bytes.TrimSuffix(file, []byte("\n")), []byte("\n")) {
		var row struct {
			Number int64
			Text   string
			Wide   string
			Time   time.Time `json:"_synced_at"`
		}
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatalf("NDJSON, line %d: %v", i, err)
		}
		if got, want := row.Text, string(r.Columns[column].Bytes(i)); got != want && i != 3 {
			t.Errorf("NDJSON, row %d: got %.60q, want %.60q", i, got, want)
		}
		if want := r.Columns[s.Index("number")].Ints[i]; row.Number != want || !row.Time.Equal(someTime) {
			t.Errorf("NDJSON, row %d: got %d at %v, want %d at %v", i, row.Number, row.Time, want, someTime)
		}
	}
}

func TestBareFiles(t *testing.T) {
	s := fewTypes()
	b := rows.NewBuilder(s.Columns)
	for i := range 10 {
		cells := []any{int64(i), nil, nil, nil, nil, nil, nil}
		if i == 0 || i > 5 && i < 9 {
			b.AppendDeleted(cells...)
		} else {
			b.Append(cells...)
		}
	}
	bare := fileFormat{Kind: csvFormat, Compression: gzipCompression, Bare: true}
	file, f := encoded(t, bare, s, b.Records())
	if want := "0,6-8"; f.Deleted != want {
		t.Errorf("the format says that rows %q are deleted, want %q", f.Deleted, want)
	}
	if diff := cmp.Diff(listed(s, b.Records()), decoded(t, file, f, s)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	bare.Compression = noCompression
	file, _ = encoded(t, bare, s, b.Records())
	if want := "id,name,score,ratio,at,extra,raw\r\n0,,,,,,\r\n"; !strings.HasPrefix(string(file), want) {
		t.Errorf("got %.80q, want it to begin %q", file, want)
	}
	e, err := newEncoder(io.Discard, bare, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Write(fewRows(), someTime); martsync.KindOf(err) != martsync.Config || err == nil {
		t.Errorf("a tombstone: got %v, want an error of kind config", err)
	}
	if err := e.Close(); err == nil {
		t.Error("a file that failed can be closed as if nothing had been")
	}
	if _, err := newEncoder(io.Discard, fileFormat{Kind: ndjsonFormat, Compression: noCompression, Bare: true}, s, nil); err == nil {
		t.Error("a bare NDJSON file: no error")
	}
}

func TestMarks(t *testing.T) {
	var m marks
	marked := map[int64]bool{}
	for _, row := range []int64{0, 1, 2, 7, 9, 10, 100} {
		m.add(row)
		marked[row] = true
	}
	if want := "0-2,7,9-10,100"; m.String() != want {
		t.Errorf("got %s, want %s", m.String(), want)
	}
	back, err := parseMarks(m.String())
	if err != nil {
		t.Fatal(err)
	}
	for row := range int64(120) {
		if got := back.take(row); got != marked[row] {
			t.Errorf("row %d: got %v", row, got)
		}
	}
	for _, bad := range []string{",", "a", "3-1", "5,4", "1-2,2", "-1", "1-"} {
		if _, err := parseMarks(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// limitedWriter takes n bytes.
type limitedWriter struct {
	n   int
	err error
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	if l.n -= len(b); l.n < 0 {
		return 0, l.err
	}
	return len(b), nil
}

func TestErrorsOfTheStoreStayTheirs(t *testing.T) {
	full := &martsync.Error{Kind: martsync.Config, Op: "write", Err: errors.New("disk full")}
	s := everyType()
	for _, f := range allFormats() {
		for _, room := range []int{0, 10, 500} {
			err := func() error {
				e, err := newEncoder(&limitedWriter{room, full}, f, s, nil)
				if err != nil {
					return err
				}
				for range 3 {
					if err := e.Write(extremes(), someTime); err != nil {
						return err
					}
				}
				return e.Close()
			}()
			if !errors.Is(err, full) || martsync.KindOf(err) != martsync.Config {
				t.Errorf("%v with room for %d bytes: got %v, want %v", f, room, err, full)
			}
		}
		file, format := encoded(t, f, s, extremes())
		down := &martsync.Error{Kind: martsync.Transient, Op: "read", Err: errors.New("the store is down")}
		for _, good := range []int64{0, 8, int64(len(file)) / 2} {
			var err error
			for _, err = range decode(t.Context(), &unreliable{bytes.NewReader(file), good, down}, int64(len(file)), format, s) {
				if err != nil {
					break
				}
			}
			if !errors.Is(err, down) || martsync.KindOf(err) != martsync.Transient {
				t.Errorf("%v, reading fails after %d bytes: got %v, want %v", f, good, err, down)
			}
		}
	}
}

// unreliable fails where a read goes beyond the first bytes.
type unreliable struct {
	io.ReaderAt
	good int64
	err  error
}

func (u *unreliable) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > u.good {
		return 0, u.err
	}
	return u.ReaderAt.ReadAt(b, off)
}

func TestDamagedFiles(t *testing.T) {
	s := fewTypes()
	header := "id,name,score,ratio,at,extra,raw,_synced_at,_deleted,_tombstone\r\n"
	tests := []struct {
		name string
		kind formatKind
		text string
		want string // in the error
	}{
		{"no header", csvFormat, "", "there is no header"},
		{"no line end", csvFormat, header + "1,,,,,,,x,false,false", "record 2: unexpected EOF"},
		{"a field less", csvFormat, header + "1,,,,,,,x,false\r\n", "record 2: 9 fields instead of 10"},
		{"open quote", csvFormat, header + "1,\"a,,,,,,x,false,false\r\n", "unexpected EOF"},
		{"quote inside", csvFormat, header + "1,a\"\",,,,,,x,false,false\r\n", "a quote stands where none belongs"},
		{"text after quote", csvFormat, header + "1,\"a\"b,,,,,,x,false,false\r\n", "a quote stands where none belongs"},
		{"no integer", csvFormat, header + "one,,,,,,,x,false,false\r\n", "column id is not of type int64"},
		{"empty integer", csvFormat, header + "\"\",,,,,,,x,false,false\r\n", "column id is not of type int64"},
		{"too many digits", csvFormat, header + "1,,12345.00,,,,,x,false,false\r\n", "column score is not of type decimal(6,2)"},
		{"no time", csvFormat, header + "1,,,,2026-02-30T00:00:00Z,,,x,false,false\r\n", "column at is not of type timestamp"},
		{"empty time", csvFormat, header + "1,,,,\"\",,,x,false,false\r\n", "column at is not of type timestamp"},
		{"no base64", csvFormat, header + "1,,,,,,AQI,x,false,false\r\n", "column raw is not of type binary"},
		{"twice", csvFormat, "id,id\r\n1,1\r\n", "column id occurs twice"},
		{"no JSON", ndjsonFormat, "{\"id\":1}\n{\"id\":\n", "record 2: not valid JSON"},
		{"no object", ndjsonFormat, "[1]\n", "record 1: not a JSON object"},
		{"cut", ndjsonFormat, "{\"id\":1}\n{\"id\":2}", "record 2: unexpected EOF"},
		{"nested", ndjsonFormat, "{\"id\":[1]}\n", "column id is not a single value"},
		{"fraction", ndjsonFormat, "{\"id\":1.5}\n", "column id is not of type int64"},
		{"twice", ndjsonFormat, "{\"id\":1,\"id\":1}\n", "column id occurs twice"},
	}
	for _, test := range tests {
		f := fileFormat{Kind: test.kind, Compression: noCompression}
		var got error
		for _, err := range decode(t.Context(), strings.NewReader(test.text), int64(len(test.text)), f, s) {
			got = err
		}
		if got == nil || !strings.Contains(got.Error(), test.want) || martsync.KindOf(got) != martsync.Data || martsync.HintOf(got) == "" {
			t.Errorf("%s, %s: got %v, want an error of kind data with %q", test.kind, test.name, got, test.want)
		}
	}
}

// A file that was cut short or changed is never read as if it were whole, as long as something
// in it can tell: CSV and NDJSON that are not compressed have nothing.
func TestCutFiles(t *testing.T) {
	s := everyType()
	for _, f := range allFormats() {
		if f.Kind != parquetFormat && f.Compression == noCompression {
			continue
		}
		file, format := encoded(t, f, s, extremes())
		read := func(b []byte) (err error) {
			for _, err = range decode(t.Context(), bytes.NewReader(b), int64(len(b)), format, s) {
				if err != nil {
					return err
				}
			}
			return nil
		}
		for _, n := range []int{0, 1, 7, 20, len(file) / 2, len(file) - 9, len(file) - 1} {
			if err := read(file[:n]); martsync.KindOf(err) != martsync.Data || err == nil {
				t.Errorf("%v: %d of %d bytes: got %v, want an error of kind data", f, n, len(file), err)
			}
		}
		for _, at := range []int{len(file) / 3, len(file) / 2} {
			bad := bytes.Clone(file)
			bad[at] ^= 0x10
			if err := read(bad); martsync.KindOf(err) != martsync.Data || err == nil {
				t.Errorf("%v: byte %d changed: got %v, want an error of kind data", f, at, err)
			}
		}
	}
}

func TestStopping(t *testing.T) {
	s := everyType()
	for _, f := range allFormats() {
		file, format := encoded(t, f, s, extremes())
		for range decode(t.Context(), bytes.NewReader(file), int64(len(file)), format, s) {
			break // must not panic, nor leak, nor yield again
		}
	}
}

func FuzzDecodeCSV(f *testing.F) { fuzzDecode(f, csvFormat) }

func FuzzDecodeNDJSON(f *testing.F) { fuzzDecode(f, ndjsonFormat) }

// fuzzDecode decodes anything: no panic, records that are well formed, and what was read
// survives a second time.
func fuzzDecode(f *testing.F, kind formatKind) {
	format := fileFormat{Kind: kind, Compression: noCompression}
	for _, r := range []*martsync.Records{fewRows(), slice(fewRows(), 0, 1), slice(fewRows(), 0, 0)} {
		file, _ := encoded(f, format, fewTypes(), r)
		f.Add(file)
	}
	f.Add([]byte("id,\"a\"\"b\"\r\n\"1\",\"\"\r\n"))
	f.Add([]byte(`{"id":1,"extra":{"a":[]},"name":"\u0041"}` + "\n"))
	s := fewTypes()
	f.Fuzz(func(t *testing.T, file []byte) {
		read := func(file []byte) (out []string, again []byte, failed bool) {
			var b bytes.Buffer
			e, err := newEncoder(&b, format, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			for r, err := range decode(t.Context(), bytes.NewReader(file), int64(len(file)), format, s) {
				if err != nil {
					return nil, nil, true
				}
				if err := e.Write(r, someTime); err != nil {
					return nil, nil, true // text that is not UTF-8 or not JSON
				}
				// A tombstone loses here what it should not have had.
				for i := range r.Len {
					if !rows.Tombstone(r, i) {
						out = append(out, listed(s, slice(r, i, i+1))...)
					}
				}
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			return out, b.Bytes(), false
		}
		first, again, failed := read(file)
		if failed {
			return
		}
		second, _, failed := read(again)
		if failed {
			t.Fatalf("%q cannot be read", again)
		}
		if kind == ndjsonFormat { // line ends within JSON become spaces
			for i := range first {
				first[i] = strings.NewReplacer(`\r`, " ", `\n`, " ").Replace(first[i])
				second[i] = strings.NewReplacer(`\r`, " ", `\n`, " ").Replace(second[i])
			}
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("-first +second\n%s", diff)
		}
	})
}

// Fields are quoted where some reader would otherwise read something else.
func TestFieldQuotes(t *testing.T) {
	for text, want := range map[string]string{
		"": `""`, "plain": "plain", "a,b": `"a,b"`, "a\rb": "\"a\rb\"", "a\nb": "\"a\nb\"", `a"b`: `"a""b"`, `"`: `""""`, `""`: `""""""`,
		" a": `" a"`, "a ": `"a "`, "\ta": "\"\ta\"", "a\t": "\"a\t\"", "a b": "a b", `\.`: `"\."`, `\N`: `\N`, "null": "null",
	} {
		if got := string(appendField(nil, []byte(text))); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
