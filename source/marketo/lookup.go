package marketo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// Lookup reads leads by id, 300 a call, and programs, smart campaigns, emails and static
// lists by id, one a call. Ids that do not exist are left out. A record that does not fit
// its columns ends the sequence with an error of kind Data.
func (s *source) Lookup(ctx context.Context, stream string, ids, fields []string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	one := oneByID(stream)
	if stream != leadStream && one == nil {
		return martsync.Schema{}, nil, fmt.Errorf("marketo: look up %s by id: %w", stream, martsync.ErrUnsupported)
	}
	numbers, err := parseIDs(ids) // those of other streams need not be numbers
	if err != nil {
		return martsync.Schema{}, nil, err
	}
	if one != nil {
		return s.lookupAssets(ctx, one, numbers, fields)
	}
	return s.lookupLeads(ctx, numbers, fields)
}

// oneByID returns the assets of a stream that can be read by id, one a call; nil: they cannot.
func oneByID(stream string) *asset {
	for i := range assets {
		if a := &assets[i]; a.stream == stream {
			return a
		}
	}
	for i := range listings {
		if l := &listings[i]; l.stream == stream && l.one != "" {
			return &asset{stream: l.stream, one: l.one, columns: l.columns}
		}
	}
	return nil
}

func parseIDs(texts []string) ([]int64, error) {
	ids := make([]int64, 0, len(texts))
	for _, t := range texts {
		id, err := strconv.ParseInt(strings.TrimSpace(t), 10, 64)
		if err != nil || id <= 0 {
			return nil, &martsync.Error{Kind: martsync.Config, Op: "marketo: look up by id", Err: fmt.Errorf("%q is not an id", t), Hint: "Ids are whole numbers."}
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// choose returns the wanted columns in the order of all, the key always among them. Names
// are those of columns or the vendor's.
func choose(all []martsync.Column, names []string) ([]martsync.Column, error) {
	if len(names) == 0 {
		return all, nil
	}
	wanted := map[string]bool{"id": true}
	for _, n := range names {
		i := slices.IndexFunc(all, func(c martsync.Column) bool { return c.Name == n || c.Origin == n })
		if i < 0 {
			i = slices.IndexFunc(all, func(c martsync.Column) bool { return strings.EqualFold(c.Origin, n) || strings.EqualFold(c.Name, n) })
		}
		if i < 0 {
			return nil, &martsync.Error{Kind: martsync.Config, Op: "marketo: look up by id", Err: fmt.Errorf("there is no field %q", n), Hint: "martsync streams lists the fields."}
		}
		wanted[all[i].Name] = true
	}
	var chosen []martsync.Column
	for _, c := range all {
		if wanted[c.Name] {
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

// leadFields returns the fields of leads as columns, the id first if there is one.
func leadFields(fields []field) []field {
	i := slices.IndexFunc(fields, func(f field) bool { return f.Name == "id" })
	if i < 0 {
		return append([]field{{Name: "id", DisplayName: "Id", DataType: "integer"}}, fields...)
	}
	first := []field{fields[i]}
	return append(append(first, fields[:i]...), fields[i+1:]...)
}

func (s *source) lookupLeads(ctx context.Context, ids []int64, names []string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	fields, err := s.wantedFields(ctx)
	if err != nil {
		return martsync.Schema{}, nil, err
	}
	cols, err := choose(columnsOf(leadFields(fields)), names)
	if err != nil {
		return martsync.Schema{}, nil, err
	}
	schema := martsync.Schema{Stream: "leads", Columns: cols, Key: []string{"id"}}
	origins := make([]string, len(cols))
	for i, c := range cols {
		origins[i] = c.Origin
	}
	return schema, func(yield func(*martsync.Records, error) bool) {
		builder := columns.NewBuilder(cols)
		for part := range slices.Chunk(ids, leadPage) {
			// An id matches one lead, so the answer has one page; the server may cut it in
			// two all the same. The fields of a large account fill more than a URI holds,
			// which the client sends as a form.
			r := request{op: "look up leads by id", path: "/rest/v1/leads.json", query: url.Values{
				"filterType": {"id"}, "filterValues": {join(part)}, "fields": {strings.Join(origins, ",")},
			}}
			for env, err := range s.client.tokenPages(ctx, r) {
				if err != nil {
					yield(nil, err)
					return
				}
				if !emit(builder, env, r.op, yield) {
					return
				}
			}
		}
	}, nil
}

func (s *source) lookupAssets(ctx context.Context, a *asset, ids []int64, names []string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	cols, err := choose(a.columns, names)
	if err != nil {
		return martsync.Schema{}, nil, err
	}
	schema := martsync.Schema{Stream: a.stream, Columns: cols, Key: []string{"id"}}
	return schema, func(yield func(*martsync.Records, error) bool) {
		builder := columns.NewBuilder(cols)
		for _, id := range ids {
			op := "look up " + strings.ReplaceAll(a.stream, "_", " ") + " by id"
			env, err := s.client.do(ctx, request{op: op, path: fmt.Sprintf(a.one, id)})
			if nothing(err) || isCode(err, "1013") {
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			complete(env, cols)
			if !emit(builder, env, op, yield) {
				return
			}
		}
	}, nil
}

// emit yields the records of a reply. It reports whether to go on.
func emit(builder *columns.Builder, env *envelope, op string, yield func(*martsync.Records, error) bool) bool {
	builder.Reset()
	for _, raw := range env.Result {
		id, err := recordID(raw)
		if err == nil {
			err = builder.AppendJSON(raw)
		}
		if err != nil {
			if c, ok := errors.AsType[*columns.CellError](err); ok {
				err = fmt.Errorf("record %d: %w", id, c)
			}
			yield(nil, &martsync.Error{Kind: martsync.Data, Op: "marketo: " + op, Err: err})
			return false
		}
	}
	return builder.Len() == 0 || yield(builder.Records(), nil)
}

func join(ids []int64) string {
	var b []byte
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(b)
}
