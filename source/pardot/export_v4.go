package pardot

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/martsync/martsync"
)

// exports4 makes export jobs by version 4 (or 3). Account Engagement API, Version 4, Export.
type exports4 struct{ client *client }

// exports4Path is where they are, before the operation.
const exports4Path = "/api/export/version/{v}/do/"

func (e exports4) create(ctx context.Context, x exportSpec) (exportJob, int64, error) {
	arguments := map[string]any{}
	maps.Copy(arguments, x.arguments)
	// Both bounds are exclusive.
	arguments[x.procedure.after] = x.zone.after(x.from)
	arguments[x.procedure.before] = x.zone.before(x.to)
	body := map[string]any{
		"object":    x.object,
		"procedure": map[string]any{"name": x.procedure.name, "arguments": arguments},
	}
	if x.fields != nil {
		body["fields"] = x.fields
	}
	op := "create " + x.noun + " export"
	return e.job(op, func() (*reply, error) {
		return e.client.do(ctx, request{op: op, method: http.MethodPost, path: exports4Path + "create", body: body, noReplay: true})
	})
}

func (e exports4) read(ctx context.Context, noun string, id int64) (exportJob, int64, error) {
	op := "read " + noun + " export"
	return e.job(op, func() (*reply, error) {
		return e.client.do(ctx, request{op: op, path: exports4Path + "read/id/" + formatID(id)})
	})
}

// job reads a reply that is one job: below "export", or bare as some of the vendor's pages
// have it.
func (e exports4) job(op string, call func() (*reply, error)) (exportJob, int64, error) {
	rep, err := call()
	if err != nil {
		return exportJob{}, 1, err
	}
	var envelope struct {
		Export json.RawMessage `json:"export"`
	}
	raw := json.RawMessage(rep.body)
	if err := json.Unmarshal(raw, &envelope); err == nil && len(envelope.Export) > 0 {
		raw = envelope.Export
	}
	return toExport(op, raw, rep.calls)
}

// toExport reads a job, and says whose fault it is that it cannot be read.
func toExport(op string, raw json.RawMessage, calls int64) (exportJob, int64, error) {
	j, err := parseExport(bytes.TrimSpace(raw))
	if err != nil {
		return j, calls, &martsync.Error{Kind: martsync.Transient, Op: "pardot: " + op, After: time.Minute, Err: err}
	}
	return j, calls, nil
}

func (e exports4) list(ctx context.Context, noun, object string, since time.Time, z *zone) ([]exportJob, int64, error) {
	page, err := e.client.query4(ctx, "list "+noun+" exports", &resource{path: "export", key: "export"}, url.Values{
		"created_after": {z.after(since)}, "object": {object}, "sort_by": {"id"}, "sort_order": {"ascending"},
	})
	if err != nil {
		return nil, 1, err
	}
	return parseExports(page.rows), page.calls, nil
}

// parseExports reads the jobs of a list. What is not a job is not one of ours.
func parseExports(rows []json.RawMessage) []exportJob {
	var jobs []exportJob
	for _, raw := range rows {
		if j, err := parseExport(raw); err == nil {
			jobs = append(jobs, j)
		}
	}
	return jobs
}
