package files

import (
	"encoding/binary"

	"github.com/martsync/martsync"
)

// A rowMapping turns rows of a file into rows of a table.
type rowMapping struct {
	columns []mappedColumn // one for each column of the table
	version int            // the column of the table that orders versions; -1: none
	scratch [2][]byte
	value   []byte
}

// A mappedColumn says where a column of the table comes from.
type mappedColumn struct {
	from   int // the column of the file; -1: it has none
	sticky bool
	told   bool // also by tombstones
	way    widening
}

// mapping returns how rows of the schema become rows of the last of the tables, through the others.
func (r *resolver) mapping(s *martsync.Schema, tables []martsync.Schema) *rowMapping {
	to := &tables[len(tables)-1]
	at := make(map[string]int, len(s.Columns))
	for j := range s.Columns {
		at[s.Columns[j].Name] = j
	}
	m := &rowMapping{version: -1, columns: make([]mappedColumn, len(to.Columns))}
	for j, c := range to.Columns {
		from, ok := at[c.Name]
		if !ok {
			m.columns[j].from = -1
			continue
		}
		col := s.Columns[from]
		way := widening{col}
		for k := range tables {
			way = way.follow(&tables[k])
		}
		m.columns[j] = mappedColumn{from: from, sticky: col.Sticky, told: s.IsKey(c.Name) || c.Name == s.Version || c.Name == martsync.SyncedAt, way: way}
		if s.Version != "" && c.Name == s.Version {
			m.version = j
		}
	}
	return m
}

// appendRow appends row i of the records as a row of the table. Whole tells that no column is absent.
func (m *rowMapping) appendRow(dst []byte, rec *martsync.Records, i int, tombstone bool) (row []byte, whole bool, err error) {
	whole = true
	for j := range m.columns {
		c := &m.columns[j]
		if c.from < 0 || tombstone && !c.told {
			dst, whole = append(dst, cellAbsent), false
			continue
		}
		v := &rec.Columns[c.from]
		if v.Null(i) {
			if c.sticky {
				dst, whole = append(dst, cellAbsent), false
			} else {
				dst = append(dst, cellNull)
			}
			continue
		}
		m.value = appendVector(m.value[:0], v, i)
		value, err := c.way.widen(&m.scratch, m.value)
		if err != nil {
			return dst, false, err
		}
		dst = appendCell(dst, value)
	}
	return dst, whole, nil
}

// A keyColumn is a part of a row's key, and its way to the type that it has at the end.
type keyColumn struct {
	from int
	way  widening
}

// keys returns how to make the key of a row of a file of step i.
func (r *resolver) keys(i int, s *martsync.Schema) []keyColumn {
	var keys []keyColumn
	for _, name := range s.Key {
		from := s.Index(name)
		way := widening{s.Columns[from]}
		for k := r.steps[i].table; k < len(r.tables); k++ {
			way = way.follow(&r.tables[k])
		}
		keys = append(keys, keyColumn{from, way})
	}
	return keys
}

// Keys of records and numbers of rows without a key never meet.
const (
	keyed   = 'k'
	keyless = 'r'
)

// appendKey appends the key of row i. Lengths keep ("a", "bc") and ("ab", "c") apart. Nulls are equal, as in databases of ours: no source
// should yield one, but if it has, the table must not be unreadable for good.
func appendKey(dst []byte, keys []keyColumn, rec *martsync.Records, i int) ([]byte, error) {
	var scratch [2][]byte
	var buf [16]byte
	dst = append(dst, keyed)
	for j := range keys {
		v := &rec.Columns[keys[j].from]
		if v.Null(i) {
			dst = append(dst, cellNull)
			continue
		}
		value, err := keys[j].way.widen(&scratch, appendVector(buf[:0], v, i))
		if err != nil {
			return dst, err
		}
		dst = appendCell(dst, value)
	}
	return dst, nil
}

func appendCounter(dst []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, keyless), n)
}
