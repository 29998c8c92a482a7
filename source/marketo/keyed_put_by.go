package marketo

import (
	"context"
	"errors"
	"slices"

	"github.com/martsync/martsync/internal/csvfile"
)

// errLeft is a file whose keys cannot be put by.
var errLeft = errors.New("its keys cannot be put by")

// putBy takes the keys of the first files that are there into the position, so that nothing is lost when the vendor deletes the
// files. A file with lines that are not keys stays where it is until all are read, since they are counted then; so does one
// with more keys than a position can hold, which is exported again if need be.
func (s *keyedStream) putBy(ctx context.Context, r *run, spec *partSpec, p *part) error {
	for len(p.Jobs) > 0 && p.Jobs[0].State == completed && !p.Jobs[0].Left {
		j := p.Jobs[0]
		keys, err := s.keysOf(ctx, r, spec, p, j)
		all, fits := r.pos.Keys.with(keys)
		if errors.Is(err, errLeft) || err == nil && !fits {
			j.Left, r.dirty = true, true // or it would be downloaded at each look at the others
			return r.remember()
		}
		if err != nil {
			empty, err := r.settle(ctx, p, j, err, false)
			if err != nil {
				return err
			}
			if !empty {
				continue
			}
		}
		r.pos.Keys, r.dirty = all, true
		p.At, p.Jobs, p.Fails = j.To, p.Jobs[1:], 0
		if err := r.remember(); err != nil {
			return err
		}
	}
	return nil
}

// keysOf reads the keys of a file.
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
			return nil, errLeft
		}
		at.Rows += chunk.Rows
		v := &chunk.Records.Columns[0]
		for i := range chunk.Records.Len {
			if !v.Null(i) && len(v.Bytes(i)) > 0 {
				keys = append(keys, string(v.Bytes(i)))
			}
		}
		if len(keys) >= keySetKeys { // many leads may have few companies
			slices.Sort(keys)
			if keys = slices.Compact(keys); len(keys) > keySetKeys/2 {
				return nil, errLeft
			}
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	_, err = j.verify(at, d)
	return keys, err
}
