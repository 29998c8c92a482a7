//go:build cgo && !lite && unix

package duckdb

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

func init() {
	children["hold"] = hold
	children["die"] = die
	children["full"] = full
	children["nobody"] = nobody
}

// process starts this test binary as another process that runs a child.
func process(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Env = append(os.Environ(), "MARTSYNC_TEST_CHILD="+name)
	c.Stderr = os.Stderr
	return c
}

// openChild opens a destination without a testing.TB.
func openChild(path string) (*destination, error) {
	d, err := Open(context.Background(), Config{Path: path, Threads: 2}, "mart", martsync.Env{
		Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: martsync.SystemClock{}, TempDir: os.TempDir(),
	})
	if err != nil {
		return nil, err
	}
	return d.(*destination), nil
}

// hold keeps a file open until its standard input ends.
func hold(args []string) int {
	d, err := openChild(args[0])
	if err == nil {
		err = d.with(context.Background(), "test", func(*conn) error { return nil })
	}
	fmt.Println("open", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = d.Close()
	return 0
}

func TestLockedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mart.duckdb")
	c := process(t, "hold", path)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
		d := openAt(t, path, "mart") // it is free again
		openWriter(t, d, people)
	}()
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "open <nil>\n" {
		t.Fatalf("the other process says %q", line)
	}
	_, err = Open(t.Context(), Config{Path: path}, "mart", env(t))
	wantKind(t, err, martsync.Busy, "lock")
	if hint := martsync.HintOf(err); !strings.Contains(hint, "process "+strconv.Itoa(c.Process.Pid)) {
		t.Errorf("hint %q does not name process %d", hint, c.Process.Pid)
	}
}

func TestWrongFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := filepath.Join(dir, "good.duckdb")
	d := openAt(t, good, "mart")
	openWriter(t, d, people).Close()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	newer, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(newer)
	damaged[100] ^= 1
	// the main header: 8 bytes of checksum, "DUCK", the version of the format
	binary.LittleEndian.PutUint64(newer[12:], 999)
	binary.LittleEndian.PutUint64(newer, checksum(newer[8:4096]))

	for _, tt := range []struct{ name, path, text, hint string }{
		{"text", put("text.duckdb", []byte(strings.Repeat("id,name\n1,Ann\n", 1000))), "not a valid DuckDB database", "another path"},
		{"empty file", put("empty.duckdb", nil), "not a valid DuckDB database", "another path"},
		{"newer version", put("newer.duckdb", newer), "version number 999", "newer"},
		{"damaged", put("damaged.duckdb", damaged), "Corrupt", "backup"},
		{"folder", dir, "directory", "must name a file"},
		{"file as folder", filepath.Join(put("file", nil), "mart.duckdb"), "directory", "should be a folder"},
		{"no path", "", "no path", "set path"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, _ := os.ReadFile(tt.path)
			_, err := Open(t.Context(), Config{Path: tt.path}, "mart", env(t))
			wantKind(t, err, martsync.Config, tt.text)
			if !strings.Contains(martsync.HintOf(err), tt.hint) {
				t.Errorf("hint %q, want one with %q", martsync.HintOf(err), tt.hint)
			}
			if after, _ := os.ReadFile(tt.path); !cmp.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

// checksum is DuckDB's, of data whose length is a multiple of eight.
func checksum(data []byte) uint64 {
	sum := uint64(5381)
	for i := 0; i < len(data); i += 8 {
		sum ^= binary.LittleEndian.Uint64(data[i:]) * 0xbf58476d1ce4e5b9
	}
	return sum
}

func TestSettings(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		text   string
	}{
		{"memory limit", Config{MemoryLimit: "lots"}, "memory_limit"},
		{"memory limit too small", Config{MemoryLimit: "1KB"}, "Out of Memory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Path = filepath.Join(t.TempDir(), "x.duckdb")
			d, err := Open(t.Context(), tt.config, "", env(t))
			if err == nil {
				defer d.Close()
				_, err = d.Open(t.Context(), people)
			}
			wantKind(t, err, martsync.Config, tt.text)
		})
	}
	t.Run("two of them for one file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "x.duckdb")
		openAt(t, path, "a")
		openAt(t, path, "b")
		_, err := Open(t.Context(), Config{Path: path, MemoryLimit: "1GB"}, "c", env(t))
		wantKind(t, err, martsync.Config, "other settings")
	})
	t.Run("schema", func(t *testing.T) {
		_, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "x.duckdb")}, "Memory", env(t))
		wantKind(t, err, martsync.Config, "cannot be called")
	})
}

func TestCheckChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not", "yet", "mart.duckdb")
	d := openAt(t, path, "mart")
	got := d.Check(t.Context())
	if len(got) != 1 || !got[0].OK || !strings.Contains(got[0].Detail, "will be created") {
		t.Errorf("findings %+v", got)
	}
	if _, err := os.Stat(filepath.Dir(filepath.Dir(path))); err == nil {
		t.Error("checking has made a folder")
	}
	openWriter(t, d, people)
	got = d.Check(t.Context())
	if len(got) != 1 || !got[0].OK || !strings.Contains(got[0].Detail, "1 tables") {
		t.Errorf("findings %+v", got)
	}
}

// cannotTurn is the exit code of a process that may not become another user: root in a container may lack the right, or there is no
// other user.
const cannotTurn = 3

// nobody gives up all rights and opens files in places where it may not write.
func nobody(args []string) int {
	if os.Geteuid() == 0 {
		if err := syscall.Setuid(65534); err != nil {
			fmt.Println(err)
			return cannotTurn
		}
	}
	for _, path := range args {
		d, err := openChild(path)
		if err == nil {
			f := d.Check(context.Background())[0]
			if f.OK || f.Hint == "" || martsync.KindOf(f.Err) != martsync.Config {
				fmt.Printf("%s: the check finds nothing: %+v\n", path, f)
			}
			_, err = d.Open(context.Background(), people)
			_ = d.Close()
		}
		if martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
			fmt.Printf("%s: kind %s: %v\n", path, martsync.KindOf(err), err)
		}
	}
	return 0
}

func TestNoPermission(t *testing.T) {
	dir, err := os.MkdirTemp("", "duckdb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Chmod(dir, 0o755)
		_ = os.RemoveAll(dir)
	})
	path := filepath.Join(dir, "there.duckdb")
	d := openAt(t, path, "mart")
	openWriter(t, d, people).Close()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for p, mode := range map[string]os.FileMode{path: 0o444, dir: 0o555} {
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
	}
	out, err := process(t, "nobody", path, filepath.Join(dir, "new.duckdb"), filepath.Join(dir, "folder", "new.duckdb")).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == cannotTurn {
		t.Skipf("root cannot become another user here: %s", out)
	}
	if err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
}

// full loads while the size of files is limited, as on a full disk, and then without limit.
func full(args []string) int {
	fail := func(format string, a ...any) int {
		fmt.Printf(format+"\n", a...)
		return 1
	}
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	d, err := openChild(args[0])
	if err != nil {
		return fail("%v", err)
	}
	load := func(s martsync.Schema, from, to int, next martsync.Cursor) error {
		w, err := d.Open(ctx, s)
		if err != nil {
			return err
		}
		for n := from; n < to; n += 5000 {
			b := rows.NewBuilder(s.Columns)
			for i := n; i < n+5000; i++ {
				b.Append(int64(i), fmt.Sprintf("%x", uint64(i)*0x9e3779b97f4a7c15)+strings.Repeat(fmt.Sprintf("%x", uint64(i)*0xbf58476d1ce4e5b9), 4), int64(1))
			}
			if err = w.Write(ctx, b.Records()); err != nil {
				break
			}
		}
		if err == nil {
			err = w.Commit(ctx, martsync.Commit{Sync: "test", At: noon, Next: next})
		}
		return errors.Join(err, w.Close())
	}
	if err := load(people, 0, 5000, "one"); err != nil {
		return fail("first load: %v", err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return fail("%v", err)
	}
	low := limit
	low.Cur = 2 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
		return fail("%v", err)
	}
	err = load(people, 5000, 400_000, "two")
	if martsync.KindOf(err) != martsync.Transient || martsync.HintOf(err) == "" {
		return fail("on the full disk: kind %s: %v", martsync.KindOf(err), err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return fail("%v", err)
	}
	w, err := d.Open(ctx, people)
	if err != nil {
		return fail("open again: %v", err)
	}
	if w.Cursor() != "one" {
		return fail("cursor %q", w.Cursor())
	}
	_ = w.Close()
	if err := load(people, 5000, 10_000, "two"); err != nil {
		return fail("second load: %v", err)
	}
	count := 0
	_, records, err := d.ReadTable(ctx, "people")
	if err != nil {
		return fail("%v", err)
	}
	for r, err := range records {
		if err != nil {
			return fail("%v", err)
		}
		count += r.Len
	}
	if count != 10_000 {
		return fail("%d rows, want 10,000", count)
	}
	if err := d.Close(); err != nil {
		return fail("%v", err)
	}
	return 0
}

func TestFullDisk(t *testing.T) {
	if out, err := process(t, "full", filepath.Join(t.TempDir(), "mart.duckdb")).Output(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// die loads some rows in a fixed way. Before the statement of a given number it kills itself, or
// says so and goes on, for its parent to kill it in the middle of that.
func die(args []string) int {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		panic(err)
	}
	d, err := openChild(args[0])
	if err != nil {
		panic(err)
	}
	d.file.before = func(string) error {
		if n--; n == -1 {
			if args[2] == "say" {
				fmt.Println("now")
				return nil
			}
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	if err := loadAll(d); err != nil {
		panic(err)
	}
	return 0
}

// loadAll brings people from wherever they stand to the end of story.
func loadAll(d *destination) error {
	ctx := context.Background()
	w, err := d.Open(ctx, people)
	if err != nil {
		return err
	}
	at := 0
	for _, c := range []martsync.Cursor{w.Cursor(), w.Staged()} {
		if c != "" {
			if at, err = strconv.Atoi(string(c)); err != nil {
				return err
			}
		}
	}
	for ; at < len(story); at++ {
		b := rows.NewBuilder(people.Columns)
		story[at].add(b)
		if err := w.Write(ctx, b.Records()); err != nil {
			return err
		}
		rows.Poison(b.Records())
		c := martsync.Commit{
			Sync: "test", At: noon, Next: martsync.Cursor(strconv.Itoa(at + 1)), Windows: []martsync.Window{{Job: strconv.Itoa(at)}},
			Quarantined: []martsync.Quarantined{{Line: int64(at)}},
		}
		end := w.Commit
		if story[at].stage {
			end = w.Stage
		}
		if err := end(ctx, c); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), d.Close())
}

// story is what happens to people, step by step.
var story = []struct {
	stage bool
	add   func(b *rows.Builder)
}{
	{true, func(b *rows.Builder) {
		for i := range 3000 {
			b.Append(int64(i), fmt.Sprintf("the first name of %d", i), int64(1))
		}
	}},
	{false, func(b *rows.Builder) {
		b.Append(int64(1), "twice in one load", int64(2))
		b.AppendTombstone(int64(2), nil, int64(3))
	}},
	{true, func(b *rows.Builder) { b.Append(int64(3), "staged", int64(2)) }},
	{true, func(b *rows.Builder) { b.Append(int64(4), "staged again", int64(2)) }},
	{false, func(b *rows.Builder) { b.AppendTombstone(int64(5), nil, int64(2)) }},
	{false, func(b *rows.Builder) { b.Append(int64(4000), "at last", nil) }},
}

var everyStatement = flag.Bool("everystatement", false, "TestKilled: kill before and in every statement, rather than in some")

// TestKilled kills a process before or in a statement that it runs, opens the file again, and
// wants a state that the story has, and its end once the rest is loaded.
func TestKilled(t *testing.T) {
	states := map[string][]string{"": {}}
	dir := t.TempDir()
	d := openAt(t, filepath.Join(dir, "model.duckdb"), "mart")
	w := openWriter(t, d, people)
	for i, step := range story {
		write(t, w, people, step.add)
		if !step.stage {
			commit(t, w, martsync.Commit{Next: martsync.Cursor(strconv.Itoa(i + 1))})
			states[strconv.Itoa(i+1)] = contents(t, d, "people")
		}
	}
	last := states[strconv.Itoa(len(story))]
	stride := 13
	if *everyStatement {
		stride = 1
	}
	for try := 0; ; try += stride {
		n, how := try/2, []string{"die", "say"}[try%2]
		path := filepath.Join(dir, fmt.Sprintf("%d.duckdb", try))
		c := process(t, "die", path, strconv.Itoa(n), how)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		if line != "" {
			_ = c.Process.Kill() // it may have come to its end by then
		}
		err = c.Wait()
		exit, killed := errors.AsType[*exec.ExitError](err)
		if err != nil && (!killed || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL) {
			t.Fatalf("statement %d: %v", n, err)
		}
		d := openAt(t, path, "mart")
		w := openWriter(t, d, people)
		if diff := cmp.Diff(states[string(w.Cursor())], contents(t, d, "people")); diff != "" {
			t.Fatalf("killed before statement %d, cursor %q (-want +got):\n%s", n, w.Cursor(), diff)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := loadAll(d); err != nil {
			t.Fatalf("killed before statement %d: %v", n, err)
		}
		d = openAt(t, path, "mart")
		if diff := cmp.Diff(last, contents(t, d, "people")); diff != "" {
			t.Fatalf("killed before statement %d, then loaded (-want +got):\n%s", n, diff)
		}
		if got := len(ledger(t, d)); got != len(story) {
			t.Errorf("killed before statement %d: %d ledger rows, want %d", n, got, len(story))
		}
		if got := len(quarantine(t, d, "people")); got != len(story) {
			t.Errorf("killed before statement %d: %d quarantined rows, want %d", n, got, len(story))
		}
		if got := query(t, d, "SELECT table_name FROM duckdb_tables() WHERE contains(table_name, 'rows_') OR contains(table_name, 'gone_') OR contains(table_name, 'lost_')"); len(got) > 0 {
			t.Errorf("killed before statement %d: left over: %v", n, got)
		}
		_ = d.Close()
		if err == nil && line == "" {
			t.Logf("the story has %d statements", n)
			return
		}
	}
}

// TestUnfinishedFile: a process that died while it made the file stands in nobody's way.
func TestUnfinishedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mart.duckdb")
	for _, suffix := range []string{".new", ".new.wal"} {
		if err := os.WriteFile(path+suffix, []byte("half a header"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := openAt(t, path, "mart")
	openWriter(t, d, people)
	for _, suffix := range []string{".new", ".new.wal"} {
		if _, err := os.Stat(path + suffix); err == nil {
			t.Errorf("%s is still there", suffix)
		}
	}
}
