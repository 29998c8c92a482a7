package pqfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"runtime"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/martsync/martsync"
)

var number = []martsync.Column{{Name: "n", Type: martsync.Int64}}

// craft makes a file of one page, which may say of itself what it likes.
func craft(t testing.TB, codec format.CompressionCodec, h format.PageHeader, body []byte) []byte {
	t.Helper()
	h.CompressedPageSize, h.CRC = int32(len(body)), int32(crc32.ChecksumIEEE(body))
	head, err := thrift.Marshal(&thrift.CompactProtocol{}, &h)
	if err != nil {
		t.Fatal(err)
	}
	page := slices.Concat([]byte(magic), head, body)
	meta := format.FileMetaData{
		NumRows: 1, Schema: thrift.Slice[format.SchemaElement]{{Name: "schema", NumChildren: thrift.New(int32(1))}, element(number[0])},
		RowGroups: thrift.Slice[format.RowGroup]{{NumRows: 1, Columns: thrift.Slice[format.ColumnChunk]{{MetaData: format.ColumnMetaData{
			Type: format.Int64, Codec: codec, NumValues: 1, DataPageOffset: 4, TotalCompressedSize: int64(len(page) - 4),
			PathInSchema: thrift.Slice[string]{"n"}, Encoding: thrift.Slice[format.Encoding]{format.Plain},
		}}}}},
	}
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, &meta)
	if err != nil {
		t.Fatal(err)
	}
	return seal(page, footer)
}

// seal puts the footer behind the pages.
func seal(pages, footer []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(slices.Concat(pages, footer), uint32(len(footer))), magic...)
}

func readError(t testing.TB, file []byte) error {
	t.Helper()
	for _, err := range Read(t.Context(), bytes.NewReader(file), int64(len(file)), ReadOptions{Columns: number}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// Sizes that a file claims are not believed: it would take little to ask for much.
func TestReadBelievesNoSizes(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<31-1)
	page := func(h format.DataPageHeader, size int32) format.PageHeader {
		h.DefinitionLevelEncoding = format.RLE
		return format.PageHeader{Type: format.DataPage, UncompressedPageSize: size, DataPageHeader: thrift.New(h)}
	}
	dictionary := format.PageHeader{
		Type: format.DictionaryPage, UncompressedPageSize: 8, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: 1<<31 - 1}),
	}
	press := press{raw: make([]byte, 100)}
	small, err := press.squeeze(Zstd)
	if err != nil {
		t.Fatal(err)
	}
	value := []byte{2, 0, 0, 0, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0}
	ok := page(format.DataPageHeader{NumValues: 1}, int32(len(value)))
	if err := readError(t, craft(t, format.Uncompressed, ok, value)); err != nil {
		t.Fatalf("a file that is as it should be: %v", err)
	}
	tests := map[string][]byte{
		"items of the schema":        seal([]byte(magic), append([]byte{0x29, 0xfc}, huge...)),
		"items of no structure":      seal([]byte(magic), append([]byte{0x29, 0xf5}, huge...)),
		"columns without content":    seal([]byte(magic), append([]byte{0x49, 0x1c, 0x19, 0xfc, 0x80, 0x80, 0x40}, make([]byte, 1<<20)...)),
		"structures in structures":   seal([]byte(magic), bytes.Repeat([]byte{0x1c}, 20<<20)),
		"lists in lists":             seal([]byte(magic), append([]byte{0x19}, bytes.Repeat([]byte{0x19}, 20<<20)...)),
		"a page":                     craft(t, format.Zstd, page(format.DataPageHeader{NumValues: 1}, 1<<31-1), small),
		"a page that is not packed":  craft(t, format.Uncompressed, page(format.DataPageHeader{NumValues: 1}, 1<<31-1), value),
		"a smaller page":             craft(t, format.Zstd, page(format.DataPageHeader{NumValues: 1}, 99), small),
		"rows":                       craft(t, format.Uncompressed, page(format.DataPageHeader{NumValues: 1<<31 - 1}, int32(len(value))), value),
		"entries":                    craft(t, format.Uncompressed, dictionary, make([]byte, 8)),
		"levels":                     craft(t, format.Uncompressed, ok, append([]byte{255, 255, 255, 255}, value[4:]...)),
		"a row too many":             craft(t, format.Uncompressed, page(format.DataPageHeader{NumValues: 1}, int32(len(value)+8)), append(slices.Clone(value), value[6:]...)),
		"indices without dictionary": craft(t, format.Uncompressed, page(format.DataPageHeader{NumValues: 1, Encoding: format.RLEDictionary}, 8), []byte{2, 0, 0, 0, 2, 1, 0, 2}),
		"another encoding":           craft(t, format.Uncompressed, page(format.DataPageHeader{NumValues: 1, Encoding: format.DeltaBinaryPacked}, int32(len(value))), value),
		"another compression":        craft(t, format.Snappy, ok, value),
		"another page":               craft(t, format.Uncompressed, format.PageHeader{Type: format.DataPageV2, UncompressedPageSize: 14}, value),
	}
	for name, file := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := readError(t, file)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrDamaged) || isPanic(err) {
				t.Errorf("got %v, want %v", err, ErrDamaged)
			}
			if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(8<<20+3*len(file)); got > limit {
				t.Errorf("%d bytes of memory for a file of %d", got, len(file))
			}
		})
	}
}

// isPanic reports whether the error was a panic of our own.
func isPanic(err error) bool {
	var e runtime.Error
	return errors.As(err, &e)
}

// Files of others are read if they are as plain as ours.
func TestReadFilesOfOthers(t *testing.T) {
	type row struct {
		N *int64 `parquet:"n,optional"`
	}
	five := int64(5)
	for name, tt := range map[string]struct {
		options []parquet.WriterOption
		damaged bool
	}{
		"version 1":   {options: []parquet.WriterOption{parquet.DataPageVersion(1)}},
		"version 2":   {options: []parquet.WriterOption{parquet.DataPageVersion(2)}, damaged: true},
		"compression": {options: []parquet.WriterOption{parquet.DataPageVersion(1), parquet.Compression(&snappy.Codec{})}, damaged: true},
	} {
		t.Run(name, func(t *testing.T) {
			var file bytes.Buffer
			w := parquet.NewGenericWriter[row](&file, tt.options...)
			if _, err := w.Write([]row{{&five}, {nil}, {&five}}); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			f, err := parquet.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
			if err != nil {
				t.Fatal(err)
			}
			// Go's integers are annotated with their width, ours are not.
			meta := *f.Metadata()
			meta.Schema[1] = element(number[0])
			footer, err := thrift.Marshal(&thrift.CompactProtocol{}, &meta)
			if err != nil {
				t.Fatal(err)
			}
			err = readError(t, seal(file.Bytes(), footer))
			if errors.Is(err, ErrDamaged) != tt.damaged || !tt.damaged && err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}
