package simulate

import (
	"fmt"
	"sync"
	"time"
)

// TokenState is what a token is worth.
type TokenState int

// The states of a token.
const (
	TokenUnknown     TokenState = iota // never issued
	TokenValid                         // works
	TokenJustExpired                   // ended; this is its first use since
	TokenExpired                       // ended and used since
)

// Tokens issues access tokens for client credentials. One client has one token at a time: asking
// again while it lives returns the same one.
type Tokens struct {
	Life   time.Duration // of a fresh token
	Seed   uint64
	Suffix string // ends every token

	mu      sync.Mutex
	current map[string]string
	issued  map[string]*token
	count   uint64
}

type token struct {
	client string
	ends   time.Time
	used   bool // since it ended
}

// Issue returns the client's live token, or a fresh one, and how long it lives from now.
func (t *Tokens) Issue(client string, now time.Time) (text string, left time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.issued == nil {
		t.current, t.issued = make(map[string]string), make(map[string]*token)
	}
	text = t.current[client]
	if k := t.issued[text]; k != nil && now.Before(k.ends) {
		return text, k.ends.Sub(now)
	}
	t.count++
	text = UUID(Hash(t.Seed, 0x746f6b656e, t.count, 0)) + t.Suffix
	t.current[client] = text
	t.issued[text] = &token{client: client, ends: now.Add(t.Life)}
	return text, t.Life
}

// Check tells whose token it is and what it is worth now.
func (t *Tokens) Check(text string, now time.Time) (client string, state TokenState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.issued[text]
	switch {
	case k == nil:
		return "", TokenUnknown
	case now.Before(k.ends):
		return k.client, TokenValid
	case !k.used:
		k.used = true
		return k.client, TokenJustExpired
	default:
		return k.client, TokenExpired
	}
}

// Client tells whose token it is, whatever it is worth; "" if it was never issued.
func (t *Tokens) Client(text string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.issued[text]; k != nil {
		return k.client
	}
	return ""
}

// End makes a token end now.
func (t *Tokens) End(text string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.issued[text]; k != nil && k.ends.After(now) {
		k.ends = now
	}
}

// UUID writes a number as a version 4 UUID.
func UUID(h uint64) string {
	l := Next(h)
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", h>>32, h>>16&0xffff, h&0xfff, 0x8000|l>>48&0x3fff, l&0xffffffffffff)
}
