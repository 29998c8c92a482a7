// Command csvparquet is one measurement of the benchmark: it does one job on one file in a
// process of its own and prints how long it took and how much memory the process had at most.
// Package bench starts it; it links no C code, as the small builds do.
package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/bench/marketofile"
	"github.com/martsync/martsync/bench/measure"
	"github.com/martsync/martsync/internal/csvfile"
	"github.com/martsync/martsync/internal/flatjson"
	"github.com/martsync/martsync/internal/pqfile"
)

func main() {
	job := flag.String("job", "convert", "convert, scan, floor, members, members-std or generate")
	workers := flag.Int("workers", 1, "goroutines for parsing and as many for encoding")
	kind := flag.String("file", "leads", "leads or activities")
	rows := flag.Int("rows", 250_000, "rows to generate")
	seed := flag.Uint64("seed", 1, "seed to generate from")
	group := flag.Int("group", 0, "bytes of a row group")
	profile := flag.String("cpuprofile", "", "where to write a profile")
	flag.Parse()
	if err := run(*job, *kind, *workers, *rows, *group, *seed, *profile, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "csvparquet:", err)
		os.Exit(1)
	}
}

func run(job, kind string, workers, rows, group int, seed uint64, profile string, args []string) error {
	cols := marketofile.LeadColumns()
	if kind == "activities" {
		cols = marketofile.ActivityColumns()
	}
	if job == "generate" {
		return generate(args[0], kind, seed, rows)
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	in := csvfile.Options{Columns: cols, Null: "null", Workers: workers}
	m := measure.Start()
	var err error
	switch job {
	case "convert":
		err = convert(in, pqfile.Options{Workers: workers, RowGroup: group}, args[0], args[1])
	case "scan":
		err = scan(in, args[0])
	case "floor":
		err = floor(cols, args[0], args[1])
	case "members", "members-std":
		return members(in, args[0], job == "members-std")
	default:
		err = fmt.Errorf("no job %q", job)
	}
	if err != nil {
		return err
	}
	return m.Print(os.Stdout, 0)
}

func generate(path, kind string, seed uint64, rows int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if kind == "activities" {
		err = marketofile.Activities(f, seed, rows)
	} else {
		err = marketofile.Leads(f, seed, rows)
	}
	return errors.Join(err, f.Close())
}

func convert(in csvfile.Options, out pqfile.Options, from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	sum, err := pqfile.Convert(context.Background(), w, r, in, out, nil)
	if err == nil && sum.Quarantined > 0 {
		err = fmt.Errorf("%d rows quarantined", sum.Quarantined)
	}
	return errors.Join(err, w.Close())
}

func scan(in csvfile.Options, from string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	for _, err := range csvfile.Read(context.Background(), r, in) {
		if err != nil {
			return err
		}
	}
	return nil
}

// members takes the attributes of all activities apart. Reading them from the file is not
// measured.
func members(in csvfile.Options, from string, std bool) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	var docs [][]byte
	total := 0
	for chunk, err := range csvfile.Read(context.Background(), r, in) {
		if err != nil {
			return err
		}
		v := &chunk.Records.Columns[len(in.Columns)-1]
		for i := range chunk.Records.Len {
			if !v.Null(i) {
				docs = append(docs, append([]byte{}, v.Bytes(i)...))
				total += len(v.Bytes(i))
			}
		}
	}
	m := measure.Start()
	n := 0
	for _, doc := range docs {
		if std {
			var object map[string]json.RawMessage
			if err := json.Unmarshal(doc, &object); err != nil {
				return err
			}
			n += len(object)
			continue
		}
		if err := flatjson.Members(doc, func(_, _ []byte) error { n++; return nil }); err != nil {
			return err
		}
	}
	if n < len(docs) {
		return fmt.Errorf("only %d members in %d documents", n, len(docs))
	}
	return m.Print(os.Stdout, int64(total))
}

// floor is what one writes in an afternoon: encoding/csv, strconv, package time, encoding/json
// to check the JSON, and the rows of parquet-go.
func floor(cols []martsync.Column, from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	group := parquet.Group{}
	for _, c := range cols {
		group[c.Name] = parquet.Optional(node(c))
	}
	schema := parquet.NewSchema("schema", group)
	index := make([]int, len(cols)) // groups sort their columns
	for i, c := range cols {
		leaf, _ := schema.Lookup(c.Name)
		index[i] = leaf.ColumnIndex
	}
	pw := parquet.NewGenericWriter[any](w, schema, parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(65_536))
	reader := csv.NewReader(r)
	reader.LazyQuotes = true
	reader.ReuseRecord = true
	if _, err := reader.Read(); err != nil {
		return err
	}
	row := make(parquet.Row, len(cols))
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for i, c := range cols {
			v, err := value(c, record[i])
			if err != nil {
				return err
			}
			level := 1
			if v.IsNull() {
				level = 0
			}
			row[index[i]] = v.Level(0, level, index[i])
		}
		if _, err := pw.WriteRows([]parquet.Row{row}); err != nil {
			return err
		}
	}
	return errors.Join(pw.Close(), w.Close())
}

func node(c martsync.Column) parquet.Node {
	switch c.Type {
	case martsync.Bool:
		return parquet.Leaf(parquet.BooleanType)
	case martsync.Int64:
		return parquet.Int(64)
	case martsync.Float64:
		return parquet.Leaf(parquet.DoubleType)
	case martsync.Date:
		return parquet.Date()
	case martsync.Timestamp:
		return parquet.Timestamp(parquet.Microsecond)
	case martsync.JSON:
		return parquet.JSON()
	default:
		return parquet.String()
	}
}

func value(c martsync.Column, cell string) (parquet.Value, error) {
	if cell == "null" || cell == "" {
		return parquet.NullValue(), nil
	}
	switch c.Type {
	case martsync.Bool:
		b, err := strconv.ParseBool(cell)
		return parquet.BooleanValue(b), err
	case martsync.Int64:
		n, err := strconv.ParseInt(cell, 10, 64)
		return parquet.Int64Value(n), err
	case martsync.Float64:
		f, err := strconv.ParseFloat(cell, 64)
		return parquet.DoubleValue(f), err
	case martsync.Date:
		t, err := time.Parse(time.DateOnly, cell)
		return parquet.Int32Value(int32(t.Unix() / 86_400)), err
	case martsync.Timestamp:
		t, err := time.Parse(time.RFC3339, cell)
		return parquet.Int64Value(t.UnixMicro()), err
	case martsync.JSON:
		if !json.Valid([]byte(cell)) {
			return parquet.NullValue(), errors.New("not valid JSON")
		}
	default:
	}
	return parquet.ByteArrayValue([]byte(cell)), nil
}
