//go:build cgo && !lite

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// Commit makes the staged rows visible, with the cursor and everything in c, in one transaction.
func (w *writer) Commit(ctx context.Context, c martsync.Commit) error {
	if err := w.commit(ctx, c); err != nil {
		return wrap("commit "+w.op, w.moved(err))
	}
	w.cursor = c.Next
	w.commits++
	w.forget()
	return nil
}

func (w *writer) commit(ctx context.Context, c martsync.Commit) error {
	if w.closed {
		return bug(w.op, "the writer is closed")
	}
	if w.failed != nil {
		return w.failed
	}
	if err := w.endTx(); err != nil {
		return err
	}
	if w.load != "" {
		if err := w.claim(ctx); err != nil {
			return err
		}
	}
	c, err := w.carried(ctx, c)
	if err != nil {
		return err
	}
	return w.c.tx(ctx, func() error {
		_, commits, err := w.position(ctx)
		if err != nil {
			return err
		}
		if commits != w.commits {
			return w.conflict("another writer of this stream has committed")
		}
		if err := w.apply(ctx, c); err != nil {
			return err
		}
		if err := w.count(ctx, c); err != nil {
			return err
		}
		if err := w.appendHistory(ctx, c); err != nil {
			return err
		}
		if err := w.dropOwn(ctx); err != nil {
			return err
		}
		err = w.c.exec(ctx, "UPDATE "+w.d.table(sqlgen.Cursors)+" SET sync = ?, committed_at = ?, cursor = ?, commits = commits + 1 WHERE stream = ?",
			c.Sync, c.At, string(c.Next), w.schema.Stream)
		return err
	})
}

// moved makes a Conflict of an error of DuckDB's that came because another writer of the stream
// committed at the same time.
func (w *writer) moved(err error) error {
	e, ok := errors.AsType[*dbError](err)
	if !ok || e.fatal() {
		return err
	}
	if _, commits, perr := w.position(context.Background()); perr == nil && commits != w.commits {
		return &martsync.Error{Kind: martsync.Conflict, Err: err}
	}
	return err
}

// apply brings the staged rows into the table.
func (w *writer) apply(ctx context.Context, c martsync.Commit) error {
	target, at := w.d.table(w.table.name), literal(c.At)
	if err := w.markAbsent(ctx, target, at, c.Complete); err != nil {
		return err
	}
	lost, err := w.reduce(ctx)
	if err != nil {
		return err
	}
	if !w.rows && !w.schema.Snapshot {
		return w.mergeGone(ctx, target, at)
	}
	carried := lost && len(w.sticky()) > 0
	occupied, err := w.c.exists(ctx, "SELECT 1 FROM "+target+" LIMIT 1")
	if err != nil {
		return err
	}
	replace := w.schema.Snapshot || !occupied
	if replace && w.rows {
		name, err := w.plain(ctx)
		if err != nil {
			return err
		}
		if name != "" {
			return w.swap(ctx, target, name, at, lost, carried)
		}
	}
	if lost {
		sequence := sqlgen.Ident(martsync.SyncedAt)
		statements := []string{
			"DELETE FROM " + w.rowsTable() + " WHERE " + sequence + " IN (SELECT sequence FROM " + w.lostTable() + ")",
			"DROP TABLE " + w.lostTable(),
		}
		if carried {
			statements = append(statements, w.carry(w.rowsTable(), sequence, "sequence")...)
		}
		if err := w.execAll(ctx, statements); err != nil {
			return err
		}
	}
	if w.schema.Snapshot && occupied {
		if err := w.c.exec(ctx, "DELETE FROM "+target); err != nil {
			return err
		}
	}
	if w.rows {
		statement := w.insertRows(target, at)
		if len(w.schema.Key) > 0 && !replace {
			statement = w.mergeRows(target, at)
		}
		if err := w.c.exec(ctx, statement); err != nil {
			return err
		}
	}
	return w.mergeGone(ctx, target, at)
}

// swap makes the staging table the table, which copies nothing and keeps the name. Rows can be changed only after
// that: DuckDB does not commit a transaction that changes rows of a table and then alters it.
func (w *writer) swap(ctx context.Context, target, name, at string, lost, carried bool) error {
	statements := []string{
		"DROP TABLE " + target,
		"ALTER TABLE " + w.rowsTable() + " ALTER COLUMN " + sqlgen.Ident(martsync.SyncedAt) + " SET DATA TYPE TIMESTAMP USING " + at,
		"ALTER TABLE " + w.rowsTable() + " RENAME TO " + sqlgen.Ident(name),
	}
	if lost {
		statements = append(statements,
			"DELETE FROM "+target+" WHERE rowid IN (SELECT place FROM "+w.lostTable()+" WHERE NOT gone)",
			"DROP TABLE "+w.lostTable())
	}
	if carried {
		statements = append(statements, w.carry(target, "rowid", "place")...)
	}
	if err := w.execAll(ctx, statements); err != nil {
		return err
	}
	return w.mergeGone(ctx, target, at)
}

// plain returns the table's name, as the catalog spells it, if the table can be dropped for another one of the same columns:
// nobody has given it an index, a constraint, a default or a comment, or changed its columns. Else it returns "".
func (w *writer) plain(ctx context.Context) (string, error) {
	now, err := w.d.describe(ctx, w.c, w.table.name)
	if err != nil {
		return "", err
	}
	rows, err := w.d.describe(ctx, w.c, rowsPrefix+w.load)
	if err != nil {
		return "", err
	}
	if !w.table.same(now) || !w.fits(rows) || w.table.has("rowid") {
		return "", nil
	}
	const where = " WHERE database_name = $1 AND lower(schema_name) = lower($2) AND lower(table_name) = lower($3)"
	names, err := w.c.strings(ctx, "SELECT table_name FROM duckdb_tables()"+where+" AND comment IS NULL AND NOT EXISTS (SELECT 1 FROM duckdb_indexes()"+where+
		" UNION ALL SELECT 1 FROM duckdb_constraints()"+where+
		" UNION ALL SELECT 1 FROM duckdb_columns()"+where+" AND (comment IS NOT NULL OR column_default IS NOT NULL AND column_name <> '"+martsync.Deleted+"'))",
		catalog, w.d.schema, w.table.name)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[0][0], nil
}

// reduce finds the staged rows that would not be left had they been applied one after the other
// (I6), so that each key remains at most once. It lists them in a table and reports whether
// there are any. Tombstones that would not be left are deleted.
func (w *writer) reduce(ctx context.Context) (lost bool, err error) {
	if len(w.schema.Key) == 0 {
		return false, nil
	}
	key, sequence := sqlgen.Idents("", w.schema.Key), sqlgen.Ident(martsync.SyncedAt)
	if w.rows {
		twice, err := w.c.exists(ctx, "SELECT 1 FROM "+w.rowsTable()+" GROUP BY "+key+" HAVING count(*) > 1 LIMIT 1")
		if err != nil {
			return false, err
		}
		lost = twice || w.gone
	}
	if lost {
		if err := w.c.exec(ctx, "CREATE TABLE "+w.lostTable()+" (sequence BIGINT, place BIGINT, gone BOOLEAN)"); err != nil {
			return false, err
		}
		if len(w.sticky()) > 0 {
			if err := w.findCarried(ctx); err != nil {
				return false, err
			}
		}
	}
	if w.gone {
		if err := w.reduceGone(ctx); err != nil {
			return false, err
		}
	}
	if lost {
		err = w.c.exec(ctx, "INSERT INTO "+w.lostTable()+" SELECT "+sequence+", _martsync_place, false FROM (SELECT "+sequence+", "+w.rowID()+" AS _martsync_place"+
			", row_number() OVER (PARTITION BY "+key+" ORDER BY "+sqlgen.LatestOrder(w.schema.Version, martsync.SyncedAt)+") AS _martsync_n FROM "+w.rowsTable()+
			" WHERE "+sequence+" NOT IN (SELECT sequence FROM "+w.lostTable()+")) WHERE _martsync_n > 1")
	}
	return lost, err
}

// reduceGone does it for keys that have tombstones. In the order in which they were written, a
// row or tombstone counts if no earlier one has a higher version. Of those that count, the last
// row stays, and the last tombstone if it comes after that row.
func (w *writer) reduceGone(ctx context.Context) error {
	key, sequence := sqlgen.Idents("", w.schema.Key), sqlgen.Ident(martsync.SyncedAt)
	last := func(gone string) string {
		return "coalesce(max(" + sequence + ") FILTER (WHERE _martsync_counts AND " + gone + ") OVER (PARTITION BY " + key + "), -1)"
	}
	losers := w.events(false, nil) + "," +
		" lasts AS (SELECT *, " + last("NOT _martsync_gone") + " AS _martsync_last_row, " + last("_martsync_gone") + " AS _martsync_last_gone FROM counted)" +
		" SELECT " + sequence + ", _martsync_place, _martsync_gone FROM lasts WHERE NOT (CASE WHEN _martsync_gone THEN " + sequence + " = _martsync_last_gone" +
		" AND _martsync_last_gone > _martsync_last_row ELSE " + sequence + " = _martsync_last_row END)"
	from := losers
	if w.rows {
		if err := w.c.exec(ctx, "INSERT INTO "+w.lostTable()+" "+losers); err != nil {
			return err
		}
		from = "SELECT sequence, place, gone FROM " + w.lostTable()
	}
	err := w.c.exec(ctx, "DELETE FROM "+w.goneTable()+" WHERE "+sequence+" IN (SELECT s FROM ("+from+") AS l(s, r, g) WHERE g)")
	return err
}

// events are the staged rows, or those that have a tombstone, and all tombstones, with the columns
// that say which of them count, and further columns, NULL for tombstones.
func (w *writer) events(all bool, further []string) string {
	names := sqlgen.Idents("", append(w.goneColumns(), martsync.SyncedAt))
	var nulls, more string
	for _, c := range further {
		nulls += ", NULL"
		more += ", " + sqlgen.Ident(c)
	}
	var parts []string
	if w.rows {
		from := "SELECT " + names + ", " + w.rowID() + " AS _martsync_place, false AS _martsync_gone" + more + " FROM " + w.rowsTable() + " AS r"
		if !all {
			from += " WHERE EXISTS (SELECT 1 FROM " + w.goneTable() + " AS g WHERE " + sqlgen.SameKey("r", "g", w.schema.Key) + ")"
		}
		parts = append(parts, from)
	}
	if w.gone {
		parts = append(parts, "SELECT "+names+", 0 AS _martsync_place, true AS _martsync_gone"+nulls+" FROM "+w.goneTable())
	}
	counts := "true"
	if v := w.schema.Version; v != "" {
		counts = sqlgen.Ident(v) + " IS NOT DISTINCT FROM max(" + sqlgen.Ident(v) + ") OVER (PARTITION BY " + sqlgen.Idents("", w.schema.Key) +
			" ORDER BY " + sqlgen.Ident(martsync.SyncedAt) + " ROWS UNBOUNDED PRECEDING)"
	}
	return "WITH events AS (" + strings.Join(parts, " UNION ALL ") + "), counted AS (SELECT *, " + counts + " AS _martsync_counts FROM events)"
}

// lostTable is a table that lives within a commit.
func (w *writer) lostTable() string { return w.d.table(sqlgen.Prefix + "lost_" + w.load) }

// rowID is the position of a row in its table, unless a column hides it.
func (w *writer) rowID() string {
	if w.table.has("rowid") {
		return "0"
	}
	return "rowid"
}

// sticky are the columns where a null leaves the value as it is.
func (w *writer) sticky() []string {
	var names []string
	for _, c := range w.schema.Columns {
		if c.Sticky {
			names = append(names, c.Name)
		}
	}
	return names
}

func (w *writer) carriedTable() string { return w.d.table(sqlgen.Prefix + "carried_" + w.load) }

// findCarried lists the rows whose sticky columns are null where an earlier row of the same load,
// which they replace, had a value.
func (w *writer) findCarried(ctx context.Context) error {
	key, sequence := sqlgen.Idents("", w.schema.Key), sqlgen.Ident(martsync.SyncedAt)
	columns, conditions := "", []string{}
	for i, c := range w.sticky() {
		columns += fmt.Sprintf(", last_value(CASE WHEN _martsync_wins THEN %s END IGNORE NULLS) OVER (PARTITION BY %s ORDER BY %s ROWS UNBOUNDED PRECEDING) AS _martsync_%d",
			sqlgen.Ident(c), key, sequence, i)
		conditions = append(conditions, fmt.Sprintf("%s IS NULL AND _martsync_%d IS NOT NULL", sqlgen.Ident(c), i))
	}
	err := w.c.exec(ctx, "CREATE TABLE "+w.carriedTable()+" AS "+w.events(true, w.sticky())+
		", winners AS (SELECT *, _martsync_counts"+w.beatsStored()+" AS _martsync_wins FROM counted), filled AS (SELECT *"+columns+" FROM winners) SELECT "+sequence+" AS sequence, _martsync_place AS place, COLUMNS('^_martsync_[0-9]+$')"+
		" FROM filled WHERE NOT _martsync_gone AND _martsync_counts AND ("+strings.Join(conditions, " OR ")+")")
	return err
}

// beatsStored is the condition that the table has no higher version of a row of "counted": what loses
// against the table has no value to leave to a later row (I6).
func (w *writer) beatsStored() string {
	if w.schema.Version == "" || w.schema.Snapshot {
		return ""
	}
	v := sqlgen.Ident(w.schema.Version)
	return " AND NOT EXISTS (SELECT 1 FROM " + w.d.table(w.table.name) + " AS t WHERE " + sqlgen.SameKey("t", "counted", w.schema.Key) +
		" AND (t." + v + " > counted." + v + " OR t." + v + " IS NOT NULL AND counted." + v + " IS NULL))"
}

// carry sets what findCarried has found, in the rows of a table that are identified by a column.
func (w *writer) carry(table, column, by string) []string {
	var set []string
	for i, c := range w.sticky() {
		set = append(set, fmt.Sprintf("%s = coalesce(t.%s, c._martsync_%d)", sqlgen.Ident(c), sqlgen.Ident(c), i))
	}
	return []string{
		"UPDATE " + table + " AS t SET " + strings.Join(set, ", ") + " FROM " + w.carriedTable() + " AS c WHERE t." + column + " = c." + by,
		"DROP TABLE " + w.carriedTable(),
	}
}

// stored are the columns of the schema and _deleted if the table has it: what a row sets. Columns
// that the schema has lost keep their values.
func (w *writer) stored() []string {
	names := make([]string, 0, len(w.schema.Columns)+1)
	for _, c := range w.schema.Columns {
		names = append(names, c.Name)
	}
	if w.table.has(martsync.Deleted) {
		names = append(names, martsync.Deleted)
	}
	return names
}

func (w *writer) insertRows(target, at string) string {
	names := w.stored()
	return "INSERT INTO " + target + " (" + sqlgen.Idents("", append(slices.Clone(names), martsync.SyncedAt)) + ")" +
		" SELECT " + sqlgen.Idents("", names) + ", " + at + " FROM " + w.rowsTable()
}

func (w *writer) mergeRows(target, at string) string {
	return sqlgen.Merge{
		Target: target, Source: w.rowsTable(), Key: w.schema.Key, Version: w.schema.Version,
		Columns: w.stored(), Sticky: w.sticky(), Set: []sqlgen.Assign{{Column: martsync.SyncedAt, Value: at}},
	}.SQL()
}

// mergeGone applies the tombstones. The rows keep their values; unknown keys get a row.
func (w *writer) mergeGone(ctx context.Context, target, at string) error {
	if !w.gone {
		return nil
	}
	update := []string{}
	if v := w.schema.Version; v != "" && !w.schema.IsKey(v) {
		update = append(update, v)
	}
	err := w.c.exec(ctx, sqlgen.Merge{
		Target: target, Source: w.goneTable(), Key: w.schema.Key, Version: w.schema.Version,
		Columns: w.goneColumns(), Update: update,
		Set: []sqlgen.Assign{{Column: martsync.SyncedAt, Value: at}, {Column: martsync.Deleted, Value: "true"}},
	}.SQL())
	return err
}

// markAbsent marks the rows of complete scopes that were not written. It comes before reduce:
// a row that loses against a tombstone of the same load was there nevertheless.
func (w *writer) markAbsent(ctx context.Context, target, at string, scopes []martsync.Scope) error {
	if len(scopes) == 0 {
		return nil
	}
	if !w.schema.Deletes {
		return bug(w.op, "a scope is complete in a stream without deletes")
	}
	present := ""
	if w.rows {
		present = w.rowsTable()
	}
	conditions, err := w.conditions(scopes)
	if err != nil {
		return err
	}
	for _, condition := range conditions {
		if err := w.c.exec(ctx, sqlgen.MarkAbsent(target, present, w.schema.Key, condition, at)); err != nil {
			return err
		}
	}
	return nil
}

// count marks what the censuses say, now that the rows of the commit are there.
func (w *writer) count(ctx context.Context, c martsync.Commit) error {
	if len(c.Censuses) == 0 {
		return nil
	}
	if !w.schema.Deletes || len(w.schema.Key) != 1 {
		return bug(w.op, "a census of a stream without deletes or with %d key columns", len(w.schema.Key))
	}
	target, at := w.d.table(w.table.name), literal(c.At)
	for _, census := range c.Censuses {
		for _, statement := range sqlgen.Count(target, w.schema.Key[0], census, at) {
			if err := w.c.exec(ctx, statement); err != nil {
				return err
			}
		}
	}
	return nil
}

// conditions restrict the table to the scopes, those of one column together.
func (w *writer) conditions(scopes []martsync.Scope) ([]string, error) {
	var order, ranges []string
	values := map[string][]string{}
	for _, s := range scopes {
		if s.Column == "" {
			return []string{""}, nil // the whole table covers the others
		}
		i := w.table.find(s.Column)
		if i < 0 || w.schema.Index(s.Column) < 0 {
			return nil, bug(w.op, "a scope names the column %q, which does not exist", s.Column)
		}
		if s.IsRange() {
			if w.table.columns[i].Type == martsync.Timestamp { // else it orders no times
				column := "t." + sqlgen.Ident(s.Column)
				ranges = append(ranges, column+" >= "+literal(s.From)+" AND "+column+" < "+literal(s.To))
			}
			continue
		}
		if _, ok := values[s.Column]; !ok {
			order = append(order, s.Column)
		}
		value := sqlgen.Text(s.Value)
		if w.table.columns[i].Type == martsync.Int64 {
			n, err := strconv.ParseInt(s.Value, 10, 64)
			if err != nil {
				return nil, bug(w.op, "a scope wants %q in the column %s of integers", s.Value, s.Column)
			}
			value = strconv.FormatInt(n, 10)
		}
		values[s.Column] = append(values[s.Column], value)
	}
	out := ranges
	for _, column := range order {
		out = append(out, "t."+sqlgen.Ident(column)+" IN ("+strings.Join(values[column], ", ")+")")
	}
	return out, nil
}
