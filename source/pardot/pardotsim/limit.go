package pardotsim

import (
	"maps"
	"net/http"
	"sync"

	"github.com/martsync/martsync/simulate"
)

// counters are what Stats tells.
type counters struct {
	mu      sync.Mutex
	calls   int
	sent    int64
	byPath  map[string]int
	byUser  map[string]int
	refused map[string]int
}

func (c *counters) request(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bump(&c.byPath, path)
}

func (c *counters) call(user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	bump(&c.byUser, user)
}

func (c *counters) refuse(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bump(&c.refused, code)
}

func (c *counters) bytes(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent += int64(n)
}

func bump(m *map[string]int, key string) {
	if *m == nil {
		*m = make(map[string]int)
	}
	(*m)[key]++
}

// Stats tells what has been asked so far.
func (s *Server) Stats() simulate.Stats {
	jobs, bytes := s.jobs.Counts()
	c := &s.count
	c.mu.Lock()
	defer c.mu.Unlock()
	return simulate.Stats{
		Calls: c.calls, SentBytes: c.sent, ByPath: maps.Clone(c.byPath), ByUser: maps.Clone(c.byUser), Refused: maps.Clone(c.refused),
		Faults: s.faults.Fired(), ExportJobs: jobs, ExportBytes: bytes,
	}
}

// countCall counts a call against the day and returns the day's calls. Calls of all versions
// count, refused ones too; Salesforce's login is not the account's. (Account Engagement API,
// Rate Limits)
func (s *Server) countCall(c *caller) int64 {
	s.count.call(c.user.Username)
	return s.calls.Add(c.now, 1)
}

// callsToday returns how many calls the account has made on its day.
func (s *Server) callsToday() int64 { return s.calls.Sum(s.clock.Now()) }

// countingWriter counts the bytes of bodies.
type countingWriter struct {
	http.ResponseWriter
	c *counters
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.c.bytes(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
