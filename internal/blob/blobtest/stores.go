package blobtest

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/s3test"
)

// S3 is a server in this process with an empty bucket.
type S3 struct {
	*s3test.Server
	tb testing.TB
}

// NewS3 starts a server that ends with the test.
func NewS3(tb testing.TB) *S3 {
	tb.Helper()
	return &S3{s3test.New(tb), tb}
}

// Options reach the server.
func (s *S3) Options() blob.S3Options { return Options(s.URL) }

// Store opens a prefix of the bucket, without waits between attempts and with small parts.
func (s *S3) Store(prefix string) blob.Store {
	s.tb.Helper()
	return Open(s.tb, prefix, s.Options(), s3test.Env(s.tb))
}

// Options reach a server of package s3test.
func Options(endpoint string) blob.S3Options {
	return blob.S3Options{Endpoint: endpoint, Region: s3test.Region, AccessKeyID: s3test.Key, SecretAccessKey: s3test.Secret}
}

// Open opens a prefix of the bucket of a server in this process, without waits between attempts and with parts
// of 1 KiB, which real servers do not take.
func Open(tb testing.TB, prefix string, o blob.S3Options, env martsync.Env) blob.Store {
	tb.Helper()
	s, err := location(prefix, o).OpenTuned(tb.Context(), "", blob.Tuning{PartSize: 1 << 10, Wait: func(int) time.Duration { return 0 }}, env)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// VersityGW opens a prefix of the bucket of a real server, and skips the test if the machine has none.
func VersityGW(tb testing.TB, server s3test.VersityGW, prefix string) blob.Store {
	tb.Helper()
	s, err := location(prefix, Options(server.URL)).Open(tb.Context(), "", s3test.Env(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func location(prefix string, o blob.S3Options) blob.Location {
	return blob.Location{URL: "s3://" + s3test.Bucket + "/" + prefix, S3: o}
}

// Folder is an empty folder, in memory where there is such a place: tests that count calls make many, and
// syncing each to a disk takes long.
func Folder(tb testing.TB) blob.Store {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "martsync")
	if err != nil {
		dir = tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := blob.Location{Path: dir}.Open(tb.Context(), "", s3test.Env(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Bucket is an empty bucket of a server in this process.
func Bucket(tb testing.TB) blob.Store {
	tb.Helper()
	return NewS3(tb).Store("data")
}

// Stores are those that tests run on, by name.
var Stores = map[string]func(testing.TB) blob.Store{"folder": Folder, "S3": Bucket}

// Age makes an unfinished upload to a folder older, or one that was begun later if by is negative.
func Age(tb testing.TB, s blob.Store, r blob.Receipt, by time.Duration) {
	tb.Helper()
	dir, local := blob.Folder(s)
	if !local {
		tb.Fatalf("%s is no folder", s)
	}
	at := martsync.SystemClock{}.Now().Add(-by)
	if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(blob.UploadFolder+r.Key+"."+r.ID)), at, at); err != nil {
		tb.Fatal(err)
	}
}

// UploadFile writes a file in pieces and closes it, invisible.
func UploadFile(tb testing.TB, s blob.Store, key string, pieces ...[]byte) blob.Receipt {
	tb.Helper()
	u, err := s.Create(tb.Context(), key, "text/csv")
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range pieces {
		if n, err := u.Write(p); err != nil || n != len(p) {
			tb.Fatalf("Write of %d bytes = %d, %v", len(p), n, err)
		}
	}
	r, err := u.Close(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// Keys lists a store.
func Keys(tb testing.TB, s blob.Store, prefix, after string) []string {
	tb.Helper()
	var keys []string
	for e, err := range s.List(context.WithoutCancel(tb.Context()), prefix, after) {
		if err != nil {
			tb.Fatal(err)
		}
		keys = append(keys, e.Key)
	}
	return keys
}

// uploadsOf lists the unfinished uploads as "key id", sorted.
func uploadsOf(tb testing.TB, s blob.Store, prefix string) []string {
	tb.Helper()
	var found []string
	for r, err := range s.Uploads(context.WithoutCancel(tb.Context()), prefix) {
		if err != nil {
			tb.Fatal(err)
		}
		found = append(found, r.Key+" "+r.ID)
	}
	slices.Sort(found)
	return found
}

// Random are n bytes that cannot be compressed, the same each time.
func Random(n int) []byte {
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data) // never fails
	return data
}
