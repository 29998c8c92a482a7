//go:build !linux && !darwin && !freebsd && !windows

package blob

func freeSpace(string) (bytes uint64, known bool) { return 0, false }
