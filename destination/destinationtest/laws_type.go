package destinationtest

import (
	"math"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

var typeLaws = typeLawsOf([]struct {
	column martsync.Column
	cells  []any
}{
	{column("x", martsync.Bool), []any{true, false}},
	{column("x", martsync.Int64), []any{int64(0), int64(-1), int64(math.MinInt64), int64(math.MaxInt64), int64(1<<53 + 1)}},
	{column("x", martsync.Float64), []any{0.0, 0.1, -1.5, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e21, 123456789012345680.0}},
	{decimal("x", 38, 0), []any{mustDecimal("0", 0), nines(38, 0, 1), nines(38, 0, -1), mustDecimal("18446744073709551616", 0), mustDecimal("-18446744073709551616", 0)}},
	{decimal("x", 38, 38), []any{nines(38, 38, 1), nines(38, 38, -1), mustDecimal("0.00000000000000000000000000000000000001", 38)}},
	{decimal("x", 38, 6), []any{nines(38, 6, 1), nines(38, 6, -1), mustDecimal("-0.000001", 6)}},
	{decimal("x", 4, 2), []any{mustDecimal("99.99", 2), mustDecimal("-99.99", 2), mustDecimal("0.01", 2)}},
	{decimal("x", 9, 3), []any{nines(9, 3, 1), nines(9, 3, -1)}},
	{decimal("x", 18, 18), []any{nines(18, 18, 1), nines(18, 18, -1)}},
	{column("x", martsync.String), []any{
		"", " ", "null", "NULL", `\N`, `\\`, "'", `"`, `it's "quoted"`, "a,b;c\td", "line\nline\r\nline\r", "trailing  ", "\ufeffBOM",
		"🙂👩‍👩‍👧‍👦", "漢字かな交じり文", "עברית", "e\u0301 \u00e9", "\U0010ffff", "\uffff", "\u200b", "-- ; DROP TABLE", "$1 {} %s", strings.Repeat("長い🙂", 100_000),
	}},
	{column("x", martsync.Binary), []any{rows.Bytes(""), rows.Bytes("\x00"), allBytes(), rows.Bytes(strings.Repeat("\xff\x00", 1<<19))}},
	{column("x", martsync.Date), []any{day(1, 1, 1), day(9999, 12, 31), day(1969, 12, 31), day(1970, 1, 1), day(2024, 2, 29), day(1582, 10, 10)}},
	{column("x", martsync.Timestamp), []any{
		rows.Time(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)), rows.Time(time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)),
		rows.Micros(-1), rows.Micros(0), rows.Micros(1), rows.Time(time.Date(2025, 3, 30, 2, 30, 0, 0, time.UTC)), // no such hour in Berlin
	}},
	{column("x", martsync.JSON), []any{
		rows.JSON(`{}`), rows.JSON(`[]`), rows.JSON(`null`), rows.JSON(`""`), rows.JSON(`"text"`), rows.JSON(`1.5`), rows.JSON(`true`),
		rows.JSON(`12345678901234567890123`), rows.JSON(`{"a":{"b":[1,2,{"c":null}]},"ü":"🙂 \" \\ \n"}`),
		rows.JSON(`{"long":"` + strings.Repeat("x", 1<<20) + `"}`),
	}},
})

// typeLawsOf makes a law of each column: its cells and null come back as they were, through a
// merge and without a key. A last law is about the one character that some databases lack.
func typeLawsOf(types []struct {
	column martsync.Column
	cells  []any
},
) (laws []law) {
	for _, t := range types {
		laws = append(laws, law{t.column.TypeName() + " survives", func(b *bench) {
			s := with(t.column)
			plain := s
			plain.Stream, plain.Key = "plain", nil
			all := []any{alive{int64(-1), nil}}
			for i, cell := range t.cells {
				all = append(all, alive{int64(i), cell})
			}
			for _, s := range []martsync.Schema{s, plain} {
				b.load(s, "1", all...)
				b.restart()
				b.want(s, all...)
			}
			schema, _ := b.table(s.Stream)
			if i := schema.Index("x"); i < 0 || schema.Columns[i].TypeName() != t.column.TypeName() {
				b.Errorf("the table's schema: got %+v, want a column x of %s", schema.Columns, t.column.TypeName())
			}
		}})
		if t.column.Type == martsync.JSON || t.column.Type == martsync.Float64 {
			continue // not for keys
		}
		laws = append(laws, law{t.column.TypeName() + " is a key", func(b *bench) {
			s := with(t.column)
			s.Key = []string{"x"}
			var first, second []any
			for i, cell := range t.cells {
				if text, ok := cell.(string); ok && len(text) > 1000 {
					continue
				}
				first = append(first, alive{int64(i), cell})
				second = append(second, alive{int64(i + 100), cell})
			}
			b.load(s, "1", first...)
			b.load(s, "2", second...)
			b.want(s, second...)
		}})
	}
	return append(laws, law{"U+0000 is kept or refused, never lost", func(b *bench) {
		s := with(column("x", martsync.String))
		w := b.open(s)
		err := w.Write(b.Context(), records(s, alive{int64(1), "a\x00b"}))
		if err == nil {
			err = w.Commit(b.Context(), martsync.Commit{Sync: "run-1", At: at, Next: "1"})
		}
		b.close(w)
		if err != nil {
			if martsync.KindOf(err) != martsync.Data {
				b.Errorf("refused with %v, want an error of kind data", err)
			}
			b.want(s)
			return
		}
		b.want(s, alive{int64(1), "a\x00b"})
	}})
}

func allBytes() rows.Bytes {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return rows.Bytes(all)
}

func day(year int, month time.Month, d int) rows.Date {
	return rows.Date(time.Date(year, month, d, 0, 0, 0, 0, time.UTC).Unix() / 86400) //nolint:gosec // years 1 to 9999
}
