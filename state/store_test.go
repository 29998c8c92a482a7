package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
)

// openers make an empty store, and another handle on the same one.
var openers = map[string]func(t testing.TB) func() Store{
	"memory": func(testing.TB) func() Store {
		s := NewMemory()
		return func() Store { return s }
	},
	"folder": func(t testing.TB) func() Store {
		dir := filepath.Join(t.TempDir(), "made", "on demand")
		return func() Store {
			s, err := OpenFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	},
	"bucket": func(t testing.TB) func() Store {
		server := blobtest.NewS3(t)
		return func() Store { return NewBlob(server.Store("some/state")) }
	},
	"folder of objects": func(t testing.TB) func() Store {
		objects := blobtest.Folder(t)
		return func() Store { return NewBlob(objects) }
	},
	"real bucket": func(t testing.TB) func() Store {
		server := s3test.NewVersityGW(t)
		return func() Store { return NewBlob(blobtest.VersityGW(t, server, "some/state")) }
	},
}

func eachStore(t *testing.T, test func(t *testing.T, open func() Store)) {
	for name, opener := range openers {
		t.Run(name, func(t *testing.T) { test(t, opener(t)) }) // a real bucket skips itself where there is none
	}
}

func put(t testing.TB, s Store, key, data, revision string) string {
	t.Helper()
	next, err := s.Put(t.Context(), key, []byte(data), revision)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return next
}

func TestStore(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		s := open()
		ctx := t.Context()
		if _, err := s.Get(ctx, "a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("get nothing: got %v, want %v", err, ErrNotFound)
		}
		if _, err := s.Put(ctx, "a", []byte("x"), "7"); !errors.Is(err, ErrStale) {
			t.Errorf("put at a revision that never was: got %v, want %v", err, ErrStale)
		}
		first := put(t, s, "a", "one", "")
		if _, err := s.Put(ctx, "a", []byte("x"), ""); !errors.Is(err, ErrStale) {
			t.Errorf("create what exists: got %v, want %v", err, ErrStale)
		}
		second := put(t, s, "a", "one", first)
		if first == second || second == "" {
			t.Errorf("revisions: got %q and %q, want two", first, second)
		}
		if _, err := s.Put(ctx, "a", []byte("x"), first); !errors.Is(err, ErrStale) {
			t.Errorf("put at an old revision: got %v, want %v", err, ErrStale)
		}
		d, err := open().Get(ctx, "a")
		if diff := cmp.Diff(Document{Key: "a", Data: []byte("one"), Revision: second}, d); err != nil || diff != "" {
			t.Errorf("get: %v (-want +got):\n%s", err, diff)
		}
		d.Data[0] = 'X'
		if again, _ := s.Get(ctx, "a"); string(again.Data) != "one" {
			t.Errorf("the store's data changed with a reader's: %q", again.Data)
		}
		if _, err := s.Put(ctx, "a", nil, first); !errors.Is(err, ErrStale) {
			t.Errorf("delete at an old revision: got %v, want %v", err, ErrStale)
		}
		if _, err := s.Put(ctx, "a", nil, second); err != nil {
			t.Errorf("delete: %v", err)
		}
		if _, err := s.Get(ctx, "a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("get what was deleted: got %v, want %v", err, ErrNotFound)
		}
		if _, err := s.Put(ctx, "a", nil, ""); err != nil {
			t.Errorf("delete nothing: %v", err)
		}
		third := put(t, s, "a", "two", "")
		if third == first || third == second {
			t.Errorf("a revision is used twice: %q after %q and %q", third, first, second)
		}
	})
}

func TestDataIsAnyBytes(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		s := open()
		for i, data := range [][]byte{{}, []byte("\n\n{}\n"), {0, 255, 10, 0}, bytes.Repeat([]byte("x"), 1<<20)} {
			key := fmt.Sprint(i)
			if _, err := s.Put(t.Context(), key, data, ""); err != nil {
				t.Fatal(err)
			}
			d, err := open().Get(t.Context(), key)
			if err != nil || !bytes.Equal(d.Data, data) {
				t.Errorf("document %d: got %d bytes and %v, want %d bytes", i, len(d.Data), err, len(data))
			}
		}
	})
}

func TestKeysAndLists(t *testing.T) {
	keys := []string{
		"lease/marketo:123-ABC-456", "lease/marketo:123-abc-456", "lease/con", "lease/CON", "aux/nul.txt", "a", "a/b", "a/b/c", "a.json", "a.json/b",
		"..", "../up", "run/x y/%25", "run/ü/漢字🙂", "run/\\back", "run/ trailing ", "run/dot.", "run/<>:\"|?*", "lock", "tmp/a.json.tmp", strings.Repeat("long", 40),
	}
	eachStore(t, func(t *testing.T, open func() Store) {
		s := open()
		for _, k := range keys {
			put(t, s, k, "the data of "+k, "")
		}
		for _, k := range keys {
			if d, err := s.Get(t.Context(), k); err != nil || string(d.Data) != "the data of "+k {
				t.Errorf("get %q: got %q, %v", k, d.Data, err)
			}
		}
		for _, prefix := range []string{"", "a", "a/", "a/b", "lease/", "lease/marketo:", "run/x", "run/x y/", "nothing", "nothing/", "../"} {
			var want []string
			for _, k := range keys {
				if strings.HasPrefix(k, prefix) {
					want = append(want, k)
				}
			}
			slices.Sort(want)
			got, err := open().List(t.Context(), prefix)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("list %q: %v (-want +got):\n%s", prefix, err, diff)
			}
		}
		for _, k := range []string{"", "/", "a/", "/a", "a//b", "\xff", strings.Repeat("too long", 100)} {
			_, err := s.Put(t.Context(), k, []byte("x"), "")
			if martsync.KindOf(err) != martsync.Internal || err == nil {
				t.Errorf("put %q: got %v, want an error of kind internal", k, err)
			}
		}
	})
}

func TestNamesAreSafeAndDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segment := rapid.StringN(1, 20, -1).Draw(t, "segment")
		name := encode(segment)
		if got, err := decode(name); err != nil || got != segment {
			t.Errorf("decode(%q): got %q, %v, want %q", name, got, err, segment)
		}
		for _, c := range []byte(name) {
			if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_!%", rune(c)) {
				t.Errorf("name of %q: %q has %q", segment, name, c)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("marketo%3a123-!a!b!c")
	f.Add("%")
	f.Add("!")
	f.Add("con")
	f.Fuzz(func(t *testing.T, name string) {
		if segment, err := decode(name); err == nil && encode(segment) != name {
			t.Errorf("decode(%q) is %q, whose name is %q", name, segment, encode(segment))
		}
	})
}

func TestConcurrentPutsAreCounted(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		const writers, each = 8, 10
		var group sync.WaitGroup
		for range writers {
			s := open()
			group.Go(func() {
				for range each {
					if err := increment(t.Context(), s, "counter"); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
		if d, err := open().Get(t.Context(), "counter"); err != nil || string(d.Data) != fmt.Sprint(writers*each) {
			t.Errorf("counter: got %q, %v, want %d", d.Data, err, writers*each)
		}
	})
}

// increment adds one to a document by compare and swap.
func increment(ctx context.Context, s Store, key string) error {
	for {
		d, err := s.Get(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		n, _ := strconv.Atoi(string(d.Data))
		_, err = s.Put(ctx, key, []byte(strconv.Itoa(n+1)), d.Revision)
		if !errors.Is(err, ErrStale) {
			return err
		}
	}
}

const helperFolder = "MARTSYNC_STATE_TEST_FOLDER"

// TestHelperProcess is not a test: TestProcessesShareAFolder runs it in other processes.
func TestHelperProcess(t *testing.T) {
	dir := os.Getenv(helperFolder)
	if dir == "" {
		t.Skip("for TestProcessesShareAFolder only")
	}
	s, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := increment(t.Context(), s, "counter"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProcessesShareAFolder(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const processes = 4
	var group sync.WaitGroup
	for range processes {
		group.Go(func() {
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestHelperProcess$")
			cmd.Env = append(os.Environ(), helperFolder+"="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("helper: %v\n%s", err, out)
			}
		})
	}
	group.Wait()
	s, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := s.Get(t.Context(), "counter"); err != nil || string(d.Data) != fmt.Sprint(20*processes) {
		t.Errorf("counter: got %q, %v, want %d", d.Data, err, 20*processes)
	}
}

func TestFolderErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := func(what string, err error, words ...string) {
		t.Helper()
		if err == nil || martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
			t.Fatalf("%s: got %v, want an error of kind config with a hint", what, err)
		}
		for _, w := range words {
			if !strings.Contains(err.Error()+martsync.HintOf(err), w) {
				t.Errorf("%s: %q and %q do not mention %q", what, err, martsync.HintOf(err), w)
			}
		}
	}
	_, err := OpenFolder(filepath.Join(file, "state"))
	want("a file where a folder should be", err, file)

	s, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, fault := range map[string]error{"Make room": syscall.ENOSPC, "permission": fs.ErrPermission} {
		f := s.(*folder)
		revision := put(t, s, "key", "before", "")
		f.write = func(string, []byte) error { return &os.PathError{Op: "write", Path: "x", Err: fault} }
		_, err = s.Put(t.Context(), "key", []byte("after"), revision)
		want(name, err, name, dir)
		f.write = writeSynced
		if d, err := s.Get(t.Context(), "key"); err != nil || string(d.Data) != "before" || d.Revision != revision {
			t.Errorf("after the fault: got %q, %v, want the document as before", d.Data, err)
		}
		if _, err := s.Put(t.Context(), "key", nil, revision); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAReadOnlyFolderCanBeRead(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	s, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	revision := put(t, s, "key", "data", "")
	if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // the point of the test
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) //nolint:gosec // so that it can be removed
	if d, err := s.Get(t.Context(), "key"); err != nil || string(d.Data) != "data" {
		t.Errorf("get: got %q, %v", d.Data, err)
	}
	if _, err := s.Put(t.Context(), "key", []byte("x"), revision); martsync.KindOf(err) != martsync.Config {
		t.Errorf("put: got %v, want an error of kind config", err)
	}
}

func TestForeignFilesAreNoDocuments(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "mine", "data", "")
	for name, text := range map[string]string{"UPPER.json": "{}", "notes.txt": "x", "half.json.tmp": "x", "broken.json": "no header"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
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
	put(t, s, "half", "whole", "") // over the temporary file of a crash
	if d, err := s.Get(t.Context(), "half"); err != nil || string(d.Data) != "whole" {
		t.Errorf("get: got %q, %v", d.Data, err)
	}
}

func TestADoneContextDoesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		s := open()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, getErr := s.Get(ctx, "a")
		_, putErr := s.Put(ctx, "a", []byte("x"), "")
		_, listErr := s.List(ctx, "")
		for _, err := range []error{getErr, putErr, listErr} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
		}
		if keys, err := s.List(t.Context(), ""); err != nil || len(keys) != 0 {
			t.Errorf("keys: got %v, %v, want none", keys, err)
		}
	})
}
