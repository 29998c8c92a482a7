package pqfile

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/martsync/martsync"
)

// footer returns everything after the last row group.
func (p *Writer) footer() ([]byte, error) {
	chunks := p.chunks
	if p.optional >= 0 && !p.tombstone {
		// Its pages stay in the file, a few bytes a row group that nothing points to: rows were
		// written before it was known that no tombstone would come.
		chunks = slices.Delete(slices.Clone(chunks), p.optional, p.optional+1)
		for i := range p.groups {
			g := &p.groups[i]
			dropped := g.Columns[p.optional].MetaData
			g.Columns = slices.Delete(g.Columns, p.optional, p.optional+1)
			g.TotalByteSize -= dropped.TotalUncompressedSize
			g.TotalCompressedSize -= dropped.TotalCompressedSize
		}
	}
	meta := format.FileMetaData{
		Version: 1, NumRows: p.rows, RowGroups: p.groups,
		CreatedBy: "martsync", // no version: the same records shall give the same bytes
		Schema:    thrift.Slice[format.SchemaElement]{{Name: "schema", NumChildren: thrift.New(int32(len(chunks)))}},
	}
	for _, c := range chunks {
		meta.Schema = append(meta.Schema, element(c.column))
		meta.ColumnOrders = append(meta.ColumnOrders, format.ColumnOrder{Value: &format.TypeDefinedOrder{}})
	}
	for _, pair := range p.o.Metadata {
		meta.KeyValueMetadata = append(meta.KeyValueMetadata, format.KeyValue{Key: pair[0], Value: pair[1]})
	}
	b, err := thrift.Marshal(&thrift.CompactProtocol{}, &meta)
	if err != nil {
		return nil, fmt.Errorf("write parquet: footer: %w", err)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(b)))
	return append(b, magic...), nil
}

func physical(c martsync.Column) format.Type {
	switch kindOf(c) {
	case bitKind:
		return format.Boolean
	case smallKind:
		return format.Int32
	case wideKind:
		return format.FixedLenByteArray
	case textKind:
		return format.ByteArray
	case wordKind:
	}
	if c.Type == martsync.Float64 {
		return format.Double
	}
	return format.Int64
}

// element describes a column. Readers of the first version of the format know only its
// converted type.
func element(c martsync.Column) format.SchemaElement {
	e := format.SchemaElement{Name: c.Name, Type: thrift.New(physical(c)), RepetitionType: thrift.New(format.Optional)}
	convert := func(t deprecated.ConvertedType) { e.ConvertedType = thrift.New(t) }
	switch c.Type {
	case martsync.Decimal:
		e.LogicalType.Value = &format.DecimalType{Scale: int32(c.Scale), Precision: int32(c.Precision)}
		e.Scale, e.Precision = thrift.New(int32(c.Scale)), thrift.New(int32(c.Precision))
		if kindOf(c) == wideKind {
			e.TypeLength = thrift.New(int32(16))
		}
		convert(deprecated.Decimal)
	case martsync.String:
		e.LogicalType.Value = &format.StringType{}
		convert(deprecated.UTF8)
	case martsync.Date:
		e.LogicalType.Value = &format.DateType{}
		convert(deprecated.Date)
	case martsync.Timestamp:
		e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: &format.MicroSeconds{}}}
		convert(deprecated.TimestampMicros)
	case martsync.JSON:
		e.LogicalType.Value = &format.JsonType{}
		convert(deprecated.Json)
	default: // the physical type says it all
	}
	return e
}
