package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
)

func (a *app) apiCommand() *cobra.Command {
	var data string
	var include bool
	c := &cobra.Command{
		Use:   "api SOURCE METHOD PATH",
		Short: "Makes an authenticated call to the vendor's API",
		Long: `Makes one call with the source's credentials, under its limits, and prints the body of the answer.

The exit code is 0 if the vendor answered with a status below 400. What the body says is not looked at:
some vendors report errors with status 200.`,
		Example: "  martsync api marketo GET /rest/v1/stats/usage.json\n  martsync api marketo POST /rest/v1/leads.json --data @body.json",
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.api(ctx, args[0], strings.ToUpper(args[1]), args[2], data, include)
		},
	}
	c.Flags().StringVarP(&data, "data", "d", "", "body of the request; @FILE reads it from a file, @- from stdin")
	c.Flags().BoolVarP(&include, "include", "i", false, "print the status and headers of the answer to stderr")
	return c
}

func (a *app) api(ctx context.Context, name, method, path, data string, include bool) error {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "://") {
		return usageError(fmt.Errorf("%q is not a path", path), "Give the path only, as in /rest/v1/stats/usage.json: the host is that of the source.")
	}
	body, err := a.body(data)
	if err != nil {
		return err
	}
	s, source, err := a.openNamed(ctx, name)
	if err != nil {
		return err
	}
	caller, ok := martsync.As[martsync.Caller](source)
	if !ok {
		return errNoAbility("call "+path, s.Name, s.Connector.Title)
	}
	response, err := caller.Call(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end or given up
	if include {
		a.say("%s %s", response.Proto, response.Status)
		var headers bytes.Buffer
		if err := response.Header.Write(&headers); err == nil {
			a.say("%s", strings.ReplaceAll(headers.String(), "\r\n", "\n"))
		}
	}
	last := &lastByte{w: a.out}
	if _, err := io.Copy(last, response.Body); err != nil {
		return &martsync.Error{Kind: martsync.Transient, Op: method + " " + path, Err: fmt.Errorf("read the answer: %w", err)}
	}
	if last.b != '\n' && a.out.Terminal() {
		a.print("")
	}
	if response.StatusCode >= 400 {
		return &martsync.Error{Kind: martsync.Data, Op: method + " " + path, Err: errors.New("the vendor answered " + response.Status)}
	}
	return nil
}

// body opens what --data names.
func (a *app) body(data string) (io.Reader, error) {
	switch {
	case data == "":
		return nil, nil //nolint:nilnil // no body
	case data == "@-":
		text, err := io.ReadAll(io.LimitReader(a.in, 64<<20))
		if err != nil {
			return nil, fmt.Errorf("read stdin: %w", err)
		}
		return bytes.NewReader(text), nil
	case data[0] == '@':
		text, err := os.ReadFile(data[1:])
		if err != nil {
			return nil, usageError(err, "")
		}
		return bytes.NewReader(text), nil
	default:
		return strings.NewReader(data), nil
	}
}

// lastByte remembers the last byte written.
type lastByte struct {
	w io.Writer
	b byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.b = p[len(p)-1]
	}
	return l.w.Write(p)
}
