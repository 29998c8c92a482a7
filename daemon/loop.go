package daemon

import (
	"context"
	"errors"
	"slices"
	"time"
)

// tick is the longest sleep: whoever sets the clock of the machine, or closes its lid, is noticed within it.
const tick = time.Minute

// Run works until stop is closed or ctx is done. Jobs at work then stop where they lose nothing, and are waited
// for; with ctx done, at once. Both are no error: the next daemon goes on.
func (d *Daemon) Run(ctx context.Context, stop <-chan struct{}) error {
	d.mu.Lock()
	if d.serving {
		d.mu.Unlock()
		return errors.New("the daemon runs already")
	}
	d.serving = true
	now := d.options.Clock.Now()
	for _, j := range d.jobs {
		j.next = now
	}
	d.mu.Unlock()

	ended := make(chan struct{}, 1) // a job has ended; one look sees all that have
	for !isClosed(stop) && ctx.Err() == nil {
		wake := d.start(ctx, stop, ended)
		d.sleep(ctx, wake, stop, ended)
	}
	d.mu.Lock()
	d.serving = false
	d.mu.Unlock()
	d.workers.Wait()
	d.closeAll(ctx)
	return nil
}

// start lets every job go to work that is ready and finds a place, those first that have waited longest. It returns
// when to look again at the latest.
func (d *Daemon) start(ctx context.Context, stop <-chan struct{}, ended chan<- struct{}) (wake time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.options.Clock.Now()
	wake = now.Add(tick)
	ready := slices.Clone(d.jobs)
	slices.SortStableFunc(ready, func(a, b *job) int { return a.next.Compare(b.next) })
	for _, j := range ready {
		switch {
		case j.working:
		case j.next.After(now):
			if j.next.Before(wake) {
				wake = j.next
			}
		case d.atWork < d.options.AtOnce && !d.accounts[j.account]: // else the end of another one wakes us
			d.take(j)
			d.atWork++
			j.working = true
			d.workers.Go(func() {
				d.work(ctx, j, stop)
				d.mu.Lock()
				d.atWork--
				j.working = false
				d.release(j)
				d.mu.Unlock()
				select {
				case ended <- struct{}{}:
				default:
				}
			})
		}
	}
	return wake
}

// take makes the job's account busy, if it is known. The caller holds the lock.
func (d *Daemon) take(j *job) {
	if j.account != "" {
		d.accounts[j.account], j.holds = true, true
	}
}

// release gives the account back that the job has taken. The caller holds the lock.
func (d *Daemon) release(j *job) {
	if j.holds {
		delete(d.accounts, j.account)
		j.holds = false
	}
}

// sleep waits until wake, stop, or the end of a job's piece of work.
func (d *Daemon) sleep(ctx context.Context, wake time.Time, stop, ended <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slept := make(chan struct{})
	go func() {
		defer close(slept)
		_ = d.options.Clock.Sleep(ctx, wake.Sub(d.options.Clock.Now())) // whatever ends it, the loop looks again
	}()
	select {
	case <-slept:
		return
	case <-stop:
	case <-ended:
	}
	cancel()
	<-slept
}

// closeAll closes the runs that were left open. No job is at work any more.
func (d *Daemon) closeAll(ctx context.Context) {
	for _, j := range d.jobs {
		d.close(ctx, j)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
