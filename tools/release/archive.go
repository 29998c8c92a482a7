package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A file is one of a program's, in its archive and its packages.
type file struct {
	from    string // on this machine
	archive string // its name in the archive
	pkg     string // where packages install it; "": not in packages
	mode    os.FileMode
}

// contents are the files of a target, whose program and licences are in dir.
func (r *release) contents(t target, dir, completions string) []file {
	const doc = "usr/share/doc/"
	own := func(name string) string { return filepath.Join(r.root, filepath.FromSlash(name)) }
	files := []file{
		{filepath.Join(dir, "martsync"), "martsync", "usr/bin/martsync", 0o755},
		{own("LICENSE"), "LICENSE", doc + t.product() + "/copyright", 0o644},
		{filepath.Join(dir, "THIRD_PARTY_LICENSES"), "THIRD_PARTY_LICENSES", doc + t.product() + "/THIRD_PARTY_LICENSES", 0o644},
		{own("README.md"), "README.md", doc + t.product() + "/README.md", 0o644},
	}
	for _, shell := range []string{"bash", "fish", "zsh"} {
		name := "martsync." + shell
		files = append(files, file{filepath.Join(completions, name), "completions/" + name, shells[shell], 0o644})
	}
	if t.os == "linux" {
		files = append(files,
			file{own("deploy/systemd/martsync.service"), "systemd/martsync.service", "usr/lib/systemd/system/martsync.service", 0o644},
			file{own("deploy/systemd/martsync.sysusers"), "systemd/martsync.sysusers", "usr/lib/sysusers.d/martsync.conf", 0o644},
		)
	}
	return files
}

// archive writes the target's archive: everything in one folder of its name.
func (r *release) archive(t target, files []file) error {
	var b bytes.Buffer
	if err := writeArchive(&b, r.name(t), files, r.time); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, r.name(t)+".tar.gz"), b.Bytes(), 0o644)
}

// writeArchive writes a compressed tar that depends on nothing but its arguments and the files' bytes: one time,
// no owners, the modes that it is told.
func writeArchive(w io.Writer, folder string, files []file, at time.Time) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.archive, b.archive) })
	folders := map[string]bool{}
	for _, f := range files {
		name := path.Join(folder, f.archive)
		for _, dir := range parents(name) {
			if folders[dir] {
				continue
			}
			folders[dir] = true
			if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: at, Format: tar.FormatPAX}); err != nil {
				return err
			}
		}
		content, err := os.ReadFile(f.from)
		if err != nil {
			return err
		}
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: int64(f.mode), ModTime: at, Format: tar.FormatPAX,
		}
		if err := t.WriteHeader(header); err != nil {
			return err
		}
		if _, err := t.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

// parents are the folders above a name, outermost first.
func parents(name string) (dirs []string) {
	for i, c := range name {
		if c == '/' {
			dirs = append(dirs, name[:i])
		}
	}
	return dirs
}

// sumsName is the file of checksums, as sha256sum --check reads it.
const sumsName = "SHA256SUMS"

// sums are the lines of the checksums of all files in dir.
func sums(dir string) (string, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, e := range entries {
		if e.Name() == sumsName {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(content)
		fmt.Fprintf(&b, "%s  %s\n", hex.EncodeToString(sum[:]), e.Name())
	}
	return b.String(), nil
}

func writeSums(dir string) error {
	text, err := sums(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, sumsName), []byte(text), 0o644)
}

// verifySums says which files differ from their checksums, are missing, or have none.
func verifySums(dir string) error {
	want, err := os.ReadFile(filepath.Join(dir, sumsName))
	if err != nil {
		return err
	}
	got, err := sums(dir)
	if err != nil {
		return err
	}
	wanted, found := strings.SplitAfter(string(want), "\n"), strings.SplitAfter(got, "\n")
	var problems []error
	for _, line := range wanted {
		if !slices.Contains(found, line) {
			problems = append(problems, fmt.Errorf("missing or different: %s", strings.TrimSpace(line)))
		}
	}
	for _, line := range found {
		if !slices.Contains(wanted, line) {
			problems = append(problems, fmt.Errorf("not in %s: %s", sumsName, strings.TrimSpace(line)))
		}
	}
	return errors.Join(problems...)
}
