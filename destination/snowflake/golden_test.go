package snowflake

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// separator stands between the statements of a golden file.
const separator = "\n;\n"

// golden compares statements with a file of testdata/statements. The grammar checks what is in there.
func golden(t *testing.T, name string, statements []string) {
	t.Helper()
	path := filepath.Join("testdata", "statements", name+".sql")
	got := strings.Join(statements, separator) + separator
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; go test -update writes it anew):\n%s", path, diff)
	}
}
