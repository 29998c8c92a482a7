package blob_test

import (
	"testing"

	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
)

func TestFakeS3(t *testing.T) {
	s := blobtest.NewS3(t)
	blobtest.Run(t, func(*testing.T) blob.Store { return s.Store("some/prefix") })
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	blobtest.Run(t, func(t *testing.T) blob.Store {
		s, err := blob.Location{Path: dir}.Open(t.Context(), "", s3test.Env(t))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestVersityGW(t *testing.T) {
	t.Run("HTTP", func(t *testing.T) {
		server := s3test.NewVersityGW(t)
		blobtest.Run(t, func(t *testing.T) blob.Store { return blobtest.VersityGW(t, server, "some/prefix") })
	})
	t.Run("TLS", func(t *testing.T) {
		server := s3test.NewVersityGWTLS(t)
		if s := blobtest.VersityGW(t, server, "some/prefix"); s.Put(t.Context(), "a", nil, false) == nil {
			t.Error("a certificate that nobody has vouched for is taken")
		}
		t.Setenv("AWS_CA_BUNDLE", server.CA)
		blobtest.Run(t, func(t *testing.T) blob.Store { return blobtest.VersityGW(t, server, "some/prefix") })
	})
}
