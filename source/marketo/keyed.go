package marketo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// A keyed object is one of the lead database that the API shows by key only: there is neither a listing nor a
// filter by time. So what exists is found by way of something else.
// Source: Marketo REST API, Lead Database; Companies; Opportunities; Opportunity Roles; Sales Persons.
type keyed struct {
	stream string
	noun   string // in errors: "companies"
	path   string // below /rest/v1, without .json
	key    string // vendor's name of what identifies a record
	number bool   // the key is a whole number
	by     string // filter by which records are asked for

	lead string // field of leads whose values lead to the records
	via  *keyed // or the records that name them, in the field by
	role string // permission
}

var (
	companies = &keyed{
		stream: "companies", noun: "companies", path: "companies", key: "id", number: true, by: "externalCompanyId",
		lead: "externalCompanyId", role: "Read-Only Company",
	}
	salesPersons = &keyed{
		stream: "sales_persons", noun: "sales persons", path: "salespersons", key: "id", number: true, by: "externalSalesPersonId",
		lead: "externalSalesPersonId", role: "Read-Only Sales Person",
	}
	opportunityRoles = &keyed{
		stream: "opportunity_roles", noun: "opportunity roles", path: "opportunities/roles", key: "marketoGUID", by: "leadId",
		lead: "id", role: "Read-Only Opportunity",
	}
	opportunities = &keyed{
		stream: "opportunities", noun: "opportunities", path: "opportunities", key: "marketoGUID", by: "externalOpportunityId",
		lead: "id", via: opportunityRoles, role: "Read-Only Opportunity",
	}
	namedAccounts = &keyed{
		stream: "named_accounts", noun: "named accounts", path: "namedaccounts", key: "marketoGUID", role: "Read-Only Named Account and Read-Only Named Account List",
	}

	keyedObjects = []*keyed{companies, opportunities, opportunityRoles, salesPersons, namedAccounts}
)

const leadDatabase = "/rest/v1/"

func (t *keyed) describePath() string { return leadDatabase + t.path + "/describe.json" }

// keyField is the field that identifies a record.
func (t *keyed) keyField() field {
	f := field{Name: t.key, DisplayName: t.key, DataType: "string"}
	if t.number {
		f.DataType = "integer"
	}
	return f
}

// A keyedStream reads one of these objects: a snapshot, since nothing tells what has changed. The keys
// are those that all leads have, from an export of that one field.
type keyedStream struct {
	*rangeStream
	of     *keyed
	fields []string
	held   int // keys that are gathered before they are asked for
}

func newKeyed(ctx context.Context, s *source, d *dispatcher, t *keyed) (martsync.Stream, error) {
	about, err := s.describeObject(ctx, t.noun, t.describePath())
	if err != nil {
		return nil, err
	}
	cols := columnsWith(about.fields(), t.keyField())
	schema := martsync.Schema{Stream: t.stream, Columns: cols, Key: []string{columnOf(cols, t.key)}, Snapshot: true}
	if err := s.canRead(ctx, t, about); martsync.KindOf(err) == martsync.Unavailable && err != nil {
		return newAbsent(schema, err), nil
	} else if err != nil {
		return nil, err
	}
	fields := make([]string, len(cols))
	for i, c := range cols {
		fields[i] = c.Origin
	}
	return &keyedStream{
		rangeStream: &rangeStream{src: s, jobs: d, cursorEvery: cursorEvery, schema: schema}, of: t, fields: fields, held: keysHeld,
	}, nil
}

// canRead says why the records cannot be found.
func (s *source) canRead(ctx context.Context, t *keyed, about described) error {
	op := "read " + t.noun
	switch {
	case about.err != nil:
		return about.err
	case t == namedAccounts:
		if len(s.cfg.Objects.NamedAccountLists) == 0 {
			return unavailable(op, "Name the lists whose accounts are wanted in objects.named_account_lists.",
				errors.New("Marketo's API lists neither named accounts nor their lists")) //nolint:staticcheck // a name
		}
		return nil
	case t.via != nil:
		via, err := s.describeObject(ctx, t.via.noun, t.via.describePath())
		if err != nil {
			return err
		}
		err = s.canRead(ctx, t.via, via)
		if err != nil && martsync.KindOf(err) == martsync.Unavailable {
			return unavailable(op, martsync.HintOf(err), fmt.Errorf("they are found by way of %s, and these cannot be read: %w", t.via.noun, causeOf(err)))
		}
		return err
	}
	leads, err := s.describe(ctx)
	if err = s.permitted(ctx, err); err != nil {
		if martsync.KindOf(err) == martsync.Unavailable {
			return unavailable(op, martsync.HintOf(err), fmt.Errorf("they are found by way of leads, and these cannot be read: %w", causeOf(err)))
		}
		return err
	}
	for _, f := range leads {
		if f.Name == t.lead {
			return nil
		}
	}
	return unavailable(op, "", fmt.Errorf("they are found by way of leads: %w", errNoField("leads", t.lead)))
}

// Read reads all records, if it is time to.
func (s *keyedStream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return s.iterate(ctx, span, func(r *run) error {
		if err := r.from(from); err != nil {
			return err
		}
		s.src.shared.join(s.of.shares(), s.schema.Stream, r.pos.Parts[keyPart])
		if err := s.read(ctx, r); err != nil {
			return r.leave(err)
		}
		return nil
	})
}

const keyPart = "keys"

// shares names what is exported to find the records: opportunities and their roles need the same.
func (t *keyed) shares() string { return leadObject.dir + "/" + t.lead }

func (s *keyedStream) read(ctx context.Context, r *run) error {
	p := r.pos.Parts[keyPart]
	if p == nil {
		if !r.due(r.pos.Read, time.Duration(s.src.cfg.Objects.Every)) {
			return nil
		}
	}
	a := &asker{stream: s, r: r, builder: columns.NewBuilder(s.schema.Columns), seed: maphash.MakeSeed()}
	if s.of == namedAccounts {
		if err := a.lists(ctx, s.src.cfg.Objects.NamedAccountLists); err != nil {
			return err
		}
		r.pos.Read = r.now()
		return a.finish()
	}
	if p == nil {
		start, err := s.eldest(ctx, r)
		if err != nil {
			return err
		}
		w := window{From: start, To: max(secondOf(s.src.now().Add(-visibleAfter)), start+1)}
		w = s.src.shared.plan(s.of.shares(), s.schema.Stream, w)
		p = &part{At: w.From, To: w.To, By: byCreation}
		r.pos.Parts[keyPart], r.pos.Read, r.dirty = p, r.now(), true
	}
	spec := &partSpec{
		name: keyPart, object: leadObject, fields: []string{s.of.lead}, kind: keyFile, shared: s.of.shares(),
		columns: []martsync.Column{{Name: "key", Type: martsync.String, Origin: s.of.lead}},
		convert: func(ctx context.Context, _ *rowWriter, keys *martsync.Records) error { return a.take(ctx, keys) },
	}
	a.reset()
	r.discarded = a.reset // a file that turns out wrong takes back what all of them led to
	if err := r.gather(ctx, spec, p, func() error { return s.putBy(ctx, r, spec, p) }); err != nil {
		return err
	}
	for keys := range slices.Chunk(r.pos.Keys, s.held) {
		for _, key := range keys {
			a.add(key)
		}
		if err := a.ask(ctx); err != nil {
			return err
		}
	}
	if err := a.ask(ctx); err != nil {
		return err
	}
	delete(r.pos.Parts, keyPart)
	r.pos.Keys = nil
	r.jobs.update(r.schema.Stream, r.pos)
	return a.finish()
}

// eldest is where leads begin: not where this source is configured to, since what was created before may
// be named by what is read.
func (s *keyedStream) eldest(ctx context.Context, r *run) (second, error) {
	t, err := r.jobs.oldest(func() (second, error) { return s.src.oldest(ctx) })
	if err != nil && !s.src.cfg.Start.IsZero() && !martsync.KindOf(err).Waits() {
		return secondOf(s.src.cfg.Start.Time), nil
	}
	return t, err
}

const (
	// keysHeld is how many keys are gathered before the file they come from is left alone for the
	// calls that they lead to.
	keysHeld = 1 << 17

	// keysSeen is how many different keys are remembered so that each is asked for once. Beyond
	// that some are asked for again, which costs calls and no more.
	keysSeen = 1 << 20
)

// An asker asks for the records that keys lead to.
type asker struct {
	stream  *keyedStream
	r       *run
	builder *columns.Builder
	seed    maphash.Seed

	seen  map[uint64]bool // keys of the records themselves
	asked map[uint64]bool // keys of leads, where other records come between
	held  []string        // keys to be asked for

	bad                        []martsync.Quarantined
	parsed, quarantined, calls int64
	bytes                      int64 // of pages since the last batch
	comma                      int   // keys that cannot be asked for
}

func (a *asker) reset() {
	a.builder.Reset()
	a.seen, a.asked, a.held = map[uint64]bool{}, map[uint64]bool{}, nil
	a.bad, a.parsed, a.quarantined, a.comma = nil, 0, 0, 0
	a.r.raw, a.r.rawBytes, a.r.stray = nil, 0, 0
}

// fresh reports whether a key has not come before. Keys of a CRM may differ in case alone.
func (a *asker) fresh(seen map[uint64]bool, key string) bool {
	h := maphash.String(a.seed, key)
	if seen[h] {
		return false
	}
	if len(seen) >= keysSeen {
		clear(seen)
	}
	seen[h] = true
	return true
}

// take gathers the keys of a piece of a file.
func (a *asker) take(ctx context.Context, keys *martsync.Records) error {
	v := &keys.Columns[0]
	for i := range keys.Len {
		if v.Null(i) || len(v.Bytes(i)) == 0 {
			continue
		}
		a.add(string(v.Bytes(i)))
	}
	if len(a.held) < a.stream.held {
		return nil
	}
	a.r.hangUp()
	return a.ask(ctx)
}

// add takes a key that has not come before.
func (a *asker) add(key string) {
	// Whole numbers may come as 10.0.
	if a.stream.of.lead == "id" {
		key, _, _ = strings.Cut(key, ".")
	}
	switch {
	case !a.fresh(a.asked, key):
	case strings.Contains(key, ","):
		a.comma++ // filters are lists with commas, and the vendor knows no way to quote one
	default:
		a.held = append(a.held, key)
	}
}

// ask reads the records that the keys lead to.
func (a *asker) ask(ctx context.Context) error {
	t, keys := a.stream.of, a.held
	a.held = nil
	if t.via == nil {
		return a.query(ctx, t, keys, a.stream.fields, a.rows)
	}
	var next []string
	found := func(path string, env *envelope) error {
		for _, raw := range env.Result {
			var m map[string]json.RawMessage
			if err := json.Unmarshal(raw, &m); err != nil {
				return &martsync.Error{Kind: martsync.Data, Op: "marketo: read " + t.via.noun, Err: fmt.Errorf("reply %s: %w", env.RequestID, err)}
			}
			key := bare(m[t.by])
			switch {
			case key == "" || key == "null" || !a.fresh(a.seen, key):
			case strings.Contains(key, ","):
				a.comma++
			default:
				next = append(next, key)
			}
		}
		if raw := keptPage(path, env, how{Kind: listPage}); raw != nil {
			a.r.raw = append(a.r.raw, *raw)
			a.r.rawBytes += len(raw.Data)
		}
		if len(next) >= a.stream.held {
			few := next
			next = nil
			if err := a.query(ctx, t, few, a.stream.fields, a.rows); err != nil {
				return err
			}
		}
		return a.flush(false)
	}
	if err := a.query(ctx, t.via, keys, []string{t.by}, found); err != nil {
		return err
	}
	return a.query(ctx, t, next, a.stream.fields, a.rows)
}

// query asks for records by key, 300 a call.
func (a *asker) query(ctx context.Context, t *keyed, keys, fields []string, take func(string, *envelope) error) error {
	path := leadDatabase + t.path + ".json"
	for from := 0; from < len(keys); from += leadPage {
		err := a.pages(ctx, request{op: "read " + t.noun, path: path, optional: true, query: url.Values{
			"filterType": {t.by}, "filterValues": {strings.Join(keys[from:min(from+leadPage, len(keys))], ",")}, "fields": {strings.Join(fields, ",")},
		}}, take)
		if err != nil {
			return err
		}
	}
	return nil
}

// pages walks a listing that goes on for as long as the vendor says so: the token alone means nothing here.
// Source: Marketo REST API, Lead Database, Paging.
func (a *asker) pages(ctx context.Context, r request, take func(string, *envelope) error) error {
	r.query.Set("batchSize", strconv.Itoa(leadPage))
	for {
		env, err := a.r.src.client.do(ctx, r)
		a.calls++
		if nothing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		a.calls += env.Calls - 1
		if err := take(r.path, env); err != nil {
			return err
		}
		if !env.MoreResult {
			return nil
		}
		if env.NextPageToken == "" || env.NextPageToken == r.query.Get("nextPageToken") {
			return &martsync.Error{Kind: martsync.Transient, Op: "marketo: " + r.op, After: time.Minute, Err: errors.New("the listing does not move on: there is more, and no way to it")}
		}
		r.query.Set("nextPageToken", env.NextPageToken)
	}
}

// rows makes rows of a page.
func (a *asker) rows(path string, env *envelope) error {
	n, bad := keyedRows(a.builder, a.stream.schema.Key[0], env, a.parsed)
	a.parsed += n
	a.bytes += env.Bytes
	a.quarantined += int64(len(bad))
	a.bad = append(a.bad, bad...)
	if raw := keptPage(path, env, how{Kind: keyedPage, Line: a.parsed - n}); raw != nil {
		a.r.raw = append(a.r.raw, *raw)
		a.r.rawBytes += len(raw.Data)
	}
	return a.flush(false)
}

// keyedRows puts the records of a page into the builder, and returns how many there were and those that do
// not fit.
func keyedRows(b *columns.Builder, key string, env *envelope, line int64) (n int64, bad []martsync.Quarantined) {
	for i, raw := range env.Result {
		if err := appendKeyed(b, key, raw); err != nil {
			bad = append(bad, quarantine(raw, env.RequestID, line+int64(i)+1, err))
		}
	}
	return int64(len(env.Result)), bad
}

// appendKeyed appends a record that has its key.
func appendKeyed(b *columns.Builder, key string, raw []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("not a JSON object: %w", err)
	}
	for name, v := range m {
		if columns.Snake(name) == key && string(v) != "null" && bare(v) != "" {
			return b.AppendJSON(raw)
		}
	}
	return &columns.CellError{Column: key, Reason: "the record has no key"}
}

// flush yields what has been gathered, if it is much or if it must.
func (a *asker) flush(must bool) error {
	rows := a.builder.Len()
	if rows == 0 && len(a.bad) == 0 && a.r.rawBytes == 0 || !must && rows < feedRows && len(a.bad) < feedRows && a.r.rawBytes < rawMost {
		return nil
	}
	b := martsync.Batch{Quarantined: a.bad, Bytes: a.bytes}
	if rows > 0 {
		b.Records = a.builder.Records()
	}
	err := a.r.send(b)
	a.builder.Reset()
	a.bad, a.bytes = nil, 0
	return err
}

// finish ends the snapshot.
func (a *asker) finish() error {
	if err := a.flush(true); err != nil {
		return err
	}
	t := a.stream.of
	// Told once, and again when there are more than ever.
	if a.comma > a.r.pos.Commas {
		a.r.pos.Commas = a.comma
		a.r.note("warning", "%d keys of %s have a comma, so Marketo's API cannot be asked for them", a.comma, t.noun)
	}
	return a.r.send(martsync.Batch{
		Cursor: a.r.pos.cursor(),
		Window: &martsync.Window{
			Filter: filterJSON(map[string]any{"path": leadDatabase + t.path + ".json"}), Records: -1, Bytes: -1,
			Parsed: a.parsed + a.r.stray, Quarantined: a.quarantined + a.r.stray, Calls: a.calls,
		},
	})
}

// lists reads the named accounts of these lists. Source: Marketo REST API, Named Account Lists.
func (a *asker) lists(ctx context.Context, wanted []string) error {
	a.reset()
	for _, name := range wanted {
		var guid string
		err := a.pages(ctx, request{op: "find a named account list", path: leadDatabase + "namedAccountLists.json", optional: true, query: url.Values{
			"filterType": {"dedupeFields"}, "filterValues": {name},
		}}, func(path string, env *envelope) error {
			for _, raw := range env.Result {
				var l struct {
					GUID string `json:"marketoGUID"`
					Name string `json:"name"`
				}
				if json.Unmarshal(raw, &l) == nil && strings.EqualFold(l.Name, name) && validID(l.GUID) {
					guid = l.GUID
				}
			}
			if raw := keptPage(path, env, how{Kind: listPage}); raw != nil {
				a.r.raw = append(a.r.raw, *raw)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if guid == "" {
			return configError(fmt.Sprintf("objects.named_account_lists: there is no list %q", name), "Use the name that Marketo shows.")
		}
		err = a.pages(ctx, request{op: "read named accounts", path: leadDatabase + "namedAccountList/" + guid + "/namedAccounts.json", optional: true, query: url.Values{
			"fields": {strings.Join(a.stream.fields, ",")},
		}}, a.rows)
		if err != nil {
			return err
		}
	}
	return nil
}
