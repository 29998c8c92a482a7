package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/tempfolder"
)

// configuredAt writes a configuration whose vendor is at that address.
func configuredAt(t *testing.T, address string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "martsync.yaml")
	text := "version: 1\nsources:\n  m: {type: marketo, endpoint: '" + address + "', client_id: x, client_secret: y}\n" +
		"destinations:\n  lake: {type: files, path: lake}\nsyncs:\n  - {name: s, source: m, destination: lake}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// waiting starts martsync in a process of its own and returns its temporary folder, and what kills it, when it waits for a vendor
// that does not answer.
func waiting(t *testing.T) (dir string, kill func()) {
	t.Helper()
	asked := make(chan struct{}, 1)
	mute := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // until it is read nobody notices that the client is gone
		select {
		case asked <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	t.Cleanup(mute.Close)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before := temporary(t)
	ctx, cancel := context.WithTimeout(t.Context(), servePatience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program)
	cmd.Args = []string{"martsync", "streams", "--config", configuredAt(t, mute.URL)} // TestMain knows it by its name
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	kill = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Cleanup(kill)
	select {
	case <-asked:
	case <-ended:
		t.Fatalf("the command has ended by itself: %v", cmd.ProcessState)
	}
	made := slices.DeleteFunc(temporary(t), func(name string) bool { return slices.Contains(before, name) })
	if len(made) != 1 {
		t.Fatalf("got temporary folders %v, want one more than %v", made, before)
	}
	return made[0], kill
}

// temporary lists the temporary folders that are there.
func temporary(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// age makes everything in a folder so old. What is younger than nothing stays young, however long the machine takes.
func age(t *testing.T, dir string, old time.Duration) {
	t.Helper()
	made := martsync.SystemClock{}.Now().Add(-old)
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, made, made)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a process has left that was killed goes with the next command that needs room. What others use, and what is elsewhere, stays.
func TestTemporaryFoldersOfTheDead(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("TMP", os.Getenv("TMPDIR"))
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "go away", http.StatusForbidden) }))
	t.Cleanup(vendor.Close)
	config := configuredAt(t, vendor.URL)
	elsewhere := t.TempDir()
	kept := filepath.Join(elsewhere, "kept")

	dead, kill := waiting(t)
	kill()
	age(t, dead, -time.Hour)
	living, _ := waiting(t)
	for _, err := range []error{
		os.WriteFile(kept, []byte("kept"), 0o600), os.Symlink(elsewhere, filepath.Join(dead, "link")), os.Symlink(kept, filepath.Join(dead, "file")),
		os.WriteFile(filepath.Join(dead, "part"), make([]byte, 1<<20), 0o600), os.WriteFile(filepath.Join(living, "part"), make([]byte, 10), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	command := func() (stderr string) {
		var out, err strings.Builder
		args := []string{"streams", "--config", config, "-vv", "--log-format", "text"}
		if code := run(t.Context(), args, strings.NewReader(""), &out, &err, os.Getenv); code != martsync.ExitAuth {
			t.Errorf("exit code: got %d, want %d\n%s", code, martsync.ExitAuth, err.String())
		}
		return err.String()
	}

	command()
	if got := temporary(t); !slices.Contains(got, dead) || !slices.Contains(got, living) || len(got) != 2 {
		t.Errorf("within a minute: got %v, want %s and %s", got, dead, living)
	}
	age(t, dead, time.Hour)
	age(t, living, time.Hour)
	log := command()
	if got := temporary(t); !slices.Equal(got, []string{living}) {
		t.Errorf("later: got %v, want that of the living process only, %s", got, living)
	}
	if !strings.Contains(log, dead) || strings.Contains(log, living) {
		t.Errorf("the log does not name the one folder that was removed, %s:\n%s", dead, log)
	}
	for _, path := range []string{kept, filepath.Join(living, "part")} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("it was removed: %v", err)
		}
	}
}

// deadFolder makes a temporary folder as a process leaves it that is killed.
func deadFolder(t *testing.T) string {
	t.Helper()
	living, err := tempfolder.Make(slog.New(slog.DiscardHandler), "", tempPrefix)
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(os.TempDir(), tempPrefix+"left")
	if err := errors.Join(os.CopyFS(dead, os.DirFS(living.Path)), living.Remove()); err != nil { // nobody has locked the copy of the mark
		t.Fatal(err)
	}
	return dead
}
