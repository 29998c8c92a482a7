package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/internal/rows"
)

func (a *app) readCommand() *cobra.Command {
	var ids, fields []string
	var format string
	c := &cobra.Command{
		Use:   "read SOURCE STREAM --id ID[,ID…]",
		Short: "Reads single records from the vendor",
		Long: `Reads records by id, from the vendor and not from the tables, and prints them.

Ids that do not exist are named on stderr; the exit code stays 0.`,
		Example: "  martsync read marketo leads --id 12,15 --fields email,score\n  martsync read marketo leads --id 12 --format csv",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.read(ctx, args[0], args[1], ids, fields, format)
		},
	}
	c.Flags().StringSliceVar(&ids, "id", nil, "`ids` of the records, separated by commas")
	c.Flags().StringSliceVar(&fields, "fields", nil, "columns wanted, separated by commas (default all)")
	c.Flags().StringVar(&format, "format", "", "json (a line a record), csv or table (default table on a terminal, else json)")
	return c
}

func (a *app) read(ctx context.Context, name, stream string, ids, fields []string, format string) error {
	if len(ids) == 0 {
		return usageError(errors.New("--id is missing"), "Name the records, as in --id 12,15.")
	}
	if format == "" {
		format = "json"
		if a.out.Terminal() {
			format = "table"
		}
	}
	if format != "json" && format != "csv" && format != "table" {
		return usageError(fmt.Errorf("--format is %q", format), "Use json, csv or table.")
	}
	s, source, err := a.openNamed(ctx, name)
	if err != nil {
		return err
	}
	lookuper, ok := source.(martsync.Lookuper)
	if !ok {
		return errNoAbility("read "+stream, s.Name, s.Connector.Title)
	}
	schema, records, err := lookuper.Lookup(ctx, stream, ids, fields)
	if errors.Is(err, martsync.ErrUnsupported) {
		return &martsync.Error{
			Kind: martsync.Config, Op: "read " + stream, Err: errors.New("its records cannot be read by id"),
			Hint: "martsync streams lists the streams; martsync api makes any call.",
		}
	}
	if err != nil {
		return err
	}
	found, err := a.writeRecords(schema, records, format)
	if err != nil {
		return err
	}
	if missing := len(ids) - found; missing > 0 {
		a.say("%s of %d not found.", report.Plural(int64(missing), "record", "records"), len(ids))
	}
	return nil
}

// writeRecords prints records and counts them.
func (a *app) writeRecords(schema martsync.Schema, records iter.Seq2[*martsync.Records, error], format string) (n int, err error) {
	var names []string
	table := report.Table{}
	for _, c := range schema.Columns {
		names = append(names, c.Name)
		table.Columns = append(table.Columns, report.Column{Name: c.Name, Flexible: c.Type == martsync.String || c.Type == martsync.JSON})
	}
	writer := csv.NewWriter(a.out)
	if format == "csv" {
		if err := writer.Write(names); err != nil {
			return 0, fmt.Errorf("write CSV: %w", err)
		}
	}
	for r, err := range records {
		if err != nil {
			return n, err
		}
		for _, row := range rows.Of(schema.Columns, r) {
			n++
			switch format {
			case "json":
				err = a.writeLine(names, row)
			case "csv":
				err = writer.Write(texts(row))
			default:
				table.Add(texts(row)...)
			}
			if err != nil {
				return n, fmt.Errorf("write records: %w", err)
			}
		}
	}
	writer.Flush()
	if err := writer.Error(); err != nil {
		return n, fmt.Errorf("write CSV: %w", err)
	}
	if format == "table" {
		return n, table.WriteTo(a.out)
	}
	return n, nil
}

// writeLine writes a record as a line of JSON, its columns in their order.
func (a *app) writeLine(names []string, row rows.Row) error {
	line := []byte{'{'}
	for i, cell := range row {
		if i > 0 {
			line = append(line, ',')
		}
		line = strconv.AppendQuote(line, names[i])
		line = append(line, ':')
		value, err := json.Marshal(jsonCell(cell))
		if err != nil {
			return err
		}
		line = append(line, value...)
	}
	_, err := a.out.Write(append(line, '}', '\n'))
	return err
}

// jsonCell is a cell as JSON has it. Decimals keep their digits.
func jsonCell(cell any) any {
	switch cell := cell.(type) {
	case rows.JSON:
		return json.RawMessage(cell)
	case rows.Decimal:
		return json.Number(cell.String())
	case rows.Date, rows.Micros:
		return rows.Text(cell)
	case rows.Bytes:
		return []byte(cell)
	default:
		return cell
	}
}

func texts(row rows.Row) []string {
	out := make([]string, len(row))
	for i, cell := range row {
		if cell != nil {
			out[i] = rows.Text(cell)
		}
	}
	return out
}
