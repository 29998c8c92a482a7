package meter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/martsync/martsync/internal/meter"
	"github.com/martsync/martsync/simulate"
)

func text(t *testing.T, r *meter.Registry) string {
	t.Helper()
	var b strings.Builder
	if err := r.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func with(pairs ...string) metric.MeasurementOption {
	var all []attribute.KeyValue
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, attribute.String(pairs[i], pairs[i+1]))
	}
	return metric.WithAttributes(all...)
}

func TestText(t *testing.T) {
	r := meter.New()
	m := r.Meter("test")
	c := must[metric.Int64Counter](t)(m.Int64Counter("a.bytes", metric.WithUnit("By"), metric.WithDescription("Two\nlines \\ and more.")))
	c.Add(t.Context(), 3, with("stream", "leads", "sync", "x"))
	c.Add(t.Context(), 4, with("sync", "x", "stream", "leads")) // the order of attributes means nothing
	c.Add(t.Context(), 1, with("sync", `odd"\`+"\nname"))
	c.Add(t.Context(), -5, with("sync", "x", "stream", "leads"))
	h := must[metric.Float64Histogram](t)(m.Float64Histogram("b.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(1, 10)))
	for _, v := range []float64{0.5, 1, 2, 10.5} {
		h.Record(t.Context(), v, with("server.address", "host"))
	}
	h.Record(t.Context(), 2)
	g := must[metric.Float64ObservableGauge](t)(m.Float64ObservableGauge("c.state"))
	n := must[metric.Float64ObservableCounter](t)(m.Float64ObservableCounter("d.rows"))
	hidden := must[metric.Float64ObservableGauge](t)(m.Float64ObservableGauge("e.none"))
	sets := [][]string{{"sync", "x"}, {"sync", "y"}}
	must[metric.Registration](t)(m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for i, set := range sets {
			o.ObserveFloat64(g, float64(i)+0.5, with(set...))
			o.ObserveFloat64(n, 7, with(set...))
			o.ObserveFloat64(hidden, 1) // was not named
		}
		return nil
	}, g, n))
	want := `# HELP a_bytes_total Two\nlines \\ and more.
# TYPE a_bytes_total counter
a_bytes_total{stream="leads",sync="x"} 7
a_bytes_total{sync="odd\"\\\nname"} 1
# HELP b_duration_seconds 
# TYPE b_duration_seconds histogram
b_duration_seconds_bucket{le="1"} 0
b_duration_seconds_bucket{le="10"} 1
b_duration_seconds_bucket{le="+Inf"} 1
b_duration_seconds_sum 2
b_duration_seconds_count 1
b_duration_seconds_bucket{server_address="host",le="1"} 2
b_duration_seconds_bucket{server_address="host",le="10"} 3
b_duration_seconds_bucket{server_address="host",le="+Inf"} 4
b_duration_seconds_sum{server_address="host"} 14
b_duration_seconds_count{server_address="host"} 4
# HELP c_state 
# TYPE c_state gauge
c_state{sync="x"} 0.5
c_state{sync="y"} 1.5
# HELP d_rows_total 
# TYPE d_rows_total counter
d_rows_total{sync="x"} 7
d_rows_total{sync="y"} 7
# HELP e_none 
# TYPE e_none gauge
`
	if diff := cmp.Diff(want, text(t, r)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	sets = sets[:1]
	if strings.Contains(text(t, r), `c_state{sync="y"}`) {
		t.Error("what a callback does not tell any more is told still")
	}
}

func TestRegistryRefuses(t *testing.T) {
	r := meter.New()
	m := r.Meter("test")
	must[metric.Int64Counter](t)(m.Int64Counter("a"))
	if _, err := m.Float64ObservableCounter("a"); err == nil {
		t.Error("two kinds of counters share a name")
	}
	if _, err := m.Float64Histogram("a_total"); err == nil {
		t.Error("a counter and a histogram share a name of the text")
	}
	if _, err := m.Float64ObservableGauge("b", metric.WithFloat64Callback(nil)); err == nil {
		t.Error("a callback that is never asked was accepted")
	}
	other := must[metric.Float64ObservableGauge](t)(m.Float64ObservableGauge("c"))
	if _, err := meter.New().Meter("").RegisterCallback(nil, other, metric.Observable(nil)); err == nil {
		t.Error("an instrument of nobody was accepted")
	}
	again := must[metric.Int64Counter](t)(m.Int64Counter("a"))
	again.Add(t.Context(), 2)
	if !strings.Contains(text(t, r), "a_total 2\n") {
		t.Error("an instrument that was asked for twice is not the same")
	}
}

// Nobody fills the memory by counting by something that has no end; what is beyond is counted still.
func TestOverflow(t *testing.T) {
	r := meter.New()
	c := must[metric.Int64Counter](t)(r.Meter("").Int64Counter("a"))
	for i := range 2500 {
		c.Add(t.Context(), 1, with("id", fmt.Sprint(i)))
	}
	got := text(t, r)
	if n := strings.Count(got, "\na_total{"); n != 2001 || !strings.Contains(got, "a_total{otel_metric_overflow=\"true\"} 500\n") {
		t.Errorf("%d samples, want 2001, the last with 500", n)
	}
}

func TestCallbackFails(t *testing.T) {
	r := meter.New()
	m := r.Meter("")
	g := must[metric.Float64ObservableGauge](t)(m.Float64ObservableGauge("a"))
	broken := errors.New("no state")
	registered := must[metric.Registration](t)(m.RegisterCallback(func(context.Context, metric.Observer) error { return broken }, g))
	var b strings.Builder
	if err := r.Write(t.Context(), &b); !errors.Is(err, broken) || b.Len() > 0 {
		t.Errorf("got %v and %q, want the error alone", err, b.String())
	}
	if err := registered.Unregister(); err != nil {
		t.Fatal(err)
	}
	if got := text(t, r); !strings.Contains(got, "# TYPE a gauge") {
		t.Errorf("after the callback has gone: %q", got)
	}
}

// The answer is kept for a moment, and a failure is not.
func TestHandler(t *testing.T) {
	r := meter.New()
	m := r.Meter("")
	g := must[metric.Float64ObservableGauge](t)(m.Float64ObservableGauge("a"))
	value, asked := 1.0, 0
	var failure error
	must[metric.Registration](t)(m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		asked++
		o.ObserveFloat64(g, value)
		return failure
	}, g))
	clock := simulate.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	h := r.Handler(clock, slog.New(slog.DiscardHandler))
	get := func() (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Code, w.Body.String()
	}
	_, before := get()
	value = 2
	if code, again := get(); code != http.StatusOK || again != before || asked != 1 {
		t.Errorf("at once: %d, asked %d times, want the same answer", code, asked)
	}
	if err := clock.Sleep(t.Context(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	failure = errors.New("bucket is gone")
	if code, body := get(); code != http.StatusServiceUnavailable || strings.Contains(body, "bucket") {
		t.Errorf("got %d %q, want 503 without the error", code, body)
	}
	failure = nil
	if code, body := get(); code != http.StatusOK || !strings.Contains(body, "a 2\n") {
		t.Errorf("after the failure: %d %q", code, body)
	}
}

func TestTransport(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang-up" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	r := meter.New()
	measured, err := meter.Transport(server.Client().Transport, r, simulate.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: measured}
	answer, err := client.Get(server.URL + "/person/17")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if _, err := client.Get(server.URL + "/hang-up"); err == nil {
		t.Fatal("a server that hangs up answered")
	}
	host := server.Listener.Addr().(*net.TCPAddr).IP.String() // of IPv6 where there is nothing else
	got := text(t, r)
	for _, want := range []string{
		`http_client_request_duration_seconds_count{http_request_method="GET",http_response_status_code="418",server_address="` + host + `"} 1`,
		`http_client_request_duration_seconds_count{http_request_method="GET",http_response_status_code="none",server_address="` + host + `"} 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("there is no line %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "person") {
		t.Error("a path is told")
	}
}

// All lines are of the text format, whatever comes in, and goroutines may count while somebody looks.
func TestConcurrent(t *testing.T) {
	line := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .*|[a-z_]+(\{([a-z_]+="([^"\\\n]|\\["\\n])*",?)+\})? -?[0-9.]+)$`)
	r := meter.New()
	m := r.Meter("")
	c := must[metric.Int64Counter](t)(m.Int64Counter("martsync.rows", metric.WithDescription("Rows.")))
	h := must[metric.Float64Histogram](t)(m.Float64Histogram("martsync.duration", metric.WithUnit("s"), metric.WithDescription("Time.")))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 200 {
				c.Add(t.Context(), 1, with("sync", fmt.Sprintf("\"%d\\\n", i)))
				h.Record(t.Context(), float64(i)/3)
			}
		})
	}
	group.Go(func() {
		for range 20 {
			for l := range strings.Lines(text(t, r)) {
				if l = strings.TrimSuffix(l, "\n"); !line.MatchString(l) {
					t.Errorf("line %q is not of the format", l)
				}
			}
		}
	})
	group.Wait()
	if got := text(t, r); strings.Count(got, `\n"} 200`) != 8 || !strings.Contains(got, "martsync_duration_seconds_count 1600\n") {
		t.Errorf("something was not counted:\n%s", got)
	}
}
