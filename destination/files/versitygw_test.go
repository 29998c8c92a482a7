package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/martsync/martsync"
)

// startVersityGW starts a real server that speaks S3 with one bucket, and skips the test if there is none.
func startVersityGW(t *testing.T) S3Options {
	t.Helper()
	program := os.Getenv("VERSITYGW")
	if program == "" {
		var err error
		if program, err = exec.LookPath("versitygw"); err != nil {
			t.Skip("versitygw is neither in PATH nor in $VERSITYGW")
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root, sidecar := filepath.Join(dir, "data"), filepath.Join(dir, "meta")
	for _, d := range []string{filepath.Join(root, fakeBucket), sidecar} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	server := exec.Command(program, "--port", address, "--access", fakeKey, "--secret", "secret", "--region", "eu-central-1", "--quiet", "posix", "--sidecar", sidecar, root)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			t.Logf("versitygw: %s", &log)
		}
	})
	return S3Options{Endpoint: "http://" + address, Region: "eu-central-1", AccessKeyID: fakeKey, SecretAccessKey: "secret"}
}

// openVersityGW opens a prefix; the SDK's attempts wait until the server listens.
func openVersityGW(t *testing.T, prefix string, o S3Options) *s3Store {
	t.Helper()
	backoff := retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Second, nil })
	s, err := openS3Backoff(t.Context(), fakeBucket, prefix, o, testEnv(t), backoff)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*s3Store)
}

func TestVersityGW(t *testing.T) {
	o := startVersityGW(t)
	t.Run("laws", func(t *testing.T) {
		testStore(t, func(t *testing.T) store { return openVersityGW(t, "some/prefix", o) })
	})
	t.Run("many parts", func(t *testing.T) {
		s := openVersityGW(t, "parts", o)
		s.partSize = 5 << 20 // the least it takes
		data := randomBytes(17<<20 + 5)
		var pieces [][]byte
		for p := range slices.Chunk(data, 1<<20+3) {
			pieces = append(pieces, p)
		}
		r := uploadFile(t, s, "a.parquet", pieces...)
		if len(r.Parts) != 4 || r.Parts[3].CRC32C == "" {
			t.Errorf("parts %+v, want 4 with the checksums that the server has confirmed", r.Parts)
		}
		if err := s.Finish(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		in, err := s.Open(t.Context(), r.Key, r.Size)
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, io.NewSectionReader(in, 0, r.Size)); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(hash.Sum(nil)); got != r.SHA256 {
			t.Errorf("SHA-256 of what was stored is %s, not %s", got, r.SHA256)
		}
		// A receipt that was tampered with must not become a file.
		bad := uploadFile(t, s, "b.parquet", pieces...)
		bad.Parts[1].ETag = bad.Parts[0].ETag
		if err := s.Finish(t.Context(), bad); martsync.KindOf(err) != martsync.Data {
			t.Errorf("Finish with another part = %v (%v), want a Data error", err, martsync.KindOf(err))
		}
	})
	t.Run("errors", func(t *testing.T) {
		for _, test := range []struct {
			name string
			edit func(*S3Options)
			kind martsync.Kind
			hint string
		}{
			{"wrong secret", func(o *S3Options) { o.SecretAccessKey = "wrong" }, martsync.Auth, "secret_access_key"},
			{"unknown key", func(o *S3Options) { o.AccessKeyID = "AKIDNOBODY" }, martsync.Auth, "access_key_id"},
			{"wrong region", func(o *S3Options) { o.Region = "us-west-2" }, martsync.Config, "region"},
		} {
			o := o
			test.edit(&o)
			_, err := openVersityGW(t, "", o).Get(t.Context(), "a", 10)
			if martsync.KindOf(err) != test.kind || !strings.Contains(martsync.HintOf(err), test.hint) {
				t.Errorf("%s: %v (%v, %s), want kind %v and a hint with %q", test.name, err, martsync.KindOf(err), martsync.HintOf(err), test.kind, test.hint)
			}
		}
		s := openVersityGW(t, "", o)
		s.bucket = "nobody"
		if _, err := s.Get(t.Context(), "a", 10); martsync.KindOf(err) != martsync.Config || !strings.Contains(martsync.HintOf(err), "create the bucket") {
			t.Errorf("no bucket: %v (%s), want a Config error", err, martsync.HintOf(err))
		}
	})
}
