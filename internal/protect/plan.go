package protect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/martsync/martsync"
)

// fate is what becomes of a column.
type fate uint8

const (
	keep  fate = iota
	hide       // a hash goes on
	edit       // an object some of whose members are left out or hashed
	blank      // null in those rows where it tells of another column
)

// A column is one that goes on.
type column struct {
	from  int // in the schema of the source
	fate  fate
	was   martsync.Type
	edits []memberRule
	where [][]condition // of blank: the rows, by any of them
}

// A memberRule says what becomes of members of an object.
type memberRule struct {
	member string // pattern
	hide   bool   // else: left out
	where  []condition
}

// A condition is a column of the source's schema that has one of some values, as text in lower case.
type condition struct {
	column int
	values map[string]bool
}

// A plan is what becomes of the records of a stream.
type plan struct {
	from, to martsync.Schema
	columns  []column
	guarded  map[string]bool // columns whose values must not show in reasons
	all      bool            // every column goes on as it is
}

// plan applies the rules to a schema. Echoes are those of the columns of other streams that show in this one.
func (p *Protection) plan(s martsync.Schema, echoes []echo) (*plan, error) {
	fail := func(c *martsync.Column, format string, args ...any) error {
		return &martsync.Error{Kind: martsync.Config, Op: "columns", Err: fmt.Errorf("%s.%s %s", s.Stream, c.Name, fmt.Sprintf(format, args...))}
	}
	l := &plan{from: s, to: s, guarded: map[string]bool{}, all: true}
	l.to.Columns = nil
	for i := range s.Columns {
		c := &s.Columns[i]
		identity := s.IsKey(c.Name) || c.Name == s.Version
		hashed := p.hashes(s.Stream, c)
		switch dropped := anyIs(p.exclude, s.Stream, c); {
		case identity && (dropped && p.names(p.exclude, s.Stream, c) || hashed):
			return nil, fail(c, "cannot be left out or hashed: records are told apart by it")
		case !identity && p.drops(s.Stream, c):
			l.guarded[c.Name], l.all = true, false
			continue
		}
		col := column{from: i, was: c.Type}
		to := *c
		if hashed && !identity {
			if c.Type != martsync.String && c.Type != martsync.Int64 {
				return nil, fail(c, "is a %s; only texts and whole numbers can be hashed", c.TypeName())
			}
			col.fate, to.Type = hide, martsync.String
			to.Description = strings.TrimSpace("a hash of it " + c.Description)
			l.guarded[c.Name], l.all = true, false
		}
		for _, e := range p.edits(s.Stream, c) {
			if c.Type != martsync.JSON {
				return nil, fail(c, "is a %s and has no members", c.TypeName())
			}
			col.edits = append(col.edits, e)
		}
		if c.Type == martsync.JSON && col.fate == keep {
			for _, e := range echoes {
				if e.Column == c.Name {
					col.edits = append(col.edits, e.rules(&s)...)
				}
			}
		}
		if len(col.edits) > 0 {
			col.fate, l.all = edit, false
			l.guarded[c.Name] = true
		}
		for _, e := range echoes {
			if e.Column != c.Name || len(e.Members) > 0 || identity || col.fate == hide {
				continue
			}
			if c.Type != martsync.String {
				return nil, &martsync.Error{Kind: martsync.Internal, Op: "columns", Err: fmt.Errorf("%s.%s is a %s and tells of %s", s.Stream, c.Name, c.TypeName(), e.Of.Name)}
			}
			// A hash of what is made of several columns would join with none of them.
			col.fate, col.where, l.all = blank, append(col.where, e.conditions(&s)), false
			l.guarded[c.Name] = true
		}
		l.columns, l.to.Columns = append(l.columns, col), append(l.to.Columns, to)
	}
	return l, nil
}

// names reports whether a pattern names this very column, rather than many with it: a key among many stays.
func (p *Protection) names(patterns []pattern, stream string, c *martsync.Column) bool {
	return slices.ContainsFunc(patterns, func(t pattern) bool {
		return t.member == "" && t.is(stream, c) && !strings.ContainsAny(t.column, "*?[")
	})
}

// edits are the rules for members of a column.
func (p *Protection) edits(stream string, c *martsync.Column) (all []memberRule) {
	for _, t := range p.exclude {
		if t.member != "" && t.is(stream, c) {
			all = append(all, memberRule{member: t.member})
		}
	}
	for _, t := range p.hash {
		if t.member != "" && t.is(stream, c) {
			all = append(all, memberRule{member: t.member, hide: true})
		}
	}
	return all
}

// An echo is a place where values of a column show that is left out or hashed.
type echo struct {
	martsync.Echo
	hide bool
}

// conditions tell the rows where the values are. If the schema has none of the columns that tell, they are taken to be
// everywhere.
func (e echo) conditions(s *martsync.Schema) (where []condition) {
	byColumn := map[int]map[string]bool{}
	for _, m := range e.Where {
		i := s.Index(m.Column)
		if i < 0 {
			continue
		}
		if byColumn[i] == nil {
			byColumn[i] = map[string]bool{}
		}
		byColumn[i][strings.ToLower(m.Value)] = true
	}
	for _, i := range slices.Sorted(maps.Keys(byColumn)) {
		where = append(where, condition{i, byColumn[i]})
	}
	return where
}

// rules are those that take the values out of members.
func (e echo) rules(s *martsync.Schema) []memberRule {
	where := e.conditions(s)
	rules := make([]memberRule, len(e.Members))
	for i, m := range e.Members {
		rules[i] = memberRule{member: literal(m), hide: e.hide, where: where}
	}
	return rules
}

// literal makes a pattern that matches nothing but the name.
func literal(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}
