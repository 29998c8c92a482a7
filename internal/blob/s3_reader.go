package blob

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	// blockSize is the least an s3Reader asks for: a call costs tens of milliseconds and as much
	// as the transfer of about this much.
	blockSize = 1 << 20

	// keptBlocks bounds an s3Reader's memory. Parquet files are read at as many places as they have
	// columns, which lie side by side within a row group.
	keptBlocks = 16

	// aheadBlocks is how far an s3Reader that is read from front to back reads ahead.
	aheadBlocks = 4

	// bodyAttempts is how often a reply is asked for whose body broke off. The SDK repeats only calls
	// without a reply.
	bodyAttempts = 3
)

// An s3Reader reads an object by ranges and keeps the blocks it used last.
type s3Reader struct {
	store *s3Store
	ctx   context.Context //nolint:containedctx // io.ReaderAt has none; store.Open says how long it counts
	key   string
	size  int64

	mu     sync.Mutex
	etag   string // of the first reply: a replaced object must not be mixed with the first
	blocks map[int64]*block
	uses   int64
	next   int64 // the block after the last one fetched
	run    int64 // how many blocks the last fetch brought
	closed bool
}

type block struct {
	data []byte
	used int64 // greater: later
}

func (s *s3Store) Open(ctx context.Context, key string, size int64) (Reader, error) {
	if err := CheckKey("open", key); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &s3Reader{store: s, ctx: ctx, key: key, size: size, next: -1, blocks: make(map[int64]*block)}
	// One call tells whether the object is there and as large as the manifest says.
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.object(key)})
	switch {
	case isHeadMissing(err):
		return nil, fmt.Errorf("store: open %s: %w", s.where(key), ErrNotFound)
	case err != nil:
		return nil, s.wrap("open", "HeadObject", key, err)
	case size >= 0 && aws.ToInt64(head.ContentLength) != size:
		return nil, sizeError("open", s.where(key), aws.ToInt64(head.ContentLength), size)
	}
	r.size, r.etag = aws.ToInt64(head.ContentLength), aws.ToString(head.ETag)
	return r, nil
}

func (r *s3Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, r.store.wrap("read", "GetObject", r.key, fmt.Errorf("offset %d: %w", off, fs.ErrInvalid))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, r.store.wrap("read", "GetObject", r.key, fs.ErrClosed)
	}
	var n int
	for n < len(p) && off+int64(n) < r.size {
		at := off + int64(n)
		b, ok := r.blocks[at/blockSize]
		if !ok {
			if err := r.load(at/blockSize, min(off+int64(len(p)), r.size)); err != nil {
				return n, err
			}
			b = r.blocks[at/blockSize]
		}
		r.uses++
		b.used = r.uses
		n += copy(p[n:], b.data[at%blockSize:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// load fetches a block and some after it: those that are wanted up to end, and more if the
// object is read from front to back.
func (r *s3Reader) load(first, end int64) error {
	count := int64(1)
	if first == r.next {
		count = min(2*r.run, aheadBlocks)
	}
	count = max(count, min((end+blockSize-1)/blockSize-first, keptBlocks/2))
	count = min(count, (r.size+blockSize-1)/blockSize-first)
	for i := int64(1); i < count; i++ {
		if r.blocks[first+i] != nil { // it is there already
			count = i
			break
		}
	}
	// A buffer for each block: one for all would live as long as its last block.
	buffers := make([][]byte, count)
	for i := range count {
		n := min(blockSize, r.size-(first+i)*blockSize)
		var b []byte
		if int64(len(r.blocks))+count > keptBlocks {
			b = r.drop()
		}
		if int64(cap(b)) < n {
			b = make([]byte, n)
		}
		buffers[i] = b[:n]
	}
	if err := r.fetch(slices.Clone(buffers), first*blockSize); err != nil {
		return err
	}
	for i, b := range buffers {
		r.blocks[first+int64(i)] = &block{data: b, used: r.uses}
	}
	r.next, r.run = first+count, count
	return nil
}

// drop forgets the block that was used longest ago and returns its buffer.
func (r *s3Reader) drop() []byte {
	oldest := int64(-1)
	for i, b := range r.blocks {
		if oldest < 0 || b.used < r.blocks[oldest].used {
			oldest = i
		}
	}
	data := r.blocks[oldest].data
	delete(r.blocks, oldest)
	return data
}

// fetch fills the buffers from an offset. A body that breaks off is continued, not begun again.
func (r *s3Reader) fetch(buffers [][]byte, off int64) error {
	for attempt := 1; ; attempt++ {
		body, err := r.get(off, buffers)
		if err != nil {
			return err
		}
		for len(buffers) > 0 && err == nil {
			var n int
			n, err = io.ReadFull(body, buffers[0])
			off += int64(n)
			buffers[0] = buffers[0][n:]
			if err == nil {
				buffers = buffers[1:]
			}
		}
		_ = body.Close() // reading tells what went wrong
		if err == nil {
			return nil
		}
		if attempt == bodyAttempts || r.ctx.Err() != nil {
			return r.store.wrap("read", "GetObject", r.key, err)
		}
	}
}

// get asks for as many bytes as fit into the buffers.
func (r *s3Reader) get(off int64, buffers [][]byte) (io.ReadCloser, error) {
	s := r.store
	end := off
	for _, b := range buffers {
		end += int64(len(b))
	}
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: s.object(r.key), Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, end-1))}
	if r.etag != "" {
		in.IfMatch = aws.String(r.etag)
	}
	out, err := s.client.GetObject(r.ctx, in)
	switch {
	case isMissing(err), isCode(err, "PreconditionFailed"):
		return nil, dataError("read "+s.where(r.key), "somebody deleted or replaced the file; restore it, or load the stream again from the beginning", err)
	case err != nil:
		return nil, s.wrap("read", "GetObject", r.key, err)
	case off > 0 && aws.ToString(out.ContentRange) == "":
		_ = out.Body.Close()
		return nil, configError("read "+s.where(r.key), "use a store that can send a part of an object, as S3 does", "the store ignores the range that was asked for")
	}
	return out.Body, nil
}

func (r *s3Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocks, r.closed = nil, true
	return nil
}
