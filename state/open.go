package state

import (
	"context"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// Open opens the store at a location: the files of a folder, which is created, or the objects of a bucket, to which no
// call is made. Of the environment a bucket takes the HTTP client and the logger.
func Open(ctx context.Context, l blob.Location, env martsync.Env) (Store, error) {
	if l.URL == "" && l.Path != "" && !blob.IsAddress(l.Path) {
		return OpenFolder(l.Path)
	}
	objects, err := l.Open(ctx, "", env)
	if err != nil {
		return nil, stateError("open", err)
	}
	// file:///folder is the same store as path: /folder.
	if dir, local := blob.Folder(objects); local {
		return OpenFolder(dir)
	}
	return NewBlob(objects), nil
}
