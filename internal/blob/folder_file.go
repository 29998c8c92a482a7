package blob

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/martsync/martsync/internal/filelock"
)

// A folderUpload writes a temporary file.
type folderUpload struct {
	folder *folder
	ctx    context.Context //nolint:containedctx // io.Writer has none; store.Create says how long it counts
	r      Receipt
	name   string
	file   *os.File
	buf    *bufio.Writer
	hash   hash.Hash
}

// Create makes the temporary file at once, so that a folder that cannot be written is known early.
func (f *folder) Create(ctx context.Context, key, _ string) (Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := CheckKey("create", key); err != nil {
		return nil, err
	}
	u := &folderUpload{folder: f, ctx: ctx, r: Receipt{Key: key, ID: NewID()}, hash: sha256.New()}
	u.name = f.temporary(key, u.r.ID)
	err := f.inFolder(u.name, func() (err error) {
		u.file, err = f.create(u.name)
		return err
	})
	if err != nil {
		return nil, folderError("create", u.name, err)
	}
	u.buf = bufio.NewWriterSize(u.file, 64<<10)
	return u, nil
}

func (u *folderUpload) Write(p []byte) (int, error) {
	if u.file == nil {
		return 0, folderError("write", u.name, fs.ErrClosed)
	}
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := u.buf.Write(p)
	u.hash.Write(p[:n])
	u.r.Size += int64(n)
	if err != nil {
		return n, folderError("write", u.name, err)
	}
	return n, nil
}

func (u *folderUpload) Close(ctx context.Context) (Receipt, error) {
	if u.file == nil {
		return Receipt{}, folderError("write", u.name, fs.ErrClosed)
	}
	err := errors.Join(ctx.Err(), u.buf.Flush())
	if err == nil {
		err = u.file.Sync()
	}
	err = errors.Join(err, u.file.Close())
	u.file = nil
	if err == nil {
		err = filelock.SyncFolder(filepath.Dir(u.name))
	}
	if err != nil {
		return Receipt{}, folderError("write", u.name, err)
	}
	u.r.SHA256 = hex.EncodeToString(u.hash.Sum(nil))
	return u.r, nil
}

func (u *folderUpload) Abort(ctx context.Context) error {
	if u.file != nil {
		_ = u.file.Close() // what it could complain about is removed
		u.file = nil
	}
	return u.folder.Abort(ctx, u.r)
}

// A folderReader reads a file of a folder.
type folderReader struct {
	file *os.File
	size int64
}

func (f *folder) open(ctx context.Context, op, key string) (*folderReader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := CheckKey(op, key); err != nil {
		return nil, err
	}
	file, err := os.Open(f.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %s %s: %w", op, f.path(key), ErrNotFound)
	}
	if err != nil {
		return nil, folderError(op, f.path(key), err)
	}
	fi, err := file.Stat()
	if err == nil && fi.IsDir() {
		err = fmt.Errorf("%s: %w", file.Name(), errIsFolder)
	}
	if err != nil {
		return nil, errors.Join(folderError(op, f.path(key), err), file.Close())
	}
	return &folderReader{file: file, size: fi.Size()}, nil
}

func (r *folderReader) all(most int64) ([]byte, error) {
	if r.size > most {
		return nil, sizeAbove("get", r.file.Name(), most)
	}
	data := make([]byte, r.size)
	if n, err := r.ReadAt(data, 0); int64(n) < r.size {
		return nil, folderError("get", r.file.Name(), errors.Join(err, io.ErrUnexpectedEOF))
	}
	return data, nil
}

func (r *folderReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.file.ReadAt(p, off)
	if err != nil && err != io.EOF {
		return n, folderError("read", r.file.Name(), err)
	}
	return n, err
}

func (r *folderReader) Close() error {
	if err := r.file.Close(); err != nil {
		return folderError("close", r.file.Name(), err)
	}
	return nil
}
