// Package filelock is what stores in a folder need of the operating system: a lock that the death of its
// holder releases, and renames that survive a loss of power.
//
// It leaves to others what is locked, and why.
package filelock

import (
	"errors"
	"os"
)

// locked makes the release of a lock on an open file: closing it.
func locked(file *os.File, name string, err error) (unlock func(), _ error) {
	if err != nil {
		return nil, errors.Join(&os.PathError{Op: "lock", Path: name, Err: err}, file.Close())
	}
	return func() { _ = file.Close() }, nil // nothing was written
}
