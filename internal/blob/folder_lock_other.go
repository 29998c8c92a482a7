//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package blob

import (
	"errors"
	"fmt"
)

func lockFile(string) (unlock func(), err error) {
	return nil, fmt.Errorf("file locks: %w", errors.ErrUnsupported)
}

func lockToRead(string) (unlock func(), err error) { return func() {}, nil }
