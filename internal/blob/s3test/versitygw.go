package s3test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
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

const (
	// startPatience is how long a server may take to listen: machines are slow at times.
	startPatience = 5 * time.Minute

	// mostPorts is how many ports are tried. Between our finding that one is free and the server's taking it somebody else may.
	mostPorts = 10
)

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
	v := VersityGW{program: versityGW(tb)}
	dir := tb.TempDir()
	v.Folder = filepath.Join(dir, "data")
	iam := filepath.Join(dir, "iam")
	for _, d := range []string{filepath.Join(v.Folder, Bucket), iam} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	// By this path we know our server from others, which another package's tests may have started at the same moment.
	health := "/" + strings.ToLower(rand.Text())
	options = append([]string{"--access", Key, "--secret", Secret, "--region", Region, "--quiet", "--iam-dir", iam, "--health", health}, options...)
	for range mostPorts {
		address := freePort(tb)
		v.URL = scheme + "://" + address
		log, up := v.serve(tb, health, append([]string{"--port", address}, append(options, "posix", v.Folder)...))
		switch {
		case up:
			return v
		case strings.Contains(log, "xattr"):
			tb.Skipf("the temporary folder keeps no attributes of files, which versitygw needs: %s", log)
		case !strings.Contains(log, "address already in use"):
			tb.Fatalf("versitygw does not listen: %s", log)
		}
	}
	tb.Fatalf("versitygw found none of %d ports free", mostPorts)
	return v
}

// freePort is an address of this machine where nobody listens now.
func freePort(tb testing.TB) string {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		tb.Fatal(err)
	}
	return address
}

// serve starts the process and waits until it answers, or has ended, or time is up. It returns what that has written if it is not up.
func (v VersityGW) serve(tb testing.TB, health string, args []string) (text string, up bool) {
	tb.Helper()
	// It outlives the context of the test, whose cleaning up asks it too. It keeps what it knows of an object in
	// attributes of the file: in files beside it, it would not be of one moment with the object.
	server := exec.CommandContext(context.WithoutCancel(tb.Context()), v.program, args...)
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	ctx, exited := context.WithTimeout(tb.Context(), startPatience)
	var ended sync.WaitGroup
	ended.Go(func() { _ = server.Wait(); exited() })
	end := func() {
		_ = server.Process.Kill()
		ended.Wait()
	}
	tb.Cleanup(func() {
		end()
		if tb.Failed() {
			tb.Logf("versitygw: %s", &log)
		}
	})
	var clock martsync.SystemClock
	for !answers(ctx, v.URL+health) {
		if clock.Sleep(ctx, 20*time.Millisecond) != nil { // another process: there is nothing to wait for but time
			end()
			return log.String(), false
		}
	}
	return "", true
}

// answers reports whether a server says that it is well.
func answers(ctx context.Context, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the path is its name
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
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
