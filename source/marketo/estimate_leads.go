package marketo

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// How many ids are looked up: between the least and the greatest that the log shows, more of them with sample, and below.
const (
	idsAmong, idsAmongMore = 2 * leadPage, 6 * leadPage
	idsBelow               = leadPage / 4
)

// A leadSample is some leads, chosen by ids spread over all.
type leadSample struct {
	leads        []sampledLead
	asked, found int
	all          bool // every id was asked for
	greatest     int64
}

// A sampledLead is a lead that stands for so many.
type sampledLead struct {
	raw   json.RawMessage
	times float64
}

// field is a value of the lead, "" if it has none.
func (l *sampledLead) field(name string) string {
	var lead map[string]json.RawMessage
	if json.Unmarshal(l.raw, &lead) != nil {
		return ""
	}
	for k, v := range lead {
		if strings.EqualFold(k, name) && string(v) != "null" {
			return bare(v)
		}
	}
	return ""
}

// total is about how many leads there are.
func (l *leadSample) total() (n float64) {
	for i := range l.leads {
		n += l.leads[i].times
	}
	return n
}

// some are at most n of the leads, which stand for all.
func (l *leadSample) some(n int) []sampledLead {
	if len(l.leads) <= n {
		return l.leads
	}
	few := make([]sampledLead, 0, n)
	part := 0.0
	for i := range n {
		few = append(few, l.leads[i*len(l.leads)/n])
		part += few[i].times
	}
	for i := range few {
		few[i].times *= l.total() / part
	}
	return few
}

// sampleLeads looks up leads by ids spread over all that there can be, once for all estimates. It is nil where the log
// names no lead.
func (s *source) sampleLeads(ctx context.Context, w window, sample bool) (*leadSample, error) {
	if s.estimates.leads != nil {
		return s.estimates.leads, nil
	}
	least, greatest, err := s.leadIDs(ctx, w, sample)
	if err != nil || greatest == 0 {
		return nil, err
	}
	defer s.keepFor(ctx, findExported)()
	all, err := s.describe(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := s.wantedFields(ctx)
	if err != nil {
		return nil, err
	}
	var fields []string
	for _, f := range all { // those that are wanted, and those that lead to something
		leads := slices.ContainsFunc(keyedObjects, func(t *keyed) bool { return t.lead == f.Name })
		if leads || f.Name == byCreation || f.Name == byUpdate || slices.ContainsFunc(wanted, func(w field) bool { return w.Name == f.Name }) {
			fields = append(fields, f.Name)
		}
	}
	among := min(idsAmong*s.effort(), idsAmongMore)
	if sample {
		among = idsAmongMore
	}
	l := &leadSample{all: true, greatest: greatest}
	if err := s.lookUpSpread(ctx, l, fields, 1, least-1, idsBelow); err != nil {
		return nil, err
	}
	if err := s.lookUpSpread(ctx, l, fields, least, greatest, among); err != nil {
		return nil, err
	}
	s.estimates.leads = l
	return l, nil
}

// leadExtent finds how many leads fall into a range. How many ids exist tells how many leads there are, what they hold how
// large their rows in a file are, and when they were updated how many are of the range.
func (s *source) leadExtent(ctx context.Context, st *rangeStream, by string, w window, sample bool) (extent, error) {
	l, err := s.sampleLeads(ctx, w, sample)
	if err != nil {
		return extent{}, err
	}
	if l == nil {
		return extent{rows: -1, bytes: -1, basis: martsync.Assumed, detail: "the log names no lead, so their number is not known"}, nil
	}
	c := &leadCount{by: by, fields: st.parts[0].fields, w: w, bytes: make([]float64, len(st.parts[0].fields))}
	for i := range l.leads {
		c.take(l.leads[i].raw, l.leads[i].times)
	}
	x := extent{rows: c.rows, basis: martsync.Sampled, detail: fmt.Sprintf("%d of %d ids that were looked up exist", l.found, l.asked)}
	if l.all {
		x.basis = martsync.Counted
	}
	var shares []martsync.Share
	for i := range c.fields {
		x.bytes += c.bytes[i]
		shares = append(shares, martsync.Share{Name: st.schema.Columns[i].Name, Bytes: whole(c.bytes[i])})
	}
	x.shares = largest(shares)
	return x, nil
}

// leadIDs finds the least and the greatest id of leads that the log shows; 0: none. Ids rise with time, so the newest
// New Lead activities tell the greatest.
func (s *source) leadIDs(ctx context.Context, w window, sample bool) (least, greatest int64, err error) {
	types, err := s.wantedTypes(ctx)
	if err != nil {
		return 0, 0, err
	}
	l, err := s.sampleLog(ctx, activitiesPath, types, w, sample)
	if err != nil {
		return 0, 0, err
	}
	first, newest, err := s.newestLeads(ctx, w.To)
	if err != nil {
		return 0, 0, err
	}
	if least = l.leads[0]; least == 0 {
		least = first
	}
	return least, max(l.leads[1], newest), nil
}

// newestLeads finds leads that were made shortly before a moment: the first id on a page of them, and the greatest; 0: none.
func (s *source) newestLeads(ctx context.Context, before second) (first, greatest int64, err error) {
	for _, back := range []time.Duration{time.Hour, 24 * time.Hour, 14 * 24 * time.Hour, 180 * 24 * time.Hour} {
		reply, err := s.client.do(ctx, request{
			op: "find the newest leads", method: http.MethodGet, path: "/rest/v1/activities/pagingtoken.json",
			query: url.Values{"sinceDatetime": {before.add(-back).String()}}, optional: true,
		})
		if err != nil {
			return 0, 0, err
		}
		page, err := s.client.do(ctx, request{
			op: "find the newest leads", method: http.MethodGet, path: activitiesPath, optional: true,
			query: url.Values{"nextPageToken": {reply.NextPageToken}, "batchSize": {strconv.Itoa(leadPage)}, "activityTypeIds": {strconv.Itoa(newLead)}},
		})
		if err != nil {
			return 0, 0, err
		}
		for _, raw := range page.Result {
			var a activity
			if json.Unmarshal(raw, &a) != nil {
				continue
			}
			if id, err := strconv.ParseInt(bare(a.LeadID), 10, 64); err == nil && id > 0 {
				greatest = max(greatest, id)
				if first == 0 {
					first = id
				}
			}
		}
		if len(page.Result) > 0 {
			break
		}
	}
	return first, greatest, nil
}

// newLead is the type of the activity that each lead begins with. Marketo REST API, Activities.
const newLead = 12

// A leadCount is what of a sample falls into a range.
type leadCount struct {
	fields []string
	by     string // the date that decides
	w      window

	rows  float64
	bytes []float64 // of each field, with the comma behind it
}

// lookUpSpread asks for n ids spread evenly over the range, and takes those that exist for all of it.
func (s *source) lookUpSpread(ctx context.Context, l *leadSample, fields []string, from, to int64, n int) error {
	size := to - from + 1
	if size <= 0 {
		return nil
	}
	ids := make([]int64, 0, n)
	if size <= int64(n) {
		for id := from; id <= to; id++ {
			ids = append(ids, id)
		}
	} else {
		l.all = false
		const golden = 0.6180339887498949 // a shift within each step: ids may have a pattern
		for i := range n {
			_, shift := math.Modf(float64(i) * golden)
			ids = append(ids, from+int64((float64(i)+shift)*float64(size)/float64(n)))
		}
		ids = slices.Compact(ids)
	}
	// Each page spreads over all ids: if calls run out, what has been looked up stands for the rest.
	pages, asked := (len(ids)+leadPage-1)/leadPage, 0
	var found []json.RawMessage
	for i := range pages {
		var part []int64
		for j := i; j < len(ids); j += pages {
			part = append(part, ids[j])
		}
		r := request{op: "look up leads", path: "/rest/v1/leads.json", query: url.Values{
			"filterType": {"id"}, "filterValues": {join(part)}, "fields": {strings.Join(fields, ",")},
		}}
		var page []json.RawMessage
		var err error
		for env, e := range s.client.tokenPages(ctx, r) {
			if err = e; err != nil {
				break
			}
			for _, raw := range env.Result {
				page = append(page, slices.Clone(raw))
			}
		}
		if spentUp(err) && asked > 0 {
			l.all = false
			break
		}
		if err != nil {
			return err
		}
		found, asked = append(found, page...), asked+len(part)
	}
	for _, raw := range found {
		l.leads = append(l.leads, sampledLead{raw, float64(size) / float64(asked)})
	}
	l.asked, l.found = l.asked+asked, l.found+len(found)
	return nil
}

// take counts a lead that stands for so many, if it is one of the range.
func (c *leadCount) take(raw json.RawMessage, times float64) {
	var lead map[string]json.RawMessage
	if json.Unmarshal(raw, &lead) != nil {
		return
	}
	if at, ok := parseSecond(bare(lead[c.by])); ok && (at < c.w.From || at >= c.w.To) {
		return
	}
	c.rows += times
	for i, f := range c.fields {
		text := bare(lead[f])
		if text == "null" {
			text = ""
		}
		c.bytes[i] += float64(csvBytes(text)+1) * times
	}
}
