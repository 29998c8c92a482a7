package pardot

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// A page is a page of a query.
type page struct {
	rows    []json.RawMessage
	body    []byte // as it arrived
	total   int64  // rows that match, as far as the vendor tells; -1: not told
	more    bool   // there are rows after these
	next    string // the token of the page after this one; "": there is none
	warning string // the vendor's, if it left out records or values that the user may not see
	calls   int64
	bytes   int64
}

// essential are the kinds of records that every business unit has and that syncs are made for:
// a user who may not see them is a mistake. All others may be missing.
var essential = []string{
	"account", "campaigns", "emails", "forms", "list-memberships", "lists", "opportunities", "prospect-accounts", "prospects",
	"tagged-objects", "tags", "visitor-activities", "visitors",
	"campaign", "email", "emailClick", "form", "list", "listMembership", "opportunity", "prospect", "prospectAccount",
	"tag", "tagObject", "visitor", "visitorActivity",
}

func optionalObject(path string) bool {
	name, _, _ := strings.Cut(path, "/")
	return !slices.Contains(essential, name)
}

const objects5 = "/api/v5/objects/"

// query5 reads a page of a collection of version 5: "tags". It has rows, or there are no more.
// Account Engagement API, Version 5 Overview, Query.
//
// A page whose records the user may not see comes empty although there are others behind it. It has no
// id to go on from, so its token is followed, beside which only the fields may stand.
func (c *client) query5(ctx context.Context, op, collection string, q url.Values) (*page, error) {
	limit, _ := strconv.Atoi(q.Get("limit"))
	p, err := c.page5(ctx, op, collection, q)
	for n := max(limit, 1); err == nil && p.more && len(p.rows) == 0; n += max(limit, 1) {
		if p.next == "" || n > sequenceMost {
			return nil, &martsync.Error{
				Kind: martsync.Data, Op: "pardot: " + op, Err: errors.New("the vendor says that there are more records and shows none of them"),
				Hint: "Let the API user see these records, or leave the stream out.",
			}
		}
		before := p
		q = url.Values{"fields": q["fields"], "nextPageToken": {p.next}}
		if p, err = c.page5(ctx, op, collection, q); err == nil {
			p.calls, p.bytes, p.warning = p.calls+before.calls, p.bytes+before.bytes, cmp.Or(p.warning, before.warning)
		}
	}
	return p, err
}

// sequenceMost is how many records a sequence of tokens leads through.
const sequenceMost = 100_000

// page5 reads a page of version 5, whatever is in it.
func (c *client) page5(ctx context.Context, op, collection string, q url.Values) (*page, error) {
	r, err := c.do(ctx, request{op: op, path: path5(collection), query: q, optional: optionalObject(collection)})
	if err != nil {
		return nil, err
	}
	p, err := page5Of(op, r)
	if err != nil {
		return nil, err
	}
	for _, w := range r.header.Values("Pardot-Warning") {
		for _, code := range warningCode.FindAllStringSubmatch(w, -1) {
			switch code[1] {
			case "202":
				p.warning = w
			case "203": // the sequence ended at 100,000 records, the query did not
				p.more = true
			}
		}
		c.log.DebugContext(ctx, "warning from the vendor", "op", op, "warning", w)
	}
	return p, nil
}

// warningCode finds the codes in a header of warnings: "202;Record(s) have been redacted". How several
// of them are written is not documented.
var warningCode = regexp.MustCompile(`\b([0-9]{3}) *;`)

// page5Of reads a page of version 5.
func page5Of(op string, r *reply) (*page, error) {
	if r.envelope.Values == nil && !bytes.Contains(r.body, []byte(`"values"`)) {
		// Taking it for "no records" would delete what is there.
		return nil, strange(op, r, "the reply has no values")
	}
	if err := objectsOnly(op, r, r.envelope.Values); err != nil {
		return nil, err
	}
	next := bare(r.envelope.Next)
	return &page{rows: r.envelope.Values, body: r.body, total: -1, more: next != "", next: next, calls: r.calls, bytes: r.bytes}, nil
}

// errEnough ends each5 before the last record.
var errEnough = errors.New("enough")

// each5 lists a collection of version 5 by id, page by page, and hands each record to visit, which
// returns its id. Pages that take the vendor too long are halved.
func (c *client) each5(ctx context.Context, op, collection, fields string, visit func(json.RawMessage) (id int64, err error)) error {
	q := url.Values{"fields": {fields}, "orderBy": {"id"}}
	for after, limit := int64(0), page5; ; {
		q.Set("limit", strconv.Itoa(limit))
		p, err := c.query5(ctx, op, collection, q)
		if tooSlow(err) && limit > leastPage {
			limit = max(limit/2, leastPage)
			continue
		}
		if err != nil {
			return err
		}
		before := after
		for _, raw := range p.rows {
			id, err := visit(raw)
			if errors.Is(err, errEnough) {
				return nil
			}
			if err != nil {
				return err
			}
			after = max(after, id)
		}
		if !p.more || after == before {
			return nil
		}
		q.Set("idGreaterThan", strconv.FormatInt(after, 10))
	}
}

// query4 reads a page of a resource of version 4.
func (c *client) query4(ctx context.Context, op string, res *resource, q url.Values) (*page, error) {
	r, err := c.do(ctx, request{op: op, path: "/api/" + res.path + "/version/{v}/do/query", query: q, optional: optionalObject(res.path)})
	if err != nil {
		return nil, err
	}
	return page4Of(op, r, res.key)
}

// page4Of reads a page of version 4. Its rules for JSON are those of XML made into it: one row
// is no array, no row leaves out the key or more. Account Engagement API, Version 4, Using the API.
func page4Of(op string, r *reply, key string) (*page, error) {
	p := &page{body: r.body, total: -1, calls: r.calls, bytes: r.bytes}
	result := bytes.TrimSpace(r.envelope.Result)
	switch {
	case len(result) == 0 && r.envelope.Attributes == nil:
		return nil, strange(op, r, "the reply has no result")
	case nothing(result):
		return p, nil
	}
	var members map[string]json.RawMessage
	if unmarshal(result, &members) != nil || members == nil {
		return nil, strange(op, r, "the result is not an object")
	}
	if raw, ok := members["total_results"]; ok {
		p.total = int64(number(raw))
		delete(members, "total_results")
	}
	rows, ok := members[key]
	if !ok && len(members) == 1 { // under a name that is not documented
		for _, rows = range members {
			ok = true
		}
	}
	switch rows = bytes.TrimSpace(rows); {
	case !ok && len(members) > 0:
		return nil, strange(op, r, "the result has no "+key)
	case nothing(rows):
	case rows[0] == '[':
		if err := unmarshal(rows, &p.rows); err != nil {
			return nil, strange(op, r, "the rows are not JSON")
		}
	default:
		p.rows = []json.RawMessage{rows}
	}
	if len(p.rows) == 0 && p.total > 0 {
		return nil, strange(op, r, fmt.Sprintf("%d rows are announced and none is there", p.total))
	}
	p.more = p.total > int64(len(p.rows))
	return p, objectsOnly(op, r, p.rows)
}

// read4 reads one record of version 4: path is "email/do/read/id/7" or the whole path with {v}.
func (c *client) read4(ctx context.Context, op, path, key string, q url.Values) (json.RawMessage, error) {
	raw, _, err := c.reply4(ctx, op, path, key, q)
	return raw, err
}

// reply4 is read4 that returns the whole reply as well.
func (c *client) reply4(ctx context.Context, op, path, key string, q url.Values) (raw json.RawMessage, body []byte, err error) {
	r, err := c.do(ctx, request{op: op, path: path4(path), query: q, optional: optionalObject(path)})
	if err != nil {
		return nil, nil, err
	}
	raw, err = record4Of(op, r, key)
	return raw, r.body, err
}

// record4Of reads one record of version 4.
func record4Of(op string, r *reply, key string) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if unmarshal(r.body, &members) != nil {
		return nil, strange(op, r, "the reply is not an object")
	}
	raw, ok := members[key]
	if !ok && r.envelope.Attributes == nil && members["id"] != nil {
		raw, ok = r.body, true // some pages show records without their frame
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '[' {
		var rows []json.RawMessage
		if unmarshal(raw, &rows) == nil && len(rows) > 0 {
			raw = bytes.TrimSpace(rows[0])
		}
	}
	if !ok || len(raw) == 0 || raw[0] != '{' {
		return nil, strange(op, r, "the reply has no "+key)
	}
	return raw, nil
}

// read5 reads one record of version 5, which comes bare or as the only one of "values". Path is
// "account", "emails/7" or the whole path.
func (c *client) read5(ctx context.Context, op, path string, q url.Values) (json.RawMessage, error) {
	raw, _, err := c.reply5(ctx, op, path, q)
	return raw, err
}

// reply5 is read5 that returns the whole reply as well.
func (c *client) reply5(ctx context.Context, op, path string, q url.Values) (raw json.RawMessage, body []byte, err error) {
	r, err := c.do(ctx, request{op: op, path: path5(path), query: q, optional: optionalObject(strings.TrimPrefix(path, objects5))})
	if err != nil {
		return nil, nil, err
	}
	raw, err = record5Of(op, r)
	return raw, r.body, err
}

// record5Of reads one record of version 5.
func record5Of(op string, r *reply) (json.RawMessage, error) {
	raw := json.RawMessage(bytes.TrimSpace(r.body))
	if r.envelope.ID == nil && r.envelope.Values != nil {
		if len(r.envelope.Values) == 0 {
			return nil, (rule{kind: martsync.Data}).verdict(op, false, &apiError{Status: http.StatusNotFound, Message: "there is no such record", Version: v5, told: true})
		}
		raw = r.envelope.Values[0]
	}
	if len(raw) == 0 || raw[0] != '{' {
		return nil, strange(op, r, "the reply is not an object")
	}
	return raw, nil
}

// path5 completes the path of a collection of version 5.
func path5(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return objects5 + path
}

// path4 completes the path of an operation of version 4: "email/do/read/id/7".
func path4(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	object, operation, _ := strings.Cut(path, "/")
	return "/api/" + object + "/version/" + versionPlace + "/" + operation
}

// nothing reports whether a JSON value stands for no rows: version 4 has several.
func nothing(raw []byte) bool {
	switch string(raw) {
	case "", "null", `""`, "[]", "{}", "false":
		return true
	}
	return false
}

// objectsOnly refuses pages with rows that are no objects: no row of them can be told apart.
func objectsOnly(op string, r *reply, rows []json.RawMessage) error {
	for _, row := range rows {
		if row = bytes.TrimSpace(row); len(row) == 0 || row[0] != '{' {
			return strange(op, r, "a row is not an object")
		}
	}
	return nil
}

// strange is the error for a reply that is well formed and yet not what was asked for. It may
// pass: something between here and the vendor may have made it.
func strange(op string, r *reply, what string) error {
	e := &apiError{Status: http.StatusOK, Message: what, Version: v5}
	if r.envelope.Attributes != nil {
		e.Version = v4
	}
	return (rule{kind: martsync.Transient, hint: "If this stays, please report it."}).verdict(op, false, e)
}
