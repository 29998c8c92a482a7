package blob

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// List walks the tree in the order of keys, which is not that of names: "a.csv" comes before "a/b.csv".
func (f *folder) List(ctx context.Context, prefix, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		start, _ := path.Split(prefix)
		f.walk(ctx, start, func(key string, folder bool) bool {
			if folder {
				return key != UploadFolder && overlaps(key, prefix) && (key > after || strings.HasPrefix(after, key))
			}
			return strings.HasPrefix(key, prefix) && key > after
		}, yield)
	}
}

// overlaps reports whether keys with that prefix can lie in a folder, whose key ends with a slash.
func overlaps(folder, prefix string) bool {
	return strings.HasPrefix(folder, prefix) || strings.HasPrefix(prefix, folder)
}

func (f *folder) Uploads(ctx context.Context, prefix string) iter.Seq2[Receipt, error] {
	return func(yield func(Receipt, error) bool) {
		start, _ := path.Split(UploadFolder + prefix)
		f.walk(ctx, start, func(key string, folder bool) bool {
			key = strings.TrimPrefix(key, UploadFolder)
			return folder && overlaps(key, prefix) || strings.HasPrefix(key, prefix)
		}, func(e Entry, err error) bool {
			if err != nil {
				return yield(Receipt{}, err)
			}
			key := strings.TrimPrefix(e.Key, UploadFolder)
			dot := strings.LastIndexByte(key, '.')
			if dot < 0 || !strings.HasPrefix(key[:dot], prefix) {
				return true // not ours
			}
			return yield(Receipt{Key: key[:dot], ID: key[dot+1:], Modified: e.Modified}, nil)
		})
	}
}

// walk yields the files below the folder of that key, "" or one with a slash at its end, whose key is
// wanted; it goes into those folders that are wanted. It reports whether to go on.
func (f *folder) walk(ctx context.Context, start string, want func(key string, folder bool) bool, yield func(Entry, error) bool) bool {
	if err := ctx.Err(); err != nil {
		return yield(Entry{}, err)
	}
	dir := f.path(start)
	found, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return true // nothing there yet, or not anymore, or a file as prefix
	}
	if err != nil {
		return yield(Entry{}, folderError("list", dir, err))
	}
	var keys []string
	for _, d := range found {
		switch {
		case d.IsDir() && want(start+d.Name()+"/", true):
			keys = append(keys, start+d.Name()+"/")
		case d.Type().IsRegular() && want(start+d.Name(), false):
			keys = append(keys, start+d.Name())
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if strings.HasSuffix(key, "/") {
			if !f.walk(ctx, key, want, yield) {
				return false
			}
			continue
		}
		fi, err := os.Lstat(f.path(key))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted since the folder was read
		}
		if err != nil {
			return yield(Entry{}, folderError("list", f.path(key), err))
		}
		if !yield(Entry{Key: key, Size: fi.Size(), Modified: fi.ModTime().UTC()}, nil) {
			return false
		}
	}
	return true
}
