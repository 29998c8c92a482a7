package blob

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"io/fs"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/martsync/martsync"
)

// firstBuffer is what an upload of a small file takes; it grows up to a part.
const firstBuffer = 64 << 10

// An s3Upload is a multipart upload. Two parts travel at most while the next one is filled, so that a large file takes three buffers
// that take turns. Close and
// Abort wait for them.
type s3Upload struct {
	store       *s3Store
	contentType string
	ctx         context.Context //nolint:containedctx // io.Writer has none; store.Create says how long it counts
	cancel      context.CancelFunc
	r           Receipt
	buf         []byte
	hash        hash.Hash
	ended       bool

	mine    chan struct{} // holds one for each part of this upload being sent
	sending sync.WaitGroup
	mu      sync.Mutex // guards what follows
	parts   []Part
	err     error // the first one
}

// Create makes no call: a file that is dropped before its first part was full has cost nothing.
func (s *s3Store) Create(ctx context.Context, key, contentType string) (Upload, error) {
	if err := cmp.Or(ctx.Err(), CheckKey("create", key)); err != nil {
		return nil, err
	}
	u := &s3Upload{store: s, contentType: contentType, r: Receipt{Key: key}, hash: sha256.New(), mine: make(chan struct{}, 2)}
	u.ctx, u.cancel = context.WithCancel(ctx)
	return u, nil
}

func (u *s3Upload) Write(p []byte) (int, error) {
	if u.ended {
		return 0, u.store.wrap("write", "UploadPart", u.r.Key, fs.ErrClosed)
	}
	n := 0
	for n < len(p) {
		room := u.store.partSize - len(u.buf)
		if room == 0 {
			if err := u.send(u.ctx); err != nil {
				return n, err
			}
			continue
		}
		some := min(room, len(p)-n)
		u.grow(some)
		u.buf = append(u.buf, p[n:n+some]...)
		n += some
	}
	u.hash.Write(p)
	u.r.Size += int64(n)
	return n, nil
}

// grow makes room for n more bytes, in steps that end at the size of a part exactly.
func (u *s3Upload) grow(n int) {
	need := len(u.buf) + n
	if need <= cap(u.buf) {
		return
	}
	size := max(firstBuffer, cap(u.buf))
	for size < need || len(u.r.Parts) > 0 && size < u.store.partSize { // after the first part others as large will come
		size *= 4
	}
	var next []byte
	if size >= u.store.partSize {
		select {
		case next = <-u.store.spare:
		default:
			next = make([]byte, 0, u.store.partSize)
		}
	} else {
		next = make([]byte, 0, size)
	}
	u.buf = append(next, u.buf...)
}

// send begins to send the part in the buffer.
func (u *s3Upload) send(ctx context.Context) error {
	if err := u.failed(); err != nil {
		return err
	}
	if u.r.ID == "" {
		if err := u.begin(ctx); err != nil {
			return u.fail(err)
		}
	}
	number := int32(len(u.r.Parts) + 1)
	if number > maxParts {
		return u.fail(configError("write "+u.store.where(u.r.Key), "lower rotate, so that files stay smaller", "the file has more than %d parts of %d bytes, more than S3 takes", maxParts, u.store.partSize))
	}
	for _, full := range []chan struct{}{u.mine, u.store.inFlight} {
		select {
		case full <- struct{}{}:
		case <-u.ctx.Done():
			if full == u.store.inFlight {
				<-u.mine
			}
			return cmp.Or(u.failed(), u.fail(u.ctx.Err()))
		}
	}
	u.r.Parts = append(u.r.Parts, Part{Number: number}) // what is sent is filled in by Close
	body := u.buf
	u.buf = nil
	u.sending.Go(func() {
		defer func() { <-u.mine; <-u.store.inFlight }()
		p, err := u.sendPart(number, body)
		if cap(body) == u.store.partSize {
			select {
			case u.store.spare <- body[:0]:
			default:
			}
		}
		if err != nil {
			_ = u.fail(err)
			return
		}
		u.mu.Lock()
		u.parts = append(u.parts, p)
		u.mu.Unlock()
	})
	return nil
}

func (u *s3Upload) begin(ctx context.Context) error {
	s := u.store
	in := &s3.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: s.object(u.r.Key), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c,
		StorageClass: types.StorageClass(s.options.StorageClass),
	}
	if u.contentType != "" {
		in.ContentType = aws.String(u.contentType)
	}
	in.ServerSideEncryption, in.SSEKMSKeyId = s.encryption()
	out, err := s.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return s.wrap("create", "CreateMultipartUpload", u.r.Key, err)
	}
	u.r.ID = aws.ToString(out.UploadId)
	return nil
}

func (u *s3Upload) sendPart(number int32, body []byte) (Part, error) {
	s := u.store
	out, err := s.client.UploadPart(u.ctx, &s3.UploadPartInput{
		Bucket: &s.bucket, Key: s.object(u.r.Key), UploadId: aws.String(u.r.ID), PartNumber: aws.Int32(number),
		Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))), ChecksumCRC32C: aws.String(crc32c(body)),
	})
	if err != nil {
		return Part{}, s.wrap("write", "UploadPart", u.r.Key, err)
	}
	// Servers that know no checksums refuse them when the upload is completed: only what came back counts.
	return Part{Number: number, ETag: aws.ToString(out.ETag), CRC32C: aws.ToString(out.ChecksumCRC32C)}, nil
}

func (u *s3Upload) Close(ctx context.Context) (Receipt, error) {
	if u.ended {
		return Receipt{}, u.store.wrap("write", "UploadPart", u.r.Key, fs.ErrClosed)
	}
	u.ended = true
	stop := context.AfterFunc(ctx, u.cancel)
	defer stop()
	defer u.cancel()
	if len(u.buf) > 0 {
		if err := u.send(ctx); err != nil {
			u.sending.Wait()
			return Receipt{}, err
		}
	}
	u.sending.Wait()
	if err := u.failed(); err != nil {
		return Receipt{}, err
	}
	if u.r.Size == 0 {
		return u.emptyReceipt(), nil
	}
	slices.SortFunc(u.parts, func(a, b Part) int { return cmp.Compare(a.Number, b.Number) })
	r := u.r
	r.Parts = u.parts
	r.SHA256 = hex.EncodeToString(u.hash.Sum(nil))
	return r, nil
}

func (u *s3Upload) Abort(ctx context.Context) error {
	u.ended = true
	u.cancel()
	u.sending.Wait() // S3 keeps a part that arrives after the upload was aborted
	u.buf = nil
	if u.r.ID == "" {
		return nil
	}
	if err := u.store.Abort(ctx, u.r); err != nil {
		return err
	}
	u.r.ID = ""
	return nil
}

// emptyReceipt is that of a file without bytes. An upload must have a part and some servers refuse an
// empty one, so there is no upload: Finish puts the object, as often as it is asked to.
func (u *s3Upload) emptyReceipt() Receipt {
	r := u.r
	r.SHA256 = hex.EncodeToString(u.hash.Sum(nil))
	return r
}

// fail remembers the first error, stops the other parts and returns it.
func (u *s3Upload) fail(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			err = &martsync.Error{Kind: martsync.Transient, Op: "store: write " + u.store.where(u.r.Key), Err: err}
		}
		u.err = err
		u.cancel()
	}
	return u.err
}

func (u *s3Upload) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc32c is the checksum of data as S3 writes it.
func crc32c(data []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, castagnoli)))
}
