package pardot

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/martsync/martsync"
)

// A fileReader reads one file.
type fileReader struct {
	task   *exportTask
	resp   *http.Response
	zone   *zone // of the naive times in it
	n      int64 // rows, good or bad
	bad    int64
	sent   bool  // some of them have been handed over
	left   bool  // nobody wants more of them
	bytes  int64 // that have arrived
	last   byte  // the newest of these
	quotes int   // among them
	err    error // why no more do, other than the end of the file

	// Where files are kept:
	keeps  bool
	name   string
	begin  []martsync.Raw // the header, until it has been sent
	offset int64          // where in the file the next piece begins
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
	passes := t.passes()
	table := fileTable{
		columns: t.columns, zone: f.zone, bin: t.bin, deletes: t.deletes, job: t.state.job(), flags: t.flags, keeps: f.keeps,
		types: t.types,
		apart: slices.ContainsFunc(passes, func(p pass) bool { return p.deleted }), binned: passes[t.state.Pass].deleted,
	}
	r := bufio.NewReaderSize(f, headerMost)
	line, header, err := f.header(r)
	if err != nil {
		return err
	}
	if f.keeps {
		f.begin = []martsync.Raw{{Body: f.name, Data: slices.Clone(line), How: t.recipe(&table).how()}}
		f.offset = int64(len(line))
	}
	if header == nil {
		return nil
	}
	err = table.read(ctx, r, header, func(p filePart) error {
		f.n += p.rows
		f.bad += int64(len(p.batch.Quarantined))
		if len(p.raw) > 0 {
			f.begin = append(f.begin, martsync.Raw{Body: f.name, Offset: f.offset, Data: p.raw})
			p.batch.Raw, f.begin, f.offset = f.begin, nil, f.offset+int64(len(p.raw))
		}
		if p.batch.Records == nil && p.batch.Quarantined == nil && p.batch.Raw == nil {
			return nil
		}
		f.sent = true
		if err := t.send(p.batch); err != nil {
			f.left = true
			return err
		}
		return nil
	})
	t.flags = table.flags
	return err
}

// recipe tells how the file is read again.
func (t *exportTask) recipe(table *fileTable) recipe {
	h := recipe{
		Kind: fileBody, API: t.version, Columns: unusual(t.schema, t.columns, t.version), Zone: table.zone.name(),
		Job: table.job, Apart: table.apart, Deleted: table.binned, Types: table.types,
	}
	if t.bin >= 0 {
		h.Bin = t.columns[t.bin].Name
	}
	return h
}

// header reads the first line and compares it with what the job asked for. A file of no bytes,
// if that is what the vendor says, has none.
func (f *fileReader) header(r *bufio.Reader) (line []byte, header []string, err error) {
	line, err = r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, nil, &badFile{"its first line does not end"}
	case f.err != nil && len(line) == 0:
		return nil, nil, f.err
	case err != nil && !errors.Is(err, io.EOF):
		return nil, nil, err
	case len(line) == 0 && f.resp.ContentLength == 0:
		return nil, nil, nil
	}
	if header, err = parseHeader(line); err != nil {
		return nil, nil, err
	}
	return line, header, f.task.checkHeader(header)
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
