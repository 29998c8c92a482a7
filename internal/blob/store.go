// Package blob keeps objects by name: in a bucket of S3, in a store that speaks S3, or in a folder. All
// three obey the same laws (package blobtest): an object appears whole or not at all, of several who
// create it only if absent one wins, and a large one can be uploaded by one process and made visible by another.
//
// It leaves to others what the objects mean and what they are called (destination/files, the raw zone).
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// SystemFolder is where a store keeps what is not data: manifests, checkpoints, stages. Its name
// begins with an underscore because readers of data lakes skip such files.
const SystemFolder = "_martsync/"

// UploadFolder is where a folder keeps files that are not visible yet. List never shows it.
const UploadFolder = SystemFolder + "uploads/"

// Branch on these with errors.Is. They stand below an *Error, except ErrExists, ErrNotFound and ErrChanged of
// Put, Get, Open and PutIf, which say that all went well and what was found.
var (
	ErrExists   = errors.New("there is an object of that name already")
	ErrNotFound = errors.New("there is no object of that name")

	// ErrChanged says that an object is not the one that PutIf was to replace.
	ErrChanged = errors.New("the object is another one by now")

	// ErrLost says that an upload that should be finished is gone and its object does not exist
	// either: somebody else aborted it, or a rule of the bucket that cleans unfinished uploads.
	ErrLost = errors.New("the unfinished upload is gone")
)

// A Store keeps objects by key: "leads/2026/a.parquet". Keys are relative to where the store
// begins, have no leading slash, and each of their parts is a plain name. A store may be used by several
// goroutines at once. An object never changes while somebody sees it: it is put whole, or finished whole.
//
// Errors are *martsync.Error with a Kind and, where the operator can do something, a Hint.
type Store interface {
	// Put creates or replaces an object. With ifAbsent it is the only one who creates it, or ErrExists;
	// an attempt that got through although its reply was lost counts as its own.
	Put(ctx context.Context, key string, data []byte, ifAbsent bool) error

	// Get returns a small object, ErrNotFound, or an error if it has more than most bytes.
	Get(ctx context.Context, key string, most int64) ([]byte, error)

	// GetTagged is Get, and the tag that PutIf wants in order to replace just that.
	GetTagged(ctx context.Context, key string, most int64) (data []byte, tag string, err error)

	// PutIf replaces the object of that tag, or creates one if tag is "", and returns the tag of the new one.
	// ErrChanged: there is another one by now, or none, or one at all; then either nothing happened, or, if the reply to
	// an attempt was lost, somebody has replaced what it put. Equal objects may have equal tags: who must tell
	// them apart puts something into each that was never there before. Keys that PutIf is used on are
	// put by nothing else. Ask ProbeIf once before relying on it.
	PutIf(ctx context.Context, key string, data []byte, tag string) (next string, err error)

	// Open reads parts of an object of that size; -1: ask. ErrNotFound if it is not there. The context
	// counts until the reader is closed.
	Open(ctx context.Context, key string, size int64) (Reader, error)

	// List yields the visible objects whose key begins with prefix and is greater than after,
	// ascending by the bytes of the key.
	List(ctx context.Context, prefix, after string) iter.Seq2[Entry, error]

	// Delete removes objects. Those that do not exist are fine.
	Delete(ctx context.Context, keys ...string) error

	// Create begins an upload that stays invisible until Finish. The context counts until the upload
	// is closed or aborted.
	Create(ctx context.Context, key, contentType string) (Upload, error)

	// Finish makes an upload visible under its key. Doing it again is fine. ErrLost if it cannot
	// be done by anybody anymore.
	Finish(ctx context.Context, r Receipt) error

	// Abort drops an upload that was not finished. Doing it again, or to one that was finished, is fine.
	Abort(ctx context.Context, r Receipt) error

	// Uploads yields the unfinished uploads whose key begins with prefix, in no particular order.
	// Their receipts have what Abort needs: Key, ID and when they began; not what Finish needs.
	Uploads(ctx context.Context, prefix string) iter.Seq2[Receipt, error]

	// String says where the store is, for people: "s3://bucket/prefix".
	String() string
}

// A Reader reads an open object. ReadAt may be called by several goroutines at once.
type Reader interface {
	io.ReaderAt
	io.Closer
}

// An Entry is what List knows of an object.
type Entry struct {
	Key      string
	Size     int64
	Modified time.Time // by the store's clock, UTC
}

// An Upload is a file on its way. It belongs to one goroutine, which ends it by Close or Abort:
// both wait for what runs beside it. What Write was given is copied.
type Upload interface {
	io.Writer
	// Close sends what is left. All is durable then and nothing visible.
	Close(ctx context.Context) (Receipt, error)
	// Abort drops what was sent. After Close it drops that too; after Abort it does nothing.
	Abort(ctx context.Context) error
}

// A Receipt is everything somebody needs to finish or abort an upload, also in another process. It
// stands in manifests.
type Receipt struct {
	Key      string    `json:"key"`
	ID       string    `json:"id"` // the store's name of the upload
	Parts    []Part    `json:"parts,omitempty"`
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256,omitempty"`  // of the whole file, hexadecimal
	Modified time.Time `json:"modified,omitzero"` // when the upload began; only from Uploads
}

// A Part is one piece of an upload to S3.
type Part struct {
	Number int32  `json:"number"`
	ETag   string `json:"etag"`
	CRC32C string `json:"crc32c,omitempty"` // base64, as S3 writes it
}

// CheckKey refuses keys that would mean another place in a folder than in a bucket.
func CheckKey(op, key string) error {
	for s := range strings.SplitSeq(key, "/") {
		if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "\x00\\") {
			return &martsync.Error{Kind: martsync.Config, Op: "store: " + op, Hint: "check layout, and the names of what is stored: each part of a path must be a plain name", Err: fmt.Errorf("%q cannot be the name of a file", key)}
		}
	}
	return nil
}

// configError is an error that the operator must act on.
func configError(op, hint, format string, args ...any) error {
	return &martsync.Error{Kind: martsync.Config, Op: "store: " + op, Hint: hint, Err: fmt.Errorf(format, args...)}
}
