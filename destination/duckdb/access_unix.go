//go:build cgo && !lite && unix

package duckdb

import "golang.org/x/sys/unix"

// accessible reports whether a file can be read and written, or files be made in a folder.
func accessible(path string, folder bool) error {
	if folder {
		return unix.Access(path, unix.W_OK|unix.X_OK)
	}
	return unix.Access(path, unix.R_OK|unix.W_OK)
}
