//go:build !cgo || lite

// Command syncsize measures the peak memory of whole syncs. It needs the build with DuckDB.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "syncsize: this build has no DuckDB; build with CGO_ENABLED=1")
	os.Exit(1)
}
