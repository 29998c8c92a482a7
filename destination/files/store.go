package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// systemFolder is where a store keeps what is not data: manifests, checkpoints, stages. Its name
// begins with an underscore because readers of data lakes skip such files.
const systemFolder = "_martsync/"

// uploadFolder is where a folder keeps files that are not visible yet. List never shows it.
const uploadFolder = systemFolder + "uploads/"

// Branch on these with errors.Is. They stand below an *Error, except errExists and errNotFound of
// Put, Get and Open, which say that all went well and what was found.
var (
	errExists   = errors.New("there is an object of that name already")
	errNotFound = errors.New("there is no object of that name")

	// errLost says that an upload that should be finished is gone and its object does not exist
	// either: somebody else aborted it, or a rule of the bucket that cleans unfinished uploads.
	errLost = errors.New("the unfinished upload is gone")
)

// A store keeps objects by key: "leads/2026/a.parquet". Keys are relative to where the store
// begins, have no leading slash, and each of their parts is a plain name. A store may be used by several
// goroutines at once. An object never changes while somebody sees it: it is put whole, or finished whole.
//
// Errors are *martsync.Error with a Kind and, where the operator can do something, a Hint.
type store interface {
	// Put creates or replaces an object. With ifAbsent it is the only one who creates it, or errExists;
	// an attempt that got through although its reply was lost counts as its own.
	Put(ctx context.Context, key string, data []byte, ifAbsent bool) error

	// Get returns a small object, errNotFound, or an error if it has more than most bytes.
	Get(ctx context.Context, key string, most int64) ([]byte, error)

	// Open reads parts of an object of that size; -1: ask. errNotFound if it is not there. The context
	// counts until the reader is closed.
	Open(ctx context.Context, key string, size int64) (reader, error)

	// List yields the visible objects whose key begins with prefix and is greater than after,
	// ascending by the bytes of the key.
	List(ctx context.Context, prefix, after string) iter.Seq2[entry, error]

	// Delete removes objects. Those that do not exist are fine.
	Delete(ctx context.Context, keys ...string) error

	// Create begins an upload that stays invisible until Finish. The context counts until the upload
	// is closed or aborted.
	Create(ctx context.Context, key, contentType string) (upload, error)

	// Finish makes an upload visible under its key. Doing it again is fine. errLost if it cannot
	// be done by anybody anymore.
	Finish(ctx context.Context, r receipt) error

	// Abort drops an upload that was not finished. Doing it again, or to one that was finished, is fine.
	Abort(ctx context.Context, r receipt) error

	// Uploads yields the unfinished uploads whose key begins with prefix, in no particular order.
	// Their receipts have what Abort needs: Key, ID and when they began; not what Finish needs.
	Uploads(ctx context.Context, prefix string) iter.Seq2[receipt, error]

	// String says where the store is, for people: "s3://bucket/prefix".
	String() string
}

// A reader reads an open object. ReadAt may be called by several goroutines at once.
type reader interface {
	io.ReaderAt
	io.Closer
}

// An entry is what List knows of an object.
type entry struct {
	Key      string
	Size     int64
	Modified time.Time // by the store's clock, UTC
}

// An upload is a file on its way. It belongs to one goroutine, which ends it by Close or Abort:
// both wait for what runs beside it. What Write was given is copied.
type upload interface {
	io.Writer
	// Close sends what is left. All is durable then and nothing visible.
	Close(ctx context.Context) (receipt, error)
	// Abort drops what was sent. After Close it drops that too; after Abort it does nothing.
	Abort(ctx context.Context) error
}

// A receipt is everything somebody needs to finish or abort an upload, also in another process. It
// stands in manifests.
type receipt struct {
	Key      string    `json:"key"`
	ID       string    `json:"id"` // the store's name of the upload
	Parts    []part    `json:"parts,omitempty"`
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256,omitempty"`  // of the whole file, hexadecimal
	Modified time.Time `json:"modified,omitzero"` // when the upload began; only from Uploads
}

// A part is one piece of an upload to S3.
type part struct {
	Number int32  `json:"number"`
	ETag   string `json:"etag"`
	CRC32C string `json:"crc32c,omitempty"` // base64, as S3 writes it
}

// openStore opens the store at location: "s3://bucket/prefix", "file:///folder" or a folder's path.
// It makes no call to S3; a folder is created.
func openStore(ctx context.Context, location string, o S3Options, env martsync.Env) (store, error) {
	switch {
	case location == "":
		return nil, configError("open", "set url to s3://bucket/prefix, or path to a folder", "neither url nor path is set")
	case strings.HasPrefix(location, "s3://"):
		bucket, prefix, err := parseBucket(location)
		if err != nil {
			return nil, err
		}
		return openS3(ctx, bucket, prefix, o, env)
	case strings.HasPrefix(location, "file://"):
		u, err := url.Parse(location)
		if err != nil || u.Host != "" && u.Host != "localhost" || u.Path == "" {
			return nil, configError("open", "write it as file:///folder, or set path", "%q is no address of a folder", location)
		}
		p := u.Path
		if runtime.GOOS == "windows" { // file:///C:/mart
			p = strings.TrimPrefix(p, "/")
		}
		return openFolder(filepath.FromSlash(p))
	case strings.Contains(location, "://"):
		scheme, _, _ := strings.Cut(location, "://")
		return nil, configError("open", "write it as s3://bucket/prefix or file:///folder; for other stores that speak S3 set endpoint", "an address of type %q is not known", scheme)
	}
	return openFolder(location)
}

// parseBucket takes s3://bucket/prefix apart. The prefix has no slash at either end.
func parseBucket(location string) (bucket, prefix string, err error) {
	bucket, prefix, _ = strings.Cut(strings.TrimPrefix(location, "s3://"), "/")
	prefix = strings.Trim(prefix, "/")
	if bucket == "" || strings.ContainsAny(bucket, " ?#@:%") || strings.ContainsAny(prefix, "?#") {
		return "", "", configError("open", "write it as s3://bucket/prefix", "%q is no address of a bucket", location)
	}
	if prefix != "" {
		if err := checkKey("open", prefix); err != nil {
			return "", "", err
		}
	}
	return bucket, prefix, nil
}

// checkKey refuses keys that would mean another place in a folder than in a bucket.
func checkKey(op, key string) error {
	for s := range strings.SplitSeq(key, "/") {
		if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "\x00\\") {
			return &martsync.Error{Kind: martsync.Config, Op: "files: " + op, Hint: "check layout: each part of a path must be a plain name", Err: fmt.Errorf("%q cannot be the name of a file", key)}
		}
	}
	return nil
}

// configError is an error that the operator must act on.
func configError(op, hint, format string, args ...any) error {
	return &martsync.Error{Kind: martsync.Config, Op: "files: " + op, Hint: hint, Err: fmt.Errorf(format, args...)}
}
