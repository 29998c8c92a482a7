package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/martsync/martsync/runlog"
)

// Scope names the instruments of this package to OpenTelemetry.
const Scope = "github.com/martsync/martsync/daemon"

// metrics are the instruments of a daemon; docs/metrics.md lists them. Most of what they tell is what the state store
// knows, and so survives the process and counts what others ran.
type metrics struct {
	runs, failures metric.Int64Counter
	observed       map[string]metric.Float64Observable
}

// gauges and counters are asked for when somebody looks. Those named timestamp are seconds since the epoch.
var (
	gauges = []struct{ name, unit, help string }{
		{"martsync.sync.working", "", "1 while the daemon is at work on the sync, 0 while it waits."},
		{"martsync.sync.next_run.timestamp", "s", "When the sync runs next, or goes on."},
		{"martsync.run.start.timestamp", "s", "When the newest run began, whoever began it."},
		{"martsync.run.status", "", "1 for the status of the newest run."},
		{"martsync.run.advances", "", "How many times the newest run was taken up."},
		{"martsync.run.rows", "", "Rows that the newest run has committed."},
		{"martsync.run.spent", "", "What the newest run has spent of a limit, or of what costs money."},
		{"martsync.quota.used_today", "", "What everybody has spent of a limit in the vendor's day, as last told."},
		{"martsync.quota.limit", "", "The limit of a day."},
		{"martsync.stream.failed", "", "1 if the newest run failed to read the stream."},
		{"martsync.stream.last_success.timestamp", "s", "When the stream was last read to its end; 0: never."},
		{"martsync.stream.last_commit.timestamp", "s", "When the stream's table last changed; 0: never."},
	}
	counters = []struct{ name, unit, help string }{
		{"martsync.stream.rows", "", "Rows committed by all runs."},
	}
)

// measure makes the instruments.
func (d *Daemon) measure() error {
	provider := d.options.Meter
	if provider == nil {
		provider = noop.NewMeterProvider()
	}
	meter := provider.Meter(Scope)
	m := metrics{observed: map[string]metric.Float64Observable{}}
	var errs []error
	var all []metric.Observable
	observe := func(name string, o metric.Float64Observable, err error) {
		m.observed[name] = o
		all, errs = append(all, o), append(errs, err)
	}
	for _, g := range gauges {
		o, err := meter.Float64ObservableGauge(g.name, metric.WithUnit(g.unit), metric.WithDescription(g.help))
		observe(g.name, o, err)
	}
	for _, c := range counters {
		o, err := meter.Float64ObservableCounter(c.name, metric.WithUnit(c.unit), metric.WithDescription(c.help))
		observe(c.name, o, err)
	}
	counter := func(name, help string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithDescription(help))
		errs = append(errs, err)
		return c
	}
	m.runs = counter("martsync.runs", "Runs that this process brought to their end.")
	m.failures = counter("martsync.failures", "Runs that failed in this process, by the kind of the error.")
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("make instruments: %w", err)
	}
	d.metrics = m
	if _, err := meter.RegisterCallback(d.observe, all...); err != nil {
		return fmt.Errorf("make instruments: %w", err)
	}
	for _, j := range d.jobs { // whoever looks for failures finds that there are none
		for _, status := range []runlog.Status{runlog.Done, runlog.Failed} {
			m.runs.Add(context.Background(), 0, metric.WithAttributes(attribute.String("sync", j.Name), attribute.String("status", string(status))))
		}
	}
	return nil
}

// ended counts a run; kind is that of the error it ended with.
func (m *metrics) ended(ctx context.Context, sync, kind string) {
	status := runlog.Done
	if kind != "" {
		status = runlog.Failed
		m.failures.Add(ctx, 1, metric.WithAttributes(attribute.String("sync", sync), attribute.String("kind", kind)))
	}
	m.runs.Add(ctx, 1, metric.WithAttributes(attribute.String("sync", sync), attribute.String("status", string(status))))
}

// observe tells how every job stands.
func (d *Daemon) observe(ctx context.Context, o metric.Observer) error {
	for _, s := range d.Status() {
		l := look{o, &d.metrics, s.Sync}
		l.tell("martsync.sync.working", boolean(s.Working))
		if !s.Next.IsZero() {
			l.tell("martsync.sync.next_run.timestamp", seconds(s.Next))
		}
		if err := l.state(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// A look is what somebody sees of one sync.
type look struct {
	observer metric.Observer
	metrics  *metrics
	sync     string
}

func (l look) tell(name string, value float64, more ...attribute.KeyValue) {
	l.observer.ObserveFloat64(l.metrics.observed[name], value, metric.WithAttributes(append(more, attribute.String("sync", l.sync))...))
}

// state tells what the state store knows of a sync: its newest run and how fresh its streams are.
func (l look) state(ctx context.Context, d *Daemon) error {
	runs, err := runlog.List(ctx, d.options.State, l.sync, 1)
	if err != nil {
		return err
	}
	for i := range runs {
		r := &runs[i]
		l.tell("martsync.run.start.timestamp", seconds(r.Start))
		l.tell("martsync.run.advances", float64(r.Advances))
		l.tell("martsync.run.rows", float64(r.Rows()))
		for _, status := range []runlog.Status{runlog.Running, runlog.Waiting, runlog.Stopped, runlog.Done, runlog.Failed} {
			l.tell("martsync.run.status", boolean(r.Status == status), attribute.String("status", string(status)))
		}
		for _, u := range r.Usage {
			of := []attribute.KeyValue{attribute.String("account", r.Account), attribute.String("limit", u.Name), attribute.String("unit", u.Unit)}
			l.tell("martsync.run.spent", float64(u.Spent), of...)
			if u.Today >= 0 && u.Limit > 0 {
				l.tell("martsync.quota.used_today", float64(u.Today), of...)
			}
			if u.Limit > 0 {
				l.tell("martsync.quota.limit", float64(u.Limit), of...)
			}
		}
	}
	fresh, err := runlog.FreshnessOf(ctx, d.options.State, l.sync)
	if err != nil {
		return err
	}
	for i := range fresh {
		s := &fresh[i]
		of := attribute.String("stream", s.Stream)
		l.tell("martsync.stream.rows", float64(s.TotalRows), of)
		l.tell("martsync.stream.failed", boolean(s.Phase == runlog.PhaseFailed), of)
		l.tell("martsync.stream.last_success.timestamp", seconds(s.LastSuccess), of)
		l.tell("martsync.stream.last_commit.timestamp", seconds(s.LastCommit), of)
	}
	return nil
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds are those since the epoch; 0 for no time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
