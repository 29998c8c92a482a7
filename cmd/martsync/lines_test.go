package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
)

func TestAskLines(t *testing.T) {
	needed := func(text string) error {
		if text == "" {
			return errors.New("this is needed")
		}
		return nil
	}
	for _, test := range []struct {
		name, input string
		want        []string // nil: given up
		says        string
	}{
		{"all answers", "2\n abc \nsecret\n", []string{"b", "abc", "secret"}, "1  First\n  2  Second\n"},
		{"by name", "SECOND\nabc\nx", []string{"b", "abc", "x"}, "as in 123"},
		{"the first by default", "\nabc\n\n", []string{"a", "abc", ""}, ""},
		{"wrong ones first", "3\nc\na\n\nabc\n\n", []string{"a", "abc", ""}, "a number from 1 to 2"},
		{"one that is needed", "1\n\n\nabc\n\n", []string{"a", "abc", ""}, "this is needed"},
		{"the input ends", "1\nabc\n", nil, ""},
		{"no input", "", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var said strings.Builder
			a := &app{in: strings.NewReader(test.input), err: report.NewOutput(&said, func(string) string { return "" })}
			got := make([]string, 3)
			err := a.askLines(t.Context(), []question{
				{title: "Which?", options: []option{{"First", "a"}, {"Second", "b"}}, value: &got[0]},
				{title: "What?", description: "A text.", example: "123", value: &got[1], check: needed},
				{title: "And?", secret: true, value: &got[2]},
			})
			if test.want == nil {
				if martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), "given up") {
					t.Errorf("got %v, want to be given up", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if !strings.Contains(said.String(), test.says) {
				t.Errorf("it does not say %q:\n%s", test.says, said.String())
			}
		})
	}
}

func TestAskLinesIsInterrupted(t *testing.T) {
	in, typed := io.Pipe()
	defer typed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	a := &app{in: in, err: report.NewOutput(io.Discard, func(string) string { return "" })}
	ended := make(chan error, 1)
	var got string
	go func() { ended <- a.askLines(ctx, []question{{title: "What?", value: &got}}) }()
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("got %v, want to be given up", err)
	}
}
