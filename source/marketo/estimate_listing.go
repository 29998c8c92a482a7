package marketo

import (
	"context"
	"encoding/json"
	"fmt"
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
	first, err := st.page(ctx, 0, bounds)
	if err != nil {
		return err
	}
	pages, last := min(len(first.Result), 1), 0
	if len(first.Result) == assetPage {
		sizes := map[int]int{}
		if pages, err = lastPage(func(i int) (bool, error) {
			env, err := st.page(ctx, i*assetPage, bounds)
			if err == nil {
				sizes[i] = len(env.Result)
			}
			return sizes[i] > 0, err
		}); err != nil {
			return err
		}
		last = sizes[pages-1]
	}
	e.Basis, e.Rows, e.Bytes = martsync.Counted, int64(len(first.Result)), first.Bytes
	e.Detail = "listed"
	if pages > 1 {
		e.Rows = int64(assetPage*(pages-1) + last)
		e.Bytes = first.Bytes * e.Rows / assetPage
		e.Detail = fmt.Sprintf("the listing has %d pages", pages)
	}
	walks := 1.0
	if pages > 1 {
		walks = 2 // see assetStream
	}
	calls := walks * float64(pages+1)
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
	return nil
}

// detailSize is how large the answer to a read by id is, as a part of what a listing says of the record: it has an
// envelope of its own, tags and costs.
const detailSize = 1.6

// lastPage finds how many pages a listing has that has at least one.
func lastPage(has func(page int) (bool, error)) (int, error) {
	low, high := 0, 1 // low has records
	for {
		ok, err := has(high)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		low, high = high, high*2
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		ok, err := has(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	return low + 1, nil
}

// peekPages is how many pages of a listing are read that can only be read from its beginning.
const peekPages = 5

// A peek is the beginning of a listing that pages by token.
type peek struct {
	ids   []int64
	names []string
	pages int
	bytes int64
	more  bool
}

func (s *source) peek(ctx context.Context, r request, most int) (p peek, err error) {
	for env, err := range s.client.tokenPages(ctx, r) {
		if err != nil {
			return p, err
		}
		p.pages++
		p.bytes += env.Bytes
		for _, raw := range env.Result {
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
		if env.NextPageToken != "" && p.pages >= most {
			p.more = true
			break
		}
	}
	return p, nil
}

// estimateCampaigns reads the beginning of the listing. Where that is not all, the smart campaigns, whose listing can
// be jumped into, tell how many there are about.
func (s *source) estimateCampaigns(ctx context.Context, _ *campaignStream, e *martsync.Estimate) error {
	p, err := s.peek(ctx, request{op: "list campaigns", path: campaignPath, optional: true}, peekPages)
	if err != nil {
		return err
	}
	e.Rows, e.Bytes, e.Basis, e.Detail = int64(len(p.ids)), p.bytes, martsync.Counted, "listed"
	if p.more {
		i := slices.IndexFunc(assets[:], func(a asset) bool { return a.stream == "smart_campaigns" })
		var like martsync.Estimate
		if err := s.estimateAsset(ctx, newAssetStream(s, &assets[i]), "", martsync.Span{}, &like); err != nil {
			return err
		}
		e.Rows = max(like.Rows, e.Rows)
		e.Bytes = p.bytes * e.Rows / max(int64(len(p.ids)), 1)
		e.Basis, e.Detail = martsync.Sampled, fmt.Sprintf("%d listed; taken to be as many as smart campaigns", len(p.ids))
	}
	e.Costs = costs(float64(max(1, (e.Rows+leadPage-1)/leadPage)), 0, 0)
	return nil
}

// Of how many lists the members are looked at, and how many pages of each.
const peekLists, peekListPages = 8, 3

// newestLead is about the greatest id of a lead; 0: not known.
func (s *source) newestLead(ctx context.Context) (int64, error) {
	_, id, err := s.newestLeads(ctx, secondOf(s.now()))
	if martsync.KindOf(err) == martsync.Unavailable && err != nil {
		return 0, nil //nolint:nilerr // a role may read lists and not the log
	}
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
	p, err := s.peek(ctx, request{op: "list static lists", path: listsPath, optional: true}, peekPages)
	if err != nil {
		return err
	}
	lists := int64(len(p.ids))
	if p.more {
		i := slices.IndexFunc(assets[:], func(a asset) bool { return a.stream == "static_lists" })
		var like martsync.Estimate
		if err := s.estimateAsset(ctx, newAssetStream(s, &assets[i]), "", martsync.Span{}, &like); err != nil {
			return err
		}
		lists = max(lists, like.Rows)
	}
	var wanted []int64
	for i, id := range p.ids {
		exclude := s.cfg.ListMembers.Exclude
		if !slices.Contains(exclude, p.names[i]) && !slices.Contains(exclude, strconv.FormatInt(id, 10)) {
			wanted = append(wanted, id)
		}
	}
	slices.Sort(wanted)
	n := min(len(wanted), peekLists)
	var members, pages, bytes float64
	cut, newest := 0, int64(-1)
	for i := range n {
		id := wanted[(2*i+1)*len(wanted)/(2*n)]
		m, err := s.peek(ctx, request{
			op: fmt.Sprintf("list members of list %d", id), path: fmt.Sprintf("/rest/v1/lists/%d/leads.json", id),
			query: url.Values{"fields": {"id"}}, optional: true,
		}, peekListPages)
		if isCode(err, "1013") {
			continue // deleted since it was listed
		}
		if err != nil {
			return err
		}
		times := 1.0
		if m.more {
			if cut++; newest < 0 {
				if newest, err = s.newestLead(ctx); err != nil {
					return err
				}
			}
			times = m.whole(newest)
		}
		members, pages, bytes = members+float64(len(m.ids))*times, pages+float64(m.pages)*times, bytes+float64(m.bytes)*times
	}
	each := float64(lists) * float64(len(wanted)) / float64(max(len(p.ids), 1)) / float64(max(n, 1))
	e.Rows, e.Bytes = whole(members*each), whole(bytes*each)
	e.Basis, e.Detail = martsync.Sampled, fmt.Sprintf("%d of %d lists looked at", n, lists)
	switch {
	case cut > 0:
		e.Detail += fmt.Sprintf("; %d of them only up to %d members, the ids of which tell how many there are about", cut, peekListPages*leadPage)
	case n == int(lists):
		e.Basis = martsync.Counted
	}
	e.Costs = costs(float64((lists+leadPage-1)/leadPage)+pages*each, 0, 0)
	return nil
}
