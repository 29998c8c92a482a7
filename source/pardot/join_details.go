package pardot

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync/internal/columns"
)

// A detailJoin adds what version 5 tells in reads by id only: the texts of emails, and what became of
// list emails. Account Engagement API, Email; List Email.
type detailJoin struct {
	src      *source
	obj      *object
	messages []string // fields of a read by id
	stats    []string // the statistics, with their prefix
	statsFor time.Duration

	lost      []string // fields that the vendor does not know
	noMessage bool     // they cannot be read
	noStats   bool     // they cannot be read
	stats4    bool     // version 4 tells them
	told      bool     // version 5 tells them
	misses    int      // statistics that cannot be read, in a row
	calls     int64    // since takeCalls
	row       int      // of the page, which is being completed
}

const (
	// statsPrefix leads the names of statistics in version 5.
	statsPrefix = "stats."

	// detailPage is how many rows the pages of a stream with such a join have: each row costs calls of
	// its own, which are made again if a page is not completed.
	detailPage = 50

	// statsMisses is how many list emails may have no statistics, one after the other, before
	// the account is taken to have none. A vendor that does not know the path says 404 as well.
	statsMisses = 10
)

func newDetailJoin(s *source, o *object, fields []field) *detailJoin {
	j := &detailJoin{src: s, obj: o, statsFor: s.plan(o).statsFor}
	for _, f := range fields {
		if strings.HasPrefix(f.v5, statsPrefix) {
			j.stats = append(j.stats, f.v5)
		} else {
			j.messages = append(j.messages, f.v5)
		}
	}
	return j
}

// join completes a page, one or two calls a row. The rows before an error are complete.
func (j *detailJoin) join(ctx context.Context, r *run, rows []json.RawMessage) ([]json.RawMessage, error) {
	// At the first reading all statistics are wanted, later on those that still move.
	since := time.Time{}
	if w := r.pos.Window; r.pos.At != 0 || w == nil {
		since = j.src.now().Add(-j.statsFor)
	}
	out := slices.Clone(rows)
	for i, raw := range rows {
		var row joinedRow
		if json.Unmarshal(raw, &row) != nil || row.ID <= 0 {
			continue // the builder says what is wrong with it
		}
		var more []complement
		j.row = i
		if err := j.message(ctx, r, row.ID, &more); err != nil {
			return out[:i], err
		}
		if row.sentSince(since) {
			if err := j.statistics(ctx, r, row.ID, &more); err != nil {
				return out[:i], err
			}
		}
		out[i] = withMembers(raw, more)
	}
	return out, nil
}

// sentSince reports whether an email was sent at that time or later.
func (row *joinedRow) sentSince(t time.Time) bool {
	if row.SentAt == "" {
		return row.IsSent && t.IsZero()
	}
	at, err := time.Parse(time.RFC3339, row.SentAt)
	return err != nil || !at.Before(t)
}

// message adds the text of an email.
func (j *detailJoin) message(ctx context.Context, r *run, id int64, to *[]complement) error {
	op := "read message of " + j.obj.noun
	for !j.noMessage {
		names := slices.DeleteFunc(slices.Clone(j.messages), func(n string) bool { return slices.Contains(j.lost, n) })
		if len(names) == 0 {
			return nil
		}
		q := url.Values{"fields": {"id," + strings.Join(names, ",")}}
		if j.obj.v5.bin {
			q.Set("deleted", "all")
		}
		raw, body, err := j.src.client.reply5(ctx, op, readPath5(j.obj, id), q)
		j.count(r)
		switch name := unknownField(err); {
		case err == nil:
			return j.add(r, op, recipe{API: v5, Members: calledBy(names, func(n string) string { return n })}, j.obj.bodyName(v5, formatID(id)), raw, body, to)
		case name != "" && slices.Contains(names, name):
			j.lost = append(j.lost, name)
			r.note("schema", "the account does not tell the field %s; it stays empty", name)
		case unreadable(err):
			r.note("skip", "the message of %s %d cannot be read: %v", j.obj.noun, id, err)
			return nil
		case isRefused(err):
			j.noMessage = true
			r.note("skip", "messages cannot be read: %v", err)
		default:
			return err
		}
	}
	return nil
}

// statistics adds what became of a list email. Version 4 is asked where version 5 turns out not to know
// the path.
func (j *detailJoin) statistics(ctx context.Context, r *run, id int64, to *[]complement) error {
	if j.noStats || len(j.stats) == 0 {
		return nil
	}
	var err error
	if !j.stats4 {
		var raw json.RawMessage
		var body []byte
		raw, body, err = j.src.client.reply5(ctx, statsOp, readPath5(j.obj, id)+"/stats", nil)
		j.count(r)
		if err == nil {
			j.told, j.misses = true, 0
			h := recipe{API: v5, Members: calledBy(j.stats, func(n string) string { return n })}
			return j.add(r, statsOp, h, j.obj.bodyName(v5, formatID(id)+"/stats"), raw, body, to)
		}
	}
	unknown := codeOf(err) == 192 || codeOf(err) == 198 // the path as such
	if j.stats4 = j.stats4 || unknown; j.stats4 || !j.told && unreadable(err) {
		var raw json.RawMessage
		var body []byte
		raw, body, err = j.src.client.reply4(ctx, statsOp, "/api/email/version/{v}/do/stats/id/"+strconv.FormatInt(id, 10), "stats", nil)
		j.count(r)
		if err == nil {
			j.stats4, j.misses = true, 0
			h := recipe{API: v4, Rows: "stats", Members: calledBy(j.stats, columns.Snake)}
			return j.add(r, statsOp, h, "api/email/stats/"+formatID(id)+".json", raw, body, to)
		}
	}
	switch {
	case isRefused(err):
		j.noStats = true
		r.note("skip", "statistics of list emails cannot be read: %v", err)
		return nil
	case unreadable(err):
		if j.misses++; j.misses >= statsMisses {
			j.noStats = true
			r.note("skip", "no more statistics are asked for, since those of %d list emails in a row cannot be read: %v", j.misses, err)
			return nil
		}
		r.note("skip", "the statistics of list email %d cannot be read: %v", id, err)
		return nil
	default:
		return err
	}
}

const statsOp = "read statistics of list email"

// add adds what a reply tells to a row, and keeps the reply.
func (j *detailJoin) add(r *run, op string, h recipe, name string, raw json.RawMessage, body []byte, to *[]complement) error {
	more, err := h.details(raw)
	if err != nil {
		return badReply(op, err)
	}
	*to = append(*to, more...)
	if j.src.keeps {
		h.Kind, h.Row = detailsBody, j.row
		r.keep(name, body, h)
	}
	return nil
}

// calledBy lists fields by what a reply calls them. Statistics are told without their prefix.
func calledBy(fields []string, called func(string) string) map[string]string {
	members := make(map[string]string, len(fields))
	for _, f := range fields {
		members[f] = called(strings.TrimPrefix(f, statsPrefix))
	}
	return members
}

// details are the members that a reply tells.
func (h *recipe) details(raw json.RawMessage) (found []complement, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(h.Members)) {
		v := members[h.Members[name]]
		if len(v) == 0 || strings.HasPrefix(name, statsPrefix) && nothingIn(v) {
			continue
		}
		found = append(found, complement{name, v})
	}
	return found, nil
}

// countCalls adds calls to the window that is being read.
func countCalls(r *run, calls int64) {
	if r.pos.Window != nil {
		r.pos.Window.Calls += calls
	}
}

// count counts a call.
func (j *detailJoin) count(r *run) {
	j.calls++
	countCalls(r, 1)
}

// takeCalls tells how many calls were made since it was last asked.
func (j *detailJoin) takeCalls() int64 {
	n := j.calls
	j.calls = 0
	return n
}

// readPath5 is the path of one record of version 5; id 0 is the only one there is.
func readPath5(o *object, id int64) string {
	path := "/api/v5/objects/" + o.v5.path
	if id == 0 {
		return path
	}
	return path + "/" + strconv.FormatInt(id, 10)
}

// readPath4 is the path of a read by version 4.
func readPath4(o *object, id int64) string {
	path := "/api/" + o.v4.path + "/version/{v}/do/read"
	if id == 0 {
		return path
	}
	return path + "/id/" + strconv.FormatInt(id, 10)
}
