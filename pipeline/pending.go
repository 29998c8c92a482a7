package pipeline

import (
	"slices"
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
	bad         int64 // how many, those included that were staged
	raw         int64 // bytes held by quarantined
	log         []martsync.LogEntry
	complete    []martsync.Scope
	scoped      bool // all rows came in units that ended with one of complete
	censuses    []martsync.Census
	counted     int64 // keys in censuses
}

// waits reports whether there is something that only a commit makes visible.
func (p *pending) waits() bool {
	return p.rows > 0 || len(p.quarantined) > 0 || len(p.complete) > 0 || len(p.censuses) > 0
}

// maxCounted is how many keys of censuses may wait for a commit: some megabytes in the text of a
// statement.
const maxCounted = 100_000

// count adds a census, which is borrowed. One that continues the last one becomes part of it, so
// that a commit of many pages is one census.
func (p *pending) count(c martsync.Census) {
	p.counted += int64(len(c.Keys))
	if n := len(p.censuses); n > 0 && p.censuses[n-1].UpTo == c.After {
		last := &p.censuses[n-1]
		last.UpTo, last.Keys = c.UpTo, append(last.Keys, c.Keys...)
		return
	}
	c.Keys = slices.Clone(c.Keys)
	p.censuses = append(p.censuses, c)
}

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
	p.bad += q.bad
	p.raw += q.raw
	p.windows = append(p.windows, q.windows...)
	p.quarantined = append(p.quarantined, q.quarantined...)
	p.log = append(p.log, q.log...)
	p.complete = append(p.complete, q.complete...)
	for _, c := range q.censuses {
		p.count(c)
	}
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
		same := c.Value == s.Value
		if s.IsRange() {
			same = c.From.Before(s.To) && s.From.Before(c.To)
		}
		if c.Column != s.Column || c.IsRange() != s.IsRange() || same {
			return false
		}
	}
	return true
}
