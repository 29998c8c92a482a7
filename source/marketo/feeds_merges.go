package marketo

import (
	"context"
	"errors"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// newLeadMerges reads which lead was merged into which: a row for each loser of each Merge Leads
// activity. For long stretches an export job restricted to that type is cheaper than walking
// through the log.
func newLeadMerges(s *source, d *dispatcher) *rangeStream {
	file, fields := mergeFile()
	schema := martsync.Schema{
		Stream: "lead_merges", Key: []string{"loser_id"}, Version: "merged_at",
		Columns: []martsync.Column{
			{Name: "loser_id", Type: martsync.Int64, Description: "the lead that no longer exists"},
			{Name: "winner_id", Type: martsync.Int64, Description: "the lead that it was merged into"},
			{Name: "merged_at", Type: martsync.Timestamp},
			{Name: "marketo_guid", Type: martsync.String, Description: "of the activity that tells of the merge"},
			{Name: "merge_source", Type: martsync.String},
			{Name: "master_updated", Type: martsync.Bool},
			{Name: "merged_in_sales", Type: martsync.Bool},
		},
	}
	return &rangeStream{
		src: s, jobs: d, cursorEvery: cursorEvery, schema: schema,
		parts: []*partSpec{{
			name: "lead_merges", object: activityObject, fields: fields, columns: file, types: onlyMerges, convert: mergedRecords((*merge).put),
			overlap: s.overlap(), way: s.activityWay(),
			pages: &pages{noun: "lead merges", path: activitiesPath, types: onlyMerges, row: mergedRow},
		}},
	}
}

func mergedRow(w *rowWriter, a *activity) error {
	m, err := mergeOf(a.Attributes)
	if err != nil {
		return err
	}
	return m.put(w, a.cell(a.LeadID), a.cell(a.Date), a.cell(a.GUID))
}

func (m *merge) put(w *rowWriter, winner, date, guid []byte) error {
	for _, loser := range m.losers {
		if err := w.cells(loser, winner, date, guid, m.source, m.master, m.sales); err != nil {
			return err
		}
	}
	return nil
}

// mergeFile is what export jobs are asked for that are restricted to merges: the columns that matter, and the fields.
func mergeFile() (file []martsync.Column, fields []string) {
	file = []martsync.Column{
		{Name: "marketo_guid", Type: martsync.String, Origin: "marketoGUID"},
		{Name: "lead_id", Type: martsync.Int64, Origin: "leadId"},
		{Name: "activity_date", Type: martsync.Timestamp, Origin: "activityDate"},
		{Name: "attributes", Type: martsync.JSON, Origin: "attributes"},
	}
	for _, c := range file {
		fields = append(fields, c.Origin)
	}
	// Four fields have few orders; these make the header of such a job its own.
	return file, append(fields, "activityTypeId", "primaryAttributeValue", "primaryAttributeValueId")
}

// mergedRecords makes rows of the activities of an export file, by put.
func mergedRecords(put func(m *merge, w *rowWriter, winner, date, guid []byte) error) func(context.Context, *rowWriter, *martsync.Records) error {
	return func(_ context.Context, w *rowWriter, r *martsync.Records) error {
		if r == nil {
			return nil
		}
		guid, winner, date, attributes := &r.Columns[0], &r.Columns[1], &r.Columns[2], &r.Columns[3]
		text := func(c martsync.Column, v *martsync.Vector, i int) []byte {
			if v.Null(i) {
				return nil
			}
			return []byte(columns.Format(c, v, i))
		}
		for i := range r.Len {
			var raw []byte
			if !attributes.Null(i) {
				raw = attributes.Bytes(i)
			}
			m, err := mergeOf(raw)
			if err == nil {
				err = put(&m, w, text(martsync.Column{Type: martsync.Int64}, winner, i), text(martsync.Column{Type: martsync.Timestamp}, date, i),
					text(martsync.Column{Type: martsync.String}, guid, i))
			}
			if e, misfit := errors.AsType[*columns.CellError](err); misfit {
				w.reject(martsync.Quarantined{Job: w.job, Column: e.Column, Reason: e.Reason, Raw: strings.ToValidUTF8(string(raw), "\uFFFD")})
			} else if err != nil {
				return err
			}
		}
		return nil
	}
}
