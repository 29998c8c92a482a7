package httpx

import "context"

// A Turn is what one at a time may have, such as the right to ask for a token. Unlike a mutex it
// obeys a context.
type Turn chan struct{}

// NewTurn returns a turn that nobody has.
func NewTurn() Turn {
	t := make(Turn, 1)
	t <- struct{}{}
	return t
}

// Enter takes the turn, or returns the error of ctx. Who has it must Leave.
func (t Turn) Enter(ctx context.Context) error {
	select {
	case <-t:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave gives the turn back.
func (t Turn) Leave() { t <- struct{}{} }
