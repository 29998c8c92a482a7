package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"charm.land/huh/v2"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
)

// wizard asks for what the flags left open.
func (a *app) wizard(ctx context.Context, w *answers, given func(string) bool) error {
	var first []huh.Field
	if w.source == "" {
		var options []huh.Option[string]
		for _, s := range connectors.Sources() {
			options = append(options, huh.NewOption(s.Title, s.Name))
		}
		first = append(first, huh.NewSelect[string]().Title("Where does the data come from?").Options(options...).Value(&w.source))
	}
	if w.destination == "" {
		var options []huh.Option[string]
		for _, d := range connectors.Destinations() {
			options = append(options, huh.NewOption(d.Title, d.Name))
		}
		first = append(first, huh.NewSelect[string]().Title("Where does it go?").Options(options...).Value(&w.destination))
	}
	if err := a.ask(ctx, first); err != nil {
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
	var fields []huh.Field
	for _, o := range asked(s.NewConfig) {
		fields = append(fields, question(s.Title, o, w.sourceOptions[o.Name])...)
	}
	for _, o := range asked(d.NewConfig) {
		fields = append(fields, question(d.Title, o, w.destinationOptions[o.Name])...)
	}
	if !given("start") {
		fields = append(fields, huh.NewInput().Title("From when on?").
			Description("A date such as 2020-01-01. Empty: everything there is.").Value(&w.start).
			Validate(func(text string) error {
				if text == "" {
					return nil
				}
				_, err := config.ParseTime(text, time.Time{}, time.UTC)
				return err
			}))
	}
	return a.ask(ctx, fields)
}

// question asks for an option that no flag and no variable has given.
func question(of string, o config.Option, value *string) []huh.Field {
	if *value != "" {
		return nil
	}
	description := o.Description
	if !o.Required {
		description += " (may be left empty)"
	}
	input := huh.NewInput().Title(of + ": " + o.Title).Description(description).Placeholder(o.Example).Value(value).
		Validate(func(text string) error {
			if o.Required && strings.TrimSpace(text) == "" {
				return errors.New("this is needed")
			}
			return nil
		})
	if o.Secret {
		input.EchoMode(huh.EchoModePassword)
	}
	return []huh.Field{input}
}

func (a *app) ask(ctx context.Context, fields []huh.Field) error {
	if len(fields) == 0 {
		return nil
	}
	err := huh.NewForm(huh.NewGroup(fields...)).WithInput(a.in).WithOutput(a.err.Unwrap()).RunWithContext(ctx)
	if errors.Is(err, huh.ErrUserAborted) || ctx.Err() != nil {
		return &martsync.Error{Kind: martsync.Config, Op: "ask", Err: errors.New("given up; nothing was written")}
	}
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	return nil
}
