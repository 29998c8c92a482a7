package blob

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/s3test"
)

// A fakeS3 is a server in this process and the ways to open it that tests of the insides need.
type fakeS3 struct {
	*s3test.Server
	tb testing.TB
}

func newFakeS3(tb testing.TB) *fakeS3 {
	tb.Helper()
	return &fakeS3{s3test.New(tb), tb}
}

// options reach the server.
func (f *fakeS3) options() S3Options { return optionsOf(f.URL) }

func optionsOf(endpoint string) S3Options {
	return S3Options{Endpoint: endpoint, Region: s3test.Region, AccessKeyID: s3test.Key, SecretAccessKey: s3test.Secret}
}

// store opens a prefix of the bucket, without waits between attempts and with small parts.
func (f *fakeS3) store(prefix string) *s3Store {
	f.tb.Helper()
	return openFake(f.tb, prefix, f.options(), s3test.Env(f.tb))
}

func openFake(tb testing.TB, prefix string, o S3Options, env martsync.Env) *s3Store {
	tb.Helper()
	// Real servers want parts of 5 MiB; this one takes any.
	return openTuned(tb, prefix, o, Tuning{PartSize: 1 << 10, Wait: func(int) time.Duration { return 0 }}, env)
}

func openTuned(tb testing.TB, prefix string, o S3Options, t Tuning, env martsync.Env) *s3Store {
	tb.Helper()
	s, err := openS3(tb.Context(), s3test.Bucket, prefix, o, t, env)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(*s3Store)
}

// uploadFile writes a file and closes it, invisible.
func uploadFile(tb testing.TB, s Store, key string, pieces ...[]byte) Receipt {
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

// keysOf lists a store.
func keysOf(tb testing.TB, s Store, prefix, after string) []string {
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

func randomBytes(n int) []byte {
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data) // never fails
	return data
}

// uploadsOf lists the unfinished uploads as "key id", sorted.
func uploadsOf(tb testing.TB, s Store, prefix string) []string {
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
