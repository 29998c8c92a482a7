package pardotsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/martsync/martsync/simulate"
)

// The states of an export. (Account Engagement API, Export)
const (
	stateWaiting    = "Waiting"
	stateProcessing = "Processing"
	stateComplete   = "Complete"
	stateFailed     = "Failed"
	stateCanceled   = "Canceled"
)

const (
	maxExportFields = 150
	firstExport     = 9901
	firstFile       = 51

	// unprocessed is how long an export may wait before it is canceled.
	unprocessed = 7 * 24 * time.Hour
)

// exports are what is known about the exports of a business unit beside their jobs.
type exports struct {
	mu   sync.Mutex
	list []*export
}

// An export is what was asked for, and the account it reads.
type export struct {
	id      int64
	job     string
	version int // 4 (or 3) and 5: each reads its own
	object  string
	user    *User
	zone    *time.Location // the user's when it was created: that of all its times
	fields  []exportField
	query   query // of the snapshot that is taken when processing starts
	bom     bool
	iso     bool // times with offset
	most    int64
	files   []exportFile // complete: in the order of their references
	lost    bool         // expired before its time
}

// An exportField is a column of a file.
type exportField struct {
	header string
	value  func(r *record) any
}

// An exportFile is one file of a complete export.
type exportFile struct {
	id   int64
	file *simulate.File
}

// half is a size at which a file that ends there ends within a record. One that ended between two would be a whole file to
// anybody: the vendor tells neither size nor rows.
func (f exportFile) half() int64 {
	size := f.file.Size / 2
	var last bytes.Buffer
	if size > 0 && f.file.WriteRange(&last, size-1, 1) == nil && last.String() == "\n" {
		size--
	}
	return size
}

// beginExports makes the queue: one export at a time, the oldest first.
func (s *Server) beginExports() {
	s.jobs = simulate.Jobs{
		Clock: s.clock, Seed: s.cfg.Seed, Slots: 1, Queue: 1 << 30, Day: &simulate.Daily{Zone: s.account},
		ProcessTime: func(j *simulate.Job) time.Duration {
			x := j.Spec.(*export)
			if s.cfg.ProcessTime != nil {
				return s.cfg.ProcessTime(x.id)
			}
			return time.Minute + time.Duration(simulate.Pick(simulate.Hash(s.cfg.Seed, 0x7072, uint64(x.id), 0), 300))*time.Second
		},
		Prepare: func(j *simulate.Job) { j.Spec.(*export).query.state = s.state.Load() },
		Make:    func(j *simulate.Job) (*simulate.File, error) { return s.makeFiles(j.Spec.(*export)) },
	}
}

// A procedure is how the records of an export are selected.
type procedure struct {
	name      string
	field     string // the time that the range is over
	after     string // arguments of the range
	before    string
	arguments []string // further ones
}

// An exportable is an object that can be exported.
type exportable struct {
	name       string
	table      string
	procedures []procedure
	ability    string // beside that to see visitors
	onlyAll    bool   // deleted may be all and nothing else
}

// createRequest is the body of a create.
type createRequest struct {
	Object    string
	Fields    []string
	Procedure *struct {
		Name      string
		Arguments map[string]any
	}
	IncludeByteOrderMark bool
	LegacyDateFormat     bool
	MaxFileSizeBytes     *int64
}

// readCreate reads the body of a create. (Account Engagement API, Error Codes)
func (c *caller) readCreate() (*createRequest, *refusal) {
	kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	r := new(createRequest)
	switch {
	case !strings.EqualFold(strings.TrimSpace(kind), "application/json"):
		return nil, &refusal{151, "The content type must be application/json"}
	case len(c.body) == 0:
		return nil, &refusal{152, "The request has no body"}
	case json.Unmarshal(c.body, r) != nil:
		return nil, &refusal{150, "The request body is not valid JSON"}
	case r.Object == "":
		return nil, &refusal{153, "A required property is missing: object"}
	case r.Procedure == nil || r.Procedure.Name == "":
		return nil, &refusal{153, "A required property is missing: procedure"}
	case len(r.Fields) > maxExportFields:
		return nil, &refusal{154, "A property is invalid: fields has more than 150 elements"}
	}
	return r, nil
}

// narrow turns the arguments of a procedure into conditions. moment reads a time.
func (o *exportable) narrow(c *caller, q *query, r *createRequest, moment func(string) (time.Time, bool)) *refusal {
	i := slices.IndexFunc(o.procedures, func(p procedure) bool { return p.name == r.Procedure.Name })
	if i < 0 {
		return &refusal{174, "Unknown procedure: " + r.Procedure.Name}
	}
	p := o.procedures[i]
	for name := range r.Procedure.Arguments {
		if name != p.after && name != p.before && !slices.Contains(p.arguments, name) {
			return &refusal{175, "Unknown procedure argument: " + name}
		}
	}
	if _, ok := r.Procedure.Arguments[p.after]; !ok {
		return &refusal{176, "A required procedure argument is missing: " + p.after}
	}
	before := c.now // without upper bound: what there was at creation
	after := before
	for name, v := range r.Procedure.Arguments {
		text := argument(v)
		ok := true
		switch name {
		case p.after:
			after, ok = moment(text)
		case p.before:
			before, ok = moment(text)
		case "type":
			ok = byNumbers("type", 177)(c, text, q) == nil
		case "prospectOnly", "prospect_only":
			ok = byPresence("prospectId")(c, text, q) == nil
		case "deleted":
			ok = o.binned(q, text)
		}
		if !ok {
			return &refusal{177, "Invalid procedure argument: " + name}
		}
	}
	if after.After(before) || after.AddDate(1, 0, 0).Before(before) {
		return &refusal{177, "Invalid procedure argument: " + p.after + " must be at most one year before " + p.before}
	}
	q.where = append(q.where, condition{p.field, greater, stamp(after.Unix())}, condition{p.field, less, stamp(before.Unix())})
	return nil
}

// binned reads the argument deleted.
func (o *exportable) binned(q *query, text string) bool {
	switch strings.ToLower(text) {
	case "all":
		q.bin = binShown
	case "true":
		q.bin = binOnly
	case "false":
		q.bin = binHidden
	default:
		return false
	}
	return !o.onlyAll || q.bin == binShown
}

// argument is the text of an argument, which may be a boolean, a number or a list too.
func argument(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = argument(e)
		}
		return strings.Join(parts, ",")
	}
	return ""
}

// allowed reports whether the user may export the object; otherwise the request has been answered.
func (c *caller) allowed(o *exportable) bool {
	if !c.user.can(abilityVisitors) || o.ability != "" && !c.user.can(o.ability) {
		return c.refuse(46, "You do not have permission to perform this action")
	}
	return true
}

// add puts an export into the queue.
func (s *Server) add(c *caller, x *export) simulate.Job {
	faults := s.faults.All(c.r, c.user.ClientID, createFaults...)
	if happens(faults, "nocreate") {
		panic(http.ErrAbortHandler)
	}
	trap := newTrap(faults)
	e := &s.exports
	e.mu.Lock()
	x.id = firstExport + int64(len(e.list))
	e.list = append(e.list, x)
	e.mu.Unlock()
	j, err := s.jobs.Create(simulate.Job{Object: "export", Owner: "unit", Spec: x, Hold: trap.hold, Doomed: trap.ends})
	if err == nil {
		e.mu.Lock()
		x.job = j.ID
		e.mu.Unlock()
		j, err = s.jobs.Enqueue(j.ID, "unit", "export")
	}
	if err != nil || happens(faults, "noreply") { // a queue without limits refuses nobody
		panic(http.ErrAbortHandler)
	}
	return j
}

// lookup finds an export that the user may see.
func (s *Server) lookup(c *caller, id string) (*export, simulate.Job, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	e := &s.exports
	e.mu.Lock()
	var x *export
	if i := n - firstExport; err == nil && i >= 0 && i < int64(len(e.list)) {
		x = e.list[i]
	}
	e.mu.Unlock()
	if x == nil {
		return nil, simulate.Job{}, c.refuse(109, "Record not found")
	}
	switch {
	case x.user != c.user && !c.user.can(abilityExports):
		return nil, simulate.Job{}, c.refuse(46, "You do not have permission to perform this action")
	case (x.version == 5) != (c.v == 5):
		return nil, simulate.Job{}, c.refuse(228, "The export was created with another version of the API")
	}
	return x, s.jobOf(x), true
}

// jobOf is the job of an export. One that nothing has come of for a week ends here.
func (s *Server) jobOf(x *export) simulate.Job {
	s.exports.mu.Lock()
	id := x.job
	s.exports.mu.Unlock()
	j, err := s.jobs.Job(id, "unit", "export")
	if err == nil && j.Status == simulate.JobQueued && s.clock.Now().Sub(j.CreatedAt) >= unprocessed {
		j, _ = s.jobs.Cancel(id, "unit", "export") // it has just been seen in the queue
	}
	return j
}

// exportState is the vendor's word for where an export stands.
func exportState(j simulate.Job) string {
	switch j.Status {
	case simulate.JobProcessing:
		return stateProcessing
	case simulate.JobCompleted:
		return stateComplete
	case simulate.JobFailed:
		if j.Error == stateCanceled {
			return stateCanceled
		}
		return stateFailed
	case simulate.JobCancelled:
		return stateCanceled
	case simulate.JobCreated, simulate.JobQueued:
	}
	return stateWaiting
}

// changed is when an export has last changed.
func changed(j simulate.Job) time.Time {
	for _, t := range []time.Time{j.FinishedAt, j.StartedAt} {
		if !t.IsZero() {
			return t
		}
	}
	return j.CreatedAt
}

// expired reports whether the files of a complete export are gone: after a week.
func (s *Server) expired(x *export, j simulate.Job) bool {
	s.exports.mu.Lock()
	defer s.exports.mu.Unlock()
	return j.Status == simulate.JobCompleted && (x.lost || s.clock.Now().Sub(j.FinishedAt) >= s.cfg.FileLife)
}

// download sends a file of an export.
func (s *Server) download(c *caller, x *export, j simulate.Job, find func(n int, f exportFile) bool) {
	if j.Status == simulate.JobCompleted && s.faults.First(c.r, c.user.ClientID, downloadFaults...) != nil {
		s.exports.mu.Lock()
		x.lost = true
		s.exports.mu.Unlock()
	}
	if j.Status != simulate.JobCompleted || s.expired(x, j) {
		c.fail(178, "The state of the export does not allow this: it is not complete, or has expired")
		return
	}
	for n, f := range x.files {
		if !find(n, f) {
			continue
		}
		h := c.w.Header()
		h.Set("Content-Type", "text/csv")
		h.Set("Content-Disposition", `attachment; filename="export_`+strconv.FormatInt(f.id, 10)+`.csv"`)
		size := f.file.Size
		w := &faultWriter{c: c}
		if fault := c.fault; fault != nil && fault.Name == "broken" {
			size = f.half()
		} else if fault != nil {
			w.fault, w.left = fault, cutAt(fault, size)
		}
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		c.w.WriteHeader(http.StatusOK)
		if err := f.file.WriteRange(w, 0, size); err != nil {
			s.log.Debug("file not sent", "export", x.id, "err", err)
			panic(http.ErrAbortHandler)
		}
		return
	}
	c.fail(109, "Record not found")
}

// allExports lists the exports of a version with their jobs.
func (s *Server) allExports(v5 bool) (list []*export, jobs []simulate.Job) {
	s.exports.mu.Lock()
	all := slices.Clone(s.exports.list)
	s.exports.mu.Unlock()
	for _, x := range all {
		if (x.version == 5) == v5 {
			list, jobs = append(list, x), append(jobs, s.jobOf(x))
		}
	}
	return list, jobs
}

// settle lets the exports start that had to start until now, so that they keep the account as it
// was. Whoever changes the account calls it before.
func (s *Server) settle() { s.jobs.Settle() }
