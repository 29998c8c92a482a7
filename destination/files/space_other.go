//go:build !linux && !darwin && !freebsd && !windows

package files

func freeSpace(string) (bytes uint64, known bool) { return 0, false }
