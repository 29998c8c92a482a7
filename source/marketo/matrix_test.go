package marketo

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// How many rules the two check lists have: what the source must survive, and what the simulator must enforce.
const sourceRules, simulatorRules = 30, 38

// ruleName is an id of a rule in the name of a test: TestE8_Crash, TestS33_S34_Forms, "E7: no filter".
var ruleName = regexp.MustCompile(`(?:^Test|_|^|\s)([ES])([1-9][0-9]?)(?:[^0-9]|$)`)

// rulesOf lists the ids in the names of the tests of a folder, and of those a test that has it. Names of subtests count
// where they stand as text in a test.
func rulesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", dir, err)
	}
	found := map[string]string{}
	add := func(name, where string) {
		for rest := name; ; {
			m := ruleName.FindStringSubmatchIndex(rest)
			if m == nil {
				return
			}
			found[rest[m[2]:m[5]]] = where
			rest = rest[m[5]:]
		}
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			add(f.Name.Name, f.Name.Name)
			ast.Inspect(f, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					if text, err := strconv.Unquote(l.Value); err == nil && regexp.MustCompile(`^[ES][0-9]+: `).MatchString(text) {
						add(text, f.Name.Name)
					}
				}
				return true
			})
		}
	}
	return found
}

// Every rule of the two check lists has a test that names it, and no test names a rule that does not exist.
func TestEveryRuleHasATest(t *testing.T) {
	for _, c := range []struct {
		dir, letter string
		rules       int
	}{{".", "E", sourceRules}, {"marketosim", "S", simulatorRules}} {
		found := rulesOf(t, c.dir)
		for n := range c.rules {
			id := fmt.Sprint(c.letter, n+1)
			if found[id] == "" {
				t.Errorf("%s: no test names rule %s", c.dir, id)
			}
			delete(found, id)
		}
		for _, id := range slices.Sorted(maps.Keys(found)) {
			if strings.HasPrefix(id, c.letter) {
				t.Errorf("%s: %s names rule %s, which does not exist", c.dir, found[id], id)
			}
		}
	}
}

func TestRuleNames(t *testing.T) {
	for name, want := range map[string]string{
		"TestE8_Crash": "E8", "TestE12ObjectsWithDirt": "E12", "TestS33_S34_StudioForms": "S33 S34", "E7: no filter": "E7", "TestEstimate": "", "TestLead10": "",
		"TestE123": "", "TestFileS3": "",
	} {
		var got []string
		for rest := name; ; {
			m := ruleName.FindStringSubmatchIndex(rest)
			if m == nil {
				break
			}
			got = append(got, rest[m[2]:m[5]])
			rest = rest[m[5]:]
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %q", name, got, want)
		}
	}
}
