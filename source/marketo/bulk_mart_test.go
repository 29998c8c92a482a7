package marketo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// A mart is the engine's five rules and a destination, in the smallest form that can be seen
// through: what is durable survives an attempt that dies, everything else does not.
type mart struct {
	schema martsync.Schema

	// Durable.
	rows        map[string]martRow
	windows     []martsync.Window
	quarantined []martsync.Quarantined
	notes       []string
	committed   martsync.Cursor
	saved       martsync.Cursor // builds on committed; "" if nothing was saved since
	staged      []load
	resume      martsync.Cursor // after staged; "" if nothing is staged

	// Of the attempt under way.
	pending  []load
	verified bool // pending may be committed

	noStage  bool
	discards int
	waits    map[martsync.Kind]int
}

type martRow struct {
	values  map[string]any
	deleted bool
}

// A load is what came with one batch.
type load struct {
	rows        []martRow
	tombstones  []martRow
	windows     []martsync.Window
	quarantined []martsync.Quarantined
	notes       []martsync.Note
}

func newMart(s martsync.Schema) *mart {
	return &mart{schema: s, rows: map[string]martRow{}, waits: map[martsync.Kind]int{}, verified: true}
}

// origin is how the truth names a column.
func origin(c martsync.Column) string {
	if c.Origin != "" {
		return c.Origin
	}
	return c.Name
}

func (m *mart) take(b *martsync.Batch) load {
	l := load{notes: b.Notes, quarantined: slices.Clone(b.Quarantined)}
	if b.Window != nil {
		l.windows = append(l.windows, *b.Window)
	}
	if b.Records == nil {
		return l
	}
	for i := range b.Records.Len {
		r := martRow{values: map[string]any{}}
		for k, c := range m.schema.Columns {
			r.values[origin(c)] = columns.Value(c, &b.Records.Columns[k], i)
		}
		if b.Records.Tombstone != nil && b.Records.Tombstone[i] {
			r.deleted = true
			l.tombstones = append(l.tombstones, r)
		} else {
			l.rows = append(l.rows, r)
		}
	}
	return l
}

func (m *mart) key(r martRow) string {
	var parts []string
	for _, k := range m.schema.Key {
		parts = append(parts, fmt.Sprint(r.values[origin(m.schema.Columns[m.schema.Index(k)])]))
	}
	return strings.Join(parts, "|")
}

func (m *mart) newer(a, b martRow) bool {
	if m.schema.Version == "" {
		return true
	}
	v := origin(m.schema.Columns[m.schema.Index(m.schema.Version)])
	x, _ := a.values[v].(time.Time)
	y, _ := b.values[v].(time.Time)
	return !x.Before(y)
}

func (m *mart) commit(next martsync.Cursor) {
	for _, l := range append(m.staged, m.pending...) {
		for _, r := range l.rows {
			if old, ok := m.rows[m.key(r)]; !ok || m.newer(r, old) {
				m.rows[m.key(r)] = r
			}
		}
		for _, r := range l.tombstones {
			old, ok := m.rows[m.key(r)]
			if ok && !m.newer(r, old) {
				continue
			}
			if ok {
				values := maps.Clone(old.values)
				if m.schema.Version != "" {
					v := origin(m.schema.Columns[m.schema.Index(m.schema.Version)])
					values[v] = r.values[v]
				}
				r.values = values
			}
			m.rows[m.key(r)] = r
		}
		m.windows = append(m.windows, l.windows...)
		m.quarantined = append(m.quarantined, l.quarantined...)
		for _, n := range l.notes {
			m.notes = append(m.notes, n.Operation+": "+n.Message)
		}
	}
	m.committed, m.saved, m.resume = next, "", ""
	m.staged, m.pending, m.verified = nil, nil, true
}

// errKilled ends an attempt that dies.
var errKilled = errors.New("killed")

// attempt reads once. Kill is asked before and after what each batch makes durable.
func (m *mart) attempt(ctx context.Context, s martsync.Stream, span martsync.Span, kill func() bool) error {
	m.pending, m.verified = nil, true
	from := m.committed
	if m.saved != "" {
		from = m.saved
	}
	if m.resume != "" {
		from, m.verified = m.resume, false
	}
	resumable, last := true, from
	for b, err := range s.Read(ctx, from, span) {
		if kill() {
			return errKilled
		}
		if err != nil {
			if resumable && m.verified && len(m.pending) > 0 {
				m.commit(last)
			}
			return err
		}
		if b.Discard {
			if b.Records != nil || b.Window != nil || b.Cursor == "" {
				return fmt.Errorf("a batch that discards has more than a cursor: %+v", b)
			}
			m.discards++
			for _, n := range b.Notes {
				m.notes = append(m.notes, n.Operation+": "+n.Message)
			}
			m.staged, m.pending, m.resume, m.saved, m.verified = nil, nil, "", b.Cursor, true
			resumable, last = true, b.Cursor
			continue
		}
		l := m.take(&b)
		hasRows := len(l.rows)+len(l.tombstones)+len(l.quarantined) > 0
		if hasRows && (b.Cursor == "" || b.Unverified) && m.verified && len(m.pending) > 0 && resumable {
			m.commit(last)
		}
		m.pending = append(m.pending, l)
		if b.Cursor == "" {
			if hasRows {
				resumable, m.verified = false, false
			}
			continue
		}
		resumable, last, m.verified = true, b.Cursor, !b.Unverified
		switch {
		case b.Unverified && !m.noStage:
			m.staged = append(m.staged, m.pending...)
			m.pending, m.resume = nil, b.Cursor
		case b.Unverified:
		case !hasRows && (len(m.staged) > 0 || slices.ContainsFunc(m.pending, func(l load) bool {
			return len(l.rows)+len(l.tombstones)+len(l.windows)+len(l.notes) > 0
		})):
			m.commit(b.Cursor)
		case !hasRows:
			m.saved, m.pending = b.Cursor, nil
		}
		if kill() {
			return errKilled
		}
	}
	if kill() {
		return errKilled
	}
	if !m.verified || len(m.staged) > 0 {
		return errors.New("the stream ended after rows without a verified cursor")
	}
	if len(m.pending) > 0 {
		m.commit(last)
	}
	return nil
}

// An account is a simulated subscription, reached through a connection that can be cut.
type account struct {
	t     testing.TB
	sim   *marketosim.Server
	url   string
	clock *simulate.Clock
	line  *line
	tweak func(*Config)

	longest time.Duration // of windows; 0: as usual
	every   int64         // bytes between two cursors; 0: as usual
	held    int           // ids of leads that wait to be read; 0: as usual
	temp    string
}

func newAccount(t testing.TB, c marketosim.Config) *account {
	t.Helper()
	a := &account{t: t, temp: t.TempDir(), clock: simulate.NewClock(time.Date(2026, 3, 16, 9, 30, 0, 0, time.UTC))}
	c.Clock = a.clock
	if c.Rows == 0 {
		c.Rows = 60
	}
	if c.LeadSpan == 0 {
		c.LeadSpan = 40 * 24 * time.Hour
	}
	if c.ActivitySpan == 0 {
		c.ActivitySpan = 40 * 24 * time.Hour
	}
	sim, err := marketosim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	a.sim, a.url = sim, server.URL
	a.line = &line{next: server.Client().Transport}
	a.clock.Advance(2 * visibleAfter) // what the account begins with is old enough to be read
	return a
}

// open makes a source, as another process would.
func (a *account) open() *source {
	a.t.Helper()
	raw := a.sim.SourceConfig(a.url)
	cfg := Config{
		Endpoint: raw["endpoint"].(string), ClientID: raw["client_id"].(string),
		ClientSecret: martsync.Secret(raw["client_secret"].(string)),
	}
	if a.tweak != nil {
		a.tweak(&cfg)
	}
	s, err := open(cfg, martsync.Env{
		Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Transport: a.line}, Clock: a.clock, TempDir: a.temp,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return s
}

func (a *account) stream(s *source, name string) (martsync.Stream, error) {
	streams, err := s.bulkStreams(context.Background())
	if err != nil {
		return nil, err
	}
	for _, st := range streams {
		if schema := st.Schema(); schema.Stream == name {
			if err := schema.Validate(); err != nil {
				return nil, err
			}
			r := st.(*rangeStream)
			r.longest = a.longest
			if a.every > 0 {
				r.cursorEvery = a.every
			}
			for _, spec := range r.parts {
				if a.held > 0 && spec.pages != nil && spec.pages.leads != nil {
					spec.pages.leads.most = a.held
				}
			}
			return st, nil
		}
	}
	return nil, fmt.Errorf("no stream %s", name)
}

// mart makes an empty mart for a stream.
func (a *account) mart(name string) *mart {
	a.t.Helper()
	st, err := a.stream(a.open(), name)
	if err != nil {
		a.t.Fatal(err)
	}
	return newMart(st.Schema())
}

// sync reads a stream to its end in one process, waiting where it is told to.
func (a *account) sync(m *mart) {
	a.t.Helper()
	if err := a.try(m, a.open(), martsync.Span{}, never); err != nil {
		a.t.Fatalf("sync of %s: %v", m.schema.Stream, err)
	}
}

func never() bool { return false }

// try reads until the stream ends, dies or fails for good.
func (a *account) try(m *mart, s *source, span martsync.Span, kill func() bool) error {
	st, err := a.stream(s, m.schema.Stream)
	if err != nil {
		return err
	}
	m.schema = st.Schema()
	for range 2_000 {
		err := m.attempt(context.Background(), st, span, kill)
		if err == nil || errors.Is(err, errKilled) || a.line.dead() {
			return err
		}
		k := martsync.KindOf(err)
		if !k.Waits() {
			return err
		}
		m.waits[k]++
		a.clock.Advance(max(martsync.AfterOf(err), time.Second))
	}
	return errors.New("the stream never ends")
}

// check compares a mart with the truth.
func (a *account) check(m *mart) {
	a.t.Helper()
	for _, d := range a.differences(m) {
		a.t.Error(d)
	}
}

func (a *account) differences(m *mart) (diffs []string) {
	truth := map[string]bool{}
	for want := range a.sim.Truth(m.schema.Stream) {
		k := m.key(martRow{values: want.Values})
		truth[k] = true
		got, ok := m.rows[k]
		switch {
		case want.Gone:
			if ok && m.schema.Deletes && !got.deleted {
				diffs = append(diffs, fmt.Sprintf("%s %s is gone at the source and not marked deleted", m.schema.Stream, k))
			}
			continue
		case !ok:
			diffs = append(diffs, fmt.Sprintf("%s %s is missing", m.schema.Stream, k))
			continue
		case got.deleted:
			diffs = append(diffs, fmt.Sprintf("%s %s is marked deleted", m.schema.Stream, k))
		}
		for name, w := range want.Values {
			if g, known := got.values[name]; known && !sameValue(g, w) {
				diffs = append(diffs, fmt.Sprintf("%s %s: %s is %#v, want %#v", m.schema.Stream, k, name, g, w))
			}
		}
	}
	for k, r := range m.rows {
		if !truth[k] && !r.deleted {
			diffs = append(diffs, fmt.Sprintf("%s %s does not exist at the source", m.schema.Stream, k))
		}
	}
	if len(diffs) > 10 {
		diffs = append(diffs[:10], fmt.Sprintf("and %d more", len(diffs)-10))
	}
	return diffs
}

// same compares a value with the truth's.
func sameValue(got, want any) bool {
	switch w := want.(type) {
	case simulate.OneOf:
		return slices.ContainsFunc(w, func(w any) bool { return sameValue(got, w) })
	case json.RawMessage:
		var x, y any
		g, ok := got.(json.RawMessage)
		return ok && json.Unmarshal(g, &x) == nil && json.Unmarshal(w, &y) == nil && reflect.DeepEqual(x, y)
	case time.Time:
		g, ok := got.(time.Time)
		return ok && g.Equal(w)
	}
	if got == want {
		return true
	}
	g, ok := got.(string) // a decimal, perhaps
	x, ok1 := new(big.Rat).SetString(g)
	y, ok2 := new(big.Rat).SetString(fmt.Sprint(want))
	return ok && ok1 && ok2 && strings.Contains(g, ".") && x.Cmp(y) == 0
}

// ledger checks that the windows of a mart tile without gaps, once each.
func (m *mart) checkLedger(t testing.TB) {
	t.Helper()
	var end time.Time
	for _, w := range m.windows {
		if w.Job == "" {
			continue
		}
		if !end.IsZero() && w.From.After(end) {
			t.Errorf("there is a gap in the ledger between %v and %v", end, w.From)
		}
		end = w.To
	}
}

// A line carries requests until somebody cuts it.
type line struct {
	next http.RoundTripper

	mu    sync.Mutex
	n     int                         // requests so far
	cutAt int                         // the request that dies; 0: none
	after bool                        // it reaches the vendor, its reply is lost
	cut   bool                        // nothing goes through any more
	paths []string                    // of all requests
	bend  func(*http.Response) error  // changes replies
	block func(r *http.Request) error // refuses requests
}

var errCut = errors.New("the line is cut")

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	dead := l.cut
	l.n++
	n := l.n
	mine := n == l.cutAt
	if mine {
		l.cut = true
	}
	if !dead {
		l.paths = append(l.paths, r.Method+" "+r.URL.Path)
	}
	l.mu.Unlock()
	if dead || mine && !l.after {
		return nil, errCut
	}
	if l.block != nil {
		if err := l.block(r); err != nil {
			return nil, err
		}
	}
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if mine {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return nil, errCut
	}
	if l.bend != nil {
		if err := l.bend(resp); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

func (l *line) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

// mend makes the line whole again and counts anew.
func (l *line) mend(cutAt int, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n, l.cutAt, l.after, l.cut = 0, cutAt, after, false
}

func (l *line) count(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.paths {
		if strings.Contains(p, part) {
			n++
		}
	}
	return n
}
