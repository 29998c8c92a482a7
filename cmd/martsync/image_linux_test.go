package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/simulate"
)

// TestImage has each container image copy both simulated accounts. It starts them as an engine does: the configured
// user without rights, as process 1, in a root file system that cannot be written to. A sync is stopped by SIGTERM
// several times, each of which must end it with the code that says so, and the tables must equal the accounts.
//
// MARTSYNC_IMAGES lists folders that .ci/check-image has made of images: image.json, rootfs mounted with what an
// engine adds, and data, the volume that is mounted at /var/lib/martsync. MARTSYNC_IMAGES_VERSION is what they were built as.
func TestImage(t *testing.T) {
	bundles := strings.Fields(os.Getenv("MARTSYNC_IMAGES"))
	if len(bundles) == 0 {
		t.Skip("MARTSYNC_IMAGES is not set: .ci/check-image builds images and sets it")
	}
	for _, bundle := range bundles {
		t.Run(filepath.Base(bundle), func(t *testing.T) {
			t.Parallel()
			i := openImage(t, bundle)
			destination := map[string]any{"type": "files", "path": "lake"}
			if i.hasDuckDB() {
				destination = map[string]any{"type": "duckdb", "path": "mart.duckdb"}
			}
			i.copyAccounts(destination)
		})
	}
}

// An image is one to be run.
type image struct {
	t        *testing.T
	bundle   string
	config   imageConfig
	uid, gid uint32
	gate     *gate  // of the simulators
	speed    string // of their clock
}

// An imageConfig is what an image says about how to run it, in the words of the OCI Image Specification.
type imageConfig struct {
	User       string
	Env        []string
	Entrypoint []string
	WorkingDir string
}

func openImage(t *testing.T, bundle string) *image {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(bundle, "image.json"))
	if err != nil {
		t.Fatal(err)
	}
	var inspected struct{ OCIv1 struct{ Config imageConfig } } // as buildah inspect has it
	if err := json.Unmarshal(text, &inspected); err != nil {
		t.Fatal(err)
	}
	i := &image{t: t, bundle: bundle, config: inspected.OCIv1.Config, gate: newGate(), speed: "1"}
	user, group, _ := strings.Cut(i.config.User, ":")
	for _, id := range []struct {
		text string
		to   *uint32
	}{{user, &i.uid}, {group, &i.gid}} {
		n, err := strconv.ParseUint(id.text, 10, 32)
		if err != nil || n == 0 {
			t.Fatalf("the image's user is %q, want two numbers above 0", i.config.User)
		}
		*id.to = uint32(n)
	}
	// The image has made the folder its user's; an engine hands that on to a new volume.
	if err := os.Chown(i.data(), int(i.uid), int(i.gid)); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *image) data(path ...string) string {
	return filepath.Join(append([]string{i.bundle, "data"}, path...)...)
}

func (i *image) hasDuckDB() bool {
	i.t.Helper()
	code, output := i.run(neverStop, "version", "--json")
	var b buildInfo
	if err := json.Unmarshal([]byte(output), &b); code != martsync.ExitOK || err != nil {
		i.t.Fatalf("version: exit code %d, %v\n%s", code, err, output)
	}
	if want := os.Getenv("MARTSYNC_IMAGES_VERSION"); b.Version != want {
		i.t.Errorf("the image is version %q, want %q", b.Version, want)
	}
	return b.DuckDB
}

// copyAccounts copies an account of each simulator into the destination and compares.
func (i *image) copyAccounts(destination map[string]any) {
	t := i.t
	clock, speed := paced(killSpeed)
	i.speed = speed
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: clock, TempDir: t.TempDir()}
	accounts := map[string]simulate.Instance{}
	sources := map[string]martsync.Source{}
	options := map[string]any{}
	var syncs []map[string]any
	for _, simulator := range connectors.Simulators() {
		name := simulator.Name
		account, err := simulator.New(simulate.Options{Seed: 7, Rows: 60, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(i.gate.before(account))
		t.Cleanup(server.Close)
		configured, err := config.NewSource(name, sourceConnector(name), account.SourceConfig(server.URL))
		if err != nil {
			t.Fatal(err)
		}
		if sources[name], err = configured.Open(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		accounts[name] = account
		o := account.SourceConfig(server.URL)
		o["type"] = name
		options[name] = o
		syncs = append(syncs, map[string]any{"name": name, "source": name, "destination": "mart", "schema": name})
	}
	text, err := yaml.Marshal(map[string]any{
		"version": config.Version, "sources": options, "destinations": map[string]any{"mart": destination}, "syncs": syncs,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(i.data("martsync.yaml"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := clock.Sleep(t.Context(), 30*time.Minute); err != nil { // of what is newer, some may still be on its way
		t.Fatal(err)
	}
	i.syncAndStop()
	c, err := config.Load(i.data("martsync.yaml"), config.Options{
		Sources: connectors.Sources(), Destinations: connectors.Destinations(), Getenv: func(string) string { return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Syncs {
		d, err := s.Destination.Open(t.Context(), s.Schema, env)
		if err != nil {
			t.Fatal(err)
		}
		compareTables(t, d, sources[s.Name], accounts[s.Name])
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// syncAndStop stops syncs until one comes to its end by itself, each after more calls than the one before.
func (i *image) syncAndStop() {
	stopped := 0
	for calls := int64(30); ; calls += 60 {
		code, output := i.run(calls, "sync", "--no-input")
		switch code {
		case martsync.ExitOK:
			i.t.Logf("stopped %d times", stopped)
			if stopped < 3 {
				i.t.Errorf("stopped %d times, want at least 3", stopped)
			}
			return
		case martsync.ExitWaiting:
			stopped++
			if !strings.Contains(output, "Stopped.") {
				i.t.Fatalf("it does not say that it was stopped:\n%s", output)
			}
		default:
			i.t.Fatalf("exit code %d after SIGTERM, want %d or, at the end, 0\n%s", code, martsync.ExitWaiting, output)
		}
	}
}

// imagePatience bounds how long a run takes, for machines whose disks are busy.
const imagePatience = 8 * time.Minute

// neverStop as a number of calls lets a run come to its end.
const neverStop = -1

// run runs the image with arguments. After so many calls of the simulators it gets SIGTERM, as from docker stop.
func (i *image) run(calls int64, args ...string) (code int, output string) {
	i.t.Helper()
	ctx, ended := context.WithTimeout(i.t.Context(), imagePatience)
	defer ended()
	entry := append(i.config.Entrypoint, args...) //nolint:gocritic // a command line
	said := &lockedBuffer{}
	cmd := exec.CommandContext(ctx, entry[0], entry[1:]...)
	cmd.Dir = i.config.WorkingDir // in the image
	cmd.Env = append(append([]string{}, i.config.Env...), "MARTSYNC_SPEED="+i.speed)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // which has it say where it stands
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     filepath.Join(i.bundle, "rootfs"),
		Credential: &syscall.Credential{Uid: i.uid, Gid: i.gid},
		// Process 1 of its namespace, which gets no signal that it does not handle, except from outside SIGKILL.
		Cloneflags: syscall.CLONE_NEWPID,
	}
	var near <-chan struct{}
	if calls >= 0 {
		near = i.gate.limit(calls, 0)
		defer i.gate.open()
	}
	if err := cmd.Start(); err != nil {
		i.t.Fatalf("start %q: %v", entry, err)
	}
	result := make(chan error, 1)
	go func() { result <- cmd.Wait(); ended() }()
	select {
	case <-near:
		_ = cmd.Process.Signal(syscall.SIGTERM) // unless it has come to its end
		for ctx.Err() == nil && !strings.Contains(said.String(), saysItStops) {
			_ = martsync.SystemClock{}.Sleep(ctx, time.Millisecond)
		}
		i.gate.open()
	case <-ctx.Done(): // it has come to its end
	}
	err := <-result
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		i.t.Fatalf("run %q: %v\n%s", entry, err, said)
	} else if ok {
		return exit.ExitCode(), said.String()
	}
	return martsync.ExitOK, said.String()
}
