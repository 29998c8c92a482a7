package files

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// formatVersion is that of manifests, stages, checkpoints and schemas. A reader refuses a newer one.
const formatVersion = 1

// A manifest is one commit of a stream, or, as a stage, what will become one. Number n builds on
// number n-1; that it was put is what makes the commit.
type manifest struct {
	Version int             `json:"version"`
	Stream  string          `json:"stream"`
	Number  int64           `json:"number"`          // of the commit, from 1; of a stage: of the commit it builds on
	Stage   int64           `json:"stage,omitempty"` // of a stage: its number among those of its commit, from 1
	Writer  string          `json:"writer"`          // who put it
	Sync    string          `json:"sync,omitempty"`
	At      time.Time       `json:"at,omitzero"` // _synced_at of the rows
	Cursor  martsync.Cursor `json:"cursor"`

	// Table is the number of the table's schema when the rows came in. A row goes from the schema of its
	// file to this one and from there through those that came later, each of which may widen a column.
	Table int64 `json:"table"`

	// Snapshot says that the rows replace the table.
	Snapshot bool `json:"snapshot,omitempty"`

	// Put is when it was put, by the clock of who did. At may be any other time.
	Put time.Time `json:"put,omitzero"`

	// Compacted says that the rows are those that the table had before: there is nothing new for who has followed
	// the chain up to here.
	Compacted bool `json:"compacted,omitempty"`

	// Start is the last commit, up to this one, that replaced the table; 0: none did, or they are not told. Files of commits before it
	// may be gone.
	Start int64 `json:"start,omitempty"`

	// Size is how large the table is after the commit; nil: earlier commits do not tell theirs.
	Size *tableSize `json:"size,omitempty"`

	// Sequence is the greatest number that a file of the stream has.
	Sequence int64 `json:"sequence,omitempty"`

	Schemas []schema `json:"schemas,omitempty"` // that files were written with
	Files   []file   `json:"files,omitempty"`   // in the order in which their rows count

	Complete []scope  `json:"complete,omitempty"`
	Censuses []census `json:"censuses,omitempty"`

	// Partial is set in a checkpoint that leaves out what is large: the manifest has it.
	Partial bool `json:"partial,omitempty"`

	// What follows is history. Checkpoints leave it out.
	Windows     []window            `json:"windows,omitempty"`
	Quarantined []quarantined       `json:"quarantined,omitempty"`
	Log         []martsync.LogEntry `json:"log,omitempty"`

	// Dropped are the uploads of a stage that were discarded. They are aborted once a commit makes
	// it impossible that anybody still counts on them.
	Dropped []blob.Receipt `json:"dropped,omitempty"`
}

// A file is one data file. It is invisible until the commit that names it has been put.
type file struct {
	Key      string                `json:"key"`
	Sequence int64                 `json:"sequence"` // its number in the stream
	Format   fileFormat            `json:"format"`
	Schema   int                   `json:"schema"` // the position in Schemas of the one it was written with
	Rows     int64                 `json:"rows"`
	Bytes    int64                 `json:"bytes"`
	SHA256   string                `json:"sha256"`
	Upload   blob.Receipt          `json:"upload"`
	Begun    time.Time             `json:"begun,omitzero"`
	Ranges   map[string]valueRange `json:"ranges,omitempty"`  // of a key of type int64 and of the columns of type timestamp and date
	Deleted  bool                  `json:"deleted,omitempty"` // it has rows that carry the flag or are tombstones
}

// A valueRange is the least and the greatest value of a column in a file, as the Records hold
// them: integers, microseconds or days.
type valueRange struct {
	Min int64 `json:"min"`
	Max int64 `json:"max"`
}

// A schema is a martsync.Schema as JSON.
type schema struct {
	Stream   string   `json:"stream"`
	Columns  []column `json:"columns"`
	Key      []string `json:"key,omitempty"`
	Version  string   `json:"version,omitempty"`
	Snapshot bool     `json:"snapshot,omitempty"`
	Deletes  bool     `json:"deletes,omitempty"`
}

type column struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // as martsync.Type names it
	Precision   int    `json:"precision,omitempty"`
	Scale       int    `json:"scale,omitempty"`
	Origin      string `json:"origin,omitempty"`
	Description string `json:"description,omitempty"`
	Sticky      bool   `json:"sticky,omitempty"`
}

// The types below are those of the root package with names for JSON; they convert into each other.
type (
	scope struct {
		Column string    `json:"column,omitempty"`
		Value  string    `json:"value,omitempty"`
		From   time.Time `json:"from,omitzero"`
		To     time.Time `json:"to,omitzero"`
	}
	census struct {
		After int64   `json:"after"`
		UpTo  int64   `json:"up_to"`
		Keys  []int64 `json:"keys"`
	}
	window struct {
		From        time.Time `json:"from,omitzero"`
		To          time.Time `json:"to,omitzero"`
		Job         string    `json:"job,omitempty"`
		Filter      string    `json:"filter,omitempty"`
		Records     int64     `json:"records"`
		Bytes       int64     `json:"bytes"`
		SHA256      string    `json:"sha256,omitempty"`
		Parsed      int64     `json:"parsed"`
		Quarantined int64     `json:"quarantined"`
		Written     int64     `json:"written"`
		Calls       int64     `json:"calls"`
	}
	quarantined struct {
		Job    string `json:"job,omitempty"`
		Line   int64  `json:"line"`
		Column string `json:"column,omitempty"`
		Reason string `json:"reason"`
		Raw    string `json:"raw"`
	}
)

// A tableSchema is one state of a table's columns: all it ever had. The first one makes the table.
type tableSchema struct {
	Version int    `json:"version"`
	Stream  string `json:"stream"`
	Number  int64  `json:"number"`
	Schema  schema `json:"schema"`
}

// A checkpoint holds commits again, without their history, so that reading them all needs one
// request for many of them.
type checkpoint struct {
	Version int        `json:"version"`
	Stream  string     `json:"stream"`
	Number  int64      `json:"number"` // of the last commit in it
	Commits []manifest `json:"commits"`
}

// schemaOf makes the JSON form of a schema.
func schemaOf(s martsync.Schema) schema {
	out := schema{Stream: s.Stream, Key: s.Key, Version: s.Version, Snapshot: s.Snapshot, Deletes: s.Deletes}
	for _, c := range s.Columns {
		out.Columns = append(out.Columns, column{
			Name: c.Name, Type: c.Type.String(), Precision: c.Precision, Scale: c.Scale,
			Origin: c.Origin, Description: c.Description, Sticky: c.Sticky,
		})
	}
	return out
}

// schema returns the schema that was made into JSON.
func (s schema) schema() (martsync.Schema, error) {
	out := martsync.Schema{Stream: s.Stream, Key: s.Key, Version: s.Version, Snapshot: s.Snapshot, Deletes: s.Deletes}
	for _, c := range s.Columns {
		t := typeNamed(c.Type)
		if t == 0 {
			return martsync.Schema{}, fmt.Errorf("column %s has the type %q, which this version does not know", c.Name, c.Type)
		}
		out.Columns = append(out.Columns, martsync.Column{
			Name: c.Name, Type: t, Precision: c.Precision, Scale: c.Scale,
			Origin: c.Origin, Description: c.Description, Sticky: c.Sticky,
		})
	}
	return out, out.Validate()
}

func typeNamed(name string) martsync.Type {
	for t := martsync.Bool; t <= martsync.JSON; t++ {
		if t.String() == name {
			return t
		}
	}
	return 0
}

// schemaOf returns the schema that a file of the manifest was written with.
func (m *manifest) schemaOf(f *file) (martsync.Schema, error) {
	if f.Schema < 0 || f.Schema >= len(m.Schemas) {
		return martsync.Schema{}, fmt.Errorf("file %s names schema %d of %d", f.Key, f.Schema, len(m.Schemas))
	}
	return m.Schemas[f.Schema].schema()
}

// scopes returns what the commit says is complete.
func (m *manifest) scopes() []martsync.Scope {
	return convert(m.Complete, func(s scope) martsync.Scope { return martsync.Scope(s) })
}

// censuses returns the censuses of the commit.
func (m *manifest) censuses() []martsync.Census {
	return convert(m.Censuses, func(c census) martsync.Census { return martsync.Census(c) })
}

// windows returns the ledger rows of the commit.
func (m *manifest) windows() []martsync.Window {
	return convert(m.Windows, func(w window) martsync.Window { return martsync.Window(w) })
}

// quarantine returns the rows that the commit put into quarantine.
func (m *manifest) quarantine() []martsync.Quarantined {
	return convert(m.Quarantined, func(q quarantined) martsync.Quarantined { return martsync.Quarantined(q) })
}

func convert[A, B any](in []A, f func(A) B) []B {
	if in == nil {
		return nil
	}
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// compressFrom is the size from which documents are compressed. Small ones stay readable by eye.
const compressFrom = 64 << 10

// maxDocument bounds what is read of a document, before and after it is unpacked.
const maxDocument = 1 << 30

// encodeDocument writes a manifest, a stage, a checkpoint or a schema. Large ones are gzipped, which
// their first two bytes tell: a name must not depend on it, because names are what writers
// race for.
func encodeDocument(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, internalError("encode a manifest", err)
	}
	if b.Len() < compressFrom {
		return b.Bytes(), nil
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(b.Bytes()); err != nil {
		return nil, internalError("compress a manifest", err)
	}
	if err := z.Close(); err != nil {
		return nil, internalError("compress a manifest", err)
	}
	return packed.Bytes(), nil
}

// decodeDocument reads what encodeDocument wrote.
func decodeDocument(key string, data []byte, v any) error {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return damagedDocument(key, err)
		}
		if data, err = io.ReadAll(io.LimitReader(z, maxDocument)); err != nil {
			return damagedDocument(key, err)
		}
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return damagedDocument(key, err)
	}
	if head.Version < 1 {
		return damagedDocument(key, errors.New("it tells no format version"))
	}
	if head.Version > formatVersion {
		return &martsync.Error{
			Kind: martsync.Config, Op: "files: read " + key, Hint: "Use the version of martsync that wrote it, or a newer one.",
			Err: fmt.Errorf("it has format version %d; this program knows up to %d", head.Version, formatVersion),
		}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return damagedDocument(key, err)
	}
	return nil
}

// damagedDocument says that a document is not what was written.
func damagedDocument(key string, err error) error {
	return &martsync.Error{
		Kind: martsync.Data, Op: "files: read " + key, Err: err,
		Hint: "Restore the object from a version or a copy: nothing but martsync may write below _martsync/.",
	}
}
