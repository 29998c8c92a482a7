// Package archtest holds no code: its test keeps the imports between packages as docs/design.md
// draws them, towards the root, without the help of a linter.
package archtest

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/martsync/martsync"

// A pkg is what go list tells of a package.
type pkg struct {
	ImportPath   string
	Dir          string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// list asks for the module's packages, with cgo and without: build tags hide imports.
func list(t *testing.T, cgo string) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Standard,Imports,TestImports,XTestImports", module+"/...")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED="+cgo)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// in returns the path of a package from the root ("" is the root) and whether it is ours.
func in(importPath string) (string, bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// A rule says what the packages that match may import of ours.
type rule struct {
	name    string
	match   func(p string) bool
	allowed func(importer, imported string) bool
}

func within(folder string) func(string) bool {
	return func(p string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }
}

// isSimulator reports whether p is or belongs to source/x/xsim.
func isSimulator(p string) bool {
	parts := strings.Split(p, "/")
	return len(parts) >= 3 && parts[0] == "source" && strings.HasSuffix(parts[2], "sim")
}

// isServer reports whether p is or belongs to destination/x/xsim.
func isServer(p string) bool {
	parts := strings.Split(p, "/")
	return len(parts) >= 3 && parts[0] == "destination" && strings.HasSuffix(parts[2], "sim")
}

// isSuite reports whether p is a test suite or a double, which only tests import.
func isSuite(p string) bool {
	return strings.HasSuffix(path.Base(p), "test") || p == "destination/memory" || p == "internal/crash"
}

// connector returns "source/x" for whatever belongs to that connector.
func connector(p string) string {
	parts := strings.SplitN(p, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

var rules = []rule{
	{"the root imports nothing of ours", func(p string) bool { return p == "" }, func(string, string) bool { return false }},
	{"the kit for simulators imports nothing of ours", within("simulate"), func(_, to string) bool { return within("simulate")(to) }},
	{"a simulator imports the kit only, and not its source", isSimulator, func(from, to string) bool {
		return within("simulate")(to) || isSimulator(to) && connector(from) == connector(to)
	}},
	{"a double of a destination's server imports nothing of ours", isServer, func(from, to string) bool { return isServer(to) && connector(from) == connector(to) }},
	{"internal/connectors imports connectors, simulators and what their lists are made of", func(p string) bool { return p == "internal/connectors" }, func(_, to string) bool {
		return to == "" || to == "simulate" || strings.HasPrefix(to, "source/") || strings.HasPrefix(to, "destination/")
	}},
	{"a test suite imports what it tests", isSuite, func(_, to string) bool {
		return to == "" || to == "simulate" || strings.HasPrefix(to, "internal/") && to != "internal/connectors" || to == "pipeline" || to == "state" || isSuite(to)
	}},
	{"a source imports the root, internal packages and itself", within("source"), func(from, to string) bool {
		return to == "" || strings.HasPrefix(to, "internal/") && to != "internal/connectors" || !isSimulator(to) && connector(from) == connector(to)
	}},
	{"a destination imports the root, internal packages and itself", within("destination"), func(from, to string) bool {
		return to == "" || strings.HasPrefix(to, "internal/") && to != "internal/connectors" || !isServer(to) && connector(from) == connector(to)
	}},
	{"the raw zone and the audit import the root and internal packages", func(p string) bool { return within("raw")(p) || within("audit")(p) }, func(_, to string) bool {
		return to == "" || strings.HasPrefix(to, "internal/") && to != "internal/connectors"
	}},
	{"the engine and its helpers import no connector", func(p string) bool {
		return slices.Contains([]string{"pipeline", "state", "runlog", "config", "schedule", "daemon", "alert"}, strings.SplitN(p, "/", 2)[0]) || strings.HasPrefix(p, "internal/")
	}, func(_, to string) bool {
		return to != "raw" && to != "audit" && !strings.HasPrefix(to, "source/") && !strings.HasPrefix(to, "destination/") && to != "internal/connectors" && !strings.HasPrefix(to, "cmd/") && to != "web"
	}},
	{"nothing imports a command", func(string) bool { return true }, func(_, to string) bool { return !strings.HasPrefix(to, "cmd/") }},
}

// TestImports checks the imports of code that is not a test. Tests may also import
// simulators and suites, so only the first rule binds them: see TestTests.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, cgo := range []string{"1", "0"} {
		for _, p := range list(t, cgo) {
			from, ok := in(p.ImportPath)
			if !ok {
				continue
			}
			seen[from] = true
			for _, imported := range p.Imports {
				to, ours := in(imported)
				if !ours || allowedBy(from, to) == "" {
					continue
				}
				t.Errorf("%s imports %s (cgo %s): %s", show(from), show(to), cgo, allowedBy(from, to))
			}
		}
	}
	for _, must := range []string{"", "config", "internal/truth"} {
		if !seen[must] {
			t.Errorf("go list did not list %s: the test looks at nothing", show(must))
		}
	}
}

// allowedBy returns the rule that forbids the import, or "". The first rule that matches the
// importer decides, then the last one.
func allowedBy(from, to string) string {
	for i, r := range rules {
		if !r.match(from) {
			continue
		}
		if !r.allowed(from, to) {
			return r.name
		}
		if last := rules[len(rules)-1]; i < len(rules)-1 && !last.allowed(from, to) {
			return last.name
		}
		return ""
	}
	return ""
}

func show(p string) string {
	if p == "" {
		return "the root"
	}
	return p
}

// TestTests keeps suites and doubles out of the binary, and the standard library the only
// thing the root leans on.
func TestTests(t *testing.T) {
	for _, p := range list(t, "1") {
		from, ok := in(p.ImportPath)
		if !ok {
			continue
		}
		for _, imported := range p.Imports {
			if to, ours := in(imported); ours && isSuite(to) && !isSuite(from) {
				t.Errorf("%s imports %s, which is for tests", show(from), to)
			}
			if from == "" && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
				t.Errorf("the root imports %s; it may import the standard library only", imported)
			}
			if isSimulator(from) && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
				if _, ours := in(imported); !ours {
					t.Errorf("simulator %s imports %s; it may import simulate and the standard library only", from, imported)
				}
			}
		}
	}
}

// TestRules checks the checker: imports that must be refused and imports that must pass.
func TestRules(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		allowed  bool
	}{
		{"", "internal/columns", false},
		{"source/marketo", "", true},
		{"source/marketo", "internal/columns", true},
		{"source/marketo", "internal/connectors", false},
		{"source/marketo", "pipeline", false},
		{"source/marketo", "source/pardot", false},
		{"source/marketo", "destination/duckdb", false},
		{"source/marketo", "source/marketo/marketosim", false},
		{"source/marketo", "simulate", false},
		{"source/marketo/marketosim", "simulate", true},
		{"source/marketo/marketosim", "source/marketo", false},
		{"source/marketo/marketosim", "", false},
		{"simulate", "", false},
		{"destination/duckdb", "internal/sqlgen", true},
		{"destination/duckdb", "state", false},
		{"raw", "internal/blob", true},
		{"raw", "pipeline", false},
		{"raw", "source/marketo", false},
		{"audit", "destination/files", false},
		{"destination/files", "internal/blob", true},
		{"internal/blob", "destination/files", false},
		{"internal/blob/s3test", "internal/blob", true},
		{"pipeline", "raw", false},
		{"pipeline", "state", true},
		{"pipeline", "source/marketo", false},
		{"daemon", "state", true},
		{"daemon", "source/marketo", false},
		{"alert", "state", true},
		{"alert", "source/marketo", false},
		{"internal/truth", "simulate", true},
		{"internal/truth", "destination/duckdb", false},
		{"internal/connectors", "source/marketo/marketosim", true},
		{"internal/connectors", "pipeline", false},
		{"config", "internal/connectors", false},
		{"cmd/martsync", "internal/connectors", true},
		{"web", "cmd/martsync", false},
	} {
		if got := allowedBy(tc.from, tc.to); (got == "") != tc.allowed {
			t.Errorf("%s imports %s: got %q, want allowed %v", show(tc.from), show(tc.to), got, tc.allowed)
		}
	}
}
