package files

import (
	"context"

	"github.com/martsync/martsync"
)

// TableSize implements martsync.Sizer: what the commits say whose files are there.
func (d *destination) TableSize(ctx context.Context, stream string) (e martsync.Extent, err error) {
	h, err := d.head(ctx, stream)
	if err != nil || h.newest == 0 {
		return e, err
	}
	begin := max(h.swept, 1)
	if d.latest { // files of commits before are replaced, and deleted some time
		m, err := d.manifest(ctx, h.chain, h.newest)
		if err != nil {
			return e, err
		}
		begin = m.begin()
	}
	t := &table{chain: h.chain, stream: stream, newest: h.newest}
	for m, err := range d.commits(ctx, t, begin) {
		if err != nil {
			return e, err
		}
		e = sum(e, extentOf(m.Files))
	}
	return e, nil
}

// Position implements martsync.Positioner.
func (d *destination) Position(ctx context.Context, stream string) (martsync.Cursor, error) {
	h, err := d.head(ctx, stream)
	if err != nil || h.newest == 0 {
		return "", err
	}
	m, err := d.manifest(ctx, h.chain, h.newest)
	if err != nil {
		return "", err
	}
	return m.Cursor, nil
}
