//go:build cgo && !lite

package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// What the S3 of a benchmark is reached by.
const (
	bucket    = "bench"
	accessKey = "AKIDEXAMPLE"
	secretKey = "secret"
)

// startS3 starts versitygw ($VERSITYGW, or the one in PATH) on a folder, as a process of its own, and says where it listens.
func startS3(ctx context.Context, dir string) (endpoint string, stop func(), err error) {
	program, err := exec.LookPath(cmp.Or(os.Getenv("VERSITYGW"), "versitygw"))
	if err != nil {
		return "", nil, err
	}
	root, sidecar := filepath.Join(dir, "s3", "data"), filepath.Join(dir, "s3", "meta")
	for _, d := range []string{filepath.Join(root, bucket), sidecar} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", nil, err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return "", nil, err
	}
	server := exec.CommandContext(ctx, program, "--port", address, "--access", accessKey, "--secret", secretKey,
		"--region", "eu-central-1", "--quiet", "posix", "--sidecar", sidecar, root)
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}
	for range 100 {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return "http://" + address, stop, c.Close()
		}
		time.Sleep(50 * time.Millisecond) //nolint:forbidigo // another process starts in real time
	}
	stop()
	return "", nil, fmt.Errorf("start %s: it does not listen", program)
}
