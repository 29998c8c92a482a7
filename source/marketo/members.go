package marketo

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// A memberStream reads who is on which static list. The vendor tells no changes, so each
// list is read whole, and whoever is not among its members any more has left it. A list
// whose members are those of the last pass goes no further, so that a sync without changes
// writes nothing.
// Source: Marketo REST API, Static Lists; List Membership.
type memberStream struct {
	source *source
	schema martsync.Schema
}

func newMemberStream(s *source) *memberStream {
	return &memberStream{source: s, schema: martsync.Schema{
		Stream: "list_members", Key: []string{"list_id", "lead_id"}, Deletes: true,
		Columns: []martsync.Column{
			{Name: "list_id", Type: martsync.Int64, Description: "the static list"},
			{Name: "lead_id", Type: martsync.Int64, Description: "the lead on it"},
		},
	}}
}

func (s *memberStream) Schema() martsync.Schema { return s.schema }

const listsPath = "/rest/v1/lists.json"

// A memberPosition is the cursor of list members. Times are seconds since 1970.
type memberPosition struct {
	Read  int64     `json:"read,omitempty"`  // when the last pass over all lists began
	Pass  int64     `json:"pass,omitempty"`  // when the pass under way began; 0: none is
	Done  int64     `json:"done,omitempty"`  // of that pass: the last list that was read
	Lists summaries `json:"lists,omitempty"` // lists that have rows in the table
}

func (p memberPosition) cursor() martsync.Cursor {
	b, err := json.Marshal(p)
	if err != nil {
		panic("marketo: cursor: " + err.Error()) // numbers and text only
	}
	return martsync.Cursor(b)
}

// Read makes a pass over all lists in the order of their ids, or goes on with one.
func (s *memberStream) Read(ctx context.Context, from martsync.Cursor, _ martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		pass := memberPass{stream: s, builder: columns.NewBuilder(s.schema.Columns), yield: yield}
		if from != "" {
			if err := json.Unmarshal([]byte(from), &pass.at); err != nil {
				yield(martsync.Batch{}, badCursor(s.schema.Stream, err))
				return
			}
		}
		now := s.source.now()
		if pass.at.Pass == 0 {
			every := time.Duration(s.source.cfg.ListMembers.Every)
			if pass.at.Read != 0 && now.Sub(time.Unix(pass.at.Read, 0)) < every {
				return
			}
			pass.at.Pass, pass.at.Done = now.Unix(), 0
		}
		all, wanted, err := s.lists(ctx, &pass.raw)
		if err != nil {
			yield(martsync.Batch{}, err)
			return
		}
		// Lists that had members and are not listed any more are asked, too: a listing that moves while it is read
		// leaves some out. Those that are gone say so, and have no members.
		for _, s := range pass.at.Lists {
			if _, listed := slices.BinarySearch(all, s.List); !listed {
				wanted = append(wanted, s.List)
			}
		}
		slices.Sort(wanted)
		for _, id := range wanted {
			if id > pass.at.Done && !pass.list(ctx, id) {
				return
			}
		}
		pass.flush(martsync.Batch{Cursor: memberPosition{Read: pass.at.Pass, Lists: pass.at.Lists}.cursor()})
	}
}

// lists returns the ids of all lists and of those to read, in rising order. It adds the pages to kept.
func (s *memberStream) lists(ctx context.Context, kept *[]martsync.Raw) (all, wanted []int64, err error) {
	const op = "list static lists"
	exclude := s.source.cfg.ListMembers.Exclude
	for env, err := range s.source.client.tokenPages(ctx, request{op: op, path: listsPath, optional: true}) {
		if err != nil {
			return nil, nil, err
		}
		if raw := keptPage(listsPath, env, how{Kind: listPage}); raw != nil {
			*kept = append(*kept, *raw)
		}
		for _, raw := range env.Result {
			id, err := recordID(raw)
			if err != nil {
				return nil, nil, &martsync.Error{Kind: martsync.Data, Op: "marketo: " + op, Err: fmt.Errorf("reply %s: %w", env.RequestID, err)}
			}
			var l struct {
				Name string `json:"name"`
			}
			_ = json.Unmarshal(raw, &l) // a name that is no text is none
			all = append(all, id)
			if !slices.Contains(exclude, l.Name) && !slices.Contains(exclude, strconv.FormatInt(id, 10)) {
				wanted = append(wanted, id)
			}
		}
	}
	slices.Sort(all)
	slices.Sort(wanted)
	return slices.Compact(all), slices.Compact(wanted), nil
}

// mostHeld is how many members of a list are held (in 8 MiB) to see whether they are those
// of the last pass. Larger lists are written anew each time.
const mostHeld = 1 << 20

// quietLists is how many lists without news pass by between two cursors. A batch without
// rows asks for a commit, which so many lists are worth.
const quietLists = 50

// A memberPass is one read of a memberStream.
type memberPass struct {
	stream  *memberStream
	builder *columns.Builder
	yield   func(martsync.Batch, error) bool
	at      memberPosition
	quiet   int // lists without news since the last cursor

	// Of the list under way.
	window martsync.Window
	bad    []martsync.Quarantined
	bytes  int64
	id     int64
	held   []int64 // its members as far as they are known and not yet rows
	line   int64   // records seen
	whole  bool    // held is all of them

	raw  []martsync.Raw // pages that have not been yielded yet
	last *martsync.Raw  // the last one of them, whose How is not known before the end of the list
}

// list reads one list and reports whether to go on. Its rows get a cursor at their end
// only: a list of which a part is known does not tell who has left it.
func (p *memberPass) list(ctx context.Context, list int64) bool {
	r := request{
		op: fmt.Sprintf("list members of list %d", list), path: fmt.Sprintf("/rest/v1/lists/%d/leads.json", list),
		query: url.Values{"fields": {"id"}}, optional: true,
	}
	p.window = martsync.Window{Filter: filterJSON(map[string]any{"path": r.path}), Records: -1, Bytes: -1}
	p.begin(list)
	for env, err := range p.stream.source.client.tokenPages(ctx, r) {
		if isCode(err, "1013") {
			break // deleted since it was listed: it has no members
		}
		if err != nil {
			p.yield(martsync.Batch{}, err)
			return false
		}
		p.window.Calls += env.Calls
		p.bytes += env.Bytes
		if !p.keep(r.path, env) || !p.take(env) {
			return false
		}
	}
	return p.end(list, p.sorted(), p.whole && p.window.Quarantined == 0)
}

// begin makes the pass ready for the pages of a list.
func (p *memberPass) begin(list int64) {
	p.bad, p.bytes = nil, 0
	p.id, p.held, p.line, p.whole = list, nil, 0, true
}

// take gathers the members of a page, and makes rows of them where they have become too many to be held.
func (p *memberPass) take(env *envelope) bool {
	for _, raw := range env.Result {
		p.line++
		lead, err := recordID(raw)
		if err != nil {
			p.bad = append(p.bad, quarantine(raw, env.RequestID, p.line, err))
			p.window.Parsed++
			p.window.Quarantined++
			continue
		}
		p.held = append(p.held, lead)
	}
	if len(p.bad) >= martsync.MaxRows && !p.flush(martsync.Batch{}) {
		return false
	}
	if len(p.held) >= mostHeld {
		if !p.rows(p.id, p.held) {
			return false
		}
		p.held, p.whole = p.held[:0], false
	}
	return true
}

// sorted is the members that are held. A lead may come twice while others leave.
func (p *memberPass) sorted() []int64 {
	slices.Sort(p.held)
	return slices.Compact(p.held)
}

// keep holds a page back until it is known what becomes of it, and yields the pages before it if they
// have become much.
func (p *memberPass) keep(path string, env *envelope) bool {
	raw := keptPage(path, env, how{Kind: memberPage, List: p.id})
	if raw == nil {
		return true
	}
	ok := p.settle("")
	p.last = raw
	return ok
}

// settle lets go of the page that is held back; end says what has come of its list.
func (p *memberPass) settle(end string) bool {
	if p.last == nil {
		return true
	}
	p.last.How = how{Kind: memberPage, List: p.id, End: end}.text()
	p.raw, p.last = append(p.raw, *p.last), nil
	size := 0
	for _, r := range p.raw {
		size += len(r.Data)
	}
	return size < rawMost || p.flush(martsync.Batch{})
}

// end closes a list. Whole says that held is all that is on it.
func (p *memberPass) end(list int64, held []int64, whole bool) bool {
	before, had := p.at.Lists.find(list)
	p.at.Done = list
	now := summary{List: list}
	if whole {
		now.Sum = sumOf(held)
	}
	if whole && (had && before.Sum == now.Sum && len(held) > 0 || !had && len(held) == 0) {
		if !p.settle(endsAlike) {
			return false
		}
		if p.quiet++; p.quiet < quietLists {
			return true
		}
		return p.flush(martsync.Batch{Cursor: p.at.cursor()})
	}
	if !p.settle(endsInRows) || !p.rows(list, held) {
		return false
	}
	if p.at.Lists = p.at.Lists.without(list); p.window.Parsed > 0 {
		p.at.Lists = p.at.Lists.with(now)
	}
	b := martsync.Batch{Cursor: p.at.cursor()}
	if w := p.window; w.Parsed > 0 {
		b.Window = &w
	}
	if p.window.Quarantined == 0 { // else somebody is on the list and no row says so
		b.Complete = listScope(list)
	}
	return p.flush(b)
}

func listScope(list int64) *martsync.Scope {
	return &martsync.Scope{Column: "list_id", Value: strconv.FormatInt(list, 10)}
}

// rows puts members into the builder and yields what fills a batch, without a cursor.
func (p *memberPass) rows(list int64, leads []int64) bool {
	id := strconv.AppendInt(nil, list, 10)
	var lead []byte
	for _, l := range leads {
		if p.builder.Full() && !p.flush(martsync.Batch{}) {
			return false
		}
		lead = strconv.AppendInt(lead[:0], l, 10)
		if err := p.builder.AppendCells([][]byte{id, lead}); err != nil {
			p.yield(martsync.Batch{}, &martsync.Error{Kind: martsync.Internal, Op: "marketo: list members", Err: err}) // two integers
			return false
		}
		p.window.Parsed++
	}
	return true
}

// flush yields b with the rows and the quarantine that wait.
func (p *memberPass) flush(b martsync.Batch) bool {
	if p.builder.Len() > 0 {
		b.Records = p.builder.Records()
	}
	b.Bytes, p.bytes = p.bytes, 0
	b.Quarantined, p.bad = p.bad, nil
	b.Raw, p.raw = p.raw, nil
	if b.Cursor != "" {
		p.quiet = 0
	}
	ok := p.yield(b, nil)
	p.builder.Reset()
	return ok
}
