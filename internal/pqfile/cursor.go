package pqfile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// windowBytes is how much is read at once where a row group is too large for the cache. No
// header of a page is larger.
const windowBytes = 64 << 10

// oldDictionary is what both encodings of dictionaries are called in old files of others.
const oldDictionary = format.PlainDictionary //nolint:staticcheck // only read, never written

// A cursor reads one column, value by value. It has one page of it in memory, and the
// dictionary.
type cursor struct {
	cache *cache
	leaf  int // its place in the file
	name  string
	kind  kind

	// The chunk of the row group under way.
	codec    format.CompressionCodec
	at, end  int64 // bytes not read yet
	left     int64 // rows of pages to come
	dict     entries
	window   []byte // of the file, if the cache does not have it
	windowAt int64

	// The page under way.
	rows    int
	levels  hybrid
	indexed bool // whether values are indices, else they are plain
	indices hybrid
	plain   plain
	room    []byte // memory for it
	value   value

	header format.PageHeader
	reader thrift.BytesReader
}

func (c *cursor) blame(err error) error { return fmt.Errorf("column %s: %w", c.name, err) }

// begin turns to another row group.
func (c *cursor) begin(chunk *format.ColumnChunk) (err error) {
	if chunk.FilePath != "" {
		return damaged("it is in another file")
	}
	m := &chunk.MetaData
	c.codec, c.left, c.rows = m.Codec, m.NumValues, 0
	c.window, c.windowAt = c.window[:0], 0
	c.dict.reset()
	c.at, c.end, err = c.cache.extent(m)
	return err
}

// next returns the next value, which is valid until the next call.
func (c *cursor) next() (*value, error) {
	for c.rows == 0 {
		if err := c.readPage(); err != nil {
			return nil, err
		}
	}
	c.rows--
	level, ok := c.levels.next()
	v := &c.value
	*v = value{null: level == 0}
	switch {
	case !ok || v.null:
	case c.indexed:
		var i uint32
		if i, ok = c.indices.next(); ok {
			ok = c.dict.get(v, i)
		}
	default:
		ok = c.plain.next(v)
	}
	if !ok {
		return nil, damaged("a page has fewer values than it says")
	}
	if c.rows == 0 && !c.indexed && !c.plain.done() {
		return nil, damaged("a page has more values than it says")
	}
	return v, nil
}

// look returns the next n bytes of the chunk, or all that are left of it. They are valid
// until the next call.
func (c *cursor) look(n int64) ([]byte, error) {
	n = min(n, c.end-c.at)
	if c.cache.has(c.at, c.at+n) {
		return c.cache.data[c.at-c.cache.at:][:n], nil
	}
	if c.at < c.windowAt || c.at+n > c.windowAt+int64(len(c.window)) {
		size := min(max(n, windowBytes), c.end-c.at)
		if int64(cap(c.window)) < size || cap(c.window) > maxSpare {
			c.window = make([]byte, size)
		}
		c.window, c.windowAt = c.window[:size], c.at
		if err := c.cache.read(c.window, c.at); err != nil {
			return nil, err
		}
	}
	return c.window[c.at-c.windowAt:][:n], nil
}

// readPage turns to the next page of rows.
func (c *cursor) readPage() error {
	if c.left <= 0 || c.at >= c.end {
		return damaged("it has fewer pages than it should have")
	}
	if err := c.readHeader(); err != nil {
		return err
	}
	h := &c.header
	size := int64(h.CompressedPageSize)
	if size < 0 || size > c.end-c.at || h.UncompressedPageSize < 0 {
		return damaged("a page claims to have %d bytes, compressed %d", h.UncompressedPageSize, size)
	}
	body, err := c.look(size)
	if err != nil {
		return err
	}
	c.at += size
	if h.CRC != 0 && uint32(h.CRC) != crc32.ChecksumIEEE(body) { // files of others may have none
		return damaged("the checksum of a page is wrong")
	}
	if h.Type != format.DataPage && h.Type != format.DictionaryPage {
		return damaged("a page of type %v is not supported", h.Type)
	}
	if cap(c.room) > maxSpare {
		c.room = nil
	}
	if body, err = expand(c.codec, body, c.room, int(h.UncompressedPageSize)); err != nil {
		return err
	}
	if c.codec != format.Uncompressed {
		c.room = body
	}
	if h.Type == format.DictionaryPage {
		return c.readDictionary(body)
	}
	return c.beginPage(body)
}

func (c *cursor) readHeader() error {
	b, err := c.look(windowBytes)
	if err != nil {
		return err
	}
	n, err := outline(b)
	if err != nil {
		return damaged("header of a page: %w", err)
	}
	if c.reader == nil {
		c.reader = (&thrift.CompactProtocol{}).NewReaderFromBytes(nil)
	}
	c.reader.ResetBytes(b[:n])
	c.header = format.PageHeader{}
	if err := thrift.NewDecoder(c.reader).Decode(&c.header); err != nil {
		return damaged("header of a page: %w", err)
	}
	c.at += int64(n)
	return nil
}

func (c *cursor) readDictionary(body []byte) error {
	h, ok := c.header.DictionaryPageHeader.Get()
	if !ok || h.NumValues < 0 {
		return damaged("a dictionary has no header")
	}
	if h.Encoding != format.Plain && h.Encoding != oldDictionary {
		return damaged("a dictionary of encoding %v is not supported", h.Encoding)
	}
	c.dict.reset()
	if !c.dict.add(plain{kind: c.kind, data: body}, int(h.NumValues)) {
		return damaged("a dictionary has other than %d entries", h.NumValues)
	}
	return nil
}

// beginPage begins a page of rows: the definition levels, which say what is not null, and the
// values of that.
func (c *cursor) beginPage(body []byte) error {
	h, ok := c.header.DataPageHeader.Get()
	if !ok || h.NumValues < 0 || int64(h.NumValues) > c.left {
		return damaged("a page has %d rows of %d", h.NumValues, c.left)
	}
	if h.DefinitionLevelEncoding != format.RLE {
		return damaged("definition levels of encoding %v are not supported", h.DefinitionLevelEncoding)
	}
	if len(body) < 4 || uint64(binary.LittleEndian.Uint32(body)) > uint64(len(body)-4) {
		return damaged("a page is cut off")
	}
	n := 4 + int(binary.LittleEndian.Uint32(body))
	c.levels = hybrid{data: body[4:n], width: 1}
	body = body[n:]
	switch h.Encoding {
	case format.Plain:
		c.indexed, c.plain = false, plain{kind: c.kind, data: body}
	case format.RLEDictionary, oldDictionary:
		c.indexed, c.indices = true, hybrid{}
		if len(body) > 0 { // else all rows are null
			if body[0] > 32 {
				return damaged("indices of %d bits", body[0])
			}
			c.indices = hybrid{data: body[1:], width: int(body[0])}
		}
	default:
		return damaged("a page of encoding %v is not supported", h.Encoding)
	}
	c.rows = int(h.NumValues)
	c.left -= int64(h.NumValues)
	return nil
}
