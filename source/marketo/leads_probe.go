package marketo

import (
	"context"
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
