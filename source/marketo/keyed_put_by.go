package marketo

import (
	"context"
	"errors"

	"github.com/martsync/martsync/internal/csvfile"
)

// putBy takes the keys of the first files that are there into the position, so that nothing is lost when the vendor deletes the
// files. What cannot be put by stays where it is: a file with lines that cannot be read, or that is not what the vendor
// promised, is dealt with when all are read, and keys that are too many for a position are exported again if need be.
func (s *keyedStream) putBy(ctx context.Context, r *run, spec *partSpec, p *part) error {
	for len(p.Jobs) > 0 && p.Jobs[0].State == completed {
		j := p.Jobs[0]
		keys, err := s.keysOf(ctx, r, spec, p, j)
		if _, bad := errors.AsType[*badFile](err); bad || errors.Is(err, errGone) {
			return nil
		}
		if err != nil {
			return err
		}
		all, ok := r.pos.Keys.with(keys)
		if !ok {
			return nil
		}
		r.pos.Keys, r.dirty = all, true
		p.At, p.Jobs = j.To, p.Jobs[1:]
		if err := r.remember(); err != nil {
			return err
		}
	}
	return nil
}

// keysOf reads the keys of a file. Each line that is not one makes it a bad file.
func (s *keyedStream) keysOf(ctx context.Context, r *run, spec *partSpec, p *part, j *job) (keys []string, err error) {
	if j.Rows != nil && *j.Rows == 0 {
		return nil, nil // see deliver
	}
	d, err := newDownload(ctx, j, r.fileOf(spec, j))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	at := filePosition{}
	for chunk, err := range csvfile.Read(ctx, d, spec.fileOptions(&r.schema)) {
		if err != nil {
			return nil, readError(ctx, d, err)
		}
		if chunk.Header != nil && at.Rows == 0 {
			if err := checkHeader(j, chunk.Header, p.wanted(spec)); err != nil {
				return nil, err
			}
		}
		if len(chunk.Quarantined) > 0 {
			return nil, &badFile{why: "a line is not a key"}
		}
		at.Rows += chunk.Rows
		v := &chunk.Records.Columns[0]
		for i := range chunk.Records.Len {
			if !v.Null(i) && len(v.Bytes(i)) > 0 {
				keys = append(keys, string(v.Bytes(i)))
			}
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	_, err = j.verify(at, d)
	return keys, err
}
