//go:build cgo && !lite

// Command duckload compares the loading of a CSV export into a DuckDB file by martsync, with all
// its checks, with DuckDB's own CREATE TABLE AS … FROM read_csv of the same file. Each load runs
// in a process of its own, in turns.
//
//	go run ./bench/duckload -mb 200
//
// Time runs from before the database file is opened until it is closed: what is not written
// when a statement returns is written then.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/martsync/martsync/bench/marketofile"
	"github.com/martsync/martsync/bench/measure"
)

func main() {
	var o options
	flag.IntVar(&o.mb, "mb", 200, "size of the export in megabytes")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each way is measured; the median counts")
	flag.IntVar(&o.threads, "threads", 2, "threads of DuckDB, and goroutines that parse")
	flag.StringVar(&o.memory, "memory", "", "memory limit of DuckDB in our load; empty: the destination's default")
	flag.StringVar(&o.peer, "peermemory", "", "memory limit of DuckDB's own load; empty: DuckDB's default")
	flag.StringVar(&o.kind, "file", "leads", "leads or activities")
	ways := flag.String("ways", "ctas,load", "what to compare, the first being the reference: ctas, load, rows (the row appender), parquet (part files)")
	flag.StringVar(&o.dir, "dir", "", "folder for the files; empty: a temporary one")
	flag.StringVar(&o.job, "job", "", "run one way in this process")
	flag.StringVar(&o.profile, "cpuprofile", "", "where a job writes a profile")
	flag.Parse()
	o.ways = strings.Split(*ways, ",")
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "duckload:", err)
		os.Exit(1)
	}
}

type options struct {
	mb, rounds, threads          int
	memory, peer, kind, dir, job string
	profile                      string
	ways                         []string
}

func (o options) csv() string      { return filepath.Join(o.dir, fmt.Sprintf("%s-%d.csv", o.kind, o.mb)) }
func (o options) database() string { return filepath.Join(o.dir, "load.duckdb") }

func run(o options) error {
	if o.job != "" {
		return runJob(o)
	}
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "duckload")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		o.dir = dir
	}
	if err := generate(o); err != nil {
		return err
	}
	info, err := os.Stat(o.csv())
	if err != nil {
		return err
	}
	megabytes := float64(info.Size()) / 1e6

	results := map[string][]outcome{}
	for range o.rounds {
		for _, way := range o.ways {
			r, err := start(o, way)
			if err != nil {
				return fmt.Errorf("%s: %w", way, err)
			}
			results[way] = append(results[way], r)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%s, %.1f MB, %d threads, median of %d\n", filepath.Base(o.csv()), megabytes, o.threads, o.rounds)
	fmt.Fprintln(w, "way\tseconds\tMB/s\tCPU seconds\tpeak MB\tfile MB\trows\tspeed")
	reference := median(results[o.ways[0]]).Seconds
	for _, way := range o.ways {
		m := median(results[way])
		fmt.Fprintf(w, "%s\t%.2f\t%.0f\t%.2f\t%.0f\t%.0f\t%d\t%.2f×\n", way, m.Seconds, megabytes/m.Seconds, m.CPU, m.PeakMB, m.FileMB, m.Rows, reference/m.Seconds)
	}
	return w.Flush()
}

// An outcome is what one process reports.
type outcome struct {
	measure.Result
	FileMB float64 `json:"file_mb"`
	Rows   int64   `json:"rows"`
}

// median by time; the other figures are those of that run.
func median(all []outcome) outcome {
	slices.SortFunc(all, func(a, b outcome) int {
		if a.Seconds < b.Seconds {
			return -1
		}
		return 1
	})
	return all[len(all)/2]
}

// generate writes the export unless the folder has it already.
func generate(o options) error {
	if _, err := os.Stat(o.csv()); err == nil {
		return nil
	}
	f, err := os.Create(o.csv())
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // again, where something went wrong before
	// rows of a sample say how many make the size
	var sample bytes.Buffer
	write := marketofile.Leads
	if o.kind == "activities" {
		write = marketofile.Activities
	}
	if err := write(&sample, 1, 1000); err != nil {
		return err
	}
	rows := o.mb * 1_000_000 / (sample.Len() / 1000)
	if err := write(f, 1, rows); err != nil {
		return err
	}
	return f.Close()
}

func start(o options, way string) (outcome, error) {
	var out outcome
	for _, suffix := range []string{"", ".wal", ".tmp"} {
		if err := os.RemoveAll(o.database() + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return out, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return out, err
	}
	args := []string{
		"-job", way, "-mb", strconv.Itoa(o.mb), "-file", o.kind, "-threads", strconv.Itoa(o.threads), "-dir", o.dir,
		"-memory", o.memory, "-peermemory", o.peer,
	}
	if o.profile != "" {
		args = append(args, "-cpuprofile", o.profile)
	}
	c := exec.CommandContext(context.Background(), self, args...)
	c.Stderr = os.Stderr
	text, err := c.Output()
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(text, &out)
}

// report prints what the job took and what it has made.
func report(o options, m measure.Measurement, rows int64) error {
	var b bytes.Buffer
	if err := m.Print(&b, 0); err != nil {
		return err
	}
	var out outcome
	if err := json.Unmarshal(b.Bytes(), &out.Result); err != nil {
		return err
	}
	info, err := os.Stat(o.database())
	if err != nil {
		return err
	}
	out.FileMB, out.Rows = float64(info.Size())/1e6, rows
	return json.NewEncoder(io.Writer(os.Stdout)).Encode(out)
}
