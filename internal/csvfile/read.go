package csvfile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// The file is cut into blocks that are parsed side by side. The cuts are guesses: a line end
// with an even number of quotes before it ends a record unless there are stray quotes. So
// the blocks are a chain. The first begins with a record for sure; if its parser ends exactly
// at the cut, so does the next one; if not, everything after the last record is given back
// and cut again from there, with one block at a time for a while. What a block yields
// follows from its bytes, and where it begins from the block before: the number of workers
// and the sizes of reads have no part in it.

// patience is how many blocks must fit their cuts before guessing is worth it again.
const patience = 8

// A block is a piece of the file on its way through a parser.
type block struct {
	parser
	data   piece
	kept   int  // data before this has been handed out as it came, or is kept for that
	sure   bool // nothing may be cut after it before it has been parsed
	last   bool // the reader gives nothing after it
	out    chan result
	cancel chan struct{}
}

type reader struct {
	feed
	plan   *plan
	header []string
	yield  func(Chunk, error) bool

	depth    int      // blocks at once
	flight   []*block // cut, in the order of the file
	drained  bool     // nothing is left to cut
	grow     int      // how often the block at the front turned out too small
	patience int
	free     []*block
	lines    int64

	keeper

	builders chan *columns.Builder
	jobs     chan *block // nil: the caller's goroutine parses
	workers  sync.WaitGroup
}

func read(ctx context.Context, r io.Reader, o Options, l limits) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		rd := &reader{feed: feed{r: r}, header: o.Header, yield: yield, lines: o.StartLine}
		rd.keeper = keeper{on: o.Raw, columns: o.Columns, most: l.block}
		err := rd.open(o, l)
		if err == nil && rd.plan != nil {
			defer rd.close()
			err = rd.run(ctx)
		}
		if err == nil {
			err = rd.flush()
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(Chunk{}, err)
		}
	}
}

// open reads the header if need be and starts the workers. A file without a header leaves
// the plan nil.
func (rd *reader) open(o Options, l limits) (err error) {
	if rd.header == nil {
		if rd.header, err = rd.readHeader(l); err != nil || rd.header == nil {
			return err
		}
	}
	if rd.plan, err = newPlan(rd.header, o, l); err != nil {
		return err
	}
	workers := max(o.Workers, 1)
	// A chunk is with the caller while each worker fills another. A worker holds one at a
	// time, so one that needs a builder always gets it in the end.
	rd.builders = make(chan *columns.Builder, workers+1)
	rd.builders <- columns.NewBuilder(o.Columns)
	if rd.depth = 1; workers == 1 {
		return nil
	}
	rd.depth = workers + 1
	rd.jobs = make(chan *block, rd.depth)
	for range workers {
		rd.builders <- columns.NewBuilder(o.Columns)
		rd.workers.Go(func() {
			for b := range rd.jobs {
				b.run(rd.builders)
			}
		})
	}
	return nil
}

func (rd *reader) close() {
	for _, b := range rd.flight {
		rd.abandon(b)
	}
	if rd.jobs != nil {
		close(rd.jobs)
		rd.workers.Wait()
	}
}

// run parses the block and sends its chunks until there are no more or it is cancelled.
func (b *block) run(builders chan *columns.Builder) {
	defer close(b.out)
	trusted := utf8.Valid(b.data.data)
	for {
		var builder *columns.Builder
		select {
		case builder = <-builders:
		case <-b.cancel:
			return
		}
		res := b.chunk(builder, trusted)
		if res.rows > 0 {
			select {
			case b.out <- res:
				continue
			case <-b.cancel:
			}
		}
		builders <- builder
		if res.rows == 0 {
			return
		}
	}
}

// abandon stops the parsing of a block and waits until nobody uses it.
func (rd *reader) abandon(b *block) {
	if rd.jobs == nil {
		return
	}
	close(b.cancel)
	for res := range b.out {
		rd.builders <- res.builder
	}
}

// errStopped says that the caller wants no more.
var errStopped = errors.New("the caller wants no more")

func (rd *reader) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rd.dispatch()
		if len(rd.flight) == 0 {
			break
		}
		head := rd.flight[0]
		if err := rd.drain(head); err != nil {
			return err
		}
		rd.flight = slices.Delete(rd.flight, 0, 1)
		if err := rd.settle(head); err != nil {
			return err
		}
	}
	if !rd.ended() {
		return rd.err
	}
	return nil
}

// dispatch cuts blocks and hands them to the workers, as many as may be under way.
func (rd *reader) dispatch() {
	for !rd.drained && len(rd.flight) < rd.depth {
		if n := len(rd.flight); n > 0 && (rd.patience > 0 || rd.flight[n-1].sure) {
			return
		}
		b := rd.block()
		more := rd.fill(&b.data, rd.plan.limits.block<<rd.grow)
		rd.drained, b.last, b.sure = !more, !more, true
		if more && rd.grow == 0 {
			if i := evenCut(b.data.data); i > 0 {
				rd.unread(b.data.cut(i))
				b.sure = false
			}
		}
		if len(b.data.data) == 0 {
			rd.tail += b.data.nulsOf(0, 1) // after whatever is in flight
			rd.recycle(b)
			return
		}
		b.kept = 0
		b.start(&b.data, !more && rd.ended())
		rd.flight = append(rd.flight, b)
		if rd.jobs != nil {
			b.out, b.cancel = make(chan result), make(chan struct{})
			rd.jobs <- b
		}
	}
}

// evenCut returns the end of the last line with an even number of quotes before it, or 0.
func evenCut(data []byte) int {
	quote := []byte{'"'}
	odd := bytes.Count(data, quote) & 1
	for end := len(data); ; {
		i := bytes.LastIndexByte(data[:end], '\n')
		if i < 0 {
			return 0
		}
		if odd ^= bytes.Count(data[i:end], quote) & 1; odd == 0 {
			return i + 1
		}
		end = i
	}
}

// drain yields the chunks of the first block.
func (rd *reader) drain(b *block) error {
	if rd.jobs != nil {
		for res := range b.out {
			err := rd.deliver(b, res)
			rd.builders <- res.builder
			if err != nil {
				return err
			}
		}
		return nil
	}
	builder := <-rd.builders
	defer func() { rd.builders <- builder }()
	trusted := utf8.Valid(b.data.data)
	for {
		res := b.chunk(builder, trusted)
		if res.rows == 0 {
			return nil
		}
		if err := rd.deliver(b, res); err != nil {
			return err
		}
	}
}

func (rd *reader) deliver(b *block, res result) error {
	for i := range res.quarantined {
		res.quarantined[i].Line += rd.lines
	}
	rd.lines += res.rows
	chunk := Chunk{
		Records: res.builder.Records(), Quarantined: res.quarantined, Rows: res.rows,
		Offset: res.offset, Header: rd.header, Replaced: res.replaced,
	}
	if rd.on {
		var err error
		if chunk.Raw, err = rd.raw(b, res.end); err != nil {
			return err
		}
		rd.offset = res.offset
	}
	if !rd.yield(chunk, nil) {
		return errStopped
	}
	return nil
}

// settle looks where the first block ended, and cuts anew from there if that is not where
// the next one begins.
func (rd *reader) settle(b *block) error {
	defer rd.recycle(b)
	if b.pos == len(b.data.data) {
		if err := rd.keep(&b.data, b.kept, b.pos+1); err != nil {
			return err
		}
		rd.grow, rd.patience = 0, max(rd.patience-1, 0)
		return nil
	}
	if len(rd.flight) > 0 {
		rd.patience = patience
	}
	if err := rd.keep(&b.data, b.kept, b.pos); err != nil {
		return err
	}
	var rest piece
	rest.add(b.data.cut(b.pos))
	for _, next := range rd.flight {
		rd.abandon(next)
		rest.add(next.data)
		rd.recycle(next)
	}
	rd.flight = rd.flight[:0]
	rd.unread(rest)
	switch {
	case b.state == long:
		rd.drained, rd.grow = false, 0
		return rd.skip()
	case b.last: // in the middle of a record, by an error of the reader
		rd.drained = true
	case b.pos == 0:
		rd.drained = false
		rd.grow++
	default:
		rd.drained, rd.grow = false, 0
	}
	return nil
}

// skip passes over a record that is too long, to its first line end after the limit.
func (rd *reader) skip() error {
	var (
		b    = rd.block()
		q    = martsync.Quarantined{Line: 1, Reason: "the record is too long"}
		must = rd.plan.limits.record // bytes to pass over before the line end counts
	)
	defer rd.recycle(b)
	for {
		more := rd.fill(&b.data, rd.plan.limits.block)
		if !more && !rd.ended() {
			rd.drained = true
			return nil
		}
		data := b.data.data
		if q.Raw == "" {
			b.start(&b.data, false)
			q.Raw = b.raw(0, min(len(data), martsync.MaxQuarantineRaw+1))
		}
		n := min(must, len(data))
		must -= n
		end := len(data)
		if lf := bytes.IndexByte(data[n:], '\n'); must == 0 && lf >= 0 {
			end = n + lf + 1
		} else if more {
			if err := rd.keep(&b.data, 0, end); err != nil {
				return err
			}
			continue
		}
		res := result{quarantined: []martsync.Quarantined{q}, rows: 1, end: end, offset: b.data.offset(end)}
		b.kept = 0
		rd.unread(b.data.cut(end))
		res.builder = <-rd.builders
		defer func() { rd.builders <- res.builder }()
		res.builder.Reset()
		return rd.deliver(b, res)
	}
}

func (rd *reader) block() *block {
	if n := len(rd.free); n > 0 {
		b := rd.free[n-1]
		rd.free = rd.free[:n-1]
		return b
	}
	return &block{parser: parser{plan: rd.plan}}
}

// recycle keeps a block for its memory, unless that grew for an unusual record.
func (rd *reader) recycle(b *block) {
	if cap(b.data.data) > 2*rd.plan.limits.block {
		b.data = piece{}
	}
	rd.free = append(rd.free, b)
}
