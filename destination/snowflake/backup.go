package snowflake

import (
	"context"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

var _ martsync.Backuper = (*destination)(nil)

// backupPrefix begins the names of backups, before the names of the stream and of the sync.
const backupPrefix = sqlgen.Prefix + "backup_"

// maxName is how long a name may be. https://docs.snowflake.com/en/sql-reference/identifiers-syntax
const maxName = 255

// Backup keeps the stream's table as a clone, which takes no storage until the table changes. The clone of a sync is
// made once: when the sync is run again, the table may no longer be what it was before.
// It needs no warehouse.
func (d *destination) Backup(ctx context.Context, stream, sync string) (string, error) {
	if d.config.Backup != "clone" {
		return "", nil
	}
	op := "back up table " + stream
	table := d.config.tableName(stream)
	rows, err := d.show(ctx, op, "SHOW TABLES LIKE "+text(likely(table))+" IN SCHEMA "+sqlgen.Name(d.database, d.schema))
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	row := named(rows, table)
	if row == nil {
		return "", nil
	}
	name := d.config.tableName(backupName(stream, sync))
	create := "CREATE TABLE"
	if strings.EqualFold(row["kind"], "TRANSIENT") {
		create = "CREATE TRANSIENT TABLE" // of a transient table only transient clones can be made
	}
	err = d.with(ctx, op, func(s *session) error {
		s.label(sync, stream)
		_, err := s.exec(ctx, create+" IF NOT EXISTS "+d.qualified(name)+" CLONE "+d.qualified(table))
		return err
	})
	if err != nil {
		return "", err
	}
	return sqlgen.Name(d.database, d.schema, name), nil
}

// backupName is made of letters that need no quotes, whatever a sync is called.
func backupName(stream, sync string) string {
	clean := func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}
	name := backupPrefix + strings.Map(clean, stream) + "_" + strings.Map(clean, sync)
	if len(name) > maxName { // the end of a sync's name is what differs
		head := name[:maxName/2]
		name = head + name[len(name)-(maxName-len(head)):]
	}
	return name
}
