package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker in releases.
var version = ""

// buildInfo is what version prints.
type buildInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	DuckDB   bool   `json:"duckdb"`                  // whether DuckDB is in this build
	Driver   string `json:"duckdb_driver,omitempty"` // the version of its driver
}

func build() buildInfo {
	b := buildInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, DuckDB: withDuckDB}
	info, ok := debug.ReadBuildInfo()
	if ok {
		if b.Version == "" && info.Main.Version != "" && info.Main.Version != "(devel)" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.Time = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
		for _, m := range info.Deps {
			if m.Path == "github.com/duckdb/duckdb-go/v2" && withDuckDB {
				b.Driver = m.Version
			}
		}
	}
	if b.Version == "" {
		b.Version = "development"
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "version", Short: "Says what this build is", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := build()
			if asJSON {
				return a.writeJSON(b)
			}
			a.print("martsync %s (%s, %s)", b.Version, b.Go, b.Platform)
			if b.Commit != "" {
				state := ""
				if b.Modified {
					state = ", with changes"
				}
				a.print("  commit  %.12s of %s%s", b.Commit, b.Time, state)
			}
			switch {
			case b.DuckDB && b.Driver != "":
				a.print("  DuckDB  included, driver %s", b.Driver)
			case b.DuckDB:
				a.print("  DuckDB  included")
			default:
				a.print("  DuckDB  not included: built without cgo or with -tags lite")
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
