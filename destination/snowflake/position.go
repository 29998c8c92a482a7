package snowflake

import (
	"context"

	"github.com/martsync/martsync"
)

var _ martsync.Positioner = (*destination)(nil)

// Position implements martsync.Positioner: the position that Open would find. It needs a warehouse only where Open needs
// one, which is where the stage leaves a doubt. Of a table that somebody has dropped there is none: Open would reset it. Nor is there
// of one that is not this stream's: Open refuses it and says why.
func (d *destination) Position(ctx context.Context, stream string) (cursor martsync.Cursor, err error) {
	err = d.with(ctx, "read the position of "+stream, func(s *session) error {
		s.label("", stream)
		table, err := s.showTable(ctx, d.config.tableName(stream))
		if missing(err) || err == nil && (table == nil || table.comment != tableComment+stream) {
			return nil
		}
		if err != nil {
			return err
		}
		h, err := s.readShelf(ctx, stream)
		if missing(err) { // the stage was dropped
			h, err = &shelf{d: d, stream: stream}, nil
		}
		if err != nil {
			return err
		}
		var certain bool
		if cursor, _, certain, err = h.position(ctx, s); err != nil || certain {
			return err
		}
		if cursor, _, _, err = s.truth(ctx, stream); missing(err) {
			return nil // nothing was ever committed
		}
		return err
	})
	return cursor, err
}
