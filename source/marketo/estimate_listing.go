package marketo

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/martsync/martsync"
)

// estimateAsset jumps into the listing to find where it ends: by twice as much each time, then by halves. Listings
// are by position, so this takes a few calls however long they are.
func (s *source) estimateAsset(ctx context.Context, st *assetStream, from martsync.Cursor, span martsync.Span, e *martsync.Estimate) error {
	var p assetPosition
	if from != "" {
		if err := json.Unmarshal([]byte(from), &p); err != nil {
			return badCursor(st.schema.Stream, err)
		}
	}
	var bounds url.Values
	now := s.now()
	if every := time.Duration(s.cfg.Assets.FullListingEvery); p.Full != 0 && now.Sub(time.Unix(p.Full, 0)) < every {
		until := now
		if !span.End.IsZero() && span.End.Before(now) {
			until = span.End
		}
		start := time.Unix(p.Since, 0).UTC().Add(-assetOverlap)
		bounds = url.Values{"earliestUpdatedAt": {wireTime(start)}, "latestUpdatedAt": {wireTime(until)}}
		e.From, e.To = start, until
	}
	z, err := s.sizeOf(ctx, st.schema.Stream, bounds != nil, func(ctx context.Context, i int) (*envelope, error) {
		return st.page(ctx, i*assetPage, bounds)
	})
	if err != nil {
		return err
	}
	e.Basis, e.Rows, e.Bytes, e.Detail, e.Open = z.basis(), z.rows, z.bytes, z.detail(), z.open
	calls := walksOf(z.pages) // see assetStream
	if st.asset.detailed() {
		// Each record comes again by a read of its own, with what the listing lacks.
		reads := min(e.Rows, int64(s.cfg.Assets.ProgramReads))
		if e.Rows > 0 {
			e.Bytes += int64(float64(e.Bytes) * detailSize * float64(reads) / float64(e.Rows))
		}
		e.Rows += reads
		calls += float64(reads)
		e.Detail += fmt.Sprintf(", and %d are read by id", reads)
	}
	e.Costs = costs(calls, 0, 0)
	if e.Basis == martsync.Sampled {
		mayErr(e)
	}
	return nil
}

// A size is how long a listing is that pages by position.
type size struct {
	rows, bytes int64
	pages       int               // with records
	least, most int               // of pages, where they were not looked for to the last one
	open        bool              // there are more
	seen        []json.RawMessage // what its pages had that were looked at
}

func (z *size) basis() martsync.Basis {
	if z.least < z.most {
		return martsync.Sampled
	}
	return martsync.Counted
}

func (z *size) detail() string {
	switch {
	case z.open:
		return fmt.Sprintf("the listing has more than %d pages; then %s", z.pages, errAllowance)
	case z.least < z.most:
		return fmt.Sprintf("the listing has %d to %d pages", z.least, z.most)
	case z.pages > 1:
		return fmt.Sprintf("the listing has %d pages", z.pages)
	}
	return "listed"
}

// ids are those of the records that were seen, in rising order.
func (z *size) ids() []int64 {
	seen := map[int64]bool{}
	for _, raw := range z.seen {
		if id, err := recordID(raw); err == nil {
			seen[id] = true
		}
	}
	return sortedKeys(seen)
}

// sizeOf finds out once how long a listing is: by its first page, and if that is full by jumps.
func (s *source) sizeOf(ctx context.Context, stream string, ranged bool, page func(ctx context.Context, i int) (*envelope, error)) (*size, error) {
	if z := s.estimates.sizes[stream]; z != nil && !ranged {
		return z, nil
	}
	first, err := page(ctx, 0)
	if nothing(err) {
		first, err = &envelope{Success: true}, nil
	}
	if err != nil {
		return nil, err
	}
	z := &size{rows: int64(len(first.Result)), bytes: first.Bytes, pages: min(len(first.Result), 1), seen: first.Result}
	if len(first.Result) == assetPage {
		last := assetPage
		z.least, z.most, err = lastPage(s.effort() > 1, func(i int) (bool, error) {
			env, err := page(ctx, i)
			if nothing(err) {
				return false, nil
			}
			// An endpoint that does not page answers each question alike.
			if err != nil || sameResult(first, env) {
				return false, err
			}
			if n := len(env.Result); n > 0 {
				z.seen, last = append(z.seen, env.Result...), n
			}
			return len(env.Result) > 0, nil
		})
		if err != nil && !spentUp(err) {
			return nil, err
		}
		z.pages = z.least
		switch z.open = z.most == 0; {
		case z.open: // the least is all that is known
			z.rows = assetPage * int64(z.pages)
		case z.least < z.most: // the same factor from either end
			z.pages = int(math.Round(math.Sqrt(float64(z.least) * float64(z.most))))
			z.rows = assetPage * int64(z.pages)
		default:
			z.rows = assetPage*int64(z.pages-1) + int64(last)
		}
		z.bytes = first.Bytes * z.rows / assetPage
	}
	if !ranged {
		s.estimates.sizes[stream] = z
	}
	return z, nil
}

// assetSize is how many assets of a kind there are.
func (s *source) assetSize(ctx context.Context, stream string) (*size, error) {
	st := newAssetStream(s, &assets[slices.IndexFunc(assets[:], func(a asset) bool { return a.stream == stream })])
	return s.sizeOf(ctx, stream, false, func(ctx context.Context, i int) (*envelope, error) { return st.page(ctx, i*assetPage, nil) })
}

// pathSize is how long a listing of the asset API is.
func (s *source) pathSize(ctx context.Context, stream, path string, q url.Values) (*size, error) {
	return s.sizeOf(ctx, stream, false, func(ctx context.Context, i int) (*envelope, error) {
		query := url.Values{"offset": {strconv.Itoa(i * assetPage)}, "maxReturn": {strconv.Itoa(assetPage)}}
		for k, v := range q {
			query[k] = v
		}
		return s.client.do(ctx, request{op: "list " + words(stream), path: path, query: query, optional: true})
	})
}

// walksOf is how many calls it takes to walk through a listing of so many pages until nothing is new.
func walksOf(pages int) float64 {
	if pages > 1 {
		return 2 * float64(pages+1)
	}
	return float64(pages + 1)
}

// detailSize is how large the answer to a read by id is, as a part of what a listing says of the record: it has an
// envelope of its own, tags and costs.
const detailSize = 1.6

// nearEnough is up to which part of a listing its end is looked for, where that need not be exact.
const nearEnough = 0.25

// lastPage finds how many pages a listing has that has at least one: between least and most. With an error it tells what was
// known by then; most 0: nothing.
func lastPage(exact bool, has func(page int) (bool, error)) (least, most int, err error) {
	low, high := 0, 2 // low has records
	for {
		ok, err := has(high)
		if err != nil {
			return low + 1, 0, err
		}
		if !ok {
			break
		}
		low, high = high, high*4
	}
	for high-low > 1 && (exact || float64(high-low) > nearEnough*float64(low)) {
		middle := low + (high-low)/2
		if low > 0 && high >= 4*low { // as many times more as less
			middle = 2 * low
		}
		ok, err := has(middle)
		if err != nil {
			return low + 1, high, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	return low + 1, high, nil
}

// A peek is the first page of a listing that pages by token.
type peek struct {
	ids   []int64
	names []string
	pages int
	bytes int64
	more  bool
}

func (s *source) peek(ctx context.Context, r request) (p peek, err error) {
	for env, err := range s.client.tokenPages(ctx, r) {
		if err != nil {
			return p, err
		}
		p.pages++
		p.bytes += env.Bytes
		p.add(env.Result)
		p.more = env.NextPageToken != ""
		return p, nil
	}
	return p, nil
}

// add takes records.
func (p *peek) add(records []json.RawMessage) {
	for _, raw := range records {
		id, err := recordID(raw)
		if err != nil {
			continue
		}
		var l struct {
			Name string `json:"name"`
		}
		_ = json.Unmarshal(raw, &l) // a name that is no text is none
		p.ids, p.names = append(p.ids, id), append(p.names, l.Name)
	}
}

// estimateCampaigns reads the beginning of the listing. Where that is not all, the smart campaigns, whose listing can
// be jumped into, tell how many there are about.
func (s *source) estimateCampaigns(ctx context.Context, e *martsync.Estimate) error {
	p, err := s.peek(ctx, request{op: "list campaigns", path: campaignPath, optional: true})
	if err != nil {
		return err
	}
	e.Rows, e.Bytes, e.Basis, e.Detail = int64(len(p.ids)), p.bytes, martsync.Counted, "listed"
	if p.more {
		like, err := s.assetSize(ctx, "smart_campaigns")
		if err != nil {
			return err
		}
		e.Rows, e.Open = max(like.rows, e.Rows), like.open
		e.Bytes = p.bytes * e.Rows / max(int64(len(p.ids)), 1)
		e.Basis, e.Detail = martsync.Sampled, fmt.Sprintf("%d listed; taken to be as many as smart campaigns", len(p.ids))
	}
	e.Costs = costs(float64(max(1, (e.Rows+leadPage-1)/leadPage)), 0, 0)
	if e.Basis == martsync.Sampled {
		mayErr(e)
	}
	return nil
}

// peekLists is of how many lists the members are looked at, a page of each, where calls are few.
const peekLists = 4

// newestLead is about the greatest id of a lead; 0: not known.
func (s *source) newestLead(ctx context.Context) (int64, error) {
	p := &s.estimates
	if p.leads != nil {
		return p.leads.greatest, nil
	}
	if p.newest != 0 {
		return p.newest, nil
	}
	_, id, err := s.newestLeads(ctx, secondOf(s.now()))
	if martsync.KindOf(err) == martsync.Unavailable && err != nil {
		return 0, nil //nolint:nilerr // a role may read lists and not the log
	}
	p.newest = id
	return id, err
}

// moreUnknown is how many times its beginning a list is taken to be whose members' ids tell nothing.
const moreUnknown = 2

// whole is how many times as long the list is as what has been read of it. Members come in the order of their ids, as a rule;
// so how far these have got, of all ids that there are, is how far the list has.
func (p *peek) whole(newest int64) float64 {
	n := len(p.ids)
	if n < 2 || !slices.IsSorted(p.ids) || p.ids[n-1] <= p.ids[0] || newest == 0 {
		return moreUnknown
	}
	first, last := p.ids[0], p.ids[n-1]
	return float64(max(newest, last)-first+1) / float64(last-first+1)
}

// someLists are lists, and how many there are: those that the estimate of static lists has seen, or the first page of the listing
// by which members are read.
func (s *source) someLists(ctx context.Context, e *martsync.Estimate) (p peek, lists int64, err error) {
	like := s.estimates.sizes["static_lists"]
	if like == nil {
		if p, err = s.peek(ctx, request{op: "list static lists", path: listsPath, optional: true}); err != nil || !p.more {
			return p, int64(len(p.ids)), err
		}
		if like, err = s.assetSize(ctx, "static_lists"); err != nil {
			return p, 0, err
		}
	} else {
		p.add(like.seen)
	}
	e.Open = like.open
	return p, max(int64(len(p.ids)), like.rows), nil
}

// estimateMembers looks at a few lists spread over all of them.
func (s *source) estimateMembers(ctx context.Context, st *memberStream, from martsync.Cursor, e *martsync.Estimate) error {
	if from != "" {
		var at memberPosition
		if err := json.Unmarshal([]byte(from), &at); err != nil {
			return badCursor(st.schema.Stream, err)
		}
		every := time.Duration(s.cfg.ListMembers.Every)
		if at.Pass == 0 && at.Read != 0 && s.now().Sub(time.Unix(at.Read, 0)) < every {
			e.Basis, e.Detail = martsync.Counted, "nothing new is due"
			return nil
		}
	}
	p, lists, err := s.someLists(ctx, e)
	if err != nil {
		return err
	}
	var wanted []int64
	for i, id := range p.ids {
		exclude := s.cfg.ListMembers.Exclude
		if !slices.Contains(exclude, p.names[i]) && !slices.Contains(exclude, strconv.FormatInt(id, 10)) {
			wanted = append(wanted, id)
		}
	}
	slices.Sort(wanted)
	n := min(len(wanted), peekLists*s.effort())
	var members, pages, bytes float64
	cut, newest, looked := 0, int64(-1), 0
	for i := range n {
		id := wanted[(2*i+1)*len(wanted)/(2*n)]
		m, err := s.peek(ctx, request{
			op: fmt.Sprintf("list members of list %d", id), path: fmt.Sprintf("/rest/v1/lists/%d/leads.json", id),
			query: url.Values{"fields": {"id"}}, optional: true,
		})
		if isCode(err, "1013") {
			looked++ // deleted since it was listed
			continue
		}
		if spentUp(err) && looked > 0 {
			break
		}
		if err != nil {
			return err
		}
		looked++
		times := 1.0
		if m.more {
			if cut++; newest < 0 {
				if newest, err = s.newestLead(ctx); err != nil {
					return err
				}
			}
			times = m.whole(newest)
		}
		members, pages, bytes = members+float64(len(m.ids))*times, pages+math.Ceil(float64(m.pages)*times), bytes+float64(m.bytes)*times
	}
	each := float64(lists) * float64(len(wanted)) / float64(max(len(p.ids), 1)) / float64(max(looked, 1))
	e.Rows, e.Bytes = whole(members*each), whole(bytes*each)
	e.Basis, e.Detail = martsync.Sampled, fmt.Sprintf("%d of %d lists looked at", looked, lists)
	switch {
	case cut > 0:
		e.Detail += fmt.Sprintf("; %d of them only up to %d members, the ids of which tell how many there are about", cut, leadPage)
	case looked == int(lists):
		e.Basis = martsync.Counted
	}
	e.Costs = costs(float64((lists+leadPage-1)/leadPage)+pages*each, 0, 0)
	if e.Basis == martsync.Sampled {
		mayErr(e)
	}
	return nil
}
