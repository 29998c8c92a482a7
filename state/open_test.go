package state

import (
	"net/url"
	"path/filepath"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
)

func TestOpen(t *testing.T) {
	env := s3test.Env(t)
	open := func(l blob.Location) Store {
		t.Helper()
		s, err := Open(t.Context(), l, env)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	dir := filepath.Join(t.TempDir(), "state")
	address := (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}).String()
	server := blobtest.NewS3(t)
	bucket := blob.Location{URL: "s3://" + s3test.Bucket + "/state", S3: server.Options()}
	for _, pair := range [][2]blob.Location{{{Path: dir}, {URL: address}}, {bucket, bucket}} {
		put(t, open(pair[0]), "key", "data", "")
		if d, err := open(pair[1]).Get(t.Context(), "key"); err != nil || string(d.Data) != "data" {
			t.Errorf("%v: got %q, %v, want what was put at %v", pair[1], d.Data, err, pair[0])
		}
	}
	if n := server.Called("PUT /" + s3test.Bucket + "/state/key.json"); n != 1 {
		t.Errorf("the document was put %d times into the bucket, want once", n)
	}
	for _, wrong := range []blob.Location{{URL: "s3:/mart/state"}, {Path: "s3:/mart/state"}, {URL: "gs://mart"}, {}} {
		if _, err := Open(t.Context(), wrong, env); martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
			t.Errorf("%v: got %v, want an error of kind config with a hint", wrong, err)
		}
	}
}
