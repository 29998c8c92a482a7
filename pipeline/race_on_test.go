//go:build race

package pipeline_test

import "github.com/martsync/martsync/internal/crash"

// The race detector makes everything ten times slower, and most races show in a few histories.
func init() {
	if !crash.Nightly() {
		crashOptions.Every, crashOptions.Runs = 3, 100
	}
}
