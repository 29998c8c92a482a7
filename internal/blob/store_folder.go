package blob

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/martsync/martsync/internal/filelock"
)

// A folder is a store in a folder of this machine or of one mounted here.
//
// What is not visible yet lies under _martsync/uploads, in the tree of its key: the file
// leads/a.parquet is _martsync/uploads/leads/a.parquet.<id> until it is renamed, which is why both
// must be on one file system. Whatever a call reports as done has been synced, names of files and
// folders included.
type folder struct {
	dir    string                              // absolute
	create func(name string) (*os.File, error) // tests put a full disk here
	link   func(oldname, newname string) error // tests put a file system without links here
	rename func(oldname, newname string) error // fails if newname exists
	mkdir  func(name string, perm fs.FileMode) error
}

// openFolder opens the store in dir and creates the folder if need be.
func openFolder(dir string) (Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, folderError("open", dir, err)
	}
	f := &folder{dir: abs, create: createNew, link: os.Link, rename: renameNew, mkdir: os.Mkdir}
	if err := f.makeFolder(abs); err != nil {
		return nil, folderError("open", abs, err)
	}
	return f, nil
}

// createNew leaves the permissions to the umask: who else may read the data is the operator's affair.
func createNew(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
}

func (f *folder) String() string { return f.dir }

// path is where the object of that key is.
func (f *folder) path(key string) string { return filepath.Join(f.dir, filepath.FromSlash(key)) }

// temporary is where an upload is until it is finished.
func (f *folder) temporary(key, id string) string {
	return filepath.Join(f.dir, filepath.FromSlash(UploadFolder), filepath.FromSlash(key)+"."+id)
}

func (f *folder) Put(ctx context.Context, key string, data []byte, ifAbsent bool) error {
	if err := CheckKey("put", key); err != nil {
		return err
	}
	if ifAbsent { // saves writing for nothing; what decides is the link below
		if fi, err := os.Lstat(f.path(key)); err == nil {
			if fi.IsDir() {
				return folderError("put", f.path(key), errIsFolder)
			}
			return ErrExists
		}
	}
	u, err := f.Create(ctx, key, "")
	if err != nil {
		return err
	}
	defer func() { _ = u.Abort(context.WithoutCancel(ctx)) }() // a link leaves the temporary name behind
	if _, err := u.Write(data); err != nil {
		return err
	}
	r, err := u.Close(ctx)
	if err != nil {
		return err
	}
	if !ifAbsent {
		return f.Finish(ctx, r)
	}
	temporary, final := f.temporary(key, r.ID), f.path(key)
	err = f.inFolder(final, func() error {
		err := f.link(temporary, final)
		if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOSPC) {
			return err
		}
		// Some file systems, exFAT for one, have no links but can refuse to rename over a file.
		switch e := f.rename(temporary, final); {
		case e == nil, errors.Is(e, fs.ErrExist):
			return e
		case errors.Is(e, errors.ErrUnsupported), errors.Is(e, syscall.EINVAL):
			return fmt.Errorf("%w (%w)", errNoLink, err)
		}
		return err
	})
	switch {
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	case err != nil:
		return folderError("put", final, err)
	}
	if err := filelock.SyncFolder(filepath.Dir(final)); err != nil {
		return folderError("put", final, err)
	}
	return nil
}

func (f *folder) Get(ctx context.Context, key string, most int64) ([]byte, error) {
	r, err := f.open(ctx, "get", key)
	if err != nil {
		return nil, err
	}
	data, err := r.all(most)
	return data, errors.Join(err, r.Close())
}

func (f *folder) Open(ctx context.Context, key string, size int64) (Reader, error) {
	r, err := f.open(ctx, "open", key)
	if err != nil {
		return nil, err
	}
	if size >= 0 && r.size != size {
		return nil, errors.Join(sizeError("open", f.path(key), r.size, size), r.Close())
	}
	return r, nil
}

func (f *folder) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := CheckKey("delete", key); err != nil {
			return err
		}
		if err := os.Remove(f.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return folderError("delete", f.path(key), err)
		}
	}
	return nil
}

func (f *folder) Finish(ctx context.Context, r Receipt) error {
	temporary, err := f.receipt(ctx, "finish", r)
	if err != nil {
		return err
	}
	final := f.path(r.Key)
	// Another process may finish it at the same moment: whether it is done is seen in the end.
	switch fi, err := os.Stat(temporary); {
	case err == nil && fi.Size() != r.Size:
		return sizeError("finish", temporary, fi.Size(), r.Size)
	case err == nil:
		err = f.inFolder(final, func() error { return os.Rename(temporary, final) })
		if err == nil {
			err = filelock.SyncFolder(filepath.Dir(final))
			f.tidy(temporary)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return folderError("finish", final, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return folderError("finish", temporary, err)
	}
	fi, err := os.Stat(final)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return lostError(temporary)
	case err != nil:
		return folderError("finish", final, err)
	case fi.Size() != r.Size:
		return sizeError("finish", final, fi.Size(), r.Size)
	}
	return nil
}

func (f *folder) Abort(ctx context.Context, r Receipt) error {
	temporary, err := f.receipt(ctx, "abort", r)
	if err != nil {
		return err
	}
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return folderError("abort", temporary, err)
	}
	f.tidy(temporary)
	return nil
}

// receipt checks a receipt, which comes from a file, and returns where its upload is.
func (f *folder) receipt(ctx context.Context, op string, r Receipt) (temporary string, err error) {
	if err := cmp.Or(ctx.Err(), CheckKey(op, r.Key), CheckKey(op, r.ID)); err != nil {
		return "", err
	}
	if strings.Contains(r.ID, "/") {
		return "", configError(op, "", "%q is no upload of a folder", r.ID)
	}
	return f.temporary(r.Key, r.ID), nil
}

// makeFolder is os.MkdirAll that survives a power cut: what is reported as written must be found
// under its name, and a name is durable once its folder is synced.
func (f *folder) makeFolder(dir string) error {
	if fi, err := os.Stat(dir); err == nil {
		if !fi.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := f.makeFolder(parent); err != nil {
			return err
		}
	}
	if err := f.mkdir(dir, 0o777); err != nil {
		switch fi, e := os.Stat(dir); {
		case e == nil && fi.IsDir():
			return nil // somebody else was faster
		case errors.Is(err, fs.ErrExist) && errors.Is(e, fs.ErrNotExist):
			return e // and tidying faster still
		}
		return err
	}
	return filelock.SyncFolder(filepath.Dir(dir))
}

// folderTries is how often a folder is made that others remove: more often than as many streams as there are can do so in a row.
const folderTries = 50

// inFolder makes the folder of the named file and calls do. Tidying elsewhere may remove the folder
// in between; then it does both again.
func (f *folder) inFolder(name string, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := f.makeFolder(filepath.Dir(name))
		if err == nil {
			err = do()
		}
		if attempt == folderTries || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

// tidy removes the folders of an upload that are empty now.
func (f *folder) tidy(temporary string) {
	root := filepath.Join(f.dir, filepath.FromSlash(UploadFolder))
	for dir := filepath.Dir(temporary); len(dir) > len(root); dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			return // not empty: somebody else's upload
		}
	}
}

// NewID names an upload. It has no dot: the last one in a temporary name ends the key.
func NewID() string { return strings.ToLower(rand.Text()) }

func sizeError(op, name string, got, want int64) error {
	return dataError(op, "somebody else changed the file; restore it, or load the stream again from the beginning", fmt.Errorf("%s has %d bytes, not %d", name, got, want))
}
