package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/martsync/martsync"
)

// A Problem is one thing wrong with a configuration, and where.
type Problem struct {
	File    string // as given; "" if the value came from somewhere else
	Line    int    // 1-based; 0: the file as a whole
	Column  int    // 1-based, in characters
	Source  string // instead of a file: "environment variable X", "--set"
	Message string
	Hint    string // what to do about it; ""
	Text    string // the offending line, with what may be a secret masked
	width   int    // characters to underline
	spot    int    // the first of them, as Column, but in Text
	unknown bool   // the line has a key nobody knows, so its value may be anything
	shown   string // what the message shows of the line may be shown there too
}

// Place says where: "martsync.yaml:12:5".
func (p *Problem) Place() string {
	switch {
	case p.Source != "":
		return p.Source
	case p.Line == 0:
		return p.File
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

func (p *Problem) Error() string { return p.Place() + ": " + p.Message }

// Excerpt shows the offending line and marks the spot, or returns "".
func (p *Problem) Excerpt() string {
	if p.Text == "" {
		return ""
	}
	number := fmt.Sprintf("%5d", p.Line)
	indent := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, firstRunes(p.Text, p.spot-1))
	return fmt.Sprintf("%s | %s\n%s | %s%s", number, p.Text, strings.Repeat(" ", len(number)),
		indent, strings.Repeat("^", max(1, p.width)))
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n <= 0 {
			return s[:i]
		}
		n--
	}
	return s + strings.Repeat(" ", max(0, n))
}

// Problems are all the things wrong with a configuration, in the order of its lines.
type Problems []*Problem

func (p Problems) Error() string {
	var b strings.Builder
	for i, problem := range p {
		if i > 0 {
			b.WriteString("; ")
		}
		if problem.File != "" && problem.Line > 0 {
			fmt.Fprintf(&b, "%d:%d: %s", problem.Line, problem.Column, problem.Message)
			continue
		}
		if problem.Source != "" {
			b.WriteString(problem.Source + ": ")
		}
		b.WriteString(problem.Message)
	}
	return b.String()
}

// problems collects them while a file is being read.
type problems struct {
	file  string
	lines []string
	words map[string]bool // see Options.optionWords
	found Problems
}

// maxProblems bounds what is shown at once; the first few lead to the rest.
const maxProblems = 10

func (p *problems) add(problem *Problem) {
	if problem.Source == "" {
		problem.File = p.file
		if problem.Line > 0 && problem.Line <= len(p.lines) {
			problem.mask(p.lines[problem.Line-1], p.words)
		}
	}
	if !slices.ContainsFunc(p.found, func(o *Problem) bool { return o.Error() == problem.Error() }) {
		p.found = append(p.found, problem)
	}
}

// at adds a problem with the value n.
func (p *problems) at(n *node, hint, format string, args ...any) {
	p.add(&Problem{
		Line: n.line, Column: n.column, Source: n.origin, width: n.width,
		Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	slices.SortStableFunc(p.found, func(a, b *Problem) int { return a.Line - b.Line })
	found := p.found[:min(len(p.found), maxProblems)]
	return &martsync.Error{
		Kind: martsync.Config, Op: "read " + filepath.ToSlash(p.file), Hint: found[0].Hint, Err: found,
	}
}

func splitLines(text []byte) []string {
	lines := strings.Split(string(bytes.ToValidUTF8(text, []byte("\uFFFD"))), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}
