package pqfile

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/decimal"
)

// pageRows is how many rows a page may have, nulls included.
const pageRows = 20_000

// step is how many rows are added between two looks at the size of a page.
const step = 1024

// kind is how the values of a column are stored.
type kind uint8

const (
	bitKind   kind = iota
	wordKind       // 8 bytes
	smallKind      // 4 bytes, kept in words of 8 until they are written
	wideKind       // 16 bytes
	textKind       // length and bytes
)

func kindOf(c martsync.Column) kind {
	switch c.Type {
	case martsync.Bool:
		return bitKind
	case martsync.Int64, martsync.Timestamp, martsync.Float64:
		return wordKind
	case martsync.Date:
		return smallKind
	case martsync.Decimal:
		if c.Precision <= maxWordDigits {
			return wordKind
		}
		return wideKind
	default:
		return textKind
	}
}

// maxWordDigits is how many digits a decimal of 64 bits can hold.
const maxWordDigits = 18

// A chunk is a column of the row group under way.
type chunk struct {
	column martsync.Column
	kind   kind
	limit  int // bytes of a page
	method Compression

	// The page that is not full yet.
	rows    int
	valid   bitmap   // which rows are not null
	plain   []byte   // their values as they will be stored, or
	indices []uint32 // where they are in the dictionary
	bits    bitmap   // or, of Bool columns

	dict   *dictionary // nil: values are stored plainly
	choice choice
	words  []uint64 // scratch

	// What is done of the chunk.
	pages     pieces // headers and compressed bodies
	dictPage  pieces
	counts    [2]int32 // pages by encoding: plain, dictionary
	total     int64    // rows
	nulls     int64
	size      int64 // of all pages before compression, with headers
	stats     stats
	err       error
	headerBuf thrift.CompactProtocol
}

func newChunk(c martsync.Column, limit int, method Compression) *chunk {
	k := &chunk{column: c, kind: kindOf(c), limit: limit, method: method}
	k.choice.init(k.kind)
	k.reset()
	return k
}

func (c *chunk) reset() {
	c.pages.reset()
	c.dictPage.reset()
	c.counts, c.total, c.nulls, c.size = [2]int32{}, 0, 0, 0
	c.stats.reset(c.column, c.kind)
	c.dict = c.choice.start()
}

// append adds n rows of v.
func (c *chunk) append(v *martsync.Vector, n int, press *press) {
	for from := 0; from < n && c.err == nil; {
		to := min(n, from+step, from+pageRows-c.rows)
		c.appendRows(v, from, to)
		from = to
		if c.rows == pageRows || len(c.plain) >= c.limit || c.choice.overflow(c.dict) {
			c.flush(press)
		}
	}
}

func (c *chunk) appendRows(v *martsync.Vector, from, to int) {
	var nulls []bool
	if v.Nulls != nil {
		nulls = v.Nulls[from:to]
	}
	c.rows += to - from
	c.nulls += int64(c.valid.appendNot(nulls, to-from))
	switch c.kind {
	case bitKind:
		values := v.Bools[from:to]
		c.stats.addBools(values, nulls)
		c.bits.appendValid(values, nulls)
	case textKind:
		c.appendText(v, nulls, from, to)
	case wideKind:
		for i := from; i < to; i++ {
			if nulls == nil || !nulls[i-from] {
				d := v.Decimals[i]
				c.stats.addWide(d)
				c.plain = binary.BigEndian.AppendUint64(c.plain, uint64(d.Hi))
				c.plain = binary.BigEndian.AppendUint64(c.plain, d.Lo)
			}
		}
	default:
		if !c.gather(v, nulls, from, to) {
			c.err = errors.New("a decimal has more digits than its column")
			return
		}
		c.stats.addWords(c.words)
		if c.dict != nil {
			c.indices = c.dict.addWords(c.indices, c.words)
			c.settle()
		} else {
			c.appendWords(c.words)
		}
	}
}

// gather collects the values that are not null as words. It reports false if one does not
// fit.
func (c *chunk) gather(v *martsync.Vector, nulls []bool, from, to int) bool {
	words := c.words[:0]
	fits := true
	for i := from; i < to; i++ {
		if nulls != nil && nulls[i-from] {
			continue
		}
		var w uint64
		switch v.Type {
		case martsync.Float64:
			w = math.Float64bits(v.Floats[i])
		case martsync.Date:
			w = uint64(int64(v.Days[i]))
		case martsync.Decimal:
			n, ok := decimal.Int64(v.Decimals[i])
			w, fits = uint64(n), fits && ok
		default:
			w = uint64(v.Ints[i])
		}
		words = append(words, w)
	}
	c.words = words
	return fits
}

func (c *chunk) appendWords(words []uint64) {
	plain := c.plain
	if c.kind == smallKind {
		for _, w := range words {
			plain = binary.LittleEndian.AppendUint32(plain, uint32(w))
		}
	} else {
		for _, w := range words {
			plain = binary.LittleEndian.AppendUint64(plain, w)
		}
	}
	c.plain = plain
}

func (c *chunk) appendText(v *martsync.Vector, nulls []bool, from, to int) {
	data, offsets := v.Data, v.Offsets
	if c.dict != nil {
		for i := from; i < to; i++ {
			if nulls == nil || !nulls[i-from] {
				c.indices = append(c.indices, c.dict.addText(data[offsets[i]:offsets[i+1]]))
			}
		}
		c.settle()
		return
	}
	plain := c.plain
	for i := from; i < to; i++ {
		if nulls == nil || !nulls[i-from] {
			text := data[offsets[i]:offsets[i+1]]
			c.stats.addText(text)
			plain = binary.LittleEndian.AppendUint32(plain, uint32(len(text)))
			plain = append(plain, text...)
		}
	}
	c.plain = plain
}

// settle drops the dictionary if it does not look worth its while and no page uses it yet:
// the one under way becomes a plain one.
func (c *chunk) settle() {
	if c.counts[1] > 0 || c.choice.keep(c.dict) {
		return
	}
	for _, i := range c.indices {
		if c.kind == textKind {
			c.plain = append(c.plain, c.dict.entry(i)...)
		} else {
			c.appendWords(c.dict.words[i : i+1])
		}
	}
	if c.kind == textKind {
		c.stats.addEntries(c.dict)
	}
	c.indices, c.dict = c.indices[:0], nil
}

// flush ends the page. If the dictionary has become too large, the next ones do without.
func (c *chunk) flush(press *press) {
	if c.rows == 0 {
		return
	}
	raw := c.valid.appendLevels(append(press.raw[:0], 0, 0, 0, 0)) // their length is filled in below
	binary.LittleEndian.PutUint32(raw, uint32(len(raw)-4))
	encoding := format.Plain
	switch {
	case c.dict != nil && len(c.indices) > 0:
		encoding = format.RLEDictionary
		raw = appendIndices(raw, c.indices, c.dict.len())
		c.counts[1]++
	case c.kind == bitKind:
		raw = c.bits.appendTo(raw)
		c.counts[0]++
	default:
		raw = append(raw, c.plain...)
		c.counts[0]++
	}
	press.raw = raw
	c.appendPage(&c.pages, press, &format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(c.rows), Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
			Statistics: format.Statistics{NullCount: int64(c.valid.zeros)},
		}),
	})
	c.total += int64(c.rows)
	c.rows = 0
	c.valid.reset()
	c.bits.reset()
	c.plain, c.indices = c.plain[:0], c.indices[:0]
	if cap(c.plain) > 16*c.limit { // a row of unusual size
		c.plain = nil
	}
	if c.choice.overflow(c.dict) {
		c.writeDictionary(press)
	}
}

// appendPage appends the page whose body is press.raw.
func (c *chunk) appendPage(dst *pieces, press *press, h *format.PageHeader) {
	if len(press.raw) > math.MaxInt32 {
		c.err = errors.New("a page is too large")
		return
	}
	body, err := press.squeeze(c.method)
	if err != nil {
		c.err = err
		return
	}
	h.UncompressedPageSize = int32(len(press.raw))
	h.CompressedPageSize = int32(len(body))
	h.CRC = int32(crc32.ChecksumIEEE(body))
	header, err := thrift.Marshal(&c.headerBuf, h)
	if err != nil {
		c.err = err
		return
	}
	c.size += int64(len(header) + len(press.raw))
	dst.append(header, body)
}

// finish ends the chunk.
func (c *chunk) finish(press *press) {
	c.flush(press)
	if c.dict != nil {
		c.writeDictionary(press)
	}
}

// writeDictionary makes the page of the dictionary, and values from here on plain.
func (c *chunk) writeDictionary(press *press) {
	c.choice.learn(c.dict)
	if c.kind == textKind {
		c.stats.addEntries(c.dict)
	}
	if c.counts[1] > 0 { // else all rows were null
		press.raw = c.dict.appendTo(press.raw[:0], c.kind)
		c.appendPage(&c.dictPage, press, &format.PageHeader{
			Type:                 format.DictionaryPage,
			DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(c.dict.len()), Encoding: format.Plain}),
		})
	}
	c.dict = nil
}

// metadata describes the chunk, which begins at offset in the file.
func (c *chunk) metadata(offset int64) format.ColumnMetaData {
	m := format.ColumnMetaData{
		Type: physical(c.column), Codec: c.method.codec(), NumValues: c.total,
		PathInSchema:          thrift.Slice[string]{c.column.Name},
		Encoding:              thrift.Slice[format.Encoding]{format.RLE, format.Plain},
		TotalUncompressedSize: c.size,
		TotalCompressedSize:   int64(c.dictPage.size + c.pages.size),
		DataPageOffset:        offset + int64(c.dictPage.size),
		Statistics:            c.stats.format(c.nulls),
	}
	if c.dictPage.size > 0 {
		m.DictionaryPageOffset = offset
		m.Encoding = append(m.Encoding, format.RLEDictionary)
		m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: format.DictionaryPage, Encoding: format.Plain, Count: 1})
	}
	for i, encoding := range []format.Encoding{format.Plain, format.RLEDictionary} {
		if c.counts[i] > 0 {
			m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: format.DataPage, Encoding: encoding, Count: c.counts[i]})
		}
	}
	return m
}
