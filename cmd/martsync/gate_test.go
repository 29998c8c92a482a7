package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// A gate is in front of accounts. It lets so many calls through and leaves the others without an answer until it is opened, so
// that a test does something to a program in the middle of its work, however fast the one and slow the other is just then.
type gate struct {
	mu     sync.Mutex
	passed int64
	left   int64 // calls that may still pass; negative: any number
	ahead  int64 // calls left when the test wants to know
	near   chan struct{}
	opened chan struct{}
}

// newGate is an open one.
func newGate() *gate {
	g := &gate{}
	g.limit(0, 0)
	g.open()
	return g
}

// limit lets so many calls pass from now on, and then a few more. The channel is closed when the next one after the first
// ones is there: it passes too, if there are more.
func (g *gate) limit(calls, more int64) (near <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.ahead = calls+more, more
	g.near, g.opened = make(chan struct{}), make(chan struct{})
	return g.near
}

// open lets all calls pass, those that are held and those to come.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left >= 0 {
		g.left = -1
		close(g.opened)
	}
}

// calls is how many have passed.
func (g *gate) calls() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed
}

// isNear reports whether the channel that limit has returned last is closed.
func (g *gate) isNear() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return isClosed(g.near)
}

// pass waits until a call may pass, and reports false if whoever makes it has gone.
func (g *gate) pass(gone <-chan struct{}) bool {
	for {
		g.mu.Lock()
		if g.left >= 0 && g.left <= g.ahead && !isClosed(g.near) {
			close(g.near)
		}
		if g.left != 0 {
			g.left = max(g.left-1, -1)
			g.passed++
			g.mu.Unlock()
			return true
		}
		opened := g.opened
		g.mu.Unlock()
		select {
		case <-opened:
		case <-gone:
			return false
		}
	}
}

// before puts the gate in front of an account.
func (g *gate) before(account http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // until it is read nobody notices that the client is gone
		if err != nil || !g.pass(r.Context().Done()) {
			return // the account has never heard of it
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		account.ServeHTTP(w, r)
	})
}

// saysItStops is what a program says that was asked to stop and will.
const saysItStops = "Stopping at the next cursor"

// TestGate looks at the gate itself.
func TestGate(t *testing.T) {
	g := newGate()
	server := httptest.NewServer(g.before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })))
	defer server.Close()
	answers := make(chan string)
	call := func(text string) {
		go func() {
			answer, err := http.Post(server.URL, "text/plain", bytes.NewReader([]byte(text)))
			if err != nil {
				answers <- err.Error()
				return
			}
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			answers <- string(body)
		}()
	}
	pass := func(text string) {
		t.Helper()
		call(text)
		if got := <-answers; got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
	pass("open")
	near := g.limit(2, 1)
	pass("first")
	pass("second")
	if isClosed(near) || g.isNear() {
		t.Error("two calls have passed, and it says that a third one is there")
	}
	pass("one more")
	if !isClosed(near) || !g.isNear() {
		t.Error("a third call has passed, and it does not say so")
	}
	held := g.limit(0, 0)
	call("held")
	<-held
	if n := g.calls(); n != 4 {
		t.Errorf("%d calls have passed, want 4", n)
	}
	g.open()
	g.open()
	if got := <-answers; got != "held" {
		t.Errorf("got %q, want what was held", got)
	}
	pass("open again")
}
