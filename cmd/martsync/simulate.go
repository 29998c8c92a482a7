package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/nearest"
	"github.com/martsync/martsync/simulate"
)

type simulateFlags struct {
	addr, writeConfig string
	seed              uint64
	rows              int
	faults            []string
}

func (a *app) simulateCommand() *cobra.Command {
	var names []string
	var help strings.Builder
	for _, s := range connectors.Simulators() {
		names = append(names, s.Name)
		fmt.Fprintf(&help, "\n  %s: %s\n", s.Name, s.Title)
		for _, f := range s.Faults {
			fmt.Fprintf(&help, "    --fault %-22s %s\n", f.Name, f.Help)
		}
	}
	var f simulateFlags
	c := &cobra.Command{
		Use:   "simulate VENDOR",
		Short: "Starts a simulated vendor on this machine",
		Long: `Starts a simulated vendor that answers as the real one does, its limits and its faults included, and
prints a configuration that reaches it. It runs until it is stopped with Ctrl-C.

With --speed 60 an hour passes in a minute, for the limits, the export jobs and the daily quotas; give
the --speed that it tells to the commands that use it.

Vendors and the faults they can be given (name, or name:key=value,…):
` + help.String(),
		Example:   "  martsync simulate marketo --rows 20000 --speed 60 --write-config martsync.yaml\n  martsync sync --speed 60                   # in another terminal",
		ValidArgs: names,
		Args:      cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.simulate(ctx, args[0], f)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.addr, "addr", "127.0.0.1:0", "`address` to listen on; port 0 takes a free one")
	fs.Uint64Var(&f.seed, "seed", 1, "`number` that the account's data follow from")
	fs.IntVar(&f.rows, "rows", 0, "`number` of people in the account; everything else scales with it (default the simulator's)")
	fs.StringArrayVar(&f.faults, "fault", nil, "a `fault` to have (repeatable)")
	fs.StringVar(&f.writeConfig, "write-config", "", "write the configuration to this `file`, which must not exist")
	return c
}

func findSimulator(name string) (simulate.Simulator, error) {
	var names []string
	for _, s := range connectors.Simulators() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	hint := "There are: " + strings.Join(names, ", ") + "."
	if near := nearest.Of(name, names); near != "" {
		hint = fmt.Sprintf("Did you mean %q?", near)
	}
	return simulate.Simulator{}, usageError(fmt.Errorf("there is no simulator of %q", name), hint)
}

func (a *app) simulate(ctx context.Context, name string, f simulateFlags) error {
	simulator, err := findSimulator(name)
	if err != nil {
		return err
	}
	instance, err := simulator.New(simulate.Options{Seed: f.seed, Rows: f.rows, Clock: a.clock, Faults: f.faults, Log: a.log()})
	if err != nil {
		return usageError(err, "martsync simulate --help lists the faults.")
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.addr)
	if err != nil {
		return usageError(err, "Choose another address with --addr.")
	}
	base := "http://" + listener.Addr().String()
	text, err := simulatorConfig(simulator.Name, instance.SourceConfig(base))
	if err != nil {
		listener.Close() //nolint:errcheck // nothing was accepted
		return err
	}
	if f.writeConfig != "" {
		if err := writeNew(f.writeConfig, text, 0o600); err != nil {
			listener.Close() //nolint:errcheck // nothing was accepted
			return err
		}
	}
	a.print("# %s, simulated, at %s", simulator.Title, base)
	a.print("%s", strings.TrimRight(string(text), "\n"))
	flags := ""
	if a.speed != 1 {
		flags = " --speed " + a.tellPace()
	}
	if f.writeConfig != "" {
		a.say("Written to %s. Now, in another terminal: martsync sync%s -c %s", f.writeConfig, flags, f.writeConfig)
	} else {
		a.say("Put this into %s. Now, in another terminal: martsync sync%s", config.FileName, flags)
	}
	server := &http.Server{Handler: instance, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", base, err)
	case <-ctx.Done():
	}
	server.Close() //nolint:errcheck // whoever is being served is cut off, as by a vendor that goes away
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", base, err)
	}
	return nil
}

// simulatorConfig is a whole configuration that syncs the simulator into a DuckDB file.
func simulatorConfig(name string, source map[string]any) ([]byte, error) {
	options := yaml.MapSlice{{Key: "type", Value: name}}
	for _, key := range slices.Sorted(maps.Keys(source)) {
		if key != "type" {
			options = append(options, yaml.MapItem{Key: key, Value: source[key]})
		}
	}
	text, err := yaml.Marshal(yaml.MapSlice{
		{Key: "version", Value: config.Version},
		{Key: "sources", Value: yaml.MapSlice{{Key: name, Value: options}}},
		{Key: "destinations", Value: yaml.MapSlice{{Key: "mart", Value: yaml.MapSlice{
			{Key: "type", Value: "duckdb"}, {Key: "path", Value: "mart.duckdb"},
		}}}},
		{Key: "syncs", Value: []yaml.MapSlice{{
			{Key: "name", Value: name},
			{Key: "source", Value: name},
			{Key: "destination", Value: "mart"},
			{Key: "schema", Value: name},
			{Key: "streams", Value: "*"},
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return text, nil
}

// writeNew writes a file that must not exist.
func writeNew(path string, text []byte, mode os.FileMode) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return &martsync.Error{
			Kind: martsync.Config, Op: "write " + filepath.ToSlash(path), Err: errors.New("the file exists, and nothing is overwritten"),
			Hint: "Name another file, or move this one away.",
		}
	}
	if err != nil {
		return &martsync.Error{Kind: martsync.Config, Op: "write " + filepath.ToSlash(path), Err: err}
	}
	defer func() {
		if e := f.Close(); e != nil {
			err = errors.Join(err, e)
		}
	}()
	_, err = f.Write(text)
	return err
}
