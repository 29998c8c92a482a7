package marketo

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// A vendorJob is an export job as the vendor shows it. Members that have not been reached are
// absent or null. Marketo REST API, Bulk Extract.
type vendorJob struct {
	ExportID     string `json:"exportId"`
	Status       string `json:"status"`
	CreatedAt    string `json:"createdAt"`
	QueuedAt     string `json:"queuedAt"`
	StartedAt    string `json:"startedAt"`
	Records      *int64 `json:"numberOfRecords"`
	FileSize     *int64 `json:"fileSize"`
	FileChecksum string `json:"fileChecksum"`
	ErrorMsg     string `json:"errorMsg"`
}

// state gives the vendor's word one spelling. Both "Canceled" and "Cancelled" are seen.
func (v *vendorJob) state() state {
	s := state(strings.ToLower(strings.TrimSpace(v.Status)))
	if strings.HasPrefix(string(s), "cancel") {
		return cancelled
	}
	return s
}

// An exportFilter is the filter of a create call, by the vendor's name of the filter.
type exportFilter map[string]any

// createJob registers an export. It does not run before it is enqueued. The call is not
// repeated when its reply is lost: the job may exist, and one that nobody knows is enough.
func (s *source) createJob(ctx context.Context, o *object, fields []string, f exportFilter) (*vendorJob, error) {
	return s.jobCall(ctx, request{
		op: "create " + o.noun + " export", method: http.MethodPost, path: o.path("create.json"),
		body:     map[string]any{"format": "CSV", "fields": fields, "filter": f},
		noReplay: true,
	})
}

// enqueueJob asks the vendor to run the job.
func (s *source) enqueueJob(ctx context.Context, o *object, id string) (*vendorJob, error) {
	return s.jobCall(ctx, request{op: "enqueue " + o.noun + " export", method: http.MethodPost, path: o.path(id, "enqueue.json")})
}

// jobStatus asks how the job is. Nil without an error: the vendor did not say.
func (s *source) jobStatus(ctx context.Context, o *object, id string) (*vendorJob, error) {
	return s.jobCall(ctx, request{op: "ask for " + o.noun + " export", method: http.MethodGet, path: o.path(id, "status.json")})
}

// cancelJob gives the job up. Jobs that cannot be cancelled any more are left alone.
func (s *source) cancelJob(ctx context.Context, o *object, id string) error {
	_, err := s.jobCall(ctx, request{op: "cancel " + o.noun + " export", method: http.MethodPost, path: o.path(id, "cancel.json")})
	if isCode(err, "1029") || isCode(err, "1013") {
		return nil
	}
	return err
}

func (s *source) jobCall(ctx context.Context, r request) (*vendorJob, error) {
	reply, err := s.client.do(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(reply.Result) == 0 {
		return nil, nil //nolint:nilnil // see jobStatus
	}
	v := new(vendorJob)
	if err := json.Unmarshal(reply.Result[0], v); err != nil {
		return nil, unreadable(r.op, reply.RequestID, err)
	}
	return v, nil
}

// unreadable is a reply that is JSON but not of the form that the vendor documents.
func unreadable(op, requestID string, err error) error {
	return &martsync.Error{
		Kind: martsync.Transient, Op: "marketo: " + op, After: time.Minute,
		Err: &apiError{Message: "reply not understood: " + err.Error(), RequestID: requestID, Status: http.StatusOK},
	}
}

// parseSecond reads a date and time in any form that the vendor uses.
func parseSecond(s string) (second, bool) {
	for _, form := range []string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z-0700", "2006-01-02T15:04:05-0700", time.DateTime, time.DateOnly,
	} {
		if t, err := time.Parse(form, s); err == nil && secondOf(t).sane() {
			return secondOf(t), true
		}
	}
	return 0, false
}
