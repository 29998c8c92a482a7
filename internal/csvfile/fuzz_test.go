package csvfile

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// FuzzRead checks that nothing panics, that every row is accounted for, and that neither
// workers nor the sizes of blocks and reads make a difference.
func FuzzRead(f *testing.F) {
	f.Add([]byte("id,name,attributes\n1,\"a\"\"b\nc\",{}\r\n2,\"x\"y\",null\n3,\x00,\"unclosed\n4,b,null\n"), uint16(40), uint16(100))
	f.Add(dirty(), uint16(100), uint16(300))
	f.Add([]byte("id,name,attributes\n1,\"a\nb,\"c\",d\n,\"\n"), uint16(1), uint16(1))
	f.Add([]byte("\"\n\"\"\"\",\"\r\r\n"), uint16(3), uint16(9))
	f.Fuzz(func(t *testing.T, text []byte, block, record uint16) {
		if len(text) > 4096 {
			return
		}
		checkSame(t, text, limits{block: int(block%512) + 1, record: int(record%1024) + 1})
		checkSame(t, append([]byte("id,name,attributes\n"), text...), limits{block: int(block%512) + 1, record: int(record%1024) + 20})
	})
}

// TestAgainstEncodingCSV writes clean records with random quoting and reads them back.
func TestAgainstEncodingCSV(t *testing.T) {
	o := Options{Columns: leads, Null: "null"}
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringOf(rapid.SampledFrom([]rune("ab\",\n\r é\u2028'")))
		var b bytes.Buffer
		b.WriteString("id,name,attributes\n")
		w := csv.NewWriter(&b)
		var want []string
		for i := range rapid.IntRange(0, 12).Draw(t, "rows") {
			name := cell.Draw(t, "name")
			id := strings.Repeat("1", i%18+1)
			if rapid.Bool().Draw(t, "quoted") {
				w.Flush()
				b.WriteString(`"` + id + `","` + strings.ReplaceAll(name, `"`, `""`) + `",""` + "\r\n")
			} else {
				_ = w.Write([]string{id, name, "null"})
				w.Flush()
			}
			if name == "" {
				name = "␀"
			}
			want = append(want, id+"|"+name+"|␀")
		}
		o.Workers = rapid.IntRange(1, 3).Draw(t, "workers")
		l := limits{block: rapid.IntRange(1, 200).Draw(t, "block"), record: 10_000}
		got, _ := collect(t, &b, o, l)
		if d := cmp.Diff(outcome{Rows: want, Count: int64(len(want))}, got); d != "" {
			t.Fatalf("-want +got\n%s", d)
		}
	})
}

// TestSameForAnyText is FuzzRead over texts made of what matters to the grammar.
func TestSameForAnyText(t *testing.T) {
	tokens := []string{
		`"`, `""`, `"""`, `,`, "\n", "\r\n", "\r", "\x00", "a", "1", "null", "\xff", `,"`, `",`, "\"\n", "\n1,", "\n1,\"a\",null\n",
		"\n2,b,\n", "{}", "é", "\n\n", strings.Repeat("x", 40),
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(tokens), 0, 80).Draw(t, "text"), "")
		l := limits{block: rapid.IntRange(1, 120).Draw(t, "block"), record: rapid.IntRange(20, 300).Draw(t, "record")}
		checkSame(t, []byte("id,name,attributes\n"+text), l)
	})
}
