package audit

import (
	"context"
	"fmt"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/position"
)

// ofAccount refuses a table that holds the records of another account than the source's, as far as the destination can
// tell without opening it: what this account says of its records proves nothing.
func (o *Options) ofAccount(ctx context.Context, stream string) error {
	p, ok := martsync.As[martsync.Positioner](o.Destination)
	if !ok {
		return nil
	}
	at, err := p.Position(ctx, stream)
	if err != nil {
		return fmt.Errorf("ask where table %s stands: %w", stream, err)
	}
	return position.Check(at, stream, o.Source.Account())
}
