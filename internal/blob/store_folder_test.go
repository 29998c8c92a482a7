package blob

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/s3test"
)

func openTestFolder(t *testing.T) (*folder, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*folder), dir
}

func TestFolderErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		kind martsync.Kind
		hint string
	}{
		{syscall.ENOSPC, martsync.Transient, "free some space"},
		{syscall.EFBIG, martsync.Transient, "ulimit -f"},
		{syscall.EROFS, martsync.Config, "read-only"},
		{syscall.EACCES, martsync.Config, "let this user"},
		{syscall.EPERM, martsync.Config, "let this user"},
		{syscall.ENAMETOOLONG, martsync.Config, "layout"},
		{syscall.ENOTDIR, martsync.Config, "is a file"},
		{syscall.EISDIR, martsync.Config, "folder has the name"},
		{syscall.EXDEV, martsync.Config, "one file system"},
		{syscall.EMFILE, martsync.Transient, "ulimit -n"},
		{syscall.EIO, martsync.Transient, ""},
		{fs.ErrClosed, martsync.Internal, ""},
	} {
		t.Run(test.err.Error(), func(t *testing.T) {
			err := folderError("write", "/mart/a", &fs.PathError{Op: "write", Path: "/mart/a", Err: test.err})
			if kind := martsync.KindOf(err); kind != test.kind {
				t.Errorf("kind %v, want %v", kind, test.kind)
			}
			if hint := martsync.HintOf(err); !strings.Contains(hint, test.hint) || test.hint == "" && hint != "" {
				t.Errorf("hint %q, want one with %q", hint, test.hint)
			}
			if want := "store: write /mart/a: " + test.err.Error(); err.Error() != want {
				t.Errorf("error %q, want %q", err, want)
			}
			if !errors.Is(err, test.err) {
				t.Errorf("%v is not below the error", test.err)
			}
		})
	}
}

// A disk that becomes full fails the write, and what was begun can be dropped.
func TestFolderFull(t *testing.T) {
	full := "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("this system has no device that is always full")
	}
	f, _ := openTestFolder(t)
	f.create = func(name string) (*os.File, error) {
		if err := os.Symlink(full, name); err != nil {
			return nil, err
		}
		return os.OpenFile(name, os.O_WRONLY, 0)
	}
	u, err := f.Create(t.Context(), "a/b", "")
	if err != nil {
		t.Fatal(err)
	}
	_, writeErr := u.Write(make([]byte, 1<<20))
	_, closeErr := u.Close(t.Context())
	for op, err := range map[string]error{"Write": writeErr, "Close": closeErr, "Put": f.Put(t.Context(), "c", []byte("x"), true)} {
		if martsync.KindOf(err) != martsync.Transient || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(martsync.HintOf(err), "space") {
			t.Errorf("%s = %v (%s), want a Transient error about space", op, err, martsync.HintOf(err))
		}
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	if got := uploadsOf(t, f, ""); len(got) != 0 {
		t.Errorf("Uploads = %v", got)
	}
}

func TestFolderRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(file); martsync.KindOf(err) != martsync.Config {
		t.Errorf("openFolder of a file = %v, want a Config error", err)
	}
	if _, err := openFolder(filepath.Join(file, "sub")); martsync.KindOf(err) != martsync.Config {
		t.Errorf("openFolder below a file = %v, want a Config error", err)
	}
	f, _ := openTestFolder(t)
	ctx := t.Context()
	if err := f.Put(ctx, "a/b", []byte("x"), false); err != nil {
		t.Fatal(err)
	}
	_, getErr := f.Get(ctx, "a", 10)
	for op, err := range map[string]error{
		"Put of a key that is a folder":         f.Put(ctx, "a", []byte("x"), false),
		"Put below a file":                      f.Put(ctx, "a/b/c", []byte("x"), true),
		"Get of a folder":                       getErr,
		"Put of a name of 300 bytes":            f.Put(ctx, strings.Repeat("n", 300), []byte("x"), false),
		"Finish of an upload in another folder": f.Finish(ctx, Receipt{Key: "a/c", ID: "x/../../../a/b", Size: 1}),
	} {
		if martsync.KindOf(err) != martsync.Config {
			t.Errorf("%s = %v (%v), want a Config error", op, err, martsync.KindOf(err))
		}
	}
	if got := uploadsOf(t, f, ""); len(got) != 0 {
		t.Errorf("refused calls leave %q", got)
	}
}

func TestFolderPermissions(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("this user may do everything")
	}
	f, dir := openTestFolder(t)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	if err := f.Put(t.Context(), "a", nil, false); martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
		t.Errorf("Put = %v, want a Config error with a hint", err)
	}
}

// What somebody who lists the folder sees is whole files and our own folder, nothing else.
func TestFolderTree(t *testing.T) {
	f, dir := openTestFolder(t)
	open := uploadFile(t, f, "leads/d=1/a.csv", []byte("open"))
	done := uploadFile(t, f, "leads/d=1/b.csv", []byte("done"))
	if err := f.Finish(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), "_martsync/leads/manifest-1.json", []byte("{}"), true); err != nil {
		t.Fatal(err)
	}
	if err := f.Abort(t.Context(), uploadFile(t, f, "deep/er/c.csv", []byte("dropped"))); err != nil {
		t.Fatal(err)
	}
	var names []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if p != dir {
			name, _ := filepath.Rel(dir, p)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	want := []string{
		"_martsync", "_martsync/leads", "_martsync/leads/manifest-1.json", "_martsync/uploads", "_martsync/uploads/leads", "_martsync/uploads/leads/d=1",
		"_martsync/uploads/leads/d=1/a.csv." + open.ID, "leads", "leads/d=1", "leads/d=1/b.csv",
	}
	if !slices.Equal(names, want) {
		t.Errorf("the folder holds\n%s\nwant\n%s", strings.Join(names, "\n"), strings.Join(want, "\n"))
	}
	if got := keysOf(t, f, "", ""); !slices.Equal(got, []string{"_martsync/leads/manifest-1.json", "leads/d=1/b.csv"}) {
		t.Errorf("List = %q", got)
	}
}

// An upload that somebody has cut short is not finished.
func TestFolderTruncatedUpload(t *testing.T) {
	f, _ := openTestFolder(t)
	r := uploadFile(t, f, "a.csv", []byte("12345"))
	if err := os.Truncate(f.temporary(r.Key, r.ID), 3); err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(t.Context(), r); martsync.KindOf(err) != martsync.Data {
		t.Errorf("Finish = %v, want a Data error", err)
	}
	if got := keysOf(t, f, "", ""); len(got) != 0 {
		t.Errorf("List = %q, want nothing", got)
	}
}

// Tidying removes empty folders that others are about to use.
func TestFolderTidyRace(t *testing.T) {
	f, _ := openTestFolder(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 20 {
				data := fmt.Appendf(nil, "%d %d", i, j)
				key := fmt.Sprintf("a/b/c/%d-%d", i, j)
				u, err := f.Create(t.Context(), key, "")
				if err != nil {
					t.Errorf("Create = %v", err)
					return
				}
				if _, err := u.Write(data); err != nil {
					t.Errorf("Write = %v", err)
				}
				r, err := u.Close(t.Context())
				if err != nil {
					t.Errorf("Close = %v", err)
				}
				if err := f.Finish(t.Context(), r); err != nil {
					t.Errorf("Finish = %v", err)
				}
				if got, err := f.Get(t.Context(), key, 100); err != nil || !bytes.Equal(got, data) {
					t.Errorf("Get = %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestFolderAddress(t *testing.T) {
	dir := t.TempDir()
	for _, location := range []string{filepath.Join(dir, "plain"), "file://" + filepath.ToSlash(filepath.Join(dir, "address with%20space"))} {
		s, err := openStore(t.Context(), location, S3Options{}, Tuning{}, s3test.Env(t))
		if err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(s.String()); err != nil || !fi.IsDir() {
			t.Errorf("the folder of %s: %v", location, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "address with space")); err != nil {
		t.Errorf("the escaped address is another folder: %v", err)
	}
}

// Keys come from layouts and manifests: none may lead out of the folder.
func FuzzFolderKey(f *testing.F) {
	for _, key := range []string{"a", "a/b.csv", "../a", "a/..", "/a", "a//b", "a\\..\\b", ".", "_martsync/uploads/x", "ü"} {
		f.Add(key)
	}
	dir := f.TempDir()
	s := &folder{dir: dir}
	f.Fuzz(func(t *testing.T, key string) {
		if CheckKey("put", key) != nil {
			return
		}
		for _, name := range []string{s.path(key), s.temporary(key, "id")} {
			rel, err := filepath.Rel(dir, name)
			if err != nil || !filepath.IsLocal(rel) || rel == "." {
				t.Errorf("key %q is %s (%v)", key, name, err)
			}
		}
		if got := filepath.ToSlash(strings.TrimPrefix(s.path(key), dir)); got != "/"+key {
			t.Errorf("key %q is found as %q", key, got)
		}
	})
}

// TestFolderThatOthersMakeAndRemove between two looks at it: uploads make their folders and tidy them up side by side.
func TestFolderThatOthersMakeAndRemove(t *testing.T) {
	s, dir := openTestFolder(t)
	times := 0
	s.mkdir = func(name string, perm fs.FileMode) error {
		if filepath.Base(name) == "b" && times < 7 {
			times++
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.EEXIST} // it did, and is gone again
		}
		return os.Mkdir(name, perm)
	}
	if err := s.Put(t.Context(), "a/b/c", []byte("x"), true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a", "b", "c")); err != nil || times != 7 {
		t.Errorf("%v after %d times, want a file after 7", err, times)
	}
}
