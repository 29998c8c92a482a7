//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/snowflakedb/gosnowflake/v2"
)

// start runs a server for a test.
func start(t *testing.T, opt Options) *Server {
	t.Helper()
	s, err := Start(opt)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// config is a driver's configuration for the default user.
func config(t *testing.T, s *Server) *gosnowflake.Config {
	tr := s.Transport()
	t.Cleanup(tr.CloseIdleConnections)
	return &gosnowflake.Config{
		Account: s.Account(), User: DefaultUser, Password: DefaultPassword, Host: s.Host(), Port: s.Port(), Protocol: s.Protocol(),
		Database: DefaultDatabase, Schema: DefaultSchema, Warehouse: DefaultWarehouse, Role: DefaultRole,
		Transporter: tr, DisableOCSPChecks: true, LoginTimeout: 20 * time.Second, RequestTimeout: 20 * time.Second, //nolint:staticcheck // there is nothing else yet to bound tests by
		MaxRetryCount: 2,
	}
}

// connect opens one session by the real driver.
func connect(t *testing.T, cfg *gosnowflake.Config) *sql.Conn {
	t.Helper()
	db := sql.OpenDB(gosnowflake.NewConnector(gosnowflake.SnowflakeDriver{}, *cfg))
	t.Cleanup(func() { _ = db.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// do runs a statement and returns how many rows it changed. A last argument of type refused is the
// number of the error that it must give.
func do(t *testing.T, c *sql.Conn, q string, args ...any) int64 {
	t.Helper()
	want := ""
	if len(args) > 0 {
		if code, ok := args[len(args)-1].(refused); ok {
			want, args = string(code), args[:len(args)-1] // "" for none
		}
	}
	r, err := c.ExecContext(context.Background(), q, args...)
	if want != "" {
		if got := errNumber(err); got != want {
			t.Errorf("%s: got error %q (%v), want %q", q, got, err, want)
		}
		return 0
	}
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	n, _ := r.RowsAffected()
	return n
}

// ask returns all rows as texts, NULL as "<nil>".
func ask(t *testing.T, c *sql.Conn, q string, args ...any) [][]string {
	t.Helper()
	out, err := tryAsk(c, q, args...)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return out
}

func tryAsk(c *sql.Conn, q string, args ...any) ([][]string, error) {
	rows, err := c.QueryContext(context.Background(), q, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	out := [][]string{}
	for rows.Next() {
		cells := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]string, len(names))
		for i, cell := range cells {
			if row[i] = cell.String; !cell.Valid {
				row[i] = "<nil>"
			}
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// errNumber is Snowflake's number of an error, "" if it has none.
func errNumber(err error) string {
	var e *gosnowflake.SnowflakeError
	if errors.As(err, &e) {
		return fmt.Sprintf("%06d", e.Number)
	}
	return ""
}
