package simulate

import (
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	r := Rate{Limit: 3, Span: 20 * time.Second}
	for _, c := range []struct {
		at   int
		want bool
	}{{0, true}, {5, true}, {10, true}, {19, false}, {20, false}, {30, true}, {39, true}, {39, false}, {60, true}} {
		if got := r.Take(start.Add(time.Duration(c.at) * time.Second)); got != c.want {
			t.Errorf("call at %d s: got %v, want %v", c.at, got, c.want)
		}
	}
	f := Rate{Limit: 2, Span: 20 * time.Second, Fixed: true}
	for _, c := range []struct {
		at   int
		want bool
	}{{18, true}, {19, true}, {19, false}, {20, true}, {21, true}, {39, false}, {40, true}} {
		if got := f.Take(start.Add(time.Duration(c.at) * time.Second)); got != c.want {
			t.Errorf("fixed windows, call at %d s: got %v, want %v", c.at, got, c.want)
		}
	}
	var none Rate
	for range 10 {
		if !none.Take(start) {
			t.Error("no limit: refused")
		}
	}
}

func TestGate(t *testing.T) {
	g := Gate{Limit: 2}
	for i, want := range []bool{true, true, false} {
		if got := g.Enter(); got != want {
			t.Errorf("call %d at a gate of two: got %v", i+1, got)
		}
	}
	g.Leave()
	if !g.Enter() || g.Enter() || g.Most() != 2 {
		t.Errorf("after one left: at most %d inside, want 2", g.Most())
	}
}

func TestDaily(t *testing.T) {
	chicago, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Skip("no time zones here")
	}
	d := Daily{Zone: chicago}
	at := time.Date(2026, 3, 8, 5, 59, 59, 0, time.UTC) // 23:59:59 in winter time; that night clocks go forward
	if got := d.Day(at); got != "2026-03-07" {
		t.Errorf("day: got %s", got)
	}
	d.Add(at, 3)
	if got := d.Add(at, 4); got != 7 {
		t.Errorf("sum: got %d, want 7", got)
	}
	if got := d.Sum(at.Add(time.Second)); got != 0 {
		t.Errorf("the next day: got %d, want 0", got)
	}
	if got := d.Day(time.Date(2026, 3, 9, 4, 59, 59, 0, time.UTC)); got != "2026-03-08" {
		t.Errorf("last second of the short day: got %s", got)
	}
	var utc Daily
	if got := utc.Day(at); got != "2026-03-08" {
		t.Errorf("UTC: got %s", got)
	}
}

func TestTokens(t *testing.T) {
	k := Tokens{Life: time.Hour, Seed: 1, Suffix: ":x"}
	if _, s := k.Check("nonsense", start); s != TokenUnknown {
		t.Errorf("unknown token: got %v", s)
	}
	a, left := k.Issue("a", start)
	if left != time.Hour {
		t.Errorf("fresh token: %s left", left)
	}
	if again, left := k.Issue("a", start.Add(59*time.Minute)); again != a || left != time.Minute {
		t.Errorf("asked again: got %s with %s left, want %s with 1m", again, left, a)
	}
	b, _ := k.Issue("b", start)
	if b == a || k.Client(b) != "b" || k.Client("nonsense") != "" {
		t.Error("clients share a token")
	}
	steps := []struct {
		at   time.Duration
		want TokenState
	}{{59 * time.Minute, TokenValid}, {time.Hour, TokenJustExpired}, {time.Hour, TokenExpired}}
	for _, s := range steps {
		if c, got := k.Check(a, start.Add(s.at)); got != s.want || c != "a" {
			t.Errorf("after %s: got %v of %q, want %v", s.at, got, c, s.want)
		}
	}
	k.End(b, start.Add(time.Minute))
	if _, s := k.Check(b, start.Add(time.Minute)); s != TokenJustExpired {
		t.Errorf("a token that was ended: got %v", s)
	}
	if fresh, _ := k.Issue("b", start.Add(time.Minute)); fresh == b {
		t.Error("a token that was ended is issued again")
	}
}
