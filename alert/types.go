package alert

import (
	"context"
	"fmt"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

// A Type is a way to reach people.
type Type struct {
	Name  string // in the configuration: "webhook"
	Title string // for people

	// NewConfig returns a pointer to a zero configuration, with tags as those of connectors have them.
	NewConfig func() any

	// Open makes a sender of what NewConfig returned, filled. It checks it and makes no connection.
	Open func(ctx context.Context, config any, env martsync.Env) (Sender, error)
}

// Types are all ways there are.
func Types() []Type {
	return []Type{
		newType("webhook", "Webhook", openWebhook),
		newType("sns", "Amazon SNS", openSNS),
		newType("smtp", "Mail", openSMTP),
	}
}

func newType[C any](name, title string, open func(context.Context, C, martsync.Env) (Sender, error)) Type {
	return Type{
		Name: name, Title: title,
		NewConfig: func() any { return new(C) },
		Open: func(ctx context.Context, config any, env martsync.Env) (Sender, error) {
			c, ok := config.(*C)
			if !ok {
				return nil, &martsync.Error{Kind: martsync.Internal, Op: "open alert", Err: fmt.Errorf("configuration is a %T", config)}
			}
			return open(ctx, *c, env)
		},
	}
}

// configError is a mistake in the options of a sender.
func configError(op, hint, format string, args ...any) error {
	return &martsync.Error{Kind: martsync.Config, Op: op, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// tries is how often a sender tries what time may cure.
const tries = 3

// persist tries until it works or trying again will not help.
func persist(ctx context.Context, clock martsync.Clock, send func() error) error {
	for try := 1; ; try++ {
		err := send()
		if err == nil || martsync.KindOf(err) != martsync.Transient || try == tries || ctx.Err() != nil {
			return err
		}
		if clock.Sleep(ctx, httpx.Backoff(try)) != nil {
			return err
		}
	}
}
