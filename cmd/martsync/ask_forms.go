//go:build cgo && !lite

package main

import (
	"context"
	"errors"
	"fmt"

	"charm.land/huh/v2"
)

// askAll asks in one form.
func (a *app) askAll(ctx context.Context, questions []question) error {
	if len(questions) == 0 {
		return nil
	}
	fields := make([]huh.Field, len(questions))
	for i, q := range questions {
		if len(q.options) > 0 {
			var options []huh.Option[string]
			for _, o := range q.options {
				options = append(options, huh.NewOption(o.title, o.value))
			}
			fields[i] = huh.NewSelect[string]().Title(q.title).Description(q.description).Options(options...).Value(q.value)
			continue
		}
		input := huh.NewInput().Title(q.title).Description(q.description).Placeholder(q.example).Value(q.value)
		if q.check != nil {
			input.Validate(q.check)
		}
		if q.secret {
			input.EchoMode(huh.EchoModePassword)
		}
		fields[i] = input
	}
	err := huh.NewForm(huh.NewGroup(fields...)).WithInput(a.in).WithOutput(a.err.Unwrap()).RunWithContext(ctx)
	if errors.Is(err, huh.ErrUserAborted) || ctx.Err() != nil {
		return errGivenUp()
	}
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	return nil
}
