package pardot

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/csvfile"
)

// A fileReader reads one file.
type fileReader struct {
	task   *exportTask
	resp   *http.Response
	n      int64 // rows, good or bad
	bad    int64
	sent   bool  // some of them have been handed over
	left   bool  // nobody wants more of them
	bytes  int64 // that have arrived
	last   byte  // the newest of these
	quotes int   // among them
	err    error // why no more do, other than the end of the file
}

// Read passes on what arrives, and sees to it that all of it does.
func (f *fileReader) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.resp.Body.Read(p)
	if n > 0 {
		f.bytes += int64(n)
		f.last = p[n-1]
		f.quotes += bytes.Count(p[:n], []byte{'"'})
	}
	if errors.Is(err, io.EOF) {
		if f.err = f.ended(); f.err != nil {
			err = f.err
		}
	} else if err != nil {
		f.err = err
	}
	return n, err
}

// ended tells whether the end of the stream is that of the file: all bytes that were promised
// have arrived, and the last one ends a line, not within quotes. A file that ends otherwise is
// believed when it has done so several times at the same place, if HTTP says that it was all of it.
func (f *fileReader) ended() error {
	r, s := f.resp, f.task.state
	framed := r.ContentLength >= 0 || r.ProtoMajor != 1 || len(r.TransferEncoding) > 0 || r.Uncompressed
	switch {
	case r.ContentLength >= 0 && f.bytes != r.ContentLength:
		return io.ErrUnexpectedEOF
	case f.last == '\n' && f.quotes%2 == 0:
		return nil
	case framed && f.bytes == s.Short && s.Cuts >= shortMost:
		return nil
	}
	s.Short = f.bytes
	return io.ErrUnexpectedEOF
}

// rows hands over the rows of the file.
func (f *fileReader) rows(ctx context.Context) error {
	t := f.task
	var z *zone
	if t.version == v4 {
		var err error
		if z, err = t.jobZone(ctx); err != nil {
			return err
		}
	}
	r := bufio.NewReaderSize(f, headerMost)
	header, err := f.header(r)
	if err != nil || header == nil {
		return err
	}
	id := slices.IndexFunc(t.columns, func(c martsync.Column) bool { return c.Origin == "id" })
	lists, offset := newLists(t.columns), int64(0)
	for chunk, err := range csvfile.Read(ctx, r, csvfile.Options{
		Columns: lists.text, Header: header, AllowExtra: true, Workers: min(runtime.GOMAXPROCS(0), parsersMost),
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
			chunk.Quarantined[i].Job = t.state.job()
		}
		records := lists.convert(chunk.Records)
		if z != nil {
			z.shift(records, t.columns)
		}
		t.mark(records, header)
		f.n += chunk.Rows
		f.bad += int64(len(chunk.Quarantined))
		b := martsync.Batch{Records: records, Quarantined: chunk.Quarantined, Bytes: chunk.Offset - offset}
		offset = chunk.Offset
		if b.Records.Len == 0 {
			b.Records = nil
		}
		if b.Records == nil && b.Quarantined == nil {
			continue
		}
		f.sent = true
		if err := t.send(b); err != nil {
			f.left = true
			return err
		}
	}
	return nil
}

// header reads the first line and compares it with what the job asked for. A file of no bytes,
// if that is what the vendor says, has none.
func (f *fileReader) header(r *bufio.Reader) ([]string, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, &badFile{"its first line does not end"}
	case f.err != nil && len(line) == 0:
		return nil, f.err
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case len(line) == 0 && f.resp.ContentLength == 0:
		return nil, nil
	}
	line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")) // byte order mark
	header, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil {
		return nil, &badFile{"it does not begin with the names of its columns"}
	}
	return header, f.task.checkHeader(header)
}

// checkHeader compares a header with what the job asked for.
func (t *exportTask) checkHeader(header []string) error {
	s := t.state
	if s.Sign != "" && sign(header) == s.Sign {
		return nil
	}
	if s.Taken {
		return &badFile{"its header does not show that it is ours"}
	}
	// Another order: nothing depends on it for a job that is certainly ours.
	have := make(map[string]bool, len(header))
	for _, name := range header {
		have[fold(name)] = true
	}
	wanted := t.asked()
	if wanted == nil {
		wanted = []string{"id"} // it was asked for all fields there are
	}
	for _, name := range wanted {
		if !have[fold(name)] {
			return &badFile{fmt.Sprintf("it lacks the column %s", name)}
		}
	}
	return nil
}

// mark says of rows whether they are in the recycle bin: where there is a pass for those that
// are, the pass tells; elsewhere the file may.
func (t *exportTask) mark(r *martsync.Records, header []string) {
	passes, here := t.passes(), t.passes()[t.state.Pass].deleted
	told := false
	if t.bin >= 0 {
		origin := t.columns[t.bin].Origin
		told = slices.ContainsFunc(header, func(name string) bool { return fold(name) == fold(origin) })
	}
	apart := slices.ContainsFunc(passes, func(p pass) bool { return p.deleted })
	if !told && apart && t.bin >= 0 {
		v := &r.Columns[t.bin]
		v.Nulls = nil
		for i := range v.Bools[:r.Len] {
			v.Bools[i] = here
		}
		told = true
	}
	if !t.deletes || !told && !here {
		return
	}
	if cap(t.flags) < r.Len {
		t.flags = make([]bool, martsync.MaxRows)
	}
	r.Deleted = t.flags[:r.Len]
	for i := range r.Deleted {
		r.Deleted[i] = here
		if told {
			v := &r.Columns[t.bin]
			r.Deleted[i] = v.Bools[i] && !v.Null(i)
		}
	}
}
