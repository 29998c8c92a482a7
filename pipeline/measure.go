package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/martsync/martsync"
)

// Scope names the instruments of this package to OpenTelemetry.
const Scope = "github.com/martsync/martsync/pipeline"

// instruments count what runs do. docs/metrics.md lists them.
type instruments struct {
	payload, rows, quarantined, windows, waits, failures metric.Int64Counter

	commit, stage metric.Float64Histogram
}

func newInstruments(provider metric.MeterProvider) (i instruments, err error) {
	if provider == nil {
		provider = noop.NewMeterProvider()
	}
	m := provider.Meter(Scope)
	var errs []error
	counter := func(name, unit, help string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(help))
		errs = append(errs, err)
		return c
	}
	seconds := func(name, help string) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(help))
		errs = append(errs, err)
		return h
	}
	i = instruments{
		payload:     counter("martsync.read.payload", "By", "Bytes read of what the vendor sent."),
		rows:        counter("martsync.commit.rows", "{row}", "Rows committed."),
		quarantined: counter("martsync.commit.quarantined", "{row}", "Rows committed to the quarantine."),
		windows:     counter("martsync.read.windows", "{window}", "Windows read to their end, the empty ones included."),
		waits:       counter("martsync.stream.waits", "{wait}", "Times that a stream had to wait for the vendor or was put off, by the kind of the reason."),
		failures:    counter("martsync.stream.failures", "{failure}", "Times that a stream ended with an error, by its kind."),
		commit:      seconds("martsync.commit.duration", "Commits."),
		stage:       seconds("martsync.stage.duration", "Putting rows by that cannot be committed yet."),
	}
	if err := errors.Join(errs...); err != nil {
		return i, &martsync.Error{Kind: martsync.Internal, Op: "count", Err: fmt.Errorf("make instruments: %w", err)}
	}
	return i, nil
}

// of are the attributes of what a stream does.
func (e *engine) of(t *task, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append(more, attribute.String("sync", e.Name), attribute.String("stream", t.schema.Stream))...)
}

func (e *engine) add(ctx context.Context, c metric.Int64Counter, t *task, n int64, more ...attribute.KeyValue) {
	if n > 0 {
		c.Add(ctx, n, e.of(t, more...))
	}
}

// took records how long something has taken since it began.
func (e *engine) took(ctx context.Context, h metric.Float64Histogram, t *task, began time.Time) {
	h.Record(ctx, e.Clock.Now().Sub(began).Seconds(), e.of(t))
}

func ofKind(k martsync.Kind) attribute.KeyValue { return attribute.String("kind", k.String()) }
