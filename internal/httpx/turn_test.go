package httpx

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTurnIsOnesAtATime(t *testing.T) {
	turn := NewTurn()
	if err := turn.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := turn.Enter(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("while somebody has it: got %v, want the context's error", err)
	}
	turn.Leave()
	if err := turn.Enter(t.Context()); err != nil {
		t.Errorf("after it was left: got %v", err)
	}
}

func TestBackoff(t *testing.T) {
	for try, usual := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 6: 30 * time.Second, 20: 30 * time.Second} {
		for range 100 {
			if d := Backoff(try); d < usual*3/4 || d >= usual*5/4 {
				t.Fatalf("try %d: %v, want %v give or take a quarter", try, d, usual)
			}
		}
	}
}

func TestReadBody(t *testing.T) {
	for text, want := range map[string]string{"": "", " \n": "", " {}": "application/json", "[1]": "application/json", "a=b": "application/x-www-form-urlencoded"} {
		raw, got, err := ReadBody(strings.NewReader(text), 3)
		if err != nil || got != want || want != "" && string(raw) != text {
			t.Errorf("%q: got %q of type %q, %v; want type %q", text, raw, got, err, want)
		}
	}
	if _, _, err := ReadBody(strings.NewReader("four"), 3); err == nil {
		t.Error("a body that is too large: got no error")
	}
}
