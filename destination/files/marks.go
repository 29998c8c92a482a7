package files

import (
	"fmt"
	"strconv"
	"strings"
)

// marks are positions of rows in ascending order, kept as ranges: what a file cannot say of
// its rows, its manifest says.
type marks struct{ ranges []markRange }

// A markRange is the positions from first to last, both included.
type markRange struct{ first, last int64 }

// add marks a position that is greater than all before.
func (m *marks) add(row int64) {
	if n := len(m.ranges); n > 0 && m.ranges[n-1].last == row-1 {
		m.ranges[n-1].last = row
		return
	}
	m.ranges = append(m.ranges, markRange{row, row})
}

// String writes the ranges the way parseMarks reads them: "0,7-9".
func (m *marks) String() string {
	var b []byte
	for i, s := range m.ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, s.first, 10)
		if s.last > s.first {
			b = strconv.AppendInt(append(b, '-'), s.last, 10)
		}
	}
	return string(b)
}

func parseMarks(text string) (m marks, err error) {
	if text == "" {
		return m, nil
	}
	next := int64(0)
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		var s markRange
		if s.first, err = strconv.ParseInt(first, 10, 64); err != nil {
			return m, fmt.Errorf("rows %q: %w", text, err)
		}
		s.last = s.first
		if ranged {
			if s.last, err = strconv.ParseInt(last, 10, 64); err != nil {
				return m, fmt.Errorf("rows %q: %w", text, err)
			}
		}
		if s.first < next || s.last < s.first {
			return m, fmt.Errorf("rows %q do not ascend", text)
		}
		next = s.last + 1
		m.ranges = append(m.ranges, s)
	}
	return m, nil
}

// take reports whether a row is marked. Rows must be asked for in ascending order.
func (m *marks) take(row int64) bool {
	for len(m.ranges) > 0 && m.ranges[0].last < row {
		m.ranges = m.ranges[1:]
	}
	return len(m.ranges) > 0 && m.ranges[0].first <= row
}
