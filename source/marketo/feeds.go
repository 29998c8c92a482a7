package marketo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

const (
	// typesALoop is how many activity types one walk through the log can ask for.
	// Marketo REST API, Activities.
	typesALoop = 10

	// feedRows is how many rows are gathered before a batch is made of them. A page has 300 at most.
	feedRows = 3_000

	// checkpointBack is how far before the last page a walk starts again when the vendor no longer knows the token: the
	// order is only roughly that of time. Dates that whoever sends an activity has made up stand among the others, so
	// the newest one seen says nothing about how far the walk has come.
	checkpointBack = time.Hour

	// stuckPages is how many pages in a row may be empty and bring the same token again before the
	// walk is taken for stuck. Empty pages alone say nothing: the server filters its log after
	// cutting it into blocks.
	stuckPages = 3
)

// A feed is a walk through the activity log, page by page, under way. Marketo REST API,
// Activities, Paging Tokens.
type feed struct {
	window
	Types []int  `json:"types,omitempty"` // asked for; nil: the endpoint has only one
	Loop  int    `json:"loop,omitempty"`  // which ten of them
	Token string `json:"token,omitempty"` // of the next page; "": a loop begins
	Seen  second `json:"seen,omitempty"`  // oldest activity of the last page of this loop that had any
	Sign  string `json:"sign,omitempty"`  // of the fields asked for, which a token belongs to; "": none

	Rows  int64 `json:"n,omitempty"`
	Bad   int64 `json:"bad,omitempty"`
	Calls int64 `json:"calls,omitempty"`

	Spared int64 `json:"spared,omitempty"` // calls that another stream has made; see sharedWalk

	fields []string // asked for; nil: the endpoint takes none
}

func (f *feed) check() error {
	if !f.From.sane() || !f.To.sane() || !f.Seen.sane() || f.From > f.To ||
		f.Loop < 0 || f.Rows < 0 || f.Bad < 0 || f.Calls < 0 || f.Spared < 0 || len(f.Token) > 8<<10 {
		return errors.New("the feed is out of range")
	}
	return nil
}

// loops is how often the log is walked for these types.
func loops(types []int) int { return max(1, (len(types)+typesALoop-1)/typesALoop) }

// pages say how a part is read page by page.
type pages struct {
	noun string // in errors: "deleted leads"
	path string

	// types restricts the walk; it returns nil where the endpoint has only one type.
	types func(context.Context) ([]int, error)

	fields []string    // whose changes are asked for; nil: the endpoint takes none
	shared *sharedWalk // other streams walk the same log; nil: nobody does
	leads  *leadReader // reads the leads that the log names; nil: nobody does

	// row makes rows of an activity. A *columns.CellError says that it cannot be one.
	row func(w *rowWriter, a *activity) error
}

// An activity is a record of the activity endpoints. Scalars are kept as they come: ids have
// been seen as numbers and as strings.
type activity struct {
	GUID           json.RawMessage `json:"marketoGUID"`
	ID             json.RawMessage `json:"id"`
	LeadID         json.RawMessage `json:"leadId"`
	Date           json.RawMessage `json:"activityDate"`
	TypeID         json.RawMessage `json:"activityTypeId"`
	CampaignID     json.RawMessage `json:"campaignId"`
	PrimaryValueID json.RawMessage `json:"primaryAttributeValueId"`
	PrimaryValue   json.RawMessage `json:"primaryAttributeValue"`
	ActionResult   json.RawMessage `json:"actionResult"`
	Attributes     json.RawMessage `json:"attributes"`
}

// cell is the text of a JSON scalar, as a bulk file would have it; nil: no value. The vendor
// has no empty texts: in a file they are the same as no value.
func (a *activity) cell(raw json.RawMessage) []byte {
	s := bare(raw)
	if s == "" || s == "null" && raw[0] != '"' {
		return nil
	}
	return []byte(s)
}

// walk reads a part page by page up to to, in one window of the ledger.
func (r *run) walk(ctx context.Context, spec *partSpec, p *part, to second) error {
	if p.Feed == nil {
		types, err := spec.pages.types(ctx)
		if err != nil {
			return err
		}
		p.Feed = &feed{window: window{From: p.At, To: to}, Types: types}
	}
	f := p.Feed
	f.ask(spec.pages.fields, p)
	w := newRowWriter(r, "")
	r.countPages(spec, p)
	defer func() { r.count = nil }()
	rebuilt, same := second(-1), 0 // how far the walk had come when its token was lost
	for f.Loop < loops(f.Types) {
		page, err := r.page(ctx, spec, f)
		if err != nil {
			if left := r.without(f.fields, err); len(left) > 0 && len(left) < len(f.fields) {
				p.Refused = append(p.Refused, slices.DeleteFunc(slices.Clone(f.fields), func(n string) bool { return slices.Contains(left, n) })...)
				f.ask(spec.pages.fields, p)
				continue
			}
			if f.Seen > rebuilt && f.Token != "" && isTokenError(err) {
				r.note("paging", "%s: the vendor no longer knows the paging token; reading again from %s", spec.name, f.restart())
				f.Token, rebuilt = "", f.Seen
				if p.Late != nil {
					p.Late.Blur = true
				}
				continue
			}
			if e := r.flush(w); e != nil {
				return e
			}
			return err
		}
		if same++; page.NextPageToken != f.Token || len(page.Result) > 0 {
			same = 0
		}
		if err := r.take(spec, w, f, page); err != nil {
			return err
		}
		if reader := spec.pages.leads; reader != nil {
			if err := r.readHeld(ctx, reader, spec, w, f, reader.most); err != nil {
				return r.interrupted(w, err)
			}
		}
		switch {
		case !page.MoreResult:
			f.Loop++
			f.Token, f.Seen, rebuilt = "", 0, second(-1)
		case page.NextPageToken == "" || same >= stuckPages:
			if e := r.flush(w); e != nil {
				return e
			}
			return &martsync.Error{
				Kind: martsync.Transient, Op: "marketo: read " + spec.pages.noun, After: time.Minute,
				Err: fmt.Errorf("request %s: there is more, but no way to the next page", page.RequestID),
			}
		default:
			f.Token = page.NextPageToken
		}
		if w.b.Len() >= feedRows || r.rawBytes >= rawMost {
			if err := r.flush(w); err != nil {
				return err
			}
		}
	}
	if reader := spec.pages.leads; reader != nil && reader.last {
		if err := r.readHeld(ctx, reader, spec, w, f, 0); err != nil {
			return r.interrupted(w, err)
		}
	}
	if err := r.flush(w); err != nil {
		return err
	}
	return r.walked(spec, p, f)
}

// interrupted yields what has been gathered before an error.
func (r *run) interrupted(w *rowWriter, err error) error {
	if errors.Is(err, errStopped) {
		return err
	}
	if e := r.flush(w); e != nil {
		return e
	}
	return err
}

// ask sets the fields that a walk asks for. A token belongs to those that it came with.
func (f *feed) ask(fields []string, p *part) {
	if fields == nil {
		return
	}
	f.fields = slices.DeleteFunc(slices.Clone(fields), func(n string) bool { return slices.Contains(p.Refused, n) })
	if s := sign(f.fields); s != f.Sign {
		f.Sign, f.Token = s, ""
	}
}

// walked completes a walk.
func (r *run) walked(spec *partSpec, p *part, f *feed) error {
	p.Pace.observe(f.length(), f.Rows, -1, max(f.Calls+f.Spared-int64(walkCalls*loops(f.Types)), 0))
	p.At, p.Feed = f.To, nil
	var filter any = map[string]string{"path": spec.pages.path}
	if f.Types != nil {
		filter = map[string]any{"path": spec.pages.path, "activityTypeIds": f.Types}
	}
	return r.send(martsync.Batch{Cursor: r.pos.cursor(), Window: &martsync.Window{
		From: f.From.time(), To: f.To.time(), Filter: filterJSON(filter), Records: -1, Bytes: -1,
		Parsed: f.Rows + f.Bad, Quarantined: f.Bad, Calls: f.Calls,
	}})
}

// restart is from where a loop is walked when its token is lost, or at its beginning.
func (f *feed) restart() second { return max(f.From, f.Seen.add(-checkpointBack)) }

// page fetches the next page of a walk.
func (r *run) page(ctx context.Context, spec *partSpec, f *feed) (*envelope, error) {
	if f.Token == "" {
		// A second early, since whether its own second is included is not documented.
		token, asked, err := r.sharedBegin(ctx, spec, max(f.restart(), 1)-1, func(ctx context.Context, since second) (string, error) {
			return r.pagingToken(ctx, spec, since)
		})
		f.count(asked, 1)
		if err != nil {
			return nil, err
		}
		f.Token = token
	}
	query := url.Values{"nextPageToken": {f.Token}, "batchSize": {strconv.Itoa(leadPage)}}
	if f.Types != nil {
		of := f.Types[min(f.Loop*typesALoop, len(f.Types)):min((f.Loop+1)*typesALoop, len(f.Types))]
		texts := make([]string, len(of))
		for i, t := range of {
			texts[i] = strconv.Itoa(t)
		}
		query.Set("activityTypeIds", strings.Join(texts, ","))
	}
	if f.fields != nil {
		query.Set("fields", strings.Join(f.fields, ","))
	}
	reply, err := r.sharedPage(ctx, spec, f.Token, func(ctx context.Context) (*envelope, error) {
		return r.src.client.do(ctx, request{op: "read " + spec.pages.noun, method: http.MethodGet, path: spec.pages.path, query: query})
	})
	if err != nil {
		f.Calls++
		return nil, err
	}
	f.count(reply.Calls > 0, max(reply.Calls, 1))
	r.dirty = true
	if raw := keptPage(spec.pages.path, reply, how{Kind: feedPage, Part: spec.name, From: f.From, To: f.To}); raw != nil {
		r.raw = append(r.raw, *raw)
		r.rawBytes += len(raw.Data)
	}
	return reply, nil
}

// pagingToken asks for the token that a walk from a moment on begins with.
func (r *run) pagingToken(ctx context.Context, spec *partSpec, since second) (string, error) {
	op := "start reading " + spec.pages.noun
	reply, err := r.src.client.do(ctx, request{
		op: op, method: http.MethodGet, path: "/rest/v1/activities/pagingtoken.json", query: url.Values{"sinceDatetime": {since.String()}},
	})
	if err == nil && reply.NextPageToken == "" {
		err = unreadable(op, reply.RequestID, errors.New("no token"))
	}
	if err != nil {
		return "", err
	}
	return reply.NextPageToken, nil
}

// count counts calls, or what would have been calls if another stream had not made them.
func (f *feed) count(made bool, n int64) {
	if made {
		f.Calls += n
	} else {
		f.Spared += n
	}
}

// isTokenError reports whether the vendor does not accept the token. Which code it uses is not
// documented.
func isTokenError(err error) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && slices.Contains([]string{"701", "704", "1001", "1002", "1003", "1006"}, e.Code)
}

// take makes rows of a page. Activities outside the window are left to the window that they
// belong to.
func (r *run) take(spec *partSpec, w *rowWriter, f *feed, page *envelope) error {
	w.bytes += page.Bytes
	oldest := second(math.MaxInt64)
	for i, raw := range page.Result {
		a := new(activity)
		if err := json.Unmarshal(raw, a); err != nil {
			w.reject(quarantine(raw, page.RequestID, int64(i)+1, fmt.Errorf("not an activity: %w", err)))
			continue
		}
		date, dated := parseSecond(bare(a.Date))
		if dated {
			oldest = min(oldest, date)
			f.Seen = oldest
			if date < f.From || date >= f.To {
				continue
			}
			if typ, err := wholeNumber([]byte(bare(a.TypeID))); err == nil {
				r.count.one(typ, date)
			}
		}
		err := spec.pages.row(w, a)
		if _, misfit := errors.AsType[*columns.CellError](err); misfit {
			w.reject(quarantine(raw, page.RequestID, int64(i)+1, err))
			continue
		}
		if err != nil {
			return err
		}
	}
	f.Rows += w.rows
	f.Bad += w.bad
	w.rows, w.bad = 0, 0
	return nil
}

// flush yields what has been gathered, with the position after it.
func (r *run) flush(w *rowWriter) error {
	if w.b.Len() == 0 && len(w.quarantined) == 0 && r.rawBytes < rawMost {
		return nil // pages without rows go with the next batch
	}
	b := w.batch()
	b.Cursor = r.pos.cursor()
	if err := r.send(b); err != nil {
		return err
	}
	w.reset()
	return nil
}

// A rowWriter gathers rows that are made here rather than by the reader of a file.
type rowWriter struct {
	r           *run
	job         string
	b           *columns.Builder
	quarantined []martsync.Quarantined
	bytes       int64
	rows, bad   int64 // since the caller last set them to zero
	pick        []int // which cell each column takes, -1: none; nil: cells are in the order of the columns
}

func newRowWriter(r *run, job string) *rowWriter {
	return &rowWriter{r: r, job: job, b: columns.NewBuilder(r.schema.Columns), pick: r.pick}
}

// row appends the row that add makes. A full batch is yielded first, without a cursor.
func (w *rowWriter) row(add func(*columns.Builder) error) error {
	if w.b.Full() {
		if err := w.r.send(w.batch()); err != nil {
			return err
		}
		w.reset()
	}
	if err := add(w.b); err != nil {
		return err
	}
	w.rows++
	return nil
}

// cells appends a row of text cells.
func (w *rowWriter) cells(cells ...[]byte) error {
	if w.pick != nil {
		all := cells
		cells = make([][]byte, len(w.pick))
		for c, i := range w.pick {
			if i >= 0 {
				cells[c] = all[i]
			}
		}
	}
	return w.row(func(b *columns.Builder) error { return b.AppendCells(cells) })
}

// reject puts a row into quarantine.
func (w *rowWriter) reject(q martsync.Quarantined) {
	w.quarantined = append(w.quarantined, q)
	w.bad++
}

// batch is what has been gathered, borrowed until reset.
func (w *rowWriter) batch() martsync.Batch {
	b := martsync.Batch{Quarantined: w.quarantined, Bytes: w.bytes}
	if w.b.Len() > 0 {
		b.Records = w.b.Records()
	}
	return b
}

func (w *rowWriter) reset() {
	w.b.Reset()
	w.quarantined, w.bytes = nil, 0
}

// tend reads, in the middle of a run that takes long, what the vendor does not keep until its
// end. What has been delivered is not disturbed; because files whose jobs run already may
// bring back what is deleted now, reading goes back to the oldest of them afterwards.
func (r *run) tend(ctx context.Context) error {
	for _, spec := range r.parts {
		q := r.pos.Parts[spec.name]
		if spec.keeps == 0 || q == nil || spec.only != nil && !spec.only(r) {
			continue
		}
		if q.Feed == nil && r.now().sub(q.At) < spec.keeps/2 {
			continue
		}
		if err := r.walk(ctx, spec, q, r.now()); err != nil {
			return err
		}
		for _, other := range r.pos.Parts {
			for _, j := range other.Jobs {
				if j.Since != 0 {
					q.At = min(q.At, j.Since)
				}
			}
		}
		r.dirty = true
	}
	return nil
}
