package state

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
)

// A reply that is lost is asked for again; the second attempt finds what the first one did.
func TestABucketWhoseReplyIsLost(t *testing.T) {
	server := blobtest.NewS3(t)
	s := NewBlob(server.Store("state"))
	put(t, s, "other", "x", "") // it has been probed
	server.During(s3test.Once(http.MethodPut, "", s3test.LoseReply))
	first := put(t, s, "key", "one", "")
	server.During(s3test.Once(http.MethodPut, "", s3test.LoseReply))
	second := put(t, s, "key", "two", first)
	server.During(s3test.Once(http.MethodPut, "", s3test.LoseReply))
	if _, err := s.Put(t.Context(), "key", nil, second); err != nil {
		t.Errorf("delete: %v", err)
	}
	server.During(s3test.Once(http.MethodPut, "", s3test.LoseReply))
	put(t, s, "key", "three", "")
	server.During(nil)
	if d, err := s.Get(t.Context(), "key"); err != nil || string(d.Data) != "three" {
		t.Errorf("get: got %q, %v, want three", d.Data, err)
	}
}

// Equal documents are two to a store that compares what they hold.
func TestEqualDocumentsOfABucketAreTwo(t *testing.T) {
	s := NewBlob(blobtest.Bucket(t))
	first := put(t, s, "key", "same", "")
	second := put(t, s, "key", "same", first)
	put(t, s, "key", "same", second)
	if _, err := s.Put(t.Context(), "key", []byte("same"), first); !errors.Is(err, ErrStale) {
		t.Errorf("put at the first revision: got %v, want %v", err, ErrStale)
	}
}

func TestABucketThatDoesNotCompareIsRefused(t *testing.T) {
	server := blobtest.NewS3(t)
	server.During(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		r.Header.Del("If-Match")
		return false
	})
	s := NewBlob(server.Store("state"))
	_, err := s.Put(t.Context(), "key", []byte("x"), "")
	if martsync.KindOf(err) != martsync.Config || !strings.Contains(martsync.HintOf(err), "If-Match") {
		t.Errorf("got %v (%s), want an error of kind config whose hint names If-Match", err, martsync.HintOf(err))
	}
	if _, err := s.Get(t.Context(), "key"); !errors.Is(err, ErrNotFound) {
		t.Errorf("what was refused is there: %v", err)
	}
}

func TestErrorsOfABucketKeepTheirKind(t *testing.T) {
	server := blobtest.NewS3(t)
	s := NewBlob(server.Store("state"))
	put(t, s, "a/key", "x", "")
	server.During(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		s3test.Say(w, http.StatusForbidden, "AccessDenied", "no")
		return true
	})
	_, getErr := s.Get(t.Context(), "a/key")
	_, putErr := s.Put(t.Context(), "a/key", []byte("x"), "")
	_, deleteErr := s.Put(t.Context(), "a/key", nil, "")
	_, listErr := s.List(t.Context(), "a/")
	for op, err := range map[string]error{"get": getErr, "put": putErr, "delete": deleteErr, "list": listErr} {
		if martsync.KindOf(err) != martsync.Auth || !strings.Contains(martsync.HintOf(err), "s3:") || !strings.Contains(err.Error(), "state: ") {
			t.Errorf("%s: got %v (%s), want an error of kind auth that names the permission", op, err, martsync.HintOf(err))
		}
	}
}

func TestForeignObjectsAreNoDocuments(t *testing.T) {
	objects := blobtest.Bucket(t)
	s := NewBlob(objects)
	put(t, s, "mine", "data", "")
	for name, text := range map[string]string{
		"UPPER.json": strings.Repeat("x", 100), "notes.txt": strings.Repeat("x", 100), "broken.json": strings.Repeat("no header", 10), "_martsync/probe.txt": "x",
	} {
		if err := objects.Put(t.Context(), name, []byte(text), false); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.List(t.Context(), "")
	if diff := cmp.Diff([]string{"broken", "mine"}, got); err != nil || diff != "" {
		t.Errorf("list: %v (-want +got):\n%s", err, diff)
	}
	if _, err := s.Get(t.Context(), "broken"); martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
		t.Errorf("get a broken document: got %v, want an error of kind config with a hint", err)
	}
	big := bytes.Repeat([]byte("x"), maxDocument+1)
	if _, err := s.Put(t.Context(), "big", big, ""); martsync.KindOf(err) != martsync.Internal || err == nil {
		t.Errorf("put %d bytes: got %v, want an error of kind internal", len(big), err)
	}
	if _, err := s.Put(t.Context(), "big", big[:maxDocument], ""); err != nil {
		t.Errorf("put %d bytes: %v", maxDocument, err)
	}
	if d, err := s.Get(t.Context(), "big"); err != nil || len(d.Data) != maxDocument {
		t.Errorf("get %d bytes: got %d, %v", maxDocument, len(d.Data), err)
	}
}

// Documents that were deleted long ago leave nothing behind, and others are not touched.
func TestOldGravesAreRemoved(t *testing.T) {
	objects := blobtest.Folder(t)
	dir, _ := blob.Folder(objects)
	s := NewBlob(objects)
	remove := func(key string) {
		t.Helper()
		if _, err := s.Put(t.Context(), key, nil, put(t, s, key, "", "")); err != nil {
			t.Fatal(err)
		}
	}
	age := func(name string, by time.Duration) {
		t.Helper()
		at := martsync.SystemClock{}.Now().Add(-by)
		if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(name)), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i, by := range []time.Duration{48 * time.Hour, 25 * time.Hour, 23 * time.Hour} {
		key := fmt.Sprintf("run/a/%d", i)
		remove(key)
		age(objectName(key), by)
	}
	put(t, s, "run/a/old", "", "") // an empty document is one
	age("run/a/old.json", 48*time.Hour)
	remove("run/b/0")
	age("run/b/0.json", 48*time.Hour) // elsewhere
	if err := objects.Put(t.Context(), "run/a/notes.txt", []byte("short"), false); err != nil {
		t.Fatal(err)
	}
	age("run/a/notes.txt", 48*time.Hour)
	remove("run/a/new")

	want := []string{"run/a/2.json", "run/a/new.json", "run/a/notes.txt", "run/a/old.json", "run/b/0.json"}
	if diff := cmp.Diff(want, blobtest.Keys(t, objects, "run/", "")); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	got, err := s.List(t.Context(), "run/")
	if diff := cmp.Diff([]string{"run/a/old"}, got); err != nil || diff != "" {
		t.Errorf("documents: %v (-want +got):\n%s", err, diff)
	}
	put(t, s, "run/a/0", "again", "")
}
