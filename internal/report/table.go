package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// A Table is rows under a heading. Columns are as wide as their widest cell; what is wider
// than the place where it is written is cut in the column marked Flexible.
type Table struct {
	Columns []Column
	rows    [][]string
}

// A Column is one column of a Table.
type Column struct {
	Name     string
	Right    bool // numbers
	Flexible bool // may be cut to fit
}

// Add appends a row. Missing cells are empty. Cells may hold the colours of Output.Paint;
// other control characters are shown as spaces, so that data cannot draw on the terminal.
func (t *Table) Add(cells ...string) {
	for i, c := range cells {
		cells[i] = clean(c)
	}
	t.rows = append(t.rows, cells)
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// WriteTo writes the table, indented by two spaces.
func (t *Table) WriteTo(o *Output) error {
	const indent, gap = 2, 2
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = ansi.StringWidth(c.Name)
		for _, row := range t.rows {
			if i < len(row) {
				widths[i] = max(widths[i], ansi.StringWidth(row[i]))
			}
		}
	}
	total := indent + gap*(len(widths)-1)
	for _, w := range widths {
		total += w
	}
	limit, _ := o.Size()
	if !o.Terminal() {
		limit = total // nothing is lost in a file or a pipe
	}
	for i, c := range t.Columns {
		if over := total - limit; over > 0 && c.Flexible {
			cut := min(over, max(0, widths[i]-8))
			widths[i] -= cut
			total -= cut
		}
	}
	var b strings.Builder
	line := func(style Style, cell func(i int) string) {
		var l strings.Builder
		for i, c := range t.Columns {
			text := ansi.Truncate(cell(i), widths[i], "…")
			pad := strings.Repeat(" ", max(0, widths[i]-ansi.StringWidth(text)))
			if i > 0 {
				l.WriteString(strings.Repeat(" ", gap))
			}
			if c.Right {
				l.WriteString(pad + text)
			} else {
				l.WriteString(text + pad)
			}
		}
		b.WriteString(strings.Repeat(" ", indent) + o.Paint(style, strings.TrimRight(l.String(), " ")) + "\n")
	}
	line(Dim, func(i int) string { return t.Columns[i].Name })
	for _, row := range t.rows {
		line(Plain, func(i int) string {
			if i < len(row) {
				return row[i]
			}
			return ""
		})
	}
	if _, err := o.Write([]byte(b.String())); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// Wrap breaks text into lines of at most width characters, each but the first indented.
func Wrap(text string, width, indent int) string {
	lines := strings.Split(ansi.Wrap(clean(text), max(20, width-indent), ""), "\n")
	return strings.Join(lines, "\n"+strings.Repeat(" ", indent))
}

// clean replaces control characters, except the colours that Paint adds.
func clean(s string) string {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if n := colourLength(s[i:]); n > 0 {
			b.WriteString(s[i : i+n])
			i += n
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if unicode.IsControl(r) {
			b.WriteByte(' ')
		} else {
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// colourLength is the length of the colour sequence that s starts with, or 0.
func colourLength(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	for i := 2; i < len(s); i++ {
		switch {
		case s[i] == 'm':
			return i + 1
		case s[i] < '0' || s[i] > '9':
			return 0
		}
	}
	return 0
}
