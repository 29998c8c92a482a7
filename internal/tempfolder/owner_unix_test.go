//go:build linux || darwin

package tempfolder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// somebody is a user who is not root, and another one.
const (
	somebody = 65532
	another  = 65533
)

// give gives a folder and what is in it to a user who is not root, if this process acts for root.
func give(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, somebody, -1)
	})
	if err == nil {
		err = os.Chmod(filepath.Dir(dir), 0o755) //nolint:gosec // that of this test
	}
	must(t, err)
}

// must ends the test if there was an error, and skips it where there is no other user for root, or root lacks the right: in a container.
func must(t *testing.T, err error) {
	t.Helper()
	if os.Geteuid() == 0 && (errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM)) {
		t.Skipf("this root cannot give to, or become, another user: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// become lets the rest of the test act for that user, in a folder that was given to it.
func become(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	must(t, syscall.Setreuid(-1, somebody))
	t.Cleanup(func() {
		if err := syscall.Setreuid(-1, 0); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrPermission) {
		t.Skipf("the place for temporary files is root's alone: %v", err)
	}
}

// The folders of other users are theirs, whatever their rights.
func TestFolderOfAnotherUser(t *testing.T) {
	// In a container it may be nobody's, or everything may belong to the one user.
	if root, err := os.Stat("/"); err != nil || root.Sys().(*syscall.Stat_t).Uid == 0 && ours(root, "/") != (os.Geteuid() == 0) {
		t.Errorf("user %d: the root folder is not taken for root's, error %v", os.Geteuid(), err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make a folder of another user")
	}
	for _, who := range []string{"root", "somebody"} {
		t.Run(who, func(t *testing.T) {
			parent := t.TempDir()
			mine, theirs := dead(t, parent, prefix+"mine"), dead(t, parent, prefix+"theirs")
			if who == "somebody" {
				give(t, parent)
			}
			must(t, os.Chown(theirs, another, -1))
			must(t, errors.Join(os.Chmod(theirs, 0o777), os.Chmod(parent, 0o777))) //nolint:gosec // so only the owner decides
			if who == "somebody" {
				become(t, parent)
			}
			log, text := logger()
			Tidy(log, parent, prefix, later())
			if present(t, mine) || !present(t, filepath.Join(theirs, "put", "deep", "part")) || strings.Contains(text.String(), theirs) {
				t.Errorf("got %v, want %s whole, and nothing of it in the log:\n%s", names(t, parent), theirs, text)
			}
		})
	}
}

// What cannot be read or removed stays, is told in the log only, and goes when it can be removed: the mark is kept until then.
func TestWhatCannotBeRemoved(t *testing.T) {
	parent := t.TempDir()
	closed, locked, good := dead(t, parent, prefix+"closed"), dead(t, parent, prefix+"locked"), dead(t, parent, prefix+"good")
	give(t, parent)
	become(t, parent)
	chmod := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	deep := filepath.Join(locked, "put", "deep")
	chmod(closed, 0)
	chmod(deep, 0o500)
	t.Cleanup(func() { _ = os.Chmod(closed, 0o700) }) //nolint:gosec // it is a folder
	log, text := logger()
	Tidy(log, parent, prefix, later())
	if diff := cmp.Diff([]string{filepath.Base(closed), filepath.Base(locked)}, topNames(t, parent)); diff != "" || present(t, good) {
		t.Errorf("after the first time (-want +got):\n%s", diff)
	}
	for _, dir := range []string{closed, locked} {
		if !strings.Contains(text.String(), "stays\""+logged(dir)+" err=") {
			t.Errorf("%s is not in the log:\n%s", dir, text)
		}
	}
	if diff := cmp.Diff([]string{mark, "put", "put/deep", "put/deep/part"}, names(t, locked)); diff != "" {
		t.Errorf("a folder that cannot be emptied (-want +got):\n%s", diff)
	}

	chmod(closed, 0o700)
	chmod(deep, 0o700)
	Tidy(log, parent, prefix, later())
	if left := topNames(t, parent); len(left) != 0 {
		t.Errorf("after the second time: got %v, want nothing", left)
	}
}

// Where a place may be written to but not be read, as some have it for all, folders can be made and removed there.
func TestPlaceThatCannotBeListed(t *testing.T) {
	parent := t.TempDir()
	give(t, parent)
	become(t, parent)
	if err := os.Chmod(parent, 0o300); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(parent, 0o700) }) //nolint:gosec // it is a folder
	log, text := logger()
	Tidy(log, parent, prefix, later())
	f, err := Make(log, parent, prefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(f.Path); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(); err != nil || present(t, f.Path) {
		t.Errorf("remove: got %v, is it there: %v", err, present(t, f.Path))
	}
	if strings.Count(text.String(), "\n") != 1 {
		t.Errorf("got log %q, want one line, of Tidy", text)
	}
}

// Another process may remove a folder while it is being emptied.
func TestFolderThatVanishes(t *testing.T) {
	dir := dead(t, t.TempDir(), prefix+"1")
	folder, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = folder.Close() }()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	unlocked := false
	if err := empty(folder, func() { unlocked = true }); err != nil || !unlocked {
		t.Errorf("got error %v, unlocked %v; want none, and that it is", err, unlocked)
	}
}
