package csvfile

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// A scanner divides text into records and these into fields, by the grammar of the package
// comment. Where a record ends depends only on the text from its start.
type scanner struct {
	text   []byte // without NUL bytes
	end    bool   // text reaches to the end of the file
	width  int    // fields that a record should have; 0: not known yet
	record int    // longest record, in bytes

	// fits reports whether the fields make a good record. Nil: swallowed records are not
	// looked for.
	fits    func(fields [][]byte) bool
	prober  *scanner // looks for swallowed records
	probing bool     // this is a prober

	fields [][]byte // of the last record, without quotes; borrowed from text and scratch
	excess int      // fields of the last record beyond width
	quoted bool     // whether the last record has quotes around any field

	scratch []byte
	noCR    stretch // text without a carriage return
	calm    stretch // text in which nothing closes a quoted field
	effort  int     // bytes searched for the ends of quoted fields, for tests
}

// A stretch is text[from:to].
type stretch struct{ from, to int }

// state says what a scan found.
type state uint8

const (
	whole  state = iota // a record, and its end
	broken              // the same, but a quote was not closed
	short               // the text does not reach to the end of the record
	long                // the record is too long, and so is its first line
)

func (s *scanner) reset(text []byte, end bool) {
	s.text, s.end = text, end
	s.noCR, s.calm = stretch{}, stretch{}
	if s.prober != nil {
		s.prober.noCR = stretch{}
	}
	if cap(s.scratch) > 1<<20 {
		s.scratch = nil
	}
}

// next scans the record that starts at start, which is before the end of the text. The end
// of the record is after its line end.
func (s *scanner) next(start int) (end int, st state) {
	s.fields, s.excess, s.quoted, s.scratch = s.fields[:0], 0, false, s.scratch[:0]
	text, final := s.text, s.end
	if len(text)-start > s.record {
		text, final = text[:start+s.record], false
	}
	// What running out of text means.
	out := short
	switch {
	case final:
		out = whole
	case len(text) < len(s.text):
		out = long
	}
	i := start
	for {
		if i < len(text) && text[i] == '"' {
			s.quoted = true
			var st state
			if i, st = s.quotedField(text, i, out); st != whole {
				return i, st
			}
			// At the end of the field: a comma, a line end or the end of the file.
			if i == len(text) {
				return i, whole
			}
			switch text[i] {
			case ',':
				i++
				continue
			case '\r':
				return min(i+2, len(text)), whole
			default:
				return i + 1, whole
			}
		}
		from := i
		i = plainEnd(text, i)
		if i == len(text) && out != whole {
			return 0, out
		}
		s.add(s.withoutCR(from, i))
		if i == len(text) || text[i] == '\n' {
			return min(i+1, len(text)), whole
		}
		i++
	}
}

// plainEnd returns the position of the first comma or line feed from i on, or the end.
func plainEnd(text []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(text) {
		// Eight bytes at a time. The lowest byte flagged is a true one; those above may not be.
		w := binary.LittleEndian.Uint64(text[i:])
		comma, lf := w^','*ones, w^'\n'*ones
		if found := ((comma-ones)&^comma | (lf-ones)&^lf) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
		i += 8
	}
	for i < len(text) && text[i] != ',' && text[i] != '\n' {
		i++
	}
	return i
}

func (s *scanner) add(field []byte) {
	if s.width > 0 && len(s.fields) == s.width {
		s.excess++
		return
	}
	s.fields = append(s.fields, field)
}

// withoutCR returns text[from:to] without its carriage returns.
func (s *scanner) withoutCR(from, to int) []byte {
	field := s.text[from:to]
	if from < s.noCR.from || from > s.noCR.to {
		n := bytes.IndexByte(s.text[from:], '\r')
		if n < 0 {
			n = len(s.text) - from
		}
		s.noCR = stretch{from, from + n}
	}
	if to <= s.noCR.to {
		return field
	}
	mark := len(s.scratch)
	for _, c := range field {
		if c != '\r' {
			s.scratch = append(s.scratch, c)
		}
	}
	return s.scratch[mark:]
}

// quotedField scans the field that opens with the quote at open and returns the position
// after its closing quote, or the end and state of the record if it has none. What running
// out of text means is out.
//
// Quotes come in runs. Within a field each pair of a run is one quote of the text; if the run
// is odd, its last quote closes the field or, if nothing that may follow a field follows,
// is text. So what a run means does not depend on where the field began, and what one scan
// learnt about a stretch of text (s.calm: nothing closes a field here) holds for the next:
// that keeps a file in which quote after quote is never closed from being read over and over.
func (s *scanner) quotedField(text []byte, open int, out state) (int, state) {
	line, tried := 0, 0 // the last line that begins in the field so far; the one last tried
	looked := open + 1  // line starts before this are known
	for i := open + 1; ; {
		if i >= s.calm.from && i < s.calm.to && text[i] != '"' {
			i = s.calm.to
		}
		run, end, what := oddRun(text, i, out == whole)
		s.effort += end - i
		switch what {
		case closing:
			s.add(s.unescaped(text[open+1 : end-1]))
			return end, whole
		case undecided:
			return s.unclosed(text, open, run, out)
		case stray:
		}
		// A quote that is text. After a comma, and after a line end in this field, it may also
		// be the beginning of a field of a record that this field has swallowed.
		if s.fits != nil && text[run-1] == ',' {
			if lf := bytes.LastIndexByte(text[looked:run], '\n'); lf >= 0 {
				line = looked + lf + 1
			}
			looked = run
			if line != tried {
				if s.probing {
					return end, broken
				}
				tried = line
				switch s.recordAt(text, line, out) {
				case whole:
					return s.unclosed(text, open, run, whole)
				case short:
					return 0, short
				case long:
					return s.unclosed(text, open, run, out)
				case broken:
				}
			}
		}
		i = end
	}
}

// unclosed ends the record at the first line end after the quote at open. Nothing closes a
// field up to the position seen.
func (s *scanner) unclosed(text []byte, open, seen int, out state) (int, state) {
	s.calm = stretch{open, seen}
	if out == short {
		return 0, short
	}
	if lf := bytes.IndexByte(text[open:], '\n'); lf >= 0 {
		return open + lf + 1, broken
	}
	if out == whole {
		return len(text), broken
	}
	return 0, long
}

// recordAt reports whether a good record begins at line: whole if so, broken if not, or
// out if the text ends before that can be told. The search goes no further than the next
// place where quotedField would look again, so that all of them together stay linear.
func (s *scanner) recordAt(text []byte, line int, out state) state {
	if s.prober == nil {
		s.prober = &scanner{width: s.width, fits: s.fits, probing: true}
	}
	p := s.prober
	p.text, p.end, p.record, p.calm = text, out == whole, len(text), stretch{}
	_, st := p.next(line)
	switch {
	case st == short:
		return out
	case st == whole && p.excess == 0 && len(p.fields) == p.width && p.fits(p.fields):
		return whole
	}
	return broken
}

// meaning says what the last quote of an odd run is.
type meaning uint8

const (
	closing   meaning = iota // it closes the field
	stray                    // it is text
	undecided                // there is no such run, or the text ends too early to tell
)

// oddRun finds the first odd run of quotes from i on, where no run is under way. It ends
// before end. If it is undecided, nothing before run closes a field.
func oddRun(text []byte, i int, final bool) (run, end int, what meaning) {
	for {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return len(text), len(text), undecided
		}
		run = i + n
		for end = run + 1; end < len(text) && text[end] == '"'; end++ {
		}
		if end == len(text) {
			if final && (end-run)%2 == 1 {
				return run, end, closing
			}
			if !final {
				return run, end, undecided
			}
		}
		if (end-run)%2 == 0 {
			i = end
			continue
		}
		switch text[end] {
		case ',', '\n':
			return run, end, closing
		case '\r':
			if end+1 < len(text) && text[end+1] == '\n' || end+1 == len(text) && final {
				return run, end, closing
			}
			if end+1 == len(text) {
				return run, end, undecided
			}
		}
		return run, end, stray
	}
}

// unescaped makes one quote of every pair of quotes in the content of a field, and keeps
// those that have no partner.
func (s *scanner) unescaped(content []byte) []byte {
	i := bytes.IndexByte(content, '"')
	if i < 0 {
		return content
	}
	mark := len(s.scratch)
	for i >= 0 {
		s.scratch = append(s.scratch, content[:i+1]...)
		if content = content[i+1:]; len(content) > 0 && content[0] == '"' {
			content = content[1:]
		}
		i = bytes.IndexByte(content, '"')
	}
	s.scratch = append(s.scratch, content...)
	return s.scratch[mark:]
}
