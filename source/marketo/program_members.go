package marketo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/flatjson"
)

const (
	programStream      = "program_members"
	memberDescribePath = "/rest/v1/programs/members/describe.json"

	// programsAJob is how many programs one export can be of. Marketo REST API, Bulk Program
	// Member Extract.
	programsAJob = 10

	// fewPrograms are exported all together, by the time of the last change, rather than chosen by
	// what the log says: it takes three jobs at most.
	fewPrograms = 30

	// notInProgram is the status of somebody who was taken out of a program: no export has them.
	notInProgram = "Not in Program"
)

// Activity types that tell that a membership has changed. All but one have the program as their primary
// attribute. Marketo REST API, Activities.
const (
	changeProgress   = 104 // Change Status in Progression
	addToNurture     = 113
	changeTrack      = 114
	changeCadence    = 115
	changeMemberData = 123 // its primary attribute is a field; an attribute names the program
)

var memberTypes = []int{changeProgress, addToNurture, changeTrack, changeCadence, changeMemberData}

// memberObject is the members of up to ten programs. The vendor puts the column programId before those that
// were asked for. Source: Marketo REST API, Bulk Program Member Extract.
var memberObject = &object{
	noun: "program member", dir: "program/members", key: "programId",
	filter: func(_ window, o exportOptions) exportFilter {
		f := exportFilter{"programIds": o.programs}
		if o.updated != nil && o.by == byUpdate {
			f[byUpdate] = *o.updated
		}
		return f
	},
}

// A memberPlan is what a reading of program members is going to read. The windows of its jobs count
// programs: those of Whole, then those of Dated.
type memberPlan struct {
	To      second `json:"to"`             // of the changes that it brings
	From    second `json:"from,omitempty"` // likewise; 0: everything
	Scoped  bool   `json:"scoped,omitempty"`
	Every   bool   `json:"every,omitempty"` // all programs, since the log would take too long
	Touched idSet  `json:"touched,omitempty"`

	Made  bool  `json:"made,omitempty"`  // the programs have been listed
	Whole idSet `json:"whole,omitempty"` // read without regard to dates
	Dated idSet `json:"dated,omitempty"` // what was updated between From and To
}

func (p *memberPlan) check() error {
	if p != nil && (!p.To.sane() || !p.From.sane() || p.From > p.To) {
		return errors.New("its range is not possible")
	}
	return nil
}

// touch adds a program that the log names.
func (p *memberPlan) touch(id int64) {
	if i, found := slices.BinarySearch(p.Touched, id); !found {
		p.Touched = slices.Insert(p.Touched, i, id)
	}
}

// A programMembers stream reads who is in which program. The vendor exports them by program only; so
// the activity log tells which programs are worth an export, and of these only what was updated. Who left
// a program is in the log alone. Now and then every program is read whole, one a job, which shows who is
// gone with their lead.
type programMembers struct {
	*rangeStream
	fields []string
}

func newProgramMembers(ctx context.Context, s *source, d *dispatcher) (martsync.Stream, error) {
	about, err := s.describeObject(ctx, "program members", memberDescribePath)
	if err != nil {
		return nil, err
	}
	keys := []field{{Name: "programId", DisplayName: "Program Id", DataType: "integer"}, {Name: "leadId", DisplayName: "Lead Id", DataType: "integer"}}
	cols := columnsWith(about.fields(), keys...)
	schema := martsync.Schema{
		Stream: programStream, Columns: cols, Version: versionOf(cols), Deletes: true,
		Key: []string{columnOf(cols, "programId"), columnOf(cols, "leadId")},
	}
	if about.err != nil {
		return newAbsent(schema, about.err), nil //nolint:nilerr // that it is absent is what the stream says
	}
	fields := []string{"programId"}
	for _, c := range cols {
		if c.Origin != "programId" {
			fields = append(fields, c.Origin)
		}
	}
	return &programMembers{
		rangeStream: &rangeStream{src: s, jobs: d, cursorEvery: cursorEvery, schema: schema, counted: true}, fields: fields,
	}, nil
}

// memberParts are the parts as far as reading kept pages and files needs them.
func memberParts(schema *martsync.Schema, plan func() *memberPlan) (log, files *partSpec) {
	tombs := memberTombs{program: schema.Key[0], lead: schema.Key[1], version: schema.Version, plan: plan}
	return &partSpec{name: "log", pages: &pages{
		noun: "changes of program members", path: activitiesPath, row: tombs.row,
		types: func(context.Context) ([]int, error) { return memberTypes, nil },
	}}, &partSpec{name: "members", object: memberObject, added: 1}
}

// Read yields what has changed since from. A reading that an earlier sync left is brought to its end, and if that was long
// ago, what has changed since is read as well.
func (s *programMembers) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return s.iterate(ctx, span, func(r *run) error {
		if err := r.from(from); err != nil {
			return err
		}
		for {
			resumed := r.pos.Plan != nil
			if !resumed && !s.begin(r) {
				return nil
			}
			log, files := memberParts(&s.schema, func() *memberPlan { return r.pos.Plan })
			files.fields = s.fields
			until := r.pos.Plan.To
			if err := s.follow(ctx, r, log, files); err != nil {
				return r.leave(err)
			}
			if !resumed || r.target().sub(until) < staleRun {
				return nil
			}
		}
	})
}

// begin makes a plan, unless it is too early for one.
func (s *programMembers) begin(r *run) bool {
	cfg := s.src.cfg.Members
	until := r.target()
	if r.pos.Read != 0 && (!r.due(r.pos.Read, time.Duration(cfg.Every)) || until <= r.pos.Until) {
		return false
	}
	plan := &memberPlan{To: until}
	log := r.pos.Parts["log"]
	switch {
	case log == nil:
		log = &part{}
		r.pos.Parts["log"] = log
	case r.due(r.pos.Full, time.Duration(cfg.FullListingEvery)):
		plan.Scoped = true
	case until.sub(log.At) > maxWindow-2*s.src.overlap():
		// Longer than one export can look back: everything, in groups.
	default:
		log.At, log.Swept = reread(log.At, log.Swept, until, s.src.overlap(), true)
		plan.From = min(log.At, until-1)
		plan.Every = log.Pace.Calls*until.sub(log.At).Hours()/24 > restMost
	}
	if plan.From == 0 || plan.Every {
		log.At = until
	}
	said := log.Way == byJob
	if log.Way = ""; plan.Every {
		log.Way = byJob // so that this is said once, and not at each sync
	}
	if plan.Every && !said {
		r.note("listing", "the activity log would take too many calls: all programs are asked for changes; who left one is noticed by the next full listing")
	}
	if plan.From == 0 {
		log.Swept = until
	}
	r.pos.Plan, r.pos.Read, r.pos.Until, r.dirty = plan, r.now(), until, true
	restart(r.pos.Parts, "members")
	return true
}

// follow carries out the plan, from wherever an earlier read left it.
func (s *programMembers) follow(ctx context.Context, r *run, log, files *partSpec) error {
	plan, p := r.pos.Plan, r.pos.Parts["log"]
	if p == nil {
		p = &part{At: plan.To}
		r.pos.Parts["log"] = p
	}
	if p.At < plan.To || p.Feed != nil {
		if err := r.walk(ctx, log, p, plan.To); err != nil {
			return err
		}
	}
	for again := false; ; again = true {
		if !plan.Made {
			if err := s.make(ctx, r, plan); err != nil {
				return err
			}
		}
		err := s.export(ctx, r, files)
		if err == nil {
			break
		}
		if again || !errors.Is(err, errGone) || r.delivered {
			return err
		}
		// A program was deleted between the listing and the export: the list is made anew.
		plan.Made, r.dirty = false, true
		restart(r.pos.Parts, files.name)
	}
	if plan.From == 0 {
		r.pos.Full = r.pos.Read
	}
	r.pos.Plan, r.dirty = nil, true
	restart(r.pos.Parts, files.name)
	return r.remember()
}

// restart makes a part begin anew. What remains is by which filter it was exported, so that this is told when it
// changes, and not each time.
func restart(parts map[string]*part, name string) {
	p := parts[name]
	delete(parts, name)
	if p != nil && cmp.Or(p.By, p.Was) != "" {
		parts[name] = &part{Was: cmp.Or(p.By, p.Was)}
	}
}

// make decides which programs are read, and says of those that are gone that nobody is in them.
func (s *programMembers) make(ctx context.Context, r *run, plan *memberPlan) error {
	ids, err := s.src.programIDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range r.pos.Programs {
		if ids.has(id) {
			continue
		}
		// A listing that moves while it is read may leave a program out, and its members must not go with it.
		exists, err := s.src.programExists(ctx, id)
		if err != nil {
			return err
		}
		if exists {
			ids = append(ids, id)
			slices.Sort(ids)
			continue
		}
		r.pos.Programs = r.pos.Programs.without(id)
		if err := r.send(martsync.Batch{Cursor: r.pos.cursor(), Complete: s.scope(id)}); err != nil {
			return err
		}
	}
	plan.Whole, plan.Dated = idSet{}, idSet{}
	few := len(ids) <= fewPrograms
	for _, id := range ids {
		switch {
		case plan.From == 0 || !r.pos.Programs.has(id):
			plan.Whole = append(plan.Whole, id)
		case few || plan.Every || slices.Contains(plan.Touched, id):
			plan.Dated = append(plan.Dated, id)
		}
	}
	if few && len(plan.Touched) == 0 && !plan.Every && plan.From != 0 {
		// Nothing in the log: memberships change with an activity.
		plan.Dated = idSet{}
	}
	r.pos.Programs, plan.Made, r.dirty = ids, true, true
	return nil
}

func (s *programMembers) scope(program int64) *martsync.Scope {
	return &martsync.Scope{Column: s.schema.Key[0], Value: strconv.FormatInt(program, 10)}
}

// export reads the files of the plan.
func (s *programMembers) export(ctx context.Context, r *run, spec *partSpec) error {
	plan := r.pos.Plan
	whole, all := second(len(plan.Whole)), second(len(plan.Whole)+len(plan.Dated))
	programs := func(w window) []int64 {
		ids := plan.Whole
		from, to := w.From, w.To
		if from >= whole {
			ids, from, to = plan.Dated, from-whole, to-whole
		}
		if to > second(len(ids)) {
			return nil // a cursor that somebody has edited
		}
		return ids[from:to]
	}
	spec.prepare = func(o *exportOptions, w window) {
		o.programs = programs(w)
		if w.From >= whole {
			updated := window{From: plan.From, To: plan.To}.wire()
			o.updated = &updated
		}
	}
	spec.covers = func(w window) (from, to second) {
		if w.From >= whole {
			return plan.From, plan.To
		}
		return 0, 0
	}
	r.longest = programsAJob * time.Second
	if plan.Scoped {
		r.longest = time.Second
		spec.complete = func(w window) *martsync.Scope { return s.scope(plan.Whole[w.From]) }
	}
	p := r.pos.Parts[spec.name]
	if p == nil {
		p = &part{}
		r.pos.Parts[spec.name] = p
	}
	if n := len(p.Jobs); p.end() > all || n > 0 && p.Jobs[0].From < whole && p.Jobs[n-1].To > whole && !aligned(p.Jobs, whole) {
		return &martsync.Error{
			Kind: martsync.Data, Op: "marketo: resume " + s.schema.Stream, Err: errors.New("the windows do not fit the plan"),
			Hint: "The stored cursor is not one of this version; a backfill of the stream starts over.",
		}
	}
	for _, end := range []second{whole, all} {
		for r.bound = end; p.At < end; {
			if err := r.export(ctx, spec, p); err != nil {
				return err
			}
		}
	}
	r.bound = 0
	return nil
}

// aligned reports whether no window goes across a border.
func aligned(jobs []*job, border second) bool {
	return !slices.ContainsFunc(jobs, func(j *job) bool { return j.From < border && j.To > border })
}

// programIDs lists the ids of all programs, in rising order. The listing moves while it is read, hence
// it is walked until a walk shows nothing new.
func (s *source) programIDs(ctx context.Context) (idSet, error) {
	stream := newAssetStream(s, &assets[0])
	seen := map[int64]bool{}
	for walk := 1; walk <= mostWalks; walk++ {
		news, filled := 0, 0
		for offset := 0; ; offset += assetPage {
			env, err := stream.page(ctx, offset, nil)
			if err != nil {
				return nil, err
			}
			if len(env.Result) == 0 {
				break
			}
			filled++
			for _, raw := range env.Result {
				id, err := recordID(raw)
				if err != nil {
					return nil, &martsync.Error{Kind: martsync.Data, Op: "marketo: list programs", Err: fmt.Errorf("reply %s: %w", env.RequestID, err)}
				}
				if !seen[id] {
					seen[id] = true
					news++
				}
			}
		}
		if filled <= 1 || walk > 1 && news == 0 {
			break
		}
	}
	ids := make(idSet, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// programExists asks for one program.
func (s *source) programExists(ctx context.Context, id int64) (bool, error) {
	env, err := s.client.do(ctx, request{op: "look for a program", path: fmt.Sprintf(assets[0].one, id), optional: true})
	if vanished(err) {
		return false, nil
	}
	return err == nil && len(env.Result) > 0, err
}

// memberTombs makes rows of activities that say that somebody has left a program, and tells the plan which
// programs the log names.
type memberTombs struct {
	program, lead, version string
	plan                   func() *memberPlan // nil: nobody asks
}

func (t memberTombs) row(w *rowWriter, a *activity) error {
	program, status, err := progressOf(a)
	if err != nil || program == 0 {
		return err
	}
	if t.plan != nil {
		t.plan().touch(program)
	}
	if !strings.EqualFold(status, notInProgram) {
		return nil
	}
	lead, err := wholeNumber(a.cell(a.LeadID))
	if err != nil {
		return &columns.CellError{Column: t.lead, Reason: err.Error()}
	}
	row := map[string]any{t.program: program, t.lead: lead}
	if t.version != "" {
		when, ok := parseSecond(bare(a.Date))
		if !ok {
			return &columns.CellError{Column: t.version, Reason: "not a time"}
		}
		row[t.version] = when.time()
	}
	return w.row(func(b *columns.Builder) error { return b.AppendTombstone(row) })
}

// progressOf is the program that an activity is about, 0 if it tells none, and the status that it tells.
func progressOf(a *activity) (program int64, status string, err error) {
	typ, err := wholeNumber(a.cell(a.TypeID))
	if err != nil {
		return 0, "", &columns.CellError{Column: "activity_type_id", Reason: err.Error()}
	}
	id := a.cell(a.PrimaryValueID)
	flat, err := flatAttributes(a.Attributes)
	if err != nil {
		return 0, "", err
	}
	if typ == changeMemberData {
		id = nil
	}
	if flat != nil {
		err = flatjson.Members(flat, func(key, value []byte) error {
			switch string(key) {
			case "New Status":
				status = strings.TrimSpace(bare(json.RawMessage(slices.Clone(value))))
			case "Program ID":
				if typ == changeMemberData {
					id = []byte(bare(json.RawMessage(slices.Clone(value))))
				}
			}
			return nil
		})
	}
	if err != nil || id == nil {
		return 0, status, nil //nolint:nilerr // an activity without a program leads to none
	}
	if program, err = wholeNumber(id); err != nil {
		return 0, status, nil //nolint:nilerr // likewise
	}
	return program, status, nil
}
