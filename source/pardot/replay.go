package pardot

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// Replay makes the rows of a unit again from what the vendor sent. It makes no call and reads
// nothing of the configuration: whatever counted when the bodies arrived is in what was kept
// with them, so that it makes no difference what has been changed since.
//
// A body that completes the rows of a page comes before the page. It may be called from several
// goroutines.
func (s *source) Replay(ctx context.Context, schema martsync.Schema, bodies iter.Seq2[martsync.RawBody, error]) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		p := &replay{ctx: ctx, schema: &schema, yield: yield}
		if err := p.all(bodies); err != nil && !errors.Is(err, errStop) {
			yield(martsync.Batch{}, err)
		}
	}
}

// A replay is one Replay under way.
type replay struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one call
	schema *martsync.Schema
	yield  func(martsync.Batch, error) bool

	rows   *rowBuilder // of bodies like the last one
	rowsOf recipe
	zones  map[string]*zone
	flags  []bool

	// What completes the rows of the next page:
	values  map[int64]*joinedRow // by id
	details map[int][]complement // by position
}

// all makes the rows of all bodies.
func (p *replay) all(bodies iter.Seq2[martsync.RawBody, error]) error {
	for body, err := range bodies {
		if err != nil {
			return err // who keeps the bodies has said what is wrong
		}
		if err := p.ctx.Err(); err != nil {
			return p.fail(martsync.Transient, "", err)
		}
		if err := p.body(body); err != nil {
			return err
		}
	}
	return nil
}

// fail makes an error of this replay.
func (p *replay) fail(kind martsync.Kind, hint string, err error) error {
	return &martsync.Error{Kind: kind, Op: "pardot: replay " + strings.ReplaceAll(p.schema.Stream, "_", " "), Hint: hint, Err: err}
}

const (
	damagedHint = "What was kept is damaged or incomplete. Read the stream from the vendor again with --backfill."
	newerHint   = "A later version of martsync kept it: use that one."
)

// body makes the rows of one body.
func (p *replay) body(body martsync.RawBody) error {
	var h recipe
	d := json.NewDecoder(strings.NewReader(body.How))
	d.DisallowUnknownFields() // one that is passed over might have made other rows
	if err := d.Decode(&h); err != nil {
		return p.fail(martsync.Config, newerHint, fmt.Errorf("%s: how it is read: %w", body.Name, err))
	}
	err := p.read(&h, body)
	if _, known := errors.AsType[*martsync.Error](err); err == nil || known || errors.Is(err, errStop) {
		return err
	}
	if err := p.ctx.Err(); err != nil {
		return p.fail(martsync.Transient, "", err)
	}
	return p.fail(martsync.Data, damagedHint, fmt.Errorf("%s: %w", body.Name, err))
}

func (p *replay) read(h *recipe, body martsync.RawBody) error {
	if body.Offset != 0 {
		return fmt.Errorf("its first %d bytes are missing", body.Offset) // units hold whole bodies
	}
	switch h.Kind {
	case fileBody:
		return p.file(h, body.Data)
	case asideBody:
		_, err := io.Copy(io.Discard, body.Data)
		return err
	case pageBody, recordBody, linksBody, valuesBody, detailsBody:
	default:
		return p.fail(martsync.Config, newerHint, fmt.Errorf("%s is a %q", body.Name, h.Kind))
	}
	data, err := io.ReadAll(io.LimitReader(body.Data, mostReply+1))
	if err != nil {
		return err
	}
	rep := &reply{body: data, bytes: int64(len(data))}
	if rep.envelope, err = parse(h.API, http.StatusOK, data); err != nil {
		return err
	}
	switch h.Kind {
	case pageBody:
		return p.page(h, rep)
	case recordBody:
		return p.record(h, rep)
	case linksBody:
		return p.links(h, rep)
	case valuesBody:
		return p.keepValues(h, rep)
	default:
		return p.keepDetails(h, rep)
	}
}

// replayOp is the op of errors about replies that cannot be read again.
const replayOp = "replay"

// records are the records of a reply to a query.
func (h *recipe) records(rep *reply) ([]json.RawMessage, error) {
	var p *page
	var err error
	if h.API == v4 {
		p, err = page4Of(replayOp, rep, h.Rows)
	} else {
		p, err = page5Of(replayOp, rep)
	}
	if err != nil {
		return nil, plain(err)
	}
	return p.rows, nil
}

// record is the one of a reply to a read.
func (h *recipe) record(rep *reply) (json.RawMessage, error) {
	raw, err := record5Of(replayOp, rep)
	if h.API == v4 {
		raw, err = record4Of(replayOp, rep, h.Rows)
	}
	return raw, plain(err)
}

// plain is what is wrong with a reply, without what one would do about it if the vendor had just sent it.
func plain(err error) error {
	if e, ok := errors.AsType[*martsync.Error](err); ok {
		return e.Err
	}
	return err
}

// page makes rows of a page.
func (p *replay) page(h *recipe, rep *reply) error {
	rows, err := h.records(rep)
	if err != nil {
		return err
	}
	if h.Sent != 0 {
		rows = slices.DeleteFunc(rows, func(row json.RawMessage) bool { return !sentSince(row, h.Sent.time()) })
	}
	faces := facesOf(rows)
	rows = p.complete(rows)
	z, err := p.zone(h)
	if err != nil {
		return err
	}
	take := picker{
		b: p.builder(h), api: h.API, zone: z, need: h.Need, types: h.Types, binned: h.Deleted, flags: p.schema.Deletes,
	}
	take.b.from(h.Job, h.Line)
	read := rep.bytes
	for i, row := range rows {
		if take.b.full(row) {
			if err := p.send(take.b.batch(), read); err != nil {
				return err
			}
			read = 0
		}
		take.take(row, faces[i])
	}
	return p.send(take.b.batch(), read)
}

// record makes a row of one record.
func (p *replay) record(h *recipe, rep *reply) error {
	raw, err := h.record(rep)
	if err != nil {
		return err
	}
	z, err := p.zone(h)
	if err != nil {
		return err
	}
	b := p.builder(h)
	b.from(h.Job, h.Line)
	switch {
	case h.API == v5:
		b.append5(raw)
	case h.List != 0:
		b.append4(ofList(raw, h.List), z)
	default:
		b.append4(raw, z)
	}
	return p.send(b.batch(), rep.bytes)
}

// links makes pairs of the opportunities of a page.
func (p *replay) links(h *recipe, rep *reply) error {
	rows, err := h.records(rep)
	if err != nil {
		return err
	}
	pass := linkPass{
		builder: columns.NewBuilder(p.schema.Columns), at: linkPosition{After: h.After, Rows: h.Line}, bytes: rep.bytes,
		yield: func(b martsync.Batch, err error) bool { return p.yield(b, err) },
	}
	for _, raw := range rows {
		if err := pass.take(raw); err != nil {
			return err
		}
	}
	return pass.flush(martsync.Batch{})
}

// file makes rows of a file.
func (p *replay) file(h *recipe, data io.Reader) error {
	z, err := p.zone(h)
	if err != nil {
		return err
	}
	table := fileTable{
		columns: h.columns(p.schema.Columns), bin: p.schema.Index(h.Bin), apart: h.Apart, binned: h.Deleted,
		deletes: p.schema.Deletes, zone: z, job: h.Job, flags: p.flags, types: h.Types,
	}
	r := bufio.NewReaderSize(data, headerMost)
	line, err := r.ReadSlice('\n')
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case len(line) == 0: // a file of no bytes
		return nil
	}
	header, err := parseHeader(line)
	if err != nil {
		return err
	}
	err = table.read(p.ctx, r, header, func(part filePart) error { return p.send(part.batch, part.batch.Bytes) })
	p.flags = table.flags
	return err
}

// zone is that of a body; nil: its times have offsets.
func (p *replay) zone(h *recipe) (*zone, error) {
	if h.Zone == "" {
		return nil, nil //nolint:nilnil // no zone is needed
	}
	if z := p.zones[h.Zone]; z != nil {
		return z, nil
	}
	loc, err := loadZone(h.Zone)
	if err != nil {
		return nil, p.fail(martsync.Config, "The time zones that this machine knows are older than what was kept: update them.", err)
	}
	if p.zones == nil {
		p.zones = map[string]*zone{}
	}
	p.zones[h.Zone] = &zone{loc: loc}
	return p.zones[h.Zone], nil
}

// builder is the builder for rows of a body.
func (p *replay) builder(h *recipe) *rowBuilder {
	same := p.rowsOf.API == h.API && p.rowsOf.Entities == h.Entities && maps.Equal(p.rowsOf.Columns, h.Columns)
	if p.rows == nil || !same {
		p.rows, p.rowsOf = newRowBuilder(h.columns(p.schema.Columns), h.Entities), *h
	}
	return p.rows
}

// send yields rows that came from so many bytes.
func (p *replay) send(b martsync.Batch, read int64) error {
	b.Bytes = read
	if !p.yield(b, nil) {
		return errStop
	}
	if err := p.ctx.Err(); err != nil {
		return p.fail(martsync.Transient, "", err)
	}
	return nil
}
