package snowflake

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

var _ martsync.Adopter = (*destination)(nil)

// Adopt tells how the tables of the streams that the configuration names under adopt would begin with the rows
// of tables that another program made. The plan copies: those tables stay as they are, so that both
// programs can run side by side for a while. Looking at the rows takes one query a table.
func (d *destination) Adopt(ctx context.Context, schemas []martsync.Schema) ([]martsync.Adoption, error) {
	var plans []martsync.Adoption
	known := map[string]bool{}
	for _, s := range schemas {
		known[s.Stream] = true
		from, ok := d.config.Adopt[s.Stream]
		if !ok {
			continue
		}
		plan, err := d.adopt(ctx, s, from)
		if err != nil {
			return nil, err
		}
		plans = append(plans, plan)
	}
	for _, stream := range sorted(d.config.Adopt) {
		if !known[stream] {
			plans = append(plans, martsync.Adoption{
				Stream: stream, Table: d.config.Adopt[stream].Table,
				Problems: []string{"the sync has no stream " + stream},
			})
		}
	}
	return plans, nil
}

func (d *destination) adopt(ctx context.Context, s martsync.Schema, from Adopted) (martsync.Adoption, error) {
	op := "look at table " + from.Table
	a := &adoption{d: d, schema: s, plan: martsync.Adoption{Stream: s.Stream, Table: from.Table}}
	var err error
	if a.path, a.theirs, err = d.find(ctx, from.Table); err != nil {
		return a.plan, err
	}
	if a.theirs == nil {
		a.problem("%s does not exist, or the role may not see it", from.Table)
		return a.plan, nil
	}
	a.plan.Table = strings.Join(a.path, ".")
	a.match(from)
	if err := a.ours(ctx); err != nil {
		return a.plan, err
	}
	if len(a.plan.Problems) > 0 {
		return a.plan, nil
	}
	err = d.with(ctx, op, func(session *session) error { return a.look(ctx, session) })
	if err != nil {
		return a.plan, err
	}
	a.write()
	return a.plan, nil
}

// adoption is a plan being made.
type adoption struct {
	d      *destination
	schema martsync.Schema
	path   []string    // of their table
	theirs []described // its columns
	moves  []move
	newest string // the expression of the time at which reading goes on; "": there is none
	plan   martsync.Adoption
}

// A move is a column that both tables have.
type move struct {
	ours   martsync.Column
	theirs described
	given  string // the expression of what theirs has
	value  string // the expression of what ours gets; NULL where theirs does not fit
	misfit string // the condition of rows whose value does not fit; "": there are none
}

func (a *adoption) problem(format string, args ...any) {
	a.plan.Problems = append(a.plan.Problems, fmt.Sprintf(format, args...))
}

// match pairs the columns: as configured, else by names that are alike but for case and underscores.
func (a *adoption) match(from Adopted) {
	taken := map[string]bool{}
	for _, ours := range sorted(from.Columns) {
		if a.schema.Index(ours) < 0 {
			a.problem("columns names %s, which the stream lacks", ours)
		}
		if _, ok := a.d.column(a.theirs, from.Columns[ours]); !ok {
			a.problem("columns names %s, which the table lacks", from.Columns[ours])
		}
	}
	for _, ours := range a.schema.Columns {
		candidates := []string{ours.Name, ours.Origin}
		if named, ok := from.Columns[ours.Name]; ok {
			candidates = []string{named}
		}
		column := martsync.AdoptedColumn{Name: ours.Name}
		for _, name := range candidates {
			theirs, ok := a.d.column(a.theirs, name)
			if name == "" || !ok || taken[theirs.name] {
				continue
			}
			m, ok := convert(ours, theirs)
			if !ok {
				a.problem("%s is %s, which cannot become %s of type %s", theirs.name, theirs.typ, ours.Name, ours.TypeName())
				break
			}
			taken[theirs.name], column.From = true, theirs.name
			a.moves = append(a.moves, m)
			break
		}
		if column.From == "" && a.schema.IsKey(ours.Name) {
			a.problem("it has no column for the key %s; name it under columns", ours.Name)
		}
		a.plan.Columns = append(a.plan.Columns, column)
	}
	for _, c := range a.theirs {
		if !taken[c.name] {
			a.plan.Columns = append(a.plan.Columns, martsync.AdoptedColumn{From: c.name})
		}
	}
	a.begin(from)
}

// begin finds the time at which reading goes on.
func (a *adoption) begin(from Adopted) {
	name := from.Newest
	if name == "" {
		i := slices.IndexFunc(a.moves, func(m move) bool { return m.ours.Name == a.schema.Version && m.ours.Type == martsync.Timestamp })
		if i < 0 {
			return // the stream has no such time, or is read whole each time
		}
		name = a.moves[i].theirs.name
	}
	c, ok := a.d.column(a.theirs, name)
	if !ok {
		a.problem("newest names %s, which the table lacks", name)
		return
	}
	if a.newest, ok = asTime(c, theirColumn(c)); !ok {
		a.problem("newest names %s, which is %s and holds no times", c.name, c.typ)
	}
}

// theirColumn is a column of the table that is taken over.
func theirColumn(c described) string { return "t." + ident(c.name) }

// convert says how a column of theirs becomes one of ours. ok is false if it cannot. Empty text counts as NULL
// where it could be nothing else.
func convert(ours martsync.Column, theirs described) (m move, ok bool) {
	m = move{ours: ours, theirs: theirs, given: theirColumn(theirs), value: theirColumn(theirs)}
	has, _, known := columnOf("", theirs.typ)
	base, _, _ := strings.Cut(upper(theirs.typ), "(")
	structured := base == "VARIANT" || base == "OBJECT" || base == "ARRAY"
	if known && has.Type == martsync.String && ours.Type != martsync.String {
		return m.read(), ours.Type != martsync.Binary // bytes in which encoding?
	}
	switch ours.Type {
	case martsync.String:
		switch {
		case structured:
			m.value = "TO_JSON(" + m.value + ")"
		case !known || has.Type != martsync.String:
			m.value = "TO_VARCHAR(" + m.value + ")"
		}
		return m, base != "BINARY" // text in which encoding?
	case martsync.JSON:
		if base != "VARIANT" {
			m.value = "TO_VARIANT(" + m.value + ")"
		}
		return m, structured
	case martsync.Timestamp:
		m.value, ok = asTime(theirs, m.value)
		m.value += "::TIMESTAMP_NTZ(6)"
		return m, ok
	default: // below
	}
	if known && sqlgen.SameType(sqlgen.Widen(has, ours), ours) {
		m.value += "::" + sqlType(ours)
		return m, true
	}
	switch {
	case isNumber(ours) && known && (isNumber(has) || has.Type == martsync.Float64):
		// wider than ours: most values fit all the same
		given := "TO_VARCHAR(" + m.value + ")"
		m.value = "TRY_CAST(" + given + " AS " + sqlType(ours) + ")"
		m.misfit = given + " IS NOT NULL AND (" + m.value + " IS NULL OR " + m.value + " <> " + theirColumn(theirs) + ")"
		return m, true
	case ours.Type == martsync.Float64 && isNumber(has) && known:
		m.value += "::FLOAT"
		return m, true
	case ours.Type == martsync.Bool && isNumber(has) && known:
		m.misfit = m.value + " NOT IN (0, 1)"
		m.value += "::BOOLEAN"
		return m, true
	}
	return m, false
}

// read makes text a value of our column.
func (m move) read() move {
	m.given = "NULLIF(" + m.given + ", '')"
	unlike := ""
	switch m.ours.Type {
	case martsync.JSON:
		m.value = "TRY_PARSE_JSON(" + m.given + ")"
	case martsync.Timestamp:
		m.value = "(" + dialect.Cast(m.given, m.ours) + ")::TIMESTAMP_NTZ(6)"
	default:
		m.value = "TRY_CAST(" + m.given + " AS " + sqlType(m.ours) + ")"
		if isNumber(m.ours) { // the cast rounds
			unlike = " OR " + m.value + " <> TRY_CAST(" + m.given + " AS NUMBER(38,12))"
		}
	}
	m.misfit = m.given + " IS NOT NULL AND (" + m.value + " IS NULL" + unlike + ")"
	return m
}

func isNumber(c martsync.Column) bool { return c.Type == martsync.Int64 || c.Type == martsync.Decimal }

// ours looks at the table that would be begun: it must be empty, or rows would be there twice.
func (a *adoption) ours(ctx context.Context) error {
	table := a.d.config.tableName(a.schema.Stream)
	if slices.Equal(a.path, []string{a.d.database, a.d.schema, table}) {
		a.problem("it has the name that the stream's own table takes; rename it first: ALTER TABLE %s RENAME TO %s",
			sqlgen.Name(a.path...), sqlgen.Name(a.d.database, a.d.schema, a.d.config.tableName(a.schema.Stream+"_former")))
		return nil
	}
	rows, err := a.d.show(ctx, "look at table "+table, "SHOW TABLES LIKE "+text(likely(table))+" IN SCHEMA "+sqlgen.Name(a.d.database, a.d.schema))
	if missing(err) {
		return nil
	}
	if row := named(rows, table); err == nil && row != nil && row["rows"] != "0" {
		a.problem("the table %s of the stream has %s rows already", table, row["rows"])
	}
	return err
}

// look counts their rows, and the values that do not fit.
func (a *adoption) look(ctx context.Context, s *session) error {
	s.label("", a.schema.Stream)
	ask := []string{"COUNT(*)", "NULL::TIMESTAMP_NTZ"}
	if a.newest != "" {
		ask[1] = "MAX(" + a.newest + ")"
	}
	var doubtful, keys []move
	for _, m := range a.moves {
		if m.misfit != "" {
			ask = append(ask, "COUNT_IF("+m.misfit+")")
			doubtful = append(doubtful, m)
		}
	}
	for _, m := range a.moves {
		if a.schema.IsKey(m.ours.Name) {
			ask = append(ask, "COUNT_IF("+m.given+" IS NULL)")
			keys = append(keys, m)
		}
	}
	r, err := s.query(ctx, "SELECT "+strings.Join(ask, ", ")+" FROM "+sqlgen.Name(a.path...)+" AS t")
	if err != nil {
		return err
	}
	if len(r.rows) != 1 {
		return fmt.Errorf("a count has %d rows", len(r.rows))
	}
	row := r.rows[0]
	if a.plan.Rows, err = strconv.ParseInt(row[0], 10, 64); err != nil {
		return err
	}
	if row[1] != "" {
		newest, err := time.Parse(time.RFC3339Nano, row[1])
		if err != nil {
			return err
		}
		a.plan.Newest = newest.UTC()
	}
	for i, m := range doubtful {
		if n := row[2+i]; n != "0" {
			a.problem("%s values of %s do not read as %s", n, m.theirs.name, m.ours.TypeName())
		}
	}
	for i, m := range keys {
		if n := row[2+len(doubtful)+i]; n != "0" {
			a.problem("%s rows have no %s, which is part of the key", n, m.theirs.name)
		}
	}
	return nil
}

// write makes the statements: the tables, and the rows into ours. Of rows with one key the newest is taken.
func (a *adoption) write() {
	if len(a.plan.Problems) > 0 {
		return
	}
	c := &a.d.config
	column := func(name string) string {
		i := a.schema.Index(name)
		if i < 0 {
			return ident(c.columnName(martsync.Column{Name: name}))
		}
		return ident(c.columnName(a.schema.Columns[i]))
	}
	var into, values []string
	value := map[string]string{}
	for _, m := range a.moves {
		into, values = append(into, column(m.ours.Name)), append(values, m.value)
		value[m.ours.Name] = m.value
	}
	into, values = append(into, column(martsync.SyncedAt)), append(values, "SYSDATE()") // the time in UTC
	if a.schema.Deletes {
		into, values = append(into, column(martsync.Deleted)), append(values, "FALSE")
	}
	q := "INSERT INTO " + a.d.table(a.schema.Stream) + " (" + strings.Join(into, ", ") + ")\nSELECT " + strings.Join(values, ", ") +
		"\nFROM " + sqlgen.Name(a.path...) + " AS t"
	if len(a.schema.Key) > 0 {
		var keys []string
		for _, k := range a.schema.Key {
			keys = append(keys, value[k])
		}
		order := "1"
		if v, ok := value[a.schema.Version]; ok {
			order = v + " DESC NULLS LAST"
		}
		q += "\nQUALIFY ROW_NUMBER() OVER (PARTITION BY " + strings.Join(keys, ", ") + " ORDER BY " + order + ") = 1"
	}
	a.plan.Statements = append(a.d.TableStatements(a.schema), q)
}
