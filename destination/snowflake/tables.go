package snowflake

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

var _ martsync.TableLister = (*destination)(nil)

// showLimit is how many rows SHOW returns at most.
// https://docs.snowflake.com/en/sql-reference/sql/show-columns
const showLimit = 10_000

// Tables lists the tables of the schema, whoever made them, but for those that martsync keeps for itself. It
// needs no warehouse.
func (d *destination) Tables(ctx context.Context) ([]martsync.Table, error) {
	in := " IN SCHEMA " + sqlgen.Name(d.database, d.schema)
	rows, err := d.show(ctx, "list tables", "SHOW TABLES"+in)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var tables []martsync.Table
	at := map[string]int{}
	for _, r := range rows {
		name := r["name"]
		if strings.HasPrefix(lower(name), sqlgen.Prefix) {
			continue
		}
		n, err := strconv.ParseInt(r["rows"], 10, 64)
		if err != nil {
			n = -1 // external tables have no count
		}
		at[name] = len(tables)
		tables = append(tables, martsync.Table{Name: name, Rows: n})
	}
	columns, err := d.show(ctx, "list columns", "SHOW COLUMNS"+in)
	if err != nil {
		return nil, err
	}
	if len(columns) < showLimit {
		for _, r := range columns {
			if i, ok := at[r["table_name"]]; ok {
				tables[i].Columns = append(tables[i].Columns, martsync.TableColumn{Name: r["column_name"], Type: shownType(r["data_type"])})
			}
		}
		return tables, nil
	}
	for i := range tables { // the list is cut: ask one by one
		columns, err := d.describe(ctx, []string{d.database, d.schema, tables[i].Name})
		if err != nil {
			return nil, err
		}
		for _, c := range columns {
			tables[i].Columns = append(tables[i].Columns, martsync.TableColumn{Name: c.name, Type: c.typ})
		}
	}
	return tables, nil
}

// shownType is a type in the words of DESCRIBE; SHOW COLUMNS gives it as JSON, in the engine's words.
func shownType(data string) string {
	var t struct {
		Type      string `json:"type"`
		Precision int    `json:"precision"`
		Scale     int    `json:"scale"`
		Length    int    `json:"length"`
	}
	if json.Unmarshal([]byte(data), &t) != nil {
		return data
	}
	switch t.Type {
	case "FIXED":
		return fmt.Sprintf("NUMBER(%d,%d)", t.Precision, t.Scale)
	case "TEXT":
		return fmt.Sprintf("VARCHAR(%d)", t.Length)
	case "BINARY":
		return fmt.Sprintf("BINARY(%d)", t.Length)
	case "REAL":
		return "FLOAT"
	case "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ", "TIME":
		return fmt.Sprintf("%s(%d)", t.Type, t.Scale)
	}
	return t.Type
}
