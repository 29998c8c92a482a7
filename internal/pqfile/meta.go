package pqfile

import (
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// readFooter decodes a footer and checks what readers of row groups rely on. It keeps nothing
// of b.
func readFooter(b []byte) (*format.FileMetaData, error) {
	if n, err := outline(b); err != nil {
		return nil, damaged("footer: %w", err)
	} else if n != len(b) {
		return nil, damaged("footer: %d bytes too many", len(b)-n)
	}
	meta := new(format.FileMetaData)
	if err := thrift.Unmarshal(&thrift.CompactProtocol{}, b, meta); err != nil {
		return nil, damaged("footer: %w", err)
	}
	if len(meta.Schema) == 0 {
		return nil, damaged("it has no schema")
	}
	leaves := meta.Schema[1:]
	if int(meta.Schema[0].NumChildren.V) != len(leaves) {
		return nil, damaged("it has columns within columns")
	}
	var rows int64
	for i := range meta.RowGroups {
		g := &meta.RowGroups[i]
		if g.NumRows < 0 || len(g.Columns) != len(leaves) {
			return nil, damaged("row group %d: %d rows of %d columns", i, g.NumRows, len(g.Columns))
		}
		rows += g.NumRows
		for k := range g.Columns {
			if m := &g.Columns[k].MetaData; m.NumValues != g.NumRows || m.Type != leaves[k].Type.V {
				return nil, damaged("row group %d: column %s does not fit", i, leaves[k].Name)
			}
		}
	}
	if rows != meta.NumRows {
		return nil, damaged("%d rows, of which its row groups have %d", meta.NumRows, rows)
	}
	return meta, nil
}
