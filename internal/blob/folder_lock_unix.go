//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package blob

import (
	"errors"
	"os"
	"syscall"
)

// lockFile waits for the exclusive lock of the named file. The system releases it when the process dies,
// and between two openings in one process it holds as between two processes.
func lockFile(name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(&os.PathError{Op: "lock", Path: name, Err: err}, file.Close())
	}
	return func() { _ = file.Close() }, nil // closing releases the lock; nothing was written
}

// lockToRead does nothing: a rename is one step to those who open the file.
func lockToRead(string) (unlock func(), err error) { return func() {}, nil }
