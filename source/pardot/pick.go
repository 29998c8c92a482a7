package pardot

import (
	"encoding/json"
	"slices"
)

// A picker makes rows of the records of a page: those that are the stream's and wanted.
type picker struct {
	b      *rowBuilder
	api    version
	zone   *zone    // of naive times; nil in version 5
	need   []string // version 5: only records that have one of these fields; empty: all
	types  []string // only records of these kinds; empty: all
	binned bool     // all of them are in the recycle bin
	flags  bool     // the table tells what is
}

// A pick is what became of a record.
type pick int

const (
	passedOver pick = iota // it is not the stream's, or not wanted
	appended
	refused // it is in quarantine
)

// take takes a record.
func (p *picker) take(row json.RawMessage, f face) pick {
	if f.id == 0 {
		p.b.refuse(row, "id", "a record without an id")
		return refused
	}
	if p.api == v5 && !hasAny(row, p.need) || len(p.types) > 0 && !slices.Contains(p.types, kindOf(row)) {
		return passedOver
	}
	var ok bool
	if p.api == v4 {
		ok = p.b.append4(row, p.zone)
	} else {
		ok = p.b.append5(row)
	}
	if !ok {
		return refused
	}
	if p.flags && (f.deleted || p.binned) {
		p.b.markDeleted()
	}
	return appended
}

// picker makes rows of what a version tells of the stream.
func (r *run) picker(v version, z *zone) picker {
	p := picker{b: r.builder(v), api: v, zone: z, types: r.plan.types, flags: r.layout.schema.Deletes}
	if v == v5 {
		p.need = r.obj.v5.need
	}
	return p
}
