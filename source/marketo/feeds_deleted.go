package marketo

import (
	"slices"
	"time"

	"github.com/martsync/martsync"
)

const deletedLeadsPath = "/rest/v1/activities/deletedleads.json"

// deletionsKept is how long the vendor keeps Delete Lead activities.
// Marketo REST API, Activities, Get Deleted Leads.
const deletionsKept = 14 * 24 * time.Hour

// newDeletedLeads reads the log of deleted leads, page by page. The vendor keeps it for
// fourteen days; a sync that comes later than that notes what it has missed.
func newDeletedLeads(s *source, d *dispatcher) *rangeStream {
	cols := slices.DeleteFunc(activityColumns(), func(c martsync.Column) bool {
		return c.Name == "campaign_id" || c.Name == "action_result"
	})
	return &rangeStream{
		src: s, jobs: d, cursorEvery: cursorEvery,
		schema: martsync.Schema{Stream: "deleted_leads", Columns: cols, Key: []string{"marketo_guid"}},
		parts: []*partSpec{{
			name: "deleted_leads", keeps: deletionsKept, overlap: s.overlap(),
			pages: &pages{noun: "deleted leads", path: deletedLeadsPath, types: allTypes, row: deletedRow, shared: &s.deletions},
		}},
	}
}

func deletedRow(w *rowWriter, a *activity) error {
	attributes, err := flatAttributes(a.Attributes)
	if err != nil {
		return err
	}
	return w.cells(
		a.cell(a.GUID), a.cell(a.ID), a.cell(a.LeadID), a.cell(a.Date), a.cell(a.TypeID),
		a.cell(a.PrimaryValueID), a.cell(a.PrimaryValue), attributes,
	)
}
