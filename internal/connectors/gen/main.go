// Command gen writes the list of connectors in internal/connectors and the table of them in
// the README. It reads the folders' source text, so it works whatever the build tags and
// whether or not the connectors compile.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run("../.."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes the files that are not as they should be. It is started by go generate in
// internal/connectors; root is the way from there to the module's root.
func run(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.old == f.text {
			continue
		}
		if err := os.WriteFile(filepath.Join(root, f.path), []byte(f.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
