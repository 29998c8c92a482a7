package marketo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// What hangs on leads is estimated by what a few of them lead to.

const (
	// askedLeads is how many leads are asked for what hangs on them, and askedPages how many pages of it are read.
	askedLeads, askedPages = 150, 2
)

// sampled are leads, taken from all that there have been.
func (s *source) sampled(ctx context.Context) (*leadSample, error) {
	if l := s.estimates.leads; l != nil {
		return l, nil
	}
	to := secondOf(s.now())
	return s.sampleLeads(ctx, window{From: to.add(-365 * 24 * time.Hour), To: to}, false)
}

// hung asks for records by values of a field, and reports whether these are all.
func (s *source) hung(ctx context.Context, noun, path, by string, values, fields []string) (found []json.RawMessage, bytes int64, all bool, err error) {
	r := request{op: "look at " + noun, path: path, optional: true, query: url.Values{
		"filterType": {by}, "filterValues": {strings.Join(values, ",")}, "fields": {strings.Join(fields, ",")}, "batchSize": {fmt.Sprint(leadPage)},
	}}
	for range askedPages {
		env, err := s.client.do(ctx, r)
		if nothing(err) {
			return found, bytes, true, nil
		}
		if err != nil {
			return found, bytes, false, err
		}
		found, bytes = append(found, env.Result...), bytes+env.Bytes
		if !env.MoreResult || env.NextPageToken == "" {
			return found, bytes, true, nil
		}
		r.query.Set("nextPageToken", env.NextPageToken)
	}
	return found, bytes, false, nil
}

// A lot is what hangs on the leads that have a value.
type lot struct {
	values []string           // each once
	times  map[string]float64 // for how many leads each stands
}

// lots are the values of a field in some leads.
func lots(leads []sampledLead, name string) lot {
	l := lot{times: map[string]float64{}}
	for i := range leads {
		v := leads[i].field(name)
		if v == "" || strings.Contains(v, ",") {
			continue
		}
		if _, had := l.times[v]; !had {
			l.values = append(l.values, v)
		}
		l.times[v] += leads[i].times
	}
	return l
}

// hungRecords are those of an object that some leads have.
type hungRecords struct {
	records []json.RawMessage
	bytes   int64 // of their pages
	all     bool
}

// hungFields are the fields of an object of which others need a few: all, if it is a stream that may be estimated from the same.
func (s *source) hungFields(of *keyed, few ...string) []string {
	p := &s.estimates
	if p.wanted != nil && !p.wanted[of.stream] {
		return few
	}
	for _, st := range p.streams {
		if k, ok := st.(*keyedStream); ok && k.of == of {
			for _, f := range k.fields {
				if !slices.Contains(few, f) {
					few = append(few, f)
				}
			}
		}
	}
	return few
}

// customExtent asks what hangs on a few leads, if the object is found by what links it to them.
func (s *source) customExtent(ctx context.Context, spec *partSpec, w window) (extent, error) {
	none := extent{rows: -1, bytes: -1, basis: martsync.Assumed, detail: "only an export tells: add --sample"}
	name := strings.TrimPrefix(spec.object.dir, "customobjects/")
	d, err := s.describeObject(ctx, "custom object "+name, "/rest/v1/customobjects/"+name+"/describe.json")
	if err != nil {
		return none, err
	}
	link, of := d.link()
	if link == "" {
		return none, nil
	}
	leads, err := s.sampled(ctx)
	if err != nil || leads == nil {
		return none, err
	}
	few := lots(leads.some(askedLeads), of)
	if len(few.values) == 0 {
		return none, nil
	}
	fields := spec.fields
	if !slices.Contains(fields, link) {
		fields = append(slices.Clone(fields), link)
	}
	known := s.estimates.hung[name]
	if known == nil {
		known = &hungRecords{}
		known.records, _, known.all, err = s.hung(ctx, spec.object.noun, "/rest/v1/customobjects/"+name+".json", link, few.values, fields)
	}
	if err != nil && !spentUp(err) && martsync.KindOf(err) != martsync.Auth && ctx.Err() == nil {
		return none, nil // it is not searched by that, after all
	}
	if err != nil {
		return none, err
	}
	s.estimates.hung[name] = known
	x := extent{basis: martsync.Sampled, detail: fmt.Sprintf("%d records of %d leads", len(known.records), len(few.values))}
	for _, raw := range known.records {
		one := sampledLead{raw: raw}
		if at, ok := parseSecond(one.field(byUpdate)); ok && (at < w.From || at >= w.To) {
			continue
		}
		times := few.times[one.field(link)]
		x.rows += times
		_, bytes := rowBytes(&envelope{Result: []json.RawMessage{raw}}, spec.fields)
		x.bytes += bytes * times
	}
	if !known.all {
		x.detail += ", the first of them only"
	}
	return x, nil
}

// link is a field by which records are found, and the field of leads whose values it has; "": there is none.
func (d *description) link() (field, of string) {
	for _, r := range d.Relationships {
		if !strings.EqualFold(r.Related.Name, "Lead") || r.Field == "" {
			continue
		}
		if slices.ContainsFunc(d.Search, func(by []string) bool { return len(by) == 1 && strings.EqualFold(by[0], r.Field) }) {
			return r.Field, r.Related.Field
		}
	}
	return "", ""
}

// estimateKeyed asks what a few leads lead to.
func (s *source) estimateKeyed(ctx context.Context, st *keyedStream, e *martsync.Estimate) error {
	if st.of == namedAccounts {
		return s.estimateNamed(ctx, st, e)
	}
	r := &run{rangeStream: st.rangeStream, pos: &position{V: positionVersion, Parts: map[string]*part{}}}
	start, err := st.eldest(ctx, r)
	if err != nil {
		return err
	}
	w := window{From: start, To: max(secondOf(s.now().Add(-visibleAfter)), start+1)}
	leads, err := s.sampled(ctx)
	if err != nil {
		return err
	}
	if leads == nil {
		unknown(e, float64(r.jobsFor(&part{}, w, extent{}))*jobCalls, "the log names no lead")
		return nil
	}
	// Keys come from an export of one field of all leads.
	var keyed, bytes float64
	for i := range leads.leads {
		v := leads.leads[i].field(st.of.lead)
		if v != "" {
			keyed += leads.leads[i].times
		}
		bytes += float64(csvBytes(v)+1) * leads.leads[i].times
	}
	jobs := float64(r.jobsFor(&part{}, w, extent{bytes: bytes}))
	bytes += jobs * float64(len(st.of.lead)+1)
	paid := s.estimates.exports[st.of.shares()]
	if paid != "" && paid != st.schema.Stream {
		bytes, jobs = 0, 0
	}
	s.estimates.exports[st.of.shares()] = st.schema.Stream
	c := hungCount{source: s, st: st, leads: leads, keyed: keyed}
	if st.of.lead == "id" {
		err = c.byLead(ctx)
	} else {
		err = c.byValue(ctx)
	}
	if spentUp(err) {
		unknownAsSpent(e, jobs*jobCalls+keyed/leadPage)
		e.Costs = costs(jobs*jobCalls+keyed/leadPage, bytes, jobs)
		return nil
	}
	if err != nil {
		return err
	}
	e.Basis, e.Detail = martsync.Sampled, c.detail
	e.Rows, e.Bytes = whole(c.rows), whole(c.rows*c.row)
	e.Costs = costs(jobs*jobCalls+c.calls, bytes, jobs)
	mayErr(e)
	if c.most > c.calls {
		e.Most = costs(jobs*jobCalls+c.most, sampleError*bytes, jobs)
	}
	if paid != "" && paid != st.schema.Stream {
		e.Detail += "; the exports count with " + paid
	}
	return nil
}

// A hungCount is how many records all leads lead to.
type hungCount struct {
	source *source
	st     *keyedStream
	leads  *leadSample
	keyed  float64 // leads that lead to something

	rows, row   float64 // how many, and how many bytes each takes in a page
	calls, most float64 // to ask for them; most: 0: as calls
	detail      string
}

// pagesOf is how many calls it takes to ask for keys that lead to so many rows.
func pagesOf(keys, rows float64) float64 { return max(keys, rows)/leadPage + 1 }

// byValue counts the different values of a field of leads: those that come once and twice in the sample tell how many have
// not been seen (Chao, 1984). No more than leads have.
func (c *hungCount) byValue(ctx context.Context) error {
	t := c.st.of
	count := map[string]int{}
	for i := range c.leads.leads {
		if v := c.leads.leads[i].field(t.lead); v != "" {
			count[v]++
		}
	}
	var once, twice float64
	n := 0
	values := make([]string, 0, len(count))
	for v, k := range count {
		n += k
		switch k {
		case 1:
			once++
		case 2:
			twice++
		}
		if !strings.Contains(v, ",") {
			values = append(values, v)
		}
	}
	c.detail = fmt.Sprintf("%d leads have %d different keys", n, len(count))
	if n == 0 {
		return nil
	}
	keys := float64(len(count))
	if !c.leads.all {
		keys = min(keys+once*max(once-1, 0)/(2*(twice+1)), c.keyed)
	}
	slices.Sort(values)
	found, bytes, _, err := c.source.hung(ctx, t.noun, leadDatabase+t.path+".json", t.by, spread(values, askedLeads), c.st.fields)
	if err != nil {
		return err
	}
	asked := float64(min(len(values), askedLeads))
	c.rows, c.row = keys*float64(len(found))/max(asked, 1), float64(bytes)/max(float64(len(found)), 1)
	c.calls, c.most = pagesOf(keys, c.rows), pagesOf(c.keyed, c.keyed)
	if c.leads.all {
		c.most = c.calls
	}
	return nil
}

// byLead asks what a few leads have, and for what others come between how often each of these is named.
func (c *hungCount) byLead(ctx context.Context) error {
	t := c.st.of
	of, fields := t, c.st.fields
	if t.via != nil {
		of, fields = t.via, c.source.hungFields(t.via, t.by, t.via.by)
	} else if !slices.Contains(fields, t.by) {
		fields = append(slices.Clone(fields), t.by)
	}
	few := lots(c.leads.some(askedLeads), t.lead)
	known := c.source.estimates.hung[of.stream]
	if known == nil {
		known = &hungRecords{}
		var err error
		if known.records, known.bytes, known.all, err = c.source.hung(ctx, of.noun, leadDatabase+of.path+".json", of.by, few.values, fields); err != nil {
			return err
		}
		c.source.estimates.hung[of.stream] = known
	}
	found, bytes, all := known.records, known.bytes, known.all
	rows := 0.0
	weight := map[string]float64{}
	for _, raw := range found {
		one := sampledLead{raw: raw}
		times := few.times[one.field(of.by)]
		rows += times
		weight[one.field(t.by)] += times
	}
	c.detail = fmt.Sprintf("%d %s of %d leads", len(found), of.noun, len(few.values))
	if !all {
		c.detail += ", the first of them only"
	}
	c.calls = pagesOf(c.keyed, rows)
	if t.via == nil {
		c.rows, c.row = rows, float64(bytes)/max(float64(len(found)), 1)
		return nil
	}
	// Each record stands for as many as are named by the leads that name it: named by many, it is found as many times.
	delete(weight, "")
	var keys []string
	for k := range weight {
		if !strings.Contains(k, ",") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if len(keys) == 0 {
		return nil
	}
	named, _, _, err := c.source.hung(ctx, of.noun, leadDatabase+of.path+".json", t.by, spread(keys, askedLeads), []string{t.by})
	if err != nil {
		return err
	}
	times := map[string]float64{}
	for _, raw := range named {
		times[(&sampledLead{raw: raw}).field(t.by)]++
	}
	var records, counted, sum float64
	for k, n := range times {
		records += weight[k] / n
		counted += weight[k]
	}
	for _, n := range weight {
		sum += n
	}
	records *= sum / max(counted, 1)
	shown, size, _, err := c.source.hung(ctx, t.noun, leadDatabase+t.path+".json", t.by, spread(keys, askedLeads), c.st.fields)
	if err != nil {
		return err
	}
	c.rows, c.row = records, float64(size)/max(float64(len(shown)), 1)
	c.calls += pagesOf(records, records)
	return nil
}

// peekNamed is of how many lists of named accounts the first page is read, where calls are few.
const peekNamed = 1

// estimateNamed reads the first page of each list of named accounts.
func (s *source) estimateNamed(ctx context.Context, st *keyedStream, e *martsync.Estimate) error {
	lists := s.cfg.Objects.NamedAccountLists
	calls := 0.0
	e.Basis = martsync.Counted
	looked := 0
	for _, name := range lists[:min(len(lists), peekNamed*s.effort())] {
		n, bytes, more, err := s.firstAccounts(ctx, st, name)
		if spentUp(err) {
			break
		}
		if err != nil {
			return err
		}
		looked++
		e.Rows, e.Bytes, e.Open = e.Rows+n, e.Bytes+bytes, e.Open || more
		calls += 2
	}
	if looked == 0 {
		unknownAsSpent(e, 2*float64(len(lists)))
		return nil
	}
	e.Detail = fmt.Sprintf("the first page of %d of %d lists", looked, len(lists))
	if looked < len(lists) {
		times := float64(len(lists)) / float64(looked)
		e.Rows, e.Bytes, e.Basis = whole(float64(e.Rows)*times), whole(float64(e.Bytes)*times), martsync.Sampled
		calls = 2 * float64(len(lists))
	}
	e.Costs = costs(calls, 0, 0)
	return nil
}

// firstAccounts reads the first page of a list of named accounts. A list that does not exist has none: reading says so.
func (s *source) firstAccounts(ctx context.Context, st *keyedStream, list string) (n, bytes int64, more bool, err error) {
	found, err := s.client.do(ctx, request{op: "look for a named account list", path: leadDatabase + "namedAccountLists.json", optional: true, query: url.Values{
		"filterType": {"dedupeFields"}, "filterValues": {list},
	}})
	if err != nil && !nothing(err) {
		return 0, 0, false, err
	}
	guid := ""
	for i := 0; err == nil && i < len(found.Result); i++ {
		one := sampledLead{raw: found.Result[i]}
		if id := one.field("marketoGUID"); strings.EqualFold(one.field("name"), list) && validID(id) {
			guid = id
		}
	}
	if guid == "" {
		return 0, 0, false, nil
	}
	env, err := s.client.do(ctx, request{op: "look at named accounts", path: leadDatabase + "namedAccountList/" + guid + "/namedAccounts.json", optional: true, query: url.Values{
		"fields": {strings.Join(st.fields, ",")}, "batchSize": {fmt.Sprint(leadPage)},
	}})
	if nothing(err) {
		return 0, 0, false, nil
	}
	if err != nil {
		return 0, 0, false, err
	}
	return int64(len(env.Result)), env.Bytes, env.MoreResult, nil
}
