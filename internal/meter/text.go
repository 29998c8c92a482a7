package meter

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"

	"github.com/martsync/martsync"
)

// Write asks the callbacks and writes all metrics in the text format of Prometheus, version 0.0.4, sorted by name. If
// a callback fails nothing is written: half the truth looks like a change.
func (r *Registry) Write(ctx context.Context, w io.Writer) error {
	r.mu.Lock()
	callbacks := slices.Clone(r.callbacks)
	r.mu.Unlock()
	seen := observer{families: map[*family]*family{}}
	for _, g := range callbacks {
		seen.may = g.may
		if err := g.callback(ctx, &seen); err != nil {
			return fmt.Errorf("collect metrics: %w", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.families)) {
		f := r.families[name]
		if f.observed {
			if f = seen.families[f]; f == nil {
				f = r.families[name]
			}
		}
		f.write(&b)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

// An observer takes what callbacks tell. It is used by one goroutine, within Write.
type observer struct {
	embedded.Observer
	may      map[*family]bool
	families map[*family]*family // copies that hold the samples of this look
}

func (o *observer) ObserveFloat64(i metric.Float64Observable, value float64, options ...metric.ObserveOption) {
	known, ok := i.(interface{ of() *family })
	if !ok || !o.may[known.of()] {
		return
	}
	f := o.families[known.of()]
	if f == nil {
		fresh := *known.of()
		fresh.samples = map[string]*sample{}
		f = &fresh
		o.families[known.of()] = f
	}
	f.sample(metric.NewObserveConfig(options).Attributes()).value = value
}

// ObserveInt64 takes nothing: there are no such instruments here.
func (o *observer) ObserveInt64(metric.Int64Observable, int64, ...metric.ObserveOption) {}

func (f *family) write(b *strings.Builder) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", f.name, strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(f.help), f.name, f.kind)
	for _, key := range slices.Sorted(maps.Keys(f.samples)) {
		s := f.samples[key]
		if f.kind != "histogram" {
			fmt.Fprintf(b, "%s%s %s\n", f.name, braced(key), number(s.value))
			continue
		}
		count := uint64(0)
		for i, n := range s.counts {
			count += n
			bound := "+Inf"
			if i < len(f.bounds) {
				bound = number(f.bounds[i])
			}
			le := `le="` + bound + `"`
			if key != "" {
				le = key + "," + le
			}
			fmt.Fprintf(b, "%s_bucket{%s} %d\n", f.name, le, count)
		}
		fmt.Fprintf(b, "%s_sum%s %s\n%s_count%s %d\n", f.name, braced(key), number(s.value), f.name, braced(key), count)
	}
}

// labels writes a set, which is sorted by key, without the braces.
func labels(set attribute.Set) string {
	var b strings.Builder
	for i := set.Iter(); i.Next(); {
		kv := i.Attribute()
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(kv.Value.String())
		fmt.Fprintf(&b, `%s="%s"`, strings.ReplaceAll(string(kv.Key), ".", "_"), value)
	}
	return b.String()
}

func braced(labels string) string {
	if labels == "" {
		return ""
	}
	return "{" + labels + "}"
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// handlerAge is how long an answer is given again: in a bucket each look at the state costs money, and everybody may
// ask.
const handlerAge = 10 * time.Second

// Handler answers with the metrics. An answer is at most ten seconds old; if they cannot be collected it is 503.
func (r *Registry) Handler(clock martsync.Clock, log *slog.Logger) http.Handler {
	var mu sync.Mutex
	var at time.Time
	var text string
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if now := clock.Now(); text == "" || now.Sub(at) >= handlerAge {
			var b strings.Builder
			if err := r.Write(request.Context(), &b); err != nil {
				log.WarnContext(request.Context(), "metrics cannot be collected", "err", err)
				http.Error(w, "metrics cannot be collected", http.StatusServiceUnavailable)
				return
			}
			text, at = b.String(), now
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, text) // who asked has gone
	})
}
