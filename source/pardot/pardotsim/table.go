package pardotsim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/martsync/martsync/simulate"
)

// The tables are written with the functions of this file. The first argument of each names the
// column: "isDeleted" is version 5's alone, "jobTitle*" is job_title in version 4, "salesforceUrl=crm_url"
// has a name of its own there, and "=browser" is version 4's alone. The number is how many of 100
// records have no value.

func newColumn(spec string, k kind, null int, m maker) *column {
	c := &column{kind: k, null: null, make: m}
	name, v4, named := strings.Cut(spec, "=")
	switch {
	case named && name == "":
		c.name, c.v4, c.only4 = v4, v4, true
	case named:
		c.name, c.v4 = name, v4
	case strings.HasSuffix(name, "*"):
		c.name = strings.TrimSuffix(name, "*")
		c.v4 = snake(c.name)
	default:
		c.name = name
	}
	c.salt = saltOf(c.name)
	return c
}

func saltOf(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	return h.Sum64()
}

func snake(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			b.WriteByte(c + 'a' - 'A')
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func text(spec string, null int, w words) *column {
	return newColumn(spec, kindText, null, func(_ *record, h uint64) any { return w[simulate.Pick(h, len(w))] })
}

func made(spec string, null int, m maker) *column    { return newColumn(spec, kindText, null, m) }
func whole(spec string, null int, m maker) *column   { return newColumn(spec, kindInt, null, m) }
func moment(spec string, null int, m maker) *column  { return newColumn(spec, kindTime, null, m) }
func decimal(spec string, null int, m maker) *column { return newColumn(spec, kindFloat, null, m) }
func raw(spec string, null int, m maker) *column     { return newColumn(spec, kindJSON, null, m) }

// count is a number below n.
func count(spec string, null, n int) *column {
	return whole(spec, null, func(_ *record, h uint64) any { return int64(simulate.Pick(h, n)) })
}

// flag is true for yes of 100 records.
func flag(spec string, yes int) *column {
	return newColumn(spec, kindBool, 0, func(_ *record, h uint64) any { return simulate.Pick(h, 100) < yes })
}

// link is the id of a record of another table that is most likely older.
func link(spec string, null int, table string) *column {
	return whole(spec, null, func(r *record, h uint64) any {
		t := r.st.w.byName[table]
		return t.id(t.older(h, r.created))
	})
}

// before is a time in the days before the record's last change.
func before(spec string, null, days int) *column {
	return moment(spec, null, func(r *record, h uint64) any {
		return stamp(r.updated - int64(simulate.Pick(h, days*int(day))))
	})
}

// crm is an id of Salesforce's, whose first three characters tell the kind of record.
func crm(spec string, null int, prefix string) *column {
	return made(spec, null, func(_ *record, h uint64) any { return salesforceID(prefix, h) })
}

func salesforceID(prefix string, h uint64) string {
	return fmt.Sprintf("%s5A0000%08dQAA", prefix, h%100_000_000)
}

func identity() *column {
	return whole("id*", 0, func(r *record, _ uint64) any { return r.id })
}

func created() *column {
	return moment("createdAt*", 0, func(r *record, _ uint64) any { return stamp(r.created) })
}

func updated() *column {
	return moment("updatedAt*", 0, func(r *record, _ uint64) any { return stamp(r.updated) })
}

func deleted(spec string) *column {
	return rigid(newColumn(spec, kindBool, 0, func(r *record, _ uint64) any { return r.deleted }))
}

// audit are the four columns that most of version 5's collections end with.
func audit() []*column {
	return []*column{withoutV4(created()), withoutV4(updated()), link("createdById", 6, "users"), link("updatedById", 6, "users")}
}

// audit4 is the same where version 4 has the times too.
func audit4() []*column {
	return []*column{created(), updated(), link("createdById", 6, "users"), link("updatedById", 6, "users")}
}

// rigid says that nobody edits the column: its values follow from other things.
func rigid(c *column) *column {
	c.rigid = true
	return c
}

func withoutV4(c *column) *column {
	c.v4 = ""
	return c
}

// onlyByID says that version 5 tells the columns in reads by id only.
func onlyByID(list ...*column) []*column {
	for _, c := range list {
		c.byID = true
	}
	return list
}

// utm are the five parameters that links carry.
func utm(star string, null int) []*column {
	var list []*column
	for _, name := range []string{"campaign", "medium", "source", "content", "term"} {
		list = append(list, text(name+"Parameter"+star, null, terms))
	}
	return list
}

func columns(parts ...any) []*column {
	var list []*column
	for _, p := range parts {
		switch p := p.(type) {
		case *column:
			list = append(list, p)
		case []*column:
			list = append(list, p...)
		}
	}
	return list
}

// finish completes a table.
func (t *table) finish() *table {
	t.byName = make(map[string]*column, len(t.columns))
	for _, c := range t.columns {
		t.byName[c.name] = c
	}
	t.bin = t.byName["isDeleted"] != nil
	return t
}

// withColumn returns a copy of the table that has one more column.
func (t *table) withColumn(c *column) *table {
	n := *t
	n.columns = append(slices.Clip(t.columns), c)
	n.byName = make(map[string]*column, len(n.columns))
	for _, c := range n.columns {
		n.byName[c.name] = c
	}
	return &n
}

// list is a JSON array of ids.
func idList(ids ...int64) json.RawMessage {
	if ids == nil {
		ids = []int64{}
	}
	b, _ := json.Marshal(ids) // numbers can be written
	return b
}

var (
	byTimes   = []string{"createdAt", "updatedAt"}
	byCreated = []string{"createdAt"}
)

// makeTables makes all tables of the account, in the order in which people would name them.
func (w *world) makeTables(cfg Config) []*table {
	list := slices.Concat(w.peopleTables(), w.activityTables(), w.campaignTables(), w.mailTables(), w.siteTables(), w.accountTables(cfg))
	for _, t := range list {
		t.finish()
		if cfg.NoFilters && slices.Contains([]string{"visitors", "form_fields", "engagement_studio_programs", "folder_contents"}, t.name) {
			t.filters, t.orders = nil, []string{"id"}
		}
		t.orders = append([]string{"id"}, append(slices.Clone(t.filters), t.orders...)...)
	}
	return list
}

// share is part of rows, within bounds.
func (w *world) share(numerator, denominator, least, most int64) int64 {
	return min(max(w.rows*numerator/denominator, least), most)
}
