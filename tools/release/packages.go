package main

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers itself
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers itself
)

// needs are the packages that the program with DuckDB is linked with. The numbers follow from the functions that it
// uses; .ci/check-release compares them with the program. GCC 12 is what brought GLIBCXX_3.4.30.
var needs = map[string][]string{
	"deb": {"libc6 (>= 2.34)", "libgcc-s1", "libstdc++6 (>= 12)"},
	"rpm": {"glibc >= 2.34", "libgcc", "libstdc++ >= 12"},
}

// packages writes a target's packages.
func (r *release) packages(t target, contents []file) error {
	for _, format := range []string{"deb", "rpm"} {
		packager, err := nfpm.Get(format)
		if err != nil {
			return err
		}
		info := nfpm.WithDefaults(r.info(t, format, contents))
		if err := nfpm.PrepareForPackager(info, format); err != nil {
			return err
		}
		var b bytes.Buffer
		if err := packager.Package(info, &b); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.out, packager.ConventionalFileName(info)), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// info describes a package.
func (r *release) info(t target, format string, contents []file) *nfpm.Info {
	script := func(name string) string { return filepath.Join(r.root, "deploy", "systemd", name) }
	info := &nfpm.Info{
		Name: t.product(), Arch: t.arch, Platform: t.os, Version: r.version, VersionSchema: "semver", MTime: r.time,
		Section: "utils", Priority: "optional", License: "Apache-2.0",
		Maintainer: "The martsync authors <martsync@users.noreply.github.com>", Homepage: "https://github.com/martsync/martsync",
		Description: "moves marketing data into a data mart\n" +
			"Copies what Adobe Marketo Engage and Salesforce Account Engagement (Pardot)\n" +
			"hold into files, Snowflake or DuckDB: complete, incremental and provable.",
		Overridables: nfpm.Overridables{
			Umask:   0o022,
			Scripts: nfpm.Scripts{PostInstall: script("postinstall.sh"), PreRemove: script("preremove.sh"), PostRemove: script("postremove.sh")},
			// rpm: otherwise the name of the machine that builds goes into it.
			RPM: nfpm.RPM{BuildHost: "martsync", Summary: "Moves marketing data into a data mart"},
		},
	}
	other := "martsync-duckdb"
	if t.duckdb {
		other = "martsync"
		info.Depends = needs[format]
		info.Description += "\nThis one has DuckDB in it."
	} else {
		info.Description += "\nThis one has no DuckDB in it; martsync-duckdb has."
	}
	info.Conflicts = []string{other}
	if format == "deb" { // in an rpm the same word would have every update exchange the one for the other
		info.Replaces = []string{other}
	}
	add := func(from, to, kind string, mode os.FileMode) {
		info.Contents = append(info.Contents, &files.Content{
			Source: from, Destination: to, Type: kind, FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: r.time},
		})
	}
	for _, f := range contents {
		if f.pkg != "" {
			add(f.from, "/"+f.pkg, files.TypeFile, f.mode)
		}
	}
	add("", "/etc/martsync", files.TypeDir, 0o755)
	return info
}
