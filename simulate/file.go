package simulate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
)

// A Mark is a place in generated content from which generation can start again.
type Mark struct {
	Pos    [3]int64 // the generator's own position
	Rows   int64    // rows emitted so far
	Extra  int64    // the generator's own count, for example of damaged rows
	offset int64
}

// A Generator emits content from a mark on, in pieces of some ten kilobytes, and tells before
// each piece the mark at which the piece begins. The zero Mark is the beginning. Equal marks must
// be followed by equal bytes. It stops when emit fails and returns that error. The bytes are
// borrowed: emit does not keep them. The last call of emit may have no bytes; its mark has the
// number of all rows.
type Generator func(from Mark, emit func(at Mark, p []byte) error) error

// markEvery is how many bytes may have to be generated in vain to serve a range.
const markEvery = 1 << 20

// A File is generated content whose length and hash are known. It keeps a mark for every
// megabyte and nothing else, so files of any size cost no memory.
type File struct {
	Size   int64
	Rows   int64
	SHA256 string // hex

	generate Generator
	marks    []Mark
}

// NewFile generates the content once to learn its size and hash.
func NewFile(g Generator) (*File, error) {
	f := &File{generate: g}
	sum := sha256.New()
	err := g(Mark{}, func(at Mark, p []byte) error {
		if n := len(f.marks); n == 0 || f.Size-f.marks[n-1].offset >= markEvery {
			at.offset = f.Size
			f.marks = append(f.marks, at)
		}
		f.Rows = at.Rows
		f.Size += int64(len(p))
		_, _ = sum.Write(p) // a hash takes everything
		return nil
	})
	if err != nil {
		return nil, err
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f, nil
}

var errEnough = errors.New("enough")

// WriteRange generates n bytes from offset into w. The range must lie within the file.
func (f *File) WriteRange(w io.Writer, offset, n int64) error {
	if n == 0 {
		return nil
	}
	i := 0
	for i+1 < len(f.marks) && f.marks[i+1].offset <= offset {
		i++
	}
	skip := offset - f.marks[i].offset
	err := f.generate(f.marks[i], func(_ Mark, p []byte) error {
		if skip >= int64(len(p)) {
			skip -= int64(len(p))
			return nil
		}
		p = p[skip:]
		skip = 0
		p = p[:min(int64(len(p)), n)]
		if _, err := w.Write(p); err != nil {
			return err
		}
		if n -= int64(len(p)); n == 0 {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err != nil:
		return err
	case n > 0:
		return errors.New("simulate: generated content has become shorter")
	}
	return nil
}
