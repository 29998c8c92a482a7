package martsync

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Env is what a connector may use of the world. All fields are set.
type Env struct {
	Log     *slog.Logger
	HTTP    *http.Client // no credentials, no retries; connectors wrap its Transport. A Timeout bounds a peer's silence, not a download
	Clock   Clock
	TempDir string // for small files that may vanish at any time; exists
}

// A Clock tells the time and waits. Tests control it, so nothing of ours may ask package
// time for the present.
type Clock interface {
	Now() time.Time
	// Sleep waits for d or until ctx is done, whose error it then returns. Only the pacing
	// of single calls sleeps, for seconds; longer waits are errors that say how long.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock is the real time.
type SystemClock struct{}

// Now returns the present in UTC.
func (SystemClock) Now() time.Time { return time.Now().UTC() }

// Sleep waits for d or until ctx is done.
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
