package crash

import (
	"errors"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/state"
)

func TestModes(t *testing.T) {
	tests := []struct {
		mode        Mode
		effect      bool
		dead        bool
		kind        martsync.Kind
		laterEffect bool
	}{
		{KillBefore, false, true, martsync.Internal, false},
		{KillAfter, true, true, martsync.Internal, false},
		{Refuse, false, false, martsync.Transient, true},
		{Hush, true, false, martsync.Transient, true},
	}
	for _, tt := range tests {
		t.Run(tt.mode.String(), func(t *testing.T) {
			inner := state.NewMemory()
			p := &Process{At: 1, Mode: tt.mode}
			s := p.Store(inner)
			exists := func(key string) bool {
				_, err := inner.Get(t.Context(), key)
				return err == nil
			}
			if _, err := s.Put(t.Context(), "before", []byte("x"), ""); err != nil || !exists("before") {
				t.Errorf("call 0: got %v, effect %v", err, exists("before"))
			}
			_, err := s.Put(t.Context(), "wrong", []byte("x"), "")
			if err == nil || martsync.KindOf(err) != tt.kind || exists("wrong") != tt.effect || p.Dead() != tt.dead {
				t.Errorf("call 1: got %v, effect %v, dead %v, want kind %v, effect %v, dead %v", err, exists("wrong"), p.Dead(), tt.kind, tt.effect, tt.dead)
			}
			if name, ok := p.Failed(); !ok || name != "state: put wrong" {
				t.Errorf("failed: got %q, %v", name, ok)
			}
			_, err = s.Put(t.Context(), "after", []byte("x"), "")
			if (err == nil) != tt.laterEffect || exists("after") != tt.laterEffect || errors.Is(err, errDead) != tt.dead {
				t.Errorf("call 2: got %v, effect %v, want effect %v", err, exists("after"), tt.laterEffect)
			}
		})
	}
}

func TestAScriptRepeatsItself(t *testing.T) {
	first, second := NewScript(7), NewScript(7)
	first.Change()
	second.Change()
	if a, b := first.eventsWanted(), second.eventsWanted(); len(a) == 0 || len(a) != len(b) {
		t.Errorf("events of equal seeds: got %d and %d", len(a), len(b))
	}
}
