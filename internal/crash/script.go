package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/simulate"
)

// A Script is an invented account with one stream of each manner that the engine knows:
//
//	people    keyed, versions, tombstones, a cursor each page, windows that span pages
//	events    append only, in export jobs whose files have unverified cursors, bad rows, and
//	          now and then a wrong checksum or a broken connection
//	files     append only, file after file without asking to be remembered in between, with
//	          unverified cursors or with none, some with a wrong checksum
//	catalog   a snapshot whose cursor never changes
//	members   keyed, complete scopes one list at a time
//	programs  keyed, what has changed since, in which what is gone still shows, then
//	          everything as one complete scope
//
// It is strict where vendors are: cursors that it never wrote and jobs that it does not know
// are errors.
type Script struct {
	Clock *simulate.Clock

	mu     sync.Mutex
	random *rand.Rand
	tick   int64 // moves with every change: the version of records

	people   map[int64]person
	programs map[int64]person
	events   [][]event // by window, also what is in the files
	wrong    []int     // how often the file of a window is delivered wrong
	catalog  []string
	lists    map[int64][]int64
	jobs     []job
}

type person struct {
	name    string
	changed int64
	gone    bool
}

type event struct {
	id  int64
	bad bool // does not fit its column
}

type job struct {
	window  int
	ready   time.Time
	corrupt int // how many downloads deliver wrong rows
	cut     bool
}

// NewScript returns an account with some records in each stream.
func NewScript(seed uint64) *Script {
	s := &Script{
		Clock:    simulate.NewClock(time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)),
		random:   rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // repeatable on purpose
		people:   map[int64]person{},
		programs: map[int64]person{},
		lists:    map[int64][]int64{1: nil, 2: nil, 3: nil},
	}
	for range 3 {
		s.Change()
	}
	return s
}

// Scripted makes a World of a Script, for Test.
func Scripted(_ testing.TB, seed uint64) *World {
	s := NewScript(seed)
	return &World{Open: s.Open, Change: s.Change, Verify: s.Verify, Clock: s.Clock}
}

// Open opens a source on the account.
func (s *Script) Open() (martsync.Source, error) { return scriptSource{s}, nil }

// Jobs returns how many export jobs were created.
func (s *Script) Jobs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.jobs)
}

// Change changes some records of each stream and closes a window of events.
func (s *Script) Change() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, table := range []map[int64]person{s.people, s.programs} {
		for range 4 {
			s.tick++
			id := s.random.Int64N(20)
			p := table[id]
			p.gone = p.changed > 0 && !p.gone && s.random.IntN(4) == 0
			if !p.gone {
				p.name = fmt.Sprintf("name %d", s.tick)
			}
			p.changed = s.tick
			table[id] = p
		}
	}
	var window []event
	for range s.random.IntN(12) { // now and then an empty window
		s.tick++
		window = append(window, event{id: s.tick, bad: s.random.IntN(6) == 0})
	}
	s.events = append(s.events, window)
	s.wrong = append(s.wrong, max(s.random.IntN(5)-2, 0))
	if s.random.IntN(2) == 0 {
		s.catalog = append(s.catalog, fmt.Sprintf("item %d", s.tick))
	}
	if len(s.catalog) > 3 && s.random.IntN(3) == 0 {
		s.catalog = s.catalog[1:]
	}
	for list := range int64(3) {
		switch members := s.lists[list+1]; {
		case len(members) > 2 && s.random.IntN(2) == 0:
			s.lists[list+1] = slices.Clone(members[1:])
		default:
			s.tick++
			s.lists[list+1] = append(members, s.tick)
		}
	}
}

// The schemas of the streams.
var (
	peopleSchema = martsync.Schema{
		Stream: "people", Key: []string{"id"}, Version: "updated_at", Deletes: true,
		Columns: []martsync.Column{
			{Name: "id", Type: martsync.Int64}, {Name: "name", Type: martsync.String}, {Name: "updated_at", Type: martsync.Timestamp},
		},
	}
	eventsSchema = martsync.Schema{
		Stream:  "events",
		Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: "payload", Type: martsync.JSON}},
	}
	filesSchema = martsync.Schema{Stream: "files", Columns: eventsSchema.Columns}

	catalogSchema = martsync.Schema{
		Stream: "catalog", Key: []string{"name"}, Snapshot: true,
		Columns: []martsync.Column{{Name: "name", Type: martsync.String}},
	}
	membersSchema = martsync.Schema{
		Stream: "members", Key: []string{"list_id", "person_id"}, Deletes: true,
		Columns: []martsync.Column{{Name: "list_id", Type: martsync.Int64}, {Name: "person_id", Type: martsync.Int64}},
	}
)

func programsSchema() martsync.Schema {
	s := peopleSchema
	s.Stream = "programs"
	return s
}

type scriptSource struct{ script *Script }

func (scriptSource) Account() string { return "script:1" }

func (s scriptSource) Streams(ctx context.Context) ([]martsync.Stream, error) {
	return []martsync.Stream{
		scriptStream{peopleSchema, s.script.readPeople},
		scriptStream{eventsSchema, s.script.readEvents},
		scriptStream{filesSchema, s.script.readFiles},
		scriptStream{catalogSchema, s.script.readCatalog},
		scriptStream{membersSchema, s.script.readMembers},
		scriptStream{programsSchema(), s.script.readPrograms},
	}, ctx.Err()
}

// A scriptStream reads by a function that yields batches and returns an error or nil. Yield
// returns false when the reader has had enough.
type scriptStream struct {
	schema martsync.Schema
	read   func(ctx context.Context, from martsync.Cursor, yield func(martsync.Batch) bool) error
}

func (s scriptStream) Schema() martsync.Schema { return s.schema }

func (s scriptStream) Read(ctx context.Context, from martsync.Cursor, _ martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		more := true
		err := s.read(ctx, from, func(b martsync.Batch) bool {
			if more = ctx.Err() == nil; !more {
				yield(martsync.Batch{}, ctx.Err())
				return false
			}
			more = yield(b, nil)
			// The batch was lent: whoever kept it finds nonsense.
			rows.Poison(b.Records)
			return more
		})
		if err != nil && more {
			yield(martsync.Batch{}, err)
		}
	}
}

func readCursor(from martsync.Cursor, into any) error {
	if from == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(from), into); err != nil {
		return &martsync.Error{Kind: martsync.Internal, Op: "read", Err: fmt.Errorf("cursor %q: %w", from, err)}
	}
	return nil
}

func writeCursor(c any) martsync.Cursor {
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	return martsync.Cursor(data)
}
