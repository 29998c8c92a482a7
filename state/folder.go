package state

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/filelock"
)

// lockName is the file in the folder that writers lock. It stays there, empty.
const lockName = "lock"

// OpenFolder opens the store in dir and creates the folder if need be.
//
// Each document is a file: one line that names key and revision, then the data. A write goes
// to a temporary file that is synced and renamed, under a lock of the operating system's,
// which the death of its holder releases; so a crash leaves the old document or the new one.
// Reading needs no lock and no permission to write.
func OpenFolder(dir string) (Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, folderError("open", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, folderError("open", dir, err)
	}
	return &folder{dir: dir, write: writeSynced}, nil
}

type folder struct {
	dir   string
	mu    sync.Mutex // one waiter for the operating system's lock a store
	write func(name string, data []byte) error
}

// header is the first line of a file. The key is there for people who look.
type header struct {
	Key      string `json:"key"`
	Revision string `json:"revision"`
}

func (f *folder) Get(ctx context.Context, key string) (Document, error) {
	if err := check(ctx, "get", key); err != nil {
		return Document{}, err
	}
	unlock, err := filelock.LockToRead(filepath.Join(f.dir, lockName), 0o600)
	if err != nil {
		return Document{}, folderError("get "+key+" from", f.dir, err)
	}
	defer unlock()
	return f.read(key)
}

func (f *folder) Put(ctx context.Context, key string, data []byte, revision string) (string, error) {
	if err := check(ctx, "put", key); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	unlock, err := filelock.Lock(filepath.Join(f.dir, lockName), 0o600)
	if err != nil {
		return "", folderError("put "+key+" into", f.dir, err)
	}
	defer unlock()

	d, err := f.read(key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	if d.Revision != revision {
		return "", fmt.Errorf("put %s: %w", key, ErrStale)
	}
	name := f.file(key)
	if data == nil {
		if revision == "" {
			return "", nil
		}
		if err := errors.Join(os.Remove(name), filelock.SyncFolder(filepath.Dir(name))); err != nil {
			return "", folderError("delete "+key+" from", f.dir, err)
		}
		return "", nil
	}
	h := header{Key: key, Revision: rand.Text()}
	line, err := json.Marshal(h)
	if err != nil {
		return "", folderError("put "+key+" into", f.dir, err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return "", folderError("put "+key+" into", f.dir, err)
	}
	if err := f.write(name, slices.Concat(line, []byte{'\n'}, data)); err != nil {
		return "", folderError("put "+key+" into", f.dir, err)
	}
	return h.Revision, nil
}

func (f *folder) List(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Only the folder that holds all keys of the prefix is walked: "run/nightly/2" is in run/nightly.
	var under string
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		for s := range strings.SplitSeq(prefix[:i], "/") {
			under = path.Join(under, encode(s))
		}
	}
	var keys []string
	err := fs.WalkDir(os.DirFS(f.dir), path.Join(".", under), func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) { // never written to, or deleted while we look
				return nil
			}
			return err
		}
		if e.IsDir() || !strings.HasSuffix(name, suffix) {
			return ctx.Err()
		}
		var segments []string
		for s := range strings.SplitSeq(strings.TrimSuffix(name, suffix), "/") {
			d, err := decode(s)
			if err != nil { // somebody else's file
				return nil
			}
			segments = append(segments, d)
		}
		if key := strings.Join(segments, "/"); strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return nil, folderError("list", f.dir, err)
	}
	slices.Sort(keys)
	return keys, nil
}

func (f *folder) file(key string) string {
	name := f.dir
	for s := range strings.SplitSeq(key, "/") {
		name = filepath.Join(name, encode(s))
	}
	return name + suffix
}

func (f *folder) read(key string) (Document, error) {
	data, err := os.ReadFile(f.file(key))
	if errors.Is(err, fs.ErrNotExist) {
		return Document{}, fmt.Errorf("get %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return Document{}, folderError("get "+key+" from", f.dir, err)
	}
	line, data, ok := bytes.Cut(data, []byte{'\n'})
	var h header
	if err := json.Unmarshal(line, &h); err != nil || !ok || h.Key != key || h.Revision == "" {
		return Document{}, &martsync.Error{
			Kind: martsync.Config, Op: "state: get " + key,
			Err:  fmt.Errorf("%s is not a document of this store", f.file(key)),
			Hint: "Delete the file: losing state costs time and quota, never a record.",
		}
	}
	return Document{Key: key, Data: data, Revision: h.Revision}, nil
}

// writeSynced replaces the named file. The caller holds the lock, so the temporary name is
// ours; a crash may leave such a file and the next write of the document reuses it.
func writeSynced(name string, data []byte) (err error) {
	temp := name + ".tmp"
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp))
		}
	}()
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		return err
	}
	return filelock.SyncFolder(filepath.Dir(name))
}

func folderError(op, dir string, err error) error {
	e := &martsync.Error{Kind: martsync.Config, Op: "state: " + op + " " + dir, Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Hint = fmt.Sprintf("Give this user permission to write to %s, or choose another state folder.", dir)
	case errors.Is(err, syscall.ENOSPC):
		e.Hint = fmt.Sprintf("Make room on the disk of %s.", dir)
	default:
		e.Hint = fmt.Sprintf("The state folder %s must be a folder on a disk that works.", dir)
	}
	return e
}
