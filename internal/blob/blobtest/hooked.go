package blobtest

import (
	"context"
	"iter"

	"github.com/martsync/martsync/internal/blob"
)

// A Hooked store is a real one with somebody between it and who uses it: Call is told the call's name and
// its key, and what it would do. Names: put, get, delete, finish, abort, list, uploads, create; of an upload close, drop.
type Hooked struct {
	blob.Store
	Call func(name, key string, effect func() error) error // nil: the effect
}

func (h *Hooked) do(name, key string, effect func() error) error {
	if h.Call == nil {
		return effect()
	}
	return h.Call(name, key, effect)
}

// Put is the call "put".
func (h *Hooked) Put(ctx context.Context, key string, data []byte, ifAbsent bool) error {
	return h.do("put", key, func() error { return h.Store.Put(ctx, key, data, ifAbsent) })
}

// Get is the call "get".
func (h *Hooked) Get(ctx context.Context, key string, most int64) (data []byte, err error) {
	err = h.do("get", key, func() (err error) {
		data, err = h.Store.Get(ctx, key, most)
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// GetTagged is the call "get".
func (h *Hooked) GetTagged(ctx context.Context, key string, most int64) (data []byte, tag string, err error) {
	err = h.do("get", key, func() (err error) {
		data, tag, err = h.Store.GetTagged(ctx, key, most)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return data, tag, nil
}

// PutIf is the call "put".
func (h *Hooked) PutIf(ctx context.Context, key string, data []byte, tag string) (next string, err error) {
	err = h.do("put", key, func() (err error) {
		next, err = h.Store.PutIf(ctx, key, data, tag)
		return err
	})
	if err != nil {
		return "", err
	}
	return next, nil
}

// Delete is the call "delete".
func (h *Hooked) Delete(ctx context.Context, keys ...string) error {
	return h.do("delete", keys[0], func() error { return h.Store.Delete(ctx, keys...) })
}

// Finish is the call "finish".
func (h *Hooked) Finish(ctx context.Context, r blob.Receipt) error {
	return h.do("finish", r.Key, func() error { return h.Store.Finish(ctx, r) })
}

// Abort is the call "abort".
func (h *Hooked) Abort(ctx context.Context, r blob.Receipt) error {
	return h.do("abort", r.Key, func() error { return h.Store.Abort(ctx, r) })
}

// List is the call "list".
func (h *Hooked) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Entry, error] {
	return hookedSeq(h, "list", prefix, h.Store.List(ctx, prefix, after))
}

// Uploads is the call "uploads".
func (h *Hooked) Uploads(ctx context.Context, prefix string) iter.Seq2[blob.Receipt, error] {
	return hookedSeq(h, "uploads", prefix, h.Store.Uploads(ctx, prefix))
}

func hookedSeq[T any](h *Hooked, name, prefix string, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := h.do(name, prefix, func() error { return nil }); err != nil {
			var zero T
			yield(zero, err)
			return
		}
		all(yield)
	}
}

// Create is the call "create".
func (h *Hooked) Create(ctx context.Context, key, contentType string) (u blob.Upload, err error) {
	err = h.do("create", key, func() (err error) {
		u, err = h.Store.Create(ctx, key, contentType)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &hookedUpload{h, key, u}, nil
}

type hookedUpload struct {
	h   *Hooked
	key string
	blob.Upload
}

func (u *hookedUpload) Close(ctx context.Context) (r blob.Receipt, err error) {
	err = u.h.do("close", u.key, func() (err error) {
		r, err = u.Upload.Close(ctx)
		return err
	})
	if err != nil {
		return blob.Receipt{}, err
	}
	return r, nil
}

func (u *hookedUpload) Abort(ctx context.Context) error {
	return u.h.do("drop", u.key, func() error { return u.Upload.Abort(ctx) })
}
