package marketo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// An object is a kind of record that the vendor exports in bulk. Marketo REST API, Bulk
// Extract. Another one is another row in the table below and a stream that uses it.
type object struct {
	noun string // in errors: "lead"
	dir  string // below /bulk/v1: "leads"
	key  string // the vendor's name of the key, the first field of every file

	// filter makes the filter of the create call.
	filter func(window, exportOptions) exportFilter
}

// exportOptions are what else than its window decides about an export.
type exportOptions struct {
	by       string     // leads and program members: the date filter
	types    []int      // activities: only these types; nil: all
	programs []int64    // program members: of these
	reach    second     // custom objects: what was updated up to this moment, beyond the window; 0: nothing more
	updated  *dateRange // program members: only those updated then, where that filter exists; nil: all
}

var (
	leadObject = &object{
		noun: "lead", dir: "leads", key: "id",
		filter: func(w window, o exportOptions) exportFilter { return exportFilter{o.by: w.wire()} },
	}
	activityObject = &object{
		noun: "activity", dir: "activities", key: "marketoGUID",
		filter: func(w window, o exportOptions) exportFilter {
			f := exportFilter{"createdAt": w.wire()}
			if o.types != nil {
				f["activityTypeIds"] = o.types
			}
			return f
		},
	}
)

func (o *object) path(elem ...string) string {
	return "/bulk/v1/" + o.dir + "/export/" + strings.Join(elem, "/")
}

func (o *object) list() string { return "/bulk/v1/" + o.dir + "/export.json" }

// bulkStreams lists the streams that are read in time ranges.
func (s *source) bulkStreams(ctx context.Context) ([]martsync.Stream, error) {
	return s.rangeStreams(ctx, newDispatcher())
}

func (s *source) rangeStreams(ctx context.Context, d *dispatcher) ([]martsync.Stream, error) {
	var first martsync.Stream
	leads, err := newLeads(ctx, s, d)
	if err == nil {
		first = leads
	} else {
		// Without the permission there are no leads; that is no reason to read nothing else.
		if err = s.permitted(ctx, err); martsync.KindOf(err) != martsync.Unavailable {
			return nil, err
		}
		first = newAbsent(martsync.Schema{
			Stream: leadStream, Key: []string{"id"}, Deletes: true,
			Columns: []martsync.Column{{Name: "id", Type: martsync.Int64, Origin: "id"}},
		}, err)
	}
	return []martsync.Stream{first, newActivities(s, d), newDeletedLeads(s, d), newLeadMerges(s, d)}, nil
}

// A partSpec says how one part of a stream is read.
type partSpec struct {
	name string

	// By export job; object is nil where there is no such way.
	object  *object
	fields  []string                             // what jobs ask for, key first
	columns []martsync.Column                    // of the file; nil: those of the schema
	types   func(context.Context) ([]int, error) // restricts the job to activity types; nil: no restriction

	// convert makes other rows of the file's; nil: they are the stream's.
	convert func(context.Context, *rowWriter, *martsync.Records) error

	added    int                            // fields at the beginning that the vendor puts into the file by itself
	shared   string                         // what its jobs export, which other streams may need, too; "": nobody does
	kind     bodyKind                       // of the files; "": exportFile
	prepare  func(*exportOptions, window)   // adds to the options of a job
	covers   func(window) (from, to second) // what a window means where it is not a range of time
	reach    func(window) second            // how far beyond its end a window's job exports; nil: not at all; see job.Reach
	complete func(window) *martsync.Scope   // what a file is all of that has been read, unless it had a misfit; nil: nothing
	listed   bool                           // what is gone shows in a listing, for which quarantine matters: see position.Stray

	// Page by page; pages is nil where there is no such way.
	pages *pages

	way     way           // what the operator asked for; "": the cheaper one
	overlap time.Duration // see reread
	learns  bool          // the overlap is what is measured, and this one until something has been; see lateness
	keeps   time.Duration // how long the vendor keeps what is read; 0: for longer than anyone waits

	thrifty bool            // reading again is dear however few pages it takes: each row leads to more
	only    func(*run) bool // whether the run needs the part; nil: each does
	sweeps  bool            // goes through everything again and again; see sweep

	// fromNow is set for parts that matter only to what the stream has already delivered: the
	// first run starts them at the present, not at the stream's beginning.
	fromNow bool
}

// A rangeStream is a stream that is read in time ranges, by export jobs or page by page.
type rangeStream struct {
	src    *source
	jobs   *dispatcher
	schema martsync.Schema
	parts  []*partSpec

	longest     time.Duration // of a window; 0: as long as the vendor allows
	counted     bool          // its windows count something else than seconds
	cursorEvery int64         // bytes of a file between two cursors to resume from
	parked      *quotaError   // why no job was started; nil: nothing
	parkedUntil second
	fast        time.Duration // by how much this machine's clock has turned out to be ahead of the vendor's; see ahead
}

// Schema describes the records.
func (s *rangeStream) Schema() martsync.Schema { return s.schema }

// Read yields what follows after from.
func (s *rangeStream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		r := &run{rangeStream: s, span: span, yield: yield}
		err := s.src.permitted(ctx, r.read(ctx, from))
		if martsync.KindOf(err) != martsync.Pending {
			s.jobs.done(s.schema.Stream)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(martsync.Batch{}, err)
		}
	}
}

// errStopped ends a read whose consumer has had enough.
var errStopped = errors.New("the reader stopped")

// staleRun is how far a run that was resumed may end behind the present without another run
// being started for the rest at once.
const staleRun = 6 * time.Hour

// A run is one call of Read. Of a run over several reads only the position lives on.
type run struct {
	*rangeStream
	span  martsync.Span
	yield func(martsync.Batch, error) bool

	pos       *position
	notes     []martsync.Note
	pick      []int          // see rowWriter
	raw       []martsync.Raw // pages whose rows have not been yielded yet
	rawBytes  int
	dirty     bool     // pos has changed since it was last yielded
	delivered bool     // rows, or bytes they may come from, have been yielded since the last verified cursor
	born      *job     // created by this read: it cannot have been enqueued yet
	discarded func()   // hears that what was yielded has been taken back; nil: nobody
	doubted   bool     // it has been noted that leads cannot be read by id
	count     *counter // of the pages that are being read; nil: they are not counted
	stray     int64    // lines of gathered files that are in quarantine
	bound     second   // where the windows under way end if not with the run; 0: with the run
	once      bool     // a run that was resumed is the only one of this read, however far behind it ends
	hangUp    func()   // closes the download under way, which goes on where it was; nil: there is none
}

func (r *run) read(ctx context.Context, from martsync.Cursor) error {
	if err := r.from(from); err != nil {
		return err
	}
	return r.advance(ctx)
}

// from takes up a position.
func (r *run) from(c martsync.Cursor) error {
	r.pos = &position{V: positionVersion, Parts: map[string]*part{}}
	if c != "" {
		var err error
		if r.pos, err = parsePosition(r.schema.Stream, c); err != nil {
			return err
		}
		if r.pos.Parts == nil {
			r.pos.Parts = map[string]*part{}
		}
	}
	r.jobs.update(r.schema.Stream, r.pos)
	return nil
}

// advance goes through the parts up to the end of the run.
func (r *run) advance(ctx context.Context) error {
	resumed := !r.over()
	if !resumed {
		if ok, err := r.begin(ctx); err != nil || !ok {
			return err
		}
	}
	for {
		for _, spec := range r.parts {
			if err := r.part(ctx, spec); err != nil {
				return r.leave(err)
			}
		}
		if !resumed || r.once || r.target().sub(r.pos.Until) < staleRun {
			return r.remember()
		}
		resumed = false
		if ok, err := r.begin(ctx); err != nil || !ok {
			return err
		}
	}
}

// leave makes sure that what is known about jobs is not lost with an error.
func (r *run) leave(err error) error {
	if errors.Is(err, errStopped) || r.delivered {
		return err // rows of an unverified file: their last cursor is the one to resume from
	}
	if e := r.remember(); e != nil {
		return e
	}
	return err
}

// target is where a run that begins now would end.
func (r *run) target() second {
	to := secondOf(r.src.now().Add(-visibleAfter - r.fast))
	if !r.span.End.IsZero() {
		to = min(to, secondOf(r.span.End))
	}
	return to
}

// limit is where the run under way ends in this read.
func (r *run) limit() second {
	if r.bound != 0 {
		return r.bound
	}
	if r.span.End.IsZero() {
		return r.pos.Until
	}
	return min(r.pos.Until, secondOf(r.span.End))
}

// over reports whether no run is under way.
func (r *run) over() bool {
	if r.pos.Until == 0 {
		return true
	}
	for _, spec := range r.parts {
		p := r.pos.Parts[spec.name]
		if p == nil {
			continue // of a newer version than the run
		}
		if spec.sweeps {
			if len(p.Jobs) > 0 && p.Jobs[0].File != nil {
				return false
			}
			continue
		}
		if p.At < r.pos.Until || len(p.Jobs) > 0 || p.Feed != nil {
			return false
		}
	}
	return true
}

// begin starts a run, unless there is nothing new to read.
func (r *run) begin(ctx context.Context) (bool, error) {
	until := r.target()
	if until <= r.pos.Until {
		return false, nil
	}
	present := secondOf(r.src.now())
	for _, spec := range r.parts {
		if spec.sweeps {
			continue
		}
		p := r.pos.Parts[spec.name]
		if p == nil {
			start := until.add(-rereadLeast)
			if r.pos.Until != 0 {
				start = r.pos.Until.add(-rereadLeast) // an older version has read the rest
			}
			if !spec.fromNow {
				var err error
				if start, err = r.start(ctx); err != nil {
					return false, err
				}
			}
			if spec.keeps > 0 {
				start = max(start, present.add(-spec.keeps))
			}
			p = &part{At: min(start, until), Swept: until}
			if spec.learns {
				p.Late = newLateness(until)
			}
			r.pos.Parts[spec.name] = p
			continue
		}
		before := p.At
		r.again(ctx, spec, p, until)
		p.Way, p.Was, p.By, p.Refused = "", p.By, "", nil
		if oldest := present.add(-spec.keeps); spec.keeps > 0 && p.At < oldest {
			p.At = oldest
			if before < oldest && (spec.only == nil || r.pos.Parts[leadPart].Was == byCreation) {
				r.note("gap", "the vendor keeps %s for %.0f days; what happened between %s and %s can no longer be read", spec.name, spec.keeps.Hours()/24, before, oldest)
			}
		}
		p.At = min(p.At, until)
	}
	r.pos.Until = until
	return true, nil
}

// start is the earliest record wanted: what the sync says, else what the source's configuration
// says, else the age of the subscription.
func (r *run) start(ctx context.Context) (second, error) {
	t := r.src.cfg.Start.Time
	if !r.span.Start.IsZero() {
		t = r.span.Start
	}
	if !t.IsZero() {
		return max(secondOf(t), 0), nil
	}
	return r.jobs.oldest(func() (second, error) { return r.src.oldest(ctx) })
}

// part reads one part up to the end of the run.
func (r *run) part(ctx context.Context, spec *partSpec) error {
	if spec.sweeps {
		return r.sweep(ctx, spec)
	}
	p := r.pos.Parts[spec.name]
	if p == nil {
		// A part that this version knows and the one that began the run did not.
		p = &part{At: r.pos.Until, Swept: r.pos.Until}
		r.pos.Parts[spec.name] = p
	}
	if spec.only != nil && !spec.only(r) && (p.At < r.pos.Until || p.Feed != nil) {
		p.At, p.Feed, r.dirty = r.pos.Until, nil, true
	}
	for p.At < r.limit() || p.Feed != nil {
		if err := r.choose(ctx, spec, p); err != nil {
			return err
		}
		var err error
		if p.Way == byPage {
			err = r.walk(ctx, spec, p, r.limit())
		} else {
			err = r.export(ctx, spec, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// choose decides how a run reads a part.
func (r *run) choose(ctx context.Context, spec *partSpec, p *part) error {
	switch {
	case p.Feed != nil || spec.object == nil:
		p.Way = byPage
	case len(p.Jobs) > 0 || spec.pages == nil:
		p.Way = byJob
	case p.Way != "":
	case spec.way != "":
		p.Way = spec.way
	default:
		types, err := spec.pages.types(ctx)
		if err != nil {
			return err
		}
		p.Way = cheaper(r.limit().sub(p.At), loops(types), p.Pace, r.src.budget())
	}
	return nil
}

// note keeps an event for the next batch.
func (r *run) note(operation, format string, args ...any) {
	r.notes = append(r.notes, martsync.Note{Operation: operation, Message: fmt.Sprintf(format, args...)})
}

// remember asks the engine to store the position before anything else happens. It must not be
// called while rows of an unverified file are waiting: the engine would commit them.
func (r *run) remember() error {
	if !r.dirty && len(r.notes) == 0 {
		return nil
	}
	return r.send(martsync.Batch{Cursor: r.pos.cursor()})
}

// send yields a batch.
func (r *run) send(b martsync.Batch) error {
	b.Notes, r.notes = r.notes, nil
	if len(r.raw) > 0 {
		b.Raw, r.raw, r.rawBytes = append(r.raw, b.Raw...), nil, 0
	}
	if b.Cursor != "" {
		r.dirty = false
		r.delivered = b.Unverified
	} else if b.Records != nil || b.Quarantined != nil || b.Raw != nil {
		r.delivered = true
	}
	if !r.yield(b, nil) {
		return errStopped
	}
	return nil
}

// now is the present.
func (r *run) now() second { return secondOf(r.src.now()) }

// oldest finds how far back there can be anything: the creation of the oldest top-level folder,
// since those are made with the subscription. Marketo REST API, Folders.
func (s *source) oldest(ctx context.Context) (second, error) {
	const hint = "Set start in the source's configuration, or give the API user's role the permission Read-Only Assets."
	reply, err := s.client.do(ctx, request{
		op: "find out how old the subscription is", method: http.MethodGet, path: "/rest/asset/v1/folders.json",
		query: url.Values{"maxDepth": {"1"}, "maxReturn": {"200"}},
	})
	if err != nil {
		if k := martsync.KindOf(err); !k.Waits() {
			return 0, &martsync.Error{Kind: k, Op: "marketo: choose where to start", Hint: hint, Err: err}
		}
		return 0, err
	}
	first, found := second(0), false
	for _, raw := range reply.Result {
		var folder struct {
			CreatedAt string `json:"createdAt"`
		}
		if json.Unmarshal(raw, &folder) != nil {
			continue
		}
		if t, ok := parseSecond(folder.CreatedAt); ok && (!found || t < first) {
			first, found = t, true
		}
	}
	if !found {
		return 0, &martsync.Error{
			Kind: martsync.Config, Op: "marketo: choose where to start", Hint: hint,
			Err: errors.New("no folder tells how old the subscription is"),
		}
	}
	return first, nil
}
