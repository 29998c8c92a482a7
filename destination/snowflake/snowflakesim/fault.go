//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// A FaultKind says what goes wrong.
type FaultKind string

// What can go wrong with a statement.
const (
	DropBefore     FaultKind = "drop-before"     // the connection breaks; nothing was done. The driver tries again.
	DropAfter      FaultKind = "drop-after"      // the statement was run, its answer is lost. The driver asks again and gets it.
	DownBefore     FaultKind = "down-before"     // as DropBefore, and nobody gets through until Restore
	DownAfter      FaultKind = "down-after"      // as DropAfter, and nobody gets through until Restore: a lost COMMIT
	SessionExpired FaultKind = "session-expired" // 390112: the driver renews its token and tries again
	SessionGone    FaultKind = "session-gone"    // 390111: the session has been ended, its transaction rolled back
	AuthExpired    FaultKind = "auth-expired"    // 390114: the user must log in again
	Unavailable    FaultKind = "unavailable"     // HTTP 503
	Throttled      FaultKind = "throttled"       // HTTP 429
	Slow           FaultKind = "slow"            // takes Fault.Delay, on the machine's clock, or until it is cancelled
	Refused        FaultKind = "refused"         // fails with Fault.Code and Fault.Message
	Async          FaultKind = "async"           // 333334: the answer must be fetched

	MasterExpired FaultKind = "master-expired" // the token cannot be renewed: 390114
	LoginFails    FaultKind = "login-fails"    // with Fault.Code and Fault.Message

	CopyFails        FaultKind = "copy-fails"        // COPY finds file number Fault.File of its list broken
	StageUnavailable FaultKind = "stage-unavailable" // the stage answers 503
	StageExpired     FaultKind = "stage-expired"     // the stage's credentials have expired
	StageCut         FaultKind = "stage-cut"         // an upload breaks off
)

// A Fault is something to go wrong, once unless Times says otherwise.
type Fault struct {
	Kind  FaultKind
	Match string // the statement, or the key on the stage, contains it, in any case; "": all do
	Skip  int    // so many that match are spared first
	Times int    // 0: once; -1: always

	Code, Message string // Refused, LoginFails
	Delay         time.Duration
	File          int // CopyFails: counting from 1
}

type fault struct {
	Fault
	seen, hit int
}

// Inject makes something go wrong from now on.
func (s *Server) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Code == "" {
		f.Code, f.Message = "390100", "Incorrect username or password was specified."
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{Fault: f})
}

// ClearFaults forgets all faults and lets everybody through again.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.down = nil, false
}

// Restore lets everybody through again after DownBefore or DownAfter.
func (s *Server) Restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = false
}

func (s *Server) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// take finds the fault that applies and counts it.
func (s *Server) takeFault(text string, ok func(*fault) bool) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if !ok(f) || f.Times >= 0 && f.hit >= f.Times || !strings.Contains(strings.ToUpper(text), strings.ToUpper(f.Match)) {
			continue
		}
		if f.seen++; f.seen <= f.Skip {
			continue
		}
		f.hit++
		return f
	}
	return nil
}

func (s *Server) faultAt(kind FaultKind, text string) *fault {
	return s.takeFault(text, func(f *fault) bool { return f.Kind == kind })
}

func (s *Server) faultFor(sql string) *fault {
	return s.takeFault(sql, func(f *fault) bool {
		switch f.Kind {
		case MasterExpired, LoginFails, CopyFails, StageUnavailable, StageExpired, StageCut:
			return false
		default:
			return true
		}
	})
}

func (s *Server) stageFault(method, key string) *fault {
	return s.takeFault(key, func(f *fault) bool {
		return f.Kind == StageUnavailable || f.Kind == StageExpired || f.Kind == StageCut && (method == http.MethodPut || method == http.MethodPost)
	})
}

func (s *Server) copyFault(file int) *sqlError {
	if s.takeFault("", func(f *fault) bool { return f.Kind == CopyFails && f.File == file }) == nil {
		return nil
	}
	return refuse("100142", "22000", "Error parsing the parquet file: the footer is broken")
}

// before does what goes wrong instead of the statement. It reports whether the request is answered.
func (f *fault) before(s *Server, c *session, w http.ResponseWriter) bool {
	switch f.Kind {
	case DownBefore:
		s.goDown()
		panic(http.ErrAbortHandler)
	case DropBefore:
		panic(http.ErrAbortHandler)
	case SessionExpired:
		s.answer(w, failure("390112", "08001", "Session token is expired.", ""))
		return true
	case SessionGone:
		s.endSession(c)
		s.answer(w, failure("390111", "08001", "Session no longer exists.  New login required to access the service.", ""))
		return true
	case AuthExpired:
		s.answer(w, failure("390114", "08001", "Authentication token has expired.  The user must authenticate again.", ""))
		return true
	case Unavailable:
		http.Error(w, "unavailable", http.StatusServiceUnavailable)
		return true
	case Throttled:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return true
	case Refused:
		s.mu.Lock()
		s.history = append(s.history, Statement{ID: newID(), Code: f.Code, Message: f.Message, User: c.user, Role: c.role, Session: c.id, Tag: c.tag, SQL: f.Match})
		s.mu.Unlock()
		s.answer(w, failure(f.Code, "22000", f.Message, newID()))
		return true
	case Slow:
		ctx, cancel := context.WithTimeout(context.Background(), f.Delay)
		defer cancel()
		<-ctx.Done()
	default:
	}
	return false
}

// after does what goes wrong once the statement has run. It reports whether the answer is lost.
func (f *fault) after(s *Server, _ *session) bool {
	if f.Kind == DownAfter {
		s.goDown()
	}
	return f.Kind == DownAfter || f.Kind == DropAfter
}

func (s *Server) goDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
}
