package httpx

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// ErrStalled says that the peer kept silent for too long.
var ErrStalled = errors.New("the connection has stalled")

// Impatient returns a transport that gives up when nothing arrives for patience: neither
// the header of a reply nor the next bytes of its body. How long a download takes in all is
// not bounded, nor how long its reader pauses between two reads.
//
// It measures real time even where a test moves its own clock: a dead peer is a fact of
// the network.
func Impatient(next http.RoundTripper, patience time.Duration) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithCancelCause(r.Context())
		b := &impatient{ctx: ctx, cancel: cancel, patience: patience}
		b.timer = time.AfterFunc(patience, func() { cancel(ErrStalled) })
		resp, err := next.RoundTrip(r.WithContext(ctx))
		b.timer.Stop()
		if err != nil {
			err = b.explain(err)
			cancel(nil)
			return nil, err
		}
		b.ReadCloser, resp.Body = resp.Body, b
		return resp, nil
	})
}

type impatient struct {
	io.ReadCloser
	ctx      context.Context //nolint:containedctx // the life of one body, as in net/http itself
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	patience time.Duration
}

func (b *impatient) Read(p []byte) (int, error) {
	b.timer.Reset(b.patience)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.explain(err)
	}
	return n, err
}

func (b *impatient) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// explain names the reason behind the cancelled context that net/http reports.
func (b *impatient) explain(err error) error {
	if errors.Is(context.Cause(b.ctx), ErrStalled) {
		return ErrStalled
	}
	return err
}
