// Package state keeps small documents between runs: leases, progress, runs.
//
// A Store has three methods and one promise, compare and swap: a write names the revision
// that it replaces and fails with ErrStale if that is not the present one. The promise holds
// between goroutines and, for a folder, between processes. Nothing in a store is needed for
// correctness: losing all of it costs time and vendor quota, never a record (docs/design.md).
// What the documents say is left to their owners: Lease here, progress in package pipeline,
// runs in package runlog.
package state

import (
	"context"
	"errors"
)

var (
	// ErrNotFound says that there is no document of that key.
	ErrNotFound = errors.New("no such document")

	// ErrStale says that a document is not at the revision that a Put names: somebody else
	// has written, created or deleted it.
	ErrStale = errors.New("document has changed")
)

// A Store keeps documents. Its methods may be called from several goroutines.
//
// Keys are one or more segments separated by "/", none of them empty, of any valid UTF-8;
// keys that differ only in case are different keys.
type Store interface {
	// Get reads a document, or returns ErrNotFound. The caller owns the data.
	Get(ctx context.Context, key string) (Document, error)

	// Put replaces the document at revision by data and returns the new revision. Revision
	// "" creates: the document must not exist. Nil data deletes. If the document is at
	// another revision nothing happens and the error is ErrStale. A revision is never used
	// twice for one key. Data is durable when Put returns.
	Put(ctx context.Context, key string, data []byte, revision string) (newRevision string, err error)

	// List returns the keys that start with prefix, sorted. Prefix "" means all.
	List(ctx context.Context, prefix string) ([]string, error)
}

// A Document is one value of a store.
type Document struct {
	Key      string
	Data     []byte
	Revision string
}
