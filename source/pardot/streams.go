package pardot

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

// A reading is what the configuration chose for a stream.
type reading struct {
	api     version // of queries
	read    way     // byQuery, byExport, or byAuto: exports for long ranges, queries for short ones
	exports version // of export jobs

	overlap time.Duration // how far back each read begins
	every   time.Duration // least time between two listings of everything, for streams that are listed whole
	sweep   time.Duration // least time between two sweeps; negative: off

	types    []string      // kinds wanted; empty: all. Of tagged objects in the words of version 5, of activities numbers
	stats    bool          // list_emails: with what became of them
	statsFor time.Duration // how long after they were sent
	messages bool          // with the texts of emails
}

// defaultSweep makes sweeps come once a day, at syncs that come at about the same time each day.
const defaultSweep = Sweep(20 * time.Hour)

// defaultEvery is how often streams are listed whole that cost many calls, unless the configuration
// says so. The others are listed at each sync.
var defaultEvery = map[string]time.Duration{"opportunity_prospects": 24 * time.Hour}

// plan is what the configuration chose for a stream.
func (s *source) plan(o *object) reading {
	c := s.cfg.Streams[o.stream]
	r := reading{
		api:      o.prefer,
		read:     setting.Or(way(c.Read), byAuto),
		exports:  setting.Or(version(s.cfg.Exports.API), v4),
		overlap:  time.Duration(setting.Or(c.Overlap, setting.Or(s.cfg.Overlap, setting.Duration(defaultOverlap)))),
		every:    setting.Or(time.Duration(c.Every), defaultEvery[o.stream]),
		sweep:    time.Duration(setting.Or(c.Sweep, setting.Or(s.cfg.Sweep, defaultSweep))),
		stats:    c.Stats == nil || *c.Stats,
		statsFor: time.Duration(setting.Or(c.StatsFor, setting.Duration(defaultStatsFor))),
		messages: o.stream == listEmailStream,
	}
	if api := version(c.API); api != "" && o.has(api) {
		r.api = api
	}
	if c.Messages != nil {
		r.messages = *c.Messages
	}
	for _, t := range c.Types {
		r.types = append(r.types, tagKind(t))
	}
	if !o.exports(r.exports) || r.read == byAuto && !o.export.auto {
		r.read = byQuery
	}
	return r
}

// checkStreams reports the first setting of a stream that asks for what the vendor does not have.
func (c Config) checkStreams() error {
	exports := setting.Or(version(c.Exports.API), v4)
	for _, name := range slices.Sorted(maps.Keys(c.Streams)) {
		o, s := objectOf(name), c.Streams[name]
		at := "streams." + name + "."
		switch {
		case s.API != "" && !o.has(version(s.API)):
			return configError(at+"api is "+s.API+", which does not have them", "Leave api out.")
		case s.Read == string(byExport) && o.export == nil:
			return configError(at+"read is export, but they cannot be exported", "Leave read out.")
		case s.Read == string(byExport) && !o.exports(exports):
			return configError(fmt.Sprintf("%sread is export, but exports of %s do not have them", at, exports), "Set exports.api to the other version, or leave read out.")
		case len(s.Types) > 0 && name != tagObjectStream && name != activityStream:
			return configError(at+"types is set", "It is a setting of "+tagObjectStream+" and "+activityStream+".")
		case (s.Stats != nil || s.StatsFor != 0) && name != listEmailStream:
			return configError(at+"stats or stats_for is set", "They are settings of "+listEmailStream+".")
		case s.Messages != nil && name != listEmailStream && name != emailStream:
			return configError(at+"messages is set", "It is a setting of "+listEmailStream+" and "+emailStream+".")
		}
	}
	return nil
}

const tagObjectStream = "tag_objects"

// Streams lists what can be read, in the order of the catalog. What an account does not have is
// listed too: asking for each would cost calls, and reading it says so.
func (s *source) Streams(ctx context.Context) ([]martsync.Stream, error) {
	streams := make([]martsync.Stream, 0, len(catalog))
	for _, o := range catalog {
		st, err := s.newStream(ctx, o)
		switch {
		case concernsAll(err):
			return nil, err
		case err != nil: // the others must not wait for this one
			st = &brokenStream{schema: makeLayout(o, s.plan(o), nil).schema, err: err}
		}
		streams = append(streams, st)
	}
	return streams, nil
}

// newStream makes the stream of an object.
func (s *source) newStream(ctx context.Context, o *object) (martsync.Stream, error) {
	switch {
	case o.single:
		return newAccounts(s), nil
	case o == opportunityProspectObject:
		return newOpportunityProspects(s), nil
	case o.stream == emailStream && s.plan(o).api == v4:
		return newEmails4(s), nil
	}
	l, err := s.layout(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.stream == listEmailStream {
		return newListEmails(s, o, l), nil
	}
	return newStream(s, o, l), nil
}

// A brokenStream is one whose columns could not be learned.
type brokenStream struct {
	schema martsync.Schema
	err    error
}

// Schema describes what is known of the records.
func (b *brokenStream) Schema() martsync.Schema { return b.schema }

// Read says what went wrong.
func (b *brokenStream) Read(context.Context, martsync.Cursor, martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) { yield(martsync.Batch{}, b.err) }
}
