package files

import (
	"context"
	"iter"
	"slices"

	"github.com/martsync/martsync"
)

var _ martsync.Matcher = (*destination)(nil)

// Missing compares two tables. First it looks at the two columns alone, in the versions of rows that there are: what they name
// and the other table never had is little, and usually nothing. Only then does it find out which rows are current.
func (d *destination) Missing(ctx context.Context, m martsync.Match, most int) ([]int64, int64, error) {
	var have []int64
	if err := d.numbers(ctx, m.In, m.Key, func(v int64) { have = append(have, v) }); err != nil {
		return nil, 0, err
	}
	slices.Sort(have)
	lacks := lacking{have: have}
	if err := d.numbers(ctx, m.Stream, m.Column, lacks.add); err != nil {
		return nil, 0, err
	}
	if lacks.tidy(); len(lacks.values) == 0 {
		return nil, 0, nil
	}
	named := map[int64]bool{}
	s, records, err := d.ReadTable(ctx, m.Stream)
	if err != nil {
		return nil, 0, err
	}
	for v, err := range numbersOf(records, s.Index(m.Column)) {
		if err != nil {
			return nil, 0, err
		}
		if _, lacked := slices.BinarySearch(lacks.values, v); lacked {
			named[v] = true
		}
	}
	values := slices.DeleteFunc(lacks.values, func(v int64) bool { return !named[v] })
	all := int64(len(values))
	if most > 0 && len(values) > most {
		values = values[:most]
	}
	return values, all, nil
}

// A lacking gathers numbers above zero that are not among others. It holds each once.
type lacking struct {
	have   []int64 // ascending
	values []int64 // ascending after tidy
	next   int
}

// lackingLeast is how many numbers are gathered before it is worth looking which of them are the same.
const lackingLeast = 1 << 16

func (l *lacking) add(v int64) {
	if l.values = append(l.values, v); len(l.values) >= max(l.next, lackingLeast) {
		l.tidy()
	}
}

func (l *lacking) tidy() {
	slices.Sort(l.values)
	l.values = slices.DeleteFunc(slices.Compact(l.values), func(v int64) bool {
		_, found := slices.BinarySearch(l.have, v)
		return found
	})
	l.next = 2*len(l.values) + lackingLeast
}

// numbers visits the whole numbers above zero in a column of all versions of the rows of a table. Of files in columns it reads
// nothing else.
func (d *destination) numbers(ctx context.Context, stream, column string, visit func(int64)) error {
	t, err := d.table(ctx, stream)
	if err != nil {
		return err
	}
	schema := t.schema()
	if i := schema.Index(column); i < 0 || schema.Columns[i].Type != martsync.Int64 {
		return fail(martsync.Config, "compare table "+stream, "", "its column %s holds no whole numbers", column)
	}
	var known schemaCache
	for m, err := range d.effective(ctx, t) {
		if err != nil {
			return err
		}
		for _, f := range m.Files {
			s, err := known.schemaOf(m, &f)
			if err != nil {
				return damagedDocument(t.manifest(m.Number), err)
			}
			i := s.Index(column)
			if i < 0 || s.Columns[i].Type != martsync.Int64 {
				continue // an older file, without the column
			}
			if f.Format.Kind == parquetFormat {
				s, i = martsync.Schema{Stream: s.Stream, Columns: []martsync.Column{s.Columns[i]}}, 0
			}
			for v, err := range numbersOf(d.readable(ctx, stream, m.Number, d.fileRows(ctx, f, s)), i) {
				if err != nil {
					return err
				}
				visit(v)
			}
		}
	}
	return nil
}

// numbersOf yields the numbers above zero in a column.
func numbersOf(records iter.Seq2[*martsync.Records, error], column int) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for r, err := range records {
			if err != nil {
				yield(0, err)
				return
			}
			c := &r.Columns[column]
			for k := range r.Len {
				if !c.Null(k) && c.Ints[k] > 0 && !yield(c.Ints[k], nil) {
					return
				}
			}
		}
	}
}
