package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/martsync/martsync/internal/filelock"
)

// lockName is the file that those who compare and set lock. It stays there, empty, where List does not show it.
const lockName = UploadFolder + "lock"

// GetTagged takes the checksum of an object for its tag.
func (f *folder) GetTagged(ctx context.Context, key string, most int64) ([]byte, string, error) {
	if err := CheckKey("get", key); err != nil {
		return nil, "", err
	}
	unlock, err := f.lock("get", key, filelock.LockToRead)
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	data, err := f.Get(ctx, key, most)
	if err != nil {
		return nil, "", err
	}
	tag, err := tagOf(bytes.NewReader(data))
	return data, tag, err
}

// PutIf compares and renames under a lock of the operating system's, which the death of its holder
// releases. What a crash leaves is an upload, and the old object or the new one.
func (f *folder) PutIf(ctx context.Context, key string, data []byte, tag string) (string, error) {
	if err := CheckKey("put", key); err != nil {
		return "", err
	}
	u, err := f.Create(ctx, key, "")
	if err != nil {
		return "", err
	}
	defer func() { _ = u.Abort(context.WithoutCancel(ctx)) }()
	if _, err := u.Write(data); err != nil {
		return "", err
	}
	r, err := u.Close(ctx)
	if err != nil {
		return "", err
	}
	unlock, err := f.lock("put", key, filelock.Lock)
	if err != nil {
		return "", err
	}
	defer unlock()
	switch current, err := f.tag(key); {
	case err != nil:
		return "", folderError("put", f.path(key), err)
	case current != tag:
		return "", ErrChanged
	}
	if err := f.Finish(ctx, r); err != nil {
		return "", err
	}
	return tagOf(bytes.NewReader(data))
}

// lock takes the lock of the store. The upload's folder may be missing, or be tidied away by somebody.
func (f *folder) lock(op, key string, take func(string, fs.FileMode) (func(), error)) (unlock func(), err error) {
	name := filepath.Join(f.dir, filepath.FromSlash(lockName))
	err = f.inFolder(name, func() (err error) {
		unlock, err = take(name, 0o666)
		return err
	})
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil, configError(op+" "+f.path(key), "choose a bucket, or another operating system", "%w", err)
	case err != nil:
		return nil, folderError(op, f.path(key), err)
	}
	return unlock, nil
}

// tag is that of the object as it is now; "" if there is none.
func (f *folder) tag(key string) (string, error) {
	file, err := os.Open(f.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	tag, err := tagOf(file)
	return tag, errors.Join(err, file.Close())
}

func tagOf(r io.Reader) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
