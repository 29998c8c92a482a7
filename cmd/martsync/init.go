package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/nearest"
)

// The answers of martsync init. Those about a connector are keyed by its options' names.
type answers struct {
	source, destination string // types
	sourceOptions       map[string]*string
	destinationOptions  map[string]*string
	name, schema, start string
	streams             []string
	schedule, timezone  string
	secretsFromStdin    bool
}

func (a *app) initCommand() *cobra.Command {
	w := answers{sourceOptions: map[string]*string{}, destinationOptions: map[string]*string{}}
	c := &cobra.Command{
		Use:   "init",
		Short: "Asks a few questions and writes martsync.yaml and .env",
		Long: `Writes a configuration to begin with: martsync.yaml, and .env for its secrets, readable by you alone.
It asks for what the flags do not say, and never overwrites a file.

Without a terminal, or with --no-input, it asks nothing: what is missing is an error that names the flag.`,
		Example: `  martsync init
  printf %s "$SECRET" | martsync init --no-input --endpoint 123-ABC-456 --client-id ID --secret-stdin --path mart.duckdb`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.initialize(ctx, &w, cmd.Flags().Changed)
		},
	}
	fs := c.Flags()
	var sources, destinations []string
	for _, s := range connectors.Sources() {
		sources = append(sources, s.Name)
		for _, o := range asked(s.NewConfig) {
			addFlag(c, w.sourceOptions, o)
		}
	}
	for _, d := range connectors.Destinations() {
		destinations = append(destinations, d.Name)
		for _, o := range asked(d.NewConfig) {
			addFlag(c, w.destinationOptions, o)
		}
	}
	fs.StringVar(&w.source, "source", "", "type of the source: "+strings.Join(sources, ", "))
	fs.StringVar(&w.destination, "destination", "", "type of the destination: "+strings.Join(destinations, ", "))
	fs.StringVar(&w.name, "name", "", "name of the sync (default that of the source)")
	fs.StringVar(&w.schema, "schema", "", "schema of the tables (default the type of the source)")
	fs.StringVar(&w.start, "start", "", "earliest `date` wanted (default everything)")
	fs.StringSliceVar(&w.streams, "streams", nil, "streams or patterns (default all)")
	fs.StringVar(&w.schedule, "schedule", "", `when to run, as in "0 9 * * WED"`)
	fs.StringVar(&w.timezone, "timezone", "", "time zone of the schedule, as in America/Los_Angeles")
	fs.BoolVar(&w.secretsFromStdin, "secret-stdin", false, "read the secret from stdin, so that no list of processes shows it")
	return c
}

// asked lists the options that init asks for: those that must be given, and those that most
// people give.
func asked(newConfig func() any) []config.Option {
	return slices.DeleteFunc(config.OptionsOf(newConfig), func(o config.Option) bool { return !o.Required && !o.Offered })
}

func flagName(option string) string { return strings.ReplaceAll(option, "_", "-") }

func addFlag(c *cobra.Command, values map[string]*string, o config.Option) {
	if values[o.Name] == nil {
		values[o.Name] = new(string)
	}
	if c.Flags().Lookup(flagName(o.Name)) == nil {
		c.Flags().StringVar(values[o.Name], flagName(o.Name), "", o.Description)
	}
}

func (a *app) initialize(ctx context.Context, w *answers, given func(string) bool) error {
	dir := filepath.Dir(a.configPath)
	envPath := filepath.Join(dir, ".env")
	for _, path := range []string{a.configPath, envPath} {
		if _, err := os.Lstat(path); err == nil {
			return &martsync.Error{
				Kind: martsync.Config, Op: "write " + filepath.ToSlash(path), Err: errors.New("the file exists, and nothing is overwritten"),
				Hint: "Edit it, or choose another folder with --config.",
			}
		}
	}
	w.guess(given)
	if err := a.secretsFromInput(w); err != nil {
		return err
	}
	if a.canAsk() {
		if err := a.wizard(ctx, w, given); err != nil {
			return err
		}
	}
	text, env, err := w.files()
	if err != nil {
		return err
	}
	if err := writeNew(envPath, env, 0o600); err != nil {
		return err
	}
	if err := writeNew(a.configPath, text, 0o644); err != nil {
		os.Remove(envPath) //nolint:errcheck // written a moment ago, by us
		return err
	}
	a.print("Wrote %s and %s.", a.configPath, envPath)
	a.print("Next: martsync check, then martsync sync.")
	return nil
}

// guess takes the connectors that the flags are about, where that is only one of a kind.
func (w *answers) guess(given func(string) bool) {
	sources := map[string]func() any{}
	for _, s := range connectors.Sources() {
		sources[s.Name] = s.NewConfig
	}
	destinations := map[string]func() any{}
	for _, d := range connectors.Destinations() {
		destinations[d.Name] = d.NewConfig
	}
	w.source = cmp.Or(w.source, guess(sources, w.sourceOptions, given))
	w.destination = cmp.Or(w.destination, guess(destinations, w.destinationOptions, given))
}

// guess returns the one name among all whose options include every one that was given, if any was
// or there is no other; "" if there are several. Of two the one counts that cannot do without
// what was given.
func guess(all map[string]func() any, options map[string]*string, given func(string) bool) string {
	best, most, tie := "", -1, false
	for name, newConfig := range all {
		own := asked(newConfig)
		fits, hit, needed := true, len(all) == 1, 0
		for option := range options {
			if !given(flagName(option)) {
				continue
			}
			i := slices.IndexFunc(own, func(o config.Option) bool { return o.Name == option })
			fits, hit = fits && i >= 0, hit || i >= 0
			if i >= 0 && own[i].Required {
				needed++
			}
		}
		if fits && hit && needed >= most {
			best, most, tie = name, needed, needed == most
		}
	}
	if tie {
		return ""
	}
	return best
}

// canAsk reports whether there is somebody to ask.
func (a *app) canAsk() bool {
	f, ok := a.in.(*os.File)
	return ok && !a.noInput && a.err.Terminal() && term.IsTerminal(int(f.Fd()))
}

// secretsFromInput fills in the secrets from the lines of stdin, one each, or from the
// environment variables that the configuration will name. A single secret may have several lines.
func (a *app) secretsFromInput(w *answers) error {
	s, err := w.sourceConnector()
	if err != nil {
		if w.source == "" {
			return nil // it is asked for, or its absence is reported, later
		}
		return err
	}
	var secrets []*string
	for _, o := range asked(s.NewConfig) {
		value := w.sourceOptions[o.Name]
		if o.Secret && *value == "" {
			secrets = append(secrets, value)
		}
	}
	if w.secretsFromStdin && len(secrets) > 0 {
		input, err := io.ReadAll(io.LimitReader(a.in, 1<<20))
		if err != nil {
			return fmt.Errorf("read the secret from stdin: %w", err)
		}
		lines := []string{strings.TrimRight(string(input), "\r\n")}
		if len(secrets) > 1 {
			lines = strings.Split(strings.ReplaceAll(lines[0], "\r\n", "\n"), "\n")
		}
		for i := range min(len(lines), len(secrets)) {
			*secrets[i] = lines[i]
		}
	}
	for _, o := range asked(s.NewConfig) {
		value := w.sourceOptions[o.Name]
		*value = cmp.Or(*value, a.getenv(variable(w.source, o.Name)))
	}
	return nil
}

func variable(source, option string) string {
	return strings.ToUpper(strings.ReplaceAll(source, "-", "_") + "_" + option)
}

func (w *answers) sourceConnector() (martsync.SourceConnector, error) {
	var names []string
	for _, s := range connectors.Sources() {
		if s.Name == w.source {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return martsync.SourceConnector{}, noType("source", w.source, names)
}

func (w *answers) destinationConnector() (martsync.DestinationConnector, error) {
	var names []string
	for _, d := range connectors.Destinations() {
		if d.Name == w.destination {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return martsync.DestinationConnector{}, noType("destination", w.destination, names)
}

func noType(what, name string, names []string) error {
	if name == "" {
		return usageError(fmt.Errorf("--%s is missing", what), "There are: "+strings.Join(names, ", ")+".")
	}
	hint := "There are: " + strings.Join(names, ", ") + "."
	if near := nearest.Of(name, names); near != "" {
		hint = fmt.Sprintf("Did you mean %q?", near)
	}
	return usageError(fmt.Errorf("there is no %s of type %q", what, name), hint)
}

// files makes the text of martsync.yaml and .env of complete answers.
func (w *answers) files() (text, env []byte, err error) {
	s, err := w.sourceConnector()
	if err != nil {
		return nil, nil, err
	}
	d, err := w.destinationConnector()
	if err != nil {
		return nil, nil, err
	}
	if w.start != "" {
		if _, err := config.ParseTime(w.start, time.Time{}, time.UTC); err != nil {
			return nil, nil, usageError(fmt.Errorf("--start: %w", err), "")
		}
	}
	name := cmp.Or(w.name, w.source)
	var lines strings.Builder
	source, err := w.options(w.source, asked(s.NewConfig), w.sourceOptions, &lines)
	if err != nil {
		return nil, nil, err
	}
	destination, err := w.options(w.destination, asked(d.NewConfig), w.destinationOptions, &lines)
	if err != nil {
		return nil, nil, err
	}
	sync := yaml.MapSlice{{Key: "name", Value: name}, {Key: "source", Value: w.source}, {Key: "destination", Value: "mart"}, {Key: "schema", Value: cmp.Or(w.schema, w.source)}}
	if w.start != "" {
		sync = append(sync, yaml.MapItem{Key: "start", Value: w.start})
	}
	if len(w.streams) > 0 {
		sync = append(sync, yaml.MapItem{Key: "streams", Value: w.streams})
	} else {
		sync = append(sync, yaml.MapItem{Key: "streams", Value: "*"})
	}
	if w.schedule != "" {
		sync = append(sync, yaml.MapItem{Key: "schedule", Value: w.schedule})
	}
	if w.timezone != "" {
		sync = append(sync, yaml.MapItem{Key: "timezone", Value: w.timezone})
	}
	text, err = yaml.Marshal(yaml.MapSlice{
		{Key: "version", Value: config.Version},
		{Key: "sources", Value: yaml.MapSlice{{Key: w.source, Value: source}}},
		{Key: "destinations", Value: yaml.MapSlice{{Key: "mart", Value: destination}}},
		{Key: "syncs", Value: []yaml.MapSlice{sync}},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("write the configuration: %w", err)
	}
	return text, []byte(lines.String()), nil
}

// options writes the options of a connector. Credentials go to .env and are named in the
// configuration, which can then be shown and kept with code.
func (w *answers) options(name string, all []config.Option, values map[string]*string, env *strings.Builder) (yaml.MapSlice, error) {
	out := yaml.MapSlice{{Key: "type", Value: name}}
	for _, o := range all {
		value := *values[o.Name]
		switch {
		case value == "" && !o.Required:
			continue
		case value == "":
			return nil, usageError(fmt.Errorf("--%s is missing", flagName(o.Name)), o.Description+".")
		}
		if o.Secret || strings.HasSuffix(o.Name, "client_id") {
			fmt.Fprintf(env, "%s=%s\n", variable(name, o.Name), config.QuoteEnv(value))
			value = "${" + variable(name, o.Name) + "}"
		} else {
			value = strings.ReplaceAll(value, "${", "$${")
		}
		out = append(out, yaml.MapItem{Key: o.Name, Value: value})
	}
	return out, nil
}
