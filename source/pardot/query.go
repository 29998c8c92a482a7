package pardot

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// Pages. Account Engagement API, Version 5 Overview: limit is at most 1000; Version 4, Using
// the API: at most 200.
const (
	page5 = 1000
	page4 = 200

	// leastPage is where halving a page stops: what takes too long for so few takes too long
	// for another reason.
	leastPage = 10

	// quickPages is after how many pages in time a larger one is tried again.
	quickPages = 10
)

// leastWindow is where halving a window stops.
const leastWindow = time.Minute

// fullPage is how many records are asked for at once.
func (s *stream) fullPage(v version) int {
	switch {
	case v == v4:
		return page4
	case s.join != nil && s.obj.stream != prospectStream:
		return detailPage
	default:
		return page5
	}
}

func fieldsQuery(fields ...string) url.Values {
	return url.Values{"fields": {strings.Join(fields, ",")}}
}

// queryWindow reads the window page by page and closes it.
//
// Each page is a query of its own: the records of the range whose id is greater than the last
// one read, by id. So it does not matter how many share a second, how many there are in all,
// how long it takes, or what changes meanwhile: no token and no offset is carried over.
func (r *run) queryWindow() error {
	w := r.pos.Window
	for r.pos.Window == w {
		p, err := r.page(w)
		if err != nil {
			if err := r.yieldTo(w, err); err != nil {
				return err
			}
			continue
		}
		w.Calls += p.calls
		r.quick++
		if w.Limit > 0 && r.quick >= quickPages {
			r.quick = 0
			if w.Limit *= 2; w.Limit >= r.fullPage(w.API) {
				w.Limit = 0
			}
		}
		if err := r.take(w, p); err != nil {
			return err
		}
	}
	return nil
}

// page reads the next page of the window.
func (r *run) page(w *window) (*page, error) {
	limit := cmp.Or(w.Limit, r.fullPage(w.API))
	q, err := r.bounds(w)
	if err != nil {
		return nil, err
	}
	q.Set("limit", strconv.Itoa(limit))
	if w.API == v4 {
		q.Set("sort_by", "id")
		q.Set("sort_order", "ascending")
		if w.After > 0 {
			q.Set("id_greater_than", strconv.FormatInt(w.After, 10))
		}
		p, err := r.src.client.query4(r.ctx, r.op("query"), r.obj.v4, q)
		if err != nil {
			return nil, err
		}
		// A short page is the last one, unless the vendor counts more than it sends.
		p.more = len(p.rows) >= limit || p.more && len(p.rows) > 0
		return p, nil
	}
	q.Set("fields", strings.Join(r.fields(), ","))
	q.Set("orderBy", "id")
	if w.After > 0 {
		q.Set("idGreaterThan", strconv.FormatInt(w.After, 10))
	}
	return r.src.client.query5(r.ctx, r.op("query"), r.obj.v5.path, q)
}

// fields is what to ask version 5 for.
func (r *run) fields() []string {
	fields := slices.DeleteFunc(slices.Clone(r.layout.fields5), func(f string) bool { return r.lost[f] })
	if !slices.Contains(fields, "id") {
		fields = append([]string{"id"}, fields...)
	}
	if r.showsBin() && !slices.Contains(fields, "isDeleted") {
		fields = append(fields, "isDeleted")
	}
	return fields
}

// showsBin reports whether queries of version 5 show the recycle bin: they must also tell what is in it.
func (r *run) showsBin() bool { return r.obj.v5.bin && !r.lost["isDeleted"] }

// bounds is what selects the records of the window, in the words of its version.
func (r *run) bounds(w *window) (url.Values, error) {
	if w.API == v5 {
		q := clone(r.obj.v5.params)
		if r.showsBin() {
			q.Set("deleted", "all")
		}
		if w.Whole {
			return q, nil
		}
		since := r.obj.v5.since
		if w.From > 0 {
			q.Set(since+"AfterOrEqualTo", wireTime(w.From))
		}
		q.Set(since+"Before", wireTime(w.To))
		return q, nil
	}
	q := clone(r.obj.v4.params)
	if w.Pass > 0 {
		q.Set("deleted", "true")
	}
	z, err := r.zone()
	if err != nil || w.Whole {
		return q, err
	}
	since := r.obj.v4.since
	if w.From > 0 {
		q.Set(since+"_after", z.after(w.From.time()))
	}
	q.Set(since+"_before", z.before(w.To.time()))
	return q, nil
}

func clone(q url.Values) url.Values {
	if q == nil {
		return url.Values{}
	}
	return maps.Clone(q)
}

// wireTime is a time in version 5's words, which take an offset but no Z. Account Engagement
// API, Version 5 Overview.
func wireTime(s second) string { return s.time().Format("2006-01-02T15:04:05+00:00") }

// zone is that of the naive times of version 4. It is told when it has changed: times that
// were read meanwhile are wrong by the difference until the overlap has read them again.
func (r *run) zone() (*zone, error) {
	z, err := r.src.zone(r.ctx)
	if err != nil {
		return nil, err
	}
	if name := z.loc.String(); r.pos.Zone != name {
		if r.pos.Zone != "" {
			r.note("zone", "the API user's time zone is %s now, it was %s", name, r.pos.Zone)
		}
		r.pos.Zone = name
	}
	return z, nil
}

// filter tells the ledger what was asked for.
func (r *run) filter(w *window) string {
	what := map[string]string{}
	if w.Way == byExport {
		what["export"] = r.obj.export.object(w.API)
	} else if q, err := r.bounds(w); err == nil {
		for k := range q {
			what[k] = q.Get(k)
		}
		what["query"] = r.obj.path(w.API)
		if r.binPass(w.API) {
			what["deleted"] = "false, true"
		}
	}
	what["version"] = string(w.API)
	b, err := json.Marshal(what)
	if err != nil {
		panic("pardot: filter: " + err.Error()) // a map of strings
	}
	return string(b)
}

// path is what the version calls the object in paths.
func (o *object) path(v version) string {
	if v == v4 {
		return o.v4.path
	}
	return o.v5.path
}

// yieldTo takes account of what the vendor refused, so that the page can be asked for again,
// or returns the error.
func (r *run) yieldTo(w *window, err error) error {
	if name := unknownField(err); name != "" && w.API == v5 {
		return r.lose(name, err)
	}
	if r.unfilterable(w, err) {
		// Some accounts cannot filter by a time that others can.
		r.note("window", "%s cannot be selected by %s here: all are listed", strings.ReplaceAll(r.obj.stream, "_", " "), r.obj.v5.since)
		w.Whole, w.Pass, w.After = true, 0, 0
		return nil
	}
	if !tooSlow(err) {
		return err
	}
	r.quick = 0
	if limit := cmp.Or(w.Limit, r.fullPage(w.API)); limit > leastPage {
		w.Limit = max(limit/2, leastPage)
		return nil
	}
	if r.halve(w) {
		return nil
	}
	return tooSlowError(r.op("query"), err)
}

// tooSlowError reports that the vendor does not manage the smallest of queries.
func tooSlowError(op string, err error) error {
	return &martsync.Error{
		Kind: martsync.Transient, Op: "pardot: " + op, Err: fmt.Errorf("the vendor takes too long even for %d records: %w", leastPage, err),
		Hint: "It is tried again at the next sync. If it lasts, report it to the vendor's support with the time and the request.",
	}
}

// lose goes on without a field that the vendor does not know, or does not tell this user.
func (r *run) lose(name string, err error) error {
	if name == "id" || r.lost[name] || !slices.Contains(r.layout.fields5, name) {
		return err
	}
	r.lost[name] = true
	i := slices.IndexFunc(r.layout.fields, func(f field) bool { return f.v5 == name })
	if i >= 0 && r.layout.fields[i].wish && name != "isDeleted" {
		r.src.env.Log.Debug("a field is not told", "stream", r.obj.stream, "err", err)
		return nil
	}
	r.note("schema", "%s is not told any more: the vendor refuses the field %s", r.obj.noun, name)
	return nil
}

// unfilterable reports whether the vendor refused the time filter as such. Account Engagement
// API, Error Codes: 51, "Invalid parameter: Parameter updatedAtBefore is invalid."
func (r *run) unfilterable(w *window, err error) bool {
	var refused *apiError
	return w.API == v5 && !w.Whole && codeOf(err) == 51 && errors.As(err, &refused) &&
		strings.Contains(refused.Message, r.obj.v5.since)
}

// halve cuts off the later half of a window that the vendor cannot search. The next windows
// are as short. It reports false if it is short already.
func (r *run) halve(w *window) bool {
	from := max(w.From, founding)
	half := (w.To - from) / 2
	if r.pos.Until == 0 || w.From == 0 && w.Whole && r.since(w.API) == "" || w.To.sub(from) <= leastWindow || half <= 0 {
		return false
	}
	if w.Whole {
		if w.From > 0 {
			return false // it was found out that it cannot be filtered
		}
		r.note("window", "%s without a time may be missing: all at once are too many for the vendor", strings.ReplaceAll(r.obj.stream, "_", " "))
		w.Whole = false
	}
	w.To, r.pos.Step, w.Limit = from+half, half, 0
	r.note("window", "windows are shortened to %s: longer ones are too much for the vendor", time.Duration(half)*time.Second)
	return true
}
