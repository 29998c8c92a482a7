package marketosim

import (
	"bytes"
	"slices"
	"strings"
)

// dirt is how many rows of a file are damaged in each way.
type dirt [dirts]int64

const (
	dirtNUL = iota
	dirtQuotes
	dirtCR
	dirtUTF8
	dirtColumns
	dirtMisfit
	dirtDuplicate
	dirts
)

// damage plays the faults of rows on the row just written, and adds rows after it.
func (k *sink) damage() {
	row := k.buf[k.row:]
	for kind, want := range k.x.trap.dirt {
		if k.count[kind] >= min(want, 255) {
			continue
		}
		var made []byte
		switch kind {
		case dirtNUL:
			made = withNUL(row)
		case dirtQuotes:
			made = withRawQuotes(row, k.x.style.delimiter)
		case dirtCR:
			made = withCR(row, k.x.style.delimiter)
		case dirtUTF8:
			made = withInvalid(row)
		default:
			continue
		}
		if made != nil {
			k.count[kind]++
			k.buf = append(k.buf[:k.row], made...)
			row = k.buf[k.row:]
		}
	}
	clean := slices.Clone(row)
	added := func(kind int, turn int64, p []byte) {
		if k.count[kind] < min(k.x.trap.dirt[kind], 255) && k.rows%3 == turn {
			k.count[kind]++
			k.rows++
			k.buf = append(k.buf, k.x.style.newline...)
			k.buf = append(k.buf, p...)
		}
	}
	d := string(k.x.style.delimiter)
	n := len(k.x.columns)
	added(dirtDuplicate, 0, clean)
	added(dirtColumns, 1, []byte("not"+d+"a"+strings.Repeat(d+"row", n)))
	added(dirtMisfit, 2, []byte("misfit"+strings.Repeat(d+"misfit", n-1)))
}

// withNUL puts NUL bytes before, inside and after cells.
func withNUL(row []byte) []byte {
	m := len(row) / 2
	return slices.Concat([]byte{0}, row[:m], []byte{0, 0}, row[m:])
}

// withInvalid puts a byte that is not UTF-8 where the text has U+FFFD, which is what a reader
// that replaces such bytes makes of it.
func withInvalid(row []byte) []byte {
	if !bytes.Contains(row, []byte("\ufffd")) {
		return nil
	}
	return bytes.ReplaceAll(row, []byte("\ufffd"), []byte{0xff})
}

// withCR puts a carriage return into the first unquoted cell of letters.
func withCR(row []byte, delimiter byte) []byte {
	for start, end := range cells(row, delimiter) {
		c := row[start:end]
		if len(c) < 4 || c[0] == '"' || string(c) == "null" || string(c) == "true" || string(c) == "false" || c[0] < 'A' || c[0] > 'z' || c[1] >= 0x80 || c[2] >= 0x80 {
			continue
		}
		return slices.Concat(row[:start+2], []byte{'\r'}, row[start+2:])
	}
	return nil
}

// withRawQuotes undoes the doubling of quotes in the first cell where none of them could be
// taken for the end of the cell.
func withRawQuotes(row []byte, delimiter byte) []byte {
	for start, end := range cells(row, delimiter) {
		c := row[start:end]
		if len(c) < 3 || c[0] != '"' {
			continue
		}
		inner := bytes.ReplaceAll(c[1:len(c)-1], []byte(`""`), []byte(`"`))
		if len(inner) == len(c)-2 || inner[0] == '"' || inner[len(inner)-1] == '"' {
			continue
		}
		clear := true
		for i, b := range inner[:len(inner)-1] {
			if b == '"' && (inner[i+1] == delimiter || inner[i+1] == '"' || inner[i+1] == '\n' || inner[i+1] == '\r' || inner[i+1] == 0) {
				clear = false
			}
		}
		if clear {
			return slices.Concat(row[:start+1], inner, row[end-1:])
		}
	}
	return nil
}

// cells yields where each cell of a well-formed row begins and ends.
func cells(row []byte, delimiter byte) func(func(start, end int) bool) {
	return func(yield func(start, end int) bool) {
		start, quoted := 0, false
		for i := 0; i <= len(row); i++ {
			if i < len(row) {
				if row[i] == '"' {
					quoted = !quoted
				}
				if quoted || row[i] != delimiter {
					continue
				}
			}
			if !yield(start, i) {
				return
			}
			start = i + 1
		}
	}
}
