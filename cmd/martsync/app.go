package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/awssecret"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/meter"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/internal/tempfolder"
	"github.com/martsync/martsync/state"
)

// An app is one call of the command: its streams, its global flags and what has to be
// cleaned up at its end.
type app struct {
	in     io.Reader
	out    *report.Output // data
	err    *report.Output // everything else
	getenv func(string) string
	clock  martsync.Clock // of the syncs

	configPath string
	set        []string
	state      string
	logFormat  string
	verbose    int
	noInput    bool
	pace       string    // --speed as it was given
	speed      float64   // of the clock
	origin     time.Time // when that clock showed, or shows, the real time

	client   *http.Client
	secrets  func() *awssecret.Stores
	alerts   *alerting       // of the configuration; nil: none was loaded
	meter    *meter.Registry // of a command whose metrics somebody can ask for; else nil
	request  string          // of the invocation that this is; for the log
	lively   bool            // the command's life is worth a log where nobody watches
	lines    *logWriter
	temp     *tempfolder.Folder // of the connectors; nil: none yet
	cleanups []func() error
}

// run is the whole command. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	a := &app{
		in: stdin, out: report.NewOutput(stdout, getenv), err: report.NewOutput(stderr, getenv),
		getenv: getenv, clock: martsync.SystemClock{},
	}
	a.lines = &logWriter{to: a.err}
	root := a.rootCommand()
	if insideLambda(args, getenv) {
		args = []string{"lambda"}
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := a.execute(ctx, root)
	for _, clean := range a.cleanups {
		if e := clean(); e != nil {
			err = errors.Join(err, e)
		}
	}
	return a.fail(err)
}

// execute keeps a bug from ending in a stack on somebody's screen: it becomes an error of
// kind Internal. With -vv the stack is logged.
func (a *app) execute(ctx context.Context, root *cobra.Command) (err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log().DebugContext(ctx, "panic", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &martsync.Error{Kind: martsync.Internal, Op: "run the command", Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	return root.ExecuteContext(ctx)
}

// How long a simulator may say nothing before it is taken for dead. One in this process never needs that long to answer; one in
// another process may not be let to run for a while by a machine that is busy.
const (
	shortSilence     = 5 * time.Second
	simulatorSilence = 30 * time.Second
)

// A logWriter is where log lines go: to stderr, or above a picture that is being drawn. It
// can be redirected while loggers use it.
type logWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(line)
}

func (l *logWriter) redirect(to io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = to
}

// interruptible ends the command's context at the first signal.
func interruptible(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
}

// global adds the flags that every command has, and reads what the environment says about
// those that were not given.
func (a *app) global(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVarP(&a.configPath, "config", "c", "", "configuration `file`, or s3://bucket/key (default martsync.yaml, or MARTSYNC_CONFIG)")
	f.StringArrayVar(&a.set, "set", nil, "override one value of the configuration, as in destinations.mart.path=/data/mart.duckdb (repeatable)")
	f.StringVar(&a.state, "state", "", "`place` for progress and runs: a folder or s3://bucket/prefix (default from the configuration, or MARTSYNC_STATE)")
	f.StringVar(&a.logFormat, "log-format", "", "text or json (default text on a terminal, else json; or MARTSYNC_LOG_FORMAT)")
	f.CountVarP(&a.verbose, "verbose", "v", "log more: -v the life of a sync, -vv the requests")
	f.BoolVar(&a.noInput, "no-input", false, "never ask anything")
	f.StringVar(&a.pace, "speed", "", "`factor` by which time runs faster; only against martsync simulate, with the --speed that it tells")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		a.configPath = cmp.Or(a.configPath, a.getenv("MARTSYNC_CONFIG"), config.FileName)
		a.logFormat = cmp.Or(a.logFormat, a.getenv("MARTSYNC_LOG_FORMAT"))
		if a.state != "" {
			a.set = append(a.set, "state="+a.state)
		}
		if a.logFormat != "" && a.logFormat != "text" && a.logFormat != "json" {
			return usageError(fmt.Errorf("--log-format is %q", a.logFormat), "Use text or json.")
		}
		return a.setPace(cmp.Or(a.pace, a.getenv("MARTSYNC_SPEED"), "1"))
	}
}

// usageError is a mistake on the command line.
func usageError(err error, hint string) error {
	return &martsync.Error{Kind: martsync.Config, Op: "read the command line", Hint: hint, Err: err}
}

// loadConfig reads the configuration, from a file or a bucket.
func (a *app) loadConfig(ctx context.Context) (*config.Config, error) {
	o := config.Options{
		Sources: connectors.Sources(), Destinations: connectors.Destinations(), Secrets: a.secretStores(), Alerts: alertTypes(),
		Getenv: a.getenv, Set: a.set,
	}
	c, err := a.loadFrom(ctx, o)
	if err == nil {
		a.alerts = &alerting{config: c}
	}
	return c, err
}

func (a *app) loadFrom(ctx context.Context, o config.Options) (*config.Config, error) {
	if !blob.IsAddress(a.configPath) {
		return config.Load(a.configPath, o)
	}
	text, err := a.fetchConfig(ctx)
	if err != nil {
		return nil, err
	}
	return config.LoadText(a.configPath, text, o)
}

// log returns the logger. Lines go to stderr, above the progress if there is one.
func (a *app) log() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case a.verbose >= 2:
		level = slog.LevelDebug
	case a.verbose == 1 || a.lively && a.jsonLog():
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if a.jsonLog() {
		log := slog.New(slog.NewJSONHandler(a.lines, options))
		if a.request != "" {
			log = log.With("request", a.request)
		}
		return log
	}
	options.ReplaceAttr = func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.TimeKey {
			return slog.String(slog.TimeKey, attr.Value.Time().Format("15:04:05"))
		}
		return attr
	}
	return slog.New(slog.NewTextHandler(a.lines, options))
}

// jsonLog reports whether log lines are JSON: for machines, unless flags say otherwise.
func (a *app) jsonLog() bool {
	if a.logFormat == "" {
		return !a.err.Terminal()
	}
	return a.logFormat == "json"
}

// httpClient is the one that all of a command shares. Its connections end with the app.
func (a *app) httpClient() *http.Client {
	if a.client != nil {
		return a.client
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // documented
	transport.MaxIdleConnsPerHost = 16
	a.cleanups = append(a.cleanups, func() error {
		transport.CloseIdleConnections()
		return nil
	})
	a.client = &http.Client{Transport: transport}
	if a.meter != nil {
		measured, err := meter.Transport(transport, a.meter, a.clock)
		if err != nil {
			a.log().Warn("requests are not measured", "err", err)
		} else {
			a.client.Transport = measured
		}
	}
	if a.speed > 1 {
		// A silent simulator is given up sooner too: its five minutes pass faster.
		a.client.Timeout = max(simulatorSilence, time.Duration(float64(5*time.Minute)/a.speed))
	}
	return a.client
}

// openNamed opens the source of the configuration that has this name.
func (a *app) openNamed(ctx context.Context, name string) (config.Source, martsync.Source, error) {
	c, err := a.loadConfig(ctx)
	if err != nil {
		return config.Source{}, nil, err
	}
	s, err := c.FindSource(name)
	if err != nil {
		return s, nil, err
	}
	env, err := a.connectorEnv()
	if err != nil {
		return s, nil, err
	}
	source, err := a.openSource(ctx, s, env)
	return s, source, err
}

// openSource opens a source. With a --speed of its own, time is only right for a simulator.
func (a *app) openSource(ctx context.Context, s config.Source, env martsync.Env) (martsync.Source, error) {
	source, err := s.Open(ctx, env)
	if err != nil {
		return nil, err
	}
	if a.speed != 1 && !onThisMachine(source.Account()) {
		return nil, usageError(fmt.Errorf("--speed is %v, and source %s is not a simulator on this machine", a.speed, s.Name),
			"Leave --speed out: a vendor's limits follow the real time.")
	}
	return source, nil
}

// onThisMachine reports whether an account's name ends in an address of this machine.
func onThisMachine(account string) bool {
	_, address, _ := strings.Cut(account, ":")
	u, err := url.Parse("//" + address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// openDestination opens a destination, to be closed by the caller.
func (a *app) openDestination(ctx context.Context, s config.Sync, env martsync.Env) (martsync.Destination, error) {
	return s.Destination.Open(ctx, s.Schema, env)
}

// openState opens the place for state. It is nothing that must be closed.
func (a *app) openState(ctx context.Context, c *config.Config) (state.Store, error) {
	l, err := c.State.Location(ctx)
	if err != nil {
		return nil, err
	}
	store, err := state.Open(ctx, l, martsync.Env{Log: a.log(), HTTP: a.httpClient(), Clock: a.clock, TempDir: os.TempDir()})
	if err != nil {
		return nil, &martsync.Error{
			Kind: martsync.KindOf(err), Op: "open the state at " + c.State.String(), Err: err,
			Hint: cmp.Or(martsync.HintOf(err), "Make it writable, or name another with --state."),
		}
	}
	return store, nil
}

// writeJSON writes v for machines.
func (a *app) writeJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// say writes a line for people to stderr, so that stdout holds data only.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// print writes a line of the command's own output.
func (a *app) print(format string, args ...any) {
	fmt.Fprintf(a.out, format+"\n", args...)
}
