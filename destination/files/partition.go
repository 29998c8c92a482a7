package files

import (
	"iter"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// typeColumn returns the column that holds the type of the stream's activities, or -1 if it is
// not a stream of activities.
func typeColumn(s *martsync.Schema) int {
	if i := s.Index("activity_type_id"); i >= 0 {
		return i
	}
	if i := s.Index("activity_type"); i >= 0 {
		return i
	}
	if s.Stream == "activities" || strings.HasSuffix(s.Stream, "_activities") {
		return s.Index("type")
	}
	return -1
}

// partitioned reports whether rows of one batch may belong into different files. Files of one
// commit have no order among their rows, so the versions of a record must stay in one of them.
// The type of an activity never changes, but a tombstone does not tell it: streams with
// deletions are not divided.
func (l *layout) partitioned(s *martsync.Schema) bool {
	return l.uses(activityPlaceholder) && !s.Deletes && typeColumn(s) >= 0
}

// untyped is the partition of rows whose type is null.
const untyped = "none"

// partitions divides rows by the file they belong into, told by layoutValues.ActivityType; each
// partition of r comes once, its rows in their order. Where the layout knows no
// types the only one is "". The records are borrowed: valid until the next ones are asked for.
func (l *layout) partitions(s *martsync.Schema, r *martsync.Records) iter.Seq2[string, *martsync.Records] {
	return func(yield func(string, *martsync.Records) bool) {
		if !l.partitioned(s) {
			yield("", r)
			return
		}
		i := typeColumn(s)
		var order []string
		rows := map[string][]int{}
		text := []byte(nil)
		for k := range r.Len {
			text = append(text[:0], untyped...)
			if !r.Columns[i].Null(k) {
				text = columns.AppendFormat(text[:0], s.Columns[i], &r.Columns[i], k)
			}
			list, known := rows[string(text)]
			if !known {
				order = append(order, string(text))
			}
			rows[string(text)] = append(list, k)
		}
		for _, name := range order {
			part := r
			if len(order) > 1 {
				part = pick(r, rows[name])
			}
			if !yield(or(name, untyped), part) {
				return
			}
		}
	}
}

// pick returns the rows at these positions, in new memory.
func pick(r *martsync.Records, rows []int) *martsync.Records {
	out := &martsync.Records{
		Len: len(rows), Columns: make([]martsync.Vector, len(r.Columns)),
		Tombstone: pickFrom(r.Tombstone, rows), Deleted: pickFrom(r.Deleted, rows),
	}
	for i := range r.Columns {
		v := &r.Columns[i]
		o := &out.Columns[i]
		*o = martsync.Vector{
			Type: v.Type, Nulls: pickFrom(v.Nulls, rows), Bools: pickFrom(v.Bools, rows), Ints: pickFrom(v.Ints, rows),
			Days: pickFrom(v.Days, rows), Floats: pickFrom(v.Floats, rows), Decimals: pickFrom(v.Decimals, rows),
		}
		if v.Offsets == nil {
			continue
		}
		o.Offsets = append(make([]int32, 0, len(rows)+1), 0)
		for _, k := range rows {
			o.Data = append(o.Data, v.Bytes(k)...)
			o.Offsets = append(o.Offsets, int32(len(o.Data))) //nolint:gosec // no more than r.Data
		}
	}
	return out
}

func pickFrom[T any](values []T, rows []int) []T {
	if values == nil {
		return nil
	}
	out := make([]T, len(rows))
	for i, k := range rows {
		out[i] = values[k]
	}
	return out
}

// slice returns the rows [from, to) of r. It shares the memory of r, but for offsets.
func slice(r *martsync.Records, from, to int) *martsync.Records {
	if from == 0 && to == r.Len {
		return r
	}
	out := &martsync.Records{
		Len: to - from, Columns: make([]martsync.Vector, len(r.Columns)),
		Tombstone: cut(r.Tombstone, from, to), Deleted: cut(r.Deleted, from, to),
	}
	for i := range r.Columns {
		v := &r.Columns[i]
		o := &out.Columns[i]
		*o = martsync.Vector{
			Type: v.Type, Nulls: cut(v.Nulls, from, to), Bools: cut(v.Bools, from, to), Ints: cut(v.Ints, from, to),
			Days: cut(v.Days, from, to), Floats: cut(v.Floats, from, to), Decimals: cut(v.Decimals, from, to),
		}
		if v.Offsets == nil {
			continue
		}
		begin := v.Offsets[from]
		o.Data = v.Data[begin:v.Offsets[to]] // not all of it: Records.Size counts it
		for _, end := range v.Offsets[from : to+1] {
			o.Offsets = append(o.Offsets, end-begin)
		}
	}
	return out
}

func cut[T any](values []T, from, to int) []T {
	if values == nil {
		return nil
	}
	return values[from:to]
}
