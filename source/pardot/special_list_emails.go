package pardot

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// A freshStream reads list emails as any other object, and then again those that were sent lately:
// what becomes of an email changes for weeks, and no time of the email tells that it did. Account
// Engagement API, List Email.
type freshStream struct {
	*stream
	statistics *detailJoin // nil: none are wanted
}

// newListEmails returns the stream of list emails, which keeps their statistics fresh if the
// configuration wants them. Its cursors are the same if it does not.
func newListEmails(s *source, o *object, l *layout) martsync.Stream {
	st := newStream(s, o, l)
	var wanted []field
	for _, f := range l.fields {
		if strings.HasPrefix(f.v5, statsPrefix) {
			wanted = append(wanted, f)
		}
	}
	fresh := &freshStream{stream: st}
	if len(wanted) > 0 && st.plan.api == v5 && st.plan.statsFor > 0 {
		fresh.statistics = newDetailJoin(s, o, wanted)
	}
	return fresh
}

// A listEmailPosition is the cursor of list emails.
type listEmailPosition struct {
	List  json.RawMessage `json:"list,omitempty"`  // the cursor of the object
	Fresh second          `json:"fresh,omitempty"` // when the last reading of statistics began
	Pass  *freshPass      `json:"pass,omitempty"`  // the one under way
}

// A freshPass is a reading of the statistics of list emails that were sent from a time on.
type freshPass struct {
	Began second `json:"began"`
	From  second `json:"from"`
	All   bool   `json:"all,omitempty"` // the vendor does not select by time: we do
	After int64  `json:"after,omitempty"`
	Rows  int64  `json:"rows,omitempty"`
	Bad   int64  `json:"bad,omitempty"`
	Calls int64  `json:"calls,omitempty"`
}

func (p *listEmailPosition) cursor() martsync.Cursor {
	b, err := json.Marshal(p)
	if err != nil {
		panic("pardot: cursor: " + err.Error()) // plain data only
	}
	return martsync.Cursor(b)
}

// parseListEmailPosition reads what cursor wrote, and the cursor of the object alone, which a
// configuration without statistics has left.
func parseListEmailPosition(from martsync.Cursor) (p listEmailPosition, err error) {
	if from == "" {
		return p, nil
	}
	d := json.NewDecoder(strings.NewReader(string(from)))
	d.DisallowUnknownFields()
	if d.Decode(&p) != nil {
		_, err := parsePosition(listEmailStream, from)
		return listEmailPosition{List: json.RawMessage(from)}, err
	}
	if f := p.Pass; p.Fresh < 0 || f != nil && (f.Began <= 0 || f.From < 0 || f.After < 0 || f.Bad < 0 || f.Rows < f.Bad || f.Calls < 0) {
		return p, errors.New("numbers out of range")
	}
	return p, nil
}

const (
	// freshEvery is the least time between two readings of statistics, each of which costs a call
	// for each email that was sent lately.
	freshEvery = 20 * time.Hour

	// freshPage is how many emails are read between two cursors.
	freshPage = 50
)

// Read reads what has changed since from, and then the statistics if that is due.
func (s *freshStream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		at, err := parseListEmailPosition(from)
		if err == nil {
			err = s.read(ctx, at, span, yield)
		} else {
			err = unreadableCursor(s.obj.stream, err)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(martsync.Batch{}, err)
		}
	}
}

func (s *freshStream) read(ctx context.Context, at listEmailPosition, span martsync.Span, yield func(martsync.Batch, error) bool) error {
	if at.Fresh == 0 { // the first reading of everything has all statistics
		at.Fresh = secondOf(s.src.now())
	}
	if s.statistics == nil {
		at.Pass = nil
	}
	r := &run{stream: s.stream, ctx: ctx, span: span, yield: yield, lost: map[string]bool{}}
	resumed := at.Pass != nil
	if resumed { // what has changed since it was interrupted is read all the same
		if err := s.refresh(r, &at); err != nil {
			return err
		}
	}
	for b, err := range s.stream.Read(ctx, martsync.Cursor(at.List), span) {
		if err != nil {
			return err
		}
		if b.Cursor != "" {
			at.List = json.RawMessage(b.Cursor)
			b.Cursor = at.cursor()
		}
		if !yield(b, nil) {
			return errStop
		}
	}
	now := secondOf(s.src.now())
	every := max(freshEvery, s.plan.every)
	// After one that lasted for days another one is left to the next sync, or this one might not end.
	if s.statistics == nil || resumed || now.sub(at.Fresh) < every || len(at.List) == 0 {
		return nil
	}
	at.Pass = &freshPass{Began: now, From: now.add(-s.plan.statsFor)}
	return s.refresh(r, &at)
}

// refresh reads the list emails of the pass again, page by page, with their statistics.
func (s *freshStream) refresh(r *run, at *listEmailPosition) error {
	p := at.Pass
	rowsOf := r.picker(v5, nil)
	for limit := freshPage; ; {
		page, err := s.src.client.query5(r.ctx, r.op("query"), s.obj.v5.path, s.freshQuery(r, p, limit))
		if err != nil {
			p.Calls++
			if err := s.yieldTo(r, p, err, &limit); err != nil {
				return err
			}
			continue
		}
		p.Calls += page.calls
		if err := ordered(r.op("query"), p.After, facesOf(page.rows), page.more); err != nil {
			return err
		}
		listed := page.rows
		if p.All {
			listed = slices.DeleteFunc(slices.Clone(listed), func(row json.RawMessage) bool { return !sentSince(row, p.From.time()) })
		}
		rows, err := s.statistics.join(r.ctx, r, listed)
		if err != nil {
			return err
		}
		p.Calls += s.statistics.takeCalls()
		if s.src.keeps {
			r.keep(s.obj.bodyName(v5, "sent-after-"+formatID(p.After)), page.body, s.freshRecipe(p))
		}
		rowsOf.b.from(freshJob, p.Rows)
		for _, row := range page.rows {
			p.After = max(p.After, faceOf(row).id)
		}
		for _, row := range rows {
			p.Rows++
			if rowsOf.take(row, faceOf(row)) == refused {
				p.Bad++
			}
		}
		batch := rowsOf.b.batch()
		batch.Bytes = page.bytes
		if !page.more {
			return s.endPass(r, at, batch)
		}
		batch.Cursor = at.cursor()
		if err := r.send(batch); err != nil {
			return err
		}
	}
}

// freshJob is what rows of the pass are said to come from.
const freshJob = "list-emails with statistics"

// freshRecipe tells how a page of the pass is read again.
func (s *freshStream) freshRecipe(p *freshPass) recipe {
	h := recipe{Kind: pageBody, API: v5, Job: freshJob, Line: p.Rows}
	h.Columns = unusual(s.layout.schema.Columns, s.layout.columnsFor(v5), v5)
	if p.All {
		h.Sent = p.From
	}
	return h
}

// endPass yields the last batch of a pass.
func (s *freshStream) endPass(r *run, at *listEmailPosition, b martsync.Batch) error {
	p := at.Pass
	b.Window = &martsync.Window{
		From: p.From.time(), To: p.Began.time(), Filter: `{"query":"list-emails","time":"sentAt","statistics":"true"}`,
		Records: -1, Bytes: -1, Parsed: p.Rows, Quarantined: p.Bad, Calls: p.Calls,
	}
	at.Fresh, at.Pass = p.Began, nil
	b.Cursor = at.cursor()
	return r.send(b)
}

func (s *freshStream) freshQuery(r *run, p *freshPass, limit int) map[string][]string {
	q := clone(s.obj.v5.params)
	q.Set("fields", strings.Join(r.fields(), ","))
	if !p.All {
		q.Set("sentAtAfterOrEqualTo", wireTime(p.From))
	}
	q.Set("orderBy", "id")
	q.Set("limit", strconv.Itoa(limit))
	if r.showsBin() {
		q.Set("deleted", "all")
	}
	if p.After > 0 {
		q.Set("idGreaterThan", strconv.FormatInt(p.After, 10))
	}
	return q
}

// yieldTo takes account of what the vendor refused. Without an error it may be asked again.
func (s *freshStream) yieldTo(r *run, p *freshPass, err error, limit *int) error {
	if name := unknownField(err); name != "" {
		return r.lose(name, err)
	}
	switch {
	case tooSlow(err) && *limit > leastPage:
		*limit = max(*limit/2, leastPage)
	case !p.All && (tooSlow(err) || codeOf(err) == 51 && strings.Contains(err.Error(), "sentAt")):
		// All of them by id, of which there are not many, are another kind of query.
		r.note("window", "list emails are not selected by sentAt here: all of them are listed to find those whose statistics are read again")
		p.All, *limit = true, freshPage
	default:
		return err
	}
	return nil
}

// sentSince reports whether a list email was sent at that time or later.
func sentSince(row json.RawMessage, t time.Time) bool {
	var email joinedRow
	return json.Unmarshal(row, &email) == nil && email.sentSince(t)
}
