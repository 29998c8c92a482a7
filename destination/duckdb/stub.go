//go:build !cgo || lite

package duckdb

import (
	"context"
	"errors"

	"github.com/martsync/martsync"
)

func open(context.Context, Config, string, martsync.Env) (martsync.Destination, error) {
	return nil, &martsync.Error{
		Kind: martsync.Config, Op: "duckdb: open",
		Hint: "install the full build of martsync, or build it yourself with a C compiler at hand, CGO_ENABLED=1 and without -tags lite",
		Err:  errors.New("this build of martsync has no DuckDB"),
	}
}
