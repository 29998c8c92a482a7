//go:build unix

package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	yamlnode "go.yaml.in/yaml/v4"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/simulate"
)

// TestECS starts the program as the task of the CloudFormation template says, for DEV and for PROD: its command, its
// environment, a folder to write to and nothing else. A spot task is asked to end in the middle; the next day's goes on.
// The tables must equal both accounts.
func TestECS(t *testing.T) {
	long(t)
	t.Parallel() // it waits for clocks
	program := builtLite(t)
	for _, environment := range []string{"dev", "prod"} {
		t.Run(environment, func(t *testing.T) {
			byDay(t, environment == "prod")
			t.Parallel()
			server := s3test.New(t)
			stack := "martsync-" + environment
			container := containerOf(t, map[string]string{
				"Environment": environment, "Bucket": s3test.Bucket, "Sync": "", "MaxTime": "23h", "AWS::StackName": stack,
				"AlarmTopic": "arn:aws:sns:eu-central-1:123456789012:" + stack, "AWS::Region": s3test.Region, "Image": "x", "LogGroup": "x",
			})
			clock, speed := paced(killSpeed)
			env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: clock, TempDir: t.TempDir()}
			calls := newGate() // of both
			sources, accounts, opened := map[string]any{}, map[string]simulate.Instance{}, map[string]martsync.Source{}
			var syncs []map[string]any
			for _, simulator := range connectors.Simulators() {
				account, err := simulator.New(simulate.Options{Seed: 4, Rows: 30, Clock: clock})
				if err != nil {
					t.Fatal(err)
				}
				vendor := httptest.NewServer(calls.before(account))
				t.Cleanup(vendor.Close)
				options := account.SourceConfig(vendor.URL)
				configured, err := config.NewSource(simulator.Name, sourceConnector(simulator.Name), account.SourceConfig(vendor.URL))
				if err != nil {
					t.Fatal(err)
				}
				if opened[simulator.Name], err = configured.Open(t.Context(), env); err != nil {
					t.Fatal(err)
				}
				options["type"] = simulator.Name
				sources[simulator.Name], accounts[simulator.Name] = options, account
				syncs = append(syncs, map[string]any{"name": simulator.Name, "source": simulator.Name, "destination": "lake", "schema": simulator.Name})
			}
			text, err := yaml.Marshal(map[string]any{
				"version": config.Version, "sources": sources, "syncs": syncs,
				"destinations": map[string]any{"lake": map[string]any{"type": "files", "url": "${DATA_URL}"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			task := newTask(t, program, container, text, map[string]string{
				"MARTSYNC_SPEED": speed, "AWS_ENDPOINT_URL": server.URL, "AWS_REGION": s3test.Region,
				"AWS_ACCESS_KEY_ID": s3test.Key, "AWS_SECRET_ACCESS_KEY": s3test.Secret, // as the role of the task
			})
			if err := clock.Sleep(t.Context(), 30*time.Minute); err != nil { // of what is newer, some may still be on its way
				t.Fatal(err)
			}
			if code, output := task.run(calls, 60); code != martsync.ExitWaiting {
				t.Fatalf("a task that was asked to end: exit code %d, want %d\n%s", code, martsync.ExitWaiting, output)
			}
			if code, output := task.run(nil, 0); code != martsync.ExitOK {
				t.Fatalf("the next task: exit code %d\n%s", code, output)
			}
			for name, account := range accounts {
				lake := files.Config{URL: "s3://" + s3test.Bucket + "/" + stack + "/data", S3: blobtest.Options(server.URL)}
				d, err := files.Open(t.Context(), lake, name, env)
				if err != nil {
					t.Fatal(err)
				}
				compareTables(t, d, opened[name], account)
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A task is a container of a task definition, as Fargate starts it.
type task struct {
	t       *testing.T
	root    string // its file system; "": this machine's, with the paths of the container replaced, for who may not change roots
	program string
	args    []string
	env     []string
}

// The paths that the template and the image agree on.
const (
	taskConfig = "/etc/martsync/martsync.yaml"
	taskFolder = "/var/lib/martsync"
)

func newTask(t *testing.T, program string, c taskContainer, text []byte, more map[string]string) *task {
	t.Helper()
	if len(c.MountPoints) != 1 || c.MountPoints[0].ContainerPath != taskFolder || !c.ReadonlyRootFilesystem || c.StopTimeout < 60 {
		t.Errorf("the container is %+v, want one folder to write to and time to stop", c)
	}
	root := t.TempDir()
	for path, content := range map[string][]byte{taskConfig: text, "/usr/bin/martsync": read(t, program)} {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeProgram(t, root+path, content)
	}
	if err := os.MkdirAll(root+taskFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	k := &task{t: t, program: "/usr/bin/martsync", args: c.Command}
	for _, v := range c.Environment {
		k.env = append(k.env, v.Name+"="+v.Value)
	}
	for name, value := range more {
		k.env = append(k.env, name+"="+value)
	}
	if os.Geteuid() == 0 {
		k.root = root
		return k
	}
	k.program = root + k.program
	for i, v := range k.env {
		k.env[i] = strings.NewReplacer("="+taskConfig, "="+root+taskConfig, "="+taskFolder, "="+root+taskFolder).Replace(v)
	}
	return k
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// run starts the program and returns its exit code. With a gate it is asked to end after that many calls, and none passes
// before it knows.
func (k *task) run(calls *gate, after int64) (code int, output string) {
	k.t.Helper()
	var near <-chan struct{}
	if calls != nil {
		near = calls.limit(after, 0)
		defer calls.open()
	}
	cmd := exec.CommandContext(k.t.Context(), k.program, k.args...)
	cmd.Env = k.env
	if k.root != "" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: k.root}
		cmd.Dir = taskFolder
	}
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	clock := martsync.SystemClock{}
	for end := clock.Now().Add(servePatience); ; _ = clock.Sleep(k.t.Context(), time.Millisecond) {
		select {
		case err := <-ended:
			code, err := exitCode(err)
			if err != nil {
				k.t.Fatal(err)
			}
			return code, said.String()
		case <-near:
			near = nil
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				k.t.Fatal(err)
			}
		default:
		}
		if calls != nil && strings.Contains(said.String(), saysItStops) {
			calls.open()
		}
		if clock.Now().After(end) {
			_ = cmd.Process.Kill()
			<-ended
			k.t.Fatalf("the task does not come to its end\n%s", said.String())
		}
	}
}

// A taskContainer is what of a container definition is carried out here.
type taskContainer struct {
	Command                []string
	ReadonlyRootFilesystem bool
	StopTimeout            int
	MountPoints            []struct{ ContainerPath string }
	Environment            []struct{ Name, Value string }
}

// containerOf reads the container of the template, its functions computed for a stack.
func containerOf(t *testing.T, by map[string]string) (c taskContainer) {
	t.Helper()
	var template struct {
		Resources struct {
			Task struct {
				Properties struct {
					ContainerDefinitions []yamlnode.Node `yaml:"ContainerDefinitions"`
				} `yaml:"Properties"`
			} `yaml:"Task"`
		} `yaml:"Resources"`
	}
	if err := yamlnode.Unmarshal(read(t, filepath.Join("..", "..", "deploy", "ecs", "template.yaml")), &template); err != nil {
		t.Fatal(err)
	}
	containers := template.Resources.Task.Properties.ContainerDefinitions
	if len(containers) != 1 {
		t.Fatalf("%d containers, want one", len(containers))
	}
	text, err := json.Marshal(computed(t, &containers[0], by))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// computed is the value of a node with the functions of CloudFormation that the template uses.
func computed(t *testing.T, node *yamlnode.Node, by map[string]string) any {
	t.Helper()
	var value any
	switch node.Kind {
	case yamlnode.MappingNode:
		out := map[string]any{}
		for i := 0; i < len(node.Content); i += 2 {
			out[node.Content[i].Value] = computed(t, node.Content[i+1], by)
		}
		value = out
	case yamlnode.SequenceNode:
		out := make([]any, len(node.Content))
		for i, item := range node.Content {
			out[i] = computed(t, item, by)
		}
		value = out
	default:
		value = node.Value
		if node.Tag == "!!int" || node.Tag == "!!bool" {
			if err := node.Decode(&value); err != nil {
				t.Fatal(err)
			}
		}
	}
	switch node.Tag {
	case "!Ref":
		return parameter(t, by, node.Value)
	case "!Sub":
		return regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllStringFunc(node.Value, func(p string) string {
			return parameter(t, by, p[2:len(p)-1])
		})
	case "!If":
		if of := value.([]any); of[0] == "HasSync" && by["Sync"] != "" { //nolint:forcetypeassert // of a template that was checked
			return of[1]
		} else if of[0] == "HasSync" {
			return of[2]
		}
	default:
		if strings.HasPrefix(node.Tag, "!!") {
			return value
		}
	}
	t.Fatalf("%s %v is not computed here", node.Tag, value)
	return nil
}

func parameter(t *testing.T, by map[string]string, name string) string {
	t.Helper()
	value, ok := by[name]
	if !ok {
		t.Fatalf("the test knows no %s", name)
	}
	return value
}
