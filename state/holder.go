package state

import (
	"context"

	"github.com/martsync/martsync"
)

// Holder tells who holds an account now, without taking it; "": nobody does.
func Holder(ctx context.Context, store Store, clock martsync.Clock, account string) (owner string, err error) {
	held, _, err := (&Lease{store: store, account: account}).read(ctx)
	if err != nil || !clock.Now().Before(held.Expires) {
		return "", err
	}
	return held.Owner, nil
}
