//go:build !cgo || lite

// Command duckload needs DuckDB, which this build does not have.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "duckload: build it with CGO_ENABLED=1 and without -tags lite")
	os.Exit(1)
}
