package snowflake

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// A load is what one statement brings from a staging table into a table. It only makes text.
type load struct {
	target  string   // quoted names
	staging string   // "": no rows were staged
	fields  []field  // parallel to the columns of the schema
	key     []string // quoted
	version string   // quoted; "": the row written last wins
	synced  string   // quoted
	deleted string   // quoted; "": the table has no such column
	at      string   // literal of the commit's time

	replace  bool     // the rows take the place of all there are
	gone     bool     // tombstones are among them
	nullKeys bool     // a key may be NULL
	bounds   []string // conditions on t that hold for each row that has a partner
	scopes   []string // conditions on a key: it is in a complete scope; "TRUE" is the whole table
	ranges   []string // conditions on a version: it is in a complete range
	census   []string // conditions on a key: it is in the range of a census
}

// A field is a column that rows bring along.
type field struct {
	name   string // quoted
	value  string // the expression for the table's column, made of the staged one, which has the same name
	key    bool
	sticky bool // NULL leaves what is there
}

// Names within the statements. They begin as no column of a stream does.
const (
	lastName  = `"_MARTSYNC_LAST"`  // version after all rows of the key
	rowName   = `"_MARTSYNC_ROW"`   // sequence of the last record that counts
	goneName  = `"_MARTSYNC_GONE"`  // sequence of the last tombstone that counts
	hereName  = `"_MARTSYNC_HERE"`  // 1: the key has a record
	rangeName = `"_MARTSYNC_RANGE"` // 1: the table's row is in a complete range of versions
	foundName = `"_MARTSYNC_FOUND"` // 1: a census names the key
	countName = `"_MARTSYNC_COUNTS"`
	markName  = `"_MARTSYNC_MARK"` // what scopes and censuses say of the key
	deadName  = `"_MARTSYNC_DEAD"` // what _deleted becomes if the row wins
)

var seqName, kindName = ident(sequenceColumn), ident(kindColumn)

// statement is what brings the rows in; "": there is nothing to do.
func (l *load) statement() string {
	marks := l.marks()
	switch {
	case l.replace && l.staging == "":
		return "DELETE FROM " + l.target
	case l.staging == "" && !marks:
		return ""
	case l.staging == "":
		return l.markAbsent()
	case len(l.key) == 0:
		return l.insert()
	case !l.gone && !marks && !l.hasSticky():
		if l.replace {
			return l.insertKeyed(l.latest(), "")
		}
		return l.mergeLatest()
	case l.replace:
		return l.insertKeyed(l.resolved(), "\nWHERE s."+rowName+" IS NOT NULL OR s."+goneName+" IS NOT NULL")
	default:
		return l.mergeResolved()
	}
}

func (l *load) hasSticky() bool {
	return slices.ContainsFunc(l.fields, func(f field) bool { return f.sticky })
}

// names of the columns that a row sets, in order.
func (l *load) names() []string {
	out := make([]string, 0, len(l.fields)+2)
	for _, f := range l.fields {
		out = append(out, f.name)
	}
	out = append(out, l.synced)
	if l.deleted != "" {
		out = append(out, l.deleted)
	}
	return out
}

func (l *load) into() string {
	verb := "INSERT INTO "
	if l.replace {
		// not SWAP, which is DDL and would commit apart from the cursor
		verb = "INSERT OVERWRITE INTO "
	}
	return verb + l.target + " (" + strings.Join(l.names(), ", ") + ")"
}

// flagged is what a record says of itself.
const flagged = `"_MARTSYNC_KIND" = 1`

// insert appends the rows of a table without a key.
func (l *load) insert() string {
	values := make([]string, 0, len(l.fields)+2)
	for _, f := range l.fields {
		values = append(values, f.value)
	}
	values = append(values, l.at)
	if l.deleted != "" {
		values = append(values, flagged)
	}
	return l.into() + "\nSELECT " + strings.Join(values, ", ") + "\nFROM " + l.staging
}

// insertKeyed replaces the table by one row for each key.
func (l *load) insertKeyed(query, where string) string {
	values := make([]string, 0, len(l.fields)+2)
	for _, f := range l.fields {
		values = append(values, "s."+l.insertValue(f))
	}
	values = append(values, l.at)
	if l.deleted != "" {
		values = append(values, "s."+deadName)
	}
	return l.into() + "\nSELECT " + strings.Join(values, ", ") + "\nFROM (\n" + query + "\n) AS s" + where
}

// insertValue is the column of the query that a new row gets.
func (l *load) insertValue(f field) string {
	if f.name == l.version && l.isResolved() {
		return lastName
	}
	return f.name
}

func (l *load) isResolved() bool {
	return l.gone || l.marks() || l.hasSticky()
}

// marks reports whether something says of rows of the table that they no longer exist.
func (l *load) marks() bool { return len(l.scopes)+len(l.ranges)+len(l.census) > 0 }

// latest is one row for each key if there are neither tombstones nor sticky columns nor marks: the highest version,
// of equal ones the last (I6).
func (l *load) latest() string {
	values := make([]string, 0, len(l.fields)+1)
	for _, f := range l.fields {
		values = append(values, as(f))
	}
	if l.deleted != "" {
		values = append(values, flagged+" AS "+deadName)
	}
	order := seqName + " DESC"
	if l.version != "" {
		order = l.version + " DESC NULLS LAST, " + order
	}
	return "SELECT " + strings.Join(values, ", ") + "\nFROM " + l.staging +
		"\nQUALIFY ROW_NUMBER() OVER (PARTITION BY " + strings.Join(l.key, ", ") + " ORDER BY " + order + ") = 1"
}

func as(f field) string {
	if f.value == f.name {
		return f.name
	}
	return f.value + " AS " + f.name
}

// on compares the keys and bounds the table's.
func (l *load) on() string {
	var terms []string
	for _, k := range l.key {
		if l.nullKeys {
			terms = append(terms, "t."+k+" IS NOT DISTINCT FROM s."+k)
		} else {
			terms = append(terms, "t."+k+" = s."+k)
		}
	}
	return strings.Join(append(terms, l.bounds...), " AND ")
}

// beats is the condition that a version of the source wins against the table's. A NULL is lower than any other, and of
// equal ones the source's wins.
func (l *load) beats(version string) string {
	if l.version == "" {
		return ""
	}
	return "(t." + l.version + " IS NULL OR " + version + " >= t." + l.version + ")"
}

func (l *load) mergeLatest() string {
	var set, names, values []string
	for _, f := range l.fields {
		if !f.key {
			set = append(set, f.name+" = s."+f.name)
		}
		names, values = append(names, f.name), append(values, "s."+f.name)
	}
	set, names, values = append(set, l.synced+" = "+l.at), append(names, l.synced), append(values, l.at)
	if l.deleted != "" {
		set, names, values = append(set, l.deleted+" = s."+deadName), append(names, l.deleted), append(values, "s."+deadName)
	}
	matched := "\nWHEN MATCHED"
	if b := l.beats("s." + l.version); b != "" {
		matched += " AND " + b
	}
	return "MERGE INTO " + l.target + " AS t USING (\n" + l.latest() + "\n) AS s\nON " + l.on() + matched +
		" THEN UPDATE SET " + strings.Join(set, ", ") +
		"\nWHEN NOT MATCHED THEN INSERT (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
}

// resolved is one row for each key, with all that became of it (I6). Rows and tombstones are events in the order in
// which they were written. One counts if no earlier one has a higher version; so the versions of those that count
// never fall, and those that beat the table's version are the last ones. Hence the last record that counts
// decides the values, the last event the version and whether the record is deleted, and a sticky column
// has the last value that is not NULL, together with the version that this value came with.
func (l *load) resolved() string {
	key := strings.Join(l.key, ", ")
	over := " OVER (PARTITION BY " + key + ")"

	counts := kindName + " <= " + strconv.Itoa(kindGone)
	if l.version != "" {
		counts += " AND " + l.version + " IS NOT DISTINCT FROM MAX(IFF(" + counts + ", " + l.version + ", NULL)) OVER (PARTITION BY " + key +
			" ORDER BY " + seqName + " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
	}
	isRecord := countName + " AND " + kindName + " <= " + strconv.Itoa(kindFlagged)
	window := []string{
		"MAX(IFF(" + isRecord + ", " + seqName + ", NULL))" + over + " AS " + rowName,
		"MAX(IFF(" + countName + " AND " + kindName + " = " + strconv.Itoa(kindGone) + ", " + seqName + ", NULL))" + over + " AS " + goneName,
	}
	if l.version != "" {
		window = append(window, "MAX(IFF("+countName+", "+l.version+", NULL))"+over+" AS "+lastName)
	}
	if len(l.scopes)+len(l.ranges) > 0 {
		window = append(window, fmt.Sprintf("MAX(IFF(%s <= %d, 1, 0))%s AS %s", kindName, kindFlagged, over, hereName))
	}
	if len(l.ranges) > 0 {
		window = append(window, fmt.Sprintf("MAX(IFF(%s = %d AND (%s), 1, 0))%s AS %s", kindName, kindStored, strings.Join(l.ranges, " OR "), over, rangeName))
	}
	if len(l.census) > 0 {
		window = append(window, fmt.Sprintf("MAX(IFF(%s = %d, 1, 0))%s AS %s", kindName, kindExists, over, foundName))
	}
	var values []string
	for i, f := range l.fields {
		if !f.sticky {
			values = append(values, as(f))
			continue
		}
		value, version := stickyName(i), stickyVersion(i)
		window = append(window, "LAST_VALUE(IFF("+isRecord+", "+f.name+", NULL)) IGNORE NULLS OVER (PARTITION BY "+key+" ORDER BY "+seqName+
			" ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS "+value)
		values = append(values, strings.ReplaceAll(f.value, f.name, value)+" AS "+f.name)
		if l.version != "" {
			window = append(window, "MAX(IFF("+isRecord+" AND "+f.name+" IS NOT NULL, "+l.version+", NULL))"+over+" AS "+version)
			values = append(values, version)
		}
	}
	values = append(values, rowName, goneName)
	if l.version != "" {
		values = append(values, lastName)
	}
	if mark := l.mark(); mark != "" {
		values = append(values, mark+" AS "+markName)
	}
	if l.deleted != "" {
		dead := l.buried("") + " OR " + flagged
		if mark := l.mark(); mark != "" {
			dead = "COALESCE(" + mark + ", " + dead + ")"
		}
		values = append(values, dead+" AS "+deadName)
	}
	return "WITH events AS (\n" + l.events() + "\n), counted AS (\nSELECT *, " + counts + " AS " + countName + " FROM events\n), resolved AS (\nSELECT *,\n  " +
		strings.Join(window, ",\n  ") + "\nFROM counted\n)\nSELECT " + strings.Join(values, ", ") + "\nFROM resolved\nQUALIFY ROW_NUMBER() OVER (PARTITION BY " + key +
		" ORDER BY IFF(" + isRecord + ", 0, IFF(" + countName + ", 1, 2)), " + seqName + " DESC NULLS LAST) = 1"
}

func stickyName(i int) string    { return fmt.Sprintf(`"_MARTSYNC_V%d"`, i) }
func stickyVersion(i int) string { return fmt.Sprintf(`"_MARTSYNC_W%d"`, i) }

// buried is the condition that a tombstone comes after the last record that counts.
func (l *load) buried(alias string) string {
	return "COALESCE(" + alias + goneName + ", -1) > COALESCE(" + alias + rowName + ", -1)"
}

// events are the staged rows, and the keys of the table, for ranges with their versions, that scopes and censuses may be about.
func (l *load) events() string {
	names := make([]string, 0, len(l.fields)+2)
	keys := make([]string, 0, len(l.fields)+2)
	for _, f := range l.fields {
		names = append(names, f.name)
		if f.key || f.name == l.version && len(l.ranges) > 0 {
			keys = append(keys, f.name)
		} else {
			keys = append(keys, "NULL")
		}
	}
	query := "SELECT " + strings.Join(append(names, seqName, kindName), ", ") + "\nFROM " + l.staging
	if l.marks() && !l.replace {
		query += "\nUNION ALL\nSELECT " + strings.Join(append(keys, "NULL", strconv.Itoa(kindStored)), ", ") + "\nFROM " + l.target + "\nWHERE " + l.absent()
	}
	return query
}

// mark is what scopes and censuses say of a key: TRUE deleted, FALSE not, NULL nothing. Censuses have the last word.
func (l *load) mark() string {
	var b strings.Builder
	if len(l.census) > 0 {
		b.WriteString(" WHEN " + strings.Join(l.census, " OR ") + " THEN " + foundName + " = 0")
	}
	within := l.scopes
	if len(l.ranges) > 0 {
		within = append(slices.Clone(within), rangeName+" = 1")
	}
	if len(within) > 0 {
		b.WriteString(" WHEN " + hereName + " = 0 AND (" + strings.Join(within, " OR ") + ") THEN TRUE")
	}
	if b.Len() == 0 {
		return ""
	}
	return "CASE" + b.String() + " END"
}

// mergeResolved merges with tombstones, sticky columns, scopes and censuses.
func (l *load) mergeResolved() string {
	var b strings.Builder
	b.WriteString("MERGE INTO " + l.target + " AS t USING (\n" + l.resolved() + "\n) AS s\nON " + l.on())
	clause := func(condition string, beats string, set []string) {
		b.WriteString("\nWHEN MATCHED AND " + condition)
		if beats != "" {
			b.WriteString(" AND " + beats)
		}
		b.WriteString(" THEN UPDATE SET " + strings.Join(set, ", "))
	}
	var version, died []string
	if l.version != "" && !slices.Contains(l.key, l.version) {
		version = []string{l.version + " = s." + lastName}
	}
	if l.deleted != "" {
		died = []string{l.deleted + " = s." + deadName}
	}
	stamp := []string{l.synced + " = " + l.at}
	var set, names, values []string
	for i, f := range l.fields {
		names, values = append(names, f.name), append(values, "s."+l.insertValue(f))
		switch {
		case f.key || f.name == l.version:
		case f.sticky && l.version == "":
			set = append(set, f.name+" = COALESCE(s."+f.name+", t."+f.name+")")
		case f.sticky:
			set = append(set, f.name+" = IFF(s."+f.name+" IS NOT NULL AND "+l.beats("s."+stickyVersion(i))+", s."+f.name+", t."+f.name+")")
		default:
			set = append(set, f.name+" = s."+f.name)
		}
	}
	own, last := "", ""
	if l.version != "" {
		own, last = l.beats("s."+l.version), l.beats("s."+lastName)
	}
	clause("s."+rowName+" IS NOT NULL", own, slices.Concat(set, version, stamp, died))
	if l.gone {
		clause(l.buried("s."), last, slices.Concat(version, stamp, died))
	}
	if l.mark() != "" {
		clause("s."+markName+" IS NOT NULL AND COALESCE(t."+l.deleted+", FALSE) <> s."+markName, "",
			append([]string{l.deleted + " = s." + markName}, stamp...))
	}
	names, values = append(names, l.synced), append(values, l.at)
	if l.deleted != "" {
		names, values = append(names, l.deleted), append(values, "s."+deadName)
	}
	b.WriteString("\nWHEN NOT MATCHED AND (s." + rowName + " IS NOT NULL OR s." + goneName + " IS NOT NULL) THEN INSERT (" +
		strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")")
	return b.String()
}

// markAbsent marks what scopes and censuses are about if no row came with them.
func (l *load) markAbsent() string {
	return "UPDATE " + l.target + " SET " + l.deleted + " = TRUE, " + l.synced + " = " + l.at + "\nWHERE " + l.absent()
}

// absent is the condition that a row of the table may have to be marked.
func (l *load) absent() string {
	return l.deleted + " IS DISTINCT FROM TRUE AND (" + strings.Join(slices.Concat(l.scopes, l.ranges, l.census), " OR ") + ")"
}

// conditions restrict keys to the scopes, those of one column together, and versions to the ranges.
func (w *writer) conditions(scopes []martsync.Scope) (conditions, ranges []string, err error) {
	var order []string
	values := map[string][]string{}
	for _, s := range scopes {
		if s.Column == "" {
			return []string{"TRUE"}, nil, nil // the whole table covers the others
		}
		if s.IsRange() {
			i := w.schema.Index(s.Column)
			if i < 0 {
				return nil, nil, bug("commit "+w.schema.Stream, "a scope names the column %q, which does not exist", s.Column)
			}
			name := w.d.config.columnName(w.schema.Columns[i])
			if t := w.table.find(name); t >= 0 && w.table.columns[t].Type == martsync.Timestamp { // else it orders no times
				ranges = append(ranges, fmt.Sprintf("(%s >= %s AND %s < %s)", ident(name), moment(s.From), ident(name), moment(s.To)))
			}
			continue
		}
		i := w.schema.Index(s.Column)
		if i < 0 || !w.schema.IsKey(s.Column) {
			return nil, nil, bug("commit "+w.schema.Stream, "a scope names the column %q, which is not of the key", s.Column)
		}
		name := w.d.config.columnName(w.schema.Columns[i])
		if _, ok := values[name]; !ok {
			order = append(order, name)
		}
		value := text(s.Value)
		if t := w.table.find(name); t >= 0 && (w.table.columns[t].Type == martsync.Int64 || w.table.columns[t].Type == martsync.Decimal) {
			n, err := strconv.ParseInt(s.Value, 10, 64)
			if err != nil {
				return nil, nil, bug("commit "+w.schema.Stream, "a scope wants %q in the column %s of integers", s.Value, s.Column)
			}
			value = strconv.FormatInt(n, 10)
		}
		values[name] = append(values[name], value)
	}
	for _, column := range order {
		conditions = append(conditions, ident(column)+" IN ("+strings.Join(values[column], ", ")+")")
	}
	return conditions, ranges, nil
}

// ranges are the conditions for the ranges of censuses; those that follow each other are one.
func ranges(key string, censuses []martsync.Census) (conditions []string, after, upTo int64) {
	sorted := slices.Clone(censuses)
	slices.SortFunc(sorted, func(a, b martsync.Census) int { return int(min(max(a.After-b.After, -1), 1)) })
	for i := 0; i < len(sorted); {
		from, to := sorted[i].After, sorted[i].UpTo
		for i++; i < len(sorted) && sorted[i].After == to; i++ {
			to = sorted[i].UpTo
		}
		conditions = append(conditions, fmt.Sprintf("(%s > %d AND %s <= %d)", key, from, key, to))
	}
	return conditions, sorted[0].After, sorted[len(sorted)-1].UpTo
}
