package marketo

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// Date filters of lead exports. Marketo REST API, Bulk Lead Extract.
const (
	// byUpdate follows the latest change of any field, custom ones included. It is not the visible
	// column updatedAt, which only moves with standard fields: hence positions are ends of
	// windows, never values of the column. Not every subscription has it.
	byUpdate = "updatedAt"

	// byCreation is always there and misses every change.
	byCreation = "createdAt"
)

// leadOverlap is how far each run exports leads again, beside visibleAfter: how soon a change shows in exports is not
// documented, and one that the last run came too early for would not arrive before the lead changes once more. It is
// little, since it is exported at each run.
const leadOverlap = 15 * time.Minute

// leadPart is the part that exports leads.
const leadPart = leadStream

// filterBy is the date filter of the run under way.
func (p *part) filterBy() string {
	if p.By == "" {
		return byUpdate
	}
	return p.By
}

// filterNext is the date filter that a run which has not met the vendor yet will have, as the run before tells.
func (p *part) filterNext() string {
	if p.By == "" && p.Was != "" {
		return p.Was
	}
	return p.filterBy()
}

// newLeads reads leads by export jobs, then what was deleted and merged away.
//
// Its parts run in this order: a lead that was deleted after its file was written gets its
// tombstone after its row. (The tombstone's version, the time of the deletion, is higher than
// that of any row of the lead in any case.)
func newLeads(ctx context.Context, s *source, d *dispatcher) (*rangeStream, error) {
	fields, err := s.wantedFields(ctx)
	if err != nil {
		return nil, err
	}
	fields = slices.Clone(fields)
	i := slices.IndexFunc(fields, func(f field) bool { return f.Name == leadObject.key })
	if i < 0 {
		return nil, &martsync.Error{
			Kind: martsync.Data, Op: "marketo: describe leads",
			Hint: "The vendor's list of lead fields lacks the id; without it leads cannot be told apart.",
			Err:  errors.New("there is no field " + leadObject.key),
		}
	}
	id := fields[i]
	id.DataType = "integer"
	fields = append([]field{id}, slices.Delete(fields, i, i+1)...)

	schema := martsync.Schema{Stream: "leads", Columns: columnsOf(fields), Deletes: true}
	schema.Key = []string{schema.Columns[0].Name}
	for _, c := range schema.Columns {
		if c.Origin == byUpdate && c.Type == martsync.Timestamp {
			schema.Version = c.Name
		}
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return &rangeStream{src: s, jobs: d, cursorEvery: cursorEvery, schema: schema, parts: s.leadParts(&schema, names)}, nil
}

// leadParts are the parts of leads, whose files have these fields.
func (s *source) leadParts(schema *martsync.Schema, fields []string) []*partSpec {
	tombs := tombstones{key: schema.Key[0], version: schema.Version}
	file, mergeFields := mergeFile()
	parts := []*partSpec{
		{name: leadPart, object: leadObject, fields: fields, overlap: leadOverlap},
		{name: "sweep", object: leadObject, fields: fields, sweeps: true},
	}
	parts = append(parts, s.changeParts(schema, fields, tombs)...)
	return append(parts,
		&partSpec{
			name: "deleted", keeps: deletionsKept, overlap: s.overlap(), fromNow: true,
			pages: &pages{noun: "deleted leads", path: deletedLeadsPath, types: allTypes, row: tombs.deleted, shared: &s.deletions},
		},
		&partSpec{
			name: "merged", overlap: s.overlap(), fromNow: true,
			object: activityObject, columns: file, fields: mergeFields, types: onlyMerges, convert: mergedRecords(tombs.losers),
			pages: &pages{noun: "lead merges", path: activitiesPath, types: onlyMerges, row: tombs.merged},
		},
	)
}

// tellFilter notes what the filter that a run turned out to have means for completeness.
func (r *run) tellFilter(p *part) {
	r.src.env.Log.Info("how leads are read", "stream", r.schema.Stream, "filter", p.By)
	switch {
	case p.By == byCreation && p.Was != byCreation:
		r.note("warning", "this subscription cannot export leads by the date of their last change; new leads are exported, "+
			"changed ones are found by the changes feed and read by id, and every %s all are exported again (leads.sweep)", r.src.cfg.sweepText())
	case p.By == byUpdate && p.Was == byCreation:
		r.note("warning", "leads are now exported by the date of their last change; what the changes feed has not told before %s needs a backfill", secondOf(r.src.now()))
	}
}

// tombstones makes rows that say that leads are gone.
type tombstones struct{ key, version string }

func (t tombstones) put(w *rowWriter, lead, date []byte) error {
	id, err := wholeNumber(lead)
	if err != nil {
		return &columns.CellError{Column: t.key, Reason: err.Error()}
	}
	when, ok := parseSecond(string(date))
	if !ok {
		return &columns.CellError{Column: t.version, Reason: "not a time"}
	}
	return t.gone(w, id, when)
}

// gone makes the row of a lead that is gone at a time.
func (t tombstones) gone(w *rowWriter, id int64, when second) error {
	row := map[string]any{t.key: id}
	if t.version != "" {
		row[t.version] = when.time()
	}
	return w.row(func(b *columns.Builder) error { return b.AppendTombstone(row) })
}

// deleted takes a Delete Lead activity. The lead is named by leadId; the primary attribute
// has been seen to hold another number.
func (t tombstones) deleted(w *rowWriter, a *activity) error {
	return t.put(w, a.cell(a.LeadID), a.cell(a.Date))
}

// merged takes a Merge Leads activity: it belongs to the winner and names the losers, which
// are gone. Whether they also show up as deleted is not documented; twice does no harm.
func (t tombstones) merged(w *rowWriter, a *activity) error {
	m, err := mergeOf(a.Attributes)
	if err != nil {
		return err
	}
	return t.losers(&m, w, nil, a.cell(a.Date), nil)
}

// losers puts a tombstone for each lead that was merged into another.
func (t tombstones) losers(m *merge, w *rowWriter, _, date, _ []byte) error {
	for _, loser := range m.losers {
		if err := t.put(w, loser, date); err != nil {
			return err
		}
	}
	return nil
}
