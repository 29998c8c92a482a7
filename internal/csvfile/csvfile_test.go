package csvfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small makes blocks so small that every test meets their borders.
var small = limits{block: 48, record: 200}

var leads = []martsync.Column{
	{Name: "id", Type: martsync.Int64, Origin: "id"},
	{Name: "name", Type: martsync.String, Origin: "name"},
	{Name: "attributes", Type: martsync.JSON, Origin: "attributes"},
}

// outcome is everything that Read yields, with chunks joined.
type outcome struct {
	Rows        []string // "id|name|attributes"; null as ␀
	Quarantined []martsync.Quarantined
	Count       int64
	Replaced    int64
	Err         string
}

// piecewise is the same chunk by chunk.
type piecewise struct {
	Chunks  []outcome
	Offsets []int64
}

type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

func collect(t tb, r io.Reader, o Options, l limits) (outcome, piecewise) {
	t.Helper()
	var all outcome
	var parts piecewise
	var given, raw bytes.Buffer
	if o.Raw {
		r = io.TeeReader(r, &given)
	}
	for chunk, err := range read(context.Background(), r, o, l) {
		if err != nil {
			all.Err = err.Error()
			break
		}
		if !o.Raw && chunk.Raw != nil {
			t.Fatalf("%d bytes as they came, and nobody asked for them", len(chunk.Raw))
		}
		if len(chunk.Raw) > 8*max(l.block, l.record) {
			t.Fatalf("a chunk has %d bytes, with blocks of %d and records of %d", len(chunk.Raw), l.block, l.record)
		}
		raw.Write(chunk.Raw)
		if o.Raw && chunk.Rows > 0 && int64(raw.Len()) != chunk.Offset {
			t.Fatalf("%d bytes up to offset %d", raw.Len(), chunk.Offset)
		}
		for i := range chunk.Raw {
			chunk.Raw[i] = 0xFF // they are the caller's
		}
		if o.Raw && chunk.Rows == 0 && len(chunk.Raw) > 0 && chunk.Records.Len == 0 && len(chunk.Quarantined) == 0 {
			continue
		}
		var one outcome
		for i := range chunk.Records.Len {
			cells := make([]string, len(o.Columns))
			for c := range o.Columns {
				v := &chunk.Records.Columns[c]
				if cells[c] = columns.Format(o.Columns[c], v, i); v.Null(i) {
					cells[c] = "␀"
				}
			}
			one.Rows = append(one.Rows, strings.Join(cells, "|"))
		}
		one.Quarantined = append(one.Quarantined, chunk.Quarantined...)
		one.Count, one.Replaced = chunk.Rows, chunk.Replaced
		if one.Count == 0 || one.Count != int64(len(one.Rows)+len(one.Quarantined)) {
			t.Fatalf("chunk of %d rows, but %d are good and %d quarantined", one.Count, len(one.Rows), len(one.Quarantined))
		}
		parts.Chunks = append(parts.Chunks, one)
		parts.Offsets = append(parts.Offsets, chunk.Offset)
		all.Rows = append(all.Rows, one.Rows...)
		all.Quarantined = append(all.Quarantined, one.Quarantined...)
		all.Count += one.Count
		all.Replaced += one.Replaced
	}
	switch {
	case o.Raw && all.Err == "" && !bytes.Equal(raw.Bytes(), given.Bytes()), !bytes.HasPrefix(given.Bytes(), raw.Bytes()):
		t.Fatalf("the bytes as they came: -given +handed out\n%s", cmp.Diff(given.String(), raw.String()))
	}
	return all, parts
}

func TestRead(t *testing.T) {
	const h = "id,name,attributes\n"
	wide := "a quote is not closed; reading resumes on the next line"
	fields := func(n int) string { return fmt.Sprintf("%d fields, but the header has 3", n) }
	q := func(line int64, column, reason, raw string) martsync.Quarantined {
		return martsync.Quarantined{Line: line, Column: column, Reason: reason, Raw: raw}
	}
	tests := []struct {
		name, text string
		rows       []string
		bad        []martsync.Quarantined
	}{
		{name: "empty file"},
		{name: "header only", text: h},
		{name: "header without a line end", text: "id,name,attributes"},
		{name: "plain", text: h + "1,a,null\n2,null,{}\n", rows: []string{"1|a|␀", "2|␀|{}"}},
		{name: "no final line end", text: h + "1,a,null\n2,b,null", rows: []string{"1|a|␀", "2|b|␀"}},
		{name: "CRLF", text: "id,name,attributes\r\n1,a,null\r\n2,\"b\",null\r\n", rows: []string{"1|a|␀", "2|b|␀"}},
		{name: "byte order mark", text: "\xef\xbb\xbf\"id\",name,attributes\n1,a,\n", rows: []string{"1|a|␀"}},
		{name: "empty lines", text: "\n\r\n" + h + "\n1,a,null\n\r\n\x00\n2,b,null\n\n", rows: []string{"1|a|␀", "2|b|␀"}},
		{
			name: "quotes", text: h + "1,\"a, \"\"b\"\"\",\"{\"\"k\"\":\"\"v\"\"}\"\n2,\"\",\"\"\n3,\"\"\"\",null\n",
			rows: []string{`1|a, "b"|{"k":"v"}`, "2|␀|␀", `3|"|␀`},
		},
		{
			name: "line ends in quotes", text: h + "1,\"a\nb\r\nc\rd\",null\n2,\"\n\",null\n",
			rows: []string{"1|a\nb\r\nc\rd|␀", "2|\n|␀"},
		},
		{
			name: "null", text: h + "1,null and void,null\n2,\"null\",\"null\"\nnull,Null,null\n",
			rows: []string{"1|null and void|␀", "2|␀|␀", "␀|Null|␀"},
		},
		{
			name: "NUL bytes", text: "i\x00d,name,attributes\n\x001\x00,a\x00\x00b,null\n2,\x00\"c\"\x00,null\x00\n\x00\x003,\x00,null\n\x00",
			rows: []string{"1|ab|␀", "2|c|␀", "3|␀|␀"},
		},
		{
			name: "NUL bytes in the quarantine", text: h + "1,a,\x00null\n2\x00,\x00\x00\n3,b,null\n",
			rows: []string{"1|a|␀", "3|b|␀"},
			bad:  []martsync.Quarantined{q(2, "", fields(2), "2␀,␀␀")},
		},
		{
			name: "stray carriage returns", text: h + "1\r,a\rb,nu\rll\r\n2,\r,\r\r\n3,\"a\r\",null\n",
			rows: []string{"1|ab|␀", "2|␀|␀", "3|a\r|␀"},
		},
		{
			name: "stray quotes", text: h + "1,\"first\"Name1\",null\n2,a\"b,null\n3,\"a \"b\" c\",null\n4,\"x\"\r,y\",null\n5, \"z\",null\n",
			rows: []string{`1|first"Name1|␀`, `2|a"b|␀`, `3|a "b" c|␀`, "4|x\"\r,y|␀", `5| "z"|␀`},
		},
		{
			name: "other line ends are text", text: h + "1,a\u2028b\u2029c\u0085d,null\n", rows: []string{"1|a\u2028b\u2029c\u0085d|␀"},
		},
		{
			name: "invalid UTF-8", text: h + "1,a\xffb\xc3,null\n2,ok,\"[\"\"\xfe\"\"]\"\n3,\xe9\n",
			rows: []string{"1|a\ufffdb\ufffd|␀", "2|ok|[\"\ufffd\"]"},
			bad:  []martsync.Quarantined{q(3, "", fields(2), "3,\ufffd")},
		},
		{
			name: "misfits", text: h + "1,a,null\nx1,\"b\nb\",null\r\n1.5,c,null\n10.0,d,{]\n3,e,null\n",
			rows: []string{"1|a|␀", "3|e|␀"},
			bad: []martsync.Quarantined{
				q(2, "id", `not an integer: "x1"`, "x1,\"b\nb\",null"),
				q(3, "id", `integer expected, but it has a fraction: "1.5"`, "1.5,c,null"),
				q(4, "attributes", `not valid JSON: "{]"`, "10.0,d,{]"),
			},
		},
		{
			name: "wrong width", text: h + "1,a\n2,b,null,\n3,c,null,x,y,z\n4\n5,d,null\n",
			rows: []string{"5|d|␀"},
			bad: []martsync.Quarantined{
				q(1, "", fields(2), "1,a"), q(2, "", fields(4), "2,b,null,"), q(3, "", fields(6), "3,c,null,x,y,z"), q(4, "", fields(1), "4"),
			},
		},
		{
			name: "unclosed quote before quoted fields", text: h + "1,\"a,null\n2,b,null\n3,\"c\",\"{}\"\n4,d,null\n",
			rows: []string{"2|b|␀", "3|c|{}", "4|d|␀"},
			bad:  []martsync.Quarantined{q(1, "", wide, "1,\"a,null")},
		},
		{
			name: "unclosed quote before the end", text: h + "1,a,null\n2,\"b,null\n3,c,null\n4,d,null",
			rows: []string{"1|a|␀", "3|c|␀", "4|d|␀"},
			bad:  []martsync.Quarantined{q(2, "", wide, "2,\"b,null")},
		},
		{
			name: "unclosed quote in the last line", text: h + "1,a,null\n2,\"b,null", rows: []string{"1|a|␀"},
			bad: []martsync.Quarantined{q(2, "", wide, "2,\"b,null")},
		},
		{
			name: "unclosed after a field of several lines", text: h + "1,\"a\nb\",\"{\n2,b,null\n", rows: []string{"2|b|␀"},
			bad: []martsync.Quarantined{q(1, "", wide, "1,\"a\nb\",\"{")},
		},
		{
			name: "unclosed beyond the limit", text: h + "1,\"a,null\n" + strings.Repeat("2,b,null\n", 40) + "3,\"c,d\",null\n",
			rows: append(slicesRepeat("2|b|␀", 40), "3|c,d|␀"),
			bad:  []martsync.Quarantined{q(1, "", wide, "1,\"a,null")},
		},
		{
			name: "text that looks like a quoted field on a later line", text: h + "1,\"a\nb,\"c\" d\",null\n2,e,null\n",
			rows: []string{"1|a\nb,\"c\" d|␀", "2|e|␀"},
		},
		{
			name: "a line too long", text: h + "1,a,null\n2," + strings.Repeat("x", 300) + ",null\n3,b,null\n",
			rows: []string{"1|a|␀", "3|b|␀"},
			bad:  []martsync.Quarantined{q(2, "", "the record is too long", "2,"+strings.Repeat("x", 46))},
		},
		{
			name: "a line too long at the end", text: h + "1,a,null\n2,\"" + strings.Repeat("x", 300),
			rows: []string{"1|a|␀"},
			bad:  []martsync.Quarantined{q(2, "", "the record is too long", "2,\""+strings.Repeat("x", 45))},
		},
		{
			name: "as long as allowed", text: h + "1," + strings.Repeat("x", 192) + ",null\n2,b,null\n",
			rows: []string{"1|" + strings.Repeat("x", 192) + "|␀", "2|b|␀"},
		},
	}
	for _, tt := range tests {
		for _, workers := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, workers), func(t *testing.T) {
				o := Options{Columns: leads, Null: "null", Workers: workers}
				got, _ := collect(t, strings.NewReader(tt.text), o, small)
				want := outcome{Rows: tt.rows, Quarantined: tt.bad, Count: int64(len(tt.rows) + len(tt.bad)), Replaced: got.Replaced}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("-want +got\n%s", d)
				}
				if tt.name == "invalid UTF-8" && got.Replaced != 3 {
					t.Errorf("%d replaced, want 3", got.Replaced)
				}
			})
		}
	}
}

func slicesRepeat(s string, n int) (out []string) {
	for range n {
		out = append(out, s)
	}
	return out
}

func TestOneColumn(t *testing.T) {
	o := Options{Columns: leads[1:2], Null: "null"}
	got, _ := collect(t, strings.NewReader("name\na\n\nnull\n\"\"\nb"), o, small)
	want := outcome{Rows: []string{"a", "␀", "␀", "␀", "b"}, Count: 5}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestHeader(t *testing.T) {
	tests := []struct {
		name, text string
		o          Options
		rows       []string
		err        string
	}{
		{name: "any order", text: "name,attributes,id\na,1,2\n", rows: []string{"2|a|1"}},
		{name: "case", text: "ID,Name,ATTRIBUTES\n2,a,1\n", rows: []string{"2|a|1"}},
		{name: "exact before case", text: "ID,id,name\n1,2,a\n", o: Options{AllowExtra: true}, rows: []string{"2|a|␀"}},
		{name: "missing", text: "name\na\n", rows: []string{"␀|a|␀"}},
		{name: "extra", text: "id,x,name\n1,2,a\n", err: `1 fields that nobody asked for, such as "x"`},
		{name: "extra allowed", text: "id,x,name\n1,2,a\n", o: Options{AllowExtra: true}, rows: []string{"1|a|␀"}},
		{name: "twice", text: "id,id\n1,2\n", err: `field "id" occurs twice`},
		{name: "an error in place of the file", text: `{"requestId":"1#2","success":false}`, err: "does not begin with a header but with \"{"},
		{name: "unclosed", text: "id,\"name\n1,a\n", err: "does not begin with a header"},
		{name: "given", text: "1,a,null\n", o: Options{Header: []string{"id", "name", "attributes"}}, rows: []string{"1|a|␀"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Columns, tt.o.Null = leads, "null"
			got, _ := collect(t, strings.NewReader(tt.text), tt.o, small)
			if tt.err == "" != (got.Err == "") || !strings.Contains(got.Err, tt.err) {
				t.Errorf("error %q, want %q", got.Err, tt.err)
			}
			if d := cmp.Diff(tt.rows, got.Rows); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
	for _, err := range read(context.Background(), strings.NewReader("x\n"), Options{Columns: leads}, small) {
		if martsync.KindOf(err) != martsync.Data {
			t.Errorf("kind of %v is %v, want data", err, martsync.KindOf(err))
		}
	}
}

// dirty is a file with something of everything, longer than several small blocks.
func dirty() []byte {
	var b bytes.Buffer
	b.WriteString("id,name,attributes\r\n")
	for i := range 120 {
		switch {
		case i%29 == 13:
			fmt.Fprintf(&b, "%d,\"unclosed,null\n", i)
		case i%17 == 3:
			fmt.Fprintf(&b, "%d,\"stray\"quote%d\",null\n", i, i)
		case i%11 == 5:
			fmt.Fprintf(&b, "%d,\"two\r\nlines, \"\"quoted\"\"\",\"{\"\"a\"\":\"\"%d\"\"}\"\r\n", i, i)
		case i%13 == 7:
			fmt.Fprintf(&b, "%d,\x00nul\x00,null\n\x00", i)
		case i%19 == 9:
			fmt.Fprintf(&b, "%d,a\"b\n\n", i)
		default:
			fmt.Fprintf(&b, "%d,name %d é,null\n", i, i)
		}
	}
	return b.Bytes()
}

// checkSame reads text in many ways that must not make a difference.
func checkSame(t tb, text []byte, l limits) {
	t.Helper()
	o := Options{Columns: leads, Null: "null", Workers: 1, AllowExtra: true}
	want, wantParts := collect(t, bytes.NewReader(text), o, l)
	for workers := range 4 {
		for name, r := range map[string]io.Reader{
			"whole":      bytes.NewReader(text),
			"bytewise":   iotest.OneByteReader(bytes.NewReader(text)),
			"half":       iotest.HalfReader(bytes.NewReader(text)),
			"end at end": iotest.DataErrReader(bytes.NewReader(text)),
			"kept":       bytes.NewReader(text),
			"kept half":  iotest.HalfReader(bytes.NewReader(text)),
		} {
			o.Workers, o.Raw = workers, strings.HasPrefix(name, "kept")
			got, parts := collect(t, r, o, l)
			if !reflect.DeepEqual(want, got) {
				t.Fatalf("%d workers, read %s: -want +got\n%s", workers, name, cmp.Diff(want, got))
			}
			if !reflect.DeepEqual(wantParts, parts) {
				t.Fatalf("%d workers, read %s: chunks differ: -want +got\n%s", workers, name, cmp.Diff(wantParts, parts))
			}
		}
	}
	// Other blocks cut other chunks, but give the same rows.
	for _, block := range []int{7, 64, 4096} {
		o.Workers, o.Raw = 2, true
		got, _ := collect(t, bytes.NewReader(text), o, limits{block: block, record: l.record})
		for _, out := range []*outcome{&want, &got} { // some texts end with the block
			out.Err = out.Err[:min(len(out.Err), 60)]
			for i := range out.Quarantined {
				if q := &out.Quarantined[i]; q.Reason == "the record is too long" {
					q.Raw = ""
				}
			}
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("blocks of %d: -want +got\n%s", block, cmp.Diff(want, got))
		}
	}
}

func TestSameForAnyWorkers(t *testing.T) {
	checkSame(t, dirty(), small)
	checkSame(t, dirty(), limits{block: 300, record: 1000})
}

// TestResume stops after every chunk and goes on from its offset.
func TestResume(t *testing.T) {
	text := dirty()
	o := Options{Columns: leads, Null: "null", Workers: 2}
	want, parts := collect(t, bytes.NewReader(text), o, small)
	if len(parts.Chunks) < 20 {
		t.Fatalf("only %d chunks", len(parts.Chunks))
	}
	if n := parts.Offsets[len(parts.Offsets)-1]; n < int64(len(text))-2 {
		t.Errorf("last offset %d of %d", n, len(text))
	}
	rows, bad := 0, 0
	for i, chunk := range parts.Chunks {
		rows += len(chunk.Rows)
		bad += len(chunk.Quarantined)
		o := Options{Columns: leads, Null: "null", Header: []string{"id", "name", "attributes"}, StartLine: int64(rows + bad)}
		got, _ := collect(t, bytes.NewReader(text[parts.Offsets[i]:]), o, small)
		if d := cmp.Diff(want.Rows[rows:], got.Rows); d != "" && len(got.Rows)+len(want.Rows[rows:]) > 0 {
			t.Fatalf("after chunk %d: -want +got\n%s", i, d)
		}
		if d := cmp.Diff(want.Quarantined[bad:], got.Quarantined); d != "" && len(got.Quarantined)+len(want.Quarantined[bad:]) > 0 {
			t.Fatalf("after chunk %d: -want +got\n%s", i, d)
		}
	}
}

func TestReadError(t *testing.T) {
	broken := io.ErrClosedPipe // an error that one might use for other things as well
	text := "id,name,attributes\n1,a,null\n2,\"b\nc\",null\n3,d"
	for _, workers := range []int{1, 3} {
		for cut := range len(text) {
			r := io.MultiReader(strings.NewReader(text[:cut]), iotest.ErrReader(broken))
			got, parts := collect(t, r, Options{Columns: leads, Null: "null", Workers: workers, Raw: cut%2 == 0}, small)
			if got.Err != broken.Error() {
				t.Fatalf("cut at %d: error %q, want %q", cut, got.Err, broken)
			}
			want := 0
			for _, end := range []int{28, 41} {
				if cut >= end {
					want++
				}
			}
			if len(got.Rows) != want || len(got.Quarantined) != 0 {
				t.Errorf("cut at %d: %d rows and %d quarantined, want %d and 0", cut, len(got.Rows), len(got.Quarantined), want)
			}
			if n := len(parts.Offsets); n > 0 && parts.Offsets[n-1] != []int64{0, 28, 41}[want] {
				t.Errorf("cut at %d: offset %d", cut, parts.Offsets[n-1])
			}
		}
	}
}

func TestStopEarly(t *testing.T) {
	text := dirty()
	for _, workers := range []int{1, 2, 5} {
		for stop := range 10 {
			n := 0
			for _, err := range read(context.Background(), bytes.NewReader(text), Options{Columns: leads, Null: "null", Workers: workers}, small) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n > stop {
					break
				}
			}
		}
	}
}

func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	var last error
	for _, err := range read(ctx, bytes.NewReader(dirty()), Options{Columns: leads, Null: "null", Workers: 2}, small) {
		if n++; n == 3 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || n > 10 {
		t.Errorf("after %d chunks error %v, want context.Canceled soon", n, last)
	}
}

// What lies outside of records is handed out too, and never much of it at once.
func TestRaw(t *testing.T) {
	nuls, lines := strings.Repeat("\x00", 5_000), strings.Repeat("\n", 5_000)
	for _, c := range []struct {
		name, text string
		rows       int
	}{
		{"nothing", "", 0},
		{"no header", "\n\n\r\n", 0},
		{"nothing but NUL bytes", nuls, 0},
		{"a header and no more", "id,name,attributes\n", 0},
		{"a header and NUL bytes", "id,name,attributes\n" + nuls, 0},
		{"a byte order mark", "\xef\xbb\xbf\n\nid,name,attributes\n1,a,null\n", 1},
		{"empty lines everywhere", lines + "id,name,attributes\n" + lines + "1,a,null\n" + lines + "2,b,null" + lines, 2},
		{"NUL bytes everywhere", nuls + "id,na" + nuls + "me,attributes\n" + nuls + "1,a,null\n" + nuls + "2,b" + nuls + ",null" + nuls + "\n" + nuls, 2},
		{"a record that is too long", "id,name,attributes\n1,a,null\n2," + strings.Repeat("x", 4_000) + ",null\n3,c,null\n", 3},
		{"one that has no end", "id,name,attributes\n1,a,null\n2," + strings.Repeat("x", 4_000), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, workers := range []int{1, 3} {
				o := Options{Columns: leads, Null: "null", Workers: workers, Raw: true}
				if got, _ := collect(t, strings.NewReader(c.text), o, small); got.Count != int64(c.rows) || got.Err != "" {
					t.Errorf("%d workers: %d rows, error %q, want %d", workers, got.Count, got.Err, c.rows)
				}
			}
		})
	}
	kept, n := testing.AllocsPerRun(5, func() { readAll(t, true) }), testing.AllocsPerRun(5, func() { readAll(t, false) })
	if kept > n+40 {
		t.Errorf("%.0f allocations with the bytes handed out, %.0f without: want nearly as few", kept, n)
	}
}

// readAll reads a clean file of many blocks.
func readAll(t *testing.T, raw bool) {
	t.Helper()
	text := "id,name,attributes\n" + strings.Repeat("1,a,null\n", 20_000)
	size := 0
	for chunk, err := range read(context.Background(), strings.NewReader(text), Options{Columns: leads, Null: "null", Raw: raw}, limits{block: 4 << 10, record: 16 << 10}) {
		if err != nil {
			t.Fatal(err)
		}
		size += len(chunk.Raw)
	}
	if raw && size != len(text) {
		t.Errorf("%d bytes handed out, want %d", size, len(text))
	}
}

// TestUnclosedQuotesStayLinear scans text in which quote after quote is never closed, and
// counts how often a byte is looked at.
func TestUnclosedQuotesStayLinear(t *testing.T) {
	const n = 100_000
	for name, text := range map[string]string{
		"plain":    strings.Repeat("1,\"a\n", n),
		"pairs":    strings.Repeat("1,\"\"\"a,b\n", n),
		"strays":   strings.Repeat("\"x\n", n),
		"fields":   strings.Repeat(",\"x,\"y,\"z\n", n),
		"one line": "\"\n" + strings.Repeat(",\"x", n),
		"records":  "1,\"a\n" + strings.Repeat("1,\"b\" c,\n", n),
	} {
		for _, end := range []bool{true, false} {
			s := scanner{width: 3, record: 16 << 20, fits: func([][]byte) bool { return false }}
			s.reset([]byte(text), end)
			records := 0
			for pos := 0; pos < len(text); records++ {
				var st state
				if pos, st = s.next(pos); st != whole && st != broken {
					break
				}
			}
			if s.prober != nil {
				s.effort += s.prober.effort
			}
			if s.effort > 8*len(text) {
				t.Errorf("%s: %d records, %d bytes looked at in %d", name, records, s.effort, len(text))
			}
		}
	}
}

// TestManyChunksOfABlock checks that a block of tiny rows is not held in memory as a whole.
func TestManyChunksOfABlock(t *testing.T) {
	text := "id\n" + strings.Repeat("7\n", 3*martsync.MaxRows+5) + strings.Repeat("x\n", 2*maxQuarantined+5)
	for _, workers := range []int{1, 3} {
		_, parts := collect(t, strings.NewReader(text), Options{Columns: leads[:1], Workers: workers}, limits{block: 4 << 20, record: 16 << 20})
		var sizes []int64
		for _, c := range parts.Chunks {
			sizes = append(sizes, c.Count)
		}
		if d := cmp.Diff([]int64{martsync.MaxRows, martsync.MaxRows, martsync.MaxRows, 5 + maxQuarantined, maxQuarantined, 5}, sizes); d != "" {
			t.Errorf("%d workers: rows of the chunks: -want +got\n%s", workers, d)
		}
	}
}
