//go:build cgo && !lite

package snowflakesim

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// What a query answers comes as Arrow, unless the session wants JSON: the driver makes other Go values
// of it, and loses digits of large decimals where its user forgot to ask for them.

var stampType = arrow.StructOf(
	arrow.Field{Name: "epoch", Type: arrow.PrimitiveTypes.Int64}, arrow.Field{Name: "fraction", Type: arrow.PrimitiveTypes.Int32},
)

// arrowType is the type of a column; small says that all its numbers fit into 64 bits.
func arrowType(t dtype, small bool) arrow.DataType {
	switch t.kind {
	case "NUMBER":
		if small {
			return arrow.PrimitiveTypes.Int64
		}
		return &arrow.Decimal128Type{Precision: 38, Scale: int32(t.s)} //nolint:gosec // at most 37
	case "FLOAT":
		return arrow.PrimitiveTypes.Float64
	case "BOOLEAN":
		return arrow.FixedWidthTypes.Boolean
	case "DATE":
		return arrow.FixedWidthTypes.Date32
	case "TIME":
		return arrow.PrimitiveTypes.Int64
	case "TIMESTAMP_NTZ", "TIMESTAMP_LTZ":
		return stampType
	case "BINARY":
		return arrow.BinaryTypes.Binary
	}
	return arrow.BinaryTypes.String
}

// unscaled is a number without its point, in units of the last digit of the scale.
func unscaled(v string, scale int) string {
	whole, frac, _ := strings.Cut(v, ".")
	return whole + (frac + strings.Repeat("0", scale))[:scale]
}

// asArrow encodes the rows of a result.
func asArrow(r *result) (string, error) {
	fields := make([]arrow.Field, len(r.cols))
	for i, c := range r.cols {
		small := true
		for _, row := range r.rows {
			if row[i] != nil && c.typ.kind == "NUMBER" {
				if _, err := strconv.ParseInt(unscaled(*row[i], c.typ.s), 10, 64); err != nil {
					small = false
				}
			}
		}
		fields[i] = arrow.Field{Name: c.name, Type: arrowType(c.typ, small), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, row := range r.rows {
		for i, v := range row {
			if v == nil {
				b.Field(i).AppendNull()
			} else if err := appendCell(b.Field(i), r.cols[i].typ, *v); err != nil {
				return "", err
			}
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema))
	if err := w.Write(rec); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

func appendCell(b array.Builder, t dtype, v string) error {
	switch b := b.(type) {
	case *array.Int64Builder:
		n, err := strconv.ParseInt(unscaled(v, t.s), 10, 64)
		b.Append(n)
		return err
	case *array.Decimal128Builder:
		n, err := decimal128.FromString(v, 38, int32(t.s)) //nolint:gosec // at most 37
		b.Append(n)
		return err
	case *array.Float64Builder:
		f, err := strconv.ParseFloat(v, 64)
		b.Append(f)
		return err
	case *array.BooleanBuilder:
		b.Append(v == "1")
	case *array.Date32Builder:
		n, err := strconv.ParseInt(v, 10, 32)
		b.Append(arrow.Date32(n))
		return err
	case *array.StructBuilder:
		sec, frac, _ := strings.Cut(v, ".")
		s, err := strconv.ParseInt(sec, 10, 64)
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(frac, 10, 32)
		b.Append(true)
		b.FieldBuilder(0).(*array.Int64Builder).Append(s) // stampType has these
		b.FieldBuilder(1).(*array.Int32Builder).Append(int32(n))
		return err
	case *array.BinaryBuilder:
		raw, err := hex.DecodeString(v)
		b.Append(raw)
		return err
	case *array.StringBuilder:
		b.Append(v)
	}
	return nil
}
