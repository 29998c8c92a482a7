package daemon

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/martsync/martsync/runlog"
)

// A scrape is the last answer of /metrics. It is given again for a while, since in a bucket each look at the state
// costs money and everybody may ask.
type scrape struct {
	mu   sync.Mutex
	at   time.Time
	text string
}

const scrapeAge = 10 * time.Second

// serveMetrics answers in the text format of Prometheus, version 0.0.4. docs/metrics.md lists the names.
//
// Most of it is what the state store knows, and so survives the process and counts what others ran.
func (d *Daemon) serveMetrics(w http.ResponseWriter, r *http.Request) {
	d.metrics.mu.Lock()
	defer d.metrics.mu.Unlock()
	now := d.options.Clock.Now()
	if d.metrics.text == "" || now.Sub(d.metrics.at) >= scrapeAge {
		text, err := d.collect(r.Context())
		if err != nil {
			d.log.WarnContext(r.Context(), "state cannot be read for the metrics", "err", err)
			http.Error(w, "state cannot be read", http.StatusServiceUnavailable)
			return
		}
		d.metrics.text, d.metrics.at = text, now
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write([]byte(d.metrics.text)) // who asked has gone
}

// collect looks at every job.
func (d *Daemon) collect(ctx context.Context) (string, error) {
	var f families
	for _, s := range d.Status() {
		f.add("martsync_sync_working", s.Sync, boolean(s.Working))
		if !s.Next.IsZero() {
			f.add("martsync_sync_next_run_timestamp_seconds", s.Sync, seconds(s.Next))
		}
		if err := f.addState(ctx, d, s.Sync); err != nil {
			return "", err
		}
	}
	d.mu.Lock()
	for _, j := range d.jobs {
		for _, how := range []string{"done", "failed"} {
			f.add("martsync_runs_total", j.Name, float64(j.runs[how]), "status", how)
		}
		for _, kind := range slices.Sorted(maps.Keys(j.failed)) {
			f.add("martsync_failures_total", j.Name, float64(j.failed[kind]), "kind", kind)
		}
	}
	d.mu.Unlock()
	return f.String(), nil
}

// addState adds what the state store knows of a sync: its newest run and how fresh its streams are.
func (f *families) addState(ctx context.Context, d *Daemon, name string) error {
	runs, err := runlog.List(ctx, d.options.State, name, 1)
	if err != nil {
		return err
	}
	for i := range runs {
		r := &runs[i]
		f.add("martsync_run_start_timestamp_seconds", name, seconds(r.Start))
		f.add("martsync_run_advances", name, float64(r.Advances))
		f.add("martsync_run_rows", name, float64(r.Rows()))
		for _, status := range []runlog.Status{runlog.Running, runlog.Waiting, runlog.Stopped, runlog.Done, runlog.Failed} {
			f.add("martsync_run_status", name, boolean(r.Status == status), "status", string(status))
		}
		for _, u := range r.Usage {
			labels := []string{"account", r.Account, "limit", u.Name, "unit", u.Unit}
			f.add("martsync_run_spent", name, float64(u.Spent), labels...)
			if u.Today >= 0 && u.Limit > 0 {
				f.add("martsync_quota_used_today", name, float64(u.Today), labels...)
			}
			if u.Limit > 0 {
				f.add("martsync_quota_limit", name, float64(u.Limit), labels...)
			}
		}
	}
	fresh, err := runlog.FreshnessOf(ctx, d.options.State, name)
	if err != nil {
		return err
	}
	for i := range fresh {
		s := &fresh[i]
		f.add("martsync_stream_rows_total", name, float64(s.TotalRows), "stream", s.Stream)
		f.add("martsync_stream_failed", name, boolean(s.Phase == runlog.PhaseFailed), "stream", s.Stream)
		f.add("martsync_stream_last_success_timestamp_seconds", name, seconds(s.LastSuccess), "stream", s.Stream)
		f.add("martsync_stream_last_commit_timestamp_seconds", name, seconds(s.LastCommit), "stream", s.Stream)
	}
	return nil
}

// help describes the families, in the order in which they are told.
var help = []struct{ name, kind, text string }{
	{"martsync_sync_working", "gauge", "1 while the daemon is at work on the sync, 0 while it waits."},
	{"martsync_sync_next_run_timestamp_seconds", "gauge", "When the sync runs next, or goes on."},
	{"martsync_runs_total", "counter", "Runs that this process brought to their end."},
	{"martsync_failures_total", "counter", "Runs that failed in this process, by the kind of the error."},
	{"martsync_run_start_timestamp_seconds", "gauge", "When the newest run began, whoever began it."},
	{"martsync_run_status", "gauge", "1 for the status of the newest run."},
	{"martsync_run_advances", "gauge", "How many times the newest run was taken up."},
	{"martsync_run_rows", "gauge", "Rows that the newest run has committed."},
	{"martsync_run_spent", "gauge", "What the newest run has spent of a limit, or of what costs money."},
	{"martsync_quota_used_today", "gauge", "What everybody has spent of a limit in the vendor's day, as last told."},
	{"martsync_quota_limit", "gauge", "The limit of a day."},
	{"martsync_stream_rows_total", "counter", "Rows committed by all runs."},
	{"martsync_stream_failed", "gauge", "1 if the newest run failed to read the stream."},
	{"martsync_stream_last_success_timestamp_seconds", "gauge", "When the stream was last read to its end; 0: never."},
	{"martsync_stream_last_commit_timestamp_seconds", "gauge", "When the stream's table last changed; 0: never."},
}

// families are samples by the name of their metric.
type families struct{ lines map[string][]string }

// add adds a sample. Labels are pairs of name and value.
func (f *families) add(name, sync string, value float64, labels ...string) {
	if f.lines == nil {
		f.lines = map[string][]string{}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `%s{sync="%s"`, name, escape(sync))
	for i := 0; i < len(labels); i += 2 {
		fmt.Fprintf(&b, `,%s="%s"`, labels[i], escape(labels[i+1]))
	}
	b.WriteString("} " + strconv.FormatFloat(value, 'f', -1, 64))
	f.lines[name] = append(f.lines[name], b.String())
}

// String writes the families in the text format.
func (f *families) String() string {
	var b strings.Builder
	for _, h := range help {
		if len(f.lines[h.name]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", h.name, h.text, h.name, h.kind)
		b.WriteString(strings.Join(f.lines[h.name], "\n") + "\n")
	}
	return b.String()
}

// escape writes a label's value.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is a time as Prometheus has it: seconds since the epoch; 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
