//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package state

import "errors"

func lock(string) (unlock func(), err error) {
	return nil, errors.New("a state folder needs file locks, which this operating system lacks")
}

func lockToRead(string) (unlock func(), err error) { return func() {}, nil }

func syncFolder(string) error { return nil }
