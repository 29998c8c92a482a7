package files

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// NewestTime returns the greatest time in a column of a table. Where the manifests know it, no
// data file is opened.
func (d *destination) NewestTime(ctx context.Context, name, column string) (time.Time, error) {
	streams, err := d.streams(ctx)
	if err != nil {
		return time.Time{}, err
	}
	i := slices.Index(streams, name)
	if i < 0 {
		i = slices.IndexFunc(streams, func(s string) bool { return strings.EqualFold(s, name) })
	}
	if i < 0 {
		return time.Time{}, nil
	}
	t, err := d.table(ctx, streams[i])
	if err != nil {
		return time.Time{}, err
	}
	schema := t.schema()
	j := schema.Index(column)
	if j < 0 {
		j = slices.IndexFunc(schema.Columns, func(c martsync.Column) bool { return strings.EqualFold(c.Name, column) })
	}
	if j < 0 {
		return time.Time{}, fail(martsync.Config, "newest time of table "+t.stream, "Name the column with its times in start_table.", "it has no column %s", column)
	}
	switch c := schema.Columns[j]; c.Type {
	case martsync.Timestamp, martsync.Date:
		newest, known, err := d.newestRange(ctx, t, c)
		if err != nil || known {
			return newest, err
		}
	case martsync.String:
	default:
		return time.Time{}, nil // holds no times
	}
	return d.newestRow(ctx, t, j)
}

// newestRange finds the newest time in the ranges that manifests keep of each file. They know it if
// no row that was written has been replaced by one that is older in this column: then what
// was ever the newest still is. So it is with rows that nothing replaces, and with the column that
// decides which row does.
func (d *destination) newestRange(ctx context.Context, t *table, c martsync.Column) (newest time.Time, known bool, err error) {
	var cache schemaCache
	known = true
	for m, err := range d.effective(ctx, t) {
		if err != nil {
			return time.Time{}, false, err
		}
		if m.Snapshot {
			newest, known = time.Time{}, true
		}
		for i := range m.Files {
			f := &m.Files[i]
			s, err := cache.schemaOf(m, f)
			if err != nil {
				return time.Time{}, false, damagedDocument(t.manifest(m.Number), err)
			}
			at := s.Index(c.Name)
			known = known && (len(s.Key) == 0 || s.Version == c.Name)
			r, some := f.Ranges[c.Name]
			if at < 0 || !some {
				continue
			}
			var last time.Time
			switch s.Columns[at].Type {
			case martsync.Timestamp:
				last = time.UnixMicro(r.Max).UTC()
			case martsync.Date:
				last = time.Unix(r.Max*86_400, 0).UTC()
			default:
				known = false // the table's type holds it, so this does not happen
			}
			newest = later(newest, last)
		}
	}
	return newest, known, nil
}

func later(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.After(a) {
		return b
	}
	return a
}

// newestRow finds the newest time in the rows themselves.
func (d *destination) newestRow(ctx context.Context, t *table, column int) (newest time.Time, err error) {
	// Text is read as a source's would be; what is no time does not count.
	text := columns.NewBuilder([]martsync.Column{{Name: "time", Type: martsync.Timestamp}})
	cells := make([][]byte, 1)
	for r, err := range d.rows(ctx, t) {
		if err != nil {
			return time.Time{}, err
		}
		v := &r.Columns[column]
		for i := range r.Len {
			if v.Null(i) {
				continue
			}
			switch v.Type {
			case martsync.Timestamp:
				newest = later(newest, time.UnixMicro(v.Ints[i]).UTC())
			case martsync.Date:
				newest = later(newest, time.Unix(int64(v.Days[i])*86_400, 0).UTC())
			default:
				cells[0] = v.Bytes(i)
				text.Reset()
				if text.AppendCells(cells) != nil {
					continue
				}
				if times := &text.Records().Columns[0]; !times.Null(0) {
					newest = later(newest, time.UnixMicro(times.Ints[0]).UTC())
				}
			}
		}
	}
	return newest, nil
}
