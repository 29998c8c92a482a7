package pardot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

// An emails4Stream reads emails by version 4, which lists none: it reads one by id, and ids are known
// from the activities of prospects to whom emails were sent. A list email is one email a prospect, so
// that the one with the smallest id stands for all of them. Account Engagement API, Version 4, Emails.
type emails4Stream struct {
	source *source
	layout *layout
	sends  *stream // the activities
}

// newEmails4 returns the stream of emails as version 4 can tell them.
func newEmails4(s *source) martsync.Stream {
	return &emails4Stream{source: s, layout: emailLayout(s), sends: sendStream(s)}
}

// sentType is the type of the activities that say an email was sent.
const sentType = "6"

// sendStream is the visitor activities that say an email was sent.
func sendStream(s *source) *stream {
	o := *objectOf(activityStream)
	o.noun, o.fact, o.custom = "sent email", true, noCustom
	o.fields = nil
	for _, f := range objectOf(activityStream).fields {
		if slices.Contains([]string{"id", "list_email_id", "email_id", "created_at", "updated_at"}, f.v4) {
			o.fields = append(o.fields, f)
		}
	}
	r := *o.v4
	r.params = maps.Clone(r.params)
	if r.params == nil {
		r.params = url.Values{}
	}
	r.params.Set("type", sentType)
	o.v4, o.v5 = &r, nil
	if o.export != nil {
		e := *o.export
		e.passes = slices.Clone(e.passes)
		for i := range e.passes {
			e.passes[i].arguments = maps.Clone(e.passes[i].arguments)
			if e.passes[i].arguments == nil {
				e.passes[i].arguments = map[string]any{}
			}
			e.passes[i].arguments["type"] = sentType
		}
		o.export = &e
	}
	plan := s.plan(objectOf(emailStream))
	plan.api, plan.exports, plan.sweep = v4, v4, -1
	plan.read = setting.Or(way(s.cfg.Streams[emailStream].Read), byAuto)
	return &stream{src: s, obj: &o, layout: makeLayout(&o, plan, nil), plan: plan}
}

// emailLayout is the table: what a read by id tells, and the list email that led to it.
func emailLayout(s *source) *layout {
	o := *objectOf(emailStream)
	o.fields = slices.Clone(o.fields)
	for i := range o.fields {
		f := &o.fields[i]
		f.sticky = false // a read by id tells all it can
		if f.v5 == "listEmailId" {
			f.v4 = "list_email_id"
		}
	}
	return makeLayout(&o, s.plan(&o), nil)
}

func (s *emails4Stream) Schema() martsync.Schema { return s.layout.schema }

// An emailPosition is the cursor of emails by version 4.
type emailPosition struct {
	Sends json.RawMessage `json:"sends,omitempty"` // the cursor of the activities
	Found pairs           `json:"found,omitempty"` // the smallest email of each list email, of the range that is being read
	Maybe pairs           `json:"maybe,omitempty"` // further ones, from rows that may turn out wrong
	Done  ids             `json:"done,omitempty"`  // list emails that have been dealt with
	Range *emailRange     `json:"range,omitempty"` // whose activities have been read: what is found is next
}

// An emailRange is a window of activities whose emails are being read.
type emailRange struct {
	From  second `json:"from,omitzero"`
	To    second `json:"to,omitzero"`
	Rows  int64  `json:"rows,omitzero"`
	Bad   int64  `json:"bad,omitzero"`
	Calls int64  `json:"calls,omitzero"`
}

func (p *emailPosition) cursor() martsync.Cursor {
	b, err := json.Marshal(p)
	if err != nil {
		panic("pardot: cursor: " + err.Error()) // plain data only
	}
	return martsync.Cursor(b)
}

// parseEmailPosition reads what cursor wrote.
func parseEmailPosition(from martsync.Cursor) (p emailPosition, err error) {
	if from == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(from), &p); err != nil {
		return p, err
	}
	if r := p.Range; r != nil && (r.From < 0 || r.To < r.From || r.Bad < 0 || r.Rows < r.Bad || r.Calls < 0) {
		return p, errors.New("a range that cannot be")
	}
	return p, nil
}

const (
	// emailsAtOnce is how many emails are read between two cursors.
	emailsAtOnce = 50

	// sendsQuiet is how many pages of activities are read between two cursors. One that has only
	// what was found is worth a save now and then.
	sendsQuiet = 20
)

// Read reads the activities since from, range by range, and the emails that they name.
func (s *emails4Stream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		pos, err := parseEmailPosition(from)
		if err != nil {
			err = unreadableCursor(emailStream, err)
		} else {
			p := &emailPass{emails4Stream: s, yield: yield, at: pos}
			p.rows = newRowBuilder(s.layout.columnsFor(v4), s.source.decodes())
			err = p.run(ctx, span)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(martsync.Batch{}, err)
		}
	}
}

// An emailPass is one read under way.
type emailPass struct {
	*emails4Stream
	yield func(martsync.Batch, error) bool
	at    emailPosition
	rows  *rowBuilder
	notes []martsync.Note
	raw   []martsync.Raw
	bytes int64
	quiet int // batches of activities since the last cursor
}

func (p *emailPass) run(ctx context.Context, span martsync.Span) error {
	if p.at.Range != nil {
		if err := p.readEmails(ctx); err != nil {
			return err
		}
	}
	for b, err := range p.sends.Read(ctx, martsync.Cursor(p.at.Sends), span) {
		if err != nil {
			return err
		}
		if err := p.take(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// take looks through a batch of activities.
func (p *emailPass) take(ctx context.Context, b martsync.Batch) error {
	p.bytes += b.Bytes
	p.notes = append(p.notes, b.Notes...)
	if len(b.Raw) > 0 { // it is lent until the next batch of activities only
		if err := p.send(martsync.Batch{Raw: asides(b.Raw)}); err != nil {
			return err
		}
	}
	if b.Discard { // what was found since the last position that is certain is not
		p.at.Maybe = nil
		p.at.Sends = json.RawMessage(b.Cursor)
		return p.send(martsync.Batch{Discard: true, Cursor: p.at.cursor()})
	}
	p.find(b.Records)
	for _, q := range b.Quarantined {
		p.notes = append(p.notes, martsync.Note{Operation: "skip", Message: "an activity that says an email was sent cannot be read: " + q.Reason})
	}
	if b.Cursor == "" {
		return nil
	}
	p.at.Sends = json.RawMessage(b.Cursor)
	if b.Unverified {
		return p.send(martsync.Batch{Cursor: p.at.cursor(), Unverified: true})
	}
	p.at.Found.merge(p.at.Maybe)
	p.at.Maybe = nil
	if w := b.Window; w != nil {
		p.at.Range = &emailRange{From: secondOf(w.From), To: secondOf(w.To), Calls: w.Calls}
		return p.readEmails(ctx)
	}
	if p.quiet++; b.Records == nil || p.quiet >= sendsQuiet {
		return p.send(martsync.Batch{Cursor: p.at.cursor()})
	}
	return nil
}

// find remembers the smallest email of each list email among activities.
func (p *emailPass) find(r *martsync.Records) {
	if r == nil {
		return
	}
	schema := &p.sends.layout.schema
	list, email := &r.Columns[schema.Index("list_email_id")], &r.Columns[schema.Index("email_id")]
	for i := range r.Len {
		if list.Null(i) || email.Null(i) || p.at.Done.has(list.Ints[i]) {
			continue
		}
		if p.at.Maybe == nil {
			p.at.Maybe = pairs{}
		}
		p.at.Maybe.add(list.Ints[i], email.Ints[i])
	}
}

// readEmails reads what was found, and closes the range.
func (p *emailPass) readEmails(ctx context.Context) error {
	z, err := p.source.zone(ctx)
	if err != nil {
		return err
	}
	found, r := p.at.Found, p.at.Range
	var skipped []string
	todo := slices.Sorted(maps.Keys(found))
	for i, list := range todo {
		raw, body, err := p.email(ctx, found[list])
		r.Calls++
		switch {
		case unreadable(err):
			skipped = append(skipped, fmt.Sprintf("%d (list email %d): %v", found[list], list, causeOf(err)))
		case err != nil:
			return err
		default:
			if err := p.append(ofList(raw, list), z, func() martsync.Raw { return p.kept(found[list], list, z, body) }); err != nil {
				return err
			}
		}
		delete(found, list)
		p.at.Done.add(list)
		if (i+1)%emailsAtOnce == 0 && i+1 < len(todo) {
			p.noteSkipped(&skipped)
			if err := p.flush(martsync.Batch{Cursor: p.at.cursor()}); err != nil {
				return err
			}
		}
	}
	p.noteSkipped(&skipped)
	p.at.Found, p.at.Range = nil, nil
	return p.flush(martsync.Batch{
		Window: &martsync.Window{
			From: r.From.time(), To: r.To.time(), Filter: `{"path":"/api/email/do/read","activities":"type 6"}`,
			Records: -1, Bytes: -1, Parsed: r.Rows, Quarantined: r.Bad, Calls: r.Calls,
		},
		Cursor: p.at.cursor(),
	})
}

// email reads one email.
func (p *emailPass) email(ctx context.Context, id int64) (raw json.RawMessage, body []byte, err error) {
	return p.source.client.reply4(ctx, "read email", "/api/email/version/{v}/do/read/id/"+strconv.FormatInt(id, 10), "email",
		url.Values{"include_message": {strconv.FormatBool(p.source.plan(objectOf(emailStream)).messages)}})
}

// ofList adds the list email to the record of an email.
func ofList(raw json.RawMessage, list int64) json.RawMessage {
	return withMembers(raw, []complement{{"list_email_id", json.RawMessage(formatID(list))}})
}

// asides are bodies that no row is made of.
func asides(raw []martsync.Raw) []martsync.Raw {
	h := recipe{Kind: asideBody}
	raw = slices.Clone(raw)
	for i := range raw {
		raw[i].How = h.how()
	}
	return raw
}

// kept is the reply that told an email.
func (p *emailPass) kept(id, list int64, z *zone, body []byte) martsync.Raw {
	h := recipe{
		Kind: recordBody, API: v4, Rows: "email", Zone: z.name(), Entities: p.source.decodes(),
		Job: emailJob, Line: p.at.Range.Rows, List: list,
	}
	h.Columns = unusual(p.layout.schema.Columns, p.layout.columnsFor(v4), v4)
	return martsync.Raw{Body: "api/email/" + formatID(id) + ".json", Data: body, How: h.how()}
}

// emailJob is what emails are said to come from.
const emailJob = "emails"

// append adds one email to the rows that wait, and the reply that told it if replies are kept.
func (p *emailPass) append(raw json.RawMessage, z *zone, kept func() martsync.Raw) error {
	if p.rows.full(raw) {
		if err := p.flush(martsync.Batch{}); err != nil {
			return err
		}
	}
	if p.source.keeps {
		p.raw = append(p.raw, kept())
	}
	p.rows.from(emailJob, p.at.Range.Rows)
	p.at.Range.Rows++
	if !p.rows.append4(raw, z) {
		p.at.Range.Bad++
	}
	return nil
}

// noteSkipped lists the emails that cannot be read.
func (p *emailPass) noteSkipped(skipped *[]string) {
	if len(*skipped) > 0 {
		p.notes = append(p.notes, martsync.Note{
			Operation: "skip", Message: fmt.Sprintf("%d emails cannot be read: %s", len(*skipped), strings.Join(*skipped, "; ")),
		})
	}
	*skipped = nil
}

// flush yields b with the emails that wait.
func (p *emailPass) flush(b martsync.Batch) error {
	rows := p.rows.batch()
	b.Records, b.Quarantined = rows.Records, rows.Quarantined
	return p.send(b)
}

// send yields a batch, and the notes with it.
func (p *emailPass) send(b martsync.Batch) error {
	if !b.Discard { // a discarded batch takes its notes along
		b.Notes, p.notes = p.notes, nil
		b.Bytes, p.bytes = p.bytes, 0
		b.Raw = append(b.Raw, p.raw...)
	}
	p.raw = nil
	if b.Cursor != "" {
		p.quiet = 0
	}
	if !p.yield(b, nil) {
		return errStop
	}
	return nil
}

// causeOf is what the vendor said.
func causeOf(err error) error {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	return err
}
