package pardot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"regexp"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// A proof compares what batches have with what replaying makes of the bodies they came from.
type proof struct {
	t      testing.TB
	schema martsync.Schema
	tap    *tap // nil: nobody knows what the vendor sent

	bodies []keptBody // of the unit
	made   replayed   // of it

	rows  int            // so far
	names map[string]int // of bodies
}

type keptBody struct {
	name, how string
	data      []byte
}

// replayed is what a unit makes, as text.
type replayed struct {
	Rows []string
	Bad  []martsync.Quarantined
}

func (r *replayed) add(s *martsync.Schema, b *martsync.Batch) {
	if b.Records != nil {
		for i, cells := range rows.Of(s.Columns, b.Records) {
			r.Rows = append(r.Rows, fmt.Sprintf("%#v deleted: %v", cells, rows.Deleted(b.Records, i)))
		}
	}
	r.Bad = append(r.Bad, b.Quarantined...)
}

// add takes a batch. A unit is compared at its end.
func (p *proof) add(b martsync.Batch) {
	p.t.Helper()
	if b.Discard {
		if b.Raw != nil {
			p.t.Errorf("%s: a batch that discards has a body", p.schema.Stream)
		}
		p.forget()
		return
	}
	for _, r := range b.Raw {
		p.piece(r)
	}
	p.made.add(&p.schema, &b)
	if b.Cursor != "" && !b.Unverified {
		p.end()
	}
}

// forget drops a unit that did not come to its end.
func (p *proof) forget() { p.bodies, p.made = nil, replayed{} }

func (p *proof) piece(r martsync.Raw) {
	p.t.Helper()
	if r.Offset == 0 {
		p.bodies = append(p.bodies, keptBody{r.Body, r.How, nil})
		if secretText.MatchString(r.Body + r.How) {
			p.t.Errorf("%s: something about a secret in %s: %s", p.schema.Stream, r.Body, r.How)
		}
	}
	last := len(p.bodies) - 1
	if last < 0 || p.bodies[last].name != r.Body || int64(len(p.bodies[last].data)) != r.Offset {
		p.t.Errorf("%s: a piece of %s at %d does not go on where the last one ended", p.schema.Stream, r.Body, r.Offset)
		return
	}
	p.bodies[last].data = append(p.bodies[last].data, r.Data...)
}

// end replays the unit.
func (p *proof) end() {
	p.t.Helper()
	defer p.forget()
	names := map[string]bool{}
	for _, b := range p.bodies {
		if names[b.name] {
			p.t.Errorf("%s: two bodies of a unit are called %s", p.schema.Stream, b.name)
		}
		names[b.name] = true
		p.checkBytes(b)
	}
	got, err := replayBodies(p.t.Context(), p.schema, p.bodies)
	if err != nil {
		p.t.Errorf("%s: replay %d bodies: %v", p.schema.Stream, len(p.bodies), err)
		return
	}
	if diff := cmp.Diff(p.made, got); diff != "" {
		p.t.Errorf("%s: %d bodies (-read +replayed):\n%s", p.schema.Stream, len(p.bodies), diff)
	}
	p.rows += len(got.Rows) + len(got.Bad)
}

// checkBytes compares a body with what the vendor sent.
func (p *proof) checkBytes(b keptBody) {
	p.t.Helper()
	if p.names == nil {
		p.names = map[string]int{}
	}
	p.names[b.name]++
	if p.tap == nil || len(b.data) == 0 {
		return
	}
	sum := sha256.Sum256(b.data)
	if !p.tap.saw(hex.EncodeToString(sum[:])) {
		p.t.Errorf("%s: the vendor did not send the %d bytes of %s", p.schema.Stream, len(b.data), b.name)
	}
}

// replayBodies replays with a source that has neither a configuration nor a connection.
func replayBodies(ctx context.Context, schema martsync.Schema, bodies []keptBody) (made replayed, err error) {
	for b, err := range new(source).Replay(ctx, schema, feed(bodies)) {
		if err != nil {
			return made, err
		}
		if b.Cursor != "" || b.Window != nil || b.Complete != nil || b.Census != nil || b.Notes != nil || b.Raw != nil {
			return made, fmt.Errorf("a batch has more than rows: %+v", b)
		}
		made.add(&schema, &b)
		rows.Poison(b.Records)
	}
	return made, nil
}

func feed(bodies []keptBody) iter.Seq2[martsync.RawBody, error] {
	return func(yield func(martsync.RawBody, error) bool) {
		for _, b := range bodies {
			if !yield(martsync.RawBody{Name: b.name, How: b.how, Data: iotest.HalfReader(bytes.NewReader(b.data))}, nil) {
				return
			}
		}
	}
}

// A proven stream is read as it is, and what it yields is proven meanwhile.
type provenStream struct {
	martsync.Stream

	t      testing.TB
	tap    *tap
	proved func(*proof)
}

func (s provenStream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		p := &proof{t: s.t, schema: s.Schema(), tap: s.tap}
		if s.proved != nil {
			defer s.proved(p)
		}
		for b, err := range s.Stream.Read(ctx, from, span) {
			if err == nil {
				p.add(b)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// proven returns a stream of this package that keeps what the vendor sends and proves it.
func proven(t testing.TB, st martsync.Stream) martsync.Stream {
	switch s := st.(type) {
	case *stream:
		s.src.keeps = true
	case *freshStream:
		s.src.keeps = true
	case *accountStream:
		s.source.keeps = true
	case *emails4Stream:
		s.source.keeps = true
	case *opportunityProspectStream:
		s.source.keeps = true
	default:
		return st
	}
	return provenStream{Stream: st, t: t}
}

// A provenSource proves all of its streams.
type provenSource struct {
	*source

	t   testing.TB
	tap *tap

	mu     sync.Mutex
	rows   int
	bodies map[string]int // by name
}

func (s *provenSource) Streams(ctx context.Context) ([]martsync.Stream, error) {
	s.KeepRaw()
	s.bodies = map[string]int{}
	all, err := s.source.Streams(ctx)
	for i, st := range all {
		all[i] = provenStream{Stream: st, t: s.t, tap: s.tap, proved: func(p *proof) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.rows += p.rows
			for name, n := range p.names {
				s.bodies[name] += n
			}
		}}
	}
	return all, err
}

// secretText is what no recipe and no name may look like.
var secretText = regexp.MustCompile(`(?i)bearer|token|secret|password|00D!`)
