package pipeline

import (
	"time"

	"github.com/martsync/martsync"
)

// pending is what waits for a commit beside the rows, which the writer holds.
type pending struct {
	rows        int64 // in the writer, staged ones included
	bytes       int64 // of these rows in memory
	payload     int64 // of the vendor's bytes they came from
	since       time.Time
	windows     []martsync.Window
	quarantined []martsync.Quarantined
	raw         int64 // bytes held by quarantined
	log         []martsync.LogEntry
	complete    []martsync.Scope
	scoped      bool // all rows came in units that ended with one of complete
}

// waits reports whether there is something that only a commit makes visible.
func (p *pending) waits() bool { return p.rows > 0 || len(p.quarantined) > 0 || len(p.complete) > 0 }

// add appends what is in q, which is empty afterwards.
func (p *pending) add(q *pending) {
	switch {
	case !p.waits():
		p.scoped = q.scoped
	case q.waits():
		p.scoped = p.scoped && q.scoped
	}
	if p.since.IsZero() {
		p.since = q.since
	}
	p.rows += q.rows
	p.bytes += q.bytes
	p.payload += q.payload
	p.raw += q.raw
	p.windows = append(p.windows, q.windows...)
	p.quarantined = append(p.quarantined, q.quarantined...)
	p.log = append(p.log, q.log...)
	p.complete = append(p.complete, q.complete...)
	*q = pending{}
}

// disjoint reports whether the rows of scope s can share a commit with what waits: only if
// every row that waits is of another scope. The commit's rows of a scope are taken for all
// there are, so a row of the same scope that was read earlier would hide that it is gone.
func (p *pending) disjoint(s martsync.Scope) bool {
	if p.rows == 0 {
		return true
	}
	if !p.scoped || s.Column == "" {
		return false
	}
	for _, c := range p.complete {
		if c.Column != s.Column || c.Value == s.Value {
			return false
		}
	}
	return true
}
