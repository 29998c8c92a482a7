package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/nearest"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/internal/rows"
)

// readFlags are the flags of martsync read.
type readFlags struct {
	ids, fields []string
	format      string
	table       bool
	limit       int
}

func (a *app) readCommand() *cobra.Command {
	var f readFlags
	c := &cobra.Command{
		Use:   "read NAME STREAM [--id ID[,ID…]]",
		Short: "Reads single records, from the vendor or from a table",
		Long: `Prints records. Of a source it reads those with the ids, from the vendor and not from the tables.
Of a sync or a destination it reads the table as it is stored: those with the ids in its first
column, or the first ones that come.

Ids that do not exist are named on stderr; the exit code stays 0.`,
		Example: `  martsync read marketo leads --id 12,15 --fields email,score
  martsync read marketo leads --id 12 --format csv
  martsync read mart leads --limit 10                    # from the table
  martsync read marketing leads --id 12 --format json    # of the sync "marketing"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.read(ctx, args[0], args[1], f)
		},
	}
	fs := c.Flags()
	fs.StringSliceVar(&f.ids, "id", nil, "`ids` of the records, separated by commas")
	fs.StringSliceVar(&f.fields, "fields", nil, "columns wanted, separated by commas (default all)")
	fs.StringVar(&f.format, "format", "", "json (a line a record), csv or table (default table on a terminal, else json)")
	fs.BoolVar(&f.table, "table", false, "read the table even if a source has that name too")
	fs.IntVar(&f.limit, "limit", 20, "most `records` of a table that are printed without --id; 0: all")
	return c
}

func (a *app) read(ctx context.Context, name, stream string, f readFlags) error {
	if f.format == "" {
		f.format = "json"
		if a.out.Terminal() {
			f.format = "table"
		}
	}
	if f.format != "json" && f.format != "csv" && f.format != "table" {
		return usageError(fmt.Errorf("--format is %q", f.format), "Use json, csv or table.")
	}
	if f.limit < 0 {
		return usageError(fmt.Errorf("--limit is %d", f.limit), "Use 0 or more.")
	}
	c, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	env, err := a.connectorEnv()
	if err != nil {
		return err
	}
	if s, ok := storedIn(c, name, f.table); ok {
		return a.readTable(ctx, s, stream, f, env)
	}
	if len(f.ids) == 0 {
		return usageError(errors.New("--id is missing"), "Name the records, as in --id 12,15.")
	}
	s, err := c.FindSource(name)
	if err != nil {
		return err
	}
	source, err := a.openSource(ctx, s, env)
	if err != nil {
		return err
	}
	lookuper, ok := martsync.As[martsync.Lookuper](source)
	if !ok {
		return errNoAbility("read "+stream, s.Name, s.Connector.Title)
	}
	schema, records, err := lookuper.Lookup(ctx, stream, f.ids, f.fields)
	if errors.Is(err, martsync.ErrUnsupported) {
		return &martsync.Error{
			Kind: martsync.Config, Op: "read " + stream, Err: errors.New("its records cannot be read by id"),
			Hint: "martsync streams lists the streams; martsync api makes any call.",
		}
	}
	if err != nil {
		return err
	}
	found, err := a.writeRecords(schema, records, f.format)
	if err != nil {
		return err
	}
	a.sayMissing(len(f.ids), found)
	return nil
}

// sayMissing tells how many of the records that were asked for do not exist.
func (a *app) sayMissing(asked, found int) {
	if missing := asked - found; missing > 0 {
		a.say("%s of %d not found.", report.Plural(int64(missing), "record", "records"), asked)
	}
}

// storedIn finds the sync whose tables a name means: its own or that of its destination. Sources come
// first, unless a table is wanted.
func storedIn(c *config.Config, name string, table bool) (config.Sync, bool) {
	if !table && slices.ContainsFunc(c.Sources, func(s config.Source) bool { return s.Name == name }) {
		return config.Sync{}, false
	}
	for _, is := range []func(config.Sync) bool{
		func(s config.Sync) bool { return s.Name == name },
		func(s config.Sync) bool { return s.Destination.Name == name },
	} {
		if i := slices.IndexFunc(c.Syncs, is); i >= 0 {
			return c.Syncs[i], true
		}
	}
	return config.Sync{}, false
}

// readTable prints rows of a table.
func (a *app) readTable(ctx context.Context, s config.Sync, stream string, f readFlags, env martsync.Env) (err error) {
	destination, err := a.openDestination(ctx, s, env)
	if err != nil {
		return err
	}
	defer closing(destination, &err)
	tables, ok := destination.(martsync.TableReader)
	if !ok {
		return errNoAbility("read tables", s.Destination.Name, s.Destination.Connector.Title)
	}
	stored, records, err := tables.ReadTable(ctx, stream)
	if err != nil {
		return err
	}
	chosen, at, err := chooseColumns(stored, f.fields)
	if err != nil {
		return err
	}
	found, err := a.writeRecords(chosen, selected(stored, records, at, f), f.format)
	if err != nil {
		return err
	}
	a.sayMissing(len(f.ids), found)
	return nil
}

// chooseColumns leaves the wanted columns of a schema, and says where they are.
func chooseColumns(s martsync.Schema, names []string) (martsync.Schema, []int, error) {
	chosen, at := s, []int{}
	if len(names) == 0 {
		for i := range s.Columns {
			at = append(at, i)
		}
		return chosen, at, nil
	}
	chosen.Columns = nil
	for _, name := range names {
		i := slices.IndexFunc(s.Columns, func(c martsync.Column) bool { return strings.EqualFold(c.Name, name) })
		if i < 0 {
			all := make([]string, len(s.Columns))
			for j, c := range s.Columns {
				all[j] = c.Name
			}
			hint := "martsync streams " + s.Stream + " lists the columns."
			if near := nearest.Of(name, all); near != "" {
				hint = fmt.Sprintf("Did you mean %q?", near)
			}
			return s, nil, usageError(fmt.Errorf("the table %s has no column %q", s.Stream, name), hint)
		}
		at = append(at, i)
		chosen.Columns = append(chosen.Columns, s.Columns[i])
	}
	return chosen, at, nil
}

// selected leaves the wanted rows of a table, and of them the columns at these places.
func selected(s martsync.Schema, records iter.Seq2[*martsync.Records, error], at []int, f readFlags) iter.Seq2[*martsync.Records, error] {
	return func(yield func(*martsync.Records, error) bool) {
		builder := rows.NewBuilder(s.Columns)
		left := f.limit
		for r, err := range records {
			if err != nil {
				yield(nil, err)
				return
			}
			builder.Reset()
			for _, row := range rows.Of(s.Columns, r) {
				if len(f.ids) > 0 {
					if slices.Contains(f.ids, rows.Text(row[0])) {
						builder.Append(row...)
					}
					continue
				}
				builder.Append(row...)
				if left--; left == 0 {
					break
				}
			}
			all := builder.Records()
			part := &martsync.Records{Len: all.Len, Columns: make([]martsync.Vector, len(at))}
			for k, j := range at {
				part.Columns[k] = all.Columns[j]
			}
			if part.Len > 0 && !yield(part, nil) || len(f.ids) == 0 && left == 0 && f.limit > 0 {
				return
			}
		}
	}
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
