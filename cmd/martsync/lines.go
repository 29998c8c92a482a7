package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// askLines asks one question after the other, each until its answer will do. The end of the input, and Ctrl-C, give up.
func (a *app) askLines(ctx context.Context, questions []question) error {
	answers := bufio.NewReader(a.in)
	for _, q := range questions {
		fmt.Fprintf(a.err, "\n%s\n", q.title)
		if q.description != "" {
			fmt.Fprintf(a.err, "  %s\n", q.description)
		}
		if q.example != "" {
			fmt.Fprintf(a.err, "  as in %s\n", q.example)
		}
		for i, o := range q.options {
			fmt.Fprintf(a.err, "  %d  %s\n", i+1, o.title)
		}
		for {
			fmt.Fprint(a.err, "> ")
			text, err := a.line(ctx, answers, q.secret)
			if err != nil {
				fmt.Fprintln(a.err)
				return errGivenUp()
			}
			if err = q.take(text); err == nil {
				break
			}
			fmt.Fprintf(a.err, "  %v\n", err)
		}
	}
	return nil
}

// take takes an answer, or says why it will not do. One of options is told by its number or its name; empty is the first.
func (q *question) take(text string) error {
	if len(q.options) == 0 {
		if q.check != nil {
			if err := q.check(text); err != nil {
				return err
			}
		}
		*q.value = text
		return nil
	}
	if text == "" {
		text = "1"
	}
	for i, o := range q.options {
		if text == strconv.Itoa(i+1) || strings.EqualFold(text, o.value) || strings.EqualFold(text, o.title) {
			*q.value = o.value
			return nil
		}
	}
	return fmt.Errorf("answer with a number from 1 to %d", len(q.options))
}

// line reads a line. Reading a terminal heeds no context, so the reader is left behind when ctx is done: the process ends then.
func (a *app) line(ctx context.Context, answers *bufio.Reader, secret bool) (string, error) {
	terminal, hidden := a.in.(*os.File)
	hidden = hidden && secret && term.IsTerminal(int(terminal.Fd()))
	if hidden {
		if before, err := term.GetState(int(terminal.Fd())); err == nil {
			defer func() { _ = term.Restore(int(terminal.Fd()), before) }()
		}
	}
	type result struct {
		text string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		if hidden && answers.Buffered() == 0 {
			text, err := term.ReadPassword(int(terminal.Fd()))
			fmt.Fprintln(a.err)
			read <- result{string(text), err}
			return
		}
		text, err := answers.ReadString('\n')
		if err == io.EOF && text != "" {
			err = nil
		}
		read <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-read:
		return strings.TrimSpace(r.text), r.err
	}
}
