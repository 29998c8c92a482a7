package files

import (
	"encoding/binary"
	"slices"

	"github.com/martsync/martsync"
)

// A replayTable is the records of one bucket, as of one step.
type replayTable struct {
	r       *resolver
	step    int // whose rows are being applied
	table   int // of the step
	records []replayRecord
	index   map[string]int32 // of records, by key
	size    int              // bytes of memory, about
	by      map[int]map[string][]int32
	scratch []byte
}

// A replayRecord is a row of the table.
type replayRecord struct {
	cells   []byte
	deleted bool
	present int // 1 + the last step that had a row of it that is no tombstone
}

// recordOverhead is about what a record takes beside its key and cells: itself, its place in the
// index, and what allocating them wastes.
const recordOverhead = 160 // bytes

func newReplayTable(r *resolver) *replayTable {
	return &replayTable{r: r, table: r.steps[0].table, index: map[string]int32{}}
}

// schema is that of the table at the step.
func (t *replayTable) schema() *martsync.Schema { return &t.r.tables[t.table] }

// apply stores a row if it wins over what is there: I6.
func (t *replayTable) apply(h rowHead, key, cells []byte) {
	at, known := t.index[string(key)]
	if !known {
		at = int32(len(t.records)) //nolint:gosec // bounded by the memory of a bucket
		t.index[string(key)] = at
		t.records = append(t.records, replayRecord{cells: append(make([]byte, 0, len(cells)), cells...)})
		t.size += len(key) + len(cells) + recordOverhead
		t.noteNew(at)
	}
	rec := &t.records[at]
	if !h.Tombstone && !h.Keyless {
		rec.present = h.Step + 1
	}
	if known {
		if h.Version >= 0 && compareCells(&t.schema().Columns[h.Version], cellAt(cells, h.Version), cellAt(rec.cells, h.Version)) < 0 {
			return
		}
		if !h.Whole {
			t.scratch = overlay(t.scratch[:0], rec.cells, cells)
			cells = t.scratch
		}
		t.replace(rec, cells)
	}
	rec.deleted = h.Tombstone || h.Deleted
}

// replace changes the cells of a record.
func (t *replayTable) replace(rec *replayRecord, cells []byte) {
	t.size -= cap(rec.cells)
	if cap(rec.cells) > 2*len(cells)+64 {
		rec.cells = nil // a record that shrank gives its memory back
	}
	rec.cells = append(rec.cells[:0], cells...)
	t.size += cap(rec.cells)
}

// advance ends the steps before this one and begins it.
func (t *replayTable) advance(step int) error {
	for ; t.step < step; t.step++ {
		if err := t.end(); err != nil {
			return err
		}
		if err := t.widen(t.r.steps[t.step+1].table); err != nil {
			return err
		}
	}
	return nil
}

// finish ends all steps. The table may have been widened for a commit that never came.
func (t *replayTable) finish() error {
	if err := t.advance(len(t.r.steps) - 1); err != nil {
		return err
	}
	if err := t.end(); err != nil {
		return err
	}
	return t.widen(len(t.r.tables) - 1)
}

// end applies what a step does after its rows.
func (t *replayTable) end() error {
	s := &t.r.steps[t.step]
	live := s.scopes > 0
	for _, dead := range s.dead {
		live = live || !dead
	}
	if !live || len(t.records) == 0 {
		return nil
	}
	scopes, censuses, err := t.r.events.read(s.event)
	if err != nil {
		return err
	}
	t.complete(scopes)
	for i := range censuses {
		if !s.dead[i] {
			t.count(&censuses[i])
		}
	}
	return nil
}

// widen makes the records fit a later state of the schema, by way of all in between.
func (t *replayTable) widen(to int) error {
	for t.table < to {
		if !sameColumns(t.schema(), &t.r.tables[t.table+1]) {
			if err := t.convert(t.schema(), &t.r.tables[t.table+1]); err != nil {
				return err
			}
			t.by = nil
		}
		t.table++
	}
	return nil
}

// convert makes rows of one schema rows of another.
func (t *replayTable) convert(from, to *martsync.Schema) error {
	at := make([]int, len(to.Columns))
	for i := range to.Columns {
		at[i] = from.Index(to.Columns[i].Name)
	}
	cells := make([][]byte, len(from.Columns)) // each with its length
	var value []byte
	for i := range t.records {
		row := t.records[i].cells
		for j := range cells {
			_, _, cells[j], row = nextCell(row)
		}
		out := t.scratch[:0]
		for j := range to.Columns {
			if at[j] < 0 {
				out = append(out, cellAbsent)
				continue
			}
			kind, was, all, _ := nextCell(cells[at[j]])
			c := &from.Columns[at[j]]
			if kind != cellValue || equalType(*c, to.Columns[j]) {
				out = append(out, all...)
				continue
			}
			var err error
			if value, err = appendWidened(value[:0], c, &to.Columns[j], was); err != nil {
				return err
			}
			out = appendCell(out, value)
		}
		t.scratch = out
		t.replace(&t.records[i], out)
	}
	return nil
}

// complete marks the records of scopes that the step had no row of.
func (t *replayTable) complete(scopes []martsync.Scope) {
	for _, s := range scopes {
		if s.Column == "" {
			for i := range t.records {
				t.miss(i)
			}
			continue
		}
		column := t.schema().Index(s.Column)
		if s.IsRange() {
			t.completeRange(s, column)
			continue
		}
		if t.r.fixed(s.Column) {
			for _, i := range t.where(column)[s.Value] {
				t.miss(int(i))
			}
			continue
		}
		for i := range t.records {
			if t.text(i, column) == s.Value {
				t.miss(i)
			}
		}
	}
}

// completeRange marks those whose version is in a range. A column that is no time orders no times.
func (t *replayTable) completeRange(s martsync.Scope, column int) {
	if column < 0 || t.schema().Columns[column].Type != martsync.Timestamp {
		return
	}
	from, to := s.From.UnixMicro(), s.To.UnixMicro()
	for i := range t.records {
		if value := cellAt(t.records[i].cells, column); value != nil && int64Of(value) >= from && int64Of(value) < to {
			t.miss(i)
		}
	}
}

// miss marks a record unless the step had a row of it.
func (t *replayTable) miss(i int) {
	if t.records[i].present != t.step+1 {
		t.flag(i, true)
	}
}

// flag marks a record as deleted or not. That is a change of the row: if rows bring along when they were
// synced, it is the time of the step now.
func (t *replayTable) flag(i int, deleted bool) {
	rec := &t.records[i]
	if rec.deleted == deleted {
		return
	}
	rec.deleted = deleted
	if hasSynced(t.schema()) {
		_, at, _, _ := nextCell(rec.cells) // the first column, which is never null
		binary.LittleEndian.PutUint64(at, uint64(t.r.steps[t.step].at))
	}
}

// text is a cell as scopes write it. Null is empty text, and so is a column that is not there.
func (t *replayTable) text(i, column int) string {
	if column < 0 {
		return ""
	}
	value := cellAt(t.records[i].cells, column)
	if value == nil {
		return ""
	}
	return string(appendText(nil, &t.schema().Columns[column], value))
}

// where returns the records by their text in a column that never changes. It is made at the first
// scope and kept up to date, so that a step costs what its scopes hold and not what the table does.
func (t *replayTable) where(column int) map[string][]int32 {
	if m := t.by[column]; m != nil {
		return m
	}
	if t.by == nil {
		t.by = map[int]map[string][]int32{}
	}
	t.by[column] = map[string][]int32{}
	for i := range t.records {
		t.note(column, int32(i)) //nolint:gosec // bounded by the memory of a bucket
	}
	return t.by[column]
}

func (t *replayTable) note(column int, i int32) {
	text := t.text(int(i), column)
	t.by[column][text] = append(t.by[column][text], i)
}

// noteNew enters a new record into what where has made.
func (t *replayTable) noteNew(i int32) {
	for column := range t.by {
		t.note(column, i)
	}
}

// fixed reports whether a record keeps its value in the column as long as it exists: the column is
// part of the key of everybody who wrote.
func (r *resolver) fixed(column string) bool {
	fixed, known := r.fixedColumns[column]
	if !known {
		fixed = r.last().Index(column) >= 0
		for i := range r.steps {
			for j := range r.steps[i].files {
				fixed = fixed && r.steps[i].files[j].Schema.IsKey(column)
			}
		}
		r.fixedColumns[column] = fixed
	}
	return fixed
}

// count marks the records in the range of a census that it does not name, and no others.
func (t *replayTable) count(c *martsync.Census) {
	column := t.schema().Index(t.schema().Key[0])
	for i := range t.records {
		value := cellAt(t.records[i].cells, column)
		if value == nil {
			continue
		}
		if k := int64Of(value); k > c.After && k <= c.UpTo {
			_, found := slices.BinarySearch(c.Keys, k)
			t.flag(i, !found)
		}
	}
}
