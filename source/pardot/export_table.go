package pardot

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"runtime"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/csvfile"
)

// A fileTable makes rows of the lines of a file.
type fileTable struct {
	columns []martsync.Column // of the rows; Origin is the name in the file
	bin     int               // of these, the one that tells what is in the recycle bin; -1: none
	apart   bool              // what is in the recycle bin is in files of its own
	binned  bool              // this is such a file
	deletes bool              // the table has deletions
	zone    *zone             // of naive times; nil: they have offsets
	job     string            // what rows are said to come from
	keeps   bool              // parts have the bytes that they came from
	types   []string          // only rows of these kinds; empty: all

	flags []bool // memory for Records.Deleted
}

// A filePart is a run of rows of a file.
type filePart struct {
	batch martsync.Batch // rows and quarantine, both nil if there are none, and Bytes
	rows  int64          // good or bad, of those that are wanted
	raw   []byte         // the bytes after those of the part before, if they are wanted
}

// read hands over the rows of a file that begins after its header. Parts are borrowed. A *badFile is the
// error for a file that cannot be what was asked for.
func (t *fileTable) read(ctx context.Context, r io.Reader, header []string, take func(filePart) error) error {
	id := slices.IndexFunc(t.columns, func(c martsync.Column) bool { return c.Origin == "id" })
	lists, kinds, offset := newLists(t.columns), newKinds(t.types, t.columns, header), int64(0)
	for chunk, err := range csvfile.Read(ctx, r, csvfile.Options{
		Columns: lists.text, Header: header, AllowExtra: true, Raw: t.keeps,
		Workers: min(runtime.GOMAXPROCS(0), parsersMost),
	}) {
		if err != nil {
			if martsync.KindOf(err) == martsync.Data {
				return &badFile{err.Error()}
			}
			return err
		}
		if id >= 0 && slices.Contains(chunk.Records.Columns[id].Nulls, true) {
			return &badFile{"it has a record without an id"}
		}
		for i := range chunk.Quarantined {
			chunk.Quarantined[i].Job = t.job
		}
		wanted := kinds.choose(chunk.Records)
		unwanted := int64(chunk.Records.Len - wanted.Len)
		records := lists.convert(wanted)
		if t.zone != nil {
			t.zone.shift(records, t.columns)
		}
		t.mark(records, header)
		p := filePart{rows: chunk.Rows - unwanted, raw: chunk.Raw}
		p.batch = martsync.Batch{Records: records, Quarantined: chunk.Quarantined, Bytes: chunk.Offset - offset}
		offset = chunk.Offset
		if records.Len == 0 {
			p.batch.Records = nil
		}
		if err := take(p); err != nil {
			return err
		}
	}
	return nil
}

// mark says of rows whether they are in the recycle bin: where what is has files of its own, the
// file tells by being one; elsewhere a column may.
func (t *fileTable) mark(r *martsync.Records, header []string) {
	told := false
	if t.bin >= 0 {
		origin := t.columns[t.bin].Origin
		told = slices.ContainsFunc(header, func(name string) bool { return fold(name) == fold(origin) })
	}
	if !told && t.apart && t.bin >= 0 {
		v := &r.Columns[t.bin]
		v.Nulls = nil
		for i := range v.Bools[:r.Len] {
			v.Bools[i] = t.binned
		}
		told = true
	}
	if !t.deletes || !told && !t.binned {
		return
	}
	if cap(t.flags) < r.Len {
		t.flags = make([]bool, martsync.MaxRows)
	}
	r.Deleted = t.flags[:r.Len]
	for i := range r.Deleted {
		r.Deleted[i] = t.binned
		if told {
			v := &r.Columns[t.bin]
			r.Deleted[i] = v.Bools[i] && !v.Null(i)
		}
	}
}

// parseHeader reads the first line of a file.
func parseHeader(line []byte) ([]string, error) {
	line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")) // byte order mark
	header, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil {
		return nil, &badFile{"it does not begin with the names of its columns"}
	}
	return header, nil
}
