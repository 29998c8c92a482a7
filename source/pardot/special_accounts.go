package pardot

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// An accountStream reads the one record of the business unit. Account Engagement API, Account.
type accountStream struct {
	source *source
	layout *layout
	api    version
}

const accountStreamName = "accounts"

// newAccounts returns the stream of the business unit's own record.
func newAccounts(s *source) martsync.Stream {
	o := objectOf(accountStreamName)
	full := makeLayout(o, s.plan(o), nil)
	// How many calls were made today is other with each call, so that no two readings would be
	// alike. Usage tells it.
	l := &layout{schema: martsync.Schema{Stream: o.stream, Key: full.schema.Key, Snapshot: true}}
	for i, f := range full.fields {
		if f.v5 != "apiCallsUsed" {
			l.add(f, full.schema.Columns[i])
		}
	}
	return &accountStream{source: s, layout: l, api: s.plan(o).api}
}

// add appends a column.
func (l *layout) add(f field, c martsync.Column) {
	l.fields = append(l.fields, f)
	l.schema.Columns = append(l.schema.Columns, c)
	if f.v5 != "" && !f.joined {
		l.fields5 = append(l.fields5, f.v5)
	}
	if f.v4 != "" {
		l.fields4 = append(l.fields4, f.v4)
	}
}

func (s *accountStream) Schema() martsync.Schema { return s.layout.schema }

// Read reads the record, wherever it is asked to begin.
func (s *accountStream) Read(ctx context.Context, _ martsync.Cursor, _ martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		b, err := s.read(ctx)
		if err != nil {
			yield(martsync.Batch{}, err)
			return
		}
		yield(b, nil)
	}
}

// read returns the record with the window it makes up. An account without version 5 for it is read by
// version 4, which has most of its columns.
func (s *accountStream) read(ctx context.Context) (martsync.Batch, error) {
	r := recordReader{source: s.source, object: objectOf(accountStreamName), layout: s.layout, op: "read the account"}
	by := s.api
	row, err := r.read(ctx, by, 0)
	if s.api == v5 && isRefused(err) {
		if old, err4 := r.read(ctx, v4, 0); err4 == nil {
			row, err, by = old, nil, v4
			r.notes = append(r.notes, martsync.Note{Operation: "version", Message: "version 5 does not tell the account; version 4 does"})
		}
	}
	if err != nil {
		return martsync.Batch{}, err
	}
	b := row.batch()
	b.Bytes, b.Notes = r.bytes, r.notes
	if s.source.keeps {
		b.Raw = []martsync.Raw{r.kept(by, row.zone)}
	}
	b.Cursor = martsync.Cursor(`{"read":` + strconv.FormatInt(s.source.now().Unix(), 10) + `}`)
	b.Window = &martsync.Window{
		Filter: `{"read":"account"}`, Records: -1, Bytes: -1, Parsed: 1, Quarantined: int64(len(b.Quarantined)), Calls: r.calls,
	}
	return b, nil
}

// A recordReader reads single records by id.
type recordReader struct {
	source *source
	object *object
	layout *layout
	op     string

	lost  []string // fields that the vendor does not know
	notes []martsync.Note
	calls int64
	bytes int64
	body  []byte // the last reply
}

// read reads a record by a version; id 0 is the record of a resource that has only one. The builder
// holds it until it is used for the next one.
func (r *recordReader) read(ctx context.Context, v version, id int64) (*rowBuilder, error) {
	b := newRowBuilder(r.layout.columnsFor(v), r.source.decodes())
	raw, err := r.raw(ctx, v, id)
	if err != nil {
		return nil, err
	}
	b.from(r.op, 0)
	if v == v4 {
		z, err := r.source.zone(ctx)
		if err != nil {
			return nil, err
		}
		b.append4(raw, z)
		return b, nil
	}
	if b.append5(raw) && r.object.v5.bin && faceOf(raw).deleted {
		b.markDeleted()
	}
	return b, nil
}

// raw reads a record as it arrives.
func (r *recordReader) raw(ctx context.Context, v version, id int64) (json.RawMessage, error) {
	if v == v4 {
		r.calls++
		raw, body, err := r.source.client.reply4(ctx, r.op, readPath4(r.object, id), r.object.v4.key, nil)
		r.bytes, r.body = r.bytes+int64(len(raw)), body
		return raw, err
	}
	for {
		fields := slices.DeleteFunc(slices.Clone(r.layout.fields5), func(f string) bool { return slices.Contains(r.lost, f) })
		q := fieldsQuery(fields...)
		if r.object.v5.bin {
			q.Set("deleted", "all")
		}
		r.calls++
		raw, body, err := r.source.client.reply5(ctx, r.op, readPath5(r.object, id), q)
		if name := unknownField(err); name != "" && name != "id" && slices.Contains(fields, name) {
			r.lost = append(r.lost, name)
			if i := slices.IndexFunc(r.layout.fields, func(f field) bool { return f.v5 == name }); i < 0 || !r.layout.fields[i].wish {
				r.notes = append(r.notes, martsync.Note{Operation: "schema", Message: "the vendor refuses the field " + name + "; it stays empty"})
			}
			continue
		}
		r.bytes, r.body = r.bytes+int64(len(raw)), body
		return raw, err
	}
}

// kept is the last reply, which a version told.
func (r *recordReader) kept(v version, z *zone) martsync.Raw {
	h := recipe{Kind: recordBody, API: v, Job: r.op}
	h.Columns = unusual(r.layout.schema.Columns, r.layout.columnsFor(v), v)
	name := strings.TrimPrefix(readPath5(r.object, 0), "/") + ".json"
	if v == v4 {
		name = "api/" + r.object.v4.path + ".json"
		h.Rows, h.Zone, h.Entities = r.object.v4.key, z.name(), r.source.decodes()
	}
	return martsync.Raw{Body: name, Data: r.body, How: h.how()}
}
