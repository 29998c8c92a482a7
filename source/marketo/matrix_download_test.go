package marketo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// A tuned source has its streams changed by a test.
type tuned struct {
	*source
	tune func(martsync.Stream)
}

func (s tuned) Streams(ctx context.Context) ([]martsync.Stream, error) {
	streams, err := s.source.Streams(ctx)
	for _, st := range streams {
		s.tune(st)
	}
	return streams, err
}

// A gate notices requests that are made while the file of an export is open.
type gate struct {
	mu    sync.Mutex
	open  int
	files int
	bad   []string
}

func (g *gate) watch(l *line, opened func()) {
	l.block = func(r *http.Request) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.open > 0 {
			g.bad = append(g.bad, r.Method+" "+r.URL.Path)
		}
		r.Header.Del("Range") // the file is another than the simulator's, so all of it comes each time
		return nil
	}
	l.bend = func(resp *http.Response) error {
		switch {
		case resp.StatusCode >= 300:
			return nil
		case strings.HasSuffix(resp.Request.URL.Path, "/status.json"):
			return promiseNothing(resp)
		case !strings.HasSuffix(resp.Request.URL.Path, "/file.json"):
			return nil
		}
		if err := inflate(resp); err != nil {
			return err
		}
		g.mu.Lock()
		g.open++
		g.files++
		g.mu.Unlock()
		resp.Body = &gated{ReadCloser: resp.Body, g: g}
		opened()
		return nil
	}
}

type gated struct {
	io.ReadCloser
	g    *gate
	once sync.Once
}

func (b *gated) shut() {
	b.once.Do(func() {
		b.g.mu.Lock()
		defer b.g.mu.Unlock()
		b.g.open--
	})
}

func (b *gated) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.shut()
	}
	return n, err
}

func (b *gated) Close() error {
	defer b.shut()
	return b.ReadCloser.Close()
}

// large is more than what is read of a file ahead of its rows.
const large = 5 << 20

// promiseNothing takes count, size and checksum out of the state of a job.
func promiseNothing(resp *http.Response) error {
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		return err
	}
	if jobs, ok := m["result"].([]any); ok {
		for _, j := range jobs {
			for _, name := range []string{"numberOfRecords", "fileSize", "fileChecksum"} {
				delete(j.(map[string]any), name)
			}
		}
	}
	text, err := json.Marshal(m)
	resp.Body = io.NopCloser(bytes.NewReader(text))
	resp.ContentLength = int64(len(text))
	return err
}

// inflate repeats every record of a file until the file is large.
func inflate(resp *http.Response) error {
	text, err := io.ReadAll(resp.Body)
	if err != nil || len(text) == 0 {
		return err
	}
	_ = resp.Body.Close()
	var whole bytes.Buffer
	times := 1 // the header comes once
	quoted, from := false, 0
	for i, b := range text {
		switch {
		case b == '"':
			quoted = !quoted
		case b == '\n' && !quoted:
			whole.Write(bytes.Repeat(text[from:i+1], times))
			from, times = i+1, large/len(text)+1
		}
	}
	resp.Body, resp.ContentLength = io.NopCloser(&whole), -1
	return nil
}

// exported are the streams that export jobs have a part in.
var exported = append([]string{"leads", "activities", "lead_merges"}, objectStreams...)

// A download holds one of the account's places for as long as it is open. If all of them are held by downloads
// that ask for something else, none comes to an end: with a single place, the first one does not.
func TestDownloadsAskNothingElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		parallel int
		rounds   int
		change   func(*Config)
	}{
		{"one stream at a time", 1, 2, byBulk},
		{"some types only", 1, 1, func(c *Config) { byBulk(c); c.Activities.Exclude = []string{"Visit Webpage"} }},
		{"many streams at once", 4, 1, func(c *Config) { byBulk(c); c.Activities.Exclude = []string{"Visit Webpage"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 60}, LeadSpan: 25 * 24 * time.Hour, ActivitySpan: 25 * 24 * time.Hour, PerLead: 2})
			for round := range c.rounds {
				s := d.open(t, c.change, func(cfg *Config) { cfg.Limits.Concurrent = 1 })
				g := &gate{}
				g.watch(d.line, func() { // what is kept for an hour becomes old during a long download
					s.types.Drop()
					s.fields.Drop()
					s.customs.Drop()
				})
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // however slow the machine is
				out, err := pipeline.Run(ctx, &pipeline.Sync{
					Name: "depot", Destination: memory.New(d.storage), Streams: exported, Parallel: c.parallel,
					Source: tuned{s, func(st martsync.Stream) {
						if k, ok := st.(*keyedStream); ok {
							k.held = 5 // so that keys are asked for in the midst of their file
						}
					}},
					State: d.state, Clock: d.clock, Log: slog.New(slog.NewTextHandler(d.log, nil)),
				})
				cancel()
				d.line.block, d.line.bend = nil, nil
				if err != nil || !out.Done {
					t.Fatalf("round %d: done %v, %v\n%s", round, out.Done, err, d.log.tail())
				}
				for _, st := range out.Stats.Streams {
					if st.Error != "" {
						t.Errorf("round %d, %s ended as %s: %s", round, st.Stream, st.Phase, st.Error)
					}
				}
				if g.files == 0 {
					t.Fatal("nothing was downloaded, so this proves nothing")
				}
				if c.parallel == 1 && len(g.bad) > 0 {
					t.Errorf("round %d: while a file was open somebody asked for %q", round, slices.Compact(g.bad))
				}
				full := slices.DeleteFunc(slices.Clone(exported), func(n string) bool {
					return n == "lead_merges" && d.rows(n) == 0 || n == "activities" && strings.Contains(fmt.Sprint(s.cfg.Activities.Exclude), "Visit")
				})
				d.equal(t, full, c.change)
				d.Change(300)
				d.clock.Advance(3 * time.Hour)
			}
		})
	}
}
