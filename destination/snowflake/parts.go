package snowflake

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/pqfile"
	"github.com/martsync/martsync/internal/rows"
)

// Columns that staged files have beside those of the table.
const (
	sequenceColumn = "_MARTSYNC_SEQ"  // the order in which rows were written
	kindColumn     = "_MARTSYNC_KIND" // what a row is
)

// Kinds of staged rows.
const (
	kindRecord  = 0 // a record
	kindFlagged = 1 // a record that carries the vendor's flag that it is deleted
	kindGone    = 2 // a tombstone: key and version
	kindExists  = 3 // a key of a census
	kindStored  = 4 // a key of the table that a scope or a census may be about; never in a file
)

// A file is a file on the stage.
type file struct {
	Key  string `json:"key"` // below the folder of the commit: "<writer>/000001.parquet"
	Rows int64  `json:"rows"`
	stats
}

// stats are what a commit wants to know of the rows of a file.
type stats struct {
	Bytes    int64   `json:"bytes"`
	Records  int64   `json:"records"` // those of kind record and flagged
	Gone     int64   `json:"gone"`
	NullKeys bool    `json:"nullKeys,omitempty"` // a key column is null somewhere
	Bounds   []bound `json:"bounds,omitempty"`   // parallel to the columns of the key
}

// A part is a file that is being written.
type part struct {
	file
	path  string
	f     *os.File
	buf   *bufio.Writer
	out   *pqfile.Writer
	texts map[int]bool // columns that are written as text
}

// stagedColumns are the columns of staged files, parallel to those of the schema, with the names in the catalog. What the
// table keeps as text is text here already; JSON is text until it is merged, because COPY would make a VARIANT
// with a string of it.
func (w *writer) stagedColumns() []martsync.Column {
	out := make([]martsync.Column, 0, len(w.schema.Columns))
	for _, c := range w.schema.Columns {
		name := w.d.config.columnName(c)
		staged := martsync.Column{Name: name, Type: c.Type, Precision: c.Precision, Scale: c.Scale}
		if i := w.table.find(name); c.Type == martsync.JSON || i >= 0 && sqlType(w.table.columns[i].Column) == "VARCHAR" {
			staged.Type, staged.Precision, staged.Scale = martsync.String, 0, 0
		}
		out = append(out, staged)
	}
	return out
}

func systemStaged() []martsync.Column {
	return []martsync.Column{{Name: sequenceColumn, Type: martsync.Int64}, {Name: kindColumn, Type: martsync.Int64}}
}

// newPart begins a file in the writer's folder.
func newPart(w *writer) (*part, error) {
	name := fmt.Sprintf("%06d.parquet", w.number)
	p := &part{path: filepath.Join(w.dir, name), texts: map[int]bool{}}
	p.Key = w.id + "/" + name
	f, err := os.OpenFile(p.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	columns := w.stagedColumns()
	for i, c := range columns {
		p.texts[i] = c.Type != w.schema.Columns[i].Type && w.schema.Columns[i].Type != martsync.JSON
	}
	p.f, p.buf = f, bufio.NewWriterSize(f, 256<<10)
	p.out, err = pqfile.NewWriter(p.buf, pqfile.Options{Columns: append(columns, systemStaged()...), RowGroup: rowGroup})
	if err != nil {
		p.abandon()
		return nil, err
	}
	return p, nil
}

// rowGroup bounds what a file under way keeps in memory, in bytes of records.
const rowGroup = 8 << 20

// write adds records.
func (p *part) write(w *writer, r *martsync.Records) error {
	out := martsync.Records{Len: r.Len, Columns: make([]martsync.Vector, 0, len(r.Columns)+2)}
	tombstones := slices.Contains(r.Tombstone, true)
	for i, c := range w.schema.Columns {
		v := r.Columns[i]
		if p.texts[i] {
			v = asText(c, &r.Columns[i], r.Len)
		} else if c.Type == martsync.JSON {
			v.Type = martsync.String
		}
		if tombstones && !w.schema.IsKey(c.Name) && c.Name != w.schema.Version {
			v.Nulls = or(v.Nulls, r.Tombstone)
		}
		out.Columns = append(out.Columns, v)
	}
	sequence, kind := make([]int64, r.Len), make([]int64, r.Len)
	for i := range r.Len {
		sequence[i] = w.sequence + int64(i)
		switch {
		case rows.Tombstone(r, i):
			kind[i] = kindGone
			p.Gone++
		case rows.Deleted(r, i):
			kind[i] = kindFlagged
			p.Records++
		default:
			p.Records++
		}
	}
	out.Columns = append(out.Columns, martsync.Vector{Type: martsync.Int64, Ints: sequence}, martsync.Vector{Type: martsync.Int64, Ints: kind})
	w.sequence += int64(r.Len)
	p.measure(w.schema, out.Columns, r.Len)
	return p.out.Write(&out)
}

// census adds keys that exist, to be compared with those of the table.
func (p *part) census(w *writer, keys []int64) error {
	columns := w.stagedColumns()
	out := martsync.Records{Len: len(keys)}
	nulls := make([]bool, len(keys))
	for i := range nulls {
		nulls[i] = true
	}
	for i, c := range columns {
		v := martsync.Vector{Type: c.Type}
		if w.schema.IsKey(w.schema.Columns[i].Name) {
			v.Ints = keys
			if p.texts[i] {
				v = asText(w.schema.Columns[i], &martsync.Vector{Type: martsync.Int64, Ints: keys}, len(keys))
			}
		} else {
			v = empty(c.Type, nulls)
		}
		out.Columns = append(out.Columns, v)
	}
	kind := make([]int64, len(keys))
	for i := range kind {
		kind[i] = kindExists
	}
	out.Columns = append(out.Columns, empty(martsync.Int64, nulls), martsync.Vector{Type: martsync.Int64, Ints: kind})
	return p.out.Write(&out)
}

// empty is a column of nulls.
func empty(t martsync.Type, nulls []bool) martsync.Vector {
	n := len(nulls)
	v := martsync.Vector{Type: t, Nulls: nulls}
	switch t {
	case martsync.Bool:
		v.Bools = make([]bool, n)
	case martsync.Int64, martsync.Timestamp:
		v.Ints = make([]int64, n)
	case martsync.Date:
		v.Days = make([]int32, n)
	case martsync.Float64:
		v.Floats = make([]float64, n)
	case martsync.Decimal:
		v.Decimals = make([]martsync.Int128, n)
	default:
		v.Offsets = make([]int32, n+1)
	}
	return v
}

// or is true where one of the two is.
func or(a, b []bool) []bool {
	out := slices.Clone(b)
	for i := range a {
		out[i] = out[i] || a[i]
	}
	return out
}

// asText writes a column as text, the way a column that is widened to text keeps it.
func asText(c martsync.Column, v *martsync.Vector, n int) martsync.Vector {
	out := martsync.Vector{Type: martsync.String, Nulls: v.Nulls, Offsets: make([]int32, 1, n+1)}
	for i := range n {
		if !v.Null(i) {
			if c.Type == martsync.Binary {
				out.Data = append(out.Data, hexUpper(v.Bytes(i))...)
			} else {
				out.Data = append(out.Data, rows.Text(rows.Cell(c, v, i))...)
			}
		}
		out.Offsets = append(out.Offsets, int32(len(out.Data))) //nolint:gosec // a batch is a few megabytes
	}
	return out
}

func hexUpper(b []byte) string { return upper(hex.EncodeToString(b)) }

// end completes the file.
func (p *part) end() error {
	err := p.out.Close()
	if err == nil {
		err = p.buf.Flush()
	}
	if err = errors.Join(err, p.f.Close()); err != nil {
		return err
	}
	info, err := os.Stat(p.path)
	if err != nil {
		return err
	}
	p.Rows, p.Bytes = p.out.Rows(), info.Size()
	return nil
}

// abandon gives an unfinished file up.
func (p *part) abandon() {
	_ = p.f.Close()
	p.remove()
}

func (p *part) remove() { _ = os.Remove(p.path) }

func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
