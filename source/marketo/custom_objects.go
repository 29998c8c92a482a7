package marketo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// customPrefix begins the names of the streams of custom objects.
const customPrefix = "custom_"

const customPath = "/rest/v1/customobjects.json"

// customObject is an object that an administrator made. Its records are exported by the time of their
// last change. Source: Marketo REST API, Bulk Custom Object Extract.
func customObject(api string) *object {
	return &object{
		noun: "custom object " + api, dir: "customobjects/" + api, key: "marketoGUID",
		filter: func(w window, o exportOptions) exportFilter {
			w.To = max(w.To, o.reach)
			return exportFilter{byUpdate: w.wire()}
		},
	}
}

// customStreams lists a stream for each custom object that can be exported.
func (s *source) customStreams(ctx context.Context, d *dispatcher) ([]martsync.Stream, error) {
	found, err := s.customObjects(ctx)
	if err != nil {
		return nil, err
	}
	namer := columns.NewSnakeNamer()
	var streams []martsync.Stream
	for _, c := range found {
		if c.err != nil {
			s.env.Log.DebugContext(ctx, "custom object is not read", "object", c.Name, "err", c.err)
		} else {
			s.client.export(customObject(c.Name))
			streams = append(streams, newCustom(s, d, customPrefix+namer.Name(strings.TrimSuffix(c.Name, "_c")), c.description))
		}
	}
	return streams, nil
}

// customObjects describes the account's custom objects without the excluded ones. Those that cannot be
// exported say why. That there are none, or no permission, is an empty list.
func (s *source) customObjects(ctx context.Context) ([]described, error) {
	all, err := s.customNames(ctx)
	if err != nil {
		return nil, err
	}
	var found []described
	for _, name := range all {
		if slices.Contains(s.cfg.Custom.Exclude, name) {
			continue
		}
		d, err := s.describeObject(ctx, "custom object "+name, "/rest/v1/customobjects/"+name+"/describe.json")
		if err != nil {
			return nil, err
		}
		d.Name = name
		if d.err == nil {
			d.err = d.exportable()
		}
		found = append(found, d)
	}
	return found, nil
}

// exportable says why an object cannot be exported: only those that hang on leads can.
// Source: Marketo REST API, Bulk Custom Object Extract.
func (d *described) exportable() error {
	for _, r := range d.Relationships {
		if strings.EqualFold(r.Related.Name, "Lead") || strings.EqualFold(r.Object.Name, "Lead") {
			return nil
		}
	}
	return unavailable("export custom object "+d.Name, "Marketo exports only custom objects that are linked to leads.", errors.New("it is not linked to leads"))
}

// customNames lists the API names of the custom objects.
func (s *source) customNames(ctx context.Context) ([]string, error) {
	return s.customs.Get(s.now(), func() ([]string, error) {
		var all []string
		err := list(ctx, s.client, request{op: "list custom objects", path: customPath, optional: true}, func(o description) {
			if validName(o.Name) && !slices.Contains(all, o.Name) {
				all = append(all, o.Name)
			}
		})
		if nothing(err) || martsync.KindOf(err) == martsync.Unavailable && err != nil {
			s.env.Log.WarnContext(ctx, "custom objects are not read", "err", err)
			return nil, nil
		}
		return all, err
	})
}

// validName reports whether an API name can stand in a path.
func validName(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_'
	}) < 0
}

// A customStream reads one custom object by the time of its records' last change, and now and then all of
// it, to see what is gone; see customListing.
type customStream struct {
	*rangeStream
	whole *partSpec // a part like the stream's own, of the listing
}

func newCustom(s *source, d *dispatcher, stream string, about description) *customStream {
	o := customObject(about.Name)
	cols := columnsWith(about.fields(), field{Name: o.key, DisplayName: "Marketo GUID", DataType: "string"}, field{Name: byUpdate, DisplayName: "Updated At", DataType: "datetime"})
	schema := martsync.Schema{Stream: stream, Columns: cols, Key: []string{columnOf(cols, o.key)}, Version: versionOf(cols), Deletes: true}
	fields := []string{o.key}
	for _, c := range cols {
		if c.Origin != o.key {
			fields = append(fields, c.Origin)
		}
	}
	return &customStream{
		rangeStream: &rangeStream{src: s, jobs: d, cursorEvery: cursorEvery, schema: schema, parts: []*partSpec{
			{name: "records", object: o, fields: fields, listed: true},
		}},
		whole: &partSpec{name: "all", object: o, fields: fields, listed: true},
	}
}

// Read yields what was updated after from, and everything when that is due.
func (c *customStream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return c.iterate(ctx, span, func(r *run) error {
		if err := r.from(from); err != nil {
			return err
		}
		if err := c.read(ctx, r, from == ""); err != nil {
			return r.leave(err)
		}
		return nil
	})
}

// iterate makes a run of a stream that goes its own way.
func (s *rangeStream) iterate(ctx context.Context, span martsync.Span, read func(*run) error) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		mine := *s // gathering changes how files are read
		r := &run{rangeStream: &mine, span: span, yield: yield}
		err := s.src.permitted(ctx, read(r))
		s.parked, s.parkedUntil, s.fast = mine.parked, mine.parkedUntil, mine.fast
		if martsync.KindOf(err) != martsync.Pending {
			s.jobs.done(s.schema.Stream)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(martsync.Batch{}, err)
		}
	}
}

// customCheck tells what check finds about custom objects.
func (s *source) customCheck(ctx context.Context) (string, error) {
	if _, err := s.client.do(ctx, request{op: "check " + customPath, path: customPath, optional: true, free: true}); err != nil && !nothing(err) {
		return "", err
	}
	found, err := s.customObjects(ctx)
	if err != nil {
		return "", err
	}
	var can, cannot []string
	for _, c := range found {
		if c.err == nil {
			can = append(can, c.Name)
		} else {
			cannot = append(cannot, c.Name)
		}
	}
	text := fmt.Sprintf("%d can be exported", len(can))
	if len(can) > 0 {
		text += ": " + strings.Join(can, ", ")
	}
	if len(cannot) > 0 {
		text += "; not linked to leads or not described: " + strings.Join(cannot, ", ")
	}
	return text, nil
}
