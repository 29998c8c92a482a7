package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

var commitTime = time.Unix(1_700_000_000, 0).UTC()

// write makes a file with a time and mode that must not show.
func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// An archive says nothing of the machine that it was made on.
func TestArchive(t *testing.T) {
	var archives []string
	for i, mode := range []os.FileMode{0o600, 0o777} {
		dir := t.TempDir()
		files := []file{
			{write(t, dir, "b", "second", mode), "bin/second", "", 0o755},
			{write(t, dir, "a", "first", mode), "a", "", 0o644},
		}
		if i == 1 {
			slices.Reverse(files)
		}
		if err := os.Chtimes(files[0].from, commitTime, time.Unix(int64(i), 0)); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := writeArchive(&b, "top", files, commitTime); err != nil {
			t.Fatal(err)
		}
		archives = append(archives, b.String())
	}
	if archives[0] != archives[1] {
		t.Error("the same files in another folder, with other modes and times, in another order, make other bytes")
	}
	z, err := gzip.NewReader(strings.NewReader(archives[0]))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(commitTime) || h.Uid != 0 || h.Gid != 0 || h.Uname+h.Gname != "" {
			t.Errorf("%s: time %v, owner %d/%d %q/%q; want %v and none", h.Name, h.ModTime, h.Uid, h.Gid, h.Uname, h.Gname, commitTime)
		}
		got = append(got, fmt.Sprintf("%s %o %s", h.Name, h.Mode, content))
	}
	want := []string{"top/ 755 ", "top/a 644 first", "top/bin/ 755 ", "top/bin/second 755 second"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVerifySums(t *testing.T) {
	for _, test := range []struct {
		name string
		harm func(t *testing.T, dir string)
		want string // in the error; "": none
	}{
		{"as it was", func(*testing.T, string) {}, ""},
		{"changed", func(t *testing.T, dir string) { write(t, dir, "b", "B", 0o644) }, "missing or different"},
		{"missing", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "a")) }, "missing or different"},
		{"added", func(t *testing.T, dir string) { write(t, dir, "c", "c", 0o644) }, "not in SHA256SUMS"},
		{"no sums", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, sumsName)) }, "no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a", "a", 0o644)
			write(t, dir, "b", "b", 0o644)
			if err := writeSums(dir); err != nil {
				t.Fatal(err)
			}
			test.harm(t, dir)
			err := verifySums(dir)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestBOM(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "github.com/martsync/martsync"},
		Deps: []*debug.Module{
			{Path: "example.com/Upper", Version: "v1.0.0+incompatible", Sum: "h1:b"},
			{Path: "example.com/a", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v2.0.0", Sum: "h1:f"}},
		},
		Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}},
	}
	b := makeBOM("1.2.3", info, sha256.Sum256([]byte("program")), commitTime)
	var text bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON).EncodeVersion(b, cyclonedx.SpecVersion1_6); err != nil {
		t.Fatal(err)
	}
	var got struct {
		SerialNumber string
		Metadata     struct{ Timestamp string }
		Components   []struct{ Purl string }
		Dependencies []struct{ DependsOn []string }
	}
	if err := json.Unmarshal(text.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	var purls []string
	for _, c := range got.Components {
		purls = append(purls, c.Purl)
	}
	want := []string{"pkg:golang/std@1.26.8", "pkg:golang/example.com/upper@v1.0.0%2Bincompatible", "pkg:golang/example.com/fork@v2.0.0"}
	if !slices.Equal(purls, want) {
		t.Errorf("components %q, want %q", purls, want)
	}
	if len(got.Dependencies) != 1 || !slices.Equal(got.Dependencies[0].DependsOn, want) {
		t.Errorf("dependencies %+v, want all of %q", got.Dependencies, want)
	}
	if got.Metadata.Timestamp != "2023-11-14T22:13:20Z" {
		t.Errorf("time %s, want the commit's", got.Metadata.Timestamp)
	}
	other := makeBOM("1.2.3", info, sha256.Sum256([]byte("another")), commitTime)
	if got.SerialNumber == other.SerialNumber || !strings.HasPrefix(got.SerialNumber, "urn:uuid:") || got.SerialNumber[23] != '8' {
		t.Errorf("serial numbers %s and %s, want different UUIDs of version 8", got.SerialNumber, other.SerialNumber)
	}
}

// A licence that is overlooked would be missing in all that we hand out.
func TestLicences(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"LICENSE", "LICENCE.md", "COPYING", "NOTICE.txt", "LICENSE-MIT", "license.txt", "MIT-LICENSE.txt"} {
		write(t, dir, name, "text of "+name, 0o644)
	}
	write(t, dir, "license_test.go", "code", 0o644)
	write(t, dir, "README.md", "no licence", 0o644)
	var b bytes.Buffer
	if err := addLicences(&b, "example.com/a@v1", dir); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "text of "); n != 7 {
		t.Errorf("%d files, want 7:\n%s", n, &b)
	}
	if strings.Contains(b.String(), "code") || strings.Contains(b.String(), "no licence") {
		t.Errorf("more than licences:\n%s", &b)
	}
	empty := t.TempDir()
	write(t, empty, "README.md", "none", 0o644)
	if err := addLicences(&b, "example.com/b@v1", empty); err == nil {
		t.Error("a module without a licence is no error")
	}
}

func TestParseTarget(t *testing.T) {
	for _, s := range allTargets {
		got, err := parseTarget(s)
		if err != nil || got.String() != s {
			t.Errorf("%s: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "linux", "windows/amd64", "linux/arm64+duckdb"} {
		if got, err := parseTarget(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
}
