// Package config turns martsync.yaml, the environment and flags into configured connectors.
//
// It knows the shape of the file, where each value stood in it, and how to say what is wrong
// with one. What the options of a connector mean is the connector's affair; what a sync does
// is package pipeline's. The list of connectors is handed in, so that tests can hand in others.
package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/plan"
	"github.com/martsync/martsync/schedule"
)

// FileName is the configuration's usual name, and Version the only version of its shape.
const (
	FileName = "martsync.yaml"
	Version  = 1
)

// Options say where a configuration comes from. Flags beat the environment, which beats the file.
type Options struct {
	Sources      []martsync.SourceConnector
	Destinations []martsync.DestinationConnector
	Alerts       []AlertType

	// Getenv looks a variable up in the environment; "" counts as not set. The file .env
	// beside the configuration is asked after it. Nil: an empty environment.
	Getenv func(string) string

	// Secrets are the stores that references to secrets may name, by scheme: "aws-ssm".
	Secrets map[string]SecretStore

	// Set overrides single values: "destinations.mart.path=/data/mart.duckdb". The elements
	// of syncs are named by their name.
	Set []string
}

// A Config is a checked configuration. It holds secrets only as martsync.Secret, references
// to secrets not yet followed.
type Config struct {
	Path         string // of the file, as given
	State        *Place // for progress, leases and runs
	Sources      []Source
	Destinations []Destination
	Syncs        []Sync
	Alerts       []Alert
	Prices       plan.Prices // for martsync plan
}

// A Source is a configured source that has not been opened.
type Source struct {
	Name      string
	Connector martsync.SourceConnector
	Options   any // what Connector.NewConfig returned, filled
	columns   *columnOptions
	lookup    lookup
}

// A Destination is a configured destination that has not been opened.
type Destination struct {
	Name      string
	Connector martsync.DestinationConnector
	Options   any // what Connector.NewConfig returned, filled
	lookup    lookup
}

// A Sync says what to copy from where to where.
type Sync struct {
	Name        string
	Source      Source
	Destination Destination
	Schema      string             // namespace of the tables; "": the destination's default
	Start       time.Time          // earliest record wanted; zero: everything
	StartTable  *StartTable        // where streams begin instead; nil: at Start
	Streams     []string           // patterns; empty: all
	Exclude     []string           // patterns
	Repair      []string           // what is repaired after each sync, such as missing-leads; none: nothing
	RepairMost  int                // ids that one repair reads at most
	Raw         *Place             // where what the vendor sends is kept; nil: nowhere
	Schedule    *schedule.Schedule // when to run; nil: when somebody says so
	LateAfter   time.Duration      // how long after its last success it is late; zero: when its schedule says so
	Location    *time.Location     // of Schedule and Start; UTC if none was given
}

// A StartTable says in which tables streams look for their start.
type StartTable struct {
	Destination Destination
	Schema      string        // namespace; "": the destination's default
	Table       string        // name, {stream} for that of the stream; "": {stream}
	Column      string        // "": updated_at or created_at
	Minus       time.Duration // how long before the newest time to begin
}

// Load reads and checks the file. Everything wrong with it comes back at once, in an error
// of kind Config that holds Problems.
func Load(path string, o Options) (*Config, error) {
	op := "read " + path
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, &martsync.Error{
			Kind: martsync.Config, Op: op, Err: fmt.Errorf("there is no such file"),
			Hint: "Run martsync init to make one, or name it with --config; martsync demo needs none.",
		}
	}
	if err != nil {
		return nil, &martsync.Error{Kind: martsync.Config, Op: op, Err: err}
	}
	dir := filepath.Dir(path)
	env := lookup{getenv: o.environment(), dir: dir, secrets: o.Secrets}
	dotenv := filepath.Join(dir, ".env")
	if data, err := os.ReadFile(dotenv); err == nil {
		if env.file, err = parseDotenv(data); err != nil {
			return nil, &martsync.Error{Kind: martsync.Config, Op: "read " + dotenv, Err: err}
		}
	} else if !os.IsNotExist(err) {
		return nil, &martsync.Error{Kind: martsync.Config, Op: "read " + dotenv, Err: err}
	}
	return parse(path, text, env, o)
}

// parse checks the text of a configuration.
func parse(path string, text []byte, env lookup, o Options) (*Config, error) {
	p := &problems{file: path, lines: splitLines(text), words: o.optionWords()}
	root, err := parseTree(text)
	if err != nil {
		p.add(err.(*Problem)) //nolint:forcetypeassert,errorlint // parseTree returns nothing else
		return nil, p.err()
	}
	expandTree(root, env, p)
	c := build(root, path, env, o, p)
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Open opens the source: it follows references to secrets, hands the options over, and wraps the source if columns
// are to be left out or hashed.
func (s Source) Open(ctx context.Context, env martsync.Env) (martsync.Source, error) {
	options, err := resolveSecrets(ctx, s.Options, s.lookup)
	if err != nil {
		return nil, secretError("open source "+s.Name, err)
	}
	source, err := s.Connector.Open(ctx, options, env)
	if err != nil {
		return nil, err
	}
	return s.protect(ctx, source)
}

// Open opens the destination for one namespace.
func (d Destination) Open(ctx context.Context, namespace string, env martsync.Env) (martsync.Destination, error) {
	options, err := resolveSecrets(ctx, d.Options, d.lookup)
	if err != nil {
		return nil, secretError("open destination "+d.Name, err)
	}
	return d.Connector.Open(ctx, options, namespace, env)
}

// FindSource returns the named source; with an empty name the only one.
func (c *Config) FindSource(name string) (Source, error) {
	return find(c.Sources, "source", name, func(s Source) string { return s.Name })
}

// FindDestination returns the named destination; with an empty name the only one.
func (c *Config) FindDestination(name string) (Destination, error) {
	return find(c.Destinations, "destination", name, func(d Destination) string { return d.Name })
}

// FindSync returns the named sync; with an empty name the only one.
func (c *Config) FindSync(name string) (Sync, error) {
	return find(c.Syncs, "sync", name, func(s Sync) string { return s.Name })
}

func find[T any](all []T, what, name string, nameOf func(T) string) (T, error) {
	var zero T
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = nameOf(v)
	}
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	if i := slices.Index(names, name); i >= 0 {
		return all[i], nil
	}
	e := &martsync.Error{Kind: martsync.Config, Op: "find " + what}
	switch {
	case len(all) == 0:
		e.Err = fmt.Errorf("the configuration has no %s", what)
	case name == "":
		e.Err = fmt.Errorf("there are %d; which one is meant", len(all))
		e.Hint = "Name one of " + list(names) + "."
	default:
		e.Err = fmt.Errorf("no %s is named %q", what, name)
		e.Hint = suggestion(name, names)
	}
	return zero, e
}
