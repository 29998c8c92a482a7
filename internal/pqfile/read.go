package pqfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/parquet-go/parquet-go/format"

	"github.com/martsync/martsync"
)

// ErrDamaged is below every error that says that a file is not as it was written, or not
// written by a Writer.
var ErrDamaged = errors.New("the Parquet file is damaged")

func damaged(text string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(text, args...))
}

// ReadOptions say what to read of a file.
type ReadOptions struct {
	// Columns to read, found by name. One that the file does not have is null in every row.
	Columns []martsync.Column

	// Tombstone and Deleted name the columns of these flags, as in Options. A file without
	// the column has no such row.
	Tombstone, Deleted string
}

// Read yields the rows of a file that a Writer wrote, in their order. Each batch is borrowed:
// valid until the next one is asked for. An error ends the sequence: ErrDamaged, or one of r or
// ctx.
//
// A row group is read at once, if it is of a size that Writers make, so that a reader that
// fetches ranges over a network is asked once for each of them.
func Read(ctx context.Context, r io.ReaderAt, size int64, o ReadOptions) iter.Seq2[*martsync.Records, error] {
	return func(yield func(*martsync.Records, error) bool) {
		f, err := openFile(r, size, o)
		if err != nil {
			yield(nil, fmt.Errorf("read parquet: %w", err))
			return
		}
		for {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			records, err := f.next()
			if err != nil {
				yield(nil, fmt.Errorf("read parquet: %w", err))
				return
			}
			if records == nil || !yield(records, nil) {
				return
			}
		}
	}
}

// A file is being read.
type file struct {
	cache   *cache
	meta    *format.FileMetaData
	columns []*cursor // nil: the file does not have the column
	flags   [2]*cursor
	group   int   // of the row group that comes next
	left    int64 // rows of the row group under way
	batch   batch
}

// guard turns a panic over a damaged file into an error. Nothing here should panic, but the
// decoder of the structures is not ours, and a program that syncs other streams at the same
// time shall not end over one file.
func guard(err *error) {
	switch p := recover().(type) {
	case nil:
	case error:
		*err = damaged("%w", p)
	default:
		*err = damaged("%v", p)
	}
}

func openFile(r io.ReaderAt, size int64, o ReadOptions) (f *file, err error) {
	defer guard(&err)
	f = &file{cache: &cache{r: r, size: size}}
	footer, err := f.cache.footer()
	if err != nil {
		return nil, err
	}
	if f.meta, err = readFooter(footer); err != nil {
		return nil, err
	}
	for _, c := range o.Columns {
		k, err := f.find(c)
		if err != nil {
			return nil, err
		}
		f.columns = append(f.columns, k)
	}
	for i, name := range []string{o.Tombstone, o.Deleted} {
		if name != "" {
			if f.flags[i], err = f.find(martsync.Column{Name: name, Type: martsync.Bool}); err != nil {
				return nil, err
			}
		}
	}
	f.batch.init(o.Columns)
	return f, nil
}

// find returns a cursor for a column, or nil if the file does not have it.
func (f *file) find(c martsync.Column) (*cursor, error) {
	for i, have := range f.meta.Schema[1:] {
		want := element(c)
		if have.Name != c.Name {
			continue
		}
		same := have.NumChildren.V == 0 && have.Type == want.Type && have.TypeLength == want.TypeLength &&
			have.RepetitionType == want.RepetitionType && have.Scale.V == want.Scale.V &&
			have.LogicalType.String() == want.LogicalType.String()
		if !same {
			return nil, damaged("column %s is not of type %s", c.Name, c.TypeName())
		}
		return &cursor{cache: f.cache, leaf: i, name: c.Name, kind: kindOf(c)}, nil
	}
	return nil, nil
}

var null = value{null: true}

// next returns the next batch, or nil at the end.
func (f *file) next() (r *martsync.Records, err error) {
	defer guard(&err)
	for f.left == 0 {
		if f.group == len(f.meta.RowGroups) {
			return nil, nil
		}
		if err := f.begin(&f.meta.RowGroups[f.group]); err != nil {
			return nil, err
		}
	}
	b := &f.batch
	b.reset()
	for f.left > 0 && !b.full() {
		for i, c := range f.columns {
			v := &null
			if c != nil {
				if v, err = c.next(); err != nil {
					return nil, c.blame(err)
				}
			}
			if err := b.append(i, v); err != nil {
				return nil, err
			}
		}
		for i, c := range f.flags {
			if c == nil {
				continue
			}
			v, err := c.next()
			if err != nil {
				return nil, c.blame(err)
			}
			b.flag(i, v.word != 0)
		}
		b.rows++
		f.left--
	}
	return b.records(), nil
}

// begin turns to the next row group.
func (f *file) begin(g *format.RowGroup) error {
	if err := f.cache.load(g); err != nil {
		return err
	}
	for _, c := range append(f.columns[:len(f.columns):len(f.columns)], f.flags[:]...) {
		if c == nil {
			continue
		}
		if err := c.begin(&g.Columns[c.leaf]); err != nil {
			return c.blame(err)
		}
	}
	f.left = g.NumRows
	f.group++
	return nil
}
