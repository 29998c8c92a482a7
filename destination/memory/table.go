package memory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/evolve"
	"github.com/martsync/martsync/internal/rows"
)

// A table is the rows of a stream and what lies beside them.
type table struct {
	schema martsync.Schema // of the table: all columns it ever had
	order  []*record       // in the order they came
	keys   map[string]*record

	cursor      martsync.Cursor
	commits     int64 // the fence: it moves with every commit, also one that leaves the cursor as it is
	stages      int64
	staged      *staged
	ledger      []martsync.LedgerEntry
	log         []martsync.LogEntry
	quarantined []martsync.Quarantined
}

// A record is a row of the table.
type record struct {
	cells   map[string]any // by column
	deleted bool
}

func (r *record) clone() *record { return &record{maps.Clone(r.cells), r.deleted} }

func newTable() *table { return &table{keys: map[string]*record{}} }

func (t *table) clone() *table {
	c := *t
	c.order = make([]*record, len(t.order))
	copies := make(map[*record]*record, len(t.order))
	for i, r := range t.order {
		c.order[i] = r.clone()
		copies[r] = c.order[i]
	}
	c.keys = make(map[string]*record, len(t.keys))
	for k, r := range t.keys {
		c.keys[k] = copies[r]
	}
	c.ledger = slices.Clone(t.ledger)
	c.log = slices.Clone(t.log)
	c.quarantined = slices.Clone(t.quarantined)
	return &c
}

// apply makes the rows visible, one after the other: I6.
func (t *table) apply(snapshot bool, all []row, c martsync.Commit) {
	if snapshot {
		t.order, t.keys = nil, map[string]*record{}
	}
	present := map[*record]bool{}
	for _, r := range all {
		s := r.schema
		if len(s.Key) == 0 {
			t.order = append(t.order, t.set(&record{cells: map[string]any{}}, r))
			continue
		}
		k := key(r)
		old := t.keys[k]
		if old == nil {
			old = &record{cells: map[string]any{}}
			t.keys[k] = old
			t.order = append(t.order, old)
			t.set(old, r)
		} else if s.Version == "" || compare(r.cells[s.Index(s.Version)], old.cells[s.Version]) >= 0 {
			t.set(old, r)
		}
		if !r.tombstone {
			present[old] = true
		}
	}
	for _, scope := range c.Complete {
		for _, r := range t.order {
			if !present[r] && holds(scope, r) {
				r.deleted = true
			}
		}
	}
	for _, c := range c.Censuses {
		for _, r := range t.order {
			if k, ok := r.cells[t.schema.Key[0]].(int64); ok && k > c.After && k <= c.UpTo {
				_, found := slices.BinarySearch(c.Keys, k)
				r.deleted = !found
			}
		}
	}
}

// holds reports whether a record is in a scope.
func holds(s martsync.Scope, r *record) bool {
	cell := r.cells[s.Column]
	if !s.IsRange() {
		return s.Column == "" || rows.Text(cell) == s.Value
	}
	at, isTime := cell.(rows.Micros)
	return isTime && int64(at) >= s.From.UnixMicro() && int64(at) < s.To.UnixMicro()
}

// set stores a row that won over what the record was.
func (t *table) set(old *record, r row) *record {
	for i, c := range r.schema.Columns {
		if r.tombstone && !r.schema.IsKey(c.Name) && c.Name != r.schema.Version {
			continue
		}
		if c.Sticky && r.cells[i] == nil {
			continue
		}
		old.cells[c.Name] = widen(r.cells[i], t.schema.Columns[t.schema.Index(c.Name)])
	}
	old.deleted = r.tombstone || r.deleted
	return old
}

// record keeps what a commit brings beside the rows.
func (t *table) record(stream string, c martsync.Commit) {
	for _, w := range c.Windows {
		t.ledger = append(t.ledger, martsync.LedgerEntry{Stream: stream, Sync: c.Sync, Window: w})
	}
	t.log = append(t.log, c.Log...)
	t.quarantined = append(t.quarantined, c.Quarantined...)
}

// key is the row's key as text; lengths keep ("a", "bc") and ("ab", "c") apart.
func key(r row) string {
	var b strings.Builder
	for _, k := range r.schema.Key {
		cell := rows.Text(r.cells[r.schema.Index(k)])
		b.WriteString(strconv.Itoa(len(cell)))
		b.WriteByte(':')
		b.WriteString(cell)
	}
	return b.String()
}

// compare orders versions. Null is the lowest.
func compare(a, b any) int {
	switch a := a.(type) {
	case nil:
		if b == nil {
			return 0
		}
		return -1
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case rows.Micros:
		if b, ok := b.(rows.Micros); ok {
			return cmp.Compare(a, b)
		}
	case rows.Date:
		if b, ok := b.(rows.Date); ok {
			return cmp.Compare(a, b)
		}
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b)
		}
	case rows.Decimal:
		if b, ok := b.(rows.Decimal); ok && a.Scale == b.Scale {
			return a.Big().Cmp(b.Big())
		}
	}
	if b == nil {
		return 1
	}
	return cmp.Compare(rows.Text(a), rows.Text(b))
}

// fit makes the table fit the schema and tells what had to change.
func (t *table) fit(s *martsync.Schema) []martsync.Change {
	columns, changes := evolve.Fit(t.schema.Columns, s)
	t.schema = *s
	t.schema.Columns = columns
	for _, c := range changes {
		if c.Action == martsync.ColumnWidened {
			for _, r := range t.order {
				r.cells[c.Column] = widen(r.cells[c.Column], columns[t.schema.Index(c.Column)])
			}
		}
	}
	return changes
}

// widen converts a cell to the column's type, which holds it without loss.
func widen(cell any, c martsync.Column) any {
	switch v := cell.(type) {
	case nil:
		return nil
	case rows.Decimal:
		if c.Type == martsync.Decimal {
			d, err := rows.ParseDecimal(v.String(), c.Scale)
			if err != nil {
				panic(fmt.Sprintf("%v in a column of %s: %v", v, c.TypeName(), err)) // common chose it to fit
			}
			return d
		}
	case rows.Date:
		if c.Type == martsync.Timestamp {
			return rows.Micros(int64(v) * 86400 * 1e6)
		}
	}
	switch c.Type {
	case martsync.String:
		return rows.Text(cell)
	case martsync.Binary:
		return rows.Bytes(rows.Text(cell))
	default:
		return cell
	}
}
