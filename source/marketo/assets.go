package marketo

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// An asset is a kind of record of the asset API.
// Source: Marketo REST API, Assets; Programs; Smart Campaigns; Emails; Static Lists.
type asset struct {
	stream  string
	path    string // of the listing
	one     string // of a record by id
	columns []martsync.Column
}

const assetRoot = "/rest/asset/v1/"

var assets = [...]asset{
	{"programs", assetRoot + "programs.json", assetRoot + "program/%d.json", fieldList(
		"id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "url", "type", "channel",
		"folder object", "status", "workspace", "headStart boolean", "sfdcId", "sfdcName",
		"startDate datetime", "endDate datetime", "tags array sticky", "costs array sticky")},
	{"smart_campaigns", assetRoot + "smartCampaigns.json", assetRoot + "smartCampaign/%d.json", fieldList(
		"id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "folder object", "status",
		"type", "isSystem boolean", "isActive boolean", "isRequestable boolean", "isCommunicationLimitEnabled boolean",
		"recurrence object", "qualificationRuleType", "qualificationRuleInterval integer", "qualificationRuleUnit",
		"maxMembers integer", "workspace", "smartListId integer", "flowId integer", "parentProgramId integer", "computedUrl")},
	{"emails", assetRoot + "emails.json", assetRoot + "email/%d.json", fieldList(
		"id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "url",
		"subject object", "fromName object", "fromEmail object", "replyEmail object", "folder object",
		"operational boolean", "textOnly boolean", "publishToMSI boolean", "webView boolean", "status",
		"template integer", "workspace", "isOpenTrackingDisabled boolean", "version integer",
		"autoCopyToText boolean", "ccFields array", "preHeader")},
	{"static_lists", assetRoot + "staticLists.json", assetRoot + "staticList/%d.json", fieldList(
		"id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "folder object",
		"computedUrl", "workspace")},
	{"smart_lists", assetRoot + "smartLists.json", assetRoot + "smartList/%d.json", fieldList(
		"id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "url", "folder object", "workspace")},
}

// fieldList makes columns of "name dataType" pairs; a name alone is text. Those that listings do not
// tell, and reads by id do, are "name dataType sticky".
func fieldList(pairs ...string) []martsync.Column {
	fields := make([]field, len(pairs))
	for i, p := range pairs {
		words := append(strings.Fields(p), "")
		fields[i] = field{Name: words[0], DataType: words[1]}
	}
	columns := columnsOf(fields)
	for i, p := range pairs {
		columns[i].Sticky = strings.HasSuffix(p, " sticky")
	}
	return columns
}

// assetOverlap is how far an incremental read looks back behind the end of the last one:
// clocks differ, and a listing may show an update a little late.
const assetOverlap = 10 * time.Minute

// mostWalks bounds how often a listing is walked because it changed on the way.
const mostWalks = 4

// An assetStream reads one kind of asset.
//
// Deleted assets just vanish, so now and then the whole listing is read and what is not in
// it is gone; between, only what was updated since is read. The vendor pages by position
// in a listing that others change meanwhile: a record that moves to an earlier page is
// missed, one that moves to a later page comes twice. Therefore a listing of several pages
// is walked again until a walk shows no new record, and what came before unchanged is
// passed over.
type assetStream struct {
	source *source
	asset  *asset
	schema martsync.Schema
}

func newAssetStream(s *source, a *asset) *assetStream {
	return &assetStream{source: s, asset: a, schema: martsync.Schema{
		Stream: a.stream, Columns: a.columns, Key: []string{"id"}, Version: "updated_at", Deletes: true,
	}}
}

func (a *assetStream) Schema() martsync.Schema { return a.schema }

// An assetPosition is the cursor of an asset stream. Times are seconds since 1970.
type assetPosition struct {
	Full  int64 `json:"full"`  // when the last complete listing began
	Since int64 `json:"since"` // every update before this has been read

	// Of an incremental read that is under way:
	Until  int64 `json:"until,omitempty"`  // where its time range ends; 0: none is under way
	Walk   int   `json:"walk,omitempty"`   // walks that have ended
	Offset int   `json:"offset,omitempty"` // of the next page
	Pages  int   `json:"pages,omitempty"`  // pages with records in this walk
	News   int   `json:"news,omitempty"`   // new records in this walk

	Details detailPosition `json:"details,omitzero"`

	// Counts of the window under way, for the ledger.
	Parsed      int64 `json:"parsed,omitempty"`
	Quarantined int64 `json:"quarantined,omitempty"`
	Calls       int64 `json:"calls,omitempty"`
}

func (p assetPosition) cursor() martsync.Cursor {
	b, err := json.Marshal(p)
	if err != nil {
		panic("marketo: cursor: " + err.Error()) // numbers only
	}
	return martsync.Cursor(b)
}

// Read lists what was updated since from, or everything when that is due.
func (a *assetStream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		var p assetPosition
		if from != "" {
			if err := json.Unmarshal([]byte(from), &p); err != nil || p.Offset < 0 {
				yield(martsync.Batch{}, badCursor(a.schema.Stream, err))
				return
			}
		}
		now := a.source.now()
		until := now
		if !span.End.IsZero() && span.End.Before(now) {
			until = span.End
		}
		every := time.Duration(a.source.cfg.Assets.FullListingEvery)
		read := p.Details
		var seen map[int64]uint64 // what the listing showed, if all of it came now
		var listed bool
		if p.Until == 0 && (p.Full == 0 || now.Sub(time.Unix(p.Full, 0)) >= every) {
			if p, seen, listed = a.full(ctx, p, now, until, yield); read != (detailPosition{}) {
				seen = nil // all there are, and only some are to be read by id
			}
		} else {
			since := p.Since
			if p, seen, listed = a.updates(ctx, p, until, yield); read != (detailPosition{Read: since}) {
				seen = nil // not all that are to be read by id
			}
		}
		if listed && a.asset.detailed() {
			a.details(ctx, p, seen, yield)
		}
	}
}

func badCursor(stream string, err error) error {
	return &martsync.Error{
		Kind: martsync.Internal, Op: "marketo: read " + stream, Err: fmt.Errorf("the position is not one of this stream: %w", err),
		Hint: "Read the stream again from the beginning with --backfill.",
	}
}

// full reads the whole listing and returns the position after it, if it got there, and what it saw. It cannot resume:
// only a listing without a gap tells what is gone. At 200 records a call it takes seconds.
func (a *assetStream) full(ctx context.Context, before assetPosition, now, until time.Time, yield func(martsync.Batch, error) bool) (after assetPosition, seen map[int64]uint64, ok bool) {
	pages := newPageReader(a.schema.Columns)
	stable := false
	for walk := 1; walk <= mostWalks && !stable; walk++ {
		news, filled := 0, 0
		for offset := 0; ; offset += assetPage {
			env, err := a.page(ctx, offset, nil)
			if err != nil {
				yield(martsync.Batch{}, err)
				return before, nil, false
			}
			n, bad := pages.take(env, int64(offset))
			news += n
			b := pages.flush()
			b.Quarantined, b.Bytes = bad, env.Bytes
			b.Raw = pages.kept(a.asset.path, env, int64(offset))
			if (b.Records != nil || len(bad) > 0 || b.Raw != nil) && !yield(b, nil) {
				return before, nil, false
			}
			pages.builder.Reset()
			if len(env.Result) == 0 {
				break
			}
			filled++
		}
		// A single page is one moment's truth. Of several, the last walk must be sure.
		stable = filled <= 1 || walk > 1 && news == 0
	}
	after = assetPosition{Full: now.Unix(), Since: until.Unix(), Details: before.Details}
	last := martsync.Batch{}
	switch {
	case !stable:
		// The rows are right, but which others are gone is for the next read to tell.
		after.Full = before.Full
		last.Notes = []martsync.Note{{Operation: "skip", Message: fmt.Sprintf("the listing of %s kept changing while it was read %d times; deletions are looked for at the next sync", a.schema.Stream, mostWalks)}}
	case pages.quarantined > 0:
		// A quarantined record exists, but no row says so: it must not count as deleted.
		last.Notes = []martsync.Note{{Operation: "skip", Message: fmt.Sprintf("%d records of %s are in quarantine; deletions are looked for when every record fits", pages.quarantined, a.schema.Stream)}}
	default:
		last.Complete = &martsync.Scope{}
	}
	last.Cursor = after.cursor()
	last.Window = pages.window(martsync.Window{Filter: filterJSON(map[string]any{"path": a.asset.path})})
	return after, pages.seen, yield(last, nil)
}

// updates reads what was updated in the time range that is due or under way, and returns the position
// after it, if it got there, and what it saw, if it began here.
func (a *assetStream) updates(ctx context.Context, p assetPosition, until time.Time, yield func(martsync.Batch, error) bool) (after assetPosition, seen map[int64]uint64, ok bool) {
	if p.Until == 0 {
		p.Until = until.Unix()
	}
	start, end := time.Unix(p.Since, 0).UTC().Add(-assetOverlap), time.Unix(p.Until, 0).UTC()
	if !start.Before(end) {
		return p, nil, false // the vendor refuses an empty range; there is nothing in it anyway
	}
	// Both bounds, although either is optional: some endpoints have been seen to need both.
	bounds := url.Values{"earliestUpdatedAt": {wireTime(start)}, "latestUpdatedAt": {wireTime(end)}}
	pages := newPageReader(a.schema.Columns)
	if p.Offset == 0 && p.Walk == 0 {
		seen = pages.seen
	}
	pages.parsed, pages.quarantined, pages.calls = p.Parsed, p.Quarantined, p.Calls
	for {
		env, err := a.page(ctx, p.Offset, bounds)
		if err != nil {
			yield(martsync.Batch{}, err)
			return p, nil, false
		}
		n, bad := pages.take(env, int64(p.Offset))
		raw := pages.kept(a.asset.path, env, int64(p.Offset))
		p.Offset += assetPage
		p.News += n
		done := false
		if len(env.Result) > 0 {
			p.Pages++
		} else {
			p.Walk++
			done = p.Pages <= 1 || p.Walk > 1 && p.News == 0 || p.Walk == mostWalks
			p.Offset, p.Pages, p.News = 0, 0, 0
		}
		b := pages.flush()
		b.Quarantined, b.Bytes, b.Raw = bad, env.Bytes, raw
		p.Parsed, p.Quarantined, p.Calls = pages.parsed, pages.quarantined, pages.calls
		b.Cursor = p.cursor()
		if done {
			b.Window = pages.window(martsync.Window{From: start, To: end, Filter: filterJSON(map[string]any{
				"path": a.asset.path, "earliestUpdatedAt": wireTime(start), "latestUpdatedAt": wireTime(end),
			})})
			after = assetPosition{Full: p.Full, Since: p.Until, Details: p.Details}
			if d := &after.Details; p.Parsed == 0 && d.Until == 0 && d.Read == p.Since {
				d.Read = p.Until // nothing is new, so nothing is to be read by id
			}
			b.Cursor = after.cursor()
		}
		if ok = yield(b, nil); !ok || done {
			return after, seen, ok && done
		}
		pages.builder.Reset()
	}
}

// page reads one page of the listing. The offset counts records, not pages, and moves on
// by what was asked for: a page may hold fewer records than that before the end.
func (a *assetStream) page(ctx context.Context, offset int, bounds url.Values) (*envelope, error) {
	q := url.Values{"offset": {strconv.Itoa(offset)}, "maxReturn": {strconv.Itoa(assetPage)}}
	for k, v := range bounds {
		q[k] = v
	}
	env, err := a.source.client.do(ctx, request{op: "list " + strings.ReplaceAll(a.schema.Stream, "_", " "), path: a.asset.path, query: q, optional: true})
	if nothing(err) {
		return &envelope{Success: true, Calls: 1}, nil
	}
	return env, err
}

// wireTime writes a time as the vendor takes it: whole seconds, UTC.
func wireTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
