package pardot

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// A tally is how many records there are in a window, and how large one is.
type tally struct {
	rows   float64
	perRow float64 // bytes of a reply, or of a line of a file
	basis  martsync.Basis
	detail string
	shares []martsync.Share
}

// Bounds of what is looked at.
const (
	lookRows, lookRowsMore = 100, 500 // of a page that tells how large records are
	lookTwice              = 2_000    // with more records than these, a second page from the middle of the range is looked at
	peekPages              = 5        // how many pages of ids are read before they are jumped through
	jumpRows               = 200      // of a page after a jump
	jumpsMost              = 24
)

// tally counts the records of a window and looks at a few.
func (r *run) tally(w *window, sample bool) (tally, error) {
	look := *w
	look.Way, look.API, look.Pass, look.After = byQuery, r.plan.api, 0, 0
	look.Limit = lookRows
	if sample {
		look.Limit = lookRowsMore
	}
	look.Limit = min(look.Limit, r.fullPage(look.API))
	if w.Way == byExport && r.since(look.API) == "" {
		look.Whole = true
	}
	first, err := r.lookAt(&look)
	if err != nil {
		return tally{}, err
	}
	t := tally{basis: martsync.Counted, detail: "listed", rows: float64(len(first.rows))}
	pages := []*page{first}
	if first.more || r.binPass(look.API) {
		if err := r.count(&look, first, &t); err != nil {
			return tally{}, err
		}
	}
	if t.rows > lookTwice && !look.Whole {
		late := look
		late.From = middle(max(look.From, founding), look.To)
		if r.until > 0 && look.From == 0 { // most records are of the last years
			late.From = look.To.add(-look.span() / 8)
		}
		p, err := r.lookAt(&late)
		if err != nil {
			return tally{}, err
		}
		pages = append(pages, p)
	}
	r.weigh(w, pages, &t)
	return t, nil
}

// lookAt is page, which goes on without what the vendor does not tell.
func (r *run) lookAt(w *window) (*page, error) {
	for {
		p, err := r.page(w)
		if err == nil {
			return p, nil
		}
		if err := r.yieldTo(w, err); err != nil {
			return nil, err
		}
	}
}

// count finds how many records there are in a window that has more than a page.
func (r *run) count(w *window, first *page, t *tally) error {
	v4Counts := r.obj.v4 != nil && (r.obj.v4.since != "" || w.Whole || w.From == 0)
	if v4Counts {
		total, err := r.total(w)
		if err == nil && total >= 0 {
			t.rows, t.detail = float64(total), "version 4 counts them"
			return nil
		}
		if err != nil && (martsync.KindOf(err).Waits() || martsync.KindOf(err) == martsync.Auth) {
			return err
		}
	}
	if r.obj.v5 == nil {
		t.basis, t.detail = martsync.Assumed, "nobody counts them"
		t.rows = max(t.rows, assumedPages*page4)
		return nil
	}
	return r.jump(w, first, t)
}

// total asks version 4; -1: it does not tell.
func (r *run) total(w *window) (total int64, err error) {
	passes := []string{""}
	if r.obj.v4.bin {
		passes = append(passes, "true")
	}
	for _, deleted := range passes {
		q := clone(r.obj.v4.params)
		q.Del("output") // the short form does not count
		if since := r.obj.v4.since; since != "" && !w.Whole {
			z, err := r.zone()
			if err != nil {
				return 0, err
			}
			if w.From > 0 {
				q.Set(since+"_after", z.after(w.From.time()))
			}
			q.Set(since+"_before", z.before(w.To.time()))
		}
		if deleted != "" {
			q.Set("deleted", deleted)
		}
		q.Set("limit", "1")
		p, err := r.src.client.query4(r.ctx, r.op("count"), r.obj.v4, q)
		if err != nil {
			return 0, err
		}
		if p.total < 0 && len(p.rows) > 0 {
			return -1, nil
		}
		total += max(p.total, 0)
	}
	return total, nil
}

// ids reads a page of ids of version 5.
func (r *run) ids(w *window, after int64, limit int) (ids []int64, more bool, err error) {
	look := *w
	look.API = v5
	q, err := r.bounds(&look)
	if err != nil {
		return nil, false, err
	}
	for k, v := range (url.Values{"fields": {"id"}, "orderBy": {"id"}, "limit": {strconv.Itoa(limit)}}) {
		q[k] = v
	}
	if after > 0 {
		q.Set("idGreaterThan", strconv.FormatInt(after, 10))
	}
	p, err := r.src.client.query5(r.ctx, r.op("count"), r.obj.v5.path, q)
	if err != nil {
		return nil, false, err
	}
	for _, f := range facesOf(p.rows) {
		if f.id > 0 {
			ids = append(ids, f.id)
		}
	}
	return ids, p.more && len(p.rows) > 0, nil
}

// jump reads ids to their end if that is near. Else it jumps ahead, by twice as far each time, until there are no
// more, and then back by halves: how many ids lie together at each place tells how many there are in between.
func (r *run) jump(w *window, _ *page, t *tally) error {
	var first, last int64
	n := 0.0
	for range peekPages {
		ids, more, err := r.ids(w, last, page5)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			if first == 0 {
				first = ids[0]
			}
			last = ids[len(ids)-1]
		}
		n += float64(len(ids))
		if !more || len(ids) == 0 {
			t.rows, t.detail = n, "listed by id"
			return nil
		}
	}
	type place struct {
		id      int64
		density float64
	}
	places := []place{{last, n / float64(max(last-first+1, 1))}}
	low, high, step := last, int64(0), max(last-first, 1)
	for jumps := 0; jumps < jumpsMost && (high == 0 || high-low > (low-first)/20); jumps++ {
		at := low + step
		if high > 0 {
			at = low + (high-low)/2
		}
		ids, more, err := r.ids(w, at, jumpRows)
		if err != nil {
			return err
		}
		switch {
		case len(ids) == 0:
			high = at
		case !more: // these are the last ones
			places = append(places, place{ids[0], 0})
			n += float64(len(ids))
			low, high = ids[len(ids)-1], ids[len(ids)-1]
		default:
			low = ids[0]
			places = append(places, place{low, float64(len(ids)) / float64(max(ids[len(ids)-1]-ids[0]+1, 1))})
			if high == 0 {
				step *= 2
			}
		}
	}
	for i, p := range places {
		to := low
		if i+1 < len(places) {
			to = places[i+1].id
			n += float64(to-p.id) * (p.density + max(places[i+1].density, p.density/2)) / 2
			continue
		}
		n += float64(max(max(high, low)-to, 0)) * p.density / 2
	}
	t.rows, t.basis = n, martsync.Sampled
	t.detail = fmt.Sprintf("by how close ids lie at %d places", len(places))
	return nil
}

// weigh finds how large records are in the form in which they will come, and which columns take how much.
func (r *run) weigh(w *window, pages []*page, t *tally) {
	var rows, bytes float64
	columns := make([]float64, len(r.layout.fields))
	kinds := map[string]float64{}
	filed := r.layout.fileFields(r.plan.exports)
	for _, p := range pages {
		for _, raw := range p.rows {
			rows++
			var members map[string]json.RawMessage
			if unmarshal(raw, &members) != nil {
				continue
			}
			size := 0.0
			for i, f := range r.layout.fields {
				value, known := member(members, f, r.plan.api)
				var n int
				switch {
				case w.Way == byExport && (!inFiles(f, r.plan.exports) || filed != nil && !slices.Contains(filed, nameOf(f, r.plan.exports))):
					continue
				case w.Way == byExport:
					n = csvBytes(bare(value)) + 1
				case known:
					n = len(value) + len(nameOf(f, r.plan.api)) + 4
				}
				columns[i] += float64(n)
				size += float64(n)
			}
			if kind := bare(members["type"]); kind != "" && r.obj.stream == activityStream {
				kinds[kind] += size
			}
			if w.Way == byExport {
				bytes += size
			}
		}
		if w.Way == byQuery {
			bytes += float64(p.bytes)
		}
	}
	if rows == 0 {
		return
	}
	t.perRow = bytes / rows
	scale := t.rows / rows
	if len(kinds) > 0 {
		for kind, n := range kinds {
			name := "type " + kind
			if i, err := strconv.Atoi(kind); err == nil && i > 0 && i < len(activityTypes) && activityTypes[i] != "" {
				name = activityTypes[i] + " (" + kind + ")"
			}
			t.shares = append(t.shares, martsync.Share{
				Name: name, Bytes: whole(n * scale), Omit: "streams." + activityStream + ".types: all but " + kind,
			})
		}
	} else {
		for i, c := range r.layout.schema.Columns {
			if n := columns[i] * scale; n > 0 {
				t.shares = append(t.shares, martsync.Share{Name: c.Name, Bytes: whole(n)})
			}
		}
	}
	t.shares = mergeShares(nil, t.shares)
	if math.IsNaN(t.perRow) {
		t.perRow = 0
	}
}

// nameOf is what a version calls a field.
func nameOf(f field, v version) string {
	if v == v4 {
		return f.v4
	}
	return f.v5
}

// member finds a field in a record. A dot leads into an object.
func member(members map[string]json.RawMessage, f field, v version) (json.RawMessage, bool) {
	name := nameOf(f, v)
	raw, ok := members[name]
	if head, tail, nested := strings.Cut(name, "."); !ok && nested {
		var inner map[string]json.RawMessage
		if unmarshal(members[head], &inner) == nil {
			raw, ok = inner[tail]
		}
	}
	return raw, ok
}

// csvBytes is how many bytes a cell takes in an export file.
func csvBytes(cell string) int {
	if strings.ContainsAny(cell, "\",\n\r") {
		return len(cell) + strings.Count(cell, `"`) + 2
	}
	return len(cell)
}
