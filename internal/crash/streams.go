package crash

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// changedSince returns the ids of what has changed since, in the order of the changes.
func changedSince(table map[int64]person, since int64) []int64 {
	ids := slices.DeleteFunc(slices.Collect(maps.Keys(table)), func(id int64) bool { return table[id].changed <= since })
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(table[a].changed, table[b].changed) })
	return ids
}

func appendPerson(b *rows.Builder, id int64, p person) {
	at := rows.Micros(p.changed * 1e6)
	if p.gone {
		b.AppendTombstone(id, nil, at)
		return
	}
	b.Append(id, p.name, at)
}

// pages is the cursor of people. Parsed counts the rows of the window that is not complete.
type pages struct {
	Since  int64 `json:"since"`
	Parsed int64 `json:"parsed"`
}

// readPeople yields what has changed in pages of three, each with a cursor; the last page
// completes the window. If nothing has changed it asks to remember an empty window.
func (s *Script) readPeople(_ context.Context, from martsync.Cursor, yield func(martsync.Batch) bool) error {
	var c pages
	if err := readCursor(from, &c); err != nil {
		return err
	}
	for {
		s.mu.Lock()
		ids := changedSince(s.people, c.Since)
		b := rows.NewBuilder(peopleSchema.Columns)
		for _, id := range ids[:min(3, len(ids))] {
			appendPerson(b, id, s.people[id])
			c.Since = s.people[id].changed
			c.Parsed++
		}
		s.mu.Unlock()
		batch := martsync.Batch{Bytes: int64(b.Len() * 10)}
		if b.Len() > 0 {
			batch.Records = b.Records()
		}
		last := len(ids) <= 3
		if last {
			batch.Window = &martsync.Window{Filter: fmt.Sprintf(`{"to":%d}`, c.Since), Records: -1, Bytes: -1, Parsed: c.Parsed}
			c.Parsed = 0
		}
		batch.Cursor = writeCursor(c)
		if !yield(batch) || last {
			return nil
		}
	}
}

// export is the cursor of events.
type export struct {
	Window int    `json:"window"`
	Phase  string `json:"phase,omitempty"` // "create": about to; "job": created
	Job    int    `json:"job,omitempty"`
	Offset int    `json:"offset,omitempty"`
	Bad    int64  `json:"bad,omitempty"`
	Failed int    `json:"failed,omitempty"` // checks
}

// readEvents exports window after window.
func (s *Script) readEvents(_ context.Context, from martsync.Cursor, yield func(martsync.Batch) bool) error {
	var c export
	if err := readCursor(from, &c); err != nil {
		return err
	}
	for {
		switch c.Phase {
		case "":
			s.mu.Lock()
			closed := c.Window < len(s.events)
			s.mu.Unlock()
			if !closed {
				return nil
			}
			c.Phase = "create"
			if !yield(martsync.Batch{Cursor: writeCursor(c)}) {
				return nil
			}
		case "create":
			c.Job, c.Phase = s.createJob(c.Window), "job"
			if !yield(martsync.Batch{Cursor: writeCursor(c)}) {
				return nil
			}
		case "job":
			next, more, err := s.download(c, yield)
			if err != nil || !more {
				return err
			}
			c = next
		default:
			return &martsync.Error{Kind: martsync.Internal, Op: "read events", Err: fmt.Errorf("unknown phase %q", c.Phase)}
		}
	}
}

func (s *Script) createJob(window int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = append(s.jobs, job{
		window: window, ready: s.Clock.Now().Add(time.Minute),
		corrupt: max(s.random.IntN(6)-3, 0), cut: s.random.IntN(3) == 0,
	})
	return len(s.jobs)
}

// download yields the file of a job, two rows a batch. Its bytes are checked at its end.
func (s *Script) download(c export, yield func(martsync.Batch) bool) (next export, more bool, err error) {
	s.mu.Lock()
	if c.Job < 1 || c.Job > len(s.jobs) || s.jobs[c.Job-1].window != c.Window {
		s.mu.Unlock()
		return c, false, &martsync.Error{Kind: martsync.Internal, Op: "download", Err: fmt.Errorf("no job %d for window %d", c.Job, c.Window)}
	}
	j := s.jobs[c.Job-1]
	file := s.events[c.Window]
	wait := j.ready.Sub(s.Clock.Now())
	s.mu.Unlock()
	if wait > 0 {
		return c, false, &martsync.Error{Kind: martsync.Pending, Op: "wait for job", After: wait}
	}
	wrong := c.Failed < j.corrupt
	for c.Offset < len(file) {
		if c.Offset >= 4 && s.cutOnce(c.Job) {
			return c, false, &martsync.Error{Kind: martsync.Transient, Op: "download", Err: fmt.Errorf("connection lost")}
		}
		batch := fileBatch(file, &c, wrong)
		if c.Offset < len(file) || wrong {
			batch.Cursor, batch.Unverified = writeCursor(c), true
			if !yield(batch) {
				return c, false, nil
			}
			continue
		}
		return s.finish(c, file, batch, yield)
	}
	if !wrong { // an empty file, or one whose last rows were staged before it was checked
		return s.finish(c, file, martsync.Batch{}, yield)
	}
	// The check failed: the file again, then a new job.
	c.Offset, c.Bad, c.Failed = 0, 0, c.Failed+1
	if c.Failed >= 2 {
		c = export{Window: c.Window}
	}
	more = yield(martsync.Batch{Discard: true, Cursor: writeCursor(c), Notes: []martsync.Note{{Operation: "download", Message: "wrong checksum"}}})
	return c, more, nil
}

func (s *Script) finish(c export, file []event, batch martsync.Batch, yield func(martsync.Batch) bool) (export, bool, error) {
	sum := sha256.Sum256(fmt.Append(nil, file))
	batch.Window = &martsync.Window{
		Job: fmt.Sprint(c.Job), Filter: fmt.Sprintf(`{"window":%d}`, c.Window), Records: int64(len(file)), Bytes: -1,
		SHA256: hex.EncodeToString(sum[:]), Parsed: int64(len(file)), Quarantined: c.Bad,
	}
	c = export{Window: c.Window + 1}
	batch.Cursor = writeCursor(c)
	return c, yield(batch), nil
}

// cutOnce reports whether the connection of the job's download breaks now.
func (s *Script) cutOnce(job int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cut := s.jobs[job-1].cut
	s.jobs[job-1].cut = false
	return cut
}

// readFiles yields the file of each window, two rows a batch. Even files have unverified
// cursors and odd ones have none before their end.
func (s *Script) readFiles(_ context.Context, from martsync.Cursor, yield func(martsync.Batch) bool) error {
	var c export
	if err := readCursor(from, &c); err != nil {
		return err
	}
	for {
		s.mu.Lock()
		if c.Window >= len(s.events) {
			s.mu.Unlock()
			return nil
		}
		file, wrong := s.events[c.Window], c.Failed < s.wrong[c.Window]
		s.mu.Unlock()
		even := c.Window%2 == 0
		if c.Offset == 0 && even && !yield(martsync.Batch{Cursor: writeCursor(c), Unverified: true}) {
			return nil
		}
		for {
			batch := fileBatch(file, &c, wrong)
			end := c.Offset == len(file)
			switch {
			case end && !wrong:
				batch.Window = &martsync.Window{
					Job: fmt.Sprint("file ", c.Window), Filter: fmt.Sprintf(`{"window":%d}`, c.Window), Records: int64(len(file)), Bytes: -1,
					Parsed: int64(len(file)), Quarantined: c.Bad,
				}
				c = export{Window: c.Window + 1}
				batch.Cursor = writeCursor(c)
			case even && !end:
				batch.Cursor, batch.Unverified = writeCursor(c), true
			}
			if !yield(batch) {
				return nil
			}
			if end {
				break
			}
		}
		if wrong {
			c = export{Window: c.Window, Failed: c.Failed + 1}
			if !yield(martsync.Batch{Discard: true, Cursor: writeCursor(c)}) {
				return nil
			}
		}
	}
}

// fileBatch makes a batch of the next two events of a file and moves the cursor.
func fileBatch(file []event, c *export, wrong bool) martsync.Batch {
	b := rows.NewBuilder(eventsSchema.Columns)
	var batch martsync.Batch
	for _, e := range file[c.Offset:min(c.Offset+2, len(file))] {
		c.Offset++
		if e.bad {
			c.Bad++
			batch.Quarantined = append(batch.Quarantined, martsync.Quarantined{
				Job: fmt.Sprint(c.Job), Line: int64(c.Offset), Column: "id", Reason: "not a number", Raw: fmt.Sprintf("event %d", e.id),
			})
			continue
		}
		id := e.id
		if wrong {
			id = -id
		}
		b.Append(id, rows.JSON(fmt.Sprintf(`{"id":%d}`, id)))
	}
	if b.Len() > 0 {
		batch.Records = b.Records()
	}
	batch.Bytes = int64(20 * b.Len())
	return batch
}

// readCatalog yields everything in two batches; the last one has the cursor.
func (s *Script) readCatalog(_ context.Context, _ martsync.Cursor, yield func(martsync.Batch) bool) error {
	s.mu.Lock()
	items := slices.Clone(s.catalog)
	s.mu.Unlock()
	half := len(items) / 2
	for i, part := range [][]string{items[:half], items[half:]} {
		b := rows.NewBuilder(catalogSchema.Columns)
		for _, item := range part {
			b.Append(item)
		}
		batch := martsync.Batch{Records: b.Records()}
		if i == 1 {
			batch.Cursor = `"whole"`
			batch.Window = &martsync.Window{Filter: "{}", Records: -1, Bytes: -1, Parsed: int64(len(items))}
		}
		if !yield(batch) {
			return nil
		}
	}
	return nil
}

// readMembers yields list after list. The rows of a list come in one or two batches, of
// which the last has the cursor and says that the list is complete.
func (s *Script) readMembers(_ context.Context, from martsync.Cursor, yield func(martsync.Batch) bool) error {
	var c struct {
		List int64 `json:"list"` // the last one read
		Pass int   `json:"pass"`
	}
	if err := readCursor(from, &c); err != nil {
		return err
	}
	for {
		s.mu.Lock()
		list := c.List + 1
		members, ok := s.lists[list]
		members = slices.Clone(members)
		s.mu.Unlock()
		if !ok {
			c.List, c.Pass = 0, c.Pass+1
			yield(martsync.Batch{Cursor: writeCursor(c)})
			return nil
		}
		for i := 0; ; i += 2 {
			b := rows.NewBuilder(membersSchema.Columns)
			for _, m := range members[min(i, len(members)):min(i+2, len(members))] {
				b.Append(list, m)
			}
			batch := martsync.Batch{Records: b.Records()}
			last := i+2 >= len(members)
			if last {
				c.List = list
				batch.Cursor = writeCursor(c)
				batch.Complete = &martsync.Scope{Column: "list_id", Value: fmt.Sprint(list)}
				batch.Window = &martsync.Window{Filter: fmt.Sprintf(`{"list":%d}`, list), Records: -1, Bytes: -1, Parsed: int64(len(members))}
			}
			if !yield(batch) {
				return nil
			}
			if last {
				break
			}
		}
	}
}

// readPrograms yields what has changed, in which what is gone still shows, and then everything.
func (s *Script) readPrograms(_ context.Context, from martsync.Cursor, yield func(martsync.Batch) bool) error {
	var c pages
	if err := readCursor(from, &c); err != nil {
		return err
	}
	for _, whole := range []bool{false, true} {
		s.mu.Lock()
		since := c.Since
		if whole {
			since = 0
		}
		programs := maps.Clone(s.programs)
		s.mu.Unlock()
		ids := slices.DeleteFunc(changedSince(programs, since), func(id int64) bool { return whole && programs[id].gone })
		for i := 0; ; i += 3 {
			b := rows.NewBuilder(peopleSchema.Columns)
			for _, id := range ids[min(i, len(ids)):min(i+3, len(ids))] {
				b.Append(id, programs[id].name, rows.Micros(programs[id].changed*1e6))
				c.Since = max(c.Since, programs[id].changed)
			}
			batch := martsync.Batch{Records: b.Records()}
			last := i+3 >= len(ids)
			switch {
			case !whole:
				batch.Cursor = writeCursor(c)
			case last:
				batch.Cursor, batch.Complete = writeCursor(c), &martsync.Scope{}
			}
			if !yield(batch) {
				return nil
			}
			if last {
				break
			}
		}
	}
	return nil
}
