package marketo

import (
	"sync"
)

// queueShare is how many of the vendor's ten places in the queue this source takes. Two jobs
// run at once, so five keep the vendor busy while a file is being read, and leave five to
// the other integrations of the subscription. Marketo REST API, Bulk Extract, Limits.
const queueShare = 5

// A dispatcher shares the places in the queue among the streams of a source. Its methods may be called from
// several goroutines.
type dispatcher struct {
	mu      sync.Mutex
	running map[string]int  // places taken, by stream
	waiting map[string]bool // streams that want a place and have none

	expected map[string]float64 // bytes that jobs under way will bring, by stream

	asking sync.Mutex
	first  second // see oldest; 0: not asked yet
}

func newDispatcher() *dispatcher {
	return &dispatcher{running: map[string]int{}, waiting: map[string]bool{}, expected: map[string]float64{}}
}

// update tells where a stream's jobs stand.
func (d *dispatcher) update(stream string, p *position) {
	n, bytes := 0, 0.0
	for _, q := range p.Parts {
		bytes += q.expected()
		for _, j := range q.Jobs {
			if j.running() && !j.Shared {
				n++
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running[stream] = n
	d.expected[stream] = bytes
}

// take asks for a place in the queue, which update gives back unless a job runs in it. Every
// stream that waits without having any is left one.
func (d *dispatcher) take(stream string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken, others := 0, 0
	for _, n := range d.running {
		taken += n
	}
	for s := range d.waiting {
		if s != stream && d.running[s] == 0 {
			others++
		}
	}
	free := queueShare - taken
	if free <= 0 || d.running[stream] > 0 && free <= others {
		d.waiting[stream] = true
		return false
	}
	delete(d.waiting, stream)
	d.running[stream]++
	return true
}

// done says that a stream wants no more places.
func (d *dispatcher) done(stream string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.waiting, stream)
}

// oldest asks once how far back the account goes.
func (d *dispatcher) oldest(ask func() (second, error)) (second, error) {
	d.asking.Lock()
	defer d.asking.Unlock()
	if d.first == 0 {
		t, err := ask()
		if err != nil {
			return 0, err
		}
		d.first = t
	}
	return d.first, nil
}
