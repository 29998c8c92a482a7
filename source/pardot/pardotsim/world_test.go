package pardotsim

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync/simulate"
)

// values are all of a record's values.
func values(r *record) map[string]any {
	out := map[string]any{}
	for _, c := range r.t.columns {
		out[c.name] = r.value(c)
	}
	return out
}

func TestWorldIsAFunctionOfTheSeed(t *testing.T) {
	one, same, other := newLab(t, Config{}), newLab(t, Config{}), newLab(t, Config{Options: simulate.Options{Seed: 7}})
	differ := 0
	for _, table := range one.world.tables {
		for i := range min(table.n, 50) {
			a := values(one.present().at(table, i))
			if b := values(same.present().at(same.table(table.name), i)); !reflect.DeepEqual(a, b) {
				t.Fatalf("%s %d: %s", table.name, i, cmp.Diff(a, b))
			}
			if !reflect.DeepEqual(a, values(other.present().at(other.table(table.name), i))) {
				differ++
			}
		}
	}
	if differ < 500 {
		t.Errorf("another seed: only %d records differ", differ)
	}
}

func TestTablesHaveRows(t *testing.T) {
	for _, rows := range []int{1, 40, 1000} {
		l := newLab(t, Config{Options: simulate.Options{Rows: rows}})
		for _, name := range l.Tables() {
			n := 0
			for range l.Truth(name) {
				n++
			}
			if n == 0 {
				t.Errorf("%d prospects: %s has no rows", rows, name)
			}
		}
	}
	if _, err := New(Config{Options: simulate.Options{Rows: -1}}); err == nil {
		t.Error("an account of fewer than no prospects")
	}
}

// TestS27Data: what breaks careless readers is in the data.
func TestS27Data(t *testing.T) {
	l := newLab(t, Config{Options: simulate.Options{Rows: 2000}})
	want := map[string]func(string) bool{
		"an entity":             func(s string) bool { return strings.Contains(s, "&amp;") },
		"an ampersand":          func(s string) bool { return strings.Contains(s, "& ") },
		"a tag":                 func(s string) bool { return strings.Contains(s, "<b>") },
		"a leading zero":        func(s string) bool { return s == "02134" },
		"a control character":   func(s string) bool { return strings.ContainsAny(s, "\x07\x1b\x1f\x0b") },
		"a newline":             func(s string) bool { return strings.Contains(s, "\n") && !strings.Contains(s, "\r") },
		"a lone return":         func(s string) bool { return strings.Contains(s, "Mac\rline") },
		"a Windows newline":     func(s string) bool { return strings.Contains(s, "\r\n") },
		"a quote and a comma":   func(s string) bool { return strings.Contains(s, "\"") && strings.Contains(s, ",") },
		"Chinese and emoji":     func(s string) bool { return strings.Contains(s, "漢") && strings.Contains(s, "😀") },
		"null":                  func(s string) bool { return s == "null" },
		"a space at the end":    func(s string) bool { return strings.HasSuffix(s, " ") },
		"a backslash":           func(s string) bool { return strings.Contains(s, "\\") },
		"a Unicode line ending": func(s string) bool { return strings.Contains(s, "\u2028") },
	}
	nulls := map[string]bool{}
	for _, table := range l.world.tables {
		seen := map[string]bool{}
		ids, last := false, int64(0)
		for r := range l.each(query{table: table, bin: binShown}) {
			if r.id <= last || r.created > l.world.end || r.updated < r.created || r.updated > l.world.end {
				t.Fatalf("%s %d after %d: created %d, updated %d, end %d", table.name, r.id, last, r.created, r.updated, l.world.end)
			}
			last = r.id
			ids = ids || r.id > 1<<31
			for _, c := range table.columns {
				v := r.value(c)
				if v == nil {
					nulls[table.name+"."+c.name] = true
				}
				if text, ok := v.(string); ok && len(want) > 0 {
					for what, is := range want {
						if is(text) {
							delete(want, what)
						}
					}
				}
				if c.custom != nil && v != nil {
					seen[c.custom.Type] = true
				}
				if ok := map[kind]bool{
					kindInt: is[int64](v), kindText: is[string](v), kindBool: is[bool](v), kindTime: is[stamp](v), kindFloat: is[float64](v), kindList: is[[]string](v), kindJSON: true,
				}[c.kind]; v != nil && !ok {
					t.Fatalf("%s %d: %s is %T", table.name, r.id, c.name, v)
				}
			}
		}
		switch table.name {
		case "visitor_activities", "visitors", "visits", "visitor_page_views", "list_memberships":
			if !ids {
				t.Errorf("%s has no ids above 2^31", table.name)
			}
		case "prospects":
			for _, kind := range []string{"Text", "Textarea", "Number", "Date", "Dropdown", "Radio Button", "Checkbox", "Multi-Select", "Hidden", "CRM User"} {
				if !seen[kind] {
					t.Errorf("no custom field of type %s", kind)
				}
			}
			if len(seen) == 0 {
				t.Error("no custom fields")
			}
		}
	}
	for what := range want {
		t.Errorf("no text has %s", what)
	}
	for _, table := range l.world.tables {
		for _, c := range table.columns {
			if c.null > 0 && !nulls[table.name+"."+c.name] && table.n > 500 {
				t.Errorf("%s.%s is never null", table.name, c.name)
			}
		}
	}
}

func is[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

// TestS27Times: hundreds of rows share a second, and an hour of an autumn night comes twice.
func TestS27Times(t *testing.T) {
	l := newLab(t, Config{Options: simulate.Options{Rows: 4000}})
	zone := l.zone.Load()
	for name, least := range map[string]int{"prospects": 500, "visitor_activities": 1500, "visitors": 500, "list_memberships": 500, "email_clicks": 500} {
		created, updated := map[int64]int{}, map[int64]int{}
		twice := map[string]int{}
		for r := range l.each(query{table: l.table(name), bin: binShown}) {
			created[r.created]++
			updated[r.updated]++
			for _, at := range []int64{r.created, r.updated} {
				if text := stamp(at).time().In(zone).Format("2006-01-02T15 -07"); strings.HasPrefix(text, "2025-11-02T01") {
					twice[text[14:]]++
				}
			}
		}
		most := func(m map[int64]int) (n int) {
			for _, k := range m {
				n = max(n, k)
			}
			return n
		}
		if most(created) < least*95/100 {
			t.Errorf("%s: at most %d rows were created in one second, want %d", name, most(created), least)
		}
		if l.table(name).edited > 0 && most(updated) < least*9/10 {
			t.Errorf("%s: at most %d rows were updated in one second, want %d", name, most(updated), least)
		}
		if len(twice) != 2 {
			t.Errorf("%s: rows of the hour that comes twice: %v", name, twice)
		}
	}
}

func TestCreatedNeverDecreases(t *testing.T) {
	l := newLab(t, Config{Options: simulate.Options{Rows: 30_000}})
	for _, table := range l.world.tables {
		last := int64(0)
		for i := range table.n {
			at := table.createdAt(i)
			if at < last {
				t.Fatalf("%s: record %d was created at %d, the one before it at %d", table.name, i, at, last)
			}
			last = at
		}
	}
}

// TestFind compares each answer with one that looks at every record.
func TestFind(t *testing.T) {
	l := newLab(t, Config{})
	l.AddProspects(7, l.clock.Now().Add(-400*24*time.Hour))
	l.AddActivities(5, l.clock.Now().Add(-3*time.Hour))
	l.Touch("prospects", 30, l.clock.Now())
	l.Purge("prospects", 9)
	l.Remove("prospects", 11)
	for _, name := range []string{"prospects", "visitor_activities", "tags"} {
		table := l.table(name)
		var all []*record
		for i := range l.present().total(table) {
			if r := l.present().at(table, i); !r.gone {
				all = append(all, r)
			}
		}
		mid, quarter := all[len(all)/2], all[len(all)/4]
		for _, where := range [][]condition{
			nil,
			{{"id", greater, mid.id}},
			{{"id", greater, mid.id + 1}, {"id", atMost, all[len(all)-2].id}},
			{{"id", atLeast, mid.id}, {"id", less, all[len(all)-2].id - 1}},
			{{"id", equal, mid.id}},
			{{"id", equal, mid.id + 1}},
			{{"createdAt", greater, stamp(mid.created)}},
			{{"createdAt", atLeast, stamp(quarter.created)}, {"createdAt", less, stamp(mid.created)}},
			{{"createdAt", atMost, stamp(mid.created)}, {"id", greater, quarter.id}},
			{{"updatedAt", atLeast, stamp(quarter.updated)}, {"updatedAt", less, stamp(l.world.end)}},
			{{"createdById", isNull, nil}},
			{{"prospectId", notNull, nil}, {"type", among, []any{int64(1), int64(6)}}},
		} {
			for _, b := range []bin{binHidden, binOnly, binShown} {
				for _, desc := range []bool{false, true} {
					var want []int64
					for _, r := range all {
						ok := b == binShown || r.deleted == (b == binOnly)
						for _, c := range where {
							ok = ok && c.matchValue(valueOr(r, c.field))
						}
						if ok {
							want = append(want, r.id)
						}
					}
					if desc {
						slices.Reverse(want)
					}
					got := l.find(query{table: table, where: where, bin: b, count: true, order: []sorting{{"id", desc}}})
					var ids []int64
					for _, r := range got.rows {
						ids = append(ids, r.id)
					}
					if diff := cmp.Diff(want, ids); diff != "" || got.total != len(want) {
						t.Fatalf("%s %v bin %d desc %t: total %d of %d: %s", name, where, b, desc, got.total, len(want), diff)
					}
				}
			}
		}
	}
}

func valueOr(r *record, field string) any {
	if field == "id" {
		return r.id
	}
	return r.get(field)
}

func BenchmarkTruth(b *testing.B) {
	s, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, name := range s.Tables() {
			for range s.Truth(name) {
			}
		}
	}
}
