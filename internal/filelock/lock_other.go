//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package filelock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Lock says that this system has no such lock.
func Lock(string, fs.FileMode) (unlock func(), err error) {
	return nil, fmt.Errorf("a folder that several programs share needs file locks: %w", errors.ErrUnsupported)
}

// Try says that this system has no such lock.
func Try(*os.File) (taken bool, err error) { return false, errors.ErrUnsupported }

// LockToRead does nothing.
func LockToRead(string, fs.FileMode) (unlock func(), err error) { return func() {}, nil }

// SyncFolder does nothing.
func SyncFolder(string) error { return nil }
