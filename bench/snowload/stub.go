//go:build !cgo || lite

// Command snowload measures loads into Snowflake. It needs the build with DuckDB.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "snowload: this build has no DuckDB; build with CGO_ENABLED=1")
	os.Exit(1)
}
