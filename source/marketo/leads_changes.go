package marketo

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// Where leads cannot be exported by the date of their last change, the log tells which have changed, and these are
// read by id. Two walks find them: the feed of changes tells new leads (12) and changed values (13) of the fields that
// are read; other activities tell what that feed does not. What no activity tells the sweep finds (leads_sweep.go).
//
// A read by id shows the lead as it is now, a file as it was when its job ran. So within a run the files come first: a
// lead that changes after its file was made is read by id later, in this run or in the next one.

const leadChangesPath = "/rest/v1/activities/leadchanges.json"

const leadsPath = "/rest/v1/leads.json"

// changesKept is how long the vendor keeps Change Data Value activities.
// Marketo REST API, Activities; Marketo Nation, Activity retention.
const changesKept = 90 * 24 * time.Hour

// touching are the types of activities that change fields of their lead and are not in the feed of changes: scores,
// owner, partition, revenue stage, segment, what the CRM does, and the winner of a merge. Ten, since a walk takes as many.
// Marketo REST API, Activities.
var touching = []int{21, 22, 23, 31, mergeLeads, 100, 101, 102, 106, 108}

const (
	// heldMost is how many ids wait to be read at most. They are part of the cursor, three or four bytes each; the more
	// there are, the fewer leads that change twice are read twice.
	heldMost = 6_000

	// deletionsMargin is how long before its end the log of deletions is no longer relied on: it is read after the leads.
	deletionsMargin = 24 * time.Hour

	// doubtFrom is from how many ids on a reply that lacks most of them is not believed to show deletions: more likely
	// the API user may not see these leads, and the log of deletions tells of those that are really gone.
	doubtFrom = 50
)

// A leadReader reads leads by id, for a part that learns ids from the log.
type leadReader struct {
	tombstones
	columns []martsync.Column
	most    int  // ids held at once
	last    bool // what is held is read at the end of the walk; else the next part's does
}

// hold takes the lead of an activity down, to be read by id.
func (l *leadReader) hold(w *rowWriter, a *activity) error {
	id, err := wholeNumber(a.cell(a.LeadID))
	if err != nil || id <= 0 {
		return &columns.CellError{Column: l.key, Reason: "not the id of a lead"}
	}
	if w.r.pos == nil {
		return nil // a replay: the pages of what was read by id were kept, too
	}
	if i, found := slices.BinarySearch(w.r.pos.Held, id); !found {
		w.r.pos.Held = slices.Insert(w.r.pos.Held, i, id)
		w.r.dirty = true
	}
	return nil
}

// byCreation reports whether the run under way exports leads by their creation, so that changes come in other ways.
func (r *run) byCreation() bool {
	p := r.pos.Parts[leadPart]
	return p != nil && p.By == byCreation
}

// changeParts are the parts of leads that find changes where exports do not show them.
func (s *source) changeParts(schema *martsync.Schema, fields []string, tombs tombstones) []*partSpec {
	part := func(name, noun, path string, last bool) *partSpec {
		reader := &leadReader{tombstones: tombs, columns: schema.Columns, most: heldMost, last: last}
		return &partSpec{
			name: name, keeps: changesKept, overlap: s.overlap(), thrifty: true, fromNow: true, only: (*run).byCreation,
			pages: &pages{noun: noun, path: path, types: allTypes, row: reader.hold, leads: reader},
		}
	}
	changes := part("changes", "lead changes", leadChangesPath, false)
	if len(fields) > 1 { // else it is a replay
		changes.pages.fields = fields[1:]
	}
	touched := part("touched", "activities that change leads", activitiesPath, true)
	touched.pages.types = func(ctx context.Context) ([]int, error) {
		known, err := s.activityTypes(ctx)
		return slices.DeleteFunc(slices.Clone(touching), func(id int) bool {
			return !slices.ContainsFunc(known, func(t activityType) bool { return t.ID == int64(id) })
		}), err
	}
	return []*partSpec{changes, touched}
}

// readHeld reads leads whose ids the walk has found, until at most most are left.
func (r *run) readHeld(ctx context.Context, l *leadReader, spec *partSpec, w *rowWriter, f *feed, most int) error {
	for len(r.pos.Held) > most {
		ids := r.pos.Held[:min(leadPage, len(r.pos.Held))]
		pages, err := r.leadsByID(ctx, l, ids, f)
		if err != nil {
			return err
		}
		at := r.now()
		for i, env := range pages {
			h := how{Kind: leadReply, Part: spec.name}
			if i == len(pages)-1 {
				h.Gone, h.Read = r.missing(ids, pages, f), at
			}
			if raw := keptPage(leadsPath, env, h); raw != nil {
				r.raw = append(r.raw, *raw)
				r.rawBytes += len(raw.Data)
			}
			w.bytes += env.Bytes
			if err := l.rows(w, env, h); err != nil {
				return err
			}
		}
		f.Rows, f.Bad = f.Rows+w.rows, f.Bad+w.bad
		w.rows, w.bad = 0, 0
		r.pos.Held, r.dirty = slices.Clone(r.pos.Held[len(ids):]), true
		if w.b.Len() >= feedRows || r.rawBytes >= rawMost {
			if err := r.flush(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// leadsByID asks for leads. The server may cut the reply into pages. A field that it does not know, since somebody has
// removed it, is left out.
func (r *run) leadsByID(ctx context.Context, l *leadReader, ids idSet, f *feed) ([]*envelope, error) {
	fields := make([]string, 0, len(l.columns))
	for _, c := range l.columns {
		// What exports refuse is left out here as well: a value that comes and goes is worse than none.
		if !slices.Contains(r.pos.Parts[leadPart].Refused, c.Origin) {
			fields = append(fields, c.Origin)
		}
	}
	for {
		var pages []*envelope
		var err error
		for env, e := range r.src.client.tokenPages(ctx, request{op: "read leads by id", path: leadsPath, query: url.Values{
			"filterType": {leadObject.key}, "filterValues": {join(ids)}, "fields": {strings.Join(fields, ",")},
		}}) {
			if err = e; err != nil {
				f.Calls++
				break
			}
			f.Calls += env.Calls
			pages = append(pages, env)
		}
		left := r.without(fields[1:], err)
		if err == nil || len(left) == len(fields)-1 {
			return pages, err
		}
		fields = append(fields[:1:1], left...)
	}
}

// without returns the fields that an error does not name as unknown.
func (r *run) without(fields []string, err error) []string {
	e, ok := errors.AsType[*apiError](err)
	if !ok || e.Code != "1003" && e.Code != "1006" && e.Code != "1011" {
		return fields
	}
	return slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return namesField(e.Message, f) })
}

// missing are the ids that the vendor no longer knows, as far as nothing else tells: who may not see a lead does not get it
// either, and the log of deletions names those that are gone, for as long as the vendor keeps it.
func (r *run) missing(ids idSet, pages []*envelope, f *feed) idSet {
	seen := map[int64]bool{}
	for _, env := range pages {
		if r.src.keep && env.body == nil {
			return nil // an error that means nothing: there would be no reply that a replay could take it from
		}
		for _, raw := range env.Result {
			if id, err := recordID(raw); err == nil {
				seen[id] = true
			} else {
				return nil // somebody is there, and nothing says who
			}
		}
	}
	gone := slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return seen[id] })
	if len(ids) >= doubtFrom && 2*len(gone) > len(ids) {
		if !r.doubted {
			r.note("warning", "%d of %d leads that have changed cannot be read by id; they are marked deleted only if the log of deletions or of merges names them", len(gone), len(ids))
		}
		r.doubted = true
		return nil
	}
	if r.now().sub(f.From) < deletionsKept-deletionsMargin {
		return nil
	}
	return gone
}

// rows makes rows of a reply, and tombstones of the leads that are gone. Their version is the time of the
// read: whatever is delivered late about such a lead is older.
func (l *leadReader) rows(w *rowWriter, env *envelope, h how) error {
	for i, raw := range env.Result {
		_, err := recordID(raw)
		if err == nil {
			err = w.row(func(b *columns.Builder) error { return b.AppendJSON(raw) })
		}
		if _, misfit := errors.AsType[*columns.CellError](err); misfit || errors.Is(err, errNoID) {
			w.reject(quarantine(raw, env.RequestID, int64(i)+1, err))
		} else if err != nil {
			return err
		}
	}
	for _, id := range h.Gone {
		if err := l.gone(w, id, h.Read); err != nil {
			return err
		}
	}
	return nil
}
