//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A session is what a login made. One statement of it runs at a time.
type session struct {
	srv    *Server
	mu     *sync.Mutex // held while a statement runs
	id     int64
	token  string
	master string
	until  time.Time // when the token must be renewed; zero: never
	user   string
	client string

	role, db, schema, warehouse string
	tag                         string
	params                      map[string]string
	temps                       map[string]*table
	lastQuery                   string
	conn                        *sql.Conn
	txn                         *txn
	lost                        bool // its transaction was rolled back because others waited for it
	quiet                       bool // a look at the truth: no log, no meter, no privileges
	closed                      bool
	ran                         string // the warehouse that the statement under way has used
}

// A txn is an open transaction. The engine gives a transaction one view of the world, and ends it
// at the first error; Snowflake gives each statement the newest committed view, and an error
// undoes its statement alone. So the statements are kept and, where that makes a difference,
// run again in a new transaction of the engine's: the tables they change are locked meanwhile, so
// they do the same again.
type txn struct {
	id    int64
	log   []string
	seen  int64 // Server.commits when the engine's transaction began
	begun bool
	keep  []string // tables of the engine that hold what has been loaded
}

func newToken() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// newSession is called with Server.mu held.
func (s *Server) newSession(user, client string) *session {
	c := &session{
		srv: s, mu: &sync.Mutex{}, id: s.lastID.Add(1) + 4_503_600_000, token: newToken(), master: newToken(), user: user, client: client,
		params: map[string]string{}, temps: map[string]*table{},
	}
	if s.opt.TokenLife > 0 {
		c.until = s.opt.Clock.Now().Add(s.opt.TokenLife)
	}
	s.sessions[c.token], s.byID[c.id] = c, c
	return c
}

func (s *Server) endSession(c *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	c.rollback(context.Background())
	if c.conn != nil {
		_ = c.conn.Close() // the engine goes with the server
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range c.temps {
		_, _ = s.db.ExecContext(context.Background(), "DROP TABLE IF EXISTS "+t.duck())
	}
	for _, d := range s.cat.dbs {
		for _, sch := range d.schemas {
			for name, st := range sch.stages {
				if st.temporary == c.id {
					delete(sch.stages, name)
				}
			}
		}
	}
	delete(s.sessions, c.token)
	delete(s.byID, c.id)
}

// engine returns the session's connection.
func (c *session) engine(ctx context.Context) (*sql.Conn, error) {
	if c.conn != nil {
		return c.conn, nil
	}
	conn, err := c.srv.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c.conn = conn
	return conn, c.setZone(ctx)
}

// setZone: like the real one, a session that says nothing lives in California.
func (c *session) setZone(ctx context.Context) error {
	if c.conn == nil {
		return nil
	}
	_, err := c.conn.ExecContext(ctx, "SET TimeZone = "+lit(c.zone()))
	return err
}

func (c *session) zone() string {
	if z := c.params["TIMEZONE"]; z != "" {
		return z
	}
	return "America/Los_Angeles"
}

// fresh makes the engine's transaction see what others have committed since the last statement.
func (c *session) fresh(ctx context.Context, conn *sql.Conn) error {
	t := c.txn
	if t == nil || t.begun && t.seen == c.srv.commits.Load() {
		return nil
	}
	if t.begun {
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil && !strings.Contains(err.Error(), "no transaction is active") {
			return err
		}
	}
	t.begun, t.seen = true, c.srv.commits.Load()
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	for _, q := range t.log {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("statement of an open transaction, again: %w", err)
		}
	}
	return nil
}

// change runs what changes rows, inside the transaction if there is one, and counts the rows.
func (c *session) change(ctx context.Context, t *table, queries ...string) ([]int64, error) {
	conn, err := c.engine(ctx)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		out, err := c.tryChange(ctx, conn, queries)
		if err == nil {
			if c.txn == nil {
				c.srv.commits.Add(1)
			} else {
				c.txn.log = append(c.txn.log, queries...)
			}
			t.changed = true
			return out, nil
		}
		if c.txn != nil {
			c.txn.seen = -1 // the engine has given its transaction up: run it again
		} else {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // there may be none
		}
		if !conflicts(err) || try == 20 || ctx.Err() != nil {
			return nil, err
		}
	}
}

func (c *session) tryChange(ctx context.Context, conn *sql.Conn, queries []string) ([]int64, error) {
	if err := c.fresh(ctx, conn); err != nil {
		return nil, err
	}
	if c.txn == nil && len(queries) > 1 {
		if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
			return nil, err
		}
	}
	var out []int64
	for _, q := range queries {
		n, err := affected(ctx, conn, q)
		if err != nil {
			return nil, err
		}
		out = append(out, n...)
	}
	if c.txn == nil && len(queries) > 1 {
		if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// affected runs one statement. One that RETURNs merge_action yields three counts: inserted,
// updated, deleted.
func affected(ctx context.Context, conn *sql.Conn, q string) ([]int64, error) {
	if !strings.HasSuffix(q, " RETURNING merge_action") {
		r, err := conn.ExecContext(ctx, q)
		if err != nil {
			return nil, err
		}
		n, err := r.RowsAffected()
		return []int64{n}, err
	}
	rows, err := conn.QueryContext(ctx, q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := make([]int64, 3)
	for rows.Next() {
		var action string
		if err := rows.Scan(&action); err != nil {
			return nil, err
		}
		out[map[string]int{"INSERT": 0, "UPDATE": 1, "DELETE": 2}[action]]++
	}
	return out, rows.Err()
}

func (c *session) begin() {
	if c.txn == nil {
		c.txn = &txn{id: c.srv.lastID.Add(1) + 1_700_000_000_000_000_000}
	}
}

func (c *session) commit(ctx context.Context) error {
	t := c.txn
	if t == nil {
		return nil
	}
	defer c.unlock()
	defer c.dropKept(t)
	if t.seen < 0 { // its last statement went wrong and was undone, and those before it count
		conn, err := c.engine(ctx)
		if err != nil {
			return err
		}
		if err := c.fresh(ctx, conn); err != nil {
			return err
		}
	}
	c.txn = nil
	if !t.begun {
		return nil
	}
	if _, err := c.conn.ExecContext(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return err
	}
	c.srv.commits.Add(1)
	return nil
}

func (c *session) rollback(ctx context.Context) {
	t := c.txn
	c.txn = nil
	if t != nil && t.begun {
		_, _ = c.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // the engine may have done it by itself
	}
	if t != nil {
		c.dropKept(t)
	}
	c.unlock()
}

// dropKept removes the tables by which the transaction could have been replayed.
func (c *session) dropKept(t *txn) {
	for _, name := range t.keep {
		_, _ = c.srv.db.ExecContext(context.Background(), "DROP TABLE IF EXISTS "+name) // goes with the server at the latest
	}
}

// unlock lets go what the session has locked.
func (c *session) unlock() {
	s := c.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, holder := range s.locks {
		if holder == c {
			delete(s.locks, name)
		}
	}
	close(s.unlocked)
	s.unlocked = make(chan struct{})
}

// lock waits until the session alone may update, delete or merge in a table. Statements that only
// add rows take no lock. Source: Snowflake documentation, Transactions, resource locking.
func (c *session) lock(ctx context.Context, t *table) error {
	s := c.srv
	for {
		s.mu.Lock()
		holder := s.locks[t.engine]
		if holder == nil || holder == c {
			s.locks[t.engine] = c
			s.mu.Unlock()
			return nil
		}
		wait := s.unlocked
		s.mu.Unlock()
		idle, cancel := context.WithTimeout(ctx, s.opt.IdleAbort)
		select {
		case <-wait:
		case <-idle.Done():
		}
		timedOut := idle.Err() != nil
		cancel()
		if ctx.Err() != nil {
			return refuse("000604", "57014", "SQL execution canceled")
		}
		if timedOut && holder.mu.TryLock() {
			if holder.txn != nil {
				holder.rollback(ctx)
				holder.lost = true
			} else {
				holder.unlock()
			}
			holder.mu.Unlock()
		}
	}
}
