package httpx

import (
	"sync/atomic"

	"github.com/martsync/martsync"
)

// A Trial tells an access token that has ended from one that never was of any use: whether a call has succeeded with it. The zero
// Trial knows of none. Its methods may be called from several goroutines.
type Trial struct{ last atomic.Pointer[trial] }

type trial struct {
	token  martsync.Secret
	worked atomic.Bool
}

// Given takes note of the token that the vendor gave last. That may be the one before.
func (t *Trial) Given(token martsync.Secret) {
	if last := t.last.Load(); last == nil || last.token != token {
		t.last.Store(&trial{token: token})
	}
}

// Worked takes note of a call that has succeeded. Calls that began with an older token may end later.
func (t *Trial) Worked(token martsync.Secret) {
	if last := t.last.Load(); last != nil && last.token == token {
		last.worked.Store(true)
	}
}

// HasWorked reports whether a call has succeeded with the token, or whether it is not the one that was given last.
func (t *Trial) HasWorked(token martsync.Secret) bool {
	last := t.last.Load()
	return last != nil && (last.token != token || last.worked.Load())
}
