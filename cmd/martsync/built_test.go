package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// lite is the program as it is in the slim image and in Lambda's zip. It needs nothing beside itself. It is linked once for all tests.
var lite = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "martsync-test-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays only takes room
	path := filepath.Join(dir, "martsync")
	build := exec.Command("go", "build", "-trimpath", "-tags", "minicore_disabled", "-ldflags=-s -w", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, output)
	}
	return os.ReadFile(path)
})

// builtLite puts the program into a folder of the test.
func builtLite(t testing.TB) string {
	t.Helper()
	program, err := lite()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "martsync")
	if err := os.WriteFile(path, program, 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return path
}
