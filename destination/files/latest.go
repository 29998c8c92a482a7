package files

import (
	"cmp"
	"context"
	"time"

	"github.com/martsync/martsync"
)

// In mode append the files of a stream are versions of rows, and a file that somebody has seen stays as it
// is. In mode latest a table is compacted when enough has come together: it is resolved, as whoever reads it would, and its current
// rows are written to new files by a commit that replaces what was there. The old files stay for a while,
// for readers who are in the middle of them, and are swept away then.
//
// A compaction says nothing new: position, ledger and rows are those of the commit before. It keeps the versions of rows and the flags of
// deleted ones, so that what comes later wins or loses as it would have. It is put like any other commit, so of a
// compaction and a sync that build on the same commit one loses: the compaction withdraws, and a sync that is
// overtaken reads again. So as not to take staged rows from a sync, there is no compaction of a table that has some.
const (
	appendMode = "append"
	latestMode = "latest"
)

// defaultKeep is how long files stay after they were replaced. It is longer than anything reads a table.
const defaultKeep = 24 * time.Hour

// A compactRule says when a table has gathered enough to be compacted.
type compactRule struct {
	Rows, Bytes int64 // less than both is not worth it
	Share       int64 // of the table as it was after the last compaction: 2 is a half
	Files       int   // from which they are too many, for each file's worth of table
}

// defaultRule lets a table grow by half before it is written again. So a table that only grows is written three times
// in all, however many commits make it; a reader reads half as much again as needed at most. Small tables are written again when
// they lie in many small files: 256 MiB for 32 files at most.
var defaultRule = compactRule{Rows: 100_000, Bytes: 16 << 20, Share: 2, Files: 32}

// due reports whether a table of that size shall be compacted.
func (r compactRule) due(s *tableSize) bool {
	n := s.Since
	return n.Files > 0 && (n.Rows >= max(r.Rows, s.Base.Rows/r.Share) ||
		n.Bytes >= max(r.Bytes, s.Base.Bytes/r.Share) ||
		int64(n.Files) >= int64(r.Files)*(1+s.Base.Bytes/defaultBytes))
}

// A tableSize is what the files hold that a table is made of.
type tableSize struct {
	Base  martsync.Extent `json:"base"`  // of the commit that the table begins with
	Since martsync.Extent `json:"since"` // of the commits after it
}

func (s *tableSize) total() martsync.Extent { return sum(s.Base, s.Since) }

func sum(a, b martsync.Extent) martsync.Extent {
	return martsync.Extent{Files: a.Files + b.Files, Rows: a.Rows + b.Rows, Bytes: a.Bytes + b.Bytes}
}

func extentOf(files []file) (e martsync.Extent) {
	for i := range files {
		e = sum(e, martsync.Extent{Files: 1, Rows: files[i].Rows, Bytes: files[i].Bytes})
	}
	return e
}

// grow enters what the table is made of after this commit, given what it was made of before: where it
// began, and its size if that is known.
func (m *manifest) grow(start int64, size *tableSize) {
	own := extentOf(m.Files)
	switch {
	case m.Snapshot:
		m.Start, m.Size = m.Number, &tableSize{Base: own}
	case size == nil:
		m.Start, m.Size = start, nil
	case size.total().Files == 0:
		m.Start, m.Size = start, &tableSize{Base: own}
	default:
		m.Start, m.Size = start, &tableSize{Base: size.Base, Since: sum(size.Since, own)}
	}
}

// measure finds the size of a table whose newest commit, m, does not tell it.
func (d *destination) measure(ctx context.Context, c chain, m *manifest) (*tableSize, error) {
	if m.Size != nil {
		return m.Size, nil
	}
	size := &tableSize{}
	t := &table{chain: c, stream: m.Stream, newest: m.Number}
	for commit, err := range d.commits(ctx, t, m.begin()) {
		if err != nil {
			return nil, err
		}
		next := manifest{Number: commit.Number, Snapshot: commit.Snapshot, Files: commit.Files}
		next.grow(0, size)
		size = next.Size
	}
	return size, nil
}

// begin is the number of the commit that the table begins with.
func (m *manifest) begin() int64 {
	if m.Snapshot {
		return m.Number
	}
	return max(m.Start, 1)
}

// mode reads how the destination treats versions of rows that were replaced.
func (c Config) mode(f fileFormat) (latest bool, keep time.Duration, err error) {
	switch c.Mode {
	case "", appendMode:
		if c.Keep != 0 {
			return false, 0, fail(martsync.Config, "read the configuration", "remove keep, or set mode to latest", "keep is set, but in mode append files stay forever")
		}
		return false, 0, nil
	case latestMode:
	default:
		return false, 0, fail(martsync.Config, "read the configuration", suggest(c.Mode, []string{appendMode, latestMode}), "no mode is named %q", c.Mode)
	}
	if f.Kind != parquetFormat {
		return false, 0, fail(martsync.Config, "read the configuration", "set format to parquet, or mode to append", "mode latest writes parquet, not %s", f.Kind)
	}
	if c.Keep < 0 {
		return false, 0, fail(martsync.Config, "read the configuration", "write a duration such as 24h", "keep is negative")
	}
	return true, cmp.Or(time.Duration(c.Keep), defaultKeep), nil
}
