package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/meter"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

func get(t *testing.T, d *Daemon, path string) (code int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	d.Health().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// metricsOf are what somebody sees who asks for the metrics.
func metricsOf(t *testing.T, d *Daemon) (string, error) {
	t.Helper()
	var b strings.Builder
	err := d.options.Meter.(*meter.Registry).Write(t.Context(), &b)
	return b.String(), err
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "a", account: "x"}
		f.advance = func(context.Context, int, <-chan struct{}) (Outcome, error) {
			return Outcome{Done: true}, &martsync.Error{Kind: martsync.Auth, Op: "log in", Err: errors.New("secret detail"), Hint: "secret hint"}
		}
		d, stop := start(t, Options{State: state.NewMemory()}, f.job(t, "0 * * * *"))
		time.Sleep(90 * time.Minute)
		code, body := get(t, d, "/healthz")
		stop()
		var answer struct {
			Status string
			Syncs  []JobStatus
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		if code != http.StatusOK || answer.Status != "ok" || len(answer.Syncs) != 1 || answer.Syncs[0].Kind != "auth" {
			t.Errorf("got %d %s, want 200 and a sync that failed: that does not make the daemon unwell", code, body)
		}
		if next := time.Date(2000, 1, 1, 2, 0, 0, 0, time.UTC); len(answer.Syncs) == 1 && !answer.Syncs[0].Next.Equal(next) {
			t.Errorf("next is %s, want %s", answer.Syncs[0].Next, next)
		}
		if strings.Contains(body, "secret") {
			t.Errorf("health tells the text of an error: %s", body)
		}
		if code, _ := get(t, d, "/healthz"); code != http.StatusServiceUnavailable {
			t.Errorf("after the end: %d, want 503", code)
		}
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := state.NewMemory()
		now := time.Now().UTC()
		r := &runlog.Run{
			ID: "1", Sync: "a", Account: `odd"\` + "\nname", Start: now, End: now, Status: runlog.Waiting, Advances: 3,
			Streams: []runlog.Stream{
				{Stream: "leads", Phase: runlog.PhaseDone, Rows: 7, Finished: now.Add(1500 * time.Millisecond), LastCommit: now},
				{Stream: "lists", Phase: runlog.PhaseFailed, Rows: 2},
			},
			Usage: []martsync.Usage{
				{Name: "API calls", Unit: "calls", Spent: 12, Today: 40, Limit: 50000},
				{Name: "export bytes", Unit: "bytes", Spent: 5_000_000, Today: -1, Limit: 500_000_000},
				{Name: "load", Unit: "seconds", Spent: 4, Today: -1},
			},
		}
		if err := runlog.Save(t.Context(), store, r); err != nil {
			t.Fatal(err)
		}
		if err := runlog.Report(t.Context(), store, r, map[string]int64{"leads": 7, "lists": 2}); err != nil {
			t.Fatal(err)
		}
		f, failing := &fake{name: "a", account: "x"}, &fake{name: "b", account: "y"}
		failing.advance = func(context.Context, int, <-chan struct{}) (Outcome, error) {
			return Outcome{Done: true}, &martsync.Error{Kind: martsync.Data, Op: "x"}
		}
		d, stop := start(t, Options{State: store, Meter: meter.New()}, f.job(t, "0 * * * *"), failing.job(t, "0 * * * *"))
		time.Sleep(130 * time.Minute)
		body, err := metricsOf(t, d)
		stop()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`martsync_sync_working{sync="a"} 0`,
			`martsync_sync_next_run_timestamp_seconds{sync="a"} 946695600`,
			`martsync_runs_total{status="done",sync="a"} 2`,
			`martsync_runs_total{status="failed",sync="a"} 0`,
			`martsync_runs_total{status="failed",sync="b"} 2`,
			`martsync_failures_total{kind="data",sync="b"} 2`,
			`martsync_run_start_timestamp_seconds{sync="a"} 946684800`,
			`martsync_run_status{status="waiting",sync="a"} 1`,
			`martsync_run_status{status="done",sync="a"} 0`,
			`martsync_run_rows{sync="a"} 9`,
			`martsync_run_spent{account="odd\"\\\nname",limit="API calls",sync="a",unit="calls"} 12`,
			`martsync_quota_used_today{account="odd\"\\\nname",limit="API calls",sync="a",unit="calls"} 40`,
			`martsync_quota_limit{account="odd\"\\\nname",limit="export bytes",sync="a",unit="bytes"} 500000000`,
			`martsync_stream_rows_total{stream="leads",sync="a"} 7`,
			`martsync_stream_failed{stream="lists",sync="a"} 1`,
			`martsync_stream_last_success_timestamp_seconds{stream="leads",sync="a"} 946684801.5`,
			`martsync_stream_last_success_timestamp_seconds{stream="lists",sync="a"} 0`,
		} {
			if !strings.Contains(body, want+"\n") {
				t.Errorf("there is no line %s", want)
			}
		}
		for _, not := range []string{`martsync_quota_limit{account="odd\"\\\nname",limit="load"`, `used_today{account="odd\"\\\nname",limit="export bytes"`, `rows_total{stream="leads",sync="b"`} {
			if strings.Contains(body, not) {
				t.Errorf("there is %s, which nobody knows", not)
			}
		}
		if t.Failed() {
			t.Log(body)
		}
	})
}

// A state that cannot be read is no answer: half the metrics would look like a change.
func TestMetricsNeedTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &brokenStore{Store: state.NewMemory()}
		d, stop := start(t, Options{State: store, Meter: meter.New()}, (&fake{name: "a"}).job(t, "0 * * * *"))
		synctest.Wait()
		store.set(errors.New("no such bucket"))
		if body, err := metricsOf(t, d); err == nil || body != "" {
			t.Errorf("got %q and %v, want an error alone", body, err)
		}
		store.set(nil)
		stop()
	})
}
