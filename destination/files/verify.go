package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// verifyBlock is how much of a file is read at a time.
const verifyBlock = 1 << 20

// Verify reads the commits of the stream, or of all, and every file that they promise to whoever lists or follows them, and compares
// sizes and SHA-256 with what was written. Files that a table in mode latest is not made of anymore do not count.
func (d *destination) Verify(ctx context.Context, stream string) iter.Seq2[martsync.Verified, error] {
	return func(yield func(martsync.Verified, error) bool) {
		streams, err := d.streamsNamed(ctx, stream)
		if err != nil {
			yield(martsync.Verified{}, err)
			return
		}
		buffer := make([]byte, verifyBlock)
		for _, s := range streams {
			if !d.verifyStream(ctx, s, buffer, yield) {
				return
			}
		}
	}
}

// verifyStream reports whether to go on.
func (d *destination) verifyStream(ctx context.Context, stream string, buffer []byte, yield func(martsync.Verified, error) bool) bool {
	chain := chainOf(stream)
	broken := func(err error) bool {
		if martsync.KindOf(err) != martsync.Data {
			yield(martsync.Verified{}, err)
			return false
		}
		return yield(martsync.Verified{Stream: stream, Name: chain.folder, Detail: err.Error()}, nil)
	}
	t, err := d.table(ctx, stream)
	if err != nil {
		return broken(err)
	}
	begin, err := d.standing(ctx, t)
	if err != nil {
		return broken(err)
	}
	last := &manifest{}
	for m, err := range d.manifests(ctx, t.chain, 1, t.newest) {
		if err == nil && m.Sequence < last.Sequence {
			err = damagedDocument(t.manifest(m.Number), fmt.Errorf("it numbers files up to %d, and the commit before up to %d", m.Sequence, last.Sequence))
		}
		if err != nil {
			return broken(err)
		}
		last = m
		for i := range m.Files {
			if m.Number < begin {
				break
			}
			v, err := d.verifyFile(ctx, stream, &m.Files[i], buffer)
			if err == nil && !v.OK && d.latest && d.replaced(ctx, stream, m.Number) {
				continue // it was swept meanwhile
			}
			if err != nil {
				yield(v, err)
				return false
			}
			if !yield(v, nil) {
				return false
			}
		}
	}
	return yield(martsync.Verified{Stream: stream, Name: chain.folder, OK: true, Detail: fmt.Sprintf("%d commits", t.newest)}, nil)
}

// standing is the first commit whose files must be there.
func (d *destination) standing(ctx context.Context, t *table) (int64, error) {
	if !d.latest || t.newest == 0 {
		return max(t.swept, 1), nil
	}
	m, err := d.manifest(ctx, t.chain, t.newest)
	if err != nil {
		return 0, err
	}
	return m.begin(), nil
}

// verifyFile reads a file and compares it with what was written. That it is not as it was written is
// no error.
func (d *destination) verifyFile(ctx context.Context, stream string, f *file, buffer []byte) (martsync.Verified, error) {
	v := martsync.Verified{Stream: stream, Name: f.Key, Rows: f.Rows, Bytes: f.Bytes, SHA256: f.SHA256}
	src, err := d.store.Open(ctx, f.Key, f.Bytes)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		v.Detail = "it is gone"
		return v, nil
	case err != nil && martsync.KindOf(err) == martsync.Data: // its size is another one
		v.Detail = err.Error()
		return v, nil
	case err != nil:
		return v, err
	}
	defer src.Close() //nolint:errcheck // nothing was written
	hash := sha256.New()
	for at := int64(0); at < f.Bytes; {
		if err := ctx.Err(); err != nil {
			return v, err
		}
		n, err := src.ReadAt(buffer[:min(int64(len(buffer)), f.Bytes-at)], at)
		hash.Write(buffer[:n])
		at += int64(n)
		if err != nil && !errors.Is(err, io.EOF) {
			return v, err
		}
		if n == 0 || errors.Is(err, io.EOF) && at < f.Bytes {
			v.Detail = fmt.Sprintf("it ends after %d bytes", at)
			return v, nil
		}
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != f.SHA256 {
		v.Detail = "its SHA-256 is " + got
		return v, nil
	}
	v.OK = true
	return v, nil
}

// streamsNamed is the stream of that name, or all.
func (d *destination) streamsNamed(ctx context.Context, stream string) ([]string, error) {
	all, err := d.streams(ctx)
	if err != nil || stream == "" {
		return all, err
	}
	if !slices.Contains(all, stream) {
		return nil, noTable(stream)
	}
	return []string{stream}, nil
}

var _ martsync.Verifier = (*destination)(nil)
