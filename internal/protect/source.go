package protect

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/martsync/martsync"
)

// Source wraps a source. The wrapper has the abilities of the source (martsync.As), but for Replayer: what the vendor
// sent cannot be kept without the values.
func (p *Protection) Source(s martsync.Source) martsync.Source {
	if pruner, ok := martsync.As[martsync.Pruner](s); ok {
		pruner.Prune(func(stream string, c martsync.Column) bool {
			return p.drops(stream, &c)
		})
	}
	return &source{Source: s, rules: p}
}

type source struct {
	martsync.Source
	rules *Protection
}

// Unwrap returns the source for the abilities that do not show records.
func (s *source) Unwrap(ability any) martsync.Source {
	if _, ok := ability.(*martsync.Replayer); ok {
		return nil
	}
	return s.Source
}

// Streams lists those of the source. A rule that names no column of any stream is an error: it may be a misspelt one
// that was to hide something.
func (s *source) Streams(ctx context.Context) ([]martsync.Stream, error) {
	inner, err := s.Source.Streams(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // it is passed on
	}
	schemas := make([]martsync.Schema, len(inner))
	for i, st := range inner {
		schemas[i] = st.Schema()
	}
	echoes, err := s.echoes(ctx, schemas)
	if err != nil {
		return nil, err
	}
	streams := make([]martsync.Stream, len(inner))
	for i, st := range inner {
		l, err := s.rules.plan(schemas[i], echoes[schemas[i].Stream])
		if err != nil {
			return nil, err
		}
		streams[i] = &stream{Stream: st, rules: s.rules, plan: l}
	}
	return streams, s.rules.misspelt(schemas)
}

// misspelt returns an error if a rule of hash or include names nothing. (A column to leave out may be missing because
// the source does not even ask for it.)
func (p *Protection) misspelt(schemas []martsync.Schema) error {
	for _, t := range append(append([]pattern{}, p.hash...), p.include...) {
		known := slices.ContainsFunc(schemas, func(s martsync.Schema) bool {
			return slices.ContainsFunc(s.Columns, func(c martsync.Column) bool { return t.is(s.Stream, &c) })
		})
		if !known {
			return &martsync.Error{
				Kind: martsync.Config, Op: "columns", Err: fmt.Errorf("no stream of the account has a column %q", t.text),
				Hint: "Names of columns are those that martsync streams shows. Nothing is read before the rule fits, lest something goes on that it was to hide.",
			}
		}
	}
	return nil
}

// echoes are the places, by stream, where values of the columns show that are left out or hashed.
func (s *source) echoes(ctx context.Context, schemas []martsync.Schema) (map[string][]echo, error) {
	echoer, ok := martsync.As[martsync.Echoer](s.Source)
	if !ok {
		return nil, nil
	}
	found := map[string][]echo{}
	for i := range schemas {
		sch := &schemas[i]
		all, err := echoer.Echoes(ctx, sch.Stream, func(c martsync.Column) bool {
			return s.rules.drops(sch.Stream, &c) || s.rules.hashes(sch.Stream, &c)
		})
		if err != nil {
			return nil, fmt.Errorf("find where columns of %s show: %w", sch.Stream, err)
		}
		for _, e := range all {
			found[e.Stream] = append(found[e.Stream], echo{e, s.rules.hashes(sch.Stream, &e.Of) && !s.rules.drops(sch.Stream, &e.Of)})
		}
	}
	return found, nil
}

// A stream is one of the source, as far as it goes on.
type stream struct {
	martsync.Stream
	rules *Protection
	plan  *plan
}

func (s *stream) Schema() martsync.Schema { return s.plan.to }

func (s *stream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		f := s.rules.filter(s.plan)
		for b, err := range s.Stream.Read(ctx, from, span) {
			if err == nil {
				b.Quarantined, b.Raw = f.quarantined(b.Quarantined), nil
				b.Records, err = f.records(b.Records)
			}
			if err != nil {
				yield(martsync.Batch{}, err)
				return
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// Lookup reads records as Read does.
func (s *source) Lookup(ctx context.Context, name string, ids, fields []string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	look, ok := martsync.As[martsync.Lookuper](s.Source)
	if !ok {
		return martsync.Schema{}, nil, fmt.Errorf("look up %s: %w", name, martsync.ErrUnsupported)
	}
	schema, records, err := look.Lookup(ctx, name, ids, fields)
	if err != nil {
		return schema, nil, err //nolint:wrapcheck // it is passed on
	}
	all, err := s.Source.Streams(ctx)
	if err != nil {
		return schema, nil, err //nolint:wrapcheck // it is passed on
	}
	schemas := make([]martsync.Schema, len(all))
	for i, st := range all {
		schemas[i] = st.Schema()
	}
	echoes, err := s.echoes(ctx, schemas)
	if err != nil {
		return schema, nil, err
	}
	l, err := s.rules.plan(schema, echoes[name])
	if err != nil {
		return schema, nil, err
	}
	f := s.rules.filter(l)
	return l.to, func(yield func(*martsync.Records, error) bool) {
		for r, err := range records {
			if err == nil {
				r, err = f.records(r)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}, nil
}

// Views are those of the source without the columns that are left out.
func (s *source) Views(ctx context.Context) ([]martsync.View, error) {
	viewer, ok := martsync.As[martsync.Viewer](s.Source)
	if !ok {
		return nil, nil
	}
	views, err := viewer.Views(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // it is passed on
	}
	streams, err := s.Streams(ctx)
	if err != nil {
		return nil, err
	}
	plans := map[string]*plan{}
	for _, st := range streams {
		if st, ok := st.(*stream); ok {
			plans[st.plan.to.Stream] = st.plan
		}
	}
	for i := range views {
		v := &views[i]
		v.Columns = slices.DeleteFunc(slices.Clone(v.Columns), func(c martsync.ViewColumn) bool {
			of := v.From
			if c.Joined && v.Join != nil {
				of = v.Join.Stream
			}
			return plans[of].lacks(c)
		})
		for k := range v.Columns {
			if c := &v.Columns[k]; c.Key != "" && !c.Joined && plans[v.From].hides(*c) {
				c.Type = martsync.String
			}
		}
	}
	return views, nil
}

// lacks reports whether what a view's column shows is left out.
func (l *plan) lacks(c martsync.ViewColumn) bool {
	if l == nil {
		return false
	}
	i := l.to.Index(c.Column)
	if i < 0 {
		return l.from.Index(c.Column) >= 0
	}
	return c.Key != "" && slices.ContainsFunc(l.columns[i].edits, func(e memberRule) bool {
		return !e.hide && len(e.where) == 0 && matches(e.member, c.Key)
	})
}

// hides reports whether a view's column shows hashes, which are text.
func (l *plan) hides(c martsync.ViewColumn) bool {
	if l == nil {
		return false
	}
	i := l.to.Index(c.Column)
	return i >= 0 && slices.ContainsFunc(l.columns[i].edits, func(e memberRule) bool { return e.hide && matches(e.member, c.Key) })
}
