package pardot

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// exports5 makes export jobs by version 5. Account Engagement API, Export (version 5). What
// arguments and results are called there differs between the vendor's pages; everything
// that depends on it is in this file.
type exports5 struct{ client *client }

// exports5Path is where they are: beside the objects, not among them.
const exports5Path = "/api/v5/exports"

// exports5Fields are what is asked of a job. Its results are told only when it is read by id.
const (
	exports5Fields = "id,status,isExpired,resultRefs,createdAt"
	exports5Listed = "id,status,isExpired,createdAt"
)

// create makes a job. The vendor's pages write arguments like fields, updatedAfter, and some of
// its customers' like version 4, updated_after: where one is refused the other is tried.
func (e exports5) create(ctx context.Context, x exportSpec) (exportJob, int64, error) {
	j, calls, err := e.createWith(ctx, x, camel)
	if code := codeOf(err); code != 175 && code != 176 {
		return j, calls, err
	}
	again, more, e2 := e.createWith(ctx, x, columns.Snake)
	if e2 != nil && codeOf(e2) == codeOf(err) {
		e2 = err
	}
	return again, calls + more, e2
}

func (e exports5) createWith(ctx context.Context, x exportSpec, named func(string) string) (exportJob, int64, error) {
	arguments := map[string]any{}
	for name, value := range x.arguments {
		arguments[named(name)] = value
	}
	// Both bounds are exclusive, as in version 4.
	arguments[named(x.procedure.after)] = x.from.Add(-time.Second).Format(exports5Time)
	arguments[named(x.procedure.before)] = x.to.Format(exports5Time)
	body := map[string]any{
		"object":               x.object,
		"procedure":            map[string]any{"name": x.procedure.name, "arguments": arguments},
		"includeByteOrderMark": false,
		"legacyDateFormat":     false, // times with their offset
	}
	if x.fields != nil {
		body["fields"] = x.fields
	}
	op := "create " + x.noun + " export"
	rep, err := e.client.do(ctx, request{op: op, method: http.MethodPost, path: exports5Path, body: body, noReplay: true})
	if err != nil {
		return exportJob{}, 1, err
	}
	return toExport(op, rep.body, rep.calls)
}

// exports5Time is how times are written: with a numeric offset, since Z is refused.
const exports5Time = "2006-01-02T15:04:05-07:00"

func (e exports5) read(ctx context.Context, noun string, id int64) (exportJob, int64, error) {
	op := "read " + noun + " export"
	raw, err := e.client.read5(ctx, op, exports5Path+"/"+formatID(id), url.Values{"fields": {exports5Fields}})
	if err != nil {
		return exportJob{}, 1, err
	}
	return toExport(op, raw, 1)
}

// list does not tell apart whose objects the jobs are for: only their headers do.
func (e exports5) list(ctx context.Context, noun, _ string, since time.Time, _ *zone) ([]exportJob, int64, error) {
	op := "list " + noun + " exports"
	rep, err := e.client.do(ctx, request{op: op, path: exports5Path, query: url.Values{
		"fields": {exports5Listed}, "updatedAtAfterOrEqualTo": {since.Format(exports5Time)}, "orderBy": {"updatedAt ASC"},
	}})
	if err != nil {
		return nil, 1, err
	}
	var list struct {
		Values []json.RawMessage `json:"values"`
	}
	if err := json.Unmarshal(rep.body, &list); err != nil {
		return nil, rep.calls, &martsync.Error{Kind: martsync.Transient, Op: "pardot: " + op, After: time.Minute, Err: err}
	}
	return parseExports(list.Values), rep.calls, nil
}
