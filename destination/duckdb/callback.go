//go:build cgo && !lite

package duckdb

/*
#include <stdint.h>
#include <stdlib.h>

void martsync_feed_bind(void *);
void martsync_feed_init(void *);
void martsync_feed_next(void *, void *);
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/martsync/martsync"
)

// This file is the edge to DuckDB's threads: the table function martsync_feed(id), which gives
// the rows of a feed to the statement that names its id.

func registerFeed(c *conn) error {
	f := bindings.CreateTableFunction()
	defer bindings.DestroyTableFunction(&f)
	bindings.TableFunctionSetName(f, "martsync_feed")
	id := bindings.CreateLogicalType(bindings.TypeBigInt)
	defer bindings.DestroyLogicalType(&id)
	bindings.TableFunctionAddParameter(f, id)
	bindings.TableFunctionSetBind(f, C.martsync_feed_bind)
	bindings.TableFunctionSetInit(f, C.martsync_feed_init)
	bindings.TableFunctionSetFunction(f, C.martsync_feed_next)
	if bindings.RegisterTableFunction(c.c, f) == bindings.StateError {
		return errors.New("DuckDB does not take the table function martsync_feed")
	}
	return nil
}

// logicalType is the DuckDB type of a column. The caller destroys it.
func logicalType(c martsync.Column) bindings.LogicalType {
	switch c.Type {
	case martsync.Bool:
		return bindings.CreateLogicalType(bindings.TypeBoolean)
	case martsync.Int64:
		return bindings.CreateLogicalType(bindings.TypeBigInt)
	case martsync.Float64:
		return bindings.CreateLogicalType(bindings.TypeDouble)
	case martsync.Decimal:
		return bindings.CreateDecimalType(uint8(c.Precision), uint8(c.Scale))
	case martsync.Binary:
		return bindings.CreateLogicalType(bindings.TypeBlob)
	case martsync.Date:
		return bindings.CreateLogicalType(bindings.TypeDate)
	case martsync.Timestamp:
		return bindings.CreateLogicalType(bindings.TypeTimestamp)
	case martsync.JSON:
		// the type JSON is text with a name; without the name every value would be cast
		t := bindings.CreateLogicalType(bindings.TypeVarchar)
		bindings.LogicalTypeSetAlias(t, "JSON")
		return t
	default:
		return bindings.CreateLogicalType(bindings.TypeVarchar)
	}
}

//export martsync_feed_bind
func martsync_feed_bind(p unsafe.Pointer) {
	info := bindings.BindInfo{Ptr: p}
	parameter := bindings.BindGetParameter(info, 0)
	id := bindings.GetInt64(parameter)
	bindings.DestroyValue(&parameter)
	f, ok := feeds.Load(id)
	if !ok {
		bindings.BindSetError(info, fmt.Sprintf("there is no feed %d", id))
		return
	}
	for _, c := range f.(*feed).columns {
		t := logicalType(c)
		bindings.BindAddResultColumn(info, c.Name, t)
		bindings.DestroyLogicalType(&t)
	}
	// C memory that holds the id: a Go pointer may not be left with C, and a number may not
	// pass for a pointer
	data := C.malloc(8)
	*(*int64)(data) = id
	bindings.BindSetBindData(info, data, C.free)
}

//export martsync_feed_init
func martsync_feed_init(p unsafe.Pointer) {
	info := bindings.InitInfo{Ptr: p}
	threads := 1
	if f, ok := feeds.Load(*(*int64)(bindings.InitGetBindData(info))); ok {
		threads = f.(*feed).threads()
	}
	bindings.InitSetMaxThreads(info, bindings.IdxT(threads))
}

//export martsync_feed_next
func martsync_feed_next(p, chunk unsafe.Pointer) {
	info := bindings.FunctionInfo{Ptr: p}
	defer func() {
		if r := recover(); r != nil { // a panic cannot pass through DuckDB's frames
			bindings.FunctionSetError(info, fmt.Sprintf("panic: %v", r))
		}
	}()
	id := *(*int64)(bindings.FunctionGetBindData(info))
	f, ok := feeds.Load(id)
	if !ok {
		bindings.FunctionSetError(info, fmt.Sprintf("there is no feed %d", id))
		return
	}
	if err := f.(*feed).next(chunk); err != nil {
		bindings.FunctionSetError(info, err.Error())
	}
}
