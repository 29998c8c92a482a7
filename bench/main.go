// Command bench measures the path from a bulk export to Parquet against DuckDB's own
// conversion of the same file, and against what the standard library gives without effort.
//
//	go run ./bench            (about a minute; needs a C compiler for DuckDB)
//
// Every measurement is a process of its own, so that its peak memory can be told, and the
// rounds take turns, so that a busy moment of the machine hits all of them. The result is a
// table in Markdown with the medians over the rounds; ratios are taken within a round.
// Times do not include starting the process. Files are read from the page cache.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/martsync/martsync/bench/measure"
)

// A contender is a way to do a job, with its results of all rounds.
type contender struct {
	name    string
	command []string // program and arguments
	results []measure.Result
}

func main() {
	rows := flag.Int("rows", 250_000, "leads to convert; a lead has about 680 bytes")
	rounds := flag.Int("rounds", 5, "how often to measure everything")
	floor := flag.Bool("floor", true, "measure the standard library too")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *rows, *rounds, *floor); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, rows, rounds int, floor bool) error {
	dir, err := os.MkdirTemp("", "martsync-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ours, duck := filepath.Join(dir, "csvparquet"), filepath.Join(dir, "duckcopy")
	for out, cgo := range map[string]string{ours: "0", duck: "1"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", out, "./bench/"+filepath.Base(out))
		build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build %s (run this from the root of the repository): %w", filepath.Base(out), err)
		}
	}
	fmt.Fprintf(w, "Machine: %s, %d cores; %s %s/%s. Commit: %s.\nCommand: `%s`.\n\n",
		cpuModel(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, commit(ctx), commandLine())

	for _, file := range []struct {
		kind string
		rows int
	}{{"leads", rows}, {"activities", rows}} {
		path := filepath.Join(dir, file.kind+".csv")
		if _, err := start(ctx, []string{ours, "-job", "generate", "-file", file.kind, "-rows", fmt.Sprint(file.rows), path}); err != nil {
			return err
		}
		out := filepath.Join(dir, "out.parquet")
		contenders := []*contender{
			{name: "DuckDB COPY, 2 threads", command: []string{duck, "-threads", "2", "-file", file.kind, path, out}},
			{name: "martsync, 2 workers", command: []string{ours, "-workers", "2", "-file", file.kind, path, out}},
			{name: "martsync, 1 worker", command: []string{ours, "-workers", "1", "-file", file.kind, path, out}},
			{name: "martsync, typed scan only, 1 worker", command: []string{ours, "-job", "scan", "-workers", "1", "-file", file.kind, path}},
		}
		if floor {
			contenders = append(contenders, &contender{
				name:    "encoding/csv, strconv, encoding/json, parquet-go rows",
				command: []string{ours, "-job", "floor", "-file", file.kind, path, out},
			})
		}
		if err := measureAll(ctx, contenders, rounds); err != nil {
			return err
		}
		if err := report(w, "CSV to Parquet (zstd): "+file.kind, path, contenders); err != nil {
			return err
		}
		if file.kind != "activities" {
			continue
		}
		contenders = []*contender{
			{name: "encoding/json to map[string]json.RawMessage", command: []string{ours, "-job", "members-std", "-file", file.kind, path}},
			{name: "flatjson.Members", command: []string{ours, "-job", "members", "-file", file.kind, path}},
		}
		if err := measureAll(ctx, contenders, rounds); err != nil {
			return err
		}
		if err := report(w, "JSON attributes taken apart, one core", path, contenders); err != nil {
			return err
		}
	}
	return nil
}

func measureAll(ctx context.Context, contenders []*contender, rounds int) error {
	for range rounds {
		for _, c := range contenders {
			out, err := start(ctx, c.command)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			var r measure.Result
			if err := json.Unmarshal(out, &r); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.results = append(c.results, r)
		}
	}
	return nil
}

func start(ctx context.Context, command []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

// report prints a table in which the first contender is the measure of the others.
func report(w io.Writer, title, path string, contenders []*contender) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	base := contenders[0].results
	fmt.Fprintf(w, "### %s, %.0f MB\n\n| | time s | MB/s | CPU s | peak MB | speed against the first | CPU against the first |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n", title, float64(info.Size())/1e6)
	for _, c := range contenders {
		median := func(f func(r measure.Result, round int) float64) float64 {
			values := make([]float64, len(c.results))
			for i, r := range c.results {
				values[i] = f(r, i)
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		fmt.Fprintf(w, "| %s | %.2f | %.0f | %.2f | %.0f | %.2f | %.2f |\n", c.name,
			median(func(r measure.Result, _ int) float64 { return r.Seconds }),
			median(func(r measure.Result, _ int) float64 {
				n := r.Bytes
				if n == 0 {
					n = info.Size()
				}
				return float64(n) / 1e6 / r.Seconds
			}),
			median(func(r measure.Result, _ int) float64 { return r.CPU }),
			median(func(r measure.Result, _ int) float64 { return r.PeakMB }),
			median(func(r measure.Result, round int) float64 { return base[round].Seconds / r.Seconds }),
			median(func(r measure.Result, round int) float64 { return r.CPU / base[round].CPU }))
	}
	fmt.Fprintln(w)
	return nil
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(info)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown processor"
}

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func commandLine() string {
	return strings.Join(append([]string{"go run ./bench"}, os.Args[1:]...), " ")
}
