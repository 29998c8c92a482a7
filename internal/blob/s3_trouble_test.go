package blob

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/s3test"
)

// skewed is a server whose clock is off, which takes requests of 15 minutes' difference as S3 does: Amazon S3
// API Reference, Error responses, RequestTimeTooSkewed. tells: whether its replies have its own time.
func skewed(by time.Duration, tells bool) s3test.Hook {
	const limit = 15 * time.Minute
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		now := time.Now().Add(by).UTC()
		w.Header().Set("Date", now.Format(http.TimeFormat))
		if !tells {
			w.Header().Set("Date", "somebody took it away")
		}
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err == nil && now.Sub(signed).Abs() <= limit {
			r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z")) // the server in this process has our clock
			return false
		}
		s3test.Say(w, http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
		return true
	}
}

// A clock that is wrong costs an attempt where the server tells its own; where it does not, the operator is told.
func TestClocksApart(t *testing.T) {
	for name, by := range map[string]time.Duration{"ours is slow": 20 * time.Minute, "ours is fast": -20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			f := newFakeS3(t)
			f.During(skewed(by, true))
			roundTrip(t, f.store("p"))
			if f.Called("") == 0 {
				t.Error("no calls")
			}
			f.During(skewed(by, false))
			err := f.store("p").Put(t.Context(), "a", nil, false)
			if martsync.KindOf(err) != martsync.Config || !strings.Contains(martsync.HintOf(err), "set the clock") {
				t.Errorf("error %v of kind %v (%s), want a Config error about the clock", err, martsync.KindOf(err), martsync.HintOf(err))
			}
		})
	}
}

// A token that has expired is said to have, whichever call notices.
func TestExpiredToken(t *testing.T) {
	f := newFakeS3(t)
	o := f.options()
	o.SessionToken = "old"
	s := openFake(t, "p", o, s3test.Env(t))
	f.During(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		s3test.Say(w, http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
		return true
	})
	var listErr error
	for _, listErr = range s.List(t.Context(), "", "") {
	}
	_, getErr := s.Get(t.Context(), "a", 1)
	for call, err := range map[string]error{"put": s.Put(t.Context(), "a", nil, true), "list": listErr, "get": getErr, "probe": Probe(t.Context(), s)} {
		if martsync.KindOf(err) != martsync.Auth || !strings.Contains(martsync.HintOf(err), "sign in again") {
			t.Errorf("%s: error %v of kind %v (%s), want an Auth error that says to sign in", call, err, martsync.KindOf(err), martsync.HintOf(err))
		}
	}
}

// What is stored says how it is to be encrypted and kept; manifests are kept as standard.
func TestS3StoresAsTold(t *testing.T) {
	f := newFakeS3(t)
	o := f.options()
	o.Encryption, o.KMSKey, o.StorageClass = "kms", "arn:aws:kms:eu-central-1:123456789012:key/7", "INTELLIGENT_TIERING"
	s := openFake(t, "p", o, s3test.Env(t))
	got := map[string][3]string{}
	f.During(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if what := strings.TrimPrefix(r.URL.Path, "/mart/p/"); r.Method == http.MethodPut && !r.URL.Query().Has("partNumber") || r.URL.Query().Has("uploads") {
			h := r.Header
			got[what] = [3]string{h.Get("X-Amz-Server-Side-Encryption"), h.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"), h.Get("X-Amz-Storage-Class")}
		}
		return false
	})
	if err := s.Put(t.Context(), "manifest", nil, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutIf(t.Context(), "state", nil, ""); err != nil {
		t.Fatal(err)
	}
	uploadFile(t, s, "data", []byte("x"))
	for what, class := range map[string]string{"manifest": "", "state": "", "data": o.StorageClass} {
		if want := [3]string{"aws:kms", o.KMSKey, class}; got[what] != want {
			t.Errorf("%s: got %q, want %q", what, got[what], want)
		}
	}
}

// The bucket's name stands in the host or in the path.
func TestS3AddressesTheBucket(t *testing.T) {
	yes, no := true, false
	for _, test := range []struct {
		name      string
		endpoint  string
		pathStyle *bool
		host      string
		path      string
	}{
		{"another store", "http://minio.example.com", nil, "minio.example.com", "/mart/p/a"},
		{"another store, by host", "http://minio.example.com", &no, "mart.minio.example.com", "/p/a"},
		{"AWS", "", nil, "mart.s3.eu-central-1.amazonaws.com", "/p/a"},
		{"AWS, by path", "", &yes, "s3.eu-central-1.amazonaws.com", "/mart/p/a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var host, path string
			env := s3test.Env(t)
			// Nothing is to leave this machine: every address is that of nobody.
			env.HTTP.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
				host, path = r.URL.Host, r.URL.Path
				return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
			})
			o := optionsOf(test.endpoint)
			o.PathStyle = test.pathStyle
			if err := openFake(t, "p", o, env).Put(t.Context(), "a", nil, false); err == nil {
				t.Fatal("somebody answered")
			}
			if host != test.host || path != test.path {
				t.Errorf("asked %s for %s, want %s for %s", host, path, test.host, test.path)
			}
		})
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
