package destinationtest

import (
	"errors"
	"strings"
	"sync/atomic"

	"github.com/martsync/martsync"
)

// FailStatement makes what a destination of SQL asks before each statement: the n-th from now on fails, but for a rollback.
// A negative n lets all of them pass.
func FailStatement(n int) func(string) error {
	if n < 0 {
		return nil
	}
	var count atomic.Int64
	count.Store(int64(n))
	return func(statement string) error {
		if strings.HasPrefix(statement, "ROLLBACK") || count.Add(-1) != -1 {
			return nil
		}
		return &martsync.Error{Kind: martsync.Transient, Op: "test", Err: errors.New("a fault was asked for")}
	}
}
