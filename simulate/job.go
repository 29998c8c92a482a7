package simulate

import (
	"errors"
	"sync"
	"time"
)

// JobStatus is where an export job stands.
type JobStatus string

// The statuses of an export job.
const (
	JobCreated    JobStatus = "Created"    // registered; nothing runs until it is enqueued
	JobQueued     JobStatus = "Queued"     // waits for a slot
	JobProcessing JobStatus = "Processing" // has a slot
	JobCompleted  JobStatus = "Completed"  // its file can be read
	JobFailed     JobStatus = "Failed"
	JobCancelled  JobStatus = "Cancelled"
)

// A Job is one export job. Times that have not been reached are zero.
type Job struct {
	ID     string
	Object string // kind of records: "leads"
	Owner  string // the API user that created it
	Status JobStatus

	CreatedAt, QueuedAt, StartedAt, FinishedAt time.Time

	Error string // why it failed
	File  *File  // when completed
	Spec  any    // what was asked for

	Hold   time.Duration // stays in the queue at least this long
	Doomed string        // fails with this error instead of completing

	number int
	shown  *Job // what polls see until refresh
	since  time.Time
}

// The errors of Jobs. Which reply they make is the vendor's matter.
var (
	ErrNoJob      = errors.New("no such job")
	ErrQueueFull  = errors.New("too many jobs in the queue")
	ErrQuota      = errors.New("daily export quota exceeded")
	ErrWrongState = errors.New("the job's status does not allow it")
)

// Jobs are the export jobs of an account: created, queued, processed in a few slots, kept for a
// while. It has no goroutines: every call first lets happen what had to happen until now.
type Jobs struct {
	Clock Time
	Seed  uint64

	Slots       int           // jobs processed at once
	Queue       int           // jobs queued or processing at once
	Refresh     time.Duration // polls see a status at most this old
	StatusLife  time.Duration // a finished job is known this long
	Quota       int64         // bytes of files finished in a day; 0: none
	Day         *Daily        // counts these bytes
	ProcessTime func(*Job) time.Duration
	Prepare     func(*Job)                // called when processing starts: the account as it is at this moment is exported
	Make        func(*Job) (*File, error) // called once when the job completes

	mu       sync.Mutex
	jobs     map[string]*Job
	order    []*Job
	finished int64
	played   time.Time // everything up to here has happened
}

// Create registers a job. The caller fills in Object, Owner, Spec, Hold and Doomed.
func (j *Jobs) Create(job Job) (Job, error) {
	now := j.Clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(now)
	if j.overQuota(now) {
		return Job{}, ErrQuota
	}
	if j.jobs == nil {
		j.jobs = make(map[string]*Job)
	}
	p := &job
	p.number = len(j.order) + 1
	p.ID = UUID(Hash(j.Seed, 0x6a6f62, uint64(p.number), 0))
	p.Status, p.CreatedAt = JobCreated, now
	j.jobs[p.ID] = p
	j.order = append(j.order, p)
	return p.refresh(now), nil
}

// Enqueue puts a created job into the queue.
func (j *Jobs) Enqueue(id, owner, object string) (Job, error) {
	now := j.Clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(now)
	p, err := j.find(id, owner, object, now)
	if err != nil {
		return Job{}, err
	}
	if p.Status != JobCreated {
		return *p, ErrWrongState
	}
	if j.overQuota(now) {
		return Job{}, ErrQuota
	}
	busy := 0
	for _, o := range j.order {
		if o.Status == JobQueued || o.Status == JobProcessing {
			busy++
		}
	}
	if busy >= j.Queue {
		return Job{}, ErrQueueFull
	}
	p.Status, p.QueuedAt = JobQueued, now
	shown := p.refresh(now)
	j.settle(now) // a free slot takes it at once, which polls see later
	return shown, nil
}

// Cancel ends a job that has not finished.
func (j *Jobs) Cancel(id, owner, object string) (Job, error) {
	now := j.Clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(now)
	p, err := j.find(id, owner, object, now)
	if err != nil {
		return Job{}, err
	}
	switch p.Status {
	case JobCreated, JobQueued, JobProcessing:
	default:
		return *p, ErrWrongState
	}
	p.Status = JobCancelled
	shown := p.refresh(now)
	p.FinishedAt = now // ends its retention; not shown
	j.settle(now)
	return shown, nil
}

// Status returns the job as polls see it: as it was up to Refresh ago.
func (j *Jobs) Status(id, owner, object string) (Job, error) {
	now := j.Clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(now)
	p, err := j.find(id, owner, object, now)
	if err != nil {
		return Job{}, err
	}
	return p.poll(now, j.Refresh), nil
}

// Job returns the job as it is.
func (j *Jobs) Job(id, owner, object string) (Job, error) {
	now := j.Clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(now)
	p, err := j.find(id, owner, object, now)
	if err != nil {
		return Job{}, err
	}
	return *p, nil
}

// List returns the owner's jobs of an object created at or after since, the oldest first, as
// polls see them.
func (j *Jobs) List(owner, object string, since time.Time) []Job {
	now := j.Clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(now)
	var list []Job
	for _, p := range j.order {
		if p.Owner == owner && p.Object == object && !p.CreatedAt.Before(since) && !j.forgotten(p, now) {
			list = append(list, p.poll(now, j.Refresh))
		}
	}
	return list
}

// Settle lets everything happen that had to happen until now. Whoever changes the account calls
// it before, so that jobs that have started keep the account as it was.
func (j *Jobs) Settle() {
	now := j.Clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(now)
}

// Counts returns how many jobs were created and how many bytes of files were finished, ever.
func (j *Jobs) Counts() (jobs int, bytes int64) {
	j.Settle()
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.order), j.finished
}

func (j *Jobs) find(id, owner, object string, now time.Time) (*Job, error) {
	p := j.jobs[id]
	if p == nil || p.Owner != owner || p.Object != object || j.forgotten(p, now) {
		return nil, ErrNoJob
	}
	return p, nil
}

func (j *Jobs) forgotten(p *Job, now time.Time) bool {
	return j.StatusLife > 0 && !p.FinishedAt.IsZero() && now.Sub(p.FinishedAt) >= j.StatusLife
}

func (j *Jobs) overQuota(now time.Time) bool {
	return j.Quota > 0 && j.Day.Sum(now) >= j.Quota
}

// settle plays the events between the last call and now in the order of their times: a job
// ends, and the job that has waited longest takes its slot.
func (j *Jobs) settle(now time.Time) {
	for {
		var ends, starts *Job
		var endAt, startAt time.Time
		processing := 0
		for _, p := range j.order {
			switch p.Status {
			case JobProcessing:
				processing++
				if at := p.StartedAt.Add(j.ProcessTime(p)); ends == nil || at.Before(endAt) {
					ends, endAt = p, at
				}
			case JobQueued:
				if at := p.QueuedAt.Add(p.Hold); starts == nil || at.Before(startAt) {
					starts, startAt = p, at
				}
			default:
			}
		}
		if startAt.Before(j.played) { // it could start earlier, but there was no slot
			startAt = j.played
		}
		switch {
		case starts != nil && processing < j.Slots && !startAt.After(now) && (ends == nil || !endAt.Before(startAt)):
			j.played = startAt
			starts.Status, starts.StartedAt = JobProcessing, startAt
			if j.Prepare != nil {
				j.Prepare(starts)
			}
		case ends != nil && !endAt.After(now):
			j.played = endAt
			j.finish(ends, endAt)
		default:
			j.played = now
			return
		}
	}
}

func (j *Jobs) finish(p *Job, at time.Time) {
	p.FinishedAt = at
	if p.Doomed != "" {
		p.Status, p.Error = JobFailed, p.Doomed
		return
	}
	file, err := j.Make(p)
	if err != nil {
		p.Status, p.Error = JobFailed, err.Error()
		return
	}
	p.Status, p.File = JobCompleted, file
	j.finished += file.Size
	j.Day.Add(at, file.Size)
}

// poll returns what a poll sees.
func (p *Job) poll(now time.Time, refresh time.Duration) Job {
	if p.shown == nil || now.Sub(p.since) >= refresh {
		return p.refresh(now)
	}
	return *p.shown
}

func (p *Job) refresh(now time.Time) Job {
	shown := *p
	shown.shown = nil
	p.shown, p.since = &shown, now
	return shown
}
