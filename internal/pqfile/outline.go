package pqfile

import (
	"encoding/binary"
	"errors"

	"github.com/parquet-go/parquet-go/encoding/thrift"
)

// Bounds of what is handed to the decoder.
const (
	maxDepth = 16 // containers within containers; the format has 8

	// The fewest bytes that a struct in a list takes, with the fields that it must have. A
	// column of a row group is by far the largest one once it is decoded.
	minStruct      = 3
	minColumnChunk = 20
)

// Where the columns of a row group are: fields 4 of the footer and 1 of that.
const columnChunks = 4<<8 | 1

var (
	errShort  = errors.New("a structure is cut off")
	errStruct = errors.New("a structure cannot be what it says")
)

// outline finds where the struct ends that b begins with, and checks that it can be decoded:
// the decoder makes room for as many items as a list claims to have before it looks at them,
// and goes as deep as structs are nested, until it runs out of a stack that cannot be
// recovered.
func outline(b []byte) (int, error) {
	o := outliner{b: b}
	err := o.fields(0, 0)
	return len(b) - len(o.b), err
}

type outliner struct{ b []byte }

func (o *outliner) skip(n uint64) error {
	if n > uint64(len(o.b)) {
		return errShort
	}
	o.b = o.b[n:]
	return nil
}

func (o *outliner) byte() (byte, error) {
	if len(o.b) == 0 {
		return 0, errShort
	}
	c := o.b[0]
	o.b = o.b[1:]
	return c, nil
}

func (o *outliner) uvarint() (uint64, error) {
	v, n := binary.Uvarint(o.b)
	if n <= 0 {
		return 0, errShort
	}
	o.b = o.b[n:]
	return v, nil
}

// fields passes the fields of a struct. The path has a byte for each field that leads to it.
func (o *outliner) fields(path uint64, depth int) error {
	if depth > maxDepth {
		return errStruct
	}
	var id int16
	for {
		head, err := o.byte()
		if err != nil || head == 0 {
			return err
		}
		if delta := int16(head >> 4); delta != 0 {
			id += delta
		} else {
			v, err := o.uvarint()
			if err != nil {
				return err
			}
			id = int16(v>>1) ^ -int16(v&1)
		}
		t := thrift.Type(head & 0xf)
		if t == thrift.TRUE || t == thrift.FALSE { // the type is the value
			continue
		}
		if err := o.value(t, path<<8|uint64(uint8(id)), depth); err != nil {
			return err
		}
	}
}

// value passes a value that takes at least one byte.
func (o *outliner) value(t thrift.Type, path uint64, depth int) error {
	switch t {
	case thrift.TRUE, thrift.FALSE, thrift.I8:
		return o.skip(1)
	case thrift.I16, thrift.I32, thrift.I64:
		_, err := o.uvarint()
		return err
	case thrift.DOUBLE:
		return o.skip(8)
	case thrift.UUID:
		return o.skip(16)
	case thrift.BINARY:
		n, err := o.uvarint()
		if err != nil {
			return err
		}
		return o.skip(n)
	case thrift.LIST, thrift.SET:
		return o.list(path, depth+1)
	case thrift.STRUCT:
		return o.fields(path, depth+1)
	default: // the format has no maps
		return errStruct
	}
}

func (o *outliner) list(path uint64, depth int) error {
	if depth > maxDepth {
		return errStruct
	}
	head, err := o.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 0xf {
		if n, err = o.uvarint(); err != nil {
			return err
		}
	}
	t, least := thrift.Type(head&0xf), 1
	if t == thrift.STRUCT {
		least = minStruct
		if path == columnChunks {
			least = minColumnChunk
		}
	}
	if n > uint64(len(o.b)/least) {
		return errShort
	}
	for range n {
		before := len(o.b)
		if err := o.value(t, path, depth); err != nil {
			return err
		}
		if before-len(o.b) < least {
			return errStruct
		}
	}
	return nil
}
