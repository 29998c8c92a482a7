package marketo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/cached"
)

// A description is what describe tells of an object of the lead database other than leads.
// Source: Marketo REST API, Lead Database, Describe.
type description struct {
	Name          string     `json:"name"`
	ID            string     `json:"idField"`
	Dedupe        []string   `json:"dedupeFields"`
	Search        [][]string `json:"searchableFields"`
	Relationships []struct {
		Field   string   `json:"field"`
		Related relation `json:"relatedTo"`
		Object  relation `json:"object"` // one sample of the vendor has this name instead
	} `json:"relationships"`
	Fields []struct {
		Name        string `json:"name"`
		DisplayName string `json:"displayName"`
		DataType    string `json:"dataType"`
		Length      int    `json:"length"`
	} `json:"fields"`
}

type relation struct {
	Name  string `json:"name"`
	Field string `json:"field"`
}

// fields are those that can be read, each once.
func (d *description) fields() []field {
	var list []field
	for _, f := range d.Fields {
		if f.Name != "" && f.DataType != "formula" {
			list = append(list, field{0, f.Name, f.DisplayName, f.DataType, f.Length})
		}
	}
	return unique(list)
}

// A described is what one question about an object has come to; err says that the account
// does not have it.
type described struct {
	description
	err error
}

// descriptions keeps what has been described, by path.
type descriptions struct {
	kept cached.Value[map[string]described]
}

// describeObject asks once an hour what an object looks like. That the role lacks the permission or
// the subscription the object is an answer, too.
func (s *source) describeObject(ctx context.Context, noun, path string) (described, error) {
	all, err := s.objects.kept.Get(s.now(), func() (map[string]described, error) { return map[string]described{}, nil })
	if err != nil {
		return described{}, err
	}
	s.objectMu.Lock()
	defer s.objectMu.Unlock()
	if d, known := all[path]; known {
		return d, nil
	}
	var d described
	found := false
	err = list(ctx, s.client, request{op: "describe " + noun, path: path, optional: true}, func(o description) {
		if !found {
			d.description, found = o, true
		}
	})
	switch k := martsync.KindOf(err); {
	case err != nil && (k == martsync.Unavailable || k == martsync.Data):
		d.err = &martsync.Error{Kind: martsync.Unavailable, Op: "marketo: describe " + noun, Hint: martsync.HintOf(err), Err: causeOf(err)}
	case err != nil:
		return d, err
	case len(d.fields()) == 0:
		d.err = unavailable("describe "+noun, "", errors.New("the account shows no field of it"))
	}
	all[path] = d
	return d, nil
}

// causeOf is err without the operation of the outermost error.
func causeOf(err error) error {
	if e, ok := errors.AsType[*martsync.Error](err); ok && e.Err != nil {
		return e.Err
	}
	return err
}

func unavailable(op, hint string, err error) error {
	return &martsync.Error{Kind: martsync.Unavailable, Op: "marketo: " + op, Hint: hint, Err: err}
}

// An absentStream is one that the account or the role does not have: it is listed, and says why it
// cannot be read when somebody wants to.
type absentStream struct {
	schema martsync.Schema
	err    error
}

func newAbsent(schema martsync.Schema, err error) *absentStream { return &absentStream{schema, err} }

// Schema describes as much of the records as is known without the account.
func (s *absentStream) Schema() martsync.Schema { return s.schema }

// Read says why there is nothing to read.
func (s *absentStream) Read(context.Context, martsync.Cursor, martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) { yield(martsync.Batch{}, s.err) }
}

// permitted turns a refusal for want of a permission into one that skips a single stream. The same code
// also answers machines whose address is not on the subscription's allowlist; those are refused what
// needs no permission, too, and then nothing can be read.
func (s *source) permitted(ctx context.Context, err error) error {
	e, ok := errors.AsType[*martsync.Error](err)
	if !ok || e.Kind != martsync.Auth || !isCode(err, "603") {
		return err
	}
	if _, usage := s.client.usage(ctx); isCode(usage, "603") {
		return err
	}
	return &martsync.Error{Kind: martsync.Unavailable, Op: e.Op, Hint: e.Hint, Err: e.Err}
}

// columnsWith makes the columns of fields in the vendor's order. Those that identify a record are there, and
// have the types that a key needs, whatever describe says.
func columnsWith(fields []field, keys ...field) []martsync.Column {
	fields = slices.Clone(fields)
	for n, k := range keys {
		if i := slices.IndexFunc(fields, func(f field) bool { return f.Name == k.Name }); i >= 0 {
			fields[i].DataType = k.DataType
		} else {
			fields = slices.Insert(fields, n, k)
		}
	}
	return columnsOf(fields)
}

// columnOf is the name of the column of a vendor's field, "" if there is none.
func columnOf(cols []martsync.Column, origin string) string {
	if i := slices.IndexFunc(cols, func(c martsync.Column) bool { return c.Origin == origin }); i >= 0 {
		return cols[i].Name
	}
	return ""
}

// versionOf is the column that orders the versions of a record, if the vendor has one.
func versionOf(cols []martsync.Column) string {
	for _, c := range cols {
		if c.Origin == byUpdate && c.Type == martsync.Timestamp {
			return c.Name
		}
	}
	return ""
}

func errNoField(of, name string) error { return fmt.Errorf("%s have no field %s", of, name) }
