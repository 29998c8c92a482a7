package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// allTargets are those of a release. DuckDB is linked by the C++ compiler of the machine, so it is only there for the
// platform that releases are built on.
var allTargets = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "linux/amd64+duckdb"}

// A target is one program.
type target struct {
	os, arch string
	duckdb   bool
}

func parseTarget(s string) (target, error) {
	if !slices.Contains(allTargets, s) {
		return target{}, fmt.Errorf("there is no target %q; there are %s", s, strings.Join(allTargets, ", "))
	}
	platform, duckdb := strings.CutSuffix(s, "+duckdb")
	system, arch, _ := strings.Cut(platform, "/")
	return target{os: system, arch: arch, duckdb: duckdb}, nil
}

func (t target) String() string {
	s := t.os + "/" + t.arch
	if t.duckdb {
		s += "+duckdb"
	}
	return s
}

// product is the name of the program's packages.
func (t target) product() string {
	if t.duckdb {
		return "martsync-duckdb"
	}
	return "martsync"
}

// name is what a target's files begin with.
func (r *release) name(t target) string {
	return fmt.Sprintf("%s_%s_%s_%s", t.product(), r.version, t.os, t.arch)
}

// build builds the program. Nothing of this machine's settings or places may change it.
func (r *release) build(ctx context.Context, t target, out string) error {
	if t.duckdb && t.os+"/"+t.arch != runtime.GOOS+"/"+runtime.GOARCH {
		return fmt.Errorf("%s is built on %s/%s only: it is linked by a C++ compiler", t, t.os, t.arch)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-buildvcs=true", "-tags=minicore_disabled",
		"-ldflags=-s -w -buildid= -X main.version="+r.version, "-o", out, "./cmd/martsync")
	cgo := "0"
	if t.duckdb {
		cgo = "1"
	}
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(),
		"CGO_ENABLED="+cgo, "GOOS="+t.os, "GOARCH="+t.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off",
		"CGO_CFLAGS=-g -O2", "CGO_CPPFLAGS=", "CGO_CXXFLAGS=-g -O2", "CGO_LDFLAGS=-g -O2", "CC=gcc", "CXX=g++")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", t, err)
	}
	return nil
}

// shells are those that completions are made for, with the name that their packages give the file.
var shells = map[string]string{
	"bash": "usr/share/bash-completion/completions/martsync",
	"zsh":  "usr/share/zsh/vendor-completions/_martsync",
	"fish": "usr/share/fish/vendor_completions.d/martsync.fish",
}

// completions writes those of all shells, named for them. They are the same on all platforms; the program of target t
// makes them if it runs here.
func (r *release) completions(ctx context.Context, t target, program, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if t.os != runtime.GOOS || t.arch != runtime.GOARCH {
		program = filepath.Join(dir, "program")
		if err := r.build(ctx, target{os: runtime.GOOS, arch: runtime.GOARCH}, program); err != nil {
			return err
		}
		defer os.Remove(program) //nolint:errcheck // it goes with its folder
	}
	for shell := range shells {
		text, err := exec.CommandContext(ctx, program, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("make the completion for %s: %w", shell, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "martsync."+shell), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
