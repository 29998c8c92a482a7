package alert

import (
	"strings"
	"time"
)

// A status says where a message stands in the life of what it tells of.
type status string

const (
	problem  status = "problem"  // it is new
	reminder status = "reminder" // it still is
	over     status = "over"     // it is no more
	test     status = "test"
)

// A Message is what a person gets.
type Message struct {
	Event  Event     `json:"event"` // "" in a test
	Status string    `json:"status"`
	Sync   string    `json:"sync,omitempty"`
	Run    string    `json:"run,omitempty"`
	Title  string    `json:"title"` // one line
	Lines  []Line    `json:"details,omitempty"`
	At     time.Time `json:"at"`
	Since  time.Time `json:"since,omitzero"`
}

// A Line is one thing that a message says.
type Line struct {
	Label string `json:"label"`
	Text  string `json:"text"`
}

// Text is the message without its title, a line each.
func (m *Message) Text() string {
	var b strings.Builder
	for _, l := range m.Lines {
		b.WriteString(l.Label + ": " + l.Text + "\n")
	}
	return b.String()
}

// Bad reports whether somebody may have to act.
func (m *Message) Bad() bool { return m.Status != string(over) && m.Status != string(test) }

// maxTitle bounds a title, in bytes: subjects of SNS have at most 100 characters.
const maxTitle = 100

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}

// add adds a line unless it says nothing.
func (m *Message) add(label, text string) {
	if text != "" {
		m.Lines = append(m.Lines, Line{label, text})
	}
}

// testMessage is what `martsync check --alert` sends.
func testMessage(r *Rule, now time.Time) Message {
	m := Message{Status: string(test), At: now, Title: "martsync: a test of alert " + r.Name}
	m.Title = cut(m.Title, maxTitle)
	m.add("What", "This is a test. Nothing has happened; messages of this alert arrive here.")
	on := make([]string, 0, len(r.On))
	for _, e := range r.On {
		on = append(on, string(e))
	}
	text := "everything"
	if len(on) > 0 {
		text = strings.Join(on, ", ")
	}
	of := "all syncs"
	if len(r.Syncs) > 0 {
		of = strings.Join(r.Syncs, ", ")
	}
	m.add("Told of", text+"; of "+of)
	return m
}
