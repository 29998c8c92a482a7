package snowflake

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// Commit makes the rows visible with the cursor and everything in c, in one transaction of four statements: COPY,
// MERGE, the cursor, and the ledger with the log and the quarantine.
func (w *writer) Commit(ctx context.Context, c martsync.Commit) error {
	op := "commit " + w.schema.Stream
	if err := w.usable(op); err != nil {
		return err
	}
	err := w.d.with(ctx, op, func(s *session) error {
		s.label(c.Sync, w.schema.Stream)
		err := w.commit(ctx, s, c)
		if err != nil && martsync.KindOf(err) != martsync.Conflict && w.moved(ctx, s) {
			return conflict(w.schema.Stream)
		}
		return err
	})
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// commit does it on a session.
func (w *writer) commit(ctx context.Context, s *session, c martsync.Commit) error {
	stream := w.schema.Stream
	if _, err := w.fence(ctx, s); err != nil {
		return err
	}
	next := c.Next
	files := w.files
	if w.held != nil {
		c = with(w.held.Commit, c)
		files = slices.Concat(w.held.Files, w.files)
	}
	if err := w.checkMarks(c); err != nil {
		return err
	}
	if err := w.addCensus(c.Censuses); err != nil {
		return err
	}
	if w.part != nil {
		before := len(w.files)
		if err := w.endPart(ctx, s); err != nil {
			return err
		}
		files = append(files, w.files[before:]...)
	}
	l, err := w.load(files, c)
	if err != nil {
		return err
	}
	docs, err := records(stream, w.commits+1, c)
	if err != nil {
		return err
	}
	if err := s.announce(ctx, stream, w.commits, w.id); err != nil {
		return err
	}
	if l.staging != "" { // DDL commits, so it comes before the transaction
		if _, err := s.exec(ctx, w.createStaging(l.staging)); err != nil {
			return err
		}
		defer w.dropStaging(ctx, s, l.staging)
	}
	err = s.tx(ctx, func() error {
		if err := w.copy(ctx, s, l.staging, files); err != nil {
			return err
		}
		if statement := l.statement(); statement != "" {
			if _, err := s.exec(ctx, statement); err != nil {
				return err
			}
		}
		n, err := s.exec(ctx, w.d.moveCursor(), stream, c.Sync, c.At.UTC().Format("2006-01-02 15:04:05.000000"), string(next), w.commits, string(w.cursor))
		if err != nil {
			return err
		}
		if n != 1 {
			return conflict(stream)
		}
		for _, doc := range docs {
			if _, err := s.exec(ctx, w.d.recordSQL(), doc); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.withdraw(ctx, s, martsync.KindOf(err) == martsync.Conflict)
		return err
	}
	for _, f := range files {
		s.d.spent.rows.Add(f.Rows)
	}
	w.committed(ctx, s, c.Sync, next)
	return nil
}

// committed takes note of a commit, on the stage too. That this may not succeed costs whoever opens the stream next a
// question to the table of cursors.
func (w *writer) committed(ctx context.Context, s *session, sync string, next martsync.Cursor) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	old := w.commits
	w.commits++
	w.cursor, w.staged = next, ""
	w.stage, w.held, w.heldKey, w.files, w.sequence = 0, nil, "", nil, 0
	err := s.settle(ctx, hint{Stream: w.schema.Stream, Commits: w.commits, Cursor: next, Sync: sync}, w.id)
	if err == nil {
		err = w.d.depot.remove(ctx, s, commitFolder(w.schema.Stream, old))
	}
	if err != nil {
		w.d.env.Log.DebugContext(ctx, "snowflake: tidy the stage after a commit", "stream", w.schema.Stream, "err", err)
	}
}

// withdraw takes the announcement of a commit back if it was certainly not made, and, with distrust, what the stage says of
// the position: the table of cursors says something else.
func (w *writer) withdraw(ctx context.Context, s *session, distrust bool) {
	if s.sent || s.shut {
		return // whoever opens the stream next asks the table of cursors
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	err := w.d.depot.remove(ctx, s, commitFolder(w.schema.Stream, w.commits)+pendingPrefix+w.id+".json")
	if err == nil && distrust {
		var h *shelf
		if h, err = s.readShelf(ctx, w.schema.Stream); err == nil && !w.ahead(h) {
			err = h.forget(ctx, s)
		}
	}
	if err != nil {
		w.d.env.Log.DebugContext(ctx, "snowflake: take an announcement back", "stream", w.schema.Stream, "err", err)
	}
}

// ahead reports whether the stage knows of a later commit than the writer.
func (w *writer) ahead(h *shelf) bool {
	return slices.ContainsFunc(h.folders(), func(n int64) bool { return n > w.commits && len(h.files(n, settledPrefix)) > 0 })
}

// moved reports whether somebody has committed meanwhile: then files may be gone that this writer counts on, and
// the error it met says less than that.
func (w *writer) moved(ctx context.Context, s *session) bool {
	if s.shut || ctx.Err() != nil {
		return false
	}
	h, err := s.readShelf(ctx, w.schema.Stream)
	return err == nil && w.ahead(h)
}

// checkMarks reports scopes and censuses that the schema has no room for.
func (w *writer) checkMarks(c martsync.Commit) error {
	op := "commit " + w.schema.Stream
	if len(c.Complete)+len(c.Censuses) > 0 && !w.schema.Deletes {
		return bug(op, "a scope is complete, or a census was taken, in a stream without deletes")
	}
	if len(c.Censuses) > 0 && (len(w.schema.Key) != 1 || w.schema.Columns[w.schema.Index(w.schema.Key[0])].Type != martsync.Int64) {
		return bug(op, "a census of a stream whose key is not one integer")
	}
	return nil
}

// addCensus puts the keys of censuses among the rows.
func (w *writer) addCensus(censuses []martsync.Census) error {
	for _, c := range censuses {
		for keys := range slices.Chunk(c.Keys, martsync.MaxRows) {
			if w.part == nil {
				if err := w.begin(); err != nil {
					return err
				}
			}
			if err := w.part.census(w, keys); err != nil {
				return err
			}
		}
	}
	return nil
}

// load is what the commit brings into the table.
func (w *writer) load(files []file, c martsync.Commit) (*load, error) {
	l := &load{
		target: w.d.qualified(w.table.name), at: moment(c.At), synced: ident(w.d.synced()),
		replace: w.schema.Snapshot,
	}
	if w.table.find(w.d.deleted()) >= 0 {
		l.deleted = ident(w.d.deleted())
	}
	if len(files) > 0 {
		l.staging = w.stagingName()
	}
	staged := w.stagedColumns()
	for i, c := range w.schema.Columns {
		f := field{name: ident(staged[i].Name), key: w.schema.IsKey(c.Name), sticky: c.Sticky && !w.schema.IsKey(c.Name) && c.Name != w.schema.Version}
		f.value = f.name
		if t := w.table.find(staged[i].Name); t >= 0 {
			f.value = intoTable(f.name, staged[i], w.table.columns[t].Column)
		}
		l.fields = append(l.fields, f)
		if c.Name == w.schema.Version {
			l.version = f.name
		}
	}
	for _, k := range w.schema.Key {
		l.key = append(l.key, ident(staged[w.schema.Index(k)].Name))
	}
	for _, f := range files {
		l.gone = l.gone || f.Gone > 0
		l.nullKeys = l.nullKeys || f.NullKeys
	}
	var err error
	if l.scopes, l.ranges, err = w.conditions(c.Complete); err != nil {
		return nil, err
	}
	l.nullKeys = l.nullKeys || len(l.scopes)+len(l.ranges) > 0
	var census bound
	if len(c.Censuses) > 0 {
		var after, upTo int64
		l.census, after, upTo = ranges(l.key[0], c.Censuses)
		census = bound{Known: true, Min: after, Max: upTo}
	}
	l.bounds = w.bounds(files, l, census)
	return l, nil
}

// bounds are conditions on the table's keys that every row of the load fulfils.
func (w *writer) bounds(files []file, l *load, census bound) []string {
	if l.nullKeys || l.replace {
		return nil
	}
	var out []string
	staged := w.stagedColumns()
	for k, name := range w.schema.Key {
		var all bound
		known := true
		for _, f := range files {
			if k >= len(f.Bounds) || !f.Bounds[k].Known {
				known = known && f.Records+f.Gone == 0
				continue
			}
			all = all.merge(f.Bounds[k])
		}
		if !known {
			continue
		}
		if from, to, ok := all.merge(census).literals(staged[w.schema.Index(name)]); ok {
			out = append(out, "t."+l.key[k]+" BETWEEN "+from+" AND "+to)
		}
	}
	return out
}

// intoTable is a staged column as the table's column takes it. JSON that Snowflake cannot parse is kept as text.
func intoTable(name string, staged, stored martsync.Column) string {
	switch {
	case stored.Type == martsync.JSON:
		return "COALESCE(TRY_PARSE_JSON(" + name + "), TO_VARIANT(" + name + "))"
	case sqlType(staged) == sqlType(stored):
		return name
	}
	return converted(name, staged, stored)
}

// stagingName is the temporary table that files are copied to. It belongs to the session.
func (w *writer) stagingName() string {
	return w.d.table(sqlgen.Prefix + "stg_" + w.schema.Stream + "_" + strconv.FormatInt(w.commits+1, 10))
}

func (w *writer) createStaging(name string) string {
	var b strings.Builder
	b.WriteString("CREATE OR REPLACE TEMPORARY TABLE " + name + " (")
	for i, c := range append(w.stagedColumns(), systemStaged()...) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  " + ident(c.Name) + " " + sqlType(c))
	}
	b.WriteString("\n)")
	return b.String()
}

// dropStaging drops the staging table; else the end of the session does.
func (w *writer) dropStaging(ctx context.Context, s *session, name string) {
	if s.shut {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if _, err := s.exec(ctx, "DROP TABLE IF EXISTS "+name); err != nil {
		w.d.env.Log.DebugContext(ctx, "snowflake: drop a staging table", "stream", w.schema.Stream, "err", err)
	}
}

// copyNames is how many files a COPY may name.
// https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
const copyNames = 1000

// copy loads the files into the staging table, all rows of them or nothing.
func (w *writer) copy(ctx context.Context, s *session, staging string, files []file) error {
	for some := range slices.Chunk(files, copyNames) {
		r, err := s.query(ctx, w.copySQL(staging, some))
		if err != nil {
			return err
		}
		loaded := map[string]string{}
		for i := range r.rows {
			name := r.cell(i, "file")
			loaded[path.Join(path.Base(path.Dir(name)), path.Base(name))] = r.cell(i, "rows_loaded")
		}
		for _, f := range some {
			if got, want := loaded[f.Key], strconv.FormatInt(f.Rows, 10); got != want {
				return &martsync.Error{Kind: martsync.Transient, Err: fmt.Errorf("COPY loaded %q rows of %s, which has %s", got, f.Key, want)}
			}
		}
	}
	return nil
}

// copySQL is the statement. Columns are found by name. Without USE_LOGICAL_TYPE times would be taken for another unit.
func (w *writer) copySQL(staging string, files []file) string {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = text(f.Key)
	}
	return "COPY INTO " + staging + "\nFROM " + w.d.depot.location(commitFolder(w.schema.Stream, w.commits)) + "\nFILES = (" + strings.Join(names, ", ") + ")" +
		"\nFILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE USE_VECTORIZED_SCANNER = TRUE BINARY_AS_TEXT = FALSE)" +
		"\nMATCH_BY_COLUMN_NAME = CASE_SENSITIVE\nON_ERROR = ABORT_STATEMENT"
}

// moveCursor is the compare-and-set of a stream's position. It changes one row, or none if somebody else was faster.
// Its parameters are the stream, the sync, the time, the new cursor, and the number of commits and the cursor that there were.
func (d *destination) moveCursor() string {
	n := d.name
	return "MERGE INTO " + d.table(sqlgen.Cursors) + " AS t USING (\nSELECT ?::VARCHAR AS \"STREAM\", ?::VARCHAR AS \"SYNC\", ?::TIMESTAMP_NTZ(6) AS \"AT\", ?::VARCHAR AS \"NEXT\", ?::NUMBER(19,0) AS \"BASE\", ?::VARCHAR AS \"OLD\"\n) AS s\nON t." +
		n("stream") + " = s.\"STREAM\"\nWHEN MATCHED AND t." + n("commits") + " = s.\"BASE\" AND t." + n("cursor") + " = s.\"OLD\" THEN UPDATE SET " +
		n("sync") + " = s.\"SYNC\", " + n("committed_at") + " = s.\"AT\", " + n("cursor") + " = s.\"NEXT\", " + n("commits") + " = s.\"BASE\" + 1" +
		"\nWHEN NOT MATCHED AND s.\"BASE\" = 0 THEN INSERT (" + strings.Join([]string{n("stream"), n("sync"), n("committed_at"), n("cursor"), n("commits")}, ", ") +
		") VALUES (s.\"STREAM\", s.\"SYNC\", s.\"AT\", s.\"NEXT\", 1)"
}
