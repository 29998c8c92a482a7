package marketo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/martsync/martsync"
	"pgregory.net/rapid"
)

// cutting serves data from an offset and breaks off after a random number of bytes.
type cutting struct {
	data  []byte
	cut   func(offset int64) int64 // bytes until the break; -1: none
	opens []int64
}

func (c *cutting) open(_ context.Context, offset int64) (io.ReadCloser, error) {
	c.opens = append(c.opens, offset)
	rest := c.data[min(offset, int64(len(c.data))):]
	if n := c.cut(offset); n >= 0 && n < int64(len(rest)) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(rest[:n]), iotest.ErrReader(errors.New("connection reset")))), nil
	}
	return io.NopCloser(bytes.NewReader(rest)), nil
}

func TestE10DownloadResumesAtTheRightByte(t *testing.T) {
	data := make([]byte, 2*markEvery+12_345)
	r := rand.NewChaCha8([32]byte{2})
	_, _ = r.Read(data)
	want := sha256.Sum256(data)
	size := int64(len(data))
	rapid.Check(t, func(t *rapid.T) {
		c := &cutting{data: data, cut: func(int64) int64 { return rapid.Int64Range(1, 150_000).Draw(t, "cut") }}
		j := &job{}
		if rapid.Bool().Draw(t, "size told") {
			j.Size = &size
		}
		skip := int64(0)
		if rapid.Bool().Draw(t, "resumed") {
			h := newRollingHash()
			_, _ = h.Write(data)
			skip = rapid.Int64Range(0, size-1).Draw(t, "offset")
			m := h.mark(skip)
			j.File = &filePosition{Offset: skip, Hashed: m.at, Hash: m.state}
		}
		d, err := newDownload(context.Background(), j, c.open)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(d)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, data[skip:]) {
			t.Fatalf("got %d bytes, want the %d from %d on", len(got), size-skip, skip)
		}
		if n, sum := d.hash.total(); n != size || !bytes.Equal(sum, want[:]) {
			t.Errorf("hashed %d bytes to %x, want %d to %x", n, sum, size, want)
		}
		if d.cuts != int64(len(c.opens)-1) {
			t.Errorf("%d breaks and %d connections", d.cuts, len(c.opens))
		}
	})
}

func TestDownloadEnds(t *testing.T) {
	data := []byte("id\n1\n2\n")
	told := func(n int64) *job { return &job{Size: &n} }
	for _, c := range []struct {
		name  string
		job   *job
		cut   int64
		bytes int
		kind  martsync.Kind // Internal: no error
		opens int
	}{
		{"whole", told(7), -1, 7, martsync.Internal, 1},
		{"size not told", &job{}, -1, 7, martsync.Internal, 1},
		{"shorter than told", told(9), -1, 7, martsync.Transient, 1 + cutsMost},
		{"longer than told", told(5), -1, 7, martsync.Internal, 1},
		{"never a byte", told(7), 0, 0, martsync.Transient, 1 + cutsMost},
		{"no bytes told", told(0), -1, 0, martsync.Internal, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &cutting{data: data, cut: func(int64) int64 { return c.cut }}
			d, err := newDownload(t.Context(), c.job, s.open)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(d)
			if len(got) != c.bytes || len(s.opens) != c.opens {
				t.Errorf("got %d bytes in %d connections (%v), want %d in %d", len(got), len(s.opens), s.opens, c.bytes, c.opens)
			}
			if c.kind == martsync.Internal && err != nil || c.kind != martsync.Internal && martsync.KindOf(err) != c.kind {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDownloadStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &cutting{data: []byte("id\n1\n"), cut: func(int64) int64 { cancel(); return 2 }}
	d, err := newDownload(ctx, &job{}, s.open)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(d); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if len(s.opens) != 1 {
		t.Errorf("connected %d times", len(s.opens))
	}
}
