package marketo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/martsync/martsync"
)

const (
	// logCalls is about how many calls looking into the log may take, with sample and without, and logPlaces at how
	// many places at least and at most it is looked into.
	logCalls, logCallsMore, logCallsFew = 60, 240, 4
	logPlacesLeast, logPlacesMost       = 3, 60

	// shortRange is how long a range is at most that is looked into less often.
	shortRange = 3 * 24 * time.Hour

	// logPages is how many pages are read at one place at most: the vendor filters its log after cutting it into
	// blocks, so the first ones may be empty. Where types take several loops only some calls go into that: what is not on a
	// first page is rare beside the others.
	logPages = 3
)

// logSamples keeps what was found in the log: several streams are made of it.
type logSamples struct {
	mu    sync.Mutex
	known map[string]*logSample
}

// A logSample is what a range of the log is made of, by what a few places show.
type logSample struct {
	w         window
	path      string
	asked     []int   // types
	latest    float64 // rows, if all of it were as its latest part
	points    int
	seen      int64 // activities looked at
	rows      float64
	calls     float64 // to read all of it page by page
	pageBytes float64 // of those pages
	whole     bool    // nothing was left out
	types     map[int64]*typeCount
	fields    map[string]float64 // bytes of each field in an export file
	leads     [2]int64           // least and greatest id of a lead seen; 0: none
}

// A typeCount is how much of a range is of one type.
type typeCount struct{ rows, bytes float64 }

// fileFields are the fields of an activity that the vendor exports.
var fileFields = []string{
	"marketoGUID", "leadId", "activityDate", "activityTypeId", "campaignId", "primaryAttributeValueId",
	"primaryAttributeValue", "actionResult", "attributes",
}

// sampleLog looks into the log at places spread over the range. How much of a place's stretch of time its page covers tells
// how dense the log is there.
func (s *source) sampleLog(ctx context.Context, path string, types []int, w window, more bool) (*logSample, error) {
	s.logs.mu.Lock()
	defer s.logs.mu.Unlock()
	var budget int
	switch {
	case len(types) <= 1: // it is one of many, and mostly rare
		budget = logCallsFew
	case more:
		budget = logCallsMore
	case w.length() <= shortRange:
		budget = logCalls / 3
	default:
		budget = min(logCalls*s.effort(), logCallsMore)
	}
	key := fmt.Sprint(path, types, w.From/3600, w.To/3600, more)
	if l := s.logs.known[key]; l != nil {
		return l, nil
	}
	if l := s.partOfLog(path, types, w, more); l != nil {
		return l, nil
	}
	defer s.keepFor(ctx, findLeads, findExported)()
	budget = min(budget, logShare(ctx))
	l := &logSample{w: w, path: path, asked: types, whole: true, types: map[int64]*typeCount{}, fields: map[string]float64{}}
	each := 1 + loops(types)
	n := min(max(budget*2/3/each, min(logPlacesLeast, budget/each)), logPlacesMost)
	n = max(1, min(n, int(w.length()/time.Hour)))
	bursts := max(0, budget-n*each)
	further := bursts / 2
	if each == 2 {
		further = n * (logPages - 1)
	}
	bursts -= further
	var looks []*look
	for i, stratum := range s.strata(w, n) {
		found, err := s.lookInto(ctx, path, types, stratum, i, &further)
		if spentUp(err) && l.points > 0 {
			l.whole = false // fewer places will have to do
			break
		}
		if err != nil {
			return nil, err
		}
		looks = append(looks, found...)
		l.points++
	}
	if err := s.leaveBursts(ctx, path, looks, bursts+further); err != nil && !spentUp(err) {
		return nil, err
	}
	seen, latest := time.Duration(0), looks[0].part // what the places stand for that were looked into, and the last of them
	for _, k := range looks {
		if k.loop == 0 {
			seen += k.part.length()
		}
		if k.part.From > latest.From {
			latest = k.part
		}
	}
	for _, k := range looks {
		l.add(k, w.length().Seconds()/max(seen.Seconds(), 1))
		if k.part == latest {
			l.latest += float64(k.found) * k.times() * w.length().Seconds() / max(latest.length().Seconds(), 1)
		}
	}
	if s.logs.known == nil {
		s.logs.known = map[string]*logSample{}
	}
	s.logs.known[key] = l
	return l, nil
}

// strata are n parts of a range, one for each place, the latest first: if calls run out the oldest is missing. What the vendor
// keeps for a short time only is most of what there is, so the time of which it has everything gets half of the places or more.
func (s *source) strata(w window, n int) []window {
	kept := max(w.From, secondOf(s.now()).add(-changesKept))
	recent := n
	if n > 1 && kept > w.From && kept < w.To && kept.sub(w.From) > shortRange {
		recent = max((n+1)/2, int(float64(n)*w.To.sub(kept).Seconds()/w.length().Seconds()))
		recent = min(recent, n-1)
	} else {
		kept = w.From
	}
	var parts []window
	for _, x := range []struct {
		window
		n int
	}{{window{From: w.From, To: kept}, n - recent}, {window{From: kept, To: w.To}, recent}} {
		for i := range x.n {
			step := x.length() / time.Duration(x.n)
			part := window{From: x.From.add(time.Duration(i) * step), To: x.From.add(time.Duration(i+1) * step)}
			if i == x.n-1 {
				part.To = x.To
			}
			parts = append(parts, part)
		}
	}
	slices.Reverse(parts)
	return parts
}

// logShare is how many calls of an allowance one look into the log may take: others need some, too.
func logShare(ctx context.Context) int {
	a, ok := ctx.Value(allowanceKey{}).(*allowance)
	if !ok {
		return logCallsMore
	}
	return int(max(a.spare(), 1))
}

// partOfLog makes a sample of one that is known: of some of its types, or of the end of its range, which a regular sync reads.
// For that the latest part of it counts if it is denser than the rest.
func (s *source) partOfLog(path string, types []int, w window, more bool) *logSample {
	for _, l := range s.logs.known {
		if more || l.path != path || l.whole || w.From < l.w.From-3600 || w.To > l.w.To+3600 {
			continue
		}
		short := w.length() <= shortRange && w.To > l.w.To-3600
		if slices.ContainsFunc(types, func(t int) bool { return !slices.Contains(l.asked, t) }) || !short && w.length() < l.w.length()-time.Hour {
			continue
		}
		ratio := w.length().Seconds() / max(l.w.length().Seconds(), 1)
		if short && l.rows > 0 {
			ratio *= max(1, l.latest/l.rows)
		}
		return l.part(types, w, ratio)
	}
	return nil
}

// part takes so much of a sample, and only these types.
func (l *logSample) part(types []int, w window, ratio float64) *logSample {
	x := &logSample{
		w: w, path: l.path, asked: types, points: l.points, leads: l.leads,
		types: map[int64]*typeCount{}, fields: map[string]float64{},
	}
	var rows float64
	for kind, t := range l.types {
		if types == nil || slices.Contains(types, int(kind)) {
			x.types[kind] = &typeCount{t.rows * ratio, t.bytes * ratio}
			rows += t.rows
		}
	}
	share := ratio
	if l.rows > 0 {
		share *= rows / l.rows
	}
	x.rows, x.latest, x.seen = rows*ratio, l.latest*share, int64(float64(l.seen)*share/ratio)
	x.calls, x.pageBytes = l.calls*ratio*float64(loops(types))/float64(loops(l.asked)), l.pageBytes*share
	for f, n := range l.fields {
		x.fields[f] = n * share
	}
	return x
}

// lookInto looks at one place in a part of the range, once for every ten types. The place is not the same in each part, or all would fall
// on the same hour. After empty pages it reads as many further ones.
func (s *source) lookInto(ctx context.Context, path string, types []int, part window, i int, further *int) ([]*look, error) {
	const golden = 0.6180339887498949
	_, shift := math.Modf(float64(i+1) * golden)
	at := part.From.add(time.Duration(shift * 0.9 * float64(part.length())))
	if part.length() <= 2*time.Hour {
		at = part.From
	}
	reply, err := s.client.do(ctx, request{
		op: "look into the log", method: http.MethodGet, path: "/rest/v1/activities/pagingtoken.json",
		query: url.Values{"sinceDatetime": {(max(at, 1) - 1).String()}}, optional: true,
	})
	if err != nil {
		return nil, err
	}
	var looks []*look
	for loop := range loops(types) {
		q := url.Values{"batchSize": {strconv.Itoa(leadPage)}}
		if types != nil {
			var ids []string
			for _, t := range types[min(loop*typesALoop, len(types)):min((loop+1)*typesALoop, len(types))] {
				ids = append(ids, strconv.Itoa(t))
			}
			q.Set("activityTypeIds", strings.Join(ids, ","))
		}
		k := &look{
			part: part, w: window{From: at, To: part.To}, loop: loop, query: q, token: reply.NextPageToken, more: true, latest: at,
			types: map[int64]*typeCount{}, fields: map[string]float64{},
		}
		for k.pages < logPages && k.more && k.found == 0 && k.latest < k.w.To {
			if k.pages > 0 {
				if *further <= 0 {
					break
				}
				*further--
			}
			if err := s.readOn(ctx, path, k); err != nil {
				return nil, err
			}
		}
		looks = append(looks, k)
	}
	return looks, nil
}

// A look is what one place shows of up to ten types.
type look struct {
	part, w window // what it stands for; from the place to the end of that
	loop    int
	query   url.Values
	token   string
	more    bool
	latest  second // of what has been read

	pages, bytes, results, found int64 // of these results, those in w
	types                        map[int64]*typeCount
	fields                       map[string]float64
	leads                        [2]int64
}

// readOn reads the next page of a place.
func (s *source) readOn(ctx context.Context, path string, k *look) error {
	k.query.Set("nextPageToken", k.token)
	reply, err := s.client.do(ctx, request{op: "look into the log", method: http.MethodGet, path: path, query: k.query, optional: true})
	if err != nil {
		return err
	}
	k.pages, k.bytes, k.results = k.pages+1, k.bytes+reply.Bytes, k.results+int64(len(reply.Result))
	k.token, k.more = reply.NextPageToken, reply.MoreResult && reply.NextPageToken != ""
	for _, raw := range reply.Result {
		a := new(activity)
		date, ok := second(0), false
		if json.Unmarshal(raw, a) == nil {
			date, ok = parseSecond(bare(a.Date))
		}
		if !ok {
			continue
		}
		k.latest = max(k.latest, date)
		if date >= k.w.From && date < k.w.To {
			k.found++
			k.count(a)
		}
	}
	return nil
}

// whole reports whether everything from the place to the end of its part was read.
func (k *look) whole() bool { return !k.more || k.latest >= k.w.To }

// covered is how much time was read.
func (k *look) covered() time.Duration {
	if k.whole() {
		return k.w.length()
	}
	return max(k.latest.sub(k.w.From), time.Second)
}

// times is how often what was found is in the part.
func (k *look) times() float64 {
	return k.part.length().Seconds() / max(k.covered().Seconds(), 1)
}

// add takes what a place shows for all of its part, so many times: for what no place was looked into.
func (l *logSample) add(k *look, share float64) {
	if !k.whole() || k.w.From > k.part.From {
		l.whole = false
	}
	if !k.whole() && k.found == 0 {
		return // pages of nothing: it is rare here
	}
	walked := float64(k.pages)
	switch { // of what was read, only a part is of this stretch of time
	case k.latest >= k.w.To:
		walked *= float64(k.found) / float64(max(k.results, 1))
	case !k.more:
		walked = float64(k.found) / leadPage
	}
	times := k.times() * share
	l.seen += k.found
	l.rows += float64(k.found) * times
	l.calls += walked * times
	l.pageBytes += float64(k.bytes) * walked / float64(max(k.pages, 1)) * times
	for kind, t := range k.types {
		if l.types[kind] == nil {
			l.types[kind] = &typeCount{}
		}
		l.types[kind].rows += t.rows * times
		l.types[kind].bytes += t.bytes * times
	}
	for f, n := range k.fields {
		l.fields[f] += n * times
	}
	if k.leads[0] > 0 && (l.leads[0] == 0 || k.leads[0] < l.leads[0]) {
		l.leads[0] = k.leads[0]
	}
	l.leads[1] = max(l.leads[1], k.leads[1])
}

// count adds an activity.
func (k *look) count(a *activity) {
	kind, _ := strconv.ParseInt(bare(a.TypeID), 10, 64)
	t := k.types[kind]
	if t == nil {
		t = &typeCount{}
		k.types[kind] = t
	}
	for _, f := range fileFields {
		n := float64(a.fileBytes(f)) + 1
		k.fields[f] += n
		t.bytes += n
	}
	t.rows++
	if lead, err := strconv.ParseInt(bare(a.LeadID), 10, 64); err == nil && lead > 0 {
		if k.leads[0] == 0 || lead < k.leads[0] {
			k.leads[0] = lead
		}
		k.leads[1] = max(k.leads[1], lead)
	}
}

// fileBytes is how many bytes a field of an activity takes in an export file.
func (a *activity) fileBytes(name string) int {
	raw := map[string]json.RawMessage{
		"marketoGUID": a.GUID, "leadId": a.LeadID, "activityDate": a.Date, "activityTypeId": a.TypeID, "campaignId": a.CampaignID,
		"primaryAttributeValueId": a.PrimaryValueID, "primaryAttributeValue": a.PrimaryValue, "actionResult": a.ActionResult,
	}
	if name == "attributes" {
		flat, err := flatAttributes(a.Attributes)
		if err != nil {
			return len(a.Attributes)
		}
		return csvBytes(string(flat))
	}
	return csvBytes(string(a.cell(raw[name])))
}

// csvBytes is how many bytes a cell takes in an export file, without the comma or line end behind it.
func csvBytes(cell string) int {
	if cell == "" {
		return len(emptyCell)
	}
	if strings.ContainsAny(cell, "\",\n\r") {
		return len(cell) + strings.Count(cell, `"`) + 2
	}
	return len(cell)
}

// extent is what the sample says of files with these fields.
func (l *logSample) extent(fields []string) extent {
	x := extent{rows: l.rows, calls: l.calls, basis: martsync.Sampled}
	for _, f := range fields {
		x.bytes += l.fields[f]
	}
	x.detail = fmt.Sprintf("%d activities at %d places of the log", l.seen, l.points)
	if l.whole {
		x.basis, x.detail = martsync.Counted, fmt.Sprintf("all %d were listed", l.seen)
	}
	return x
}

// sharesMost is how many shares are told.
const sharesMost = 10

// typeShares are what each type of activity takes, the largest first.
func (s *source) typeShares(ctx context.Context, types map[int64]*typeCount) []martsync.Share {
	known, err := s.activityTypes(ctx)
	if err != nil {
		known = nil // their numbers will do
	}
	var shares []martsync.Share
	for _, id := range slices.Sorted(maps.Keys(types)) {
		name := strconv.FormatInt(id, 10)
		omit := "activities.exclude: [" + name + "]"
		if i := slices.IndexFunc(known, func(t activityType) bool { return t.ID == id }); i >= 0 {
			name = known[i].Name
			omit = "activities.exclude: [" + strconv.Quote(name) + "]"
		}
		shares = append(shares, martsync.Share{Name: name, Bytes: whole(types[id].bytes), Omit: omit})
	}
	return largest(shares)
}

func largest(shares []martsync.Share) []martsync.Share {
	slices.SortStableFunc(shares, func(a, b martsync.Share) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return shares[:min(len(shares), sharesMost)]
}
