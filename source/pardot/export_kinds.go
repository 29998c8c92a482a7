package pardot

import (
	"slices"
	"strconv"

	"github.com/martsync/martsync"
)

// kinds leaves out the rows of a file whose kind is not wanted: a job is asked for all of them, since whether
// it takes several is not documented.
type kinds struct {
	wanted []string // empty: all
	column int      // that tells the kind

	keep    []int
	row     []martsync.Vector
	records martsync.Records
}

// newKinds returns what leaves out rows of a file with this header. A file that does not tell kinds keeps all.
func newKinds(wanted []string, columns []martsync.Column, header []string) *kinds {
	k := &kinds{wanted: wanted}
	k.column = slices.IndexFunc(columns, func(c martsync.Column) bool { return c.Origin == "type" && c.Type == martsync.Int64 })
	if k.column < 0 || !slices.ContainsFunc(header, func(name string) bool { return fold(name) == "type" }) {
		k.wanted = nil
	}
	return k
}

// choose returns the rows that are wanted, in the memory of r. They are borrowed as r is, and until the next call.
func (k *kinds) choose(r *martsync.Records) *martsync.Records {
	if len(k.wanted) == 0 {
		return r
	}
	kind := &r.Columns[k.column]
	k.keep = k.keep[:0]
	var text [20]byte
	for i := range r.Len {
		if !kind.Null(i) && slices.Contains(k.wanted, string(strconv.AppendInt(text[:0], kind.Ints[i], 10))) {
			k.keep = append(k.keep, i)
		}
	}
	if len(k.keep) == r.Len {
		return r
	}
	k.row = append(k.row[:0], r.Columns...)
	for c := range k.row {
		narrow(&k.row[c], k.keep)
	}
	k.records = martsync.Records{Len: len(k.keep), Columns: k.row}
	return &k.records
}

// narrow leaves in a vector the rows of these indexes, which rise.
func narrow(v *martsync.Vector, keep []int) {
	v.Nulls, v.Bools, v.Ints = chosen(v.Nulls, keep), chosen(v.Bools, keep), chosen(v.Ints, keep)
	v.Days, v.Floats, v.Decimals = chosen(v.Days, keep), chosen(v.Floats, keep), chosen(v.Decimals, keep)
	if len(v.Offsets) == 0 {
		return
	}
	end := int32(0)
	for to, from := range keep { // a row never moves behind where one that is yet to move begins
		begin, after := v.Offsets[from], v.Offsets[from+1]
		copy(v.Data[end:], v.Data[begin:after])
		v.Offsets[to] = end
		end += after - begin
	}
	v.Offsets[len(keep)] = end
	v.Offsets, v.Data = v.Offsets[:len(keep)+1], v.Data[:end]
}

func chosen[T any](values []T, keep []int) []T {
	if len(values) == 0 {
		return values
	}
	for to, from := range keep {
		values[to] = values[from]
	}
	return values[:len(keep)]
}
