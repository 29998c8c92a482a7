package report

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/martsync/martsync"
)

// redraw is the least time between two pictures: what changes faster cannot be read.
const redraw = 250 * time.Millisecond

// A Progress keeps the last lines of a terminal up to date: a picture that is drawn over
// the one before. What is written to it scrolls by above the picture. Its methods may be
// called from several goroutines.
type Progress struct {
	out  *Output
	draw func(width int) []string

	mu     sync.Mutex
	shown  int // lines of the picture on the screen
	last   string
	cancel context.CancelFunc
	done   chan struct{}
}

// StartProgress draws what draw returns until Stop is called. Draw is called from one
// goroutine at a time. The clock is that of the person who looks, not the sync's.
func StartProgress(out *Output, clock martsync.Clock, draw func(width int) []string) *Progress {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Progress{out: out, draw: draw, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for {
			p.mu.Lock()
			p.picture()
			p.mu.Unlock()
			if clock.Sleep(ctx, redraw) != nil {
				return
			}
		}
	}()
	return p
}

// Write prints above the picture. It takes whole lines.
func (p *Progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b bytes.Buffer
	p.erase(&b)
	b.Write(text)
	if !bytes.HasSuffix(text, []byte("\n")) {
		b.WriteByte('\n')
	}
	p.last = ""
	if _, err := p.out.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Stop draws the picture once more and leaves it, or wipes it, and waits until nothing is
// drawn any more.
func (p *Progress) Stop(wipe bool) {
	p.cancel()
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	if wipe {
		var b bytes.Buffer
		p.erase(&b)
		p.out.Write(b.Bytes()) //nolint:errcheck // a terminal that is gone needs no wiping
		return
	}
	p.picture()
	p.shown = 0
}

// erase moves to the picture's first line and clears from there.
func (p *Progress) erase(b *bytes.Buffer) {
	if p.shown > 0 {
		b.WriteString("\x1b[" + strconv.Itoa(p.shown) + "A\r\x1b[J")
	}
	p.shown = 0
}

// picture draws in one write, each line over the old one, so that nothing flickers. What has
// not changed is not drawn.
func (p *Progress) picture() {
	width, height := p.out.Size()
	lines := p.draw(width)
	if height > 2 && len(lines) > height-2 { // what has scrolled away cannot be drawn over
		lines = lines[:height-2]
	}
	for i, l := range lines {
		lines[i] = ansi.Truncate(clean(l), width-1, "…")
	}
	text := strings.Join(lines, "\n")
	if text == p.last && p.shown == len(lines) {
		return
	}
	var b bytes.Buffer
	b.WriteString("\x1b[?2026h") // terminals that know it show the picture when it is whole
	if p.shown > 0 {
		b.WriteString("\x1b[" + strconv.Itoa(p.shown) + "A\r")
	}
	for _, l := range lines {
		b.WriteString(l + "\x1b[K\n")
	}
	b.WriteString("\x1b[J\x1b[?2026l")
	p.shown, p.last = len(lines), text
	p.out.Write(b.Bytes()) //nolint:errcheck // the sync does not stop because nobody looks
}
