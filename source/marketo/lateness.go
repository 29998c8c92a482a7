package marketo

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// How far runs go back for activities that appear late, while nobody has said so in the configuration. The vendor tells the
// date of an activity and not when it appeared (Marketo REST API, Activities), so lateness is measured: an hour that is read
// again and has more activities of a type than before had some that were late.
const (
	lateLeast = 4 * time.Hour  // how far every run goes back
	lateMost  = 48 * time.Hour // and how far it does at most

	// Until so much has been measured, runs go back defaultOverlap.
	lateRuns  = 5
	lateTrust = 7 * 24 * time.Hour

	// Now and then a run goes back as far as it may, lest something that has become late is not noticed.
	probeSoon   = 7 * 24 * time.Hour
	probeSeldom = 28 * 24 * time.Hour // when as much has been measured

	// What was found counts for one to two of these.
	lateMemory = 30 * 24 * time.Hour
)

// lateClasses are the upper bounds of the histogram, in hours.
var lateClasses = [...]int64{1, 2, 4, 8, 16, 24, 36, 48}

const hour = 3600

// A lateness is what a stream has learned about how late its records appear. An hour is a number of hours since the epoch.
type lateness struct {
	Of     string `json:"of"`               // what was read and how: counts of two different ways say nothing
	Since  second `json:"since"`            // when measuring began
	Runs   int    `json:"runs,omitempty"`   // that have been compared with the one before
	Probed second `json:"probed,omitempty"` // end of the last run that went back as far as it may
	Before second `json:"before,omitempty"` // end of the one before that
	Known  second `json:"known,omitempty"`  // what is dated before it had been read when the run under way began
	From   second `json:"from,omitempty"`   // where that one began to read
	Blur   bool   `json:"blur,omitempty"`   // it read something twice: its counts say nothing

	Seen counts `json:"seen,omitempty"` // of earlier runs
	Now  counts `json:"now,omitempty"`  // of the run under way

	// How far behind the end of the run before late records were, by type and class: since Turn, and in the time before.
	Turn   second               `json:"turn,omitempty"`
	Recent map[int64]*histogram `json:"recent,omitempty"`
	Former map[int64]*histogram `json:"former,omitempty"`
}

// A histogram counts late records by lateClasses.
type histogram [len(lateClasses)]int64

// counts are how many records there were of each type in each hour.
type counts map[int64]*tally

// A tally is how many records there were in each hour from the first on.
type tally struct {
	first int64
	n     []int64
}

// tallyMost bounds a tally from a cursor: as many hours as are counted, and then some.
const tallyMost = 4 * int(lateMost/time.Hour)

// MarshalText writes the numbers in few bytes: they are part of every cursor.
func (t *tally) MarshalText() ([]byte, error) {
	b := binary.AppendVarint(nil, t.first)
	for _, n := range t.n {
		b = binary.AppendVarint(b, n)
	}
	return []byte(base64.RawStdEncoding.EncodeToString(b)), nil
}

// UnmarshalText reads what MarshalText wrote.
func (t *tally) UnmarshalText(text []byte) error {
	b, err := base64.RawStdEncoding.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("tally: %w", err)
	}
	var all []int64
	for len(b) > 0 {
		v, n := binary.Varint(b)
		if n <= 0 || v < 0 || len(all) > tallyMost {
			return errors.New("tally: a number is out of range")
		}
		all, b = append(all, v), b[n:]
	}
	if len(all) == 0 || !second(all[0]*hour).sane() || all[0] > 1<<40 {
		return errors.New("tally: there is no first hour")
	}
	t.first, t.n = all[0], all[1:]
	return nil
}

// add counts n records of a type in an hour; hours come in any order.
func (c counts) add(typ, h, n int64) {
	t := c[typ]
	if t == nil {
		t = &tally{first: h}
		c[typ] = t
	}
	if h < t.first {
		t.n = append(make([]int64, t.first-h), t.n...)
		t.first = h
	}
	for int64(len(t.n)) <= h-t.first {
		t.n = append(t.n, 0)
	}
	t.n[h-t.first] += n
}

// at is the count of a type in an hour.
func (c counts) at(typ, h int64) int64 {
	t := c[typ]
	if t == nil || h < t.first || h-t.first >= int64(len(t.n)) {
		return 0
	}
	return t.n[h-t.first]
}

// all visits what has been counted.
func (c counts) all(visit func(typ, h, n int64)) {
	for typ, t := range c {
		for i, n := range t.n {
			if n > 0 {
				visit(typ, t.first+int64(i), n)
			}
		}
	}
}

// merge adds what other counted, such as of a file that has been verified.
func (c counts) merge(other counts) counts {
	if len(other) == 0 {
		return c
	}
	if c == nil {
		c = counts{}
	}
	other.all(c.add)
	return c
}

// newLateness begins to measure.
func newLateness(now second) *lateness {
	return &lateness{Since: now, Probed: now, Before: now, Turn: now}
}

// horizon is the first hour that is counted in a run up to until: what is older is not read again.
func horizon(until second) int64 { return int64(until.add(-lateMost))/hour - 1 }

// settle learns from a run that has ended at until: it is compared with those before, and its counts are remembered. It returns
// the deepest class that was not known before, in hours; 0: none.
func (l *lateness) settle(until second) (deeper int64) {
	before := l.deepest()
	if l.Blur {
		l.Seen = nil
	} else {
		if l.Seen != nil && l.Known > 0 && l.From < l.Known {
			l.compare()
			if from, to := l.whole(); to-from >= int64(lateLeast/time.Hour) {
				l.Runs++
			}
		}
		l.remember(until)
	}
	l.Known, l.Now, l.Blur = until, nil, false
	if until.sub(l.Turn) >= lateMemory {
		l.Former, l.Recent, l.Turn = l.Recent, nil, until
	}
	if after := l.deepest(); after > before {
		return after
	}
	return 0
}

// whole are the hours that the run under way has read again in full: from the first on, up to the last, which is not among them.
func (l *lateness) whole() (from, to int64) {
	return (int64(l.From) + hour - 1) / hour, int64(l.Known) / hour
}

// compare counts what has appeared in hours that had been read before.
func (l *lateness) compare() {
	from, to := l.whole()
	l.Now.all(func(typ, h, n int64) {
		late := n - l.Seen.at(typ, h)
		if h < from || h >= to || late <= 0 {
			return
		}
		behind := (int64(l.Known) - h*hour + hour - 1) / hour
		class := slices.IndexFunc(lateClasses[:], func(most int64) bool { return behind <= most })
		if class < 0 {
			class = len(lateClasses) - 1
		}
		if l.Recent == nil {
			l.Recent = map[int64]*histogram{}
		}
		if l.Recent[typ] == nil {
			l.Recent[typ] = new(histogram)
		}
		l.Recent[typ][class] += late
	})
}

// remember makes what the run has counted what is known, of all hours that it has read in full, and drops what is too old to be
// read again.
func (l *lateness) remember(until second) {
	oldest, seen := horizon(until), counts{}
	from, _ := l.whole()
	l.Seen.all(func(typ, h, n int64) {
		if h >= oldest && h < from {
			seen.add(typ, h, n)
		}
	})
	l.Now.all(func(typ, h, n int64) {
		if h >= oldest && h >= from {
			seen.add(typ, h, n)
		}
	})
	l.Seen = seen
}

// deepest is the highest class in which anything was late, in hours; 0: nothing was.
func (l *lateness) deepest() (hours int64) {
	for _, all := range []map[int64]*histogram{l.Recent, l.Former} {
		for _, h := range all {
			hours = max(hours, h.deepest())
		}
	}
	return hours
}

func (h *histogram) deepest() int64 {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i] > 0 {
			return lateClasses[i]
		}
	}
	return 0
}

// overlap is how far a run that begins now goes back: twice as far as anything was late. Probe says that it goes back as far as it
// may; most bounds that.
func (l *lateness) overlap(now second, most time.Duration) (back time.Duration, probe bool) {
	if l.Runs < lateRuns || now.sub(l.Since) < lateTrust {
		return defaultOverlap, false
	}
	back = min(max(2*time.Duration(l.deepest())*time.Hour, lateLeast), lateMost)
	every := probeSoon
	if now.sub(l.Since) >= probeSeldom {
		every = probeSeldom
	}
	if now.sub(l.Probed) >= every {
		return max(back, min(most, lateMost)), true
	}
	return back, false
}

// String tells which types were late and how much, the latest first.
func (l *lateness) String() string {
	deep := map[int64]int64{}
	for _, all := range []map[int64]*histogram{l.Recent, l.Former} {
		for typ, h := range all {
			deep[typ] = max(deep[typ], h.deepest())
		}
	}
	types := slices.Sorted(maps.Keys(deep))
	slices.SortStableFunc(types, func(a, b int64) int { return int(deep[b] - deep[a]) })
	const shown = 5
	var parts []string
	for _, typ := range types[:min(len(types), shown)] {
		parts = append(parts, fmt.Sprintf("type %d up to %d h", typ, deep[typ]))
	}
	if more := len(types) - shown; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more types", more))
	}
	if len(parts) == 0 {
		return "none was later than an hour"
	}
	return strings.Join(parts, ", ")
}

func (l *lateness) check() error {
	if l == nil {
		return nil
	}
	if !l.Since.sane() || !l.Probed.sane() || !l.Before.sane() || !l.Known.sane() || !l.From.sane() || !l.Turn.sane() || l.Runs < 0 {
		return errors.New("a number of the lateness is out of range")
	}
	for _, c := range []counts{l.Seen, l.Now} {
		if err := c.check(); err != nil {
			return err
		}
	}
	for _, all := range []map[int64]*histogram{l.Recent, l.Former} {
		for _, h := range all {
			if h == nil {
				return errors.New("a histogram is null")
			}
		}
	}
	return nil
}

func (c counts) check() error {
	for _, t := range c {
		if t == nil || len(t.n) == 0 {
			return errors.New("a tally is empty")
		}
	}
	return nil
}

// A counter counts the records of a file or of pages.
type counter struct {
	into       counts
	oldest     int64 // hour
	date, kind int   // columns; below zero: there are none
}

// newCounter counts what a run reads of a part, if that is to be measured; nil otherwise.
func (r *run) newCounter(spec *partSpec, p *part, into counts) *counter {
	if !spec.learns || p.Late == nil {
		return nil
	}
	if into == nil {
		into = counts{}
	}
	return &counter{into: into, oldest: horizon(r.pos.Until), date: r.schema.Index("activity_date"), kind: r.schema.Index("activity_type_id")}
}

// countPages has the pages of a walk counted.
func (r *run) countPages(spec *partSpec, p *part) {
	if !spec.learns || p.Late == nil {
		return
	}
	r.count = r.newCounter(spec, p, p.Late.Now)
	p.Late.Now = r.count.into
}

// records counts rows of a file.
func (c *counter) records(rows *martsync.Records) {
	if c == nil || rows == nil || c.date < 0 || c.kind < 0 {
		return
	}
	dates, kinds := &rows.Columns[c.date], &rows.Columns[c.kind]
	for i := range rows.Len {
		if !dates.Null(i) && !kinds.Null(i) {
			c.one(kinds.Ints[i], second(dates.Ints[i]/1e6))
		}
	}
}

func (c *counter) one(typ int64, date second) {
	if c == nil {
		return
	}
	if h := int64(date) / hour; h >= c.oldest && h < c.oldest+int64(tallyMost) {
		c.into.add(typ, h, 1)
	}
}
