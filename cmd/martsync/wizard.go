package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
)

// A question is what the wizard asks. How it is asked depends on the build: with forms, or line by line in the small one.
type question struct {
	title       string
	description string // may be empty
	example     string // may be empty
	secret      bool   // is not shown while it is typed
	options     []option
	value       *string            // where the answer goes
	check       func(string) error // nil: every answer will do
}

// An option is one of a few answers.
type option struct{ title, value string }

// wizard asks for what the flags left open.
func (a *app) wizard(ctx context.Context, w *answers, given func(string) bool) error {
	var first []question
	if w.source == "" {
		q := question{title: "Where does the data come from?", value: &w.source}
		for _, s := range connectors.Sources() {
			q.options = append(q.options, option{s.Title, s.Name})
		}
		first = append(first, q)
	}
	if w.destination == "" {
		q := question{title: "Where does it go?", value: &w.destination}
		for _, d := range connectors.Destinations() {
			q.options = append(q.options, option{d.Title, d.Name})
		}
		first = append(first, q)
	}
	if err := a.askAll(ctx, first); err != nil {
		return err
	}
	s, err := w.sourceConnector()
	if err != nil {
		return err
	}
	d, err := w.destinationConnector()
	if err != nil {
		return err
	}
	var then []question
	for _, o := range asked(s.NewConfig) {
		then = append(then, questionOf(s.Title, o, w.sourceOptions[o.Name])...)
	}
	for _, o := range asked(d.NewConfig) {
		then = append(then, questionOf(d.Title, o, w.destinationOptions[o.Name])...)
	}
	if !given("start") {
		then = append(then, question{
			title: "From when on?", description: "A date such as 2020-01-01. Empty: everything there is.", value: &w.start,
			check: func(text string) error {
				if text == "" {
					return nil
				}
				_, err := config.ParseTime(text, time.Time{}, time.UTC)
				return err
			},
		})
	}
	return a.askAll(ctx, then)
}

// questionOf asks for an option that no flag and no variable has given.
func questionOf(of string, o config.Option, value *string) []question {
	if *value != "" {
		return nil
	}
	q := question{title: of + ": " + o.Title, description: o.Description, example: o.Example, secret: o.Secret, value: value}
	if !o.Required {
		q.description += " (may be left empty)"
		return []question{q}
	}
	q.check = func(text string) error {
		if strings.TrimSpace(text) == "" {
			return errors.New("this is needed")
		}
		return nil
	}
	return []question{q}
}

// errGivenUp is the end of a wizard whom nobody wants to answer.
func errGivenUp() error {
	return &martsync.Error{Kind: martsync.Config, Op: "ask", Err: errors.New("given up; nothing was written")}
}
