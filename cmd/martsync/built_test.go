package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
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
	writeProgram(t, path, program)
	return path
}

// writeProgram writes a program that is to be started. Meanwhile no other test starts one: the child would have the file open to
// write for a moment, and who starts the program in that moment is told that the file is busy (ETXTBSY; go.dev/issue/22315).
func writeProgram(t testing.TB, path string, program []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, program, 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
}
