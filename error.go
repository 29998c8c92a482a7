package martsync

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Kind says who must act on an error. Whether to retry, wait or stop follows from it alone.
type Kind uint8

// The kinds of errors.
const (
	Internal    Kind = iota // we must act: a bug
	Config                  // the operator: the configuration is wrong
	Auth                    // the operator: a credential or a permission is missing
	Data                    // the operator decides about records: the stream stops, others go on
	Conflict                // nobody: another sync committed first; the stream stops
	Busy                    // nobody: another sync holds the account
	Unavailable             // nobody: this account does not have the stream; it is skipped with a warning
	Quota                   // time: a vendor's limit is spent until After has passed
	Pending                 // time: the vendor is preparing something
	Transient               // time: trying again helps
)

var kindNames = [...]string{
	Internal: "internal", Config: "config", Auth: "auth", Data: "data", Conflict: "conflict", Busy: "busy",
	Unavailable: "unavailable", Quota: "quota", Pending: "pending", Transient: "transient",
}

func (k Kind) String() string { return kindNames[k] }

// Waits reports whether the kind passes with time.
func (k Kind) Waits() bool { return k == Quota || k == Pending || k == Transient }

// Exit codes of the command for each kind of error. They are part of the interface.
const (
	ExitOK       = 0
	ExitInternal = 1
	ExitConfig   = 2
	ExitAuth     = 3
	ExitData     = 4
	ExitConflict = 5
	ExitBusy     = 6
	ExitWaiting  = 75 // EX_TEMPFAIL: run it again later
)

// ExitCode is the command's exit code for the kind.
func (k Kind) ExitCode() int {
	switch k {
	case Config:
		return ExitConfig
	case Auth:
		return ExitAuth
	case Data:
		return ExitData
	case Conflict:
		return ExitConflict
	case Busy:
		return ExitBusy
	case Unavailable:
		return ExitOK
	case Quota, Pending, Transient:
		return ExitWaiting
	default:
		return ExitInternal
	}
}

// An Error is what every package of ours returns for a failure that somebody may act on.
// Vendors' errors keep their own types below it, for errors.As.
type Error struct {
	Kind  Kind
	Op    string        // what was attempted: "marketo: create lead export"
	After time.Duration // earliest useful retry; 0: unknown
	Hint  string        // one sentence for the operator; "": nothing to do
	Err   error         // the cause
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Err != nil {
		if e.Op != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	if b.Len() == 0 {
		return e.Kind.String() + " error"
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// ErrUnsupported is returned, possibly wrapped, for an optional ability that is not there.
var ErrUnsupported = errors.New("not supported")

// KindOf returns the kind of the first *Error in err's chain. Without one, a cancelled or
// expired context is Transient and everything else is Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Transient
	}
	return Internal
}

// HintOf returns the first hint in err's chain, or "".
func HintOf(err error) string {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// AfterOf returns how long the first *Error in err's chain asks to wait, or 0.
func AfterOf(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.After
	}
	return 0
}
