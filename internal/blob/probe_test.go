package blob

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/s3test"
)

func TestProbeRefuses(t *testing.T) {
	for name, hook := range map[string]func(w http.ResponseWriter, r *http.Request, next http.Handler) bool{
		"a store that ignores If-None-Match": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			r.Header.Del("If-None-Match")
			return false
		},
		"a store that says so": func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Header.Get("If-None-Match") == "" {
				return false
			}
			s3test.Say(w, http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented")
			return true
		},
		"a store that replaces and complains": func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
			if r.Method != http.MethodPut {
				return false
			}
			r.Header.Del("If-None-Match")
			r.Header.Del("X-Amz-Meta-Martsync-Put")
			if r.ContentLength < 20 { // the second one
				next.ServeHTTP(discardReply{http.Header{}}, r)
				s3test.Say(w, http.StatusPreconditionFailed, "PreconditionFailed", "")
				return true
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeS3(t)
			f.During(hook)
			s := f.store("p")
			for range 2 { // a refusal is not forgotten, and not remembered as consent
				err := Probe(t.Context(), s)
				if martsync.KindOf(err) != martsync.Config || !strings.Contains(martsync.HintOf(err), "If-None-Match") {
					t.Errorf("probe = %v (%s), want a Config error about If-None-Match", err, martsync.HintOf(err))
				}
			}
			f.During(nil)
			if got := keysOf(t, s, "", ""); len(got) != 0 {
				t.Errorf("the probe leaves %q", got)
			}
			if err := Probe(t.Context(), s); err != nil {
				t.Errorf("probe of the mended store = %v", err)
			}
		})
	}
}

// TestProbeAnew asks although the server is known: with other credentials, or below another prefix, it may refuse.
func TestProbeAnew(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("p")
	for range 2 {
		if err := Probe(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := ProbeAnew(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	f.During(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method == http.MethodPut {
			s3test.Say(w, http.StatusForbidden, "SignatureDoesNotMatch", "")
		}
		return r.Method == http.MethodPut
	})
	if err := Probe(t.Context(), s); err != nil {
		t.Errorf("probe = %v, want what it knows", err)
	}
	if err := ProbeAnew(t.Context(), s); martsync.KindOf(err) != martsync.Auth {
		t.Errorf("probe anew = %v, want an error of kind auth", err)
	}
	f.During(nil)
	if got := keysOf(t, s, "", ""); len(got) != 0 {
		t.Errorf("the probes leave %q", got)
	}
}

// discardReply is where a reply goes that nobody sees.
type discardReply struct{ header http.Header }

func (d discardReply) Header() http.Header       { return d.header }
func (discardReply) Write(p []byte) (int, error) { return len(p), nil }
func (discardReply) WriteHeader(int)             {}

func TestProbeOnce(t *testing.T) {
	f := newFakeS3(t)
	var wg sync.WaitGroup
	for _, prefix := range []string{"a", "b", "c/d", ""} {
		s := f.store(prefix)
		wg.Go(func() {
			if err := Probe(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := f.Called("PUT "); n != 2 {
		t.Errorf("%d puts, want 2: one probe for the bucket", n)
	}
}

// Errors that say nothing about If-None-Match stay what they are, and are asked about again.
func TestProbePassesErrors(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	f.During(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		s3test.Say(w, http.StatusForbidden, "AccessDenied", "Access Denied")
		return true
	})
	if err := Probe(t.Context(), s); martsync.KindOf(err) != martsync.Auth {
		t.Errorf("probe = %v, want an Auth error", err)
	}
	f.During(nil)
	if err := Probe(t.Context(), s); err != nil {
		t.Errorf("probe after the right was granted = %v", err)
	}
}

// A folder that can neither link nor refuse to rename over a file is refused too.
func TestProbeFolder(t *testing.T) {
	s, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	noLink := func(_, _ string) error { return errors.ErrUnsupported }
	s.(*folder).link = noLink
	if err := Probe(t.Context(), s); err != nil {
		t.Errorf("probe of a folder without links = %v, want renaming to do", err)
	}
	other, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other.(*folder).link, other.(*folder).rename = noLink, noLink
	if err := Probe(t.Context(), other); martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
		t.Errorf("probe of a folder without either = %v, want a Config error with a hint", err)
	}
}

func TestProbeIfRefuses(t *testing.T) {
	for name, hook := range map[string]s3test.Hook{
		"a store that ignores If-Match": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			r.Header.Del("If-Match")
			return false
		},
		"a store that says so": func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Header.Get("If-Match") == "" {
				return false
			}
			s3test.Say(w, http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented")
			return true
		},
		"a store that refuses what is right": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Header.Get("If-Match") != "" {
				r.Header.Set("If-Match", `"0"`)
			}
			return false
		},
		"a store that tells no tags": func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
			next.ServeHTTP(tagless{w}, r)
			tagless{w}.drop() // of replies without a body
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeS3(t)
			f.During(hook)
			s := f.store("p")
			for range 2 {
				err := ProbeIf(t.Context(), s)
				if martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
					t.Errorf("ProbeIf = %v (%s), want a Config error with a hint", err, martsync.HintOf(err))
				}
			}
			if err := Probe(t.Context(), s); err != nil {
				t.Errorf("Probe = %v: If-None-Match is another thing", err)
			}
			f.During(nil)
			if got := keysOf(t, s, "", ""); len(got) != 0 {
				t.Errorf("the probe leaves %q", got)
			}
			if err := ProbeIf(t.Context(), s); err != nil {
				t.Errorf("ProbeIf of the mended store = %v", err)
			}
		})
	}
}

// tagless keeps ETags to itself.
type tagless struct{ http.ResponseWriter }

func (w tagless) drop() {
	for name := range w.Header() { // the server does not spell it as net/http does
		if strings.EqualFold(name, "ETag") {
			delete(w.Header(), name)
		}
	}
}

func (w tagless) WriteHeader(status int) {
	w.drop()
	w.ResponseWriter.WriteHeader(status)
}

func (w tagless) Write(p []byte) (int, error) {
	w.drop()
	return w.ResponseWriter.Write(p)
}
