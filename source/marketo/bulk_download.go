package marketo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/martsync/martsync"
)

// cutsMost is how often in a row a download may break off without a byte having arrived.
const cutsMost = 5

// A download reads the file of an export job. When the connection breaks it asks for the rest
// by Range. The bytes are hashed as they arrive, before anything else touches them.
type download struct {
	ctx  context.Context
	open func(ctx context.Context, offset int64) (io.ReadCloser, error)
	size int64 // of the file; -1: not told
	hash *rollingHash

	body io.ReadCloser
	at   int64     // next byte to arrive
	skip int64     // bytes that have to be hashed but were delivered before
	tail string    // the checksum that they had then, hexadecimal; "": not known
	sum  hash.Hash // of them as they arrive again
	idle int       // breaks since the last byte arrived
	cuts int64     // breaks in all
	err  error     // what ended the download, other than its end
}

// newDownload starts at the beginning, or where f says.
func newDownload(ctx context.Context, j *job, open func(context.Context, int64) (io.ReadCloser, error)) (*download, error) {
	d := &download{ctx: ctx, open: open, size: -1, hash: newRollingHash()}
	if j.Size != nil {
		d.size = *j.Size
	}
	if f := j.File; f != nil {
		var err error
		if d.hash, err = resumeHash(f.Hashed, f.Hash); err != nil {
			return nil, err
		}
		d.at, d.skip, d.tail, d.sum = f.Hashed, f.Offset-f.Hashed, f.Tail, sha256.New()
	}
	return d, nil
}

// fileOf opens the file of a job at an offset.
func (r *run) fileOf(spec *partSpec, j *job) func(context.Context, int64) (io.ReadCloser, error) {
	return func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		j.Calls++
		body, _, err := r.src.client.file(ctx, spec.object.path(j.ID, "file.json"), offset)
		return body, err
	}
}

// Read gives the bytes of the file after those delivered before. Its errors are final.
func (d *download) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	for len(p) > 0 {
		if d.body == nil {
			if d.size >= 0 && d.at >= d.size {
				return 0, io.EOF
			}
			body, err := d.open(d.ctx, d.at)
			if err != nil {
				d.err = err
				return 0, err
			}
			d.body = body
		}
		n, err := d.body.Read(p)
		if n > 0 {
			d.idle = 0
			d.at += int64(n)
			_, _ = d.hash.Write(p[:n])
			if n, d.err = d.drop(p[:n]); n > 0 || d.err != nil {
				return n, d.err // an error of the connection comes again, or the next read finds the end
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && (d.size < 0 || d.at >= d.size):
			return 0, io.EOF
		default:
			if err := d.broken(err); err != nil {
				return 0, err
			}
		}
	}
	return 0, nil
}

// drop removes what was delivered before from the front of p. That must be the same as it was then: the checksum of
// the file is that of what arrives now, and would not tell that rows were made of something else.
func (d *download) drop(p []byte) (int, error) {
	if d.skip == 0 {
		return len(p), nil
	}
	k := int(min(int64(len(p)), d.skip))
	d.sum.Write(p[:k])
	if d.skip -= int64(k); d.skip == 0 && d.tail != "" && hex.EncodeToString(d.sum.Sum(nil)) != d.tail {
		return 0, &badFile{why: "the bytes before the place where reading was interrupted are not those that came before", download: true}
	}
	return copy(p, p[k:]), nil
}

// broken decides about a connection that ended too early.
func (d *download) broken(cause error) error {
	d.Close()
	if err := d.ctx.Err(); err != nil {
		d.err = err
		return err
	}
	d.cuts++
	if d.idle++; d.idle <= cutsMost {
		return nil
	}
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	d.err = &martsync.Error{
		Kind: martsync.Transient, Op: "marketo: download export", After: time.Minute,
		Err: fmt.Errorf("after %d bytes: %w", d.at, cause),
	}
	return d.err
}

// Close ends the connection. The download can be read on; it then connects again.
func (d *download) Close() {
	if d.body != nil {
		_ = d.body.Close()
		d.body = nil
	}
}
