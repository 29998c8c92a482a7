// Package report writes for people: tables, numbers, and the progress of a running sync. It
// knows about terminals and colours and nothing about what it shows.
package report

import (
	"io"
	"os"

	"golang.org/x/term"
)

// defaultWidth is assumed where there is no terminal to ask.
const defaultWidth = 100

// An Output is a place where people read.
type Output struct {
	w        io.Writer
	terminal bool
	colour   bool
}

// NewOutput looks at w. Colours are for terminals only, and not where NO_COLOR is set or TERM
// is dumb (https://no-color.org).
func NewOutput(w io.Writer, getenv func(string) string) *Output {
	o := &Output{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		o.terminal = getenv("TERM") != "dumb"
	}
	o.colour = o.terminal && getenv("NO_COLOR") == ""
	return o
}

// Write passes through.
func (o *Output) Write(p []byte) (int, error) { return o.w.Write(p) }

// Unwrap returns what the output writes to, for those who must know that it is a terminal.
func (o *Output) Unwrap() io.Writer { return o.w }

// Terminal reports whether lines can be redrawn in place.
func (o *Output) Terminal() bool { return o.terminal }

// Size is the terminal's width and height in characters; height 0 means there is none.
func (o *Output) Size() (width, height int) {
	if f, ok := o.w.(*os.File); ok && o.terminal {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width, height
		}
	}
	return defaultWidth, 0
}

// A Style is how a piece of text looks. The zero Style is plain.
type Style string

// The styles, as parameters of the terminal's SGR sequence.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Cyan   Style = "36"
)

// Paint returns s in that style, or as it is where there are no colours.
func (o *Output) Paint(style Style, s string) string {
	if !o.colour || style == Plain || s == "" {
		return s
	}
	return "\x1b[" + string(style) + "m" + s + "\x1b[0m"
}

// Mark is a tick or a cross.
func (o *Output) Mark(ok bool) string {
	if ok {
		return o.Paint(Green, "✓")
	}
	return o.Paint(Red, "✗")
}
