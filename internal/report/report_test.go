package report

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func plain(b *bytes.Buffer) *Output {
	return NewOutput(b, func(string) string { return "" })
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	table := Table{Columns: []Column{{Name: "stream"}, {Name: "rows", Right: true}, {Name: ""}}}
	table.Add("leads", "1,234", "done")
	table.Add("日本語", "5", "")
	table.Add("x\ny\x1b[2Jz", "0")
	if err := table.WriteTo(plain(&b)); err != nil {
		t.Fatal(err)
	}
	want := "  stream     rows\n  leads     1,234  done\n  日本語        5\n  x y [2Jz      0\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTableFits(t *testing.T) {
	var b bytes.Buffer
	o := plain(&b)
	o.terminal = true
	table := Table{Columns: []Column{{Name: "a"}, {Name: "b", Flexible: true}}}
	table.Add("left", strings.Repeat("long ", 40))
	if err := table.WriteTo(o); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > defaultWidth {
			t.Errorf("a line of %d characters on a terminal of %d: %q", n, defaultWidth, line)
		}
	}
	if !strings.Contains(b.String(), "…") {
		t.Error("nothing shows that the cell was cut")
	}
}

func TestPaint(t *testing.T) {
	o := plain(new(bytes.Buffer))
	if got := o.Paint(Red, "x"); got != "x" {
		t.Errorf("no terminal: got %q, want x", got)
	}
	o.colour = true
	if got := o.Paint(Red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("with colours: got %q", got)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -12345: "-12,345", -999: "-999"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d): got %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 500_000_000: "500.0 MB", 1 << 62: "4.6 EB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d): got %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0ms", 85 * time.Millisecond: "85ms", 4250 * time.Millisecond: "4.2s", 59 * time.Second: "59s", 61 * time.Second: "1m 1s",
		2 * time.Hour: "2h", 3*time.Hour + 12*time.Minute: "3h 12m", 49 * time.Hour: "2d 1h", -time.Minute: "-1m",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d): got %s, want %s", d, got, want)
		}
	}
	now := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]string{{}: "never", now: "now", now.Add(-time.Hour): "1h ago", now.Add(time.Minute): "in 1m"} {
		if got := Ago(at, now); got != want {
			t.Errorf("Ago(%s): got %s, want %s", at, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := Wrap("one two three four five six seven", 24, 4)
	if diff := cmp.Diff("one two three four\n    five six seven", got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A handClock sleeps until it is told to tick.
type handClock struct{ ticks chan struct{} }

func (handClock) Now() time.Time { return time.Time{} }

func (c handClock) Sleep(ctx context.Context, _ time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ticks:
		return nil
	}
}

func TestProgress(t *testing.T) {
	defer goleak.VerifyNone(t)
	var b lockedBuffer
	o := &Output{w: &b, terminal: true}
	clock := handClock{make(chan struct{})}
	picture := []string{"a 1", "b 1"}
	var mu sync.Mutex
	p := StartProgress(o, clock, func(int) []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), picture...)
	})
	clock.ticks <- struct{}{} // taken after the first picture
	clock.ticks <- struct{}{} // nothing has changed
	const first = "\x1b[?2026ha 1\x1b[K\nb 1\x1b[K\n\x1b[J\x1b[?2026l"
	if got := b.String(); got != first {
		t.Errorf("the first picture: got %q, want %q once", got, first)
	}
	mu.Lock()
	picture = []string{"a 2"}
	mu.Unlock()
	if _, err := p.Write([]byte("a log line\n")); err != nil {
		t.Fatal(err)
	}
	p.Stop(false)
	want := first + "\x1b[2A\r\x1b[Ja log line\n" + "\x1b[?2026ha 2\x1b[K\n\x1b[J\x1b[?2026l"
	if got := b.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a\x1b[31mb\x1b[0m", "\x1b[2J", "\x1b]0;title\a", "\xff\n", "\x1b[", "\u009b31m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		rest := got
		for rest != "" {
			if n := colourLength(rest); n > 0 {
				rest = rest[n:]
				continue
			}
			for _, r := range rest {
				if unicode.IsControl(r) {
					t.Fatalf("clean(%q) = %q holds %q", s, got, r)
				}
				break
			}
			rest = rest[1:]
		}
		if clean(got) != got {
			t.Errorf("clean(%q) = %q, and again %q", s, got, clean(got))
		}
	})
}
