//go:build !cgo || lite

package main

import (
	"context"
	"errors"

	"github.com/martsync/martsync"
)

// replaceDemo says that there is no demo without DuckDB.
func replaceDemo(context.Context, string) error {
	return &martsync.Error{
		Kind: martsync.Config, Op: "make the demonstration", Err: errors.New("this build of martsync has no DuckDB"),
		Hint: "Install the full build, or build it yourself with a C compiler at hand, CGO_ENABLED=1 and without -tags lite.",
	}
}

func runQueries(context.Context, string, string, []demoQuery) ([]demoQuery, error) {
	return nil, martsync.ErrUnsupported
}
