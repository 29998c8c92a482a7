//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/shard"
	"github.com/martsync/martsync/simulate"
)

// TestKubernetes does what a cluster does with the CronJobs that the Helm chart makes: the arguments, environment,
// configuration and volumes of their pods, as the user they name, in a root file system that holds nothing else. Nodes
// are drained in the middle and a process is killed; the Jobs must come to their end by the rules that they have for
// that, each account at one of the shards, and the tables must equal the accounts.
//
// That the chart makes these CronJobs is what tools/helmcheck checks.
func TestKubernetes(t *testing.T) {
	long(t)
	t.Parallel() // it waits for clocks
	program := builtLite(t)
	t.Run("buckets", func(t *testing.T) {
		t.Parallel()
		server := s3test.New(t)
		c := newCluster(t, "buckets", program)
		c.secrets["marketing-accounts"] = map[string]string{
			"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": s3test.Region,
			"AWS_ACCESS_KEY_ID": s3test.Key, "AWS_SECRET_ACCESS_KEY": s3test.Secret,
		}
		c.copyAccounts(2, func() files.Config {
			return files.Config{URL: "s3://" + s3test.Bucket + "/lake", S3: blobtest.Options(server.URL)}
		})
		store, err := blob.Location{URL: "s3://" + s3test.Bucket + "/state", S3: blobtest.Options(server.URL)}.Open(t.Context(), "", s3test.Env(t))
		if err != nil {
			t.Fatal(err)
		}
		if len(blobtest.Keys(t, store, "", "")) == 0 {
			t.Error("there is no state in the bucket")
		}
	})
	t.Run("volume", func(t *testing.T) {
		byDay(t, false)
		t.Parallel()
		c := newCluster(t, "volume", program)
		c.copyAccounts(1, func() files.Config { return files.Config{Path: c.claim(c.cronJobs[0].claim(), "lake")} })
		if _, err := os.Stat(c.claim(c.cronJobs[0].claim(), "state")); err != nil {
			t.Errorf("there is no state on the volume: %v", err)
		}
	})
}

// A cluster is a rendering of the chart, and what its pods find in the world.
type cluster struct {
	t       *testing.T
	dir     string
	program string
	clock   simulate.Time
	speed   string            // of the clock
	gates   map[string]*gate  // of the accounts, by the names of their simulators, which are also those of the syncs
	read    map[string]string // by the same names: what the sources call the accounts

	cronJobs   []cronJob
	configMaps map[string]map[string]string
	secrets    map[string]map[string]string // those that are not of the chart

	mu   sync.Mutex
	pods int
}

// A cronJob is what of a CronJob is carried out here.
type cronJob struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string // of a ConfigMap
	Spec     struct {
		JobTemplate struct {
			Spec struct {
				BackoffLimit     int `yaml:"backoffLimit"`
				PodFailurePolicy struct {
					Rules []failureRule
				} `yaml:"podFailurePolicy"`
				Template struct{ Spec podSpec }
			}
		} `yaml:"jobTemplate"`
	}
}

type failureRule struct {
	Action          string
	OnPodConditions []struct{ Type, Status string } `yaml:"onPodConditions"`
	OnExitCodes     struct {
		ContainerName string `yaml:"containerName"`
		Operator      string
		Values        []int
	} `yaml:"onExitCodes"`
}

type podSpec struct {
	RestartPolicy   string `yaml:"restartPolicy"`
	Grace           int    `yaml:"terminationGracePeriodSeconds"`
	SecurityContext struct {
		RunAsUser  uint32 `yaml:"runAsUser"`
		RunAsGroup uint32 `yaml:"runAsGroup"`
		FSGroup    uint32 `yaml:"fsGroup"`
	} `yaml:"securityContext"`
	Containers []struct {
		Name          string
		Command, Args []string
		Env           []struct{ Name, Value string }
		EnvFrom       []struct {
			SecretRef struct{ Name string } `yaml:"secretRef"`
		} `yaml:"envFrom"`
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	}
	Volumes []volume
}

type volume struct {
	Name                  string
	ConfigMap             *struct{ Name string } `yaml:"configMap"`
	EmptyDir              *struct{}              `yaml:"emptyDir"`
	PersistentVolumeClaim *struct {
		ClaimName string `yaml:"claimName"`
	} `yaml:"persistentVolumeClaim"`
}

func (j *cronJob) pod() *podSpec { return &j.Spec.JobTemplate.Spec.Template.Spec }

// claim is the name of the volume that outlives a pod.
func (j *cronJob) claim() string {
	for _, v := range j.pod().Volumes {
		if v.PersistentVolumeClaim != nil {
			return v.PersistentVolumeClaim.ClaimName
		}
	}
	return ""
}

// newCluster reads a rendering that is committed.
func newCluster(t *testing.T, rendering, program string) *cluster {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "deploy", "k8s", "testdata", "golden", rendering+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := &cluster{
		t: t, dir: t.TempDir(), program: program, gates: map[string]*gate{}, read: map[string]string{},
		configMaps: map[string]map[string]string{}, secrets: map[string]map[string]string{"marketing-accounts": {}},
	}
	c.clock, c.speed = paced(killSpeed)
	for d := yaml.NewDecoder(file); ; {
		var o cronJob
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", rendering, err)
		}
		switch o.Kind {
		case "CronJob":
			c.cronJobs = append(c.cronJobs, o)
		case "ConfigMap":
			c.configMaps[o.Metadata.Name] = o.Data
		}
	}
	return c
}

// copyAccounts has all CronJobs come twice, for accounts that change in between.
func (c *cluster) copyAccounts(shards int, lake func() files.Config) {
	t := c.t
	if len(c.cronJobs) != shards {
		t.Fatalf("%d CronJobs, want %d", len(c.cronJobs), shards)
	}
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: c.clock, TempDir: t.TempDir()}
	accounts, sources := map[string]simulate.Instance{}, map[string]martsync.Source{}
	secret := c.secrets["marketing-accounts"]
	secret["MARTSYNC_SPEED"] = c.speed
	for _, simulator := range connectors.Simulators() {
		account, err := simulator.New(simulate.Options{Seed: 9, Rows: 30, Clock: c.clock})
		if err != nil {
			t.Fatal(err)
		}
		c.gates[simulator.Name] = newGate()
		server := httptest.NewServer(c.gates[simulator.Name].before(account))
		t.Cleanup(server.Close)
		configured, err := config.NewSource(simulator.Name, sourceConnector(simulator.Name), account.SourceConfig(server.URL))
		if err != nil {
			t.Fatal(err)
		}
		if sources[simulator.Name], err = configured.Open(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		accounts[simulator.Name], c.read[simulator.Name] = account, sources[simulator.Name].Account()
		for key, value := range account.SourceConfig(server.URL) {
			secret[strings.ToUpper(simulator.Name+"_"+key)] = fmt.Sprint(value)
		}
	}
	c.sleep(30 * time.Minute) // of what is newer, some may still be on its way
	for round := range 2 {
		drains := 3
		if round > 0 {
			drains = 0
		}
		jobs := c.schedule(drains)
		for name, account := range accounts {
			var at []string
			for _, j := range jobs {
				if strings.Contains(j.output.String(), `"sync":"`+name+`"`) {
					at = append(at, j.name)
				}
			}
			if len(at) != 1 {
				t.Errorf("round %d: the account of %s was at %q, want one of them", round, name, at)
			}
			d, err := files.Open(t.Context(), lake(), name, env)
			if err != nil {
				t.Fatal(err)
			}
			compareTables(t, d, sources[name], account)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				account.Change(30)
			}
		}
		for _, j := range jobs {
			t.Logf("round %d: %s: %d pods, drained %d times, exit codes %v", round, j.name, len(j.codes), j.drained, j.codes)
			if j.drained < drains || drains > 0 && !slices.Contains(j.codes, killed) {
				t.Errorf("round %d: %s was drained %d times, want %d, and killed: it was not interrupted in the middle", round, j.name, j.drained, drains)
			}
		}
		if round == 0 {
			c.sleep(25 * time.Hour) // what has no change dates is listed once a day
		}
	}
}

func (c *cluster) sleep(d time.Duration) {
	c.t.Helper()
	if err := c.clock.Sleep(c.t.Context(), d); err != nil {
		c.t.Fatal(err)
	}
}

// A job is a Job that has come to its end.
type job struct {
	name    string
	codes   []int // of its pods
	drained int
	output  *lockedBuffer
}

// schedule makes a Job of each CronJob and waits for all of them.
func (c *cluster) schedule(drains int) []*job {
	c.t.Helper()
	jobs, errs := make([]*job, len(c.cronJobs)), make([]error, len(c.cronJobs))
	var all sync.WaitGroup
	for i, cron := range c.cronJobs {
		all.Go(func() { jobs[i], errs[i] = c.runJob(&cron, drains) })
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			c.t.Fatalf("%s: %v\n%s", c.cronJobs[i].Metadata.Name, err, jobs[i].output)
		}
	}
	return jobs
}

// firstCalls is after how many calls of an account the first pod is drained.
const firstCalls = 20

// runJob does what the controller of Jobs does: a pod at a time, until one ends well or the rules say that the Job has
// failed. The first pods are drained, somewhat later each, and then one is killed.
func (c *cluster) runJob(cron *cronJob, drains int) (*job, error) {
	j := &job{name: cron.Metadata.Name, output: &lockedBuffer{}}
	spec := &cron.Spec.JobTemplate.Spec
	for failures := 0; ; {
		var interrupt os.Signal
		after := int64(firstCalls + 5*len(j.codes))
		switch {
		case j.drained < drains:
			interrupt = syscall.SIGTERM
		case drains > 0 && !slices.Contains(j.codes, killed):
			interrupt = syscall.SIGKILL
		}
		code, err := c.runPod(cron, j, interrupt, after)
		if err != nil {
			return j, err
		}
		j.codes = append(j.codes, code)
		if code == martsync.ExitOK {
			return j, nil
		}
		drained := interrupt == syscall.SIGTERM
		if drained {
			j.drained++
			if code != martsync.ExitWaiting {
				return j, fmt.Errorf("a pod that was asked to stop ended with %d, want %d", code, martsync.ExitWaiting)
			}
		}
		switch action := act(spec.PodFailurePolicy.Rules, spec.Template.Spec.Containers[0].Name, code, drained); action {
		case "Ignore":
			continue
		case "FailJob":
			return j, fmt.Errorf("the Job has failed after a pod with exit code %d", code)
		case "Count":
		default:
			return j, fmt.Errorf("action %q is not known", action)
		}
		if failures++; failures > spec.BackoffLimit {
			return j, fmt.Errorf("the Job has failed after exit codes %v", j.codes)
		}
		// Kubernetes, Pod backoff failure policy: 10 s, 20 s, 40 s … up to six minutes.
		if err := c.clock.Sleep(c.t.Context(), min(10*time.Second<<(failures-1), 6*time.Minute)); err != nil {
			return j, err
		}
	}
}

// killed is the exit code of a container that SIGKILL has ended.
const killed = 128 + int(syscall.SIGKILL)

// act is what the rules say about a pod that has failed: the first that matches counts.
func act(rules []failureRule, container string, code int, disrupted bool) string {
	for _, r := range rules {
		for _, condition := range r.OnPodConditions {
			if disrupted && condition.Type == "DisruptionTarget" && condition.Status == "True" {
				return r.Action
			}
		}
		e := r.OnExitCodes
		if e.ContainerName == "" || e.ContainerName == container {
			if in := slices.Contains(e.Values, code); e.Operator == "In" && in || e.Operator == "NotIn" && !in {
				return r.Action
			}
		}
	}
	return "Count"
}

// gatesOf are those of the accounts that the pods of a CronJob read: the syncs that it names, or all, and of these its shard.
func (c *cluster) gatesOf(cron *cronJob) (gates []*gate, err error) {
	args := cron.pod().Containers[0].Args
	var part shard.Shard
	for _, arg := range args {
		if text, ok := strings.CutPrefix(arg, "--shard="); ok {
			if part, err = shard.Parse(text); err != nil {
				return nil, err
			}
		}
	}
	named := func(sync string) bool { return slices.Contains(args, sync) }
	some := slices.ContainsFunc(slices.Collect(maps.Keys(c.gates)), named)
	split := shard.Split(slices.Collect(maps.Values(c.read)), max(part.Count, 1))
	for sync, g := range c.gates {
		if (named(sync) || !some) && (part.Whole() || split[c.read[sync]] == part.Index) {
			gates = append(gates, g)
		}
	}
	if len(gates) == 0 {
		return nil, fmt.Errorf("the pods of %q have nothing to do", args)
	}
	return gates, nil
}

// runPod does what a kubelet does: it lays out the volumes, starts the program and, once one of its accounts was called that
// often, sends it the signal. Calls after that are not answered before it knows. Who does not end in its time is an error.
func (c *cluster) runPod(cron *cronJob, j *job, interrupt os.Signal, after int64) (code int, err error) {
	root, detach, err := c.attach(cron)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, detach()) }()
	cmd := c.command(cron, root)
	cmd.Stdout, cmd.Stderr = j.output, j.output
	gates, err := c.gatesOf(cron)
	if err != nil {
		return 0, err
	}
	said := len(j.output.String())
	for _, g := range gates {
		if g.open(); interrupt != nil {
			g.limit(after, 0)
		}
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	patience := time.NewTimer(servePatience)
	defer patience.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case err := <-ended:
			return exitCode(err)
		case <-patience.C:
			_ = cmd.Process.Kill()
			<-ended
			return 0, errors.New("the pod does not come to its end")
		case <-tick.C:
			done = interrupt != nil && slices.ContainsFunc(gates, (*gate).isNear)
		}
	}
	if err := cmd.Process.Signal(interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	grace := time.NewTimer(time.Duration(cron.pod().Grace) * time.Second)
	defer grace.Stop()
	for {
		select {
		case err := <-ended:
			return exitCode(err)
		case <-grace.C:
			_ = cmd.Process.Kill()
			<-ended
			return 0, errors.New("the pod has not ended within terminationGracePeriodSeconds")
		case <-tick.C:
			if strings.Contains(j.output.String()[said:], saysItStops) {
				for _, g := range gates {
					g.open()
				}
			}
		}
	}
}

func exitCode(err error) (int, error) {
	e, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return 0, nil
	case !ok:
		return 0, err
	}
	if status, ok := e.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return e.ExitCode(), nil
}

// claim is where a volume is while no pod has it.
func (c *cluster) claim(name string, path ...string) string {
	return filepath.Join(append([]string{c.dir, "claims", name}, path...)...)
}

// attach makes the root file system of a pod: the image, which is the program, and the volumes. A claim is moved there,
// so no two pods can have it.
func (c *cluster) attach(cron *cronJob) (root string, detach func() error, err error) {
	c.mu.Lock()
	c.pods++
	root = filepath.Join(c.dir, fmt.Sprintf("pod%d", c.pods))
	c.mu.Unlock()
	pod := cron.pod()
	group := int(pod.SecurityContext.FSGroup)
	own := func(path string, mode os.FileMode) error { // what a kubelet does for fsGroup
		if os.Geteuid() != 0 {
			return nil
		}
		return errors.Join(os.Chown(path, 0, group), os.Chmod(path, mode))
	}
	errs := []error{os.MkdirAll(filepath.Join(root, "usr", "bin"), 0o755), os.MkdirAll(filepath.Join(root, imageFolder), 0o755)}
	errs = append(errs, os.Link(c.program, filepath.Join(root, imageProgram)))
	detach = func() error { return os.RemoveAll(root) }
	for _, m := range pod.Containers[0].VolumeMounts {
		at := filepath.Join(root, m.MountPath)
		i := slices.IndexFunc(pod.Volumes, func(v volume) bool { return v.Name == m.Name })
		if i < 0 {
			return "", nil, fmt.Errorf("there is no volume %s", m.Name)
		}
		switch v := pod.Volumes[i]; {
		case v.ConfigMap != nil:
			errs = append(errs, os.MkdirAll(at, 0o755))
			data, ok := c.configMaps[v.ConfigMap.Name]
			if !ok {
				return "", nil, fmt.Errorf("there is no ConfigMap %s", v.ConfigMap.Name)
			}
			for name, text := range data {
				errs = append(errs, os.WriteFile(filepath.Join(at, name), []byte(text), 0o644))
			}
		case v.EmptyDir != nil:
			errs = append(errs, os.MkdirAll(at, 0o777), own(at, 0o777|os.ModeSetgid))
		case v.PersistentVolumeClaim != nil:
			claim := c.claim(v.PersistentVolumeClaim.ClaimName)
			// The image has a folder there, which the volume hides.
			errs = append(errs, os.MkdirAll(claim, 0o755), own(claim, 0o775|os.ModeSetgid), os.MkdirAll(filepath.Dir(at), 0o755))
			if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
			errs = append(errs, os.Rename(claim, at))
			detach = func() error { return errors.Join(os.Rename(at, claim), os.RemoveAll(root)) }
		default:
			return "", nil, fmt.Errorf("volume %s is of a kind that is not known here", v.Name)
		}
	}
	return root, detach, errors.Join(errs...)
}

// What the slim image says: see the Dockerfile.
const (
	imageProgram = "/usr/bin/martsync"
	imageFolder  = "/var/lib/martsync"
)

// command is the process of the container. Only root can give it a root file system and a user of its own; without these
// rights the paths of the volumes are replaced by where they really are.
func (c *cluster) command(cron *cronJob, root string) *exec.Cmd {
	pod := cron.pod()
	k := pod.Containers[0]
	env := map[string]string{"HOME": imageFolder, "PATH": "/usr/bin"}
	for _, from := range k.EnvFrom {
		maps.Copy(env, c.secrets[from.SecretRef.Name])
	}
	for _, e := range k.Env {
		env[e.Name] = e.Value
	}
	cmd := &exec.Cmd{Path: imageProgram, Args: append([]string{imageProgram}, k.Args...), Dir: imageFolder}
	if len(k.Command) > 0 {
		cmd.Path, cmd.Args = k.Command[0], append(slices.Clone(k.Command), k.Args...)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, name+"="+env[name])
	}
	if os.Geteuid() == 0 {
		s := pod.SecurityContext
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Chroot:     root,
			Credential: &syscall.Credential{Uid: s.RunAsUser, Gid: s.RunAsGroup, Groups: []uint32{s.FSGroup}},
		}
		return cmd
	}
	for _, m := range k.VolumeMounts {
		at := filepath.Join(root, m.MountPath)
		for i := range cmd.Env {
			cmd.Env[i] = strings.ReplaceAll(cmd.Env[i], "="+m.MountPath, "="+at)
		}
		for name := range c.configMaps {
			file := filepath.Join(root, "etc", "martsync", "martsync.yaml")
			if text, err := os.ReadFile(file); err == nil && c.configMaps[name] != nil {
				_ = os.WriteFile(file, bytes.ReplaceAll(text, []byte(" "+m.MountPath), []byte(" "+at)), 0o644)
			}
		}
	}
	cmd.Path, cmd.Dir = filepath.Join(root, imageProgram), filepath.Join(root, imageFolder)
	return cmd
}
