//go:build cgo && !lite

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"golang.org/x/sync/semaphore"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// catalog is the name under which the file is attached. It is attached, rather than opened as
// the main database, so that it has the same name whatever the file is called.
const catalog = "_martsync_file"

// blockSize is the size of the blocks of new files: a quarter of DuckDB's default. Every column
// of every row group under way takes whole blocks, of which tables with many narrow columns waste
// most: with the default a load that fits into the memory limit spills to disk. Measured
// figures are in the README. DuckDB reads such files since version 1.2.
const blockSize = 65_536 // bytes

// defaultMemory is DuckDB's memory limit, in megabytes, if none is configured. The process takes
// about 150 MB more: DuckDB's compression works outside its limit, and the rows on their way in are ours.
const defaultMemory = 192

// columnMemory is what loading and merging a table takes of it for each column, in kilobytes:
// blocks of a row group before and after compression and chunks of 2,048 rows, none of which
// can be spilled. Measured with 300 to 2,000 text columns, half of it being too little for one
// table alone.
const columnMemory = 600

// inFlight bounds the memory of rows on their way into DuckDB, of all writers of a file.
const inFlight = 24 << 20 // bytes

// A file is an open database file. All destinations of this process that name the same file
// share it, since a second DuckDB instance would not see the first one's lock: the operating
// system's file locks are per process.
type file struct {
	path     string
	settings []string
	log      *slog.Logger
	refs     int // destinations; guarded by files.mu

	mu     sync.Mutex
	db     bindings.Database
	isOpen bool
	broken atomic.Bool // DuckDB refuses to go on until the file is closed
	conns  int
	loads  loads

	columns int // of all tables with an open writer
	memory  int // memory limit in megabytes; 0: the operator has set it

	before  func(statement string) error // for tests: fails statements
	ddl     sync.Mutex                   // held while the catalog is looked at and changed
	budget  *semaphore.Weighted
	arenas  arenas
	threads int
}

// files are those open in this process, by absolute path without symbolic links.
var files = struct {
	mu     sync.Mutex
	byPath map[string]*file
}{byPath: map[string]*file{}}

// openFile returns the file for a configuration. An existing file is opened at once, so that
// a wrong one is found early; one that does not exist is created at its first use, so that
// checking a configuration changes nothing.
func openFile(ctx context.Context, c Config, log *slog.Logger) (*file, error) {
	if c.Path == "" {
		return nil, configError("open", "set path to the database file", "no path is configured")
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, configError("open", "", "%s: %w", c.Path, err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	threads := c.Threads
	if threads <= 0 {
		threads = min(2, runtime.NumCPU())
	}
	limit := c.MemoryLimit
	if limit == "" {
		limit = fmt.Sprintf("%dMB", defaultMemory)
	}
	temp := c.TempDirectory
	if temp == "" {
		temp = path + ".tmp"
	}
	settings := []string{
		"SET autoinstall_known_extensions = false", // nothing may be downloaded at run time
		"SET autoload_known_extensions = false",
		"SET preserve_insertion_order = false", // lets both threads load, with bounded memory
		"SET memory_limit = " + sqlgen.Text(limit),
		fmt.Sprintf("SET threads = %d", threads),
		"SET temp_directory = " + sqlgen.Text(temp),
		"SET write_buffer_row_group_count = 1", // write a row group as soon as it is full
	}

	files.mu.Lock()
	defer files.mu.Unlock()
	f, ok := files.byPath[path]
	if ok {
		for i := range settings {
			if f.settings[i] != settings[i] {
				return nil, configError("open "+path, "give every destination of this file the same memory_limit, threads and temp_directory",
					"the file is open in this process with other settings")
			}
		}
		f.refs++
		return f, nil
	}
	f = &file{
		path: path, settings: settings, log: log, threads: threads, refs: 1,
		loads: newLoads(), budget: semaphore.NewWeighted(inFlight),
	}
	if c.MemoryLimit == "" {
		f.memory = defaultMemory
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, wrap("open "+path, &dbError{"IO Error: Is a directory"})
	case err == nil:
		f.mu.Lock()
		err := f.attach(ctx)
		f.mu.Unlock()
		if err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, wrap("open "+path, systemError(err))
	}
	files.byPath[path] = f
	return f, nil
}

// release gives the file back. The last one closes it, or, if a writer was left open, the end
// of that writer does.
func (f *file) release() error {
	files.mu.Lock()
	defer files.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refs--
	f.closeIdle()
	return nil
}

// closeIdle closes the file if nobody uses it; files.mu and f.mu are held.
func (f *file) closeIdle() {
	if f.conns > 0 {
		return
	}
	if f.refs == 0 {
		delete(files.byPath, f.path)
		f.detach()
	} else if f.broken.Load() {
		f.detach()
	}
}

// attach opens the file; f.mu is held.
func (f *file) attach(ctx context.Context) (err error) {
	op := "open " + f.path
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return wrap(op, systemError(err))
	}
	var config bindings.Config
	if bindings.CreateConfig(&config) == bindings.StateError {
		return bug(op, "DuckDB has no configuration")
	}
	defer bindings.DestroyConfig(&config)
	var msg string
	if bindings.OpenExt(":memory:", &f.db, config, &msg) == bindings.StateError {
		return wrap(op, &dbError{msg})
	}
	f.isOpen = true
	f.broken.Store(false)
	c := &conn{file: f}
	defer func() {
		if err != nil {
			f.detach()
		}
	}()
	if bindings.Connect(f.db, &c.c) == bindings.StateError {
		return bug(op, "DuckDB gives no connection")
	}
	defer bindings.Disconnect(&c.c)
	for _, s := range f.settings {
		if err := c.exec(ctx, s); err != nil {
			return configError(op, "correct the setting", "%s: %w", s, err)
		}
	}
	if _, err := os.Stat(f.path); errors.Is(err, fs.ErrNotExist) {
		if err := f.create(ctx, c); err != nil {
			return wrap(op, err)
		}
	}
	if err := c.exec(ctx, "ATTACH "+sqlgen.Text(f.path)+" AS "+sqlgen.Ident(catalog)); err != nil {
		return wrap(op, err)
	}
	return wrap(op, registerFeed(c))
}

// create makes a new database file, complete or not at all: one whose making was cut short could
// not be opened again.
func (f *file) create(ctx context.Context, c *conn) error {
	unfinished := f.path + ".new"
	defer func() { _ = os.Remove(unfinished) }()
	for _, leftover := range []string{unfinished, unfinished + ".wal"} {
		if err := os.Remove(leftover); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return systemError(err)
		}
	}
	for _, s := range []string{
		fmt.Sprintf("ATTACH %s AS %s (BLOCK_SIZE %d)", sqlgen.Text(unfinished), sqlgen.Ident(catalog), blockSize),
		"DETACH " + sqlgen.Ident(catalog),
	} {
		if err := c.exec(ctx, s); err != nil {
			return err
		}
	}
	// a link, unlike a new name, does not replace a file that another process has made by now
	if err := os.Link(unfinished, f.path); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err := os.Rename(unfinished, f.path); err != nil { // there are file systems without links
		return systemError(err)
	}
	return nil
}

// detach closes the file; f.mu is held. What was committed is in the file or in its write-ahead
// log, so a failing checkpoint costs the next opening some time and nothing else.
func (f *file) detach() {
	if !f.isOpen {
		return
	}
	if !f.broken.Load() {
		c := &conn{file: f}
		if bindings.Connect(f.db, &c.c) == bindings.StateSuccess {
			var res bindings.Result
			if bindings.Query(c.c, "CHECKPOINT "+sqlgen.Ident(catalog), &res) == bindings.StateError {
				f.log.Warn("checkpoint of the database file did not succeed; it is made up for when the file is opened next", "err", bindings.ResultError(&res))
			}
			bindings.DestroyResult(&res)
			bindings.Disconnect(&c.c)
		}
	}
	bindings.Close(&f.db)
	f.isOpen = false
	f.loads = newLoads()
	f.memory = min(f.memory, defaultMemory)
	f.broken.Store(false)
}

// connect makes a connection and opens the file first if need be.
func (f *file) connect(ctx context.Context) (*conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isOpen && f.broken.Load() {
		if f.conns > 0 {
			return nil, &martsync.Error{
				Kind: martsync.Transient, Op: "duckdb: open " + f.path,
				Err: errors.New("the database must be closed after an earlier error, and other streams still use it"),
			}
		}
		f.detach()
	}
	if !f.isOpen {
		if err := f.attach(ctx); err != nil {
			return nil, err
		}
	}
	c := &conn{file: f}
	if bindings.Connect(f.db, &c.c) == bindings.StateError {
		return nil, bug("open "+f.path, "DuckDB gives no connection")
	}
	f.conns++
	return c, nil
}

// reserve makes room for a writer of a table with n columns, by raising the memory limit if the
// operator has not set one; -n gives it back.
func (f *file) reserve(ctx context.Context, c *conn, n int) error {
	f.mu.Lock()
	f.columns += n
	need := f.columns * columnMemory / 1000
	raise := f.memory > 0 && need > f.memory
	if raise {
		f.memory = need
	}
	f.mu.Unlock()
	if !raise {
		return nil
	}
	err := c.exec(ctx, fmt.Sprintf("SET memory_limit = '%dMB'", need))
	return err
}

func (f *file) disconnect(c *conn) {
	files.mu.Lock()
	defer files.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.c.Ptr == nil {
		return
	}
	bindings.Disconnect(&c.c)
	f.conns--
	f.closeIdle()
}

// markBroken notes that DuckDB has given up on the open file.
func (f *file) markBroken() { f.broken.Store(true) }

// systemError is an error of the operating system in the words that DuckDB would use.
func systemError(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		text := errno.Error()
		return &dbError{"IO Error: " + strings.ToUpper(text[:1]) + text[1:]}
	}
	return &dbError{"IO Error: " + err.Error()}
}
