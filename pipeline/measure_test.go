package pipeline_test

import (
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/meter"
)

// What a run does is counted once, by stream.
func TestMeter(t *testing.T) {
	good := batch("1", 1, 2)
	good.Bytes, good.Window = 100, &martsync.Window{Records: -1, Bytes: -1, Parsed: 3, Quarantined: 1}
	good.Quarantined = []martsync.Quarantined{{Line: 1, Reason: "bad"}}
	f := newFixture(t,
		plainStream("good", func(from martsync.Cursor) []any {
			if from != "" {
				return nil
			}
			return []any{good}
		}),
		plainStream("staged", always(unverified(flood("1")), batch("2", 7))),
		plainStream("wrong", always(failure(martsync.Data, 0))),
		plainStream("parked", always(failure(martsync.Quota, 3*time.Hour))),
	)
	registry := meter.New()
	f.sync.Meter = registry
	if _, err := f.advance(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := registry.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`martsync_commit_rows_total{stream="good",sync="test"} 2`,
		`martsync_commit_rows_total{stream="staged",sync="test"} 1`,
		`martsync_commit_quarantined_total{stream="good",sync="test"} 1`,
		`martsync_commit_quarantined_total{stream="staged",sync="test"} 200`,
		`martsync_read_payload_bytes_total{stream="good",sync="test"} 100`,
		`martsync_read_windows_total{stream="good",sync="test"} 1`,
		`martsync_commit_duration_seconds_count{stream="good",sync="test"} 1`,
		`martsync_stage_duration_seconds_count{stream="staged",sync="test"} 1`,
		`martsync_stream_failures_total{kind="data",stream="wrong",sync="test"} 1`,
		`martsync_stream_waits_total{kind="quota",stream="parked",sync="test"} 1`,
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("there is no line %s", want)
		}
	}
	if t.Failed() {
		t.Log(b.String())
	}
}
