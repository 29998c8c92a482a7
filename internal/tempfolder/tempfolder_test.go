package tempfolder

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

// parentVariable makes this test program a process that has a folder there and lives until it is killed.
const parentVariable = "MARTSYNC_TEST_TEMPFOLDER"

const prefix = "martsync-"

func TestMain(m *testing.M) {
	if parent := os.Getenv(parentVariable); parent != "" {
		live(parent)
	}
	os.Exit(m.Run())
}

// live makes a folder with something in it, tells its path, and ends with its standard input.
func live(parent string) {
	f, err := Make(slog.New(slog.DiscardHandler), parent, prefix)
	if err == nil {
		err = fill(f.Path)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, f.Path)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0) // without removing it, as a process that dies
}

func fill(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "put", "deep"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "put", "deep", "part"), []byte("rows"), 0o600)
}

// process starts a process that has a folder in parent. It dies with the test at the latest.
func process(t *testing.T, parent string) (dir string, kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), parentVariable+"="+parent)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // it sees the end of this process there
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			_ = in.Close()
		})
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the process told no folder: %v", err)
	}
	return strings.TrimSpace(line), kill
}

// dead makes the folder of a process that has been killed: nobody holds the lock of its mark.
func dead(t *testing.T, parent, name string) string {
	t.Helper()
	dir := filepath.Join(parent, name)
	if err := fill(dir); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, mark), "")
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// later is when everything that a test has made is old.
func later() time.Time { return martsync.SystemClock{}.Now().Add(time.Hour) }

func present(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return err == nil
}

// names lists all that is below a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	all := []string{}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if path != dir {
			all = append(all, filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator))))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// logger collects what is logged.
func logger() (*slog.Logger, *strings.Builder) {
	var text strings.Builder
	return slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})), &text
}

// logged is a folder as it is in the log: a path may have blanks in it.
func logged(dir string) string {
	log, text := logger()
	log.Debug("", "folder", dir)
	_, attribute, _ := strings.Cut(text.String(), " folder=")
	return " folder=" + strings.TrimSuffix(attribute, "\n")
}

// Of two processes one is killed. Its folder goes when it is old enough, and the other one's stays until that one is killed too.
func TestFolderOfAKilledProcess(t *testing.T) {
	parent := t.TempDir()
	killed, kill := process(t, parent)
	living, killLiving := process(t, parent)
	tidy := func(before time.Time) string {
		log, text := logger()
		Tidy(log, parent, prefix, before)
		return text.String()
	}
	whole := []string{mark, "put", "put/deep", "put/deep/part"}

	kill()
	if log := tidy(later().Add(-2 * time.Hour)); log != "" || !cmp.Equal(names(t, killed), whole) {
		t.Errorf("a folder that is young: got %v, log %q; want it untouched", names(t, killed), log)
	}
	if log := tidy(later()); present(t, killed) || !strings.Contains(log, "level=DEBUG") || strings.Count(log, logged(killed)) != 1 {
		t.Errorf("the folder of the dead is there: %v, log %q; want it removed, and that in the log", present(t, killed), log)
	}
	if diff := cmp.Diff(whole, names(t, living)); diff != "" {
		t.Errorf("the folder of the living (-want +got):\n%s", diff)
	}
	killLiving()
	if tidy(later()); present(t, living) {
		t.Error("it is still there after its process was killed")
	}
}

// Folders of this process are those of the living as well, until it removes them.
func TestFolderOfThisProcess(t *testing.T) {
	parent := t.TempDir()
	log, text := logger()
	f, err := Make(log, parent, prefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(f.Path); err != nil {
		t.Fatal(err)
	}
	Tidy(log, parent, prefix, later())
	if !present(t, filepath.Join(f.Path, "put", "deep", "part")) {
		t.Error("Tidy removed what this process needs")
	}
	for _, when := range []string{"in use", "removed already"} {
		if err := f.Remove(); err != nil || len(names(t, parent)) != 0 {
			t.Errorf("remove a folder %s: got %v, left is %v; want nothing", when, err, names(t, parent))
		}
	}
	if text.Len() != 0 {
		t.Errorf("log: got %s, want none", text)
	}
	if _, err := Make(log, filepath.Join(parent, "none"), prefix); err == nil {
		t.Error("make a folder in one that does not exist: got no error")
	}
}

// What is not the folder of a dead process of ours is left as it is.
func TestLeftAlone(t *testing.T) {
	parent, elsewhere := t.TempDir(), t.TempDir()
	dead(t, elsewhere, "dead")
	dead(t, parent, "other-1")                                         // another program's
	dead(t, parent, "of-martsync-1")                                   // the prefix in the middle
	if err := fill(filepath.Join(parent, prefix+"data")); err != nil { // somebody's data, without a mark
		t.Fatal(err)
	}
	write(t, filepath.Join(parent, prefix+"demo.duckdb"), "a file")
	for _, err := range []error{
		os.Mkdir(filepath.Join(parent, prefix+"empty"), 0o700),
		os.MkdirAll(filepath.Join(parent, prefix+"folder", mark), 0o700),
		os.Mkdir(filepath.Join(parent, prefix+"link"), 0o700),
		os.Symlink(filepath.Join(elsewhere, "dead", mark), filepath.Join(parent, prefix+"link", mark)),
		os.Symlink(filepath.Join(elsewhere, "dead"), filepath.Join(parent, prefix+"to-elsewhere")),
		os.Symlink("other-1", filepath.Join(parent, prefix+"to-beside")),
		os.Symlink("nowhere", filepath.Join(parent, prefix+"to-nowhere")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want, wantElsewhere := names(t, parent), names(t, elsewhere)
	dead(t, parent, prefix+"1") // the only one that goes
	log, text := logger()
	Tidy(log, parent, prefix, later())
	if diff := cmp.Diff(want, names(t, parent)); diff != "" {
		t.Errorf("there (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantElsewhere, names(t, elsewhere)); diff != "" {
		t.Errorf("elsewhere (-want +got):\n%s", diff)
	}
	if got := strings.Count(text.String(), "\n"); got != 1 {
		t.Errorf("log: got %d lines, want 1:\n%s", got, text)
	}
}

// Links in a folder go with it. What they lead to stays.
func TestLinksAreNotFollowed(t *testing.T) {
	parent, elsewhere := t.TempDir(), t.TempDir()
	if err := fill(elsewhere); err != nil {
		t.Fatal(err)
	}
	want := names(t, elsewhere)
	log, text := logger()
	mine, err := Make(log, parent, prefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dead(t, parent, prefix+"1"), mine.Path} {
		for name, to := range map[string]string{"folder": elsewhere, "file": filepath.Join(elsewhere, "put", "deep", "part"), "up": "..", "itself": "."} {
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	Tidy(log, parent, prefix, later())
	if diff := cmp.Diff([]string{filepath.Base(mine.Path)}, topNames(t, parent)); diff != "" {
		t.Errorf("after Tidy (-want +got):\n%s\n%s", diff, text)
	}
	if err := mine.Remove(); err != nil || present(t, mine.Path) {
		t.Errorf("remove: got %v, is it there: %v", err, present(t, mine.Path))
	}
	if diff := cmp.Diff(want, names(t, elsewhere)); diff != "" {
		t.Errorf("what the links lead to (-want +got):\n%s", diff)
	}
}

func topNames(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// Several tidy the same folders, more than are listed together, without being in each other's way.
func TestManyTidyAtOnce(t *testing.T) {
	parent := t.TempDir()
	for i := range listed + 200 {
		if err := os.Mkdir(filepath.Join(parent, fmt.Sprint("other-", i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		dead(t, parent, fmt.Sprint(prefix, i))
	}
	var all sync.WaitGroup
	logs := make([]*strings.Builder, 4)
	for i := range logs {
		log, text := logger()
		logs[i] = text
		all.Go(func() { Tidy(log, parent, prefix, later()) })
	}
	all.Wait()
	if got := len(topNames(t, parent)); got != listed+200 {
		t.Errorf("got %d folders left, want the %d of others", got, listed+200)
	}
	for _, text := range logs {
		if strings.Contains(text.String(), "stays") {
			t.Errorf("one was in another's way:\n%s", text)
		}
	}
}

func TestNothingToTidy(t *testing.T) {
	log, text := logger()
	Tidy(log, filepath.Join(t.TempDir(), "none"), prefix, later())
	if !strings.Contains(text.String(), "level=DEBUG") || strings.Count(text.String(), "\n") != 1 {
		t.Errorf("a place that does not exist: got log %q, want one line", text)
	}
}
