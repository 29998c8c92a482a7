package state

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

const (
	// maxDocument is how large a document may be, in bytes. The largest ones are progress that carries ledger rows
	// along, thousands of which fit.
	maxDocument = 16 << 20

	// maxGrave is how large the object of a deleted document is at most. Those of documents begin with a header, which
	// is longer, so that a listing can tell one from the other.
	maxGrave = 32

	// graveAge is how much older than the newest object beside it the object of a deleted document must be before it is
	// removed.
	graveAge = 24 * time.Hour
)

// NewBlob keeps documents in an object store: in a bucket, for machines that share no disk. Compare and swap is left
// to the store (If-Match, If-None-Match); one that does not compare is refused by the first Put. It makes no call.
//
// Each document is an object, of the same form as a folder's files. Stores compare what an object holds, and must not
// take two equal documents for one, so each has a text in it that was never there before.
//
// Object stores cannot delete on a condition, at least not all of them. So deleting is a Put too, of a few bytes: a
// grave. Graves of documents that were deleted long ago are removed when others are dug beside them.
func NewBlob(store blob.Store) Store { return blobStore{store} }

type blobStore struct{ objects blob.Store }

func (b blobStore) Get(ctx context.Context, key string) (Document, error) {
	if err := check(ctx, "get", key); err != nil {
		return Document{}, err
	}
	d, _, err := b.read(ctx, key)
	return d, err
}

func (b blobStore) Put(ctx context.Context, key string, data []byte, revision string) (string, error) {
	if err := check(ctx, "put", key); err != nil {
		return "", err
	}
	if len(data) > maxDocument {
		return "", &martsync.Error{Kind: martsync.Internal, Op: "state: put " + key, Err: fmt.Errorf("%d bytes are more than a document may have", len(data))}
	}
	if err := blob.ProbeIf(ctx, b.objects); err != nil {
		return "", stateError("put "+key, err)
	}
	if data == nil {
		return "", b.delete(ctx, key, revision)
	}
	object, err := objectOf(key, data)
	if err != nil {
		return "", err
	}
	next, err := b.objects.PutIf(ctx, objectName(key), object, revision)
	if errors.Is(err, blob.ErrChanged) && revision == "" {
		// There may be a grave in the way.
		var grave string
		if _, grave, err = b.read(ctx, key); grave == "" {
			if err == nil {
				err = blob.ErrChanged
			}
			return "", stale("put", key, err)
		}
		next, err = b.objects.PutIf(ctx, objectName(key), object, grave)
	}
	return next, stale("put", key, err)
}

// delete digs a grave.
func (b blobStore) delete(ctx context.Context, key, revision string) error {
	if revision == "" {
		_, _, err := b.read(ctx, key)
		if err == nil {
			err = blob.ErrChanged
		}
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return stale("delete", key, err)
	}
	if _, err := b.objects.PutIf(ctx, objectName(key), []byte(rand.Text()+"\n"), revision); err != nil {
		return stale("delete", key, err)
	}
	b.tidy(ctx, key)
	return nil
}

// tidy removes old graves beside a key. If somebody makes that document anew between the listing and the removal it is
// lost, which is what state may always be, and they must do so in the same moment, a day or more after it was deleted.
// That it could not be done is nobody's concern: the document is deleted.
func (b blobStore) tidy(ctx context.Context, key string) {
	var graves []blob.Entry
	var newest time.Time
	name := objectName(key)
	for e, err := range b.objects.List(ctx, name[:strings.LastIndexByte(name, '/')+1], "") {
		if err != nil {
			return
		}
		if e.Modified.After(newest) {
			newest = e.Modified
		}
		if e.Size <= maxGrave && strings.HasSuffix(e.Key, suffix) {
			graves = append(graves, e)
		}
	}
	var old []string
	for _, g := range graves {
		if _, err := keyOf(g.Key); err == nil && newest.Sub(g.Modified) > graveAge {
			old = append(old, g.Key)
		}
	}
	if len(old) > 0 {
		_ = b.objects.Delete(ctx, old...)
	}
}

func (b blobStore) List(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// As in a folder, only what holds all keys of the prefix is listed. Names do not sort as keys do.
	var under string
	if i := strings.LastIndexByte(prefix, '/'); i > 0 {
		under = strings.TrimSuffix(objectName(prefix[:i]), suffix) + "/"
	}
	var keys []string
	for e, err := range b.objects.List(ctx, under, "") {
		if err != nil {
			return nil, stateError("list "+prefix, err)
		}
		if e.Size <= maxGrave {
			continue
		}
		key, err := keyOf(e.Key)
		if err == nil && strings.HasPrefix(key, prefix) { // others are somebody else's
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// read returns the document, whose revision is the object's tag; or ErrNotFound, and the tag of the grave if there is one.
func (b blobStore) read(ctx context.Context, key string) (d Document, grave string, err error) {
	object, tag, err := b.objects.GetTagged(ctx, objectName(key), maxDocument+4<<10)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return Document{}, "", fmt.Errorf("get %s: %w", key, ErrNotFound)
	case err != nil:
		return Document{}, "", stateError("get "+key, err)
	case len(object) <= maxGrave:
		return Document{}, tag, fmt.Errorf("get %s: %w", key, ErrNotFound)
	}
	line, data, ok := bytes.Cut(object, []byte{'\n'})
	var h header
	if err := json.Unmarshal(line, &h); err != nil || !ok || h.Key != key || h.Revision == "" {
		return Document{}, "", &martsync.Error{
			Kind: martsync.Config, Op: "state: get " + key,
			Err:  fmt.Errorf("%s/%s is not a document of this store", b.objects, objectName(key)),
			Hint: "Delete the object: losing state costs time and quota, never a record.",
		}
	}
	return Document{Key: key, Data: data, Revision: tag}, "", nil
}

// objectOf is what a document looks like. Its header's revision makes it unlike any other; what counts is the tag.
func objectOf(key string, data []byte) ([]byte, error) {
	line, err := json.Marshal(header{Key: key, Revision: rand.Text()})
	if err != nil {
		return nil, fmt.Errorf("put %s: %w", key, err)
	}
	return slices.Concat(line, []byte{'\n'}, data), nil
}

// objectName is where a document is.
func objectName(key string) string {
	segments := strings.Split(key, "/")
	for i, s := range segments {
		segments[i] = encode(s)
	}
	return strings.Join(segments, "/") + suffix
}

// keyOf is the inverse of objectName. Names that it does not produce are errors.
func keyOf(name string) (string, error) {
	name, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return "", errName
	}
	segments := strings.Split(name, "/")
	for i, s := range segments {
		var err error
		if segments[i], err = decode(s); err != nil {
			return "", err
		}
	}
	return strings.Join(segments, "/"), nil
}

// stale turns what the object store says of a condition into what a document store says.
func stale(op, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, blob.ErrChanged):
		return fmt.Errorf("%s %s: %w", op, key, ErrStale)
	}
	return stateError(op+" "+key, err)
}

// stateError says what was attempted. Kind and hint are the object store's.
func stateError(op string, err error) error { return fmt.Errorf("state: %s: %w", op, err) }
