package marketo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/csvfile"
)

// Replay makes the records of a unit again from its bodies. It takes them through the same code as they
// took when they arrived; what was decided then by what else was known stands in Raw.How. The source's
// configuration plays no part, and no call is made.
func (s *source) Replay(ctx context.Context, schema martsync.Schema, bodies iter.Seq2[martsync.RawBody, error]) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		p, err := s.newReplay(schema, yield)
		if err == nil {
			err = p.unit(ctx, bodies)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(martsync.Batch{}, err)
		}
	}
}

// A replay is one call of Replay. Which of its fields are used follows from the kinds of the bodies.
type replay struct {
	run     *run // only its schema and its yield count
	parts   []*partSpec
	log     *rowWriter    // of feeds
	pages   *pageReader   // of listings
	shaped  *shapedReader // of those that are read whole, and of tokens
	members *memberPass
}

func (s *source) newReplay(schema martsync.Schema, yield func(martsync.Batch, error) bool) (*replay, error) {
	p := &replay{run: &run{rangeStream: &rangeStream{src: s, schema: schema}, yield: yield}}
	p.log = newRowWriter(p.run, "")
	p.pages = newPageReader(schema.Columns)
	p.members = &memberPass{builder: columns.NewBuilder(schema.Columns), yield: yield, at: memberPosition{}}
	if of := shapeOf(schema.Stream); of != nil {
		p.shaped = newShapedReader(&schema, of)
	}
	switch schema.Stream {
	case "leads":
		if len(schema.Key) != 1 {
			return nil, p.refuse("", fmt.Errorf("the recorded key of leads is %v, not one column", schema.Key))
		}
		p.parts = s.leadParts(&schema, nil)
	case "activities":
		p.rangeStream(newActivities(s, nil))
	case "deleted_leads":
		p.rangeStream(newDeletedLeads(s, nil))
	case "lead_merges":
		p.rangeStream(newLeadMerges(s, nil))
	case programStream:
		if len(schema.Key) != 2 {
			return nil, p.refuse("", fmt.Errorf("the recorded key of program members is %v, not two columns", schema.Key))
		}
		log, files := memberParts(&schema, nil)
		p.parts = []*partSpec{log, files}
	default:
		if strings.HasPrefix(schema.Stream, customPrefix) {
			o := customObject(strings.TrimPrefix(schema.Stream, customPrefix))
			p.parts = []*partSpec{{name: "records", object: o}, {name: "all", object: o}}
		}
	}
	return p, nil
}

// rangeStream makes the rows of the stream as it is today fit the recorded schema.
func (p *replay) rangeStream(today *rangeStream) {
	p.parts = today.parts
	recorded := p.run.schema.Columns
	pick, same := make([]int, len(recorded)), len(recorded) == len(today.schema.Columns)
	for i, c := range recorded {
		pick[i] = today.schema.Index(c.Name)
		same = same && pick[i] == i
	}
	if !same {
		p.run.pick = pick
		p.log.pick = pick
	}
}

// unit reads all bodies.
func (p *replay) unit(ctx context.Context, bodies iter.Seq2[martsync.RawBody, error]) error {
	for b, err := range bodies {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return p.failed(b.Name, err)
		}
		if err := p.body(ctx, b); err != nil {
			return err
		}
	}
	return p.flush()
}

func (p *replay) body(ctx context.Context, b martsync.RawBody) error {
	var h how
	if err := json.Unmarshal([]byte(b.How), &h); err != nil {
		return p.refuse(b.Name, fmt.Errorf("how to read it: %w", err))
	}
	if b.Offset != 0 {
		return p.refuse(b.Name, fmt.Errorf("it begins at byte %d, and no part of a file is ever committed without the rest", b.Offset))
	}
	switch h.Kind {
	case exportFile:
		if err := p.flush(); err != nil {
			return err
		}
		return p.file(ctx, b, h)
	case listPage:
		return nil
	case keyFile:
		return nil
	case feedPage, listingPage, memberPage, keyedPage, leadReply:
	default:
		return p.refuse(b.Name, fmt.Errorf("it is of an unknown kind %q", h.Kind))
	}
	env, err := p.envelope(b)
	if err != nil {
		return err
	}
	switch h.Kind {
	case feedPage:
		return p.feed(b, h, env)
	case leadReply:
		return p.leads(b, h, env)
	case memberPage:
		return p.list(b, h, env)
	case keyedPage:
		return p.keyed(h, env)
	default:
		return p.listing(h, env)
	}
}

// envelope reads a page.
func (p *replay) envelope(b martsync.RawBody) (*envelope, error) {
	text, err := io.ReadAll(io.LimitReader(b.Data, maxReply+1))
	if err != nil {
		return nil, p.failed(b.Name, err)
	}
	env, err := parse(200, text)
	if err != nil {
		return nil, p.refuse(b.Name, err)
	}
	return env, nil
}

// part finds how a part of the stream is read.
func (p *replay) part(b martsync.RawBody, h how, fit func(*partSpec) bool) (*partSpec, error) {
	i := slices.IndexFunc(p.parts, func(spec *partSpec) bool { return spec.name == h.Part && fit(spec) })
	if i < 0 {
		return nil, p.refuse(b.Name, fmt.Errorf("it is of a part %q that the stream does not read in this way", h.Part))
	}
	return p.parts[i], nil
}

// file yields the records of an export file.
func (p *replay) file(ctx context.Context, b martsync.RawBody, h how) error {
	spec, err := p.part(b, h, func(s *partSpec) bool { return s.object != nil })
	if err != nil {
		return err
	}
	rows, at := newFileRows(p.run, spec, h.Job), int64(0)
	for chunk, err := range csvfile.Read(ctx, b.Data, spec.fileOptions(&p.run.schema)) {
		if err != nil {
			return p.failed(b.Name, err)
		}
		batch, _, _, err := rows.take(ctx, &chunk)
		if err != nil {
			return err
		}
		batch.Bytes = chunk.Offset - at
		at = chunk.Offset
		if batch.Records == nil && len(batch.Quarantined) == 0 {
			continue
		}
		if err := p.run.send(batch); err != nil {
			return err
		}
		rows.reset()
	}
	return nil
}

// feed gathers the rows of a page of the log.
func (p *replay) feed(b martsync.RawBody, h how, env *envelope) error {
	spec, err := p.part(b, h, func(s *partSpec) bool { return s.pages != nil })
	if err != nil {
		return err
	}
	if err := p.run.take(spec, p.log, &feed{window: window{From: h.From, To: h.To}}, env); err != nil {
		return err
	}
	if p.log.b.Len() < feedRows {
		return nil
	}
	return p.flush()
}

// leads gathers the rows of leads that were read by id.
func (p *replay) leads(b martsync.RawBody, h how, env *envelope) error {
	spec, err := p.part(b, h, func(s *partSpec) bool { return s.pages != nil && s.pages.leads != nil })
	if err != nil {
		return err
	}
	if err := spec.pages.leads.rows(p.log, env, h); err != nil {
		return err
	}
	if p.log.b.Len() < feedRows {
		return nil
	}
	return p.flush()
}

// listing yields the records of a page of assets or campaigns.
func (p *replay) listing(h how, env *envelope) error {
	if p.shaped != nil {
		return p.shapedPage(h, env)
	}
	if h.One {
		complete(env, p.run.schema.Columns)
	}
	bad := p.pages.again(env, h.Line, h.Passed)
	batch := p.pages.flush()
	batch.Quarantined, batch.Bytes = bad, env.Bytes
	if batch.Records == nil && len(bad) == 0 {
		return nil
	}
	err := p.run.send(batch)
	p.pages.builder.Reset()
	return err
}

// shapedPage yields the rows of a page of a listing that is read whole.
func (p *replay) shapedPage(h how, env *envelope) error {
	t, err := p.shaped.again(page{env: env, line: h.Line, parent: h.Parent}, h.Passed), error(nil)
	send := func(b martsync.Batch) bool {
		err = p.run.send(b)
		return err == nil
	}
	if p.shaped.emit(&t, send) {
		p.shaped.flush(send)
	}
	return err
}

// keyed yields the records of a page of companies, opportunities and the like.
func (p *replay) keyed(h how, env *envelope) error {
	if len(p.run.schema.Key) != 1 {
		return p.refuse("", fmt.Errorf("the recorded key is %v, not one column", p.run.schema.Key))
	}
	_, bad := keyedRows(p.pages.builder, p.run.schema.Key[0], env, h.Line)
	batch := p.pages.flush()
	batch.Quarantined, batch.Bytes = bad, env.Bytes
	if batch.Records == nil && len(bad) == 0 {
		return nil
	}
	err := p.run.send(batch)
	p.pages.builder.Reset()
	return err
}

// list takes a page of the members of a list, and makes rows of them at its end.
func (p *replay) list(b martsync.RawBody, h how, env *envelope) error {
	if len(p.run.schema.Columns) != 2 {
		return p.refuse(b.Name, fmt.Errorf("the recorded schema has %d columns, not a list and a lead", len(p.run.schema.Columns)))
	}
	m := p.members
	if m.id != h.List {
		if m.bad != nil && !m.flush(martsync.Batch{}) {
			return errStopped
		}
		m.begin(h.List)
	}
	m.bytes += env.Bytes
	ok := m.take(env)
	if h.End != "" {
		if h.End == endsInRows {
			ok = ok && m.rows(h.List, m.sorted())
		}
		m.id, m.held = 0, nil // what waits goes before the next list, or at the end
	}
	if !ok {
		return errStopped
	}
	return nil
}

// flush yields what has been gathered.
func (p *replay) flush() error {
	if p.log.b.Len() > 0 || len(p.log.quarantined) > 0 {
		if err := p.run.send(p.log.batch()); err != nil {
			return err
		}
		p.log.reset()
	}
	if m := p.members; (m.builder.Len() > 0 || m.bad != nil) && !m.flush(martsync.Batch{}) {
		return errStopped
	}
	return nil
}

// failed is an error that came in the way of a body.
func (p *replay) failed(body string, err error) error {
	return &martsync.Error{Kind: martsync.KindOf(err), Op: "marketo: replay " + p.run.schema.Stream, Err: fmt.Errorf("%s: %w", body, err)}
}

// refuse is an error for a body that cannot be what was kept.
func (p *replay) refuse(body string, err error) error {
	if body != "" {
		err = fmt.Errorf("%s: %w", body, err)
	}
	return &martsync.Error{
		Kind: martsync.Data, Op: "marketo: replay " + p.run.schema.Stream, Err: err,
		Hint: "What was kept is damaged, or a newer version kept it.",
	}
}
