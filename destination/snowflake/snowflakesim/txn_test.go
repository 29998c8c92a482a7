//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"testing"
	"time"
)

// TestTransactions has what Snowflake's transactions do and the engine's do not.
func TestTransactions(t *testing.T) {
	s := start(t, Options{IdleAbort: time.Minute})
	a, b := connect(t, config(t, s)), connect(t, config(t, s))
	count := func(who string) string {
		t.Helper()
		_, rows, err := s.Query("SELECT COUNT(*) FROM " + who)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := rows[0][0].(string)
		return text
	}
	do(t, a, "CREATE TABLE T (ID NUMBER, N NUMBER)")
	do(t, a, "CREATE TABLE U (ID NUMBER)")

	t.Run("an error undoes its statement alone", func(t *testing.T) {
		do(t, a, "BEGIN")
		do(t, a, "INSERT INTO T VALUES (1, 0)")
		do(t, a, "INSERT INTO T VALUES ('x', 0)", refused("100038"))
		do(t, a, "INSERT INTO T VALUES (2, 0)")
		do(t, a, "INSERT INTO T VALUES ('y', 0)", refused("100038"))
		do(t, a, "COMMIT")
		if got := count("T"); got != "2" {
			t.Errorf("got %s rows, want 2", got)
		}
	})
	t.Run("DDL commits", func(t *testing.T) {
		do(t, a, "BEGIN")
		do(t, a, "INSERT INTO U VALUES (1)")
		do(t, a, "CREATE TEMPORARY TABLE X (A NUMBER)")
		do(t, a, "INSERT INTO U VALUES (2)")
		do(t, a, "ROLLBACK")
		if got := count("U"); got != "2" {
			t.Errorf("got %s rows, want both: nothing was open any more", got)
		}
	})
	t.Run("a statement sees what others have committed", func(t *testing.T) {
		do(t, a, "BEGIN")
		ask(t, a, "SELECT COUNT(*) FROM U")
		do(t, b, "INSERT INTO U VALUES (3)")
		if got := ask(t, a, "SELECT COUNT(*) FROM U"); got[0][0] != "3" {
			t.Errorf("got %v, want 3", got)
		}
		do(t, a, "ROLLBACK")
	})
	t.Run("who updates is waited for", func(t *testing.T) {
		do(t, a, "BEGIN")
		if n := do(t, a, "UPDATE T SET N = 1 WHERE ID = 1 AND N = 0"); n != 1 {
			t.Fatalf("first: got %d rows, want 1", n)
		}
		do(t, b, "INSERT INTO T VALUES (3, 0)") // adding rows waits for nobody
		changed := make(chan int64)
		go func() {
			r, err := b.ExecContext(context.Background(), "UPDATE T SET N = 2 WHERE ID = 1 AND N = 0")
			if err != nil {
				t.Error(err)
				close(changed)
				return
			}
			n, _ := r.RowsAffected()
			changed <- n
		}()
		select {
		case <-changed:
			t.Fatal("the second did not wait")
		case <-time.After(100 * time.Millisecond):
		}
		do(t, a, "COMMIT")
		if n := <-changed; n != 0 {
			t.Errorf("second: got %d rows, want 0: the condition no longer holds", n)
		}
	})
	t.Run("a closed session is rolled back", func(t *testing.T) {
		c := connect(t, config(t, s))
		do(t, c, "BEGIN")
		do(t, c, "DELETE FROM T")
		s.KillSessions()
		if got := count("T"); got != "3" {
			t.Errorf("got %s rows, want 3", got)
		}
		do(t, c, "COMMIT", refused("390104"))
	})
}

// TestIdleTransactionGivesWay: an abandoned transaction does not hold others up for ever.
func TestIdleTransactionGivesWay(t *testing.T) {
	s := start(t, Options{IdleAbort: 50 * time.Millisecond})
	a, b := connect(t, config(t, s)), connect(t, config(t, s))
	do(t, a, "CREATE TABLE T (ID NUMBER)")
	do(t, a, "INSERT INTO T VALUES (1)")
	do(t, a, "BEGIN")
	do(t, a, "UPDATE T SET ID = 5")
	if n := do(t, b, "UPDATE T SET ID = 7 WHERE ID = 1"); n != 1 {
		t.Errorf("got %d rows, want 1", n)
	}
	do(t, a, "COMMIT", refused("000625"))
	if got := ask(t, a, "SELECT ID FROM T"); got[0][0] != "7" {
		t.Errorf("got %v, want 7", got)
	}
}
