package audit

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// A spool finds out which of many hashes come twice, in memory that does not grow with their number:
// they are sorted bucket by bucket. Beyond a few they lie in temporary files.
//
// Two keys of a table with a hundred million rows have the same hash of 64 bits once in four
// thousand audits.
type spool struct {
	dir     string
	memory  []uint64
	buckets [buckets]*os.File
	writers [buckets]*bufio.Writer
}

const (
	buckets    = 64
	inMemory   = 1 << 20 // hashes that are held before files are made: 8 MiB
	bucketRead = 64 << 10
)

func newSpool(dir string) *spool { return &spool{dir: dir} }

// add takes a hash.
func (s *spool) add(hash uint64) error {
	if s.writers[0] == nil {
		s.memory = append(s.memory, hash)
		if len(s.memory) < inMemory {
			return nil
		}
		return s.spill()
	}
	return s.write(hash)
}

// spill moves the hashes from memory to files.
func (s *spool) spill() error {
	for i := range buckets {
		f, err := os.CreateTemp(s.dir, "keys-*")
		if err != nil {
			return fmt.Errorf("put keys by: %w", err)
		}
		s.buckets[i], s.writers[i] = f, bufio.NewWriterSize(f, bucketRead)
	}
	for _, h := range s.memory {
		if err := s.write(h); err != nil {
			return err
		}
	}
	s.memory = nil
	return nil
}

func (s *spool) write(hash uint64) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], hash)
	if _, err := s.writers[hash%buckets].Write(b[:]); err != nil {
		return fmt.Errorf("put keys by: %w", err)
	}
	return nil
}

// doubled counts the hashes that had come before.
func (s *spool) doubled() (n int64, err error) {
	if s.writers[0] == nil {
		return repeats(s.memory), nil
	}
	var all []uint64
	for i, w := range s.writers {
		if err := w.Flush(); err != nil {
			return 0, fmt.Errorf("put keys by: %w", err)
		}
		if _, err := s.buckets[i].Seek(0, io.SeekStart); err != nil {
			return 0, fmt.Errorf("read keys again: %w", err)
		}
		all = all[:0]
		r := bufio.NewReaderSize(s.buckets[i], bucketRead)
		for {
			var b [8]byte
			if _, err := io.ReadFull(r, b[:]); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return 0, fmt.Errorf("read keys again: %w", err)
			}
			all = append(all, binary.LittleEndian.Uint64(b[:]))
		}
		n += repeats(all)
	}
	return n, nil
}

// repeats sorts hashes and counts those that equal the one before.
func repeats(hashes []uint64) (n int64) {
	slices.Sort(hashes)
	for i := 1; i < len(hashes); i++ {
		if hashes[i] == hashes[i-1] {
			n++
		}
	}
	return n
}

// close removes the files.
func (s *spool) close() error {
	var failures []error
	for _, f := range s.buckets {
		if f != nil {
			failures = append(failures, f.Close(), os.Remove(f.Name()))
		}
	}
	return errors.Join(failures...)
}
