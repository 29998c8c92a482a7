package meter

import (
	"fmt"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/martsync/martsync"
)

// Transport measures the requests that go through it, by the conventions of OpenTelemetry: the time until the header of
// the answer, by host, method and status. It tells no path: those of some vendors hold ids of people.
func Transport(through http.RoundTripper, provider metric.MeterProvider, clock martsync.Clock) (http.RoundTripper, error) {
	duration, err := provider.Meter("http").Float64Histogram("http.client.request.duration",
		metric.WithUnit("s"), metric.WithDescription("Requests to vendors and stores, until the header of the answer."))
	if err != nil {
		return nil, fmt.Errorf("measure requests: %w", err)
	}
	return &transport{through, duration, clock}, nil
}

type transport struct {
	through  http.RoundTripper
	duration metric.Float64Histogram
	clock    martsync.Clock
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	began := t.clock.Now()
	answer, err := t.through.RoundTrip(r)
	status := "none" // there was no answer
	if err == nil {
		status = strconv.Itoa(answer.StatusCode)
	}
	t.duration.Record(r.Context(), t.clock.Now().Sub(began).Seconds(), metric.WithAttributes(
		attribute.String("server.address", r.URL.Hostname()),
		attribute.String("http.request.method", r.Method),
		attribute.String("http.response.status_code", status)))
	return answer, err //nolint:wrapcheck // it is passed on
}

// CloseIdleConnections closes those of the transport that does the work.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.through.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
