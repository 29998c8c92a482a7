//go:build cgo && !lite

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/martsync/martsync"
)

// conn is a connection: at most one transaction, one goroutine at a time. It speaks to the
// C API and not to database/sql, which has no way to hand over columns.
type conn struct {
	file *file
	c    bindings.Connection
}

// exec runs a statement.
func (c *conn) exec(ctx context.Context, query string, args ...any) error {
	return c.run(ctx, query, args, func(*bindings.Result) error { return nil })
}

// each runs a query and hands its rows over, a chunk of at most 2,048 at a time, or parts of one that is larger than
// a batch may be. The records are borrowed: valid until the function returns.
func (c *conn) each(ctx context.Context, query string, args []any, f func(*martsync.Records) error) error {
	return c.run(ctx, query, args, func(res *bindings.Result) error {
		d := newDecoder(res)
		for {
			chunk := bindings.FetchChunk(*res)
			if chunk.Ptr == nil {
				if msg := bindings.ResultError(res); msg != "" {
					return &dbError{msg}
				}
				return nil
			}
			err := d.decode(chunk, f)
			bindings.DestroyDataChunk(&chunk)
			if err != nil {
				return err
			}
		}
	})
}

// run prepares, binds and executes one statement. When ctx ends, the statement is
// interrupted and ctx's error returned.
func (c *conn) run(ctx context.Context, query string, args []any, f func(*bindings.Result) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.file.before != nil {
		if err := c.file.before(query); err != nil {
			return err
		}
	}
	var stmt bindings.PreparedStatement
	defer func() { bindings.DestroyPrepare(&stmt) }()
	if bindings.Prepare(c.c, query, &stmt) == bindings.StateError {
		return c.fail(bindings.PrepareError(stmt))
	}
	for i, a := range args {
		if bind(stmt, bindings.IdxT(i+1), a) == bindings.StateError {
			return fmt.Errorf("bind %T as parameter %d: %s", a, i+1, bindings.PrepareError(stmt))
		}
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		bindings.Interrupt(c.c)
	})
	defer func() {
		if !stop() {
			<-interrupted // else it might hit the next statement
			if err != nil {
				err = context.Cause(ctx)
			}
		}
	}()

	var pending bindings.PendingResult
	defer func() { bindings.DestroyPending(&pending) }()
	if bindings.PendingPreparedStreaming(stmt, &pending) == bindings.StateError {
		return c.fail(bindings.PendingError(pending))
	}
	var res bindings.Result
	defer func() { bindings.DestroyResult(&res) }()
	if bindings.ExecutePending(pending, &res) == bindings.StateError {
		return c.fail(bindings.ResultError(&res))
	}
	if err := f(&res); err != nil {
		if e, ok := errors.AsType[*dbError](err); ok {
			return c.fail(e.msg)
		}
		return err
	}
	return nil
}

func (c *conn) fail(msg string) error {
	e := &dbError{msg}
	if e.fatal() {
		c.file.markBroken()
	}
	return e
}

func bind(stmt bindings.PreparedStatement, i bindings.IdxT, a any) bindings.State {
	switch a := a.(type) {
	case nil:
		return bindings.BindNull(stmt, i)
	case string:
		return bindings.BindVarcharLength(stmt, i, a, bindings.IdxT(len(a)))
	case int64:
		return bindings.BindInt64(stmt, i, a)
	case bool:
		return bindings.BindBoolean(stmt, i, a)
	case time.Time:
		return bindings.BindTimestamp(stmt, i, bindings.NewTimestamp(a.UnixMicro()))
	}
	return bindings.StateError
}

// tx runs f in a transaction. What f did stays only if it returns nil and the commit succeeds.
func (c *conn) tx(ctx context.Context, f func() error) error {
	if err := c.exec(ctx, "BEGIN TRANSACTION"); err != nil {
		return err
	}
	if err := f(); err != nil {
		c.rollback()
		return err
	}
	return c.commit()
}

// commit is not interrupted: half a commit would leave the caller in doubt for nothing.
func (c *conn) commit() error {
	err := c.exec(context.Background(), "COMMIT")
	if err != nil {
		c.rollback()
	}
	return err
}

// rollback ends a transaction. That there is none any more is no concern of the caller's.
func (c *conn) rollback() { _ = c.exec(context.Background(), "ROLLBACK") }

// close ends the connection; an open transaction is rolled back.
func (c *conn) close() { c.file.disconnect(c) }

// strings runs a query and returns its rows as text; NULL is "".
func (c *conn) strings(ctx context.Context, query string, args ...any) ([][]string, error) {
	var rows [][]string
	err := c.each(ctx, query, args, func(r *martsync.Records) error {
		for i := range r.Len {
			row := make([]string, len(r.Columns))
			for j := range r.Columns {
				row[j] = cell(&r.Columns[j], i)
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}

func cell(v *martsync.Vector, i int) string {
	switch {
	case v.Null(i):
		return ""
	case v.Type == martsync.Bool:
		return fmt.Sprint(v.Bools[i])
	case v.Type == martsync.Int64, v.Type == martsync.Timestamp:
		return fmt.Sprint(v.Ints[i])
	case v.Offsets != nil:
		return string(v.Bytes(i))
	}
	return ""
}

// exists reports whether the query has a row.
func (c *conn) exists(ctx context.Context, query string, args ...any) (bool, error) {
	found := false
	err := c.each(ctx, query, args, func(r *martsync.Records) error {
		found = found || r.Len > 0
		return nil
	})
	return found, err
}

// literal is the time as SQL.
func literal(t time.Time) string {
	return "TIMESTAMP '" + t.UTC().Format("2006-01-02 15:04:05.000000") + "'"
}
