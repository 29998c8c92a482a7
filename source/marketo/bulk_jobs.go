package marketo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

const (
	// jobsAtOnce is how many jobs the vendor works on at a time. Marketo REST API, Bulk
	// Extract, Limits.
	jobsAtOnce = 2

	// statusEvery is the vendor's own rhythm: a status asked for sooner is the old one.
	// Marketo REST API, Bulk Extract, Polling Job Status.
	statusEvery = time.Minute

	// statusSeldom is where the wait between two looks at a job stops growing.
	statusSeldom = 5 * time.Minute

	// Waits while the vendor's queue is full. Marketo REST API, Bulk Extract, sample code.
	queueWait, queueWaitMost = time.Minute, 4 * time.Minute

	// Patience with jobs. Others may fill the shared queue for hours; a job that stays
	// queued while a later one of ours runs has been forgotten by the vendor.
	queuedMost     = 12 * time.Hour
	overtakenMost  = time.Hour
	processingMost = 6 * time.Hour

	// failuresMost is how many jobs in a row may come to nothing before the stream gives up for
	// this sync. Halving 31 days to an hour takes ten.
	failuresMost = 12

	// triesMost is the same for one window, where its size is not the reason: the same file with the
	// same fault would be exported, and counted against the quota, again and again.
	triesMost = 3

	// queuedLong is when a wait in the queue is worth a hint.
	queuedLong = 3 * time.Hour
)

// export reads windows of a part by export jobs: it keeps the queue filled, and delivers the
// files in the order of their windows, since a later window may hold newer versions of the
// same records. It returns nil when everything up to the limit has been delivered.
func (r *run) export(ctx context.Context, spec *partSpec, p *part) error {
	for {
		if len(p.Jobs) > 0 && p.Jobs[0].File != nil {
			// Rows of this file may be waiting at the destination: nothing else until they are
			// verified, or they would be committed with it.
			if err := r.deliver(ctx, spec, p); err != nil {
				return err
			}
			continue
		}
		if p.At >= r.limit() {
			return nil
		}
		if err := r.tend(ctx); err != nil {
			return err
		}
		parked, err := r.fill(ctx, spec, p)
		if err != nil {
			return err
		}
		if err := r.ask(ctx, spec, p); err != nil {
			return err
		}
		r.jobs.update(r.schema.Stream, r.pos)
		if len(p.Jobs) == 0 || p.Jobs[0].State != completed {
			if err := r.remember(); err != nil {
				return err
			}
			return r.wait(spec, p, parked)
		}
		if err := r.remember(); err != nil {
			return err
		}
		if err := r.deliver(ctx, spec, p); err != nil {
			return err
		}
	}
}

// fill starts jobs for the next windows, as many as there are places. Parked is why no more can
// be started today, if that is so; jobs that run already are not affected by it.
func (r *run) fill(ctx context.Context, spec *partSpec, p *part) (parked, err error) {
	for {
		i := slices.IndexFunc(p.Jobs, func(j *job) bool { return j.State == "" || j.State == created })
		if i < 0 && p.end() >= r.limit() {
			r.jobs.done(r.schema.Stream)
			return nil, nil
		}
		if r.borrow(spec, p, i) {
			continue
		}
		if i < 0 || p.Jobs[i].ID == "" {
			if wait := r.awaits(spec, p); wait != nil {
				return wait, nil
			}
		}
		if i >= 0 && p.Jobs[i].Wait > 0 && r.now() < p.Jobs[i].queueDue() {
			return nil, nil
		}
		if r.parked != nil && r.now() < r.parkedUntil {
			return r.parked.until(r.parkedUntil.sub(r.now())), nil
		}
		length := time.Duration(0)
		if i < 0 {
			var err error
			if length, parked, err = r.next(ctx, p); err != nil {
				return nil, err
			}
			if parked != nil {
				r.parked, r.parkedUntil = &quotaError{parked}, r.now().add(martsync.AfterOf(parked))
			}
			if parked != nil || length == 0 {
				r.jobs.update(r.schema.Stream, r.pos)
				return parked, nil
			}
		}
		if !r.jobs.take(r.schema.Stream) {
			r.jobs.update(r.schema.Stream, r.pos) // what has been booked for the window is free again
			return nil, nil
		}
		if i < 0 {
			i = len(p.Jobs)
			p.Jobs = append(p.Jobs, &job{window: nextWindow(p.end(), r.limit(), length)})
		}
		j := p.Jobs[i]
		err := r.launch(ctx, spec, p, j)
		r.jobs.update(r.schema.Stream, r.pos)
		switch {
		case err == nil:
		case isQueueFull(err):
			j.Wait++
			j.Asked, r.dirty = r.now(), true
			r.src.env.Log.DebugContext(ctx, "the vendor's export queue is full", "stream", r.schema.Stream, "job", j.ID)
			return nil, nil
		case martsync.KindOf(err) == martsync.Quota:
			r.parked, r.parkedUntil = &quotaError{err}, r.now().add(martsync.AfterOf(err))
			return err, nil
		default:
			return nil, err
		}
	}
}

// end is where the windows under way end.
func (p *part) end() second {
	if n := len(p.Jobs); n > 0 {
		return p.Jobs[n-1].To
	}
	return p.At
}

func (j *job) queueDue() second {
	return j.Asked.add(min(queueWait<<min(max(j.Wait-1, 0), 8), queueWaitMost))
}

// statusDue is when the job is worth another look: soon while it is young, seldom later.
func (j *job) statusDue() second {
	return j.Asked.add(min(max(j.Asked.sub(j.Since)/5, statusEvery), statusSeldom))
}

func isQueueFull(err error) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && e.Code == "1029" && strings.Contains(strings.ToLower(e.Message), "too many jobs")
}

// launch takes a window as far as the vendor's queue.
func (r *run) launch(ctx context.Context, spec *partSpec, p *part, j *job) error {
	if j.ID == "" {
		if err := r.create(ctx, spec, p, j); err != nil || j.ID == "" || j.Shared {
			return err
		}
	} else if r.born != j && j.Wait == 0 {
		// An earlier read may have enqueued it and died before it could write that down.
		if err := r.look(ctx, spec, p, j); err != nil || j.State != created {
			return err
		}
	}
	v, err := r.src.enqueueJob(ctx, spec.object, j.ID)
	j.Calls++
	switch {
	case errors.Is(err, errGone):
		return r.retry(ctx, p, j, "the vendor has lost it", false)
	case isCode(err, "1029") && !isQueueFull(err) && martsync.KindOf(err) != martsync.Quota:
		j.State = queued // already, or beyond: its status tells
		return r.look(ctx, spec, p, j)
	case err != nil:
		return err
	}
	j.State, j.Wait, r.dirty = queued, 0, true
	j.Asked = r.now()
	if v != nil && v.state() == processing {
		j.State = processing
	}
	return nil
}

// create registers the export job of a window. It returns with j.ID empty if the vendor made no usable job.
//
// A process that dies before the id is written down leaves a job that nobody knows. It is in state Created and nobody enqueues it,
// so it exports nothing, costs nothing and vanishes after seven days; the window gets another one.
func (r *run) create(ctx context.Context, spec *partSpec, p *part, j *job) error {
	if j.Reach = 0; spec.reach != nil && !p.Shut {
		j.Reach = spec.reach(j.window)
	}
	options, err := spec.options(ctx, p, j)
	if err != nil {
		return err
	}
	for {
		fields, since := p.wanted(spec), r.now()
		options.by = p.filterBy() // which adjust may have changed
		v, err := r.register(ctx, spec, j, since, fields, options)
		if j.Shared && err == nil {
			return r.remember()
		}
		switch {
		case err == nil:
		case r.adjust(spec, p, fields, err):
			continue
		case j.Reach != 0 && (isCode(err, "1001") || isCode(err, "1003") || isCode(err, "1006")):
			j.Reach, options.reach, p.Shut = 0, 0, true
			r.note("warning", "the vendor exports nothing by a date in the future: which records no longer exist cannot be told, and none is marked deleted")
			continue
		default:
			return err
		}
		if v == nil || !validID(v.ExportID) || v.state() == failed || v.state() == cancelled {
			return r.retry(ctx, p, j, "create made no usable job", false)
		}
		if r.ahead(ctx, spec, p, j, v) {
			return r.remember()
		}
		j.ID, j.State, j.Since, j.Sign = v.ExportID, created, since, sign(fields)
		r.src.client.meter.exported(1, 0)
		r.born, r.dirty = j, true
		r.filtered(spec, p)
		return r.remember()
	}
}

// ahead reports whether a new job's window reaches beyond the vendor's present, which the job tells. That is so where this
// machine's clock is ahead: what is going to happen there would be exported before it does, and never again. The run
// then ends at the vendor's present.
func (r *run) ahead(ctx context.Context, spec *partSpec, p *part, j *job, v *vendorJob) bool {
	made, ok := parseSecond(v.CreatedAt)
	if !ok || j.To <= made || spec.sweeps || r.counted || p.To != 0 {
		return false
	}
	r.fast = r.now().sub(made)
	p.Jobs = p.Jobs[:slices.Index(p.Jobs, j)] // those after it have not been created either
	r.pos.Until, r.dirty = max(p.end(), made.add(-visibleAfter)), true
	r.note("warning", "this machine's clock is %s ahead of the vendor's; reading ends at %s", r.fast, r.pos.Until)
	r.src.env.Log.WarnContext(ctx, "this machine's clock is ahead of the vendor's", "stream", r.schema.Stream, "by", r.fast)
	if err := r.src.cancelJob(ctx, spec.object, v.ExportID); err != nil {
		r.src.env.Log.DebugContext(ctx, "cancel a job", "job", v.ExportID, "err", err) // nobody enqueues it
	}
	return true
}

// filtered takes down that the run has a job with its date filter.
func (r *run) filtered(spec *partSpec, p *part) {
	if spec.object == leadObject && p.By == "" {
		p.By, r.dirty = p.filterBy(), true
		r.tellFilter(p)
	}
}

// options are what else than its window decides about a job.
func (spec *partSpec) options(ctx context.Context, p *part, j *job) (exportOptions, error) {
	o := exportOptions{by: p.filterBy(), reach: j.Reach}
	if spec.types != nil {
		types, err := spec.types(ctx)
		if err != nil {
			return o, err
		}
		o.types = types
	}
	if spec.prepare != nil {
		spec.prepare(&o, j.window)
	}
	return o, nil
}

// register makes the call. Of an export that several streams need it is made by one of them, and known to the others in the same step.
func (r *run) register(ctx context.Context, spec *partSpec, j *job, since second, fields []string, o exportOptions) (*vendorJob, error) {
	if spec.shared != "" {
		r.src.shared.creating.Lock()
		defer r.src.shared.creating.Unlock()
		if k, ok := r.src.shared.find(spec.shared, j.From, j.To, r.now()); ok && k.To == j.To {
			j.take(k) // another stream was faster
			r.dirty = true
			return nil, nil
		}
	}
	j.Calls++
	v, err := r.src.createJob(ctx, spec.object, fields[spec.added:], spec.object.filter(j.window, o))
	if spec.shared != "" && err == nil && v != nil && validID(v.ExportID) && v.state() != failed && v.state() != cancelled {
		r.src.shared.add(spec.shared, &job{window: j.window, ID: v.ExportID, Since: since})
	}
	return v, err
}

// wanted are the fields to ask for.
func (p *part) wanted(spec *partSpec) []string {
	return slices.DeleteFunc(slices.Clone(spec.fields), func(f string) bool { return slices.Contains(p.Refused, f) })
}

// adjust makes up for what the account cannot export, and reports whether create is worth
// another try: a date filter that it lacks, a field that is listed but not exported.
func (r *run) adjust(spec *partSpec, p *part, fields []string, err error) bool {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		return false
	}
	if e.Code == "1035" && spec.object == leadObject && p.filterBy() == byUpdate {
		p.By, r.dirty = byCreation, true
		r.tellFilter(p)
		return true
	}
	if e.Code == "1035" && spec.object == memberObject && p.filterBy() == byUpdate {
		if p.By, r.dirty = byCreation, true; p.Was == byCreation {
			return true // as said before
		}
		r.note("warning", "this subscription cannot export program members by the date of their last change; the programs that changed are read whole")
		return true
	}
	if e.Code != "1003" && e.Code != "1006" && e.Code != "1011" {
		return false
	}
	found := false
	for _, f := range fields[min(1, len(fields)):] { // without the key there is no export
		if f == r.version() {
			continue // nor without what orders the versions: each row would be older than what the table has
		}
		if namesField(e.Message, f) {
			p.Refused = append(p.Refused, f)
			found, r.dirty = true, true
			r.note("schema", "field %s is not exported: %s", f, e.Error())
		}
	}
	return found
}

// version is the vendor's name of the field that orders the versions of a record; "": there is none.
func (s *rangeStream) version() string {
	if i := s.schema.Index(s.schema.Version); i >= 0 {
		return s.schema.Columns[i].Origin
	}
	return ""
}

// namesField reports whether the message has the field's name as a word.
func namesField(message, field string) bool {
	for rest := message; ; {
		i := strings.Index(rest, field)
		if i < 0 {
			return false
		}
		before, after := rest[:i], rest[i+len(field):]
		if (before == "" || !wordByte(before[len(before)-1])) && (after == "" || !wordByte(after[0])) {
			return true
		}
		rest = after
	}
}

func wordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
}

// ask looks at the jobs that may have moved: the first ones that run.
func (r *run) ask(ctx context.Context, spec *partSpec, p *part) error {
	looked := 0
	for _, j := range slices.Clone(p.Jobs) {
		if !j.running() {
			continue
		}
		if looked++; looked > jobsAtOnce {
			break
		}
		if r.now() < j.statusDue() {
			continue
		}
		if err := r.look(ctx, spec, p, j); err != nil {
			return err
		}
	}
	return nil
}

// look asks for the state of one job and acts on what has become of it.
func (r *run) look(ctx context.Context, spec *partSpec, p *part, j *job) error {
	v, err := r.src.jobStatus(ctx, spec.object, j.ID)
	j.Calls++
	if errors.Is(err, errGone) {
		return r.retry(ctx, p, j, "the vendor has lost it", false)
	}
	if err != nil {
		return err
	}
	j.Asked, r.dirty = r.now(), true
	if v == nil {
		return nil // the vendor did not say; it will
	}
	switch s := v.state(); s {
	case completed:
		j.State, j.Rows, j.Size, j.Sum = completed, v.Records, v.FileSize, parseSum(v.FileChecksum)
		j.Made = j.Asked
		if j.Size != nil && !j.Shared {
			r.src.client.meter.exported(0, *j.Size)
		}
		return nil
	case failed:
		why := "it failed"
		if v.ErrorMsg != "" {
			why += ": " + v.ErrorMsg
		}
		return r.retry(ctx, p, j, why, true)
	case cancelled:
		return r.retry(ctx, p, j, "somebody cancelled it", false)
	case queued:
		if j.State != processing { // a cached answer may be older than what we know
			j.State = queued
		}
		return r.hurry(ctx, spec, p, j, v.QueuedAt)
	case processing:
		j.State = processing
		return r.hurry(ctx, spec, p, j, v.StartedAt)
	default:
		// Created: true before it is enqueued. Just after, the vendor may still answer from its
		// cache; a quarter of an hour later the enqueue call has been lost.
		if j.running() && j.Asked.sub(j.Since) > 15*time.Minute && s == created {
			j.State = created
		}
		return nil
	}
}

// hurry gives up a job that does not get on.
func (r *run) hurry(ctx context.Context, spec *partSpec, p *part, j *job, from string) error {
	began, _ := parseSecond(from)
	began = max(began, j.Since) // the vendor's clock may be behind
	waited, most := r.now().sub(began), queuedMost
	if j.State == processing {
		most = processingMost
	} else if r.overtaken(p, j) {
		most = overtakenMost
	}
	if waited < most {
		return nil
	}
	if err := r.src.cancelJob(ctx, spec.object, j.ID); err != nil && !errors.Is(err, errGone) {
		return err
	}
	return r.retry(ctx, p, j, fmt.Sprintf("it was %s for %s", j.State, waited), j.State == processing)
}

// overtaken reports whether a job that was enqueued later has been worked on.
func (r *run) overtaken(p *part, j *job) bool {
	i := slices.Index(p.Jobs, j)
	return slices.ContainsFunc(p.Jobs[i+1:], func(k *job) bool { return k.State == processing || k.State == completed })
}

// retry gives up a job and makes its window planned again; from the second failed job on, if
// the size may be why, in two halves. A quota or a full queue never gets here. When too many jobs
// in a row have come to nothing it returns an error.
func (r *run) retry(ctx context.Context, p *part, j *job, why string, halve bool) error {
	staged := j.File != nil || r.delivered
	p.Fails++
	r.src.env.Log.WarnContext(ctx, "export job given up", "stream", r.schema.Stream, "job", j.ID, "err", why)
	which := fmt.Sprintf("job %s for %s to %s", j.ID, j.From, j.To)
	if r.counted {
		which = "job " + j.ID
	}
	r.note("export job", "%s given up: %s", which, why)
	cause := fmt.Errorf("%s: %s", which, why)
	r.src.shared.drop(j.ID)
	j.Tries++
	j.reset()
	r.dirty = true
	if halves := j.halves(); halve && j.Tries > 1 && j.length() > minWindow && len(halves) == 2 {
		i := slices.Index(p.Jobs, j)
		p.Jobs = slices.Replace(p.Jobs, i, i+1,
			&job{window: halves[0], Tries: 1}, &job{window: halves[1], Tries: 1}) // they are halved again at once
		p.Step = halves[1].To - halves[1].From
	}
	gaveUp := p.Fails >= failuresMost || !halve && j.Tries >= triesMost
	if gaveUp {
		p.Fails = 0 // the next sync gets a fresh chance
		for _, k := range p.Jobs {
			k.Tries = 0
		}
	}
	if staged {
		if err := r.discard(); err != nil {
			return err
		}
	}
	if gaveUp {
		return &martsync.Error{
			Kind: martsync.Data, Op: "marketo: export " + r.schema.Stream,
			Hint: "Several export jobs in a row came to nothing; if the next sync meets the same, ask the vendor's support about the job.",
			Err:  cause,
		}
	}
	return r.remember()
}

// discard takes back the rows of an unverified file.
func (r *run) discard() error {
	if r.discarded != nil {
		r.discarded()
	}
	return r.send(martsync.Batch{Cursor: r.pos.cursor(), Discard: true})
}

// wait says when to come back.
func (r *run) wait(spec *partSpec, p *part, parked error) error {
	until, which, running := second(0), (*job)(nil), 0
	for _, j := range p.Jobs {
		var due second
		switch {
		case j.running():
			if running++; running > jobsAtOnce {
				continue // see ask
			}
			due = j.statusDue()
		case j.State == created && j.Wait > 0:
			due = j.queueDue()
		default:
			continue
		}
		if which == nil || due < until {
			until, which = due, j
		}
	}
	if which == nil && parked != nil {
		return parked
	}
	pending := &martsync.Error{Kind: martsync.Pending, Op: "marketo: export " + r.schema.Stream, After: statusEvery}
	if which == nil {
		pending.Err = errors.New("this source's share of the vendor's export queue is in use")
		return pending
	}
	pending.After = max(until.sub(r.now()), time.Second)
	pending.Err = fmt.Errorf("%s job %s is %s", spec.object.noun, which.ID, which.State)
	if r.now().sub(which.Since) >= queuedLong {
		pending.Hint = "The export has waited for hours: other integrations probably fill the subscription's queue of 10 jobs."
	}
	return pending
}

// A quotaError is the refusal of a job because the day's quota is spent. It is kept so that a
// stream which comes back to look at its running jobs does not ask for new ones in vain.
type quotaError struct{ err error }

func (q *quotaError) until(d time.Duration) error {
	return &martsync.Error{Kind: martsync.Quota, Op: "", After: d, Err: q.err}
}
