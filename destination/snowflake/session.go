package snowflake

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/snowflakedb/gosnowflake/v2"

	"github.com/martsync/martsync"
)

// idle is how long a session may lie unused before it is replaced by a new one. Snowflake ends
// sessions after four hours. https://docs.snowflake.com/en/user-guide/session-policies
const idle = time.Hour

// endTimeout bounds the last words of a session whose work was cancelled.
const endTimeout = 30 * time.Second

// signOutTimeout bounds the wait for a session to be ended.
const signOutTimeout = 10 * time.Second

// A destination is the tables of one schema of an account.
type destination struct {
	config   Config
	env      martsync.Env
	database string // in the catalog's spelling, like schema
	schema   string

	poolMu sync.Mutex // guards db
	db     *sql.DB

	mu     sync.Mutex // held while the session is used
	sess   *session   // nil: not connected
	ready  bool       // the schema, the stage and the system tables are there
	fresh  bool       // this destination made the table of cursors, so that it is empty but for what we wrote
	closed bool
	hints  map[string]readHint // the last that was read, by stream

	depot       depot
	commitWait  time.Duration                // commitTimeout, or less in tests
	endWait     time.Duration                // signOutTimeout, or less in tests
	measureWait time.Duration                // measureTimeout, or more in tests
	before      func(statement string) error // for tests: fails statements
	after       func(statement string) error // for tests: loses answers
	spent       counters
	measured    meter // usage.go
}

// A session is a connection that is signed in. It is used by one goroutine at a time.
type session struct {
	d    *destination
	conn *sql.Conn
	used time.Time // when a statement ended last
	busy bool      // a statement was run since with began
	tag  string    // query tag of the statements
	shut bool      // it must not be used any more
	sent bool      // COMMIT was sent since with began
}

// with runs f on the destination's session, signing in first if need be. Others wait: what f does is not
// mixed with theirs. Errors get what was attempted, and their kind.
func (d *destination) with(ctx context.Context, op string, f func(*session) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return bug(op, "the destination is closed")
	}
	if d.sess != nil && d.env.Clock.Now().Sub(d.sess.used) > idle {
		d.drop()
	}
	if d.sess == nil {
		conn, err := d.connect(ctx)
		if err != nil {
			return wrap(op, err)
		}
		d.sess = &session{d: d, conn: conn, used: d.env.Clock.Now()}
	}
	s := d.sess
	s.busy, s.sent, s.tag = false, false, d.queryTag("", "")
	err := f(s)
	s.used = d.env.Clock.Now()
	if s.shut || err != nil && lostSession(err) {
		d.drop()
	}
	return wrap(op, err)
}

// apart runs f on a session of its own, for what takes long or calls back.
func (d *destination) apart(ctx context.Context, op string, f func(*session) error) error {
	conn, err := d.connect(ctx)
	if err != nil {
		return wrap(op, err)
	}
	s := &session{d: d, conn: conn, tag: d.queryTag("", ""), busy: true}
	defer func() { d.signOut(s.conn) }()
	return wrap(op, f(s))
}

// drop ends the session; the next one who needs it signs in anew. d.mu is held.
func (d *destination) drop() {
	if d.sess != nil {
		d.signOut(d.sess.conn)
		d.sess = nil
	}
}

// signOut ends a session. The driver asks the account to end it and takes no context for that: on a line that swallows what
// is sent it would hold the caller for a quarter of an hour. So nobody waits for longer than a moment. The request goes on until
// the driver gives it up, and an account that hears nothing ends the session, with its transaction, by itself.
func (d *destination) signOut(conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), d.endWait)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = conn.Close()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		d.env.Log.Warn("the account does not answer; the session is left to end by itself", "destination", "snowflake")
	}
}

// Close signs out.
func (d *destination) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.drop()
	d.poolMu.Lock()
	defer d.poolMu.Unlock()
	if d.db != nil {
		err := d.db.Close()
		d.db = nil
		return wrap("close", err)
	}
	return nil
}

// queryTag names the sync and the stream in the account's query history.
func (d *destination) queryTag(sync, stream string) string {
	var b strings.Builder
	b.WriteString("martsync")
	if sync != "" {
		b.WriteString(" sync=" + sync)
	}
	if stream != "" {
		b.WriteString(" stream=" + stream)
	}
	return b.String()
}

// label makes the statements that follow carry the names of a sync ("" if it is not known yet) and a stream.
func (s *session) label(sync, stream string) { s.tag = s.d.queryTag(sync, stream) }

// exec runs a statement and returns how many rows it changed.
func (s *session) exec(ctx context.Context, query string, args ...any) (int64, error) {
	var affected int64
	err := s.run(ctx, query, func(ctx context.Context) error {
		r, err := s.conn.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err == nil { // DDL has none
			affected = n
		}
		return nil
	})
	return affected, err
}

// execAll runs statements one after the other.
func (s *session) execAll(ctx context.Context, statements []string) error {
	for _, q := range statements {
		if _, err := s.exec(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// each runs a query and calls f for each row, whose cells are as text. The cells are valid during the call.
func (s *session) each(ctx context.Context, query string, args []any, f func(columns []string, cells []sql.NullString) error) error {
	return s.run(ctx, query, func(ctx context.Context) (err error) {
		rows, err := s.conn.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		cells := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		types, err := rows.ColumnTypes()
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				return err
			}
			for i, t := range types { // the driver hands a boolean over as 1 or as true, by the format of the result
				if t.DatabaseTypeName() == "BOOLEAN" && cells[i].Valid {
					cells[i].String = strconv.FormatBool(cells[i].String == "1" || cells[i].String == "true")
				}
			}
			if err := f(columns, cells); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// A result is the rows of a small query. Cells are text; NULL is "".
type result struct {
	columns []string
	rows    [][]string
}

// cell returns a cell of a row by the name of its column, regardless of case; "" if there is no such column.
func (r *result) cell(row int, column string) string {
	for i, c := range r.columns {
		if strings.EqualFold(c, column) {
			return r.rows[row][i]
		}
	}
	return ""
}

// query runs a query with a small result.
func (s *session) query(ctx context.Context, query string, args ...any) (*result, error) {
	r := &result{}
	err := s.each(ctx, query, args, func(columns []string, cells []sql.NullString) error {
		if r.columns == nil {
			r.columns = append([]string(nil), columns...)
		}
		row := make([]string, len(cells))
		for i, c := range cells {
			row[i] = c.String
		}
		r.rows = append(r.rows, row)
		return nil
	})
	return r, err
}

// run runs one statement. If the session turns out to be over before it did anything in this call of with, the
// statement is run once more on a new one: nothing has been lost then.
func (s *session) run(ctx context.Context, query string, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.d.before != nil {
		if err := s.d.before(query); err != nil {
			return err
		}
	}
	s.d.spent.statement(query)
	err := f(gosnowflake.WithQueryTag(ctx, s.tag))
	if err != nil && !s.busy && lostSession(err) && ctx.Err() == nil {
		s.d.signOut(s.conn)
		conn, cerr := s.d.connect(ctx)
		if cerr != nil {
			s.shut = true
			return cerr
		}
		s.conn = conn
		s.d.spent.statement(query)
		err = f(gosnowflake.WithQueryTag(ctx, s.tag))
	}
	if s.d.after != nil && err == nil {
		err = s.d.after(query)
	}
	s.busy = true
	return err
}

// tx runs f in a transaction. What f did stays only if it returns nil and the commit succeeds.
func (s *session) tx(ctx context.Context, f func() error) error {
	if _, err := s.exec(ctx, "BEGIN TRANSACTION"); err != nil {
		s.shut = s.shut || lostSession(err) || ctx.Err() != nil // it may have begun
		return err
	}
	if err := f(); err != nil {
		s.rollback(ctx)
		return err
	}
	// not interrupted: half a commit would leave the caller in doubt for nothing
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.d.commitWait)
	defer cancel()
	s.sent = true
	if _, err := s.exec(ctx, "COMMIT"); err != nil {
		s.shut = true // ends the transaction if it is still there
		return err
	}
	return nil
}

// commitTimeout bounds the wait for the answer to COMMIT, which needs no time of its own.
const commitTimeout = 5 * time.Minute

// rollback ends the transaction; a session that cannot say so is ended, which rolls back too.
func (s *session) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if _, err := s.exec(ctx, "ROLLBACK"); err != nil {
		s.shut = true
	}
}
