//go:build !cgo || lite

package main

import "context"

// askAll asks line by line: the library for forms is a sixteenth of this build.
func (a *app) askAll(ctx context.Context, questions []question) error {
	return a.askLines(ctx, questions)
}
