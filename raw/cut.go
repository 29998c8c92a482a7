package raw

import "github.com/martsync/martsync"

// cut returns the rows from i up to and not including j. It shares memory with r.
func cut(r *martsync.Records, i, j int) *martsync.Records {
	if r == nil || i == 0 && j == r.Len {
		return r
	}
	out := &martsync.Records{Len: j - i, Columns: make([]martsync.Vector, len(r.Columns)), Tombstone: run(r.Tombstone, i, j), Deleted: run(r.Deleted, i, j)}
	for c := range r.Columns {
		v := &r.Columns[c]
		o := martsync.Vector{
			Type: v.Type, Nulls: run(v.Nulls, i, j), Bools: run(v.Bools, i, j), Ints: run(v.Ints, i, j),
			Days: run(v.Days, i, j), Floats: run(v.Floats, i, j), Decimals: run(v.Decimals, i, j),
		}
		if v.Offsets != nil {
			first := v.Offsets[i]
			o.Offsets = make([]int32, j-i+1)
			for k := range o.Offsets {
				o.Offsets[k] = v.Offsets[i+k] - first
			}
			o.Data = v.Data[first:v.Offsets[j]]
		}
		out.Columns[c] = o
	}
	return out
}

// run is s[i:j], or nil if there is nothing to cut.
func run[T any](s []T, i, j int) []T {
	if s == nil {
		return nil
	}
	return s[i:j]
}
