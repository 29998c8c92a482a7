package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/internal/rows"
)

// A sample is some rows of a table, each as likely to be among them as any other.
type sample struct {
	most   int
	random *rand.Rand
	seen   int
	rows   []rows.Row // with the cells of the table
}

func newSample(most int, seed uint64, stream string) *sample {
	h := fnv.New64a()
	_, _ = h.Write([]byte(stream))                                             // never fails
	return &sample{most: most, random: rand.New(rand.NewPCG(seed, h.Sum64()))} //nolint:gosec // no secret
}

// offer takes a row or leaves it.
func (s *sample) offer(columns []martsync.Column, r *martsync.Records, i int) {
	s.seen++
	at := len(s.rows)
	if at >= s.most {
		if at = s.random.IntN(s.seen); at >= s.most {
			return
		}
	} else {
		s.rows = append(s.rows, nil)
	}
	row := make(rows.Row, len(columns))
	for c := range columns {
		row[c] = rows.Cell(columns[c], &r.Columns[c], i)
	}
	s.rows[at] = row
}

// vendor compares the sample of a table with what the vendor says of the same records now.
func (o *Options) vendor(ctx context.Context, t *scan) (Check, error) {
	c := Check{Name: "vendor", State: Skipped}
	look, ok := martsync.As[martsync.Lookuper](o.Source)
	switch {
	case o.Sample == 0:
		c.Detail = "no records were asked for"
		return c, nil
	case len(t.keyAt) != 1 || !ok:
		c.Detail = "its records cannot be read by id"
		return c, nil
	case len(t.sample.rows) == 0:
		c.Detail = "there are no records"
		return c, nil
	}
	if err := o.ofAccount(ctx, t.schema.Stream); err != nil {
		refusal, ok := errors.AsType[*martsync.Error](err)
		if !ok || refusal.Kind != martsync.Config {
			return c, err
		}
		c.State, c.Detail, c.Hint = Wrong, refusal.Err.Error(), refusal.Hint
		return c, nil
	}
	at := t.keyAt[0]
	ours := make(map[string]rows.Row, len(t.sample.rows))
	var ids []string
	for _, row := range t.sample.rows {
		id := rows.Text(row[at])
		ours[id] = row
		ids = append(ids, id)
	}
	slices.Sort(ids)
	schema, records, err := look.Lookup(ctx, t.schema.Stream, ids, nil)
	if errors.Is(err, martsync.ErrUnsupported) {
		c.Detail = "its records cannot be read by id"
		return c, nil
	}
	if err != nil {
		return c, err
	}
	v := comparison{table: t, theirs: schema, key: schema.Index(t.schema.Key[0]), ours: ours, seen: map[string]bool{}}
	if v.key < 0 {
		return c, &martsync.Error{Kind: martsync.Internal, Op: "audit " + t.schema.Stream, Err: errors.New("records that were read by id lack their key")}
	}
	v.pair()
	if teller, ok := martsync.As[martsync.TimeTeller](o.Source); ok {
		v.sameTime = func(a, b time.Time) (bool, error) { return teller.SameTime(ctx, t.schema.Stream, a, b) }
	}
	for r, err := range records {
		if err != nil {
			return c, err
		}
		for _, row := range rows.Of(schema.Columns, r) {
			if err := v.compare(row); err != nil {
				return c, err
			}
		}
	}
	return v.check(len(ids)), nil
}

// A comparison is that of a sample with the vendor's records.
type comparison struct {
	table  *scan
	theirs martsync.Schema
	key    int      // of theirs
	pairs  [][2]int // columns of the table and of theirs that are the same
	ours   map[string]rows.Row
	seen   map[string]bool

	sameTime func(a, b time.Time) (bool, error) // whether the vendor may mean one time by both; may be nil

	equal, newer, different int
	examples                []string
}

// pair finds the columns that both have.
func (v *comparison) pair() {
	for i, c := range v.table.stored.Columns {
		if j := v.theirs.Index(c.Name); j >= 0 {
			v.pairs = append(v.pairs, [2]int{i, j})
		}
	}
}

// compare takes a record of the vendor's.
func (v *comparison) compare(theirs rows.Row) error {
	id := rows.Text(theirs[v.key])
	ours, asked := v.ours[id]
	if !asked || v.seen[id] {
		return nil
	}
	v.seen[id] = true
	var differing []string
	for _, p := range v.pairs {
		c, other := v.table.stored.Columns[p[0]], v.theirs.Columns[p[1]]
		if (v.sticky(c.Name) || other.Sticky) && (ours[p[0]] == nil || theirs[p[1]] == nil) {
			continue // one of the two ways of reading does not tell it
		}
		equal := same(c, ours[p[0]], other, theirs[p[1]])
		if a, b, both := times(ours[p[0]], theirs[p[1]]); !equal && both && v.sameTime != nil {
			var err error
			if equal, err = v.sameTime(a, b); err != nil {
				return err
			}
		}
		if !equal {
			differing = append(differing, fmt.Sprintf("%s is %s, the vendor says %s", c.Name, shown(ours[p[0]]), shown(theirs[p[1]])))
		}
	}
	switch {
	case len(differing) == 0:
		v.equal++
	case v.changed(ours, theirs):
		v.newer++
	default:
		v.different++
		if len(v.examples) < maxExamples {
			v.examples = append(v.examples, id+": "+strings.Join(differing, "; "))
		}
	}
	return nil
}

// times returns two cells as times, if they are.
func times(a, b any) (x, y time.Time, both bool) {
	ours, isTime := a.(rows.Micros)
	theirs, too := b.(rows.Micros)
	return time.UnixMicro(int64(ours)).UTC(), time.UnixMicro(int64(theirs)).UTC(), isTime && too
}

func (v *comparison) sticky(name string) bool {
	i := v.table.schema.Index(name)
	return i >= 0 && v.table.schema.Columns[i].Sticky
}

// changed reports whether the vendor's version of a record is newer than the table's.
func (v *comparison) changed(ours, theirs rows.Row) bool {
	version := v.table.schema.Version
	i, j := v.table.stored.Index(version), v.theirs.Index(version)
	if version == "" || i < 0 || j < 0 {
		return false
	}
	switch mine := ours[i].(type) {
	case rows.Micros:
		other, ok := theirs[j].(rows.Micros)
		return ok && other > mine
	case int64:
		other, ok := theirs[j].(int64)
		return ok && other > mine
	case nil:
		return theirs[j] != nil
	default:
		return rows.Text(theirs[j]) > rows.Text(mine)
	}
}

// check sums the comparison up.
func (v *comparison) check(asked int) Check {
	c := Check{Name: "vendor", State: OK, Examples: v.examples}
	c.Detail = fmt.Sprintf("%d of %s read again are equal", v.equal, report.Plural(int64(asked), "record", "records"))
	if v.newer > 0 {
		c.Detail += fmt.Sprintf(", %d have changed since", v.newer)
	}
	if gone := asked - len(v.seen); gone > 0 {
		c.State = Note
		c.Detail += fmt.Sprintf(", %d no longer exist at the vendor", gone)
		c.Hint = "The next sync that looks for deletions marks them."
	}
	if v.different > 0 {
		c.State = Wrong
		c.Detail += fmt.Sprintf(", %d differ", v.different)
		c.Hint = "Not every change moves the time of a record. What still differs right after a sync is wrong: martsync sync --backfill reads all records again."
	}
	return c
}

// same compares a cell of the table with one of the vendor's. The table's column may hold more values
// than the vendor's does today.
func same(a martsync.Column, ours any, b martsync.Column, theirs any) bool {
	switch {
	case ours == nil || theirs == nil:
		return ours == nil && theirs == nil
	case a.Type == martsync.JSON && b.Type == martsync.JSON:
		var x, y any
		if json.Unmarshal([]byte(rows.Text(ours)), &x) == nil && json.Unmarshal([]byte(rows.Text(theirs)), &y) == nil {
			return reflect.DeepEqual(x, y)
		}
	case a.Type == martsync.Decimal && b.Type == martsync.Decimal && a.Scale != b.Scale:
		return trimmed(rows.Text(ours)) == trimmed(rows.Text(theirs))
	case a.Type == b.Type:
		return ours == theirs
	}
	return trimmed(rows.Text(ours)) == trimmed(rows.Text(theirs))
}

// trimmed leaves out the zeros that end a decimal's fraction.
func trimmed(number string) string {
	if strings.Contains(number, ".") && !strings.ContainsAny(number, "eE") {
		return strings.TrimSuffix(strings.TrimRight(number, "0"), ".")
	}
	return number
}

// shownMost bounds what is shown of a cell.
const shownMost = 60

// shown writes a cell for people.
func shown(cell any) string {
	switch cell := cell.(type) {
	case nil:
		return "null"
	case string, rows.JSON, rows.Bytes:
		text := rows.Text(cell)
		if len(text) > shownMost {
			text = strings.ToValidUTF8(text[:shownMost], "") + "…"
		}
		return fmt.Sprintf("%q", text)
	case rows.Micros:
		return time.UnixMicro(int64(cell)).UTC().Format(time.RFC3339Nano)
	default:
		return rows.Text(cell)
	}
}
