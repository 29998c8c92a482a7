//go:build cgo && !lite

package duckdb

import "os"

// children are programs that tests run as processes of their own, by name.
var children = map[string]func(args []string) int{}

// child runs one of them if this process was started for that.
func child() bool {
	f, ok := children[os.Getenv("MARTSYNC_TEST_CHILD")]
	if ok {
		os.Exit(f(os.Args[1:]))
	}
	return ok
}
