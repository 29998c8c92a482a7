package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// licences writes the licences and notices of everything that a program is made of, which most of them want to go
// with it. A module without one is an error: then somebody has to look.
func (r *release) licences(ctx context.Context, program, out string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	var names []string
	for _, m := range modules(info) {
		names = append(names, m.Path+"@"+m.Version)
	}
	dirs, err := r.folders(ctx, names)
	if err != nil {
		return err
	}
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("ask go where it is: %w", err)
	}
	var text bytes.Buffer
	if err := addLicences(&text, "Go "+strings.TrimPrefix(info.GoVersion, "go")+" and its standard library", strings.TrimSpace(string(goroot))); err != nil {
		return err
	}
	for _, name := range names {
		if err := addLicences(&text, name, dirs[name]); err != nil {
			return err
		}
	}
	return os.WriteFile(out, text.Bytes(), 0o644)
}

// folders are where the modules lie in the module cache.
func (r *release) folders(ctx context.Context, names []string) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"mod", "download", "-json"}, names...)...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("look for modules: %w", err)
	}
	dirs := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(answer)); ; {
		var m struct{ Path, Version, Dir string }
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, fmt.Errorf("look for modules: %w", err)
		}
		dirs[m.Path+"@"+m.Version] = m.Dir
	}
}

// addLicences adds the files of one module. Where a repository holds several modules, go puts the licence at its top into
// each of them.
func addLicences(w io.Writer, name, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for the licence of %s: %w", name, err)
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !isLicence(e.Name()) {
			continue
		}
		found = true
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "==== %s: %s ====\n\n%s\n\n", name, e.Name(), bytes.TrimSpace(content))
	}
	if !found {
		return fmt.Errorf("%s has no licence at its top", name)
	}
	return nil
}
