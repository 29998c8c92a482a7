package marketo

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// probeUpdatedAt reports whether leads can be exported by the date of their last change, by
// creating a job for one second of yesterday and cancelling it at once. It is never enqueued,
// so it takes neither a place in the queue nor quota. Reading leads does not need it: there
// the first real job tells.
func (s *source) probeUpdatedAt(ctx context.Context) (bool, error) {
	from := secondOf(s.now()).add(-24 * time.Hour)
	w := window{From: from, To: from + 1}
	v, err := s.createJob(ctx, leadObject, []string{leadObject.key}, leadObject.filter(w, exportOptions{by: byUpdate}))
	if isCode(err, "1035") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if v != nil && validID(v.ExportID) {
		// A probe that stays behind is harmless: it vanishes after seven days.
		if err := s.cancelJob(ctx, leadObject, v.ExportID); err != nil {
			s.env.Log.DebugContext(ctx, "cancel the probe", "job", v.ExportID, "err", err)
		}
	}
	return true, nil
}

// checkChanges tells in which way changes of leads arrive, and tries it.
func (s *source) checkChanges(ctx context.Context) (detail string, err error) {
	ok, err := s.probeUpdatedAt(ctx)
	if err != nil {
		return "", err
	}
	if ok {
		return "leads are exported by the date of their last change: the export filter updatedAt works", nil
	}
	reply, err := s.client.do(ctx, request{
		op: "check the changes feed", path: "/rest/v1/activities/pagingtoken.json", free: true,
		query: url.Values{"sinceDatetime": {wireTime(s.now())}},
	})
	if err == nil {
		_, err = s.client.do(ctx, request{
			op: "check the changes feed", path: leadChangesPath, free: true,
			query: url.Values{"nextPageToken": {reply.NextPageToken}, "fields": {byUpdate}, "batchSize": {"1"}},
		})
	}
	return fmt.Sprintf("the subscription has no export filter updatedAt: new leads are exported, changed ones are found by the changes feed and read by id, "+
		"and every %s all are exported again (leads.sweep). Adobe's support can switch the filter on", s.cfg.sweepText()), err
}
