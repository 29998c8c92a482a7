package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/report"
)

// An exit is an error that has been shown already. Its value is the exit code.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// fail shows an error and returns the exit code for it.
func (a *app) fail(err error) int {
	if err == nil {
		return martsync.ExitOK
	}
	if code, ok := errors.AsType[exit](err); ok {
		return int(code)
	}
	if errors.Is(err, context.Canceled) {
		a.say("Interrupted.")
		return martsync.ExitWaiting
	}
	a.show("", err)
	return codeOf(err)
}

// codeOf is the exit code of an error that ends a command. What an account does not have is no failure of a sync of many
// streams, which skips it; whoever asks for just that has not got it.
func codeOf(err error) int {
	if martsync.KindOf(err) == martsync.Unavailable {
		return martsync.ExitConfig
	}
	return martsync.KindOf(err).ExitCode()
}

// show writes what failed, why and what to do next. Subject says what it is about, such as
// a stream; it may be empty.
func (a *app) show(subject string, err error) {
	head := a.err.Paint(report.Red, "Error")
	if subject != "" {
		head += " (" + subject + ")"
	}
	var problems config.Problems
	if errors.As(err, &problems) {
		a.say("%s: %s: %s", head, opOf(err), report.Plural(int64(len(problems)), "problem", "problems"))
		for _, p := range problems {
			a.say("\n  %s: %s", a.err.Paint(report.Bold, p.Place()), p.Message)
			if p.Excerpt() != "" {
				a.say("%s", indent(p.Excerpt()))
			}
			a.next(p.Hint)
		}
		return
	}
	op, why := opOf(err), reason(err)
	if op == "" {
		a.say("%s: %s", head, why)
	} else {
		a.say("%s: %s", head, op)
		a.say("  %s %s", a.err.Paint(report.Dim, "why: "), why)
	}
	hint := martsync.HintOf(err)
	if after := martsync.AfterOf(err); after > 0 {
		hint = strings.TrimSpace(hint + " Try again in " + report.Duration(after) + ".")
	}
	if hint == "" {
		switch martsync.KindOf(err) {
		case martsync.Internal:
			hint = "This looks like a bug in martsync. Run it again with -vv and report what it prints."
		case martsync.Transient:
			hint = "Run the command again; it goes on where it stopped."
		default:
		}
	}
	a.next(hint)
}

func (a *app) next(hint string) {
	if hint != "" {
		a.say("  %s %s", a.err.Paint(report.Dim, "next:"), sentence(hint))
	}
}

// sentence begins with a capital, unless that would change a command or a name, and ends
// with a stop.
func sentence(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if first != "martsync" && !strings.ContainsAny(first, "._-:/$=") {
		r, size := utf8.DecodeRuneInString(s)
		s = string(unicode.ToUpper(r)) + s[size:]
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") && !strings.HasSuffix(s, "!") {
		s += "."
	}
	return s
}

// opOf is what was attempted: everything that wraps the first *martsync.Error, and its Op.
func opOf(err error) string {
	e, ok := errors.AsType[*martsync.Error](err)
	if !ok {
		return ""
	}
	before, found := strings.CutSuffix(err.Error(), e.Error())
	if !found || e.Err == nil {
		return e.Op
	}
	return before + e.Op
}

// reason is why it failed, in full: with what the vendor said and its request id.
func reason(err error) string {
	if e, ok := errors.AsType[*martsync.Error](err); ok && opOf(err) != "" {
		if e.Err == nil {
			return e.Kind.String()
		}
		return strings.ReplaceAll(e.Err.Error(), "\n", "; ")
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }

// severity orders exit codes from the one that asks least of people to the one that asks most.
var severity = []int{
	martsync.ExitOK, martsync.ExitWaiting, martsync.ExitBusy, martsync.ExitConflict,
	martsync.ExitData, martsync.ExitAuth, martsync.ExitConfig, martsync.ExitInternal,
}

// worst returns the more severe of two exit codes.
func worst(a, b int) int {
	for _, code := range severity {
		switch code {
		case a:
			return b
		case b:
			return a
		}
	}
	return max(a, b)
}
