package pardot

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// Lookup reads records by id, one a call: by version 5, which tells more of a record by id than in
// queries, or by version 4 where only that has the object. Records in the recycle bin are read,
// too, where version 5 shows them. Ids that do not exist are left out. A record that does not fit
// its columns ends the sequence with an error of kind Data.
func (s *source) Lookup(ctx context.Context, stream string, ids, fields []string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	o := objectOf(stream)
	if o == nil || o.v5 == nil && o.v4 == nil || len(o.key) > 0 {
		return martsync.Schema{}, nil, fmt.Errorf("pardot: look up %s by id: %w", stream, martsync.ErrUnsupported)
	}
	numbers, err := parseIDs(ids)
	if err != nil {
		return martsync.Schema{}, nil, err
	}
	full, err := s.lookupLayout(ctx, o)
	if err != nil {
		return martsync.Schema{}, nil, err
	}
	chosen, err := full.choose(fields)
	if err != nil {
		return martsync.Schema{}, nil, err
	}
	op := "look up " + strings.ReplaceAll(stream, "_", " ") + " by id"
	look := lookup{recordReader: recordReader{source: s, object: o, layout: chosen, op: op}, by: s.lookupVersion(o)}
	for _, f := range chosen.fields {
		if strings.HasPrefix(f.v5, statsPrefix) {
			look.stats = append(look.stats, f)
		}
	}
	if len(look.stats) > 0 {
		look.join = newDetailJoin(s, o, look.stats)
	}
	return chosen.schema, look.all(ctx, numbers), nil
}

// SameTime reports whether the two are one or show the same on the clocks of the API user, for which version 4 and
// export files write them.
func (s *source) SameTime(ctx context.Context, stream string, a, b time.Time) (bool, error) {
	o := objectOf(stream)
	if a.Equal(b) || o == nil || o.v4 == nil && !o.exports(v4) {
		return a.Equal(b), nil
	}
	z, err := s.zone(ctx)
	if err != nil {
		return false, err
	}
	wall := z.wall(a)
	_, _, twice := z.repeated(wall)
	return twice && wall == z.wall(b) && a.Nanosecond() == b.Nanosecond(), nil
}

// lookupVersion is the version that reads an object by id.
func (s *source) lookupVersion(o *object) version {
	switch {
	case o.v5 == nil:
		return v4
	case o.stream == clickStream: // ids of the two versions are of different records
		return s.plan(o).api
	default:
		return v5
	}
}

// lookupLayout is the table of an object with everything that a read by id tells: messages, too, which
// the configuration may leave out of the table.
func (s *source) lookupLayout(ctx context.Context, o *object) (*layout, error) {
	table, err := s.layout(ctx, o)
	if err != nil {
		return nil, err
	}
	by := s.lookupVersion(o)
	full := &layout{schema: martsync.Schema{Stream: o.stream, Key: []string{"id"}, Deletes: by == v5 && o.v5.bin}}
	has := func(name string) bool { return full.schema.Index(name) >= 0 }
	for i, f := range table.fields {
		full.add(f, table.schema.Columns[i])
	}
	for _, f := range o.fields {
		if c := columnOf(f, f.v5); f.joined && f.v5 != "" && by == v5 && !has(c.Name) {
			full.add(f, c)
		}
	}
	for i, f := range full.fields { // what this version does not tell is null and means nothing
		full.schema.Columns[i].Sticky = by == v5 && f.v5 == "" || by == v4 && f.v4 == ""
	}
	return full, nil
}

// choose returns the wanted columns in the order of the table, the id always among them. Names are
// those of columns or the vendor's.
func (l *layout) choose(names []string) (*layout, error) {
	wanted := map[string]bool{"id": true}
	all := l.schema.Columns
	for _, n := range names {
		i := slices.IndexFunc(all, func(c martsync.Column) bool { return c.Name == n || c.Origin == n })
		if i < 0 {
			i = slices.IndexFunc(l.fields, func(f field) bool { return strings.EqualFold(f.v5, n) || strings.EqualFold(f.v4, n) })
		}
		if i < 0 {
			return nil, &martsync.Error{
				Kind: martsync.Config, Op: "pardot: look up by id", Err: fmt.Errorf("there is no field %q", n), Hint: "martsync streams lists the fields.",
			}
		}
		wanted[all[i].Name] = true
	}
	chosen := &layout{schema: l.schema}
	chosen.schema.Columns = nil
	for i, c := range all {
		if len(names) == 0 || wanted[c.Name] {
			chosen.add(l.fields[i], c)
		}
	}
	// What queries do not tell, reads by id do, but for statistics: they come from a call of their own.
	for _, f := range chosen.fields {
		if f.joined && f.v5 != "" && !strings.HasPrefix(f.v5, statsPrefix) {
			chosen.fields5 = append(chosen.fields5, f.v5)
		}
	}
	return chosen, nil
}

func parseIDs(texts []string) ([]int64, error) {
	ids := make([]int64, 0, len(texts))
	for _, t := range texts {
		id := idOf([]byte(strings.TrimSpace(t)))
		if id == 0 {
			return nil, &martsync.Error{
				Kind: martsync.Config, Op: "pardot: look up by id", Err: fmt.Errorf("%q is not an id", t), Hint: "Ids are whole numbers above zero.",
			}
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// A lookup is one Lookup under way.
type lookup struct {
	recordReader
	by    version
	stats []field
	join  *detailJoin
}

// lookupBatch is how many records are handed over at once.
const lookupBatch = 100

// all yields the records with these ids.
func (l *lookup) all(ctx context.Context, ids []int64) iter.Seq2[*martsync.Records, error] {
	return func(yield func(*martsync.Records, error) bool) {
		b := newRowBuilder(l.layout.columnsFor(l.by), l.source.decodes())
		var z *zone
		if l.by == v4 && len(ids) > 0 {
			var err error
			if z, err = l.source.zone(ctx); err != nil {
				yield(nil, err)
				return
			}
		}
		waiting := 0
		for _, id := range ids {
			raw, err := l.one(ctx, id)
			if err != nil {
				yield(nil, err)
				return
			}
			if raw == nil {
				continue
			}
			if waiting > 0 && (waiting >= lookupBatch || b.full(raw)) {
				if waiting = 0; !yield(b.batch().Records, nil) {
					return
				}
			}
			if !l.put(b, raw, z) {
				reason := b.batch().Quarantined[0]
				yield(nil, &martsync.Error{
					Kind: martsync.Data, Op: "pardot: " + l.op, Err: fmt.Errorf("record %d: column %s: %s", id, reason.Column, reason.Reason),
				})
				return
			}
			waiting++
		}
		if waiting > 0 {
			yield(b.batch().Records, nil)
		}
	}
}

// put appends a record. It reports whether it fits.
func (l *lookup) put(b *rowBuilder, raw json.RawMessage, z *zone) bool {
	if l.by == v4 {
		return b.append4(raw, z)
	}
	if !b.append5(raw) {
		return false
	}
	if l.object.v5.bin && faceOf(raw).deleted {
		b.markDeleted()
	}
	return true
}

// one reads a record with what belongs to it, nil if there is none.
func (l *lookup) one(ctx context.Context, id int64) (json.RawMessage, error) {
	var raw json.RawMessage
	var err error
	switch {
	case l.object.stream == clickStream && l.by == v4: // version 4 has a query for them only
		raw, err = l.click(ctx, id)
	case l.object.single:
		raw, err = l.raw(ctx, l.by, 0)
		if err == nil && faceOf(raw).id != id {
			return nil, nil
		}
	default:
		raw, err = l.raw(ctx, l.by, id)
	}
	if unreadable(err) {
		return nil, nil
	}
	if err != nil || raw == nil || l.join == nil {
		return raw, err
	}
	var more []complement
	r := &run{stream: &stream{src: l.source, obj: l.object}, ctx: ctx}
	if err := l.join.statistics(ctx, r, id, &more); err != nil {
		return nil, err
	}
	return withMembers(raw, more), nil
}

// click reads one click in an email, nil if there is none.
func (l *lookup) click(ctx context.Context, id int64) (json.RawMessage, error) {
	p, err := l.source.client.query4(ctx, l.op, l.object.v4, url.Values{
		"id_greater_than": {strconv.FormatInt(id-1, 10)}, "limit": {"1"}, "sort_by": {"id"}, "sort_order": {"ascending"},
	})
	if err != nil || len(p.rows) == 0 || faceOf(p.rows[0]).id != id {
		return nil, err
	}
	return p.rows[0], nil
}
