//go:build unix

package blob

import (
	"errors"
	"os"
	"syscall"
)

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // some network file systems cannot; they write names through
	}
	return errors.Join(err, d.Close())
}

// platformKind knows the transient errors that only some systems have.
func platformKind(err error) (hint string, ok bool) {
	if errors.Is(err, syscall.EDQUOT) {
		return "free some space or raise the disk quota, then run it again; nothing that was committed is lost", true
	}
	return "", false
}
