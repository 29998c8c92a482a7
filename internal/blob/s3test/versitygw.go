package s3test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/martsync/martsync"
)

// startPatience is how long a server may take to listen.
const startPatience = 20 * time.Second

// A VersityGW is a real server that speaks S3, in a process of its own.
type VersityGW struct {
	URL    string
	Folder string // where its buckets are, one folder each
	CA     string // the file of the authority that has certified it; "": it speaks HTTP

	program string
}

// NewVersityGW starts a server that ends with the test, and skips the test if the machine has none:
// it is looked for in PATH and in $VERSITYGW. It knows Bucket, Region, Key and Secret.
func NewVersityGW(tb testing.TB) VersityGW {
	tb.Helper()
	return startVersityGW(tb, "http")
}

// NewVersityGWTLS is NewVersityGW over TLS, certified by an authority of its own.
func NewVersityGWTLS(tb testing.TB) VersityGW {
	tb.Helper()
	ca, cert, key := certify(tb)
	v := startVersityGW(tb, "https", "--cert", cert, "--key", key)
	v.CA = ca
	return v
}

func versityGW(tb testing.TB) string {
	tb.Helper()
	if program := os.Getenv("VERSITYGW"); program != "" {
		return program
	}
	program, err := exec.LookPath("versitygw")
	if err != nil {
		tb.Skip("versitygw is neither in PATH nor in $VERSITYGW")
	}
	return program
}

func startVersityGW(tb testing.TB, scheme string, options ...string) VersityGW {
	tb.Helper()
	program := versityGW(tb)
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	root, iam := filepath.Join(dir, "data"), filepath.Join(dir, "iam")
	for _, d := range []string{filepath.Join(root, Bucket), iam} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	args := append([]string{"--port", address, "--access", Key, "--secret", Secret, "--region", Region, "--quiet", "--iam-dir", iam}, options...)
	// It outlives the context of the test, whose cleaning up asks it too. It keeps what it knows of an object in
	// attributes of the file: in files beside it, it would not be of one moment with the object.
	server := exec.CommandContext(context.WithoutCancel(tb.Context()), program, append(args, "posix", root)...)
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	ctx, exited := context.WithTimeout(tb.Context(), startPatience)
	var ended sync.WaitGroup
	ended.Go(func() { _ = server.Wait(); exited() })
	tb.Cleanup(func() {
		_ = server.Process.Kill()
		ended.Wait()
		if tb.Failed() {
			tb.Logf("versitygw: %s", &log)
		}
	})
	var clock martsync.SystemClock
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
			return VersityGW{URL: scheme + "://" + address, Folder: root, program: program}
		}
		if clock.Sleep(ctx, 20*time.Millisecond) == nil { // another process: there is nothing to wait for but time
			continue
		}
		_ = server.Process.Kill()
		ended.Wait()
		if strings.Contains(log.String(), "xattr") {
			tb.Skipf("the temporary folder keeps no attributes of files, which versitygw needs: %s", &log)
		}
		tb.Fatalf("versitygw does not listen: %v: %s", err, &log)
	}
}

// AddUser adds a user who may do nothing.
func (v VersityGW) AddUser(tb testing.TB, key, secret string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), v.program, "admin", "--access", Key, "--secret", Secret, "--region", Region, "--endpoint-url", v.URL,
		"create-user", "--access", key, "--secret", secret, "--role", "user")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("add user %s: %v: %s", key, err, out)
	}
}

// Allow lets users do something with the bucket and what is in it: action → keys of the users. It replaces what was
// allowed before.
func (v VersityGW) Allow(tb testing.TB, allowed map[string][]string) {
	tb.Helper()
	var statements []map[string]any
	for action, users := range allowed {
		resource := "arn:aws:s3:::" + Bucket
		if !strings.HasPrefix(action, "s3:ListBucket") {
			resource += "/*"
		}
		statements = append(statements, map[string]any{"Effect": "Allow", "Principal": map[string]any{"AWS": users}, "Action": action, "Resource": resource})
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		tb.Fatal(err)
	}
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(v.URL), Region: Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(Key, Secret, ""),
	})
	if _, err := client.PutBucketPolicy(tb.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String(Bucket), Policy: aws.String(string(policy))}); err != nil {
		tb.Fatal(err)
	}
}
