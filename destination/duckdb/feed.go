//go:build cgo && !lite

package duckdb

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/martsync/martsync"
)

// A feed hands rows to an INSERT … SELECT * FROM martsync_feed(id), whose threads take them
// from its queue, a vector of DuckDB's at a time. So DuckDB compresses and writes with all
// its threads while the next rows are parsed; its appender would use only one.
type feed struct {
	id      int64
	columns []martsync.Column

	mu     sync.Mutex
	more   sync.Cond
	queue  []piece
	held   map[unsafe.Pointer]*batch // by output chunk: rows that DuckDB may still look at
	closed bool                      // no more rows will come
	over   bool                      // the statement has ended
	failed error                     // the statement must fail
}

// A batch is rows in a buffer of ours.
type batch struct {
	vectors []martsync.Vector
	pin     runtime.Pinner // DuckDB's vectors point into the buffer
	left    int            // pieces that DuckDB has not done with
	done    func()
}

// A piece is the rows [from, to) of a batch.
type piece struct {
	*batch
	from, to int
}

var (
	feeds  sync.Map // of *feed by id, for the callbacks
	feedID atomic.Int64
)

func newFeed(columns []martsync.Column) *feed {
	f := &feed{id: feedID.Add(1), columns: columns, held: map[unsafe.Pointer]*batch{}}
	f.more.L = &f.mu
	feeds.Store(f.id, f)
	return f
}

// put queues rows whose vectors lie in buf. done is called once DuckDB needs them no more.
func (f *feed) put(buf []byte, vectors []martsync.Vector, rows int, done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		done()
		return
	}
	b := &batch{vectors: vectors, done: done}
	if len(buf) > 0 {
		b.pin.Pin(&buf[0])
	}
	for from := 0; from < rows; from += vectorSize {
		b.left++
		f.queue = append(f.queue, piece{b, from, min(from+vectorSize, rows)})
	}
	f.more.Broadcast()
}

// threads is how many of DuckDB's threads should take rows.
func (f *feed) threads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return max(1, len(f.queue)) // all there will be
	}
	if len(f.columns) > manyColumns {
		return 1
	}
	return 256 // as many as there are
}

// manyColumns is the number of columns from which on a table is loaded by one thread. Each thread has
// several chunks of 2,048 rows, which take 32 kB a column and cannot be spilled.
const manyColumns = 500

// close says that no more rows will come; with an error, that the statement must fail.
func (f *feed) close(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.failed == nil {
		f.failed = err
	}
	f.more.Broadcast()
}

// end is called when the statement is over and nothing of the rows is looked at any more.
func (f *feed) end() {
	feeds.Delete(f.id)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for chunk, b := range f.held {
		b.release()
		delete(f.held, chunk)
	}
	for _, p := range f.queue {
		p.release()
	}
	f.queue = nil
}

// release notes that a piece is done with; the feed's lock is held.
func (b *batch) release() {
	if b.left--; b.left == 0 {
		b.pin.Unpin()
		b.done()
	}
}

var errStopped = errors.New("the load was stopped")

// next fills a chunk with rows and waits for them if there are none; no rows mean the end.
// A thread that comes back with a chunk has done with the rows that were in it.
func (f *feed) next(chunk unsafe.Pointer) error {
	f.mu.Lock()
	if b, ok := f.held[chunk]; ok {
		delete(f.held, chunk)
		b.release()
	}
	for len(f.queue) == 0 && !f.closed {
		f.more.Wait()
	}
	if f.failed != nil {
		f.mu.Unlock()
		return f.failed
	}
	if len(f.queue) == 0 {
		f.mu.Unlock()
		bindings.DataChunkSetSize(bindings.DataChunk{Ptr: chunk}, 0)
		return nil
	}
	p := f.queue[0]
	f.queue = f.queue[1:]
	f.held[chunk] = p.batch
	f.mu.Unlock()
	return fill(bindings.DataChunk{Ptr: chunk}, f.columns, p)
}
