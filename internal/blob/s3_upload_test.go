package blob

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/s3test"
)

// Memory is bounded by what the uploads fill and the parts that travel, not by the size of files; and
// many small files take what they hold, not a part each.
func TestS3UploadMemory(t *testing.T) {
	f := newFakeS3(t)
	f.During(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.Contains(r.URL.RawQuery, "partNumber=") {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"x"`)
		return true
	})
	s := f.store("")
	s.partSize = 1 << 20
	var small []Upload
	for range 100 {
		u, err := s.Create(t.Context(), "small", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		small = append(small, u)
		if c := cap(u.(*s3Upload).buf); c > firstBuffer {
			t.Fatalf("an upload of 1,000 bytes holds a buffer of %d", c)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			u, err := s.Create(t.Context(), "big", "")
			if err != nil {
				t.Error(err)
				return
			}
			piece := make([]byte, 100_000)
			for range 400 { // 40 MB
				if _, err := u.Write(piece); err != nil {
					t.Error(err)
					return
				}
			}
			if len(s.inFlight) > partsInFlight {
				t.Errorf("%d parts in flight", len(s.inFlight))
			}
			if err := u.Abort(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	runtime.ReadMemStats(&after)
	if got := after.HeapSys - before.HeapSys; after.HeapSys > before.HeapSys && got > 64<<20 {
		t.Errorf("three uploads of 40 MB took %d MiB more of heap", got>>20)
	}
	for _, u := range small {
		if err := u.Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing runs on after Close or Abort, even where the server hangs.
func TestS3UploadLeavesNoGoroutine(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	if err := s.Put(t.Context(), "warm", nil, false); err != nil {
		t.Fatal(err)
	}
	ignore := []goleak.Option{
		goleak.IgnoreCurrent(),
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"), // the server's, and connections that may be used again
		goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	}
	hanging := make(chan struct{})
	f.During(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if strings.Contains(r.URL.RawQuery, "partNumber=") {
			<-hanging
		}
		return false
	})
	u, err := s.Create(t.Context(), "a", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(randomBytes(2500)); err != nil { // two parts on their way
		t.Fatal(err)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(hanging)
	f.During(nil)
	r := uploadFile(t, s, "b", randomBytes(5000))
	if err := s.Finish(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, ignore...)
}

func TestS3Encryption(t *testing.T) {
	for encryption, want := range map[string]string{"": "", "s3": "AES256", "kms": "aws:kms"} {
		f := newFakeS3(t)
		o := f.options()
		o.Encryption = encryption
		s := openFake(t, "", o, s3test.Env(t))
		got := []string{}
		f.During(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Method == http.MethodPut && !r.URL.Query().Has("partNumber") || r.Method == http.MethodPost && r.URL.Query().Has("uploads") {
				got = append(got, r.Header.Get("X-Amz-Server-Side-Encryption"))
			}
			return false
		})
		if err := s.Put(t.Context(), "a", nil, false); err != nil {
			t.Fatal(err)
		}
		uploadFile(t, s, "b", []byte("x"))
		if len(got) != 2 || got[0] != want || got[1] != want {
			t.Errorf("encryption %q: the calls ask for %q, want %q twice", encryption, got, want)
		}
	}
}

// Credentials that cannot be had are not the bucket's fault.
func TestS3CredentialsFail(t *testing.T) {
	f := newFakeS3(t)
	config := filepath.Join(t.TempDir(), "config")
	text := "[profile broken]\nregion = eu-central-1\ncredential_process = " + filepath.ToSlash(filepath.Join(t.TempDir(), "no-such-program")) + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", config)
	status, code := http.StatusInternalServerError, "InternalFailure"
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<ErrorResponse><Error><Code>" + code + "</Code><Message>m</Message></Error></ErrorResponse>"))
	}))
	t.Cleanup(sts.Close)
	role := func(o *S3Options) { o.RoleARN = "arn:aws:iam::123456789012:role/mart" }
	for _, test := range []struct {
		name     string
		status   int
		code     string
		endpoint string
		edit     func(*S3Options)
		kind     martsync.Kind
		hint     string
	}{
		{"profile", 0, "", sts.URL, func(o *S3Options) {
			o.AccessKeyID, o.SecretAccessKey, o.Profile = "", "", "broken"
		}, martsync.Auth, `profile "broken"`},
		{"STS is down", 500, "InternalFailure", sts.URL, role, martsync.Transient, ""},
		{"STS does not know the key", 403, "InvalidClientTokenId", sts.URL, role, martsync.Auth, "access_key_id"},
		{"STS says that the token is old", 403, "ExpiredToken", sts.URL, role, martsync.Auth, "sign in again"},
		{"STS refuses", 403, "AccessDenied", sts.URL, role, martsync.Auth, "sts:AssumeRole"},
		{"STS does not answer", 0, "", closedAddress(t), role, martsync.Transient, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, code = test.status, test.code
			t.Setenv("AWS_ENDPOINT_URL_STS", test.endpoint)
			o := f.options()
			test.edit(&o)
			err := openFake(t, "", o, s3test.Env(t)).Put(t.Context(), "a", nil, false)
			if kind := martsync.KindOf(err); err == nil || kind != test.kind {
				t.Fatalf("error %v of kind %v, want kind %v", err, kind, test.kind)
			}
			if hint := martsync.HintOf(err); !strings.Contains(hint, test.hint) {
				t.Errorf("hint %q, want one with %q", hint, test.hint)
			}
		})
	}
}
