//go:build cgo && !lite

package duckdb

import (
	"context"
	"fmt"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/martsync/martsync/internal/sqlgen"
)

// describe reads what one table or view of the schema looks like; nil: there is none. It looks the name up in
// DuckDB's catalog, which takes microseconds. A listing by SQL takes milliseconds: it goes through
// DuckDB's own views too, and through all tables of the file. So nothing of the catalog has to be kept from one look to the
// next, and what a user has dropped or altered meanwhile is seen.
func (d *destination) describe(ctx context.Context, c *conn, name string) (*layout, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l, ok := c.lookUp(d.schema, name); ok {
		return l, nil
	}
	// a view, or columns of types that we never make; or an error, which the listing meets as well
	tables, err := d.layouts(ctx, c)
	return tables[fold(name)], err
}

// notFound is what DuckDB's C interface says of a name that is neither a table nor a view.
const notFound = "No table with that schema+name could be located"

// lookUp describes a table by its name, as the open transaction sees it; nil: there is neither a table nor a view of this
// name. ok is false if the C interface does not tell.
func (c *conn) lookUp(schema, name string) (l *layout, ok bool) {
	if strings.ContainsRune(schema+name, 0) {
		return nil, false // for C the name would end there
	}
	var t bindings.TableDescription
	defer func() { bindings.TableDescriptionDestroy(&t) }()
	if bindings.TableDescriptionCreateExt(c.c, catalog, schema, name, &t) == bindings.StateError {
		return nil, bindings.TableDescriptionError(t) == notFound
	}
	l = &layout{name: name}
	for i := range bindings.TableDescriptionGetColumnCount(t) {
		typ := columnType(t, i)
		column, exact, known := sqlgen.DuckDBColumn(bindings.TableDescriptionGetColumnName(t, i), typ)
		if !known {
			return nil, false
		}
		l.columns = append(l.columns, storedColumn{Column: column, typ: typ, known: true, exact: exact})
	}
	return l, true
}

// typeNames are what SQL calls the types that we make or may widen.
var typeNames = map[bindings.Type]string{
	bindings.TypeBoolean: "BOOLEAN", bindings.TypeBigInt: "BIGINT", bindings.TypeDouble: "DOUBLE", bindings.TypeVarchar: "VARCHAR",
	bindings.TypeBlob: "BLOB", bindings.TypeDate: "DATE", bindings.TypeTimestamp: "TIMESTAMP",
	bindings.TypeTinyInt: "TINYINT", bindings.TypeSmallInt: "SMALLINT", bindings.TypeInteger: "INTEGER",
	bindings.TypeUTinyInt: "UTINYINT", bindings.TypeUSmallInt: "USMALLINT", bindings.TypeUInteger: "UINTEGER",
	bindings.TypeFloat: "FLOAT", bindings.TypeTimestampS: "TIMESTAMP_S", bindings.TypeTimestampMS: "TIMESTAMP_MS",
}

// columnType is the type of a column in SQL; "" for those that typeNames lacks.
func columnType(t bindings.TableDescription, i bindings.IdxT) string {
	typ := bindings.TableDescriptionGetColumnType(t, i)
	defer bindings.DestroyLogicalType(&typ)
	if name := bindings.LogicalTypeGetAlias(typ); name != "" { // JSON, and types that users have made
		return name
	}
	if id := bindings.GetTypeId(typ); id != bindings.TypeDecimal {
		return typeNames[id]
	}
	return fmt.Sprintf("DECIMAL(%d,%d)", bindings.DecimalWidth(typ), bindings.DecimalScale(typ))
}
