// Package meter keeps metrics in memory and writes them in the text format of Prometheus.
//
// Packages count through the API of OpenTelemetry and know nothing of this one; a Registry is the MeterProvider that
// a command hands them. It keeps what martsync uses: counters, histograms, and gauges and counters that are asked for
// their value when somebody looks. Of every other kind of instrument it keeps nothing. docs/decisions/ says why it is
// not the SDK.
package meter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/metric/noop"
)

// maxSets bounds the sets of attributes of one metric, as the SDKs of OpenTelemetry do: whoever counts by something
// that has no end fills one more sample and not the memory.
const maxSets = 2000

// overflow is the attribute of what came when the sets were used up. The specification names it.
const overflow = "otel_metric_overflow"

// defaultBounds are the buckets of a histogram whose maker names none: seconds, from a call to a long export.
var defaultBounds = []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300}

// A Registry is a metric.MeterProvider. Its methods may be called from several goroutines.
type Registry struct {
	embedded.MeterProvider
	mu        sync.Mutex
	families  map[string]*family // by the name of the text format
	callbacks []*registration
}

// New returns a registry that has counted nothing.
func New() *Registry { return &Registry{families: map[string]*family{}} }

// Meter returns the one meter that there is: names are what tells metrics apart.
func (r *Registry) Meter(string, ...metric.MeterOption) metric.Meter { return &meter{registry: r} }

// A family is a metric with all its samples.
type family struct {
	name, help string
	kind       string    // of the text format: counter, gauge, histogram
	bounds     []float64 // of a histogram
	observed   bool      // its samples are asked for when somebody looks
	samples    map[string]*sample
}

// A sample is what one set of attributes has come to.
type sample struct {
	value  float64  // of a histogram: the sum
	counts []uint64 // of a histogram, by bucket; the last is that of what is above all bounds
}

// family returns the metric of that name, and makes it if it is new. Two that mean different things by one name are
// an error.
func (r *Registry) family(name, unit, help, kind string, bounds []float64, observed bool) (*family, error) {
	full := textName(name, unit, kind)
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.families[full]; f != nil {
		if f.kind != kind || f.observed != observed {
			return nil, fmt.Errorf("metric %s is a %s already", full, f.kind)
		}
		return f, nil
	}
	f := &family{name: full, help: help, kind: kind, bounds: bounds, observed: observed, samples: map[string]*sample{}}
	r.families[full] = f
	return f, nil
}

// textName is the name of a metric in the text format: martsync.commit.duration in seconds is
// martsync_commit_duration_seconds.
func textName(name, unit, kind string) string {
	name = strings.ReplaceAll(name, ".", "_")
	suffix := map[string]string{"s": "_seconds", "By": "_bytes"}[unit]
	if !strings.HasSuffix(name, suffix) {
		name += suffix
	}
	if kind == "counter" && !strings.HasSuffix(name, "_total") {
		name += "_total"
	}
	return name
}

// sample returns the sample of a set. The caller holds the registry's lock.
func (f *family) sample(set attribute.Set) *sample {
	key := labels(set)
	s := f.samples[key]
	if s != nil {
		return s
	}
	if len(f.samples) >= maxSets {
		key = labels(attribute.NewSet(attribute.Bool(overflow, true)))
		if s = f.samples[key]; s != nil {
			return s
		}
	}
	s = &sample{}
	if f.kind == "histogram" {
		s.counts = make([]uint64, len(f.bounds)+1)
	}
	f.samples[key] = s
	return s
}

type meter struct {
	noop.Meter
	registry *Registry
}

func (m *meter) Int64Counter(name string, options ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	c := metric.NewInt64CounterConfig(options...)
	f, err := m.registry.family(name, c.Unit(), c.Description(), "counter", nil, false)
	return &counter{registry: m.registry, family: f}, err
}

func (m *meter) Float64Histogram(name string, options ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	c := metric.NewFloat64HistogramConfig(options...)
	bounds := c.ExplicitBucketBoundaries()
	if len(bounds) == 0 {
		bounds = defaultBounds
	}
	f, err := m.registry.family(name, c.Unit(), c.Description(), "histogram", bounds, false)
	return &histogram{registry: m.registry, family: f}, err
}

func (m *meter) Float64ObservableGauge(name string, options ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	c := metric.NewFloat64ObservableGaugeConfig(options...)
	if len(c.Callbacks()) > 0 {
		return nil, fmt.Errorf("metric %s: callbacks are registered with RegisterCallback", name)
	}
	f, err := m.registry.family(name, c.Unit(), c.Description(), "gauge", nil, true)
	return &gauge{observable: observable{family: f}}, err
}

func (m *meter) Float64ObservableCounter(name string, options ...metric.Float64ObservableCounterOption) (metric.Float64ObservableCounter, error) {
	c := metric.NewFloat64ObservableCounterConfig(options...)
	if len(c.Callbacks()) > 0 {
		return nil, fmt.Errorf("metric %s: callbacks are registered with RegisterCallback", name)
	}
	f, err := m.registry.family(name, c.Unit(), c.Description(), "counter", nil, true)
	return &observedCounter{observable: observable{family: f}}, err
}

// RegisterCallback has the callback asked whenever somebody looks. What it does not observe then is not told.
func (m *meter) RegisterCallback(f metric.Callback, instruments ...metric.Observable) (metric.Registration, error) {
	g := &registration{registry: m.registry, callback: f, may: map[*family]bool{}}
	for _, i := range instruments {
		o, ok := i.(interface{ of() *family })
		if !ok {
			return nil, errors.New("an instrument is not of this registry")
		}
		g.may[o.of()] = true
	}
	m.registry.mu.Lock()
	defer m.registry.mu.Unlock()
	m.registry.callbacks = append(m.registry.callbacks, g)
	return g, nil
}

type counter struct {
	embedded.Int64Counter
	registry *Registry
	family   *family
}

func (c *counter) Add(_ context.Context, n int64, options ...metric.AddOption) {
	if c.family == nil || n < 0 { // a counter only grows
		return
	}
	set := metric.NewAddConfig(options).Attributes()
	c.registry.mu.Lock()
	defer c.registry.mu.Unlock()
	c.family.sample(set).value += float64(n)
}

func (c *counter) Enabled(context.Context) bool { return c.family != nil }

type histogram struct {
	embedded.Float64Histogram
	registry *Registry
	family   *family
}

func (h *histogram) Record(_ context.Context, value float64, options ...metric.RecordOption) {
	if h.family == nil {
		return
	}
	set := metric.NewRecordConfig(options).Attributes()
	h.registry.mu.Lock()
	defer h.registry.mu.Unlock()
	s := h.family.sample(set)
	bucket, _ := slices.BinarySearch(h.family.bounds, value)
	s.counts[bucket]++
	s.value += value
}

func (h *histogram) Enabled(context.Context) bool { return h.family != nil }

// An observable is asked for its values when somebody looks.
type observable struct {
	metric.Float64Observable
	family *family
}

func (o observable) of() *family { return o.family }

type gauge struct {
	embedded.Float64ObservableGauge
	observable
}

type observedCounter struct {
	embedded.Float64ObservableCounter
	observable
}

type registration struct {
	embedded.Registration
	registry *Registry
	callback metric.Callback
	may      map[*family]bool
}

// Unregister has the callback not asked any more.
func (g *registration) Unregister() error {
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	g.registry.callbacks = slices.DeleteFunc(g.registry.callbacks, func(other *registration) bool { return other == g })
	return nil
}
