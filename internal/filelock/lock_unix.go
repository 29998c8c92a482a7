//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filelock

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Lock waits for the exclusive lock of the named file, which is created with that mode if it does not exist. The
// system releases it when the process dies, and between two openings in one process it holds as between two
// processes.
func Lock(name string, mode fs.FileMode) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	return locked(file, name, err)
}

// Try takes the exclusive lock of an open file if nobody holds it, and says whether it did. Closing the file releases it. Open
// the file for writing: network file systems want that.
func Try(file *os.File) (taken bool, err error) {
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, &os.PathError{Op: "lock", Path: file.Name(), Err: err}
		}
	}
}

// LockToRead does nothing: a rename is one step to those who open the file.
func LockToRead(string, fs.FileMode) (unlock func(), err error) { return func() {}, nil }

// SyncFolder makes the names in a folder durable.
func SyncFolder(dir string) error {
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
