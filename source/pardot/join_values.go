package pardot

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// A valueJoin adds the custom fields of prospects that have several values. Version 5 tells them in
// reads by id only; version 4 has them in its queries. Account Engagement API, Prospect; Custom Field.
type valueJoin struct {
	src    *source
	obj    *object
	fields []field
	lost   []string // names in version 4 that the vendor does not know any more
}

// Bounds of a join of values.
const (
	// fewRows is up to how many rows are read one by one, which costs less than finding the zone
	// of the user and asking version 4.
	fewRows = 3

	// valuePage is the page of version 4, and valuePageLess where halving ends.
	valuePage     = 200
	valuePageLess = 10
)

// join completes a page. A row whose values cannot be had stays as it is, which is a null.
func (j *valueJoin) join(ctx context.Context, r *run, rows []json.RawMessage) ([]json.RawMessage, error) {
	page := make(map[int64]*joinedRow, len(rows))
	binned := false
	for _, raw := range rows {
		row := &joinedRow{}
		if json.Unmarshal(raw, row) != nil || row.ID <= 0 {
			continue // the builder says what is wrong with it
		}
		page[row.ID] = row
		binned = binned || row.IsDeleted
	}
	if len(page) > fewRows {
		if err := j.query(ctx, r, page, false); err != nil {
			return nil, err
		}
		if binned {
			if err := j.query(ctx, r, page, true); err != nil {
				return nil, err
			}
		}
	}
	// Who is left was moved to the bin, or out of it, between two calls, or is one of a few.
	if err := j.read(ctx, r, page); err != nil {
		return nil, err
	}
	out := slices.Clone(rows)
	for i, raw := range rows {
		out[i] = withValues(raw, page)
	}
	return out, nil
}

// withValues returns a row with the values that were found for it.
func withValues(raw json.RawMessage, page map[int64]*joinedRow) json.RawMessage {
	row := joinedRow{}
	if json.Unmarshal(raw, &row) != nil || page[row.ID] == nil {
		return raw
	}
	return withMembers(raw, page[row.ID].found)
}

// A joinedRow is what joins look at in a row of version 5.
type joinedRow struct {
	ID        int64  `json:"id"`
	IsDeleted bool   `json:"isDeleted"`
	IsSent    bool   `json:"isSent"`
	SentAt    string `json:"sentAt"`

	known bool
	found []complement
}

// query asks version 4 for the range of ids of a page. Rows that do not belong to the page come as
// well if they changed later than the window, but none that it needs is missing: only what was
// last changed before the window is left out, and what has changed long after it: those of the page that
// did so a moment ago are read by id.
func (j *valueJoin) query(ctx context.Context, r *run, page map[int64]*joinedRow, deleted bool) error {
	first, last, wanted := int64(0), int64(0), 0
	for id, row := range page {
		if row.known || row.IsDeleted != deleted {
			continue
		}
		if wanted++; wanted == 1 || id < first {
			first = id
		}
		last = max(last, id)
	}
	if wanted == 0 {
		return nil
	}
	q := url.Values{
		"output": {"bulk"}, "sort_by": {"id"}, "sort_order": {"ascending"}, "id_less_than": {strconv.FormatInt(last+1, 10)},
	}
	if deleted {
		q.Set("deleted", "true")
	}
	if err := j.bound(ctx, r, q); err != nil {
		return err
	}
	op, h := "read multiple values of "+j.obj.stream, j.recipe(v4, 0)
	for after, limit := first-1, valuePage; ; {
		names := j.names4()
		if len(names) == 0 {
			return nil
		}
		q.Set("fields", "id,"+strings.Join(names, ","))
		q.Set("id_greater_than", strconv.FormatInt(after, 10))
		q.Set("limit", strconv.Itoa(limit))
		p, err := j.src.client.query4(ctx, op, j.obj.v4, q)
		switch {
		case tooSlow(err) && limit > valuePageLess:
			countCalls(r, 1)
			limit = max(limit/2, valuePageLess)
			continue
		case j.drop(r, err, names):
			countCalls(r, 1)
			continue
		case err != nil:
			return err
		}
		countCalls(r, p.calls)
		if j.src.keeps {
			part := "values-after-"
			if deleted {
				part = "deleted-values-after-"
			}
			r.keep(j.obj.bodyName(v4, part+formatID(after)), p.body, h)
		}
		before := after
		for _, raw := range p.rows {
			after = max(after, h.take(page, raw))
		}
		if len(p.rows) < limit || after >= last || after == before {
			return nil
		}
	}
}

// bound adds where the window begins, and where it ends if that is long ago: between the ids of a page of a
// short old window there may be a hundred times as many that changed later. If the zone of the user cannot be
// told, the bounds are wide enough for any zone there is.
func (j *valueJoin) bound(ctx context.Context, r *run, q url.Values) error {
	const longAgo, farthest = time.Hour, 15 * time.Hour
	w := r.pos.Window
	if w == nil || w.Whole || j.obj.v4.since == "" {
		return nil
	}
	end := w.To.add(longAgo).time()
	if w.To == 0 || !end.Before(j.src.now()) {
		end = time.Time{}
	}
	if w.From == 0 && end.IsZero() {
		return nil
	}
	z, err := j.src.zone(ctx)
	if err != nil && (ctx.Err() != nil || martsync.KindOf(err).Waits()) {
		return err
	}
	if w.From > 0 {
		bound := w.From.time().Add(-farthest).Format(time.DateTime)
		if err == nil {
			bound = z.after(w.From.time())
		}
		q.Set(j.obj.v4.since+"_after", bound)
	}
	if !end.IsZero() {
		bound := end.Add(farthest).Format(time.DateTime)
		if err == nil {
			bound = z.before(end)
		}
		q.Set(j.obj.v4.since+"_before", bound)
	}
	return nil
}

// recipe tells how replies of a version complete the rows: each by an id of its own, or one by this id.
func (j *valueJoin) recipe(v version, id int64) recipe {
	h := recipe{Kind: valuesBody, API: v, ID: id, Members: map[string]string{}}
	for _, f := range j.fields {
		h.Members[f.v5] = f.v5
		if v == v4 {
			h.Members[f.v5] = f.v4
		}
	}
	if v == v4 {
		h.Rows, h.Entities = j.obj.v4.key, j.src.decodes()
	}
	return h
}

// take adds the values of one record of version 4 to the page. It returns the record's id.
func (h *recipe) take(page map[int64]*joinedRow, raw json.RawMessage) int64 {
	id, found := h.values(raw)
	if row := page[id]; row != nil && !row.known {
		row.known, row.found = true, found
	}
	return id
}

// values are the values that a record tells, and its id.
func (h *recipe) values(raw json.RawMessage) (id int64, found []complement) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return 0, nil
	}
	for _, name := range slices.Sorted(maps.Keys(h.Members)) {
		if v := multipleValues(members[h.Members[name]], h.Entities); v != nil {
			found = append(found, complement{name, v})
		}
	}
	return idOf(members["id"]), found
}

// read reads the rows that are left by id.
func (j *valueJoin) read(ctx context.Context, r *run, page map[int64]*joinedRow) error {
	ids := make([]int64, 0, fewRows)
	for id, row := range page {
		if !row.known {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	op := "read multiple values of " + j.obj.stream
	for i := 0; i < len(ids); {
		names := j.names5()
		if len(names) == 0 {
			return nil
		}
		q := url.Values{"fields": {"id," + strings.Join(names, ",")}}
		if j.obj.v5.bin {
			q.Set("deleted", "all")
		}
		raw, body, err := j.src.client.reply5(ctx, op, readPath5(j.obj, ids[i]), q)
		countCalls(r, 1)
		switch {
		case unreadable(err):
			i++
			continue
		case j.drop(r, err, names):
			continue
		case err != nil:
			return err
		}
		h := j.recipe(v5, ids[i])
		_, page[ids[i]].found = h.values(raw)
		if j.src.keeps {
			r.keep(j.obj.bodyName(v5, formatID(ids[i])), body, h)
		}
		page[ids[i]].known = true
		i++
	}
	return nil
}

// drop stops asking for a field that the vendor does not know any more. It reports whether err was
// about one of the names.
func (j *valueJoin) drop(r *run, err error, names []string) bool {
	name := unknownField(err)
	if name == "" {
		return false
	}
	i := slices.IndexFunc(j.fields, func(f field) bool { return f.v4 == name || f.v5 == name })
	if i < 0 || !slices.Contains(names, name) {
		return false
	}
	j.lost = append(j.lost, j.fields[i].v4)
	r.note("schema", "the account does not know the field %s any more; it stays empty", name)
	return true
}

func (j *valueJoin) names4() []string { return j.names(func(f field) string { return f.v4 }) }
func (j *valueJoin) names5() []string { return j.names(func(f field) string { return f.v5 }) }

// names lists what to ask for.
func (j *valueJoin) names(of func(field) string) (names []string) {
	for _, f := range j.fields {
		if n := of(f); n != "" && !slices.Contains(j.lost, f.v4) {
			names = append(names, n)
		}
	}
	return names
}

// multipleValues writes the values of a field as a JSON array of texts. In version 4 they are {"value":
// [...]}, where one value stands without the array, or on its own; version 5 has an array or one
// value. Nil: there is none.
func multipleValues(raw json.RawMessage, entities bool) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	if nothingIn(raw) {
		return nil
	}
	if raw[0] == '{' {
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			return nil
		}
		inner, ok := members["value"]
		if !ok {
			return nil
		}
		return multipleValues(inner, entities)
	}
	list := []json.RawMessage{raw}
	if raw[0] == '[' && json.Unmarshal(raw, &list) != nil {
		return nil
	}
	texts := make([]string, 0, len(list))
	for _, v := range list {
		var text string
		switch {
		case nothingIn(v):
			continue
		case json.Unmarshal(v, &text) != nil:
			text = string(v) // a number, or something else that is its own text
		case entities:
			text = string(decodeEntities([]byte(text)))
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return nil
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(texts) != nil {
		return nil
	}
	return bytes.TrimSpace(out.Bytes())
}
