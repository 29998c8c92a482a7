// Command release builds what a release of martsync consists of: programs for several platforms in archives, with
// what they are made of and under which licences, packages for Debian and Red Hat, and checksums of it all.
//
// The same sources, Go and, for DuckDB, C++ compiler give the same bytes, whenever, wherever and by whomever they are
// built. scripts/release decides what may be released, and calls it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// A release is one being made.
type release struct {
	root    string    // the checkout
	out     string    // where everything goes
	version string    // without "v"
	time    time.Time // that of all files
}

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("release", flag.ContinueOnError)
	var r release
	fs.StringVar(&r.root, "root", ".", "`folder` of the checkout")
	fs.StringVar(&r.out, "out", "dist", "`folder` for the release; it must be empty or not there")
	fs.StringVar(&r.version, "version", "", "`version`, as in 1.2.3")
	epoch := fs.Int64("epoch", 0, "`seconds` since 1970, the time of all files")
	only := fs.String("targets", strings.Join(allTargets, ","), "`targets` to build")
	check := fs.Bool("verify", false, "only compare the files of -out with their checksums")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *check {
		return verifySums(r.out)
	}
	if r.version == "" || *epoch <= 0 {
		return fmt.Errorf("-version and -epoch are needed")
	}
	r.time = time.Unix(*epoch, 0).UTC()
	var err error
	if r.root, err = filepath.Abs(r.root); err != nil {
		return err
	}
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	var targets []target
	for text := range strings.SplitSeq(*only, ",") {
		t, err := parseTarget(text)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	if left, err := os.ReadDir(r.out); err == nil && len(left) > 0 {
		return fmt.Errorf("%s is not empty", r.out)
	}
	return r.make(ctx, targets)
}

// make builds the targets and all that goes with them.
func (r *release) make(ctx context.Context, targets []target) error {
	stage, err := os.MkdirTemp("", "martsync-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage) //nolint:errcheck // it is in the folder for temporary files
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	completions := filepath.Join(stage, "completions")
	for i, t := range targets {
		fmt.Fprintln(os.Stderr, "building", t)
		dir := filepath.Join(stage, r.name(t))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		program := filepath.Join(dir, "martsync")
		if err := r.build(ctx, t, program); err != nil {
			return err
		}
		if i == 0 {
			if err := r.completions(ctx, t, program, completions); err != nil {
				return err
			}
		}
		if err := r.licences(ctx, program, filepath.Join(dir, "THIRD_PARTY_LICENSES")); err != nil {
			return fmt.Errorf("collect licences of %s: %w", t, err)
		}
		if err := r.bom(program, filepath.Join(r.out, r.name(t)+".cdx.json")); err != nil {
			return fmt.Errorf("list what %s is made of: %w", t, err)
		}
		files := r.contents(t, dir, completions)
		if err := r.archive(t, files); err != nil {
			return fmt.Errorf("archive %s: %w", t, err)
		}
		if t.os == "linux" {
			if err := r.packages(t, files); err != nil {
				return fmt.Errorf("package %s: %w", t, err)
			}
		}
	}
	return writeSums(r.out)
}
