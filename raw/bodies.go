package raw

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// mostPage is the largest page that is checked before it is handed out, in bytes. Larger ones, and
// export files, are checked when they have been read.
const mostPage = 64 << 20

// aheadBytes is how much of an object is asked for at once.
const aheadBytes = 1 << 20

// bodies reads the bodies of units, one after the other. Its memory is bounded: it has one object open
// at a time, of which it reads ahead a little.
type bodies struct {
	zone   *Zone
	stream string

	name    string // of the open object; "": none
	object  blob.Reader
	at      int64 // where ahead stands in it
	ahead   *bufio.Reader
	decoder *zstd.Decoder

	going *hashed // the body that the last part belonged to
}

// of yields the bodies that parts make up. The error of a body is that of its reader too.
func (s *bodies) of(ctx context.Context, parts []part) iter.Seq2[martsync.RawBody, error] {
	return func(yield func(martsync.RawBody, error) bool) {
		for len(parts) > 0 {
			n := 1
			for n < len(parts) && parts[n-1].continuedBy(parts[n]) {
				n++
			}
			body := &body{bodies: s, ctx: ctx, parts: parts[:n]}
			p := parts[0]
			parts = parts[n:]
			out := martsync.RawBody{Name: p.Name, How: p.How, Offset: p.Offset, Data: body}
			if page, err := body.page(); err != nil {
				yield(martsync.RawBody{}, err)
				return
			} else if page != nil {
				out.Data = bytes.NewReader(page)
			}
			if !yield(out, nil) {
				return
			}
			if _, err := io.Copy(io.Discard, body); err != nil { // what was not read is checked too
				yield(martsync.RawBody{}, err)
				return
			}
		}
	}
}

// close gives back what is open.
func (s *bodies) close() error {
	if s.decoder != nil {
		s.decoder.Close()
	}
	if s.object != nil {
		if err := s.object.Close(); err != nil {
			return fmt.Errorf("close an object of the raw zone: %w", err)
		}
	}
	return nil
}

// open returns the decompressed bytes of a part.
func (s *bodies) open(ctx context.Context, p *part) (io.Reader, error) {
	if p.Length == 0 {
		return bytes.NewReader(nil), nil
	}
	if s.name != p.Object {
		if s.object != nil {
			err := s.object.Close()
			s.object, s.name = nil, ""
			if err != nil {
				return nil, fmt.Errorf("close an object of the raw zone: %w", err)
			}
		}
		o, err := s.zone.store.Open(ctx, s.zone.folder(s.stream)+p.Object, -1)
		if errors.Is(err, blob.ErrNotFound) {
			return nil, damaged("read", "%s is missing, which holds %s", s.zone.folder(s.stream)+p.Object, p.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("read the raw zone: %w", err)
		}
		s.object, s.name, s.at = o, p.Object, -1
	}
	if s.ahead == nil {
		s.ahead = bufio.NewReaderSize(nil, aheadBytes)
	}
	if s.at != p.At {
		s.ahead.Reset(io.NewSectionReader(s.object, p.At, 1<<62))
		s.at = p.At
	}
	s.at += p.Length
	frames := io.LimitReader(s.ahead, p.Length)
	if s.decoder == nil {
		d, err := zstd.NewReader(frames, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, &martsync.Error{Kind: martsync.Internal, Op: "raw: decompress", Err: err}
		}
		s.decoder = d
		return d, nil
	}
	if err := s.decoder.Reset(frames); err != nil {
		return nil, damaged("read", "%s: %w", p.Object, err)
	}
	return s.decoder, nil
}

// A body reads its parts and checks them.
type body struct {
	*bodies
	ctx   context.Context //nolint:containedctx // of the call that yields the body, which it does not outlive
	parts []part

	data io.Reader // of the first of parts; nil: not opened
	read int64     // of it
	err  error
}

// page returns the whole body if it is a page, checked; nil if it is something larger.
func (b *body) page() ([]byte, error) {
	if len(b.parts) > 1 || isFile(b.parts[0].Name) || b.parts[0].Bytes > mostPage {
		return nil, nil
	}
	data := make([]byte, 0, b.parts[0].Bytes+1)
	buffer := bytes.NewBuffer(data)
	if _, err := buffer.ReadFrom(b); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func (b *body) Read(p []byte) (int, error) {
	for b.err == nil && len(b.parts) > 0 {
		if b.data == nil {
			b.err = b.begin()
			continue
		}
		n, err := b.data.Read(p)
		b.read += int64(n)
		_, _ = b.going.hash.Write(p[:n])
		switch {
		case err == io.EOF:
			b.err = b.end()
		case err != nil && b.ctx.Err() != nil:
			b.err = b.ctx.Err()
		case err != nil && (martsync.KindOf(err) == martsync.Transient || martsync.KindOf(err).Waits()):
			b.err = fmt.Errorf("read the raw zone: %w", err)
		case err != nil:
			b.err = damaged("read", "%s in %s: %w", b.parts[0].Name, b.parts[0].Object, err)
		}
		if n > 0 {
			return n, nil
		}
	}
	if b.err != nil {
		return 0, b.err
	}
	return 0, io.EOF
}

// begin opens the first part.
func (b *body) begin() error {
	p := &b.parts[0]
	if g := b.going; g == nil || g.name != p.Name || g.end != p.Offset || g.since != p.Since || p.Offset == p.Since {
		b.going = &hashed{name: p.Name, since: p.Since, end: p.Offset, hash: sha256.New()}
		if p.Offset != p.Since { // reading resumed in the middle: what came before is not read again
			b.going.since = -1
		}
	}
	data, err := b.open(b.ctx, p)
	b.data, b.read = data, 0
	return err
}

// end checks the part that has been read and goes on to the next one.
func (b *body) end() error {
	p := &b.parts[0]
	if b.read != p.Bytes {
		return damaged("read", "%s in %s has %d bytes from %d on, not %d", p.Name, p.Object, b.read, p.Offset, p.Bytes)
	}
	b.going.end += b.read
	if got := hex.EncodeToString(b.going.hash.Sum(nil)); b.going.since >= 0 && got != p.SHA256 {
		return damaged("read", "%s in %s has the SHA-256 %s, not %s", p.Name, p.Object, got, p.SHA256)
	}
	b.parts, b.data = b.parts[1:], nil
	return nil
}
