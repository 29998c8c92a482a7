package pardot

import (
	"context"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/setting"
)

// A layout is the table of an object as the configuration reads it.
type layout struct {
	schema  martsync.Schema
	fields  []field  // parallel to schema.Columns
	fields5 []string // what queries of version 5 ask for
	fields4 []string // what version 4 calls the fields, those it cannot export included
	custom  bool     // there are fields among them that the account has added
}

// layout returns the table of an object. For one with custom fields it may ask the account.
func (s *source) layout(ctx context.Context, o *object) (*layout, error) {
	var custom []field
	if o.custom != noCustom {
		c, err := s.customColumns(ctx)
		if err != nil {
			return nil, err
		}
		if custom, err = c.columns(o.custom); err != nil {
			return nil, err
		}
	}
	return makeLayout(o, s.plan(o), custom), nil
}

// makeLayout makes the table of an object that is read in that way.
func makeLayout(o *object, plan reading, custom []field) *layout {
	l := &layout{custom: len(custom) > 0}
	l.schema = martsync.Schema{Stream: o.stream, Key: []string{"id"}, Deletes: o.deletes()}
	if o.key != nil {
		l.schema.Key = o.key
	}
	namer := columns.NewSnakeNamer()
	for _, f := range slices.Concat(o.fields, custom) {
		// All fields are named, in one order, so that a name does not depend on the way of reading.
		name := namer.Name(setting.Or(f.name, setting.Or(f.v5, f.v4)))
		queried, filed := plan.tells(f)
		if !queried && !filed {
			continue
		}
		c := columnOf(f, setting.Or(f.v5, f.v4))
		c.Name = name
		c.Sticky = f.sticky || queried != filed && plan.read == byAuto
		if f.typ == martsync.Timestamp && f.v5 == "updatedAt" && !f.wish && plan.read == byQuery && plan.api == v5 {
			// Its times have offsets, so that they order the versions of a record. Naive ones
			// do not, in the autumn.
			l.schema.Version = name
		}
		l.schema.Columns = append(l.schema.Columns, c)
		l.fields = append(l.fields, f)
		if f.v5 != "" && !f.joined {
			l.fields5 = append(l.fields5, f.v5)
		}
		if f.v4 != "" {
			l.fields4 = append(l.fields4, f.v4)
		}
	}
	return l
}

// tells reports whether queries, joins included, and export jobs tell a field. Of the ways that the
// configuration does not use, none does.
func (r reading) tells(f field) (queried, filed bool) {
	if f.joined && (strings.HasPrefix(f.v5, statsPrefix) && !r.stats || strings.HasSuffix(f.v5, "Message") && !r.messages) {
		return false, false
	}
	if r.read != byExport {
		queried = r.api == v5 && f.v5 != "" || r.api == v4 && f.v4 != ""
	}
	if r.read != byQuery {
		filed = inFiles(f, r.exports)
	}
	return queried, filed
}

// inFiles reports whether exports of a version tell a field.
func inFiles(f field, v version) bool {
	if v == v4 {
		return f.v4 != "" && !f.noFile
	}
	return f.v5 != "" && !f.joined && !strings.Contains(f.v5, ".")
}

// columnOf makes the column of a field that the vendor calls origin.
func columnOf(f field, origin string) martsync.Column {
	c := martsync.Column{Name: setting.Or(f.name, columns.Snake(setting.Or(f.v5, f.v4))), Origin: origin, Type: f.typ, Description: f.text}
	if c.Type == martsync.Decimal {
		c.Precision, c.Scale = decimalPrecision, decimalScale
	}
	return c
}

// Decimals hold what custom fields of type Number have, without rounding.
const (
	decimalPrecision = 38
	decimalScale     = 10
)

// columnsFor returns the columns with what a version calls the fields as their origin. Columns that
// it lacks have one that no record has.
func (l *layout) columnsFor(v version) []martsync.Column {
	cols := slices.Clone(l.schema.Columns)
	for i, f := range l.fields {
		name := f.v5
		if v == v4 {
			name = f.v4
		}
		cols[i].Origin = setting.Or(name, "\x00"+cols[i].Name)
	}
	return cols
}

// mostFileFields is how many fields an export may be asked for. Account Engagement API, Export.
const mostFileFields = 150

// fileFields is what to ask an export of a version for. Nil: it is more than the vendor takes, so that
// the export has to be asked for everything it has.
func (l *layout) fileFields(v version) []string {
	var names []string
	for _, f := range l.fields {
		switch {
		case !inFiles(f, v):
		case v == v4:
			names = append(names, f.v4)
		default:
			names = append(names, f.v5)
		}
	}
	if len(names) > mostFileFields {
		return nil
	}
	return names
}
