package pardot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The states of an export job that the code acts on, in lower case. Others stand for one that
// is under way. Account Engagement API, Export.
const (
	exportProcessing = "processing"
	exportComplete   = "complete"
	exportFailed     = "failed"
	exportCanceled   = "canceled"
)

// An exporter is the export API of one version.
type exporter interface {
	// create makes a job, which the vendor works on without being asked again.
	create(ctx context.Context, x exportSpec) (exportJob, int64, error)
	// read tells what has become of a job.
	read(ctx context.Context, noun string, id int64) (exportJob, int64, error)
	// list returns the jobs for an object that were created since a moment, oldest first.
	list(ctx context.Context, noun, object string, since time.Time, z *zone) ([]exportJob, int64, error)
}

// exporter returns the export API of a version.
func (s *source) exporter(v version) exporter {
	if v == v5 {
		return exports5{s.client}
	}
	return exports4{s.client}
}

// An exportSpec says what a job exports.
type exportSpec struct {
	noun      string
	object    string   // in the version's words
	fields    []string // in the order wanted; nil: all
	procedure procedure
	from, to  time.Time      // the range [from, to)
	zone      *zone          // in which version 4 reads times
	arguments map[string]any // beside the range
}

// An exportJob is what the vendor tells about a job.
type exportJob struct {
	id      int64
	state   string // in lower case
	expired bool
	refs    []string // of the files, in no particular order
	created string   // a time as the version writes it
}

// parseExport reads an export resource. Version 4 says state where version 5 says status, one
// file is a text where several are an array, and none are an absent or null member.
func parseExport(raw json.RawMessage) (exportJob, error) {
	var e struct {
		ID         json.RawMessage `json:"id"`
		State      string          `json:"state"`
		Status     string          `json:"status"`
		IsExpired  json.RawMessage `json:"isExpired"`
		ResultRefs json.RawMessage `json:"resultRefs"`
		CreatedAt  string          `json:"createdAt"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return exportJob{}, fmt.Errorf("not an export: %w", err)
	}
	j := exportJob{id: idOf(e.ID), state: strings.ToLower(e.State), expired: isTrue(e.IsExpired), created: e.CreatedAt}
	if j.state == "" {
		j.state = strings.ToLower(e.Status)
	}
	if j.state == "cancelled" {
		j.state = exportCanceled
	}
	if j.id == 0 {
		return j, errors.New("an export without an id")
	}
	var err error
	if j.refs, err = parseRefs(e.ResultRefs); err != nil {
		return j, fmt.Errorf("export %d: %w", j.id, err)
	}
	return j, nil
}

// parseRefs reads the references to files, in an order that is the same each time.
func parseRefs(raw json.RawMessage) ([]string, error) {
	var refs []string
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0, string(raw) == "null", string(raw) == "{}":
		return nil, nil
	case raw[0] == '"':
		var one string
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("resultRefs: %w", err)
		}
		refs = []string{one}
	case raw[0] == '[':
		if err := json.Unmarshal(raw, &refs); err != nil {
			return nil, fmt.Errorf("resultRefs: %w", err)
		}
	default:
		return nil, errors.New("resultRefs: neither a text nor an array")
	}
	refs = slices.DeleteFunc(refs, func(r string) bool { return strings.TrimSpace(r) == "" })
	slices.Sort(refs)
	return slices.Compact(refs), nil
}

// gone reports whether a job or a file is not there: never was, or not any more.
func gone(err error) bool {
	if e, ok := errors.AsType[*apiError](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone) {
		return true
	}
	switch codeOf(err) {
	case 16, // invalid id
		109, // record not found
		178: // the job's state does not allow it: its files have expired
		return true
	}
	return false
}

func formatID(id int64) string { return strconv.FormatInt(id, 10) }
