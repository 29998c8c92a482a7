package raw_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// memory is a store for tests that need thousands of them. It has what a zone uses.
type memory struct {
	blob.Store

	mu      sync.Mutex
	objects map[string][]byte
	uploads map[string]*memoryUpload
	n       int
}

func newMemory() *memory {
	return &memory{objects: map[string][]byte{}, uploads: map[string]*memoryUpload{}}
}

func (m *memory) String() string { return "memory://test" }

func (m *memory) Put(ctx context.Context, key string, data []byte, ifAbsent bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[key]; ok && ifAbsent {
		return blob.ErrExists
	}
	m.objects[key] = bytes.Clone(data)
	return ctx.Err()
}

func (m *memory) Get(ctx context.Context, key string, most int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if !ok {
		return nil, blob.ErrNotFound
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s has %d bytes", key, len(data))
	}
	return bytes.Clone(data), ctx.Err()
}

func (m *memory) Open(ctx context.Context, key string, _ int64) (blob.Reader, error) {
	data, err := m.Get(ctx, key, 1<<40)
	if err != nil {
		return nil, err
	}
	return memoryReader{bytes.NewReader(data)}, nil
}

type memoryReader struct{ *bytes.Reader }

func (memoryReader) Close() error { return nil }

func (m *memory) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		m.mu.Lock()
		keys := slices.Sorted(maps.Keys(m.objects))
		m.mu.Unlock()
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) && k > after && !yield(blob.Entry{Key: k}, ctx.Err()) {
				return
			}
		}
	}
}

func (m *memory) Delete(_ context.Context, keys ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		delete(m.objects, k)
	}
	return nil
}

type memoryUpload struct {
	store *memory
	r     blob.Receipt
	data  []byte
}

func (m *memory) Create(_ context.Context, key, _ string) (blob.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	u := &memoryUpload{store: m, r: blob.Receipt{Key: key, ID: fmt.Sprint(m.n)}}
	m.uploads[u.r.ID] = u
	return u, nil
}

func (u *memoryUpload) Write(p []byte) (int, error) {
	u.data = append(u.data, p...)
	return len(p), nil
}

func (u *memoryUpload) Close(context.Context) (blob.Receipt, error) { return u.r, nil }

func (u *memoryUpload) Abort(ctx context.Context) error { return u.store.Abort(ctx, u.r) }

func (m *memory) Finish(_ context.Context, r blob.Receipt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, ok := m.uploads[r.ID]
	if !ok {
		return &martsync.Error{Kind: martsync.Transient, Op: "finish", Err: blob.ErrLost}
	}
	m.objects[r.Key] = u.data
	delete(m.uploads, r.ID)
	return nil
}

func (m *memory) Abort(_ context.Context, r blob.Receipt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.uploads, r.ID)
	return nil
}

func (m *memory) Uploads(_ context.Context, prefix string) iter.Seq2[blob.Receipt, error] {
	return func(yield func(blob.Receipt, error) bool) {
		m.mu.Lock()
		all := slices.Collect(maps.Values(m.uploads))
		m.mu.Unlock()
		for _, u := range all {
			if strings.HasPrefix(u.r.Key, prefix) && !yield(u.r, nil) {
				return
			}
		}
	}
}
