package simulate

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func newJobs(c *Clock) *Jobs {
	return &Jobs{
		Clock: c, Slots: 2, Queue: 4, Refresh: time.Minute, StatusLife: 24 * time.Hour, Quota: 250, Day: &Daily{},
		ProcessTime: func(*Job) time.Duration { return 10 * time.Minute },
		Make: func(*Job) (*File, error) {
			return NewFile(func(_ Mark, emit func(Mark, []byte) error) error {
				return emit(Mark{Rows: 1}, make([]byte, 100))
			})
		},
	}
}

func TestJobsTimeline(t *testing.T) {
	c := NewClock(start)
	j := newJobs(c)
	var ids []string
	for i := range 4 {
		job, err := j.Create(Job{Object: "leads", Owner: "me"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, job.ID)
		c.Advance(time.Minute)
		if _, err := j.Enqueue(job.ID, "me", "leads"); err != nil {
			t.Fatalf("job %d: %v", i, err)
		}
	}
	c.Set(start.Add(3 * time.Hour))
	// Enqueued at minutes 1 to 4; two slots, ten minutes each.
	for i, want := range []struct{ started, finished int }{{1, 11}, {2, 12}, {11, 21}, {12, 22}} {
		job, err := j.Job(ids[i], "me", "leads")
		if err != nil || job.Status != JobCompleted || job.StartedAt != start.Add(time.Duration(want.started)*time.Minute) || job.FinishedAt != start.Add(time.Duration(want.finished)*time.Minute) {
			t.Errorf("job %d: got %+v, %v, want minutes %v", i, job, err, want)
		}
	}
	if n, bytes := j.Counts(); n != 4 || bytes != 400 {
		t.Errorf("counts: got %d jobs and %d bytes", n, bytes)
	}
	if _, err := j.Create(Job{Object: "leads", Owner: "me"}); !errors.Is(err, ErrQuota) {
		t.Errorf("over quota: got %v", err)
	}
	c.Set(start.Add(24 * time.Hour)) // another day, and the statuses of finished jobs still live
	if got := len(j.List("me", "leads", start)); got != 4 {
		t.Errorf("listed: got %d", got)
	}
	if got := len(j.List("me", "leads", start.Add(90*time.Second))); got != 2 {
		t.Errorf("listed since: got %d, want 2", got)
	}
	c.Advance(time.Hour)
	if _, err := j.Status(ids[0], "me", "leads"); !errors.Is(err, ErrNoJob) {
		t.Errorf("after its life: got %v", err)
	}
}

func TestJobsRefusals(t *testing.T) {
	c := NewClock(start)
	j := newJobs(c)
	var ids []string
	for range 6 {
		job, err := j.Create(Job{Object: "leads", Owner: "me"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, job.ID)
	}
	for i, id := range ids[:5] {
		_, err := j.Enqueue(id, "me", "leads")
		if want := i == 4; errors.Is(err, ErrQueueFull) != want {
			t.Errorf("enqueue %d: got %v", i, err)
		}
	}
	for what, err := range map[string]error{
		"other owner":  second(j.Status(ids[0], "you", "leads")),
		"other object": second(j.Status(ids[0], "me", "activities")),
		"unknown":      second(j.Cancel("x", "me", "leads")),
		"unknown job":  second(j.Enqueue("x", "me", "leads")),
	} {
		if !errors.Is(err, ErrNoJob) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := j.Enqueue(ids[0], "me", "leads"); !errors.Is(err, ErrWrongState) {
		t.Errorf("enqueue twice: got %v", err)
	}
	if _, err := j.Cancel(ids[1], "me", "leads"); err != nil {
		t.Errorf("cancel: %v", err)
	}
	if _, err := j.Cancel(ids[1], "me", "leads"); !errors.Is(err, ErrWrongState) {
		t.Errorf("cancel twice: got %v", err)
	}
	if _, err := j.Enqueue(ids[4], "me", "leads"); err != nil {
		t.Errorf("a place is free: got %v", err)
	}
}

func second(_ Job, err error) error { return err }

func TestJobsFates(t *testing.T) {
	c := NewClock(start)
	j := newJobs(c)
	started := 0
	j.Prepare = func(*Job) { started++ }
	fine := j.Make
	j.Make = func(p *Job) (*File, error) {
		if p.Spec == "unmakable" {
			return nil, errors.New("no content")
		}
		return fine(p)
	}
	ids := map[string]string{}
	for _, job := range []Job{{Spec: "held", Hold: time.Hour}, {Spec: "doomed", Doomed: "bad luck"}, {Spec: "unmakable"}} {
		job.Object, job.Owner = "leads", "me"
		made, err := j.Create(job)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Enqueue(made.ID, "me", "leads"); err != nil {
			t.Fatal(err)
		}
		ids[fmt.Sprint(job.Spec)] = made.ID
	}
	status := func(name string) Job {
		t.Helper()
		job, err := j.Job(ids[name], "me", "leads")
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	c.Advance(10 * time.Minute)
	if got := status("doomed"); got.Status != JobFailed || got.Error != "bad luck" || got.File != nil {
		t.Errorf("doomed: got %+v", got)
	}
	if got := status("unmakable"); got.Status != JobFailed || got.Error != "no content" {
		t.Errorf("unmakable: got %+v", got)
	}
	c.Set(start.Add(59 * time.Minute))
	if got := status("held"); got.Status != JobQueued || started != 2 {
		t.Errorf("held: got %+v after %d starts", got, started)
	}
	c.Advance(time.Minute)
	if got := status("held"); got.Status != JobProcessing || got.StartedAt != start.Add(time.Hour) {
		t.Errorf("released: got %+v", got)
	}
}
