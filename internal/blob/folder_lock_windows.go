package blob

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile waits for the exclusive lock of the named file. The system releases it when the process dies.
func lockFile(name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	err = windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &windows.Overlapped{})
	if err != nil {
		return nil, errors.Join(&os.PathError{Op: "lock", Path: name, Err: err}, file.Close())
	}
	return func() { _ = file.Close() }, nil // closing releases the lock; nothing was written
}

// lockToRead takes the lock too: Windows does not rename over a file that somebody reads.
func lockToRead(name string) (unlock func(), err error) { return lockFile(name) }
