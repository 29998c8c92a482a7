package raw

import (
	"context"
	"fmt"

	"github.com/martsync/martsync/internal/blob"
)

// inMemory is how much of an object waits in memory before an upload is begun for it: most pages of a
// commit and many export files are one call then.
const inMemory = 1 << 20 // bytes

// An object is a data object on its way: zstd frames, one after the other.
type object struct {
	store  blob.Store
	key    string // in the store
	name   string // below the stream's folder
	body   string // the export file that it holds; "": pages
	buffer []byte
	upload blob.Upload // nil: all is in the buffer
	size   int64
}

// write appends to the object.
func (o *object) write(ctx context.Context, frames []byte) error {
	o.size += int64(len(frames))
	if o.upload == nil && len(o.buffer)+len(frames) <= inMemory {
		o.buffer = append(o.buffer, frames...)
		return nil
	}
	if o.upload == nil {
		u, err := o.store.Create(ctx, o.key, "application/zstd")
		if err != nil {
			return fmt.Errorf("begin an object of the raw zone: %w", err)
		}
		o.upload = u
		if _, err := u.Write(o.buffer); err != nil {
			return fmt.Errorf("write to the raw zone: %w", err)
		}
		o.buffer = nil
	}
	if _, err := o.upload.Write(frames); err != nil {
		return fmt.Errorf("write to the raw zone: %w", err)
	}
	return nil
}

// finish makes the object visible and durable.
func (o *object) finish(ctx context.Context) error {
	switch {
	case o.size == 0:
		return nil
	case o.upload == nil:
		if err := o.store.Put(ctx, o.key, o.buffer, false); err != nil {
			return fmt.Errorf("write to the raw zone: %w", err)
		}
		return nil
	}
	r, err := o.upload.Close(ctx)
	if err != nil {
		return fmt.Errorf("end an object of the raw zone: %w", err)
	}
	if err := o.store.Finish(ctx, r); err != nil {
		return fmt.Errorf("finish an object of the raw zone: %w", err)
	}
	o.upload = nil
	return nil
}

// abort drops what was not finished.
func (o *object) abort(ctx context.Context) error {
	if o == nil || o.upload == nil {
		return nil
	}
	err := o.upload.Abort(ctx)
	o.upload = nil
	if err != nil {
		return fmt.Errorf("drop an object of the raw zone: %w", err)
	}
	return nil
}
