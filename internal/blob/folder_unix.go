//go:build unix

package blob

import (
	"errors"
	"syscall"
)

// platformKind knows the transient errors that only some systems have.
func platformKind(err error) (hint string, ok bool) {
	if errors.Is(err, syscall.EDQUOT) {
		return "free some space or raise the disk quota, then run it again; nothing that was committed is lost", true
	}
	return "", false
}
