package state

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// NewMemory returns an empty store that lives as long as the process.
func NewMemory() Store { return &memory{documents: map[string]Document{}} }

type memory struct {
	mu        sync.Mutex
	documents map[string]Document
	revision  int64 // counts all writes, so that a key that is deleted and created again gets a new one
}

func (m *memory) Get(ctx context.Context, key string) (Document, error) {
	if err := check(ctx, "get", key); err != nil {
		return Document{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.documents[key]
	if !ok {
		return Document{}, fmt.Errorf("get %s: %w", key, ErrNotFound)
	}
	d.Data = bytes.Clone(d.Data)
	return d, nil
}

func (m *memory) Put(ctx context.Context, key string, data []byte, revision string) (string, error) {
	if err := check(ctx, "put", key); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.documents[key].Revision != revision {
		return "", fmt.Errorf("put %s: %w", key, ErrStale)
	}
	if data == nil {
		delete(m.documents, key)
		return "", nil
	}
	m.revision++
	d := Document{Key: key, Data: append([]byte{}, data...), Revision: strconv.FormatInt(m.revision, 10)}
	m.documents[key] = d
	return d.Revision, nil
}

func (m *memory) List(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for k := range m.documents {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys, nil
}
