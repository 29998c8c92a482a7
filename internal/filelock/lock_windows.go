package filelock

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// Lock waits for the exclusive lock of the named file, which is created with that mode if it does not exist. The
// system releases it when the process dies.
func Lock(name string, mode fs.FileMode) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	return locked(file, name, windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &windows.Overlapped{}))
}

// Try takes the exclusive lock of an open file if nobody holds it, and says whether it did. Closing the file releases it.
func Try(file *os.File) (taken bool, err error) {
	err = windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION):
		return false, nil
	}
	return false, &os.PathError{Op: "lock", Path: file.Name(), Err: err}
}

// LockToRead takes the lock too: Windows does not rename over a file that somebody reads.
func LockToRead(name string, mode fs.FileMode) (unlock func(), err error) { return Lock(name, mode) }

// SyncFolder does nothing: Windows cannot sync a folder, and its file systems journal renames.
func SyncFolder(string) error { return nil }
