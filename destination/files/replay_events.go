package files

import (
	"encoding/binary"
	"os"
	"slices"
	"sort"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/martsync/martsync"
)

// An eventLog keeps the scopes and censuses of steps until each bucket has applied them. They may be
// as large as the table: a census names every record. So it goes to disk when it grows.
type eventLog struct {
	temp *tempFiles
	file *os.File
	size int64  // of the file
	tail []byte // what is not in the file yet
}

// An eventPos says where the events of a step are.
type eventPos struct{ at, size int64 }

// eventTail is how many bytes of events stay in memory.
const eventTail = 2 << 20

func (l *eventLog) append(scopes []martsync.Scope, censuses []martsync.Census) (eventPos, error) {
	packed := s2.Encode(nil, appendEvents(nil, scopes, censuses))
	pos := eventPos{l.size + int64(len(l.tail)), int64(len(packed))}
	l.tail = append(l.tail, packed...)
	if len(l.tail) < eventTail {
		return pos, nil
	}
	if l.file == nil {
		f, err := l.temp.create()
		if err != nil {
			return pos, err
		}
		l.file = f
	}
	if _, err := l.file.WriteAt(l.tail, l.size); err != nil {
		return pos, tempError(err)
	}
	l.size += int64(len(l.tail))
	l.tail = l.tail[:0]
	return pos, nil
}

// read returns the events at pos, which lie in the file or in the tail but never in both.
func (l *eventLog) read(pos eventPos) ([]martsync.Scope, []martsync.Census, error) {
	var packed []byte
	if pos.at >= l.size {
		packed = l.tail[pos.at-l.size:][:pos.size]
	} else {
		packed = make([]byte, pos.size)
		if _, err := l.file.ReadAt(packed, pos.at); err != nil {
			return nil, nil, tempError(err)
		}
	}
	b, err := s2.Decode(nil, packed)
	if err != nil {
		return nil, nil, tempError(err)
	}
	return cutEvents(b)
}

// reset forgets all events.
func (l *eventLog) reset() {
	if l.file != nil {
		l.temp.remove(l.file)
	}
	l.file, l.size, l.tail = nil, 0, l.tail[:0]
}

// appendEvents writes keys as the distance from the one before, which takes a byte or two each.
func appendEvents(dst []byte, scopes []martsync.Scope, censuses []martsync.Census) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(scopes)))
	for _, s := range scopes {
		for _, text := range []string{s.Column, s.Value} {
			dst = binary.AppendUvarint(dst, uint64(len(text)))
			dst = append(dst, text...)
		}
		dst = appendInstant(appendInstant(dst, s.From), s.To)
	}
	dst = binary.AppendUvarint(dst, uint64(len(censuses)))
	for _, c := range censuses {
		dst = binary.AppendVarint(dst, c.After)
		dst = binary.AppendVarint(dst, c.UpTo)
		dst = binary.AppendUvarint(dst, uint64(len(c.Keys)))
		last := c.After
		for _, k := range c.Keys {
			dst = binary.AppendUvarint(dst, uint64(k)-uint64(last)) //nolint:gosec // the difference wraps as it should
			last = k
		}
	}
	return dst
}

// appendInstant writes a time to the microsecond, which is what columns have.
func appendInstant(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, 0)
	}
	return binary.AppendVarint(append(dst, 1), t.UnixMicro())
}

func cutEvents(b []byte) (scopes []martsync.Scope, censuses []martsync.Census, err error) {
	unsigned := func() uint64 {
		n, w := binary.Uvarint(b)
		if w <= 0 {
			err, b = errBroken, nil
			return 0
		}
		b = b[w:]
		return n
	}
	signed := func() int64 {
		n, w := binary.Varint(b)
		if w <= 0 {
			err, b = errBroken, nil
			return 0
		}
		b = b[w:]
		return n
	}
	text := func() string {
		n := unsigned()
		if n > uint64(len(b)) {
			err, b = errBroken, nil
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	instant := func() time.Time {
		if unsigned() == 0 {
			return time.Time{}
		}
		return time.UnixMicro(signed()).UTC()
	}
	for range unsigned() {
		if err != nil {
			return nil, nil, tempError(err)
		}
		scopes = append(scopes, martsync.Scope{Column: text(), Value: text(), From: instant(), To: instant()})
	}
	for range unsigned() {
		c := martsync.Census{After: signed(), UpTo: signed()}
		n := unsigned()
		if err != nil || n > uint64(len(b)) {
			return nil, nil, tempError(errBroken)
		}
		c.Keys = make([]int64, 0, n)
		last := c.After
		for range n {
			last = int64(uint64(last) + unsigned()) //nolint:gosec // wraps back
			c.Keys = append(c.Keys, last)
		}
		censuses = append(censuses, c)
	}
	if err != nil {
		return nil, nil, tempError(err)
	}
	return scopes, censuses, nil
}

// A span is the integers above after and up to upTo.
type span struct{ after, upTo int64 }

// spans are disjoint, do not touch, and ascend.
type spans []span

// contain reports whether all of s is among the spans.
func (a spans) contain(s span) bool {
	i := sort.Search(len(a), func(i int) bool { return a[i].upTo >= s.upTo })
	return s.after >= s.upTo || i < len(a) && a[i].after <= s.after
}

// add makes s part of the spans.
func (a *spans) add(s span) {
	if s.after >= s.upTo {
		return
	}
	from := 0
	for from < len(*a) && (*a)[from].upTo < s.after {
		from++
	}
	to := from // from here to there the spans touch s
	for ; to < len(*a) && (*a)[to].after <= s.upTo; to++ {
		s.after, s.upTo = min(s.after, (*a)[to].after), max(s.upTo, (*a)[to].upTo)
	}
	*a = slices.Replace(*a, from, to, s)
}
