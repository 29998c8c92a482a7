package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/martsync/martsync"
)

// missing returns the ids that the table of the view names and the other one lacks, ascending, as many as are wanted at
// once, and counts them all. A row that is marked deleted is no lack: it says that the vendor has been asked.
func (r *repairing) missing(ctx context.Context) ([]int64, error) {
	from, column := r.view.From, r.view.Join.On[0][0]
	in, key := r.view.Join.Stream, r.view.Join.On[0][1]
	if m, ok := r.o.Destination.(martsync.Matcher); ok {
		ids, all, err := m.Missing(ctx, martsync.Match{Stream: from, Column: column, In: in, Key: key}, r.o.Most)
		if martsync.KindOf(err) == martsync.Config {
			r.out.Skipped = "the tables cannot be compared: " + err.Error()
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("compare tables %s and %s: %w", from, in, err)
		}
		r.out.Missing, r.out.Left = int(all), int(all)-len(ids)
		return ids, nil
	}
	ids, err := r.compare(ctx, from, column, in, key)
	r.out.Missing = len(ids)
	if most := r.o.Most; most > 0 && len(ids) > most {
		ids, r.out.Left = ids[:most], len(ids)-most
	}
	return ids, err
}

// compare does with both tables in hand what a destination can do at home. It holds the keys of one of them: eight bytes
// a record.
func (r *repairing) compare(ctx context.Context, from, column, in, key string) ([]int64, error) {
	var have []int64
	known, err := r.each(ctx, in, key, func(id int64) { have = append(have, id) })
	if err != nil || !known {
		return nil, err
	}
	slices.Sort(have)
	var ids []int64
	next := 1 << 16
	tidy := func() {
		slices.Sort(ids)
		ids = slices.DeleteFunc(slices.Compact(ids), func(id int64) bool {
			_, found := slices.BinarySearch(have, id)
			return found
		})
		next = 2*len(ids) + 1<<16
	}
	_, err = r.each(ctx, from, column, func(id int64) {
		if ids = append(ids, id); len(ids) >= next {
			tidy()
		}
	})
	tidy()
	return ids, err
}

// each yields the values of a column of whole numbers above zero.
func (r *repairing) each(ctx context.Context, stream, column string, visit func(int64)) (known bool, err error) {
	s, records, err := r.tables.ReadTable(ctx, stream)
	if martsync.KindOf(err) == martsync.Config {
		r.out.Skipped = "there is no table " + stream + " yet"
		return false, nil
	}
	if err != nil {
		return false, err
	}
	i := s.Index(column)
	if i < 0 || s.Columns[i].Type != martsync.Int64 {
		r.out.Skipped = fmt.Sprintf("%s of %s holds no whole numbers", column, stream)
		return false, nil
	}
	for batch, err := range records {
		if err != nil {
			return false, fmt.Errorf("read table %s: %w", stream, err)
		}
		for k := range batch.Len {
			if id := batch.Columns[i].Ints[k]; !batch.Columns[i].Null(k) && id > 0 {
				visit(id)
			}
		}
	}
	return true, nil
}
