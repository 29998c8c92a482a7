package snowflake

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGrammar parses every statement of the golden files with a grammar of Snowflake's SQL that is not ours:
// the program of tools/snowgrammar, which the variable SNOWGRAMMAR names.
func TestGrammar(t *testing.T) {
	program := os.Getenv("SNOWGRAMMAR")
	if program == "" {
		t.Skip("SNOWGRAMMAR is not set: go -C tools/snowgrammar build -o snowgrammar . builds it")
	}
	statements, files := goldenStatements(t)
	const broken = "SELECT FROM WHERE" // a grammar that takes this takes everything
	in, err := json.Marshal(append(statements, broken))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Stdin = bytes.NewReader(in)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var verdicts []string
	if err := json.Unmarshal(out, &verdicts); err != nil {
		t.Fatal(err)
	}
	if len(verdicts) != len(statements)+1 {
		t.Fatalf("got %d verdicts on %d statements", len(verdicts), len(statements)+1)
	}
	if verdicts[len(statements)] == "" {
		t.Errorf("the grammar takes %q", broken)
	}
	for i, s := range statements {
		if verdicts[i] != "" {
			t.Errorf("%s: %s\n%s", files[i], verdicts[i], s)
		}
	}
	t.Logf("%d statements", len(statements))
}

// goldenStatements are the statements of all golden files, each once, and the file that each is from.
func goldenStatements(t *testing.T) (statements, files []string) {
	t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir("testdata", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".sql" {
			return err
		}
		data, err := os.ReadFile(path)
		for s := range strings.SplitSeq(string(data), separator) {
			if s = strings.TrimSpace(s); s != "" && !seen[s] {
				seen[s] = true
				statements, files = append(statements, s), append(files, path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(statements) == 0 {
		t.Fatal("there are no golden statements")
	}
	return statements, files
}
