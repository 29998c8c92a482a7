package pardot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// An opportunityProspectStream reads which prospects belong to which opportunity. Version 5
// does not tell, and version 4 has no filter by change for opportunities, so all of them are
// listed, and a pair that is not among them any more is gone.
// Account Engagement API, Version 4, Opportunities.
type opportunityProspectStream struct {
	source *source
	schema martsync.Schema
}

// newOpportunityProspects returns the stream of the prospects of opportunities.
func newOpportunityProspects(s *source) martsync.Stream {
	return &opportunityProspectStream{source: s, schema: martsync.Schema{
		Stream: opportunityProspectObject.stream, Key: opportunityProspectObject.key, Deletes: true,
		Columns: []martsync.Column{
			{Name: "opportunity_id", Type: martsync.Int64, Description: "the opportunity"},
			{Name: "prospect_id", Type: martsync.Int64, Description: "a prospect it is linked to"},
		},
	}}
}

// opportunityProspectObject is what the configuration of the stream is about. Nested records are
// part of full output only.
var opportunityProspectObject = &object{
	stream: "opportunity_prospects", noun: "opportunity prospect", prefer: v4,
	v4:  &resource{path: "opportunity", key: "opportunity"},
	key: []string{"opportunity_id", "prospect_id"},
}

func (s *opportunityProspectStream) Schema() martsync.Schema { return s.schema }

// A linkPosition is the cursor of opportunity prospects.
type linkPosition struct {
	Read  second `json:"read,omitempty"`  // when the last whole listing began
	Pass  second `json:"pass,omitempty"`  // when the one under way began; 0: none is
	After int64  `json:"after,omitempty"` // of that one: the last opportunity that was read
	Rows  int64  `json:"rows,omitempty"`  // pairs so far, good or bad
	Bad   int64  `json:"bad,omitempty"`   // of these, in quarantine
	Calls int64  `json:"calls,omitempty"`
}

func (p linkPosition) cursor() martsync.Cursor {
	b, err := json.Marshal(p)
	if err != nil {
		panic("pardot: cursor: " + err.Error()) // numbers only
	}
	return martsync.Cursor(b)
}

// parseLinkPosition reads what cursor wrote.
func parseLinkPosition(c martsync.Cursor) (p linkPosition, err error) {
	if c == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(c), &p); err != nil {
		return p, err
	}
	if min(int64(p.Read), int64(p.Pass), p.After, p.Bad, p.Calls) < 0 || p.Rows < p.Bad {
		return p, errors.New("numbers out of range")
	}
	return p, nil
}

// Bounds of the reading of opportunities.
const (
	linkPage     = 200  // opportunities a call: what version 4 gives at most
	linkPageLess = 10   // and at least, where the vendor finds more too slow
	linkRows     = 2000 // pairs between two cursors
	linkQuiet    = 25   // pages without so many between two cursors
)

// Read lists all opportunities in the order of their ids, or goes on with that.
func (s *opportunityProspectStream) Read(ctx context.Context, from martsync.Cursor, _ martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		at, err := parseLinkPosition(from)
		if err != nil {
			yield(martsync.Batch{}, unreadableCursor(s.schema.Stream, err))
			return
		}
		if at.Pass == 0 {
			now := s.source.now()
			if at.Read != 0 && now.Sub(at.Read.time()) < s.source.plan(opportunityProspectObject).every {
				return
			}
			at = linkPosition{Read: at.Read, Pass: secondOf(now)}
		}
		pass := linkPass{stream: s, builder: columns.NewBuilder(s.schema.Columns), yield: yield, at: at}
		if err := pass.run(ctx); err != nil && !errors.Is(err, errStop) {
			yield(martsync.Batch{}, err)
		}
	}
}

// A linkPass is one listing under way.
type linkPass struct {
	stream  *opportunityProspectStream
	builder *columns.Builder
	yield   func(martsync.Batch, error) bool
	at      linkPosition
	bad     []martsync.Quarantined
	raw     []martsync.Raw
	bytes   int64
	pages   int // since the last cursor
	pairs   int // likewise
}

func (p *linkPass) run(ctx context.Context) error {
	const op = "list prospects of opportunities"
	for limit := linkPage; ; {
		page, err := p.stream.source.client.query4(ctx, op, opportunityProspectObject.v4, url.Values{
			"output": {"full"}, "limit": {strconv.Itoa(limit)}, "id_greater_than": {strconv.FormatInt(p.at.After, 10)},
			"sort_by": {"id"}, "sort_order": {"ascending"},
		})
		if tooSlow(err) && limit > linkPageLess {
			limit = max(limit/2, linkPageLess)
			p.at.Calls++
			continue
		}
		if err != nil {
			return err
		}
		p.at.Calls += page.calls
		p.bytes += page.bytes
		more := page.more || len(page.rows) >= limit
		if err := ordered(op, p.at.After, facesOf(page.rows), more); err != nil {
			return err
		}
		last := p.at.After
		if p.stream.source.keeps {
			h := recipe{Kind: linksBody, API: v4, Rows: opportunityProspectObject.v4.key, After: last, Line: p.at.Rows}
			p.raw = append(p.raw, martsync.Raw{
				Body: opportunityProspectObject.bodyName(v4, "after-"+formatID(last)), Data: page.body, How: h.how(),
			})
		}
		for _, raw := range page.rows {
			if err := p.take(raw); err != nil {
				return err
			}
		}
		if !more {
			break
		}
		if p.pages++; p.pairs >= linkRows || len(p.bad) > 0 || p.pages >= linkQuiet {
			// What was read so far does not tell yet who is gone, so it may be put by but not shown.
			if err := p.flush(martsync.Batch{Cursor: p.at.cursor(), Unverified: true}); err != nil {
				return err
			}
		} else if len(p.raw) > 0 { // pages are large: they do not wait for each other
			if err := p.flush(martsync.Batch{}); err != nil {
				return err
			}
		}
	}
	b := martsync.Batch{
		Window: &martsync.Window{
			Filter:  `{"path":"/api/opportunity/do/query","output":"full"}`,
			Records: -1, Bytes: -1, Parsed: p.at.Rows, Quarantined: p.at.Bad, Calls: p.at.Calls,
		},
		Cursor: linkPosition{Read: p.at.Pass}.cursor(),
	}
	if p.at.Bad == 0 {
		b.Complete = &martsync.Scope{}
	} else { // whom they belong to is not known
		b.Notes = []martsync.Note{{Operation: "sweep", Message: fmt.Sprintf(
			"pairs that are gone are not marked: the prospects of %d opportunities cannot be read", p.at.Bad)}}
	}
	return p.flush(b)
}

// take adds the pairs of one opportunity.
func (p *linkPass) take(raw json.RawMessage) error {
	id, prospects, wrong := linksOf(raw)
	if id > 0 {
		p.at.After = max(p.at.After, id)
	}
	if wrong != nil {
		p.at.Rows++
		p.at.Bad++
		p.bad = append(p.bad, martsync.Quarantined{
			Job: "opportunities after " + strconv.FormatInt(p.at.After, 10), Line: p.at.Rows, Reason: wrong.Error(), Raw: rawText(raw),
		})
	}
	for _, prospect := range prospects {
		if p.builder.Full() {
			if err := p.flush(martsync.Batch{}); err != nil {
				return err
			}
		}
		if err := p.builder.AppendCells([][]byte{strconv.AppendInt(nil, id, 10), strconv.AppendInt(nil, prospect, 10)}); err != nil {
			return &martsync.Error{Kind: martsync.Internal, Op: "pardot: list prospects of opportunities", Err: err}
		}
		p.at.Rows++
		p.pairs++
	}
	return nil
}

// flush yields b with the pairs and the quarantine that wait.
func (p *linkPass) flush(b martsync.Batch) error {
	if p.builder.Len() > 0 {
		b.Records = p.builder.Records()
	}
	b.Quarantined, b.Bytes, b.Raw = p.bad, p.bytes, p.raw
	p.bad, p.bytes, p.raw = nil, 0, nil
	if b.Cursor != "" {
		p.pages, p.pairs = 0, 0
	}
	ok := p.yield(b, nil)
	p.builder.Reset()
	if !ok {
		return errStop
	}
	return nil
}

// linksOf returns an opportunity and its prospects in rising order. One prospect is an object,
// several are an array, and none are an absent, null or empty member. Account Engagement API, Version 4.
func linksOf(raw json.RawMessage) (id int64, prospects []int64, err error) {
	var o struct {
		ID        json.RawMessage `json:"id"`
		Prospects json.RawMessage `json:"prospects"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return 0, nil, fmt.Errorf("not an opportunity: %w", err)
	}
	if id = idOf(o.ID); id == 0 {
		return 0, nil, errors.New("the opportunity has no id")
	}
	list, err := nested(o.Prospects, "prospect")
	if err != nil {
		return id, nil, fmt.Errorf("opportunity %d: prospects: %w", id, err)
	}
	for _, one := range list {
		var p struct {
			ID json.RawMessage `json:"id"`
		}
		if err := json.Unmarshal(one, &p); err != nil {
			return id, nil, fmt.Errorf("opportunity %d: a prospect is not an object", id)
		}
		n := idOf(p.ID)
		if n == 0 {
			return id, nil, fmt.Errorf("opportunity %d: a prospect has no id", id)
		}
		prospects = append(prospects, n)
	}
	slices.Sort(prospects)
	return id, slices.Compact(prospects), nil
}

// nested returns the elements of a collection of version 4: the member key of an object, which is
// one element or an array of them.
func nested(raw json.RawMessage, key string) ([]json.RawMessage, error) {
	if nothingIn(raw) {
		return nil, nil
	}
	list := raw
	if raw[0] == '{' {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return nil, err
		}
		if list = members[key]; nothingIn(list) {
			return nil, nil
		}
	}
	switch list[0] {
	case '{':
		return []json.RawMessage{list}, nil
	case '[':
		var elements []json.RawMessage
		err := json.Unmarshal(list, &elements)
		return elements, err
	default:
		return nil, errors.New("neither an object nor an array")
	}
}

// nothingIn reports whether a member is absent or one of the ways in which version 4 writes null.
func nothingIn(raw json.RawMessage) bool { return len(raw) == 0 || isNothing(raw) }
