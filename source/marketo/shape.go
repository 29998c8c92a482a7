package marketo

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/setting"
)

// A shape makes the rows of a record: JSON objects with members that columns are named for. It adds
// members to the bytes that came and keeps the rest of them as they are.
type shape func(raw []byte, parent string) ([][]byte, error)

// itself is the shape of a record that is one row.
func itself(raw []byte, _ string) ([][]byte, error) { return [][]byte{raw}, nil }

var errNotObject = errors.New("a JSON object is expected")

// with adds members to a JSON object; where it has one of the name already, the added one counts.
func with(raw []byte, members ...string) ([]byte, error) {
	object := strings.TrimSpace(string(raw))
	if len(object) < 2 || object[0] != '{' || object[len(object)-1] != '}' {
		return nil, errNotObject
	}
	inner := strings.TrimSpace(object[1 : len(object)-1])
	b := make([]byte, 0, len(object)+64)
	b = append(append(b, '{'), inner...)
	for i := 0; i+1 < len(members); i += 2 {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(strconv.AppendQuote(b, members[i]), ':'), members[i+1]...)
	}
	return append(b, '}'), nil
}

// quoted is a text as JSON.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("marketo: text: " + err.Error()) // texts always can
	}
	return string(b)
}

// or is a JSON value, or null where there is none.
func or(raw json.RawMessage) string { return setting.Or(string(raw), "null") }

// ours is a column that the vendor has no name for.
func ours(name string, t martsync.Type, description string) martsync.Column {
	return martsync.Column{Name: name, Type: t, Description: description}
}

// A shaped reader takes pages of a listing apart. A row that came before as it is now goes no further.
type shapedReader struct {
	builder *columns.Builder
	of      shape
	keys    []string // members that identify a row
	seen    map[string]uint64
	misfits map[uint64]bool // rows without a key, so that what comes twice goes on once
	layout  uint64          // of the columns: with others, the same records are other rows

	batch martsync.Batch // what has been emitted beside the rows in the builder
	size  int            // bytes of its raw pages

	// Of the window under way.
	parsed, quarantined, calls int64
}

func newShapedReader(schema *martsync.Schema, of shape) *shapedReader {
	r := &shapedReader{builder: columns.NewBuilder(schema.Columns), of: of, seen: map[string]uint64{}, misfits: map[uint64]bool{}}
	for _, c := range schema.Columns {
		r.layout = mix(r.layout ^ sumText([]byte(c.Name+" "+c.TypeName())))
	}
	for _, k := range schema.Key {
		if i := schema.Index(k); i >= 0 {
			r.keys = append(r.keys, setting.Or(schema.Columns[i].Origin, k))
		}
	}
	return r
}

// A page is a reply that rows may come from.
type page struct {
	path   string
	parent string // whose records these are, where they are somebody's
	line   int64  // rows of the listing before it
	env    *envelope
	skip   func(raw []byte) bool // records that another page tells better; nil: none
	bare   bool                  // no row comes of it
}

// A row is a row of a page, or what stands where one should be.
type row struct {
	raw []byte
	err error
}

// rows are all rows of a page in their order.
func (r *shapedReader) rows(p *page) (rows []row) {
	for _, raw := range p.env.Result {
		made, err := r.of(raw, p.parent)
		if err != nil {
			rows = append(rows, row{raw, err})
			continue
		}
		for _, m := range made {
			rows = append(rows, row{raw: m})
		}
	}
	return rows
}

// A taken page is what goes on of it.
type taken struct {
	page
	rows   []row
	passed ranges // rows that go no further
	news   int    // rows with a key that had not come before
}

// take takes a page apart.
func (r *shapedReader) take(p page) taken {
	r.calls += p.env.Calls
	t := taken{page: p}
	if p.bare {
		return t
	}
	t.rows = r.rows(&p)
	for i := range t.rows {
		one := &t.rows[i]
		if one.err == nil && p.skip != nil && p.skip(one.raw) {
			t.passed.add(i)
			continue
		}
		if one.err == nil {
			var key string
			if key, one.err = r.key(one.raw); one.err == nil {
				before, again := r.seen[key]
				sum := sumText(one.raw)
				if again && before == sum {
					t.passed.add(i)
					continue
				}
				r.seen[key] = sum
				if !again {
					t.news++
				}
			}
		}
		if one.err == nil {
			continue
		}
		sum := sumText(one.raw)
		if r.misfits[sum] {
			t.passed.add(i)
		}
		r.misfits[sum] = true
	}
	return t
}

// again takes a page apart that was kept, without what went no further then.
func (r *shapedReader) again(p page, passed ranges) taken {
	t := taken{page: p, rows: r.rows(&p), passed: passed}
	for i := range t.rows {
		if one := &t.rows[i]; one.err == nil && !passed.has(i) {
			_, one.err = r.key(one.raw)
		}
	}
	return t
}

// key is what identifies a row.
func (r *shapedReader) key(raw []byte) (string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return "", errNotObject
	}
	var b strings.Builder
	for _, k := range r.keys {
		text := bare(members[k])
		if m := members[k]; len(m) == 0 || string(m) == "null" {
			return "", &columns.CellError{Column: k, Reason: fmt.Sprintf("the record has no %s", k)}
		}
		b.WriteString(text)
		b.WriteByte(0)
	}
	return b.String(), nil
}

// emit puts the rows of a taken page into batches and yields those that fill up. What is left comes with
// rest. It reports whether to go on.
func (r *shapedReader) emit(t *taken, yield func(martsync.Batch) bool) bool {
	for _, raw := range t.kept() {
		r.batch.Raw = append(r.batch.Raw, raw)
		r.size += len(raw.Data)
	}
	r.batch.Bytes += t.env.Bytes
	for i, one := range t.rows {
		if t.passed.has(i) {
			continue
		}
		r.parsed++
		err := one.err
		if err == nil {
			err = r.builder.AppendJSON(one.raw)
		}
		if err != nil {
			r.quarantined++
			r.batch.Quarantined = append(r.batch.Quarantined, quarantine(one.raw, t.env.RequestID, t.line+int64(i)+1, err))
		}
		if (r.builder.Full() || len(r.batch.Quarantined) >= martsync.MaxRows) && !r.flush(yield) {
			return false
		}
	}
	return r.size < rawMost || r.flush(yield)
}

// rest takes what has been emitted and not yielded. Its records are good until clear.
func (r *shapedReader) rest() martsync.Batch {
	b := r.batch
	if r.builder.Len() > 0 {
		b.Records = r.builder.Records()
	}
	r.batch, r.size = martsync.Batch{}, 0
	return b
}

func (r *shapedReader) clear() { r.builder.Reset() }

// flush yields what has been emitted.
func (r *shapedReader) flush(yield func(martsync.Batch) bool) bool {
	b := r.rest()
	ok := b.Records == nil && b.Quarantined == nil && b.Raw == nil || yield(b)
	r.clear()
	return ok
}

// bad reports whether a row of the page will not become a record.
func (t *taken) bad() bool {
	return slices.ContainsFunc(t.rows, func(r row) bool { return r.err != nil })
}

// kept is the page as it came.
func (t *taken) kept() []martsync.Raw {
	h := how{Kind: listingPage, Line: t.line, Passed: t.passed, Parent: t.parent}
	if t.bare {
		h = how{Kind: listPage}
	}
	raw := keptPage(t.path, t.env, h)
	if raw == nil {
		return nil
	}
	return []martsync.Raw{*raw}
}

// pass makes all rows of the page go no further.
func (t *taken) pass() {
	t.passed = nil
	if n := len(t.rows); n > 0 {
		t.passed = ranges{{0, n - 1}}
	}
}

// sum sums up the rows that were seen, in whatever order they came.
func (r *shapedReader) sum() string { return strconv.FormatUint(r.total(), 36) }

func (r *shapedReader) total() uint64 {
	total := mix(uint64(len(r.seen))) ^ r.layout
	for key, sum := range r.seen {
		total += mix(sum ^ mix(sumText([]byte(key))))
	}
	return total
}

func sumText(text []byte) uint64 {
	h := fnv.New128a()
	_, _ = h.Write(text)
	s := h.Sum(nil)
	return mix(binary.LittleEndian.Uint64(s)) ^ binary.LittleEndian.Uint64(s[8:])
}

// window ends the window under way.
func (r *shapedReader) window(w martsync.Window) *martsync.Window {
	w.Records, w.Bytes, w.Parsed, w.Quarantined, w.Calls = -1, -1, r.parsed, r.quarantined, r.calls
	r.parsed, r.quarantined, r.calls = 0, 0, 0
	return &w
}
