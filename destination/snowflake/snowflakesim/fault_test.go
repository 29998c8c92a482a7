//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snowflakedb/gosnowflake/v2"
)

// TestFaults makes each thing go wrong at an INSERT within a transaction, and looks what is left.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault Fault
		code  string // "": the driver gets over it; "any": an error without a number of Snowflake's
		rows  string
	}{
		{"the connection breaks before", Fault{Kind: DropBefore, Match: "insert"}, "", "1"},
		{"the answer is lost", Fault{Kind: DropAfter, Match: "insert"}, "", "1"},
		{"nobody gets through any more", Fault{Kind: DownBefore, Match: "insert"}, "any", "0"},
		{"the answer to COMMIT is lost, and the line", Fault{Kind: DownAfter, Match: "commit"}, "any", "1"},
		{"the line is lost before COMMIT", Fault{Kind: DownBefore, Match: "commit"}, "any", "0"},
		{"the session's token expires", Fault{Kind: SessionExpired, Match: "insert"}, "", "1"},
		{"the session is gone", Fault{Kind: SessionGone, Match: "insert"}, "390111", "0"},
		{"the login is too old", Fault{Kind: AuthExpired, Match: "insert"}, "390114", "0"},
		{"503", Fault{Kind: Unavailable, Match: "insert"}, "", "1"},
		{"429", Fault{Kind: Throttled, Match: "insert"}, "", "1"},
		{"slow", Fault{Kind: Slow, Match: "insert", Delay: 30 * time.Millisecond}, "", "1"},
		{"any error", Fault{Kind: Refused, Match: "insert", Code: "000630", Message: "Statement reached its statement timeout"}, "000630", "0"},
		{"the answer must be fetched", Fault{Kind: Async, Match: "insert"}, "", "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{})
			cfg := config(t, s)
			cfg.MaxRetryCount, cfg.RequestTimeout = 1, 3*time.Second //nolint:staticcheck // see config
			c := connect(t, cfg)
			do(t, c, "CREATE TABLE T (ID NUMBER)")
			s.Inject(tt.fault)
			err := func() error {
				for _, q := range []string{"BEGIN", "INSERT INTO T VALUES (1)", "COMMIT"} {
					if _, err := c.ExecContext(context.Background(), q); err != nil {
						return err
					}
				}
				return nil
			}()
			switch got := errNumber(err); {
			case tt.code == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case tt.code == "any" && err == nil, tt.code != "" && tt.code != "any" && got != tt.code:
				t.Errorf("got error %q (%v), want %q", got, err, tt.code)
			}
			s.ClearFaults()
			s.KillSessions()
			if _, rows, err := s.Query("SELECT COUNT(*) FROM T"); err != nil || rows[0][0] != tt.rows {
				t.Errorf("rows: got %v (%v), want %s", rows, err, tt.rows)
			}
		})
	}
}

// TestStageFaults breaks uploads and COPY.
func TestStageFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault Fault
		put   bool // PUT succeeds
		copy  string
	}{
		{"nothing", Fault{Kind: StageCut, Match: "no such key"}, true, ""},
		{"an upload is cut once", Fault{Kind: StageCut, Match: "p.parquet"}, true, ""},
		{"the stage is busy once", Fault{Kind: StageUnavailable, Match: "p.parquet"}, true, ""},
		{"the stage's key has expired", Fault{Kind: StageExpired, Match: "p.parquet"}, true, ""},
		{"the file is broken", Fault{Kind: CopyFails, File: 1}, true, "100142"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{})
			c := connect(t, config(t, s))
			do(t, c, "CREATE STAGE ST")
			do(t, c, "CREATE TABLE T (ID NUMBER)")
			file := parquet(t, s, "p.parquet", `SELECT 1 AS "ID"`)
			s.Inject(tt.fault)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			if _, err := c.ExecContext(ctx, "PUT 'file://"+file+"' @ST/"+plainPut); (err == nil) != tt.put {
				t.Fatalf("PUT: got %v, want success %t", err, tt.put)
			}
			do(t, c, "COPY INTO T FROM @ST FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE", refused(tt.copy))
			want := map[bool]string{true: "1", false: "0"}[tt.copy == ""]
			if got := ask(t, c, "SELECT COUNT(*) FROM T"); got[0][0] != want {
				t.Errorf("rows: got %v, want %s", got, want)
			}
		})
	}
}

// TestCancel stops a statement that runs, and would for years.
func TestCancel(t *testing.T) {
	var seen atomic.Int64
	s := start(t, Options{OnStatement: func(string) { seen.Add(1) }})
	c := connect(t, config(t, s))
	statements := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.requests)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	before := statements()
	group.Go(func() {
		for statements() == before && ctx.Err() == nil { // before that it could not be stopped
			runtime.Gosched()
		}
		cancel()
	})
	_, err := c.ExecContext(ctx, "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 3000000)) a, TABLE(GENERATOR(ROWCOUNT => 3000000)) b")
	if err == nil {
		t.Error("got no error, want one")
	}
	cancel()
	group.Wait()
	if got := seen.Load(); got != 1 {
		t.Errorf("OnStatement was called %d times, want once", got)
	}
}

// TestAsync fetches an answer by its id.
func TestAsync(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, config(t, s))
	do(t, c, "CREATE TABLE T (ID NUMBER)")
	r, err := c.ExecContext(gosnowflake.WithAsyncMode(context.Background()), "INSERT INTO T VALUES (1), (2)")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n != 2 {
		t.Errorf("got %d rows (%v), want 2", n, err)
	}
}

// TestTokenRenewal lets the token run out on the account's clock.
func TestTokenRenewal(t *testing.T) {
	clock := &handClock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := start(t, Options{Clock: clock, TokenLife: time.Hour})
	c := connect(t, config(t, s))
	do(t, c, "BEGIN")
	clock.add(2 * time.Hour)
	if got := ask(t, c, "SELECT CURRENT_TRANSACTION() IS NOT NULL"); got[0][0] != "true" {
		t.Errorf("the transaction is gone with the token: got %v", got)
	}
	clock.add(2 * time.Hour)
	s.Inject(Fault{Kind: MasterExpired})
	do(t, c, "SELECT 1", refused("390114"))
}

type handClock struct {
	now time.Time
	at  atomic.Int64
}

func (c *handClock) Now() time.Time      { return c.now.Add(time.Duration(c.at.Load())) }
func (c *handClock) add(d time.Duration) { c.at.Add(int64(d)) }

// TestMeter: what needs a warehouse resumes it, and nothing else does.
func TestMeter(t *testing.T) {
	clock := &handClock{now: time.Date(2026, 1, 1, 0, 59, 30, 0, time.UTC)}
	s := start(t, Options{Clock: clock, StatementTime: 10 * time.Second})
	c := connect(t, config(t, s))
	do(t, c, "ALTER SESSION SET QUERY_TAG = 'sync-7'")
	do(t, c, "CREATE TABLE T (ID NUMBER)")
	do(t, c, "CREATE STAGE ST")
	for _, q := range []string{"SHOW TABLES", "SHOW COLUMNS IN TABLE T", "DESCRIBE TABLE T", "LIST @ST", "REMOVE @ST", "SELECT CURRENT_ROLE()", "ALTER TABLE T ADD COLUMN A NUMBER", "BEGIN", "COMMIT", "SHOW GRANTS", "SHOW WAREHOUSES"} {
		ask(t, c, q)
	}
	if m := s.Meter(DefaultWarehouse); m.Resumes != 0 || m.Seconds != 0 {
		t.Errorf("metadata cost something: %+v", m)
	}
	do(t, c, "INSERT INTO T (ID) VALUES (1)")
	clock.add(30 * time.Second)
	ask(t, c, "SELECT * FROM T")
	clock.add(2 * time.Minute) // it suspends a minute after its last statement
	if m := s.Meter(DefaultWarehouse); m.Resumes != 1 || m.Seconds != 100 || m.Started {
		t.Errorf("got %+v, want one resume of 30+10+60 seconds", m)
	}
	ask(t, c, "SELECT * FROM T")
	if m := s.Meter(DefaultWarehouse); m.Resumes != 2 || m.Seconds != 160 {
		t.Errorf("got %+v, want two resumes, the second of a minute at least", m)
	}
	got := ask(t, c, "SELECT COUNT(*), SUM(TOTAL_ELAPSED_TIME) FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 1000)) WHERE QUERY_TAG = 'sync-7' AND WAREHOUSE_NAME = 'LOAD_WH'")
	if got[0][0] != "3" || got[0][1] != "30000" {
		t.Errorf("history: got %v, want 3 statements of 10 s", got)
	}
	do(t, c, "SELECT * FROM TABLE(INFORMATION_SCHEMA.WAREHOUSE_METERING_HISTORY())", refused("003001"))
	if err := s.Admin("GRANT MONITOR USAGE ON ACCOUNT TO ROLE LOADER_ROLE"); err != nil {
		t.Fatal(err)
	}
	hours := ask(t, c, "SELECT ROUND(SUM(CREDITS_USED) * 3600), COUNT(*) FROM TABLE(INFORMATION_SCHEMA.WAREHOUSE_METERING_HISTORY())")
	if hours[0][0] != "160" || hours[0][1] != "2" {
		t.Errorf("metering: got %v, want 160 seconds in two hours", hours)
	}
}

// TestWarehouses that cannot be had.
func TestWarehouses(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(s *Server)
		code string
	}{
		{"suspended", func(s *Server) { s.Suspend(DefaultWarehouse, false) }, ""},
		{"suspended for good", func(s *Server) { s.Suspend(DefaultWarehouse, true) }, "000606"},
		{"quota spent", func(s *Server) { s.SetQuota(DefaultWarehouse, true) }, "090073"},
		{"dropped", func(s *Server) { s.DropWarehouse(DefaultWarehouse) }, "000606"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Options{})
			c := connect(t, config(t, s))
			do(t, c, "CREATE TABLE T (ID NUMBER)")
			tt.do(s)
			do(t, c, "SELECT * FROM T", refused(tt.code))
			do(t, c, "SHOW TABLES")
		})
	}
}
