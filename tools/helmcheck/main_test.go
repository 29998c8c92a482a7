package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

// chartDir is the folder with the chart.
var chartDir = filepath.Join("..", "..", "deploy", "k8s")

func TestChart(t *testing.T) {
	problems, err := check(chartDir, effort{lint: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// TestPage: the values on the page about Kubernetes are taken, and mean something.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "places", "kubernetes.md"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := loader.Load(filepath.Join(chartDir, "martsync"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Errorf("the page has %d blocks of values, want 2", len(blocks))
	}
	for i, b := range blocks {
		values, err := chartutil.ReadValues([]byte(regexp.MustCompile("(?m)^"+b[1]).ReplaceAllString(b[2], "")))
		if err != nil {
			t.Fatal(err)
		}
		files, err := render(c, values)
		if err != nil {
			t.Fatalf("block %d: %v", i+1, err)
		}
		objects, problems := decode(files)
		for _, p := range append(problems, meaning(objects, []string{"Secret/marketing-accounts"})...) {
			t.Errorf("block %d: %s", i+1, p)
		}
	}
}

// TestPlanted: each of these mistakes in the chart is found.
func TestPlanted(t *testing.T) {
	for _, m := range []struct {
		name, file, old, new string
		want                 string // part of a problem
		golden               bool   // the mistake is that the rendering has changed
	}{
		{"a field that does not exist", "templates/cronjob.yaml", "concurrencyPolicy:", "concurencyPolicy:", `unknown field "spec.concurencyPolicy"`, false},
		{"a field in the wrong place", "templates/_pod.tpl", "    imagePullPolicy:", "    restartPolicyy: Never\n    imagePullPolicy:", "restartPolicyy", false},
		{"a field in the wrong case", "templates/cronjob.yaml", "backoffLimit:", "backOffLimit:", `unknown field "spec.jobTemplate.spec.backOffLimit"`, false},
		{"a number as text", "templates/cronjob.yaml", "backoffLimit: {{ int64 $.Values.cronJob.backoffLimit }}", `backoffLimit: "6"`, "cannot unmarshal string into Go struct field", false},
		{"a text as a number", "templates/deployment.yaml", "prometheus.io/port: {{ int64 $.Values.serve.port | quote }}", "prometheus.io/port: 8484", "cannot unmarshal number into Go struct field", false},
		{"a list as a text", "templates/claim.yaml", "accessModes:\n    {{- toYaml .Values.persistence.accessModes | nindent 4 }}", "accessModes: ReadWriteOnce", "cannot unmarshal string into Go struct field", false},
		{"a key twice", "templates/cronjob.yaml", "  suspend: {{ $job.suspend }}", "  suspend: false\n  suspend: {{ $job.suspend }}", `key "suspend" already set`, false},
		{"another API", "templates/cronjob.yaml", "apiVersion: batch/v1", "apiVersion: batch/v1beta1", `kind "CronJob" in API "batch/v1beta1"`, false},
		{"a key of values that does not exist", "templates/service.yaml", ".Values.serve.service.type", ".Values.serve.service.kind", `map has no entry for key "kind"`, false},
		{"text that is not YAML", "templates/service.yaml", "spec:", "spec", "yaml: line", false},
		{"a schedule that no controller takes", "values.yaml", `schedule: "0 9 * * *"`, `schedule: "0 25 * * *"`, "schedule: end of range (25) above maximum", false},
		{"a time zone that does not exist", "values.yaml", "timeZone: Etc/UTC", "timeZone: America/Los_Angles", `time zone "America/Los_Angles"`, false},
		{"codes out of order", "templates/cronjob.yaml", "[2, 3, 4]", "[3, 2, 4]", "are not ascending", false},
		{"a rule for no container", "templates/cronjob.yaml", "containerName: martsync", "containerName: main", `there is no container "main"`, false},
		{"pods that start anew by themselves", "templates/cronjob.yaml", `"restart" "Never"`, `"restart" "OnFailure"`, `restartPolicy is "OnFailure"`, false},
		{"a volume that is not there", "templates/_pod.tpl", "- name: tmp\n    emptyDir", "- name: temp\n    emptyDir", `mounts the volume "tmp"`, false},
		{"a Secret that is not there", "templates/_pod.tpl", `name: {{ default (include "martsync.fullname" .root) $v.existingSecret }}`, "name: keys-of-others", "Secret/keys-of-others, which is not there", false},
		{"a ConfigMap of another name", "templates/configmap.yaml", `name: {{ include "martsync.configMap" . }}`, "name: configuration", "refers to ConfigMap/marketing-data-of-the-americas", false},
		{"a selector that selects nothing", "templates/deployment.yaml", "      martsync/shard: {{ $i | quote }}\n  template", "      martsync/part: {{ $i | quote }}\n  template", "does not select its pods", false},
		{"a selector that selects others", "templates/deployment.yaml", "      app.kubernetes.io/component: serve\n      martsync/shard: {{ $i | quote }}\n  template", "      app.kubernetes.io/component: serve\n  template", "selects pods of others too", false},
		{"a Service without pods", "templates/service.yaml", "app.kubernetes.io/component: serve", "app.kubernetes.io/component: sync", "there are none", false},
		{"a probe of no port", "templates/_pod.tpl", "- name: http\n        containerPort", "- name: metrics\n        containerPort", "is probed at port http", false},
		{"two daemons at once", "templates/deployment.yaml", "type: Recreate", "type: RollingUpdate", "there would be two at once", false},
		{"a label that is none", "templates/_names.tpl", "app.kubernetes.io/instance: {{ .Release.Name }}", "app.kubernetes.io/instance: 'a b'", "a valid label must be", false},
		{"names without room", "templates/_names.tpl", "trunc 30", "trunc 48", "it may have 52", false},
		{"root", "values.yaml", "runAsUser: 65532", "runAsUser: 0", "may run as root", false},
		{"a root that can be written to", "values.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "may write to its root", false},
		{"capabilities", "values.yaml", "capabilities: {drop: [ALL]}", "capabilities: {drop: [NET_RAW]}", "keeps capabilities", false},
		{"a request above the limit", "values.yaml", "memory: 512Mi", "memory: 128Mi", "requests more memory", false},
		{"a default that the schema does not take", "values.yaml", "shards: 1", "shards: 0", "minimum: got 0, want 1", false},
		{"a value without a schema", "values.yaml", "mode: cronjob", "mode: cronjob\nmodes: []", "'modes' not allowed", false},
		{"a schema without a value", "values.yaml", "priorityClassName: \"\"\n", "", "priorityClassName of the schema has no default", false},
		{"a schema that takes anything", "values.schema.json", "  \"additionalProperties\": false,\n  \"definitions\"", "  \"definitions\"", "takes keys that nobody reads", false},
		{"a refusal that was dropped", "templates/_checks.tpl", "gt (int $job.shards) 1", "false", "shards-of-a-job.yaml: is not refused", false},
		{"a file that Helm would install as it is", "templates/notes.md", "", "kind: ConfigMap", "lint: templates/notes.md: file extension '.md' not valid", false},
		{"another rendering", "values.yaml", "size: 10Gi", "size: 11Gi", "is not rendered as in golden/duckdb.yaml", true},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(chartDir)); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "martsync", filepath.FromSlash(m.file))
			text, err := os.ReadFile(file)
			if err != nil && m.old != "" {
				t.Fatal(err)
			}
			changed := strings.ReplaceAll(string(text), m.old, m.new)
			if changed == string(text) {
				t.Fatalf("%s does not have %q", m.file, m.old)
			}
			if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
				t.Fatal(err)
			}
			problems, err := check(dir, effort{update: !m.golden, lint: strings.HasPrefix(m.want, "lint")})
			if err != nil {
				problems = append(problems, err.Error())
			}
			if found := strings.Join(problems, "\n"); len(problems) == 0 || !strings.Contains(found, m.want) {
				t.Errorf("found %q, want %q", found, m.want)
			}
		})
	}
}
