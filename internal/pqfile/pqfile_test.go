package pqfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/decimal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// all has a column of every type, not in the order of their names.
var all = []martsync.Column{
	{Name: "zid", Type: martsync.Int64},
	{Name: "text", Type: martsync.String},
	{Name: "flag", Type: martsync.Bool},
	{Name: "score", Type: martsync.Float64},
	{Name: "small", Type: martsync.Decimal, Precision: 9, Scale: 2},
	{Name: "word", Type: martsync.Decimal, Precision: 18, Scale: 0},
	{Name: "wide", Type: martsync.Decimal, Precision: 38, Scale: 10},
	{Name: "born", Type: martsync.Date},
	{Name: "at", Type: martsync.Timestamp},
	{Name: "attributes", Type: martsync.JSON},
	{Name: "blob", Type: martsync.Binary},
	{Name: "nothing", Type: martsync.String},
}

// extremes are the values of every type that are most likely to break.
func extremes() *martsync.Records {
	limit := func(digits int) martsync.Int128 {
		v, err := decimal.Parse([]byte(strings.Repeat("9", digits)), digits, 0)
		if err != nil {
			panic(err)
		}
		return v
	}
	nulls := func() []bool { return []bool{false, false, false, true} }
	text := func(t martsync.Type, values ...string) martsync.Vector {
		v := martsync.Vector{Type: t, Offsets: []int32{0}, Nulls: nulls()}
		for _, s := range values {
			v.Data = append(v.Data, s...)
			v.Offsets = append(v.Offsets, int32(len(v.Data)))
		}
		return v
	}
	decimals := func(digits int) martsync.Vector {
		return martsync.Vector{
			Type: martsync.Decimal, Nulls: nulls(),
			Decimals: []martsync.Int128{limit(digits), decimal.Neg(limit(digits)), {}, {}},
		}
	}
	return &martsync.Records{Len: 4, Columns: []martsync.Vector{
		{Type: martsync.Int64, Ints: []int64{math.MaxInt64, math.MinInt64, 0, 0}, Nulls: nulls()},
		text(martsync.String, "", "a\x00b\n\"é\U0001F600", strings.Repeat("long", 1000), ""),
		{Type: martsync.Bool, Bools: []bool{true, false, true, false}, Nulls: nulls()},
		{Type: martsync.Float64, Floats: []float64{math.MaxFloat64, math.SmallestNonzeroFloat64, math.Copysign(0, -1), 0}, Nulls: nulls()},
		decimals(9), decimals(18), decimals(38),
		{Type: martsync.Date, Days: []int32{2932896, -719528, 0, 0}, Nulls: nulls()}, // years 9999 and 0
		{Type: martsync.Timestamp, Ints: []int64{253402300799999999, -62167219200000000, 1, 0}, Nulls: nulls()},
		text(martsync.JSON, `{"a":[1,null,"\u00e9"]}`, `null`, `"x"`, ""),
		text(martsync.Binary, "\x00\xff", "", "z", ""),
		text(martsync.String, "", "", "", ""),
	}}
}

// random makes a batch; column kinds of values change with the seed, so that dictionaries
// succeed, overflow and are refused.
func random(seed uint64, rows int) *martsync.Records {
	r := rand.New(rand.NewPCG(seed, 1))
	few := int64(1) << (2 + seed%16)
	rec := &martsync.Records{Len: rows}
	for i, c := range all {
		v := martsync.Vector{Type: c.Type}
		nullable := (seed+uint64(i))%3 != 0
		if nullable {
			v.Nulls = make([]bool, rows)
		}
		many := (seed+uint64(i))%5 == 0
		if c.Type == martsync.String || c.Type == martsync.JSON || c.Type == martsync.Binary {
			v.Offsets = []int32{0}
		}
		for k := range rows {
			null := nullable && (r.IntN(4) == 0 || c.Name == "nothing")
			if nullable {
				v.Nulls[k] = null
			}
			n := r.Int64N(few) - few/3
			if many {
				n = r.Int64N(1 << 30)
			}
			if null {
				n = 0
			}
			switch c.Type {
			case martsync.Bool:
				v.Bools = append(v.Bools, n%2 != 0)
			case martsync.Int64, martsync.Timestamp:
				v.Ints = append(v.Ints, n*1_000_003)
			case martsync.Date:
				v.Days = append(v.Days, int32(n%100_000))
			case martsync.Float64:
				v.Floats = append(v.Floats, float64(n)/8)
			case martsync.Decimal:
				v.Decimals = append(v.Decimals, decimal.FromInt64(n%1_000_000_000))
			default:
				if !null {
					v.Data = fmt.Appendf(v.Data, `"value %d"`, n)
				}
				v.Offsets = append(v.Offsets, int32(len(v.Data)))
			}
		}
		rec.Columns = append(rec.Columns, v)
	}
	return rec
}

func write(t testing.TB, o Options, batches ...*martsync.Records) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range batches {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// formatted returns the rows of the batches as text.
func formatted(batches ...*martsync.Records) (rows []string) {
	for _, r := range batches {
		for i := range r.Len {
			var row []string
			for c := range r.Columns {
				s := columns.Format(all[c], &r.Columns[c], i)
				if r.Columns[c].Null(i) {
					s = "␀"
				}
				row = append(row, s)
			}
			rows = append(rows, strings.Join(row, "|"))
		}
	}
	return rows
}

// readBack reads a file with parquet-go's own reader.
func readBack(t *testing.T, file []byte) (f *parquet.File, rows []string) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range f.RowGroups() {
		reader := group.Rows()
		buf := make([]parquet.Row, 100)
		for {
			n, err := reader.ReadRows(buf)
			for _, row := range buf[:n] {
				out := make([]string, len(all))
				for _, value := range row {
					out[value.Column()] = textOf(all[value.Column()], value)
				}
				rows = append(rows, strings.Join(out, "|"))
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := reader.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return f, rows
}

// textOf formats a value of a file by way of a vector of one row.
func textOf(c martsync.Column, value parquet.Value) string {
	if value.IsNull() {
		return "␀"
	}
	v := martsync.Vector{Type: c.Type}
	switch c.Type {
	case martsync.Bool:
		v.Bools = []bool{value.Boolean()}
	case martsync.Float64:
		v.Floats = []float64{value.Double()}
	case martsync.Date:
		v.Days = []int32{value.Int32()}
	case martsync.Decimal:
		if value.Kind() == parquet.FixedLenByteArray {
			b := value.ByteArray()
			v.Decimals = []martsync.Int128{{Hi: int64(binary.BigEndian.Uint64(b)), Lo: binary.BigEndian.Uint64(b[8:])}}
		} else {
			v.Decimals = []martsync.Int128{decimal.FromInt64(value.Int64())}
		}
	case martsync.Int64, martsync.Timestamp:
		v.Ints = []int64{value.Int64()}
	default:
		v.Data = value.ByteArray()
		v.Offsets = []int32{0, int32(len(v.Data))}
	}
	return columns.Format(c, &v, 0)
}

func TestRoundTrip(t *testing.T) {
	tests := map[string][]*martsync.Records{
		"nothing":  {},
		"empty":    {{Columns: random(1, 0).Columns}},
		"extremes": {extremes()},
		"both":     {extremes(), random(3, 10)},
	}
	for seed := range uint64(16) {
		tests[fmt.Sprintf("random %d", seed)] = []*martsync.Records{random(seed, 700), random(seed+1, 2000), random(seed, 1)}
	}
	// Longer than a page, and with more different values than a dictionary may have.
	tests["long"] = []*martsync.Records{random(13, 9999), random(13, 10_000), random(14, 5000)}
	for name, batches := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, group := range []int{0, 1 << 20} {
				f, rows := readBack(t, write(t, Options{Columns: all, RowGroup: group, Workers: 2}, batches...))
				want := formatted(batches...)
				if !slices.Equal(want, rows) {
					t.Fatalf("row groups of %d: -want +got\n%.2000s", group, cmp.Diff(want, rows))
				}
				if f.NumRows() != int64(len(want)) {
					t.Errorf("the footer says %d rows, want %d", f.NumRows(), len(want))
				}
			}
		})
	}
}

func TestSameBytesForAnyWorkers(t *testing.T) {
	batches := []*martsync.Records{random(2, 3000), random(5, 2000), random(7, 1000)}
	want := write(t, Options{Columns: all, RowGroup: 1 << 18}, batches...)
	for _, workers := range []int{1, 2, 3, 40} {
		for range 3 {
			if got := write(t, Options{Columns: all, RowGroup: 1 << 18, Workers: workers}, batches...); !bytes.Equal(got, want) {
				t.Errorf("%d workers write other bytes", workers)
			}
		}
	}
}

func TestStatistics(t *testing.T) {
	f, _ := readBack(t, write(t, Options{Columns: all}, extremes(), random(3, 2000)))
	chunks := f.Metadata().RowGroups[0].Columns
	nines := func(n int) *big.Int {
		v, _ := new(big.Int).SetString(strings.Repeat("9", n), 10)
		return v
	}
	for i, c := range all {
		stats := chunks[i].MetaData.Statistics
		nulls := int64(0)
		for _, r := range []*martsync.Records{extremes(), random(3, 2000)} {
			for k := range r.Len {
				if r.Columns[i].Null(k) {
					nulls++
				}
			}
		}
		if stats.NullCount != nulls {
			t.Errorf("%s: %d nulls, want %d", c.Name, stats.NullCount, nulls)
		}
		lo, hi := stats.MinValue, stats.MaxValue
		ok := true
		switch c.Name {
		case "zid":
			ok = int64(binary.LittleEndian.Uint64(lo)) == math.MinInt64 && int64(binary.LittleEndian.Uint64(hi)) == math.MaxInt64
		case "flag":
			ok = lo[0] == 0 && hi[0] == 1
		case "score":
			ok = math.Float64frombits(binary.LittleEndian.Uint64(hi)) == math.MaxFloat64
		case "word":
			ok = int64(binary.LittleEndian.Uint64(hi)) == nines(18).Int64()
		case "wide":
			ok = new(big.Int).SetBytes(hi).Cmp(nines(38)) == 0 && lo[0]&0x80 != 0
		case "born":
			ok = int32(binary.LittleEndian.Uint32(hi)) == 2932896 && int32(binary.LittleEndian.Uint32(lo)) == -719528
		case "text":
			ok = len(lo) == 0
		case "attributes":
			ok = strings.HasPrefix(string(lo), `"value `) && strings.HasPrefix(string(hi), `{"a"`)
		case "nothing":
			ok = len(lo) == 0
		}
		if !ok {
			t.Errorf("%s: bounds %x and %x", c.Name, lo, hi)
		}
	}
}

func TestFlagsAndMetadata(t *testing.T) {
	r := random(1, 3)
	r.Deleted = []bool{false, true, false}
	o := Options{Columns: all, Tombstone: "_tombstone", Deleted: "_deleted", Metadata: [][2]string{{"martsync.stream", "leads"}}}
	file := write(t, o, r)
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := f.Lookup("martsync.stream"); got != "leads" {
		t.Errorf("metadata %q, want leads", got)
	}
	for i, want := range [][]bool{{false, false, false}, {false, true, false}} {
		pages := f.RowGroups()[0].ColumnChunks()[len(all)+i].Pages()
		page, err := pages.ReadPage()
		if err != nil {
			t.Fatal(err)
		}
		values := make([]parquet.Value, 3)
		if n, err := page.Values().ReadValues(values); n != 3 {
			t.Fatal(n, err)
		}
		for k := range want {
			if values[k].Boolean() != want[k] {
				t.Errorf("flag %d of row %d is %v", i, k, values[k])
			}
		}
		if err := pages.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestErrors(t *testing.T) {
	if _, err := NewWriter(io.Discard, Options{}); err == nil {
		t.Error("a file without columns: no error")
	}
	full := errors.New("disk full")
	w, err := NewWriter(&limited{n: 1000, err: full}, Options{Columns: all, RowGroup: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(random(1, 5000)); !errors.Is(err, full) {
		t.Errorf("Write: %v, want %v", err, full)
	}
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("Close: %v, want %v", err, full)
	}
	w, _ = NewWriter(io.Discard, Options{Columns: all})
	bad := extremes()
	bad.Columns[5].Decimals[0] = martsync.Int128{Hi: 1}
	if err := w.Write(bad); err == nil || !strings.Contains(err.Error(), "word") {
		t.Errorf("a decimal that does not fit: %v", err)
	}
	if err := w.Write(&martsync.Records{}); err == nil {
		t.Error("records of another shape: no error")
	}
}

type limited struct {
	n   int
	err error
}

func (l *limited) Write(b []byte) (int, error) {
	if l.n -= len(b); l.n < 0 {
		return 0, l.err
	}
	return len(b), nil
}
