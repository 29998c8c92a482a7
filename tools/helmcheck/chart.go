package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// The release that is rendered. Its name is long, since names are made of it.
const (
	release   = "marketing-data-of-the-americas"
	namespace = "marts"
	notes     = "NOTES.txt"
)

// version is what the cluster says it is: the oldest that the chart is for.
const version = "v1.27.0"

// An effort says what check does beside rendering and decoding.
type effort struct {
	update bool // write the renderings anew
	lint   bool // ask Helm's own linter, which takes longer than everything else
}

// check checks the chart in dir/martsync with what is in dir/testdata. It returns everything that is wrong.
func check(dir string, how effort) (problems []string, err error) {
	folder := filepath.Join(dir, "martsync")
	c, err := loader.Load(folder)
	if err != nil {
		return nil, err
	}
	problems = append(problems, schemaProblems(c)...)
	files, err := filepath.Glob(filepath.Join(dir, "testdata", "values", "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no values in %s: %v", dir, err)
	}
	for _, file := range files {
		found, err := checkValues(c, folder, file, how)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			problems = append(problems, filepath.Base(file)+": "+p)
		}
	}
	refused, err := filepath.Glob(filepath.Join(dir, "testdata", "refused", "*.yaml"))
	if err != nil || len(refused) == 0 {
		return nil, fmt.Errorf("nothing to refuse in %s: %v", dir, err)
	}
	for _, file := range refused {
		values, said, err := readValues(file)
		if err != nil {
			return nil, err
		}
		_, err = render(c, values)
		switch want := said["want"]; {
		case err == nil:
			problems = append(problems, filepath.Base(file)+": is not refused")
		case len(want) != 1 || !strings.Contains(err.Error(), want[0]):
			problems = append(problems, fmt.Sprintf("%s: is refused with %q, want %q", filepath.Base(file), err, want))
		}
	}
	return problems, nil
}

// checkValues checks the chart with one values file.
func checkValues(c *chart.Chart, folder, file string, how effort) (problems []string, err error) {
	values, said, err := readValues(file)
	if err != nil {
		return nil, err
	}
	if how.lint {
		for _, m := range lint.AllWithKubeVersion(folder, values, namespace, kubeVersion()).Messages {
			// An icon is a matter of taste.
			if m.Severity >= support.WarningSev {
				problems = append(problems, fmt.Sprintf("lint: %s: %v", m.Path, m.Err))
			}
		}
	}
	files, err := render(c, values)
	if err != nil {
		return append(problems, err.Error()), nil
	}
	text := join(files)
	golden := filepath.Join(filepath.Dir(filepath.Dir(file)), "golden", filepath.Base(file))
	if how.update {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			return nil, err
		}
	}
	if want, err := os.ReadFile(golden); err != nil || !bytes.Equal(want, text) {
		problems = append(problems, fmt.Sprintf("is not rendered as in golden/%s (-update writes it anew); first difference: %s",
			filepath.Base(file), difference(want, text)))
	}
	objects, found := decode(files)
	problems = append(problems, found...)
	return append(problems, meaning(objects, said["outside"])...), nil
}

// render returns the text of each template that makes one.
func render(c *chart.Chart, values map[string]any) (map[string]string, error) {
	caps := chartutil.DefaultCapabilities.Copy()
	caps.KubeVersion = *kubeVersion()
	if !chartutil.IsCompatibleRange(c.Metadata.KubeVersion, caps.KubeVersion.Version) {
		return nil, fmt.Errorf("the chart is for Kubernetes %s, which %s is not", c.Metadata.KubeVersion, version)
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(c, values, options, caps)
	if err != nil {
		return nil, err
	}
	e := engine.Engine{Strict: true} // a missing key is an error and not "<no value>"
	files, err := e.Render(c, all)
	if err != nil {
		return nil, err
	}
	for name, text := range files {
		if strings.TrimSpace(text) == "" || strings.HasSuffix(name, ".tpl") {
			delete(files, name)
		}
	}
	return files, nil
}

func kubeVersion() *chartutil.KubeVersion {
	v, err := chartutil.ParseKubeVersion(version)
	if err != nil {
		panic(err)
	}
	return v
}

// readValues reads a values file, and its comments of the form "# key: text".
func readValues(file string) (values map[string]any, said map[string][]string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	values, err = chartutil.ReadValues(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	said = map[string][]string{}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "# "); ok {
			if key, what, ok := strings.Cut(rest, ": "); ok {
				said[key] = append(said[key], what)
			}
		}
	}
	return values, said, nil
}

// join makes one text of the files, the notes as a comment at its end.
func join(files map[string]string) []byte {
	var b bytes.Buffer
	var names []string
	for name := range files {
		if !strings.HasSuffix(name, notes) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", name, strings.TrimPrefix(strings.TrimSpace(files[name]), "---\n"))
	}
	for name, text := range files {
		if strings.HasSuffix(name, notes) {
			b.WriteString("---\n# The notes:\n")
			for line := range strings.Lines(strings.TrimSpace(text)) {
				b.WriteString(strings.TrimRight("# "+line, " \n") + "\n")
			}
		}
	}
	return b.Bytes()
}

// difference is the first line that two texts do not share.
func difference(want, got []byte) string {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d: want %q, got %q", i+1, a, b)
		}
	}
	return "none"
}
