//go:build cgo && !lite

// Command snowload measures what the Snowflake destination costs: statements and bytes of a sync, rows a second, and the
// memory that it takes to put gigabytes on the stage. The account is destination/snowflake/snowflakesim in
// this process; it counts the statements and the times its warehouse had to be resumed. The
// destination runs in processes of its own, reached over loopback by the driver, the stage over TLS.
//
//	go run ./bench/snowload -mb 200 -stage 2000
//
// How fast the account answers is DuckDB's doing, so the rows a second of a whole load say what our side and the driver allow,
// not what a warehouse does.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/martsync/martsync/bench/measure"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
)

func main() {
	var job child
	load := flag.Int("mb", 200, "megabytes of records to load; 0: none")
	stage := flag.Int("stage", 2000, "megabytes of records to put on the stage; 0: none")
	config := flag.String("job", "", "do this job, in this process")
	flag.Parse()
	var err error
	if *config != "" {
		if err = json.Unmarshal([]byte(*config), &job); err == nil {
			err = job.run(context.Background())
		}
	} else {
		err = run(context.Background(), *load, *stage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "snowload:", err)
		os.Exit(1)
	}
}

// A row is a line of the table.
type row struct {
	name string
	job  child
}

func run(ctx context.Context, load, stage int) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\trecords MB\trows\tstaged MB\tfiles\tstatements\ton the warehouse\tresumes\tseconds\tCPU seconds\trows/s\tpeak MB")
	var rows []row
	if load > 0 {
		rows = append(rows,
			row{"a new table", child{Megabytes: load, Commit: true}},
			row{"the same rows again, all changed", child{Megabytes: load, Commit: true, Version: 1}},
			row{"a thousandth of them changed", child{Rows: max(1, load), Commit: true, Version: 2}},
			row{"nothing new", child{}})
	}
	if stage > 0 {
		rows = append(rows, row{"staged only", child{Megabytes: stage}})
	}
	dir, err := os.MkdirTemp("", "snowload")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := snowflakesim.Start(snowflakesim.Options{Dir: filepath.Join(dir, "stage")})
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	authority := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(authority, server.CA(), 0o600); err != nil {
		return err
	}
	for _, r := range rows {
		r.job.Host, r.job.Port, r.job.Authority, r.job.Dir = server.Host(), server.Port(), authority, dir
		if err := measured(ctx, w, server, r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return w.Flush()
}

// measured does one job in a process of its own and prints its line.
func measured(ctx context.Context, w *tabwriter.Writer, server *snowflakesim.Server, r row) error {
	server.Suspend(snowflakesim.DefaultWarehouse, false)
	server.ResetStatements()
	resumes := server.Meter(snowflakesim.DefaultWarehouse).Resumes
	files, bytes := server.Staged()
	text, err := json.Marshal(r.job)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-job", string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	did, took, ok := strings.Cut(string(out), "\n") // two lines: what was done, what it took
	var done report
	var spent measure.Result
	if !ok || json.Unmarshal([]byte(did), &done) != nil || json.Unmarshal([]byte(took), &spent) != nil {
		return fmt.Errorf("the job reported %q", out)
	}
	statements, onWarehouse := 0, 0
	for _, s := range server.Statements() {
		statements++
		if s.Warehouse != "" {
			onWarehouse++
		}
	}
	nowFiles, nowBytes := server.Staged()
	perSecond := "-"
	if done.Rows > 0 {
		perSecond = strconv.FormatFloat(float64(done.Rows)/spent.Seconds, 'f', 0, 64)
	}
	fmt.Fprintf(w, "%s\t%.0f\t%d\t%.1f\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%s\t%.0f\n", r.name, float64(done.Bytes)/1e6, done.Rows,
		float64(nowBytes-bytes)/1e6, nowFiles-files, statements, onWarehouse, server.Meter(snowflakesim.DefaultWarehouse).Resumes-resumes,
		spent.Seconds, spent.CPU, perSecond, spent.PeakMB)
	return nil
}
