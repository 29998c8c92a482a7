//go:build cgo && !lite

// Command syncsize measures the peak memory of whole syncs against the size of the export:
// simulated vendor, HTTP, source, pipeline, destination, with all checks. A sync runs in a
// process of its own; the simulator runs in this one. What the exports really measured is
// read from the ledger's numbers.
//
//	go run ./bench/syncsize -mb 10,2000
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/martsync/martsync/bench/measure"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// speed is how many times faster than the wall clock both processes live, so that waiting for
// export jobs does not take minutes.
const speed = 200

// bytesPerLead is about what the activities of one lead take in an export file.
const bytesPerLead = 20 * 235

// span is how far back activities go: less than the longest window, so that there is one file.
const span = 20 * 24 * time.Hour

func main() {
	var job child
	sizes := flag.String("mb", "10,2000", "sizes of the export in megabytes")
	ways := flag.String("to", "duckdb,none", "destinations: duckdb; folder, which gets Parquet files; compact, which compacts these afterwards; "+
		"s3, which gets them by way of versitygw; or none, which drops the rows")
	flag.StringVar(&job.Memory, "memory", "", "memory limit of DuckDB; empty: the destination's default")
	flag.StringVar(&job.URL, "url", "", "sync from there, in this process")
	flag.StringVar(&job.Endpoint, "endpoint", "", "the S3 to write to, in this process")
	flag.StringVar(&job.Dir, "dir", "", "folder for the sync's files")
	flag.Parse()
	var err error
	if job.URL != "" {
		job.To = *ways
		err = job.run(context.Background())
	} else {
		err = run(context.Background(), *sizes, strings.Split(*ways, ","), job.Memory)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "syncsize:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, sizes string, ways []string, memory string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "destination\texport MB\trows\tseconds\tCPU seconds\tpeak MB\texport jobs\tbytes exported ÷ needed")
	for _, size := range strings.Split(sizes, ",") {
		mb, err := strconv.Atoi(size)
		if err != nil {
			return fmt.Errorf("size %q: %w", size, err)
		}
		for _, to := range ways {
			r, err := measureSync(ctx, mb, to, memory)
			if err != nil {
				return fmt.Errorf("%d MB to %s: %w", mb, to, err)
			}
			fmt.Fprintf(w, "%s\t%.1f\t%d\t%.1f\t%.1f\t%.0f\t%d\t%.2f\n", to, float64(r.Exported)/1e6, r.Rows,
				r.Seconds, r.CPU, r.PeakMB, r.jobs, float64(r.billed)/float64(r.Exported))
		}
	}
	return w.Flush()
}

// A result is what the sync's process reports, and what the simulator counted.
type result struct {
	measure.Result
	Rows     int64 `json:"rows"`
	Exported int64 `json:"exported"` // bytes of the files that the ledger names
	jobs     int
	billed   int64 // bytes of all files that the simulator made
}

func measureSync(ctx context.Context, mb int, to, memory string) (result, error) {
	var r result
	dir, err := os.MkdirTemp("", "syncsize")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := marketosim.New(marketosim.Config{
		Options:      simulate.Options{Seed: 1, Rows: max(10, mb*1_000_000/bytesPerLead), Clock: simulate.Scaled(speed)},
		ActivitySpan: span, ExportBytes: 1 << 40, DailyCalls: 1 << 30,
	})
	if err != nil {
		return r, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	web := &http.Server{Handler: server, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	defer func() {
		_ = web.Close()
		<-served
	}()

	endpoint := ""
	if to == toS3 {
		var stop func()
		if endpoint, stop, err = startS3(ctx, dir); err != nil {
			return r, err
		}
		defer stop()
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self, "-url", "http://"+listener.Addr().String(), "-dir", dir, "-to", to, "-memory", memory, "-endpoint", endpoint)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, err
	}
	// Two lines: what the sync did, what it took.
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	for _, v := range []any{&r, &r.Result} {
		if !lines.Scan() {
			return r, errors.New("the sync's process reported nothing")
		}
		if err := json.Unmarshal(lines.Bytes(), v); err != nil {
			return r, err
		}
	}
	stats := server.Stats()
	r.jobs, r.billed = stats.ExportJobs, stats.ExportBytes
	return r, nil
}

func (c child) database() string { return filepath.Join(c.Dir, "size.duckdb") }
