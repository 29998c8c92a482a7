package marketo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// exportObjects are the objects whose exports this source creates.
var exportObjects = []*object{leadObject, activityObject, memberObject}

// export makes an object known whose exports count, beside those that every account has.
func (c *client) export(o *object) {
	c.customMu.Lock()
	defer c.customMu.Unlock()
	if !slices.ContainsFunc(c.custom, func(k *object) bool { return k.dir == o.dir }) {
		c.custom = append(c.custom, o)
	}
}

func (c *client) exports() []*object {
	c.customMu.Lock()
	defer c.customMu.Unlock()
	return slices.Clone(c.custom)
}

// creates reports whether a request creates an export job.
func (r request) creates() bool {
	return strings.HasPrefix(r.path, "/bulk/") && strings.HasSuffix(r.path, "/export/create.json")
}

// admitExport refuses to create a job once this API user's exports of the day have taken
// their share of the bytes. The vendor meters a job when it finishes, so those that run
// already may overshoot it.
//
// What counts are the vendor's own figures: its list of finished jobs, which also has those
// of earlier processes. It is read once, and again when what has finished since could reach
// the share; a job may be in both, so only a fresh list decides. It is fresh until another job finishes: streams that
// wait on a day whose share is spent must not read it each minute.
// Source: Marketo REST API, Bulk Extract, Limits.
func (c *client) admitExport(ctx context.Context) error {
	spent, err := c.spentToday(ctx, false)
	if err != nil || spent < c.meter.limits.exportBytes() {
		return err
	}
	return c.exportsSpent(spent)
}

// spentToday is what this API user has exported today; exact: not what it was at most. See admitExport.
func (c *client) spentToday(ctx context.Context, exact bool) (int64, error) {
	spent, known := c.meter.exportedToday()
	if known && (!exact && spent < c.meter.limits.exportBytes() || c.meter.nothingFinished()) {
		return spent, nil
	}
	sum, err := c.finishedToday(ctx)
	switch {
	case martsync.KindOf(err).Waits() && err != nil:
		// The vendor enforces its quota itself; the share is a courtesy that must not
		// stop an account whose list of jobs is out of order.
		c.log.DebugContext(ctx, "the day's exports are not known", "err", err)
		return spent, nil
	case err != nil:
		return 0, err
	}
	c.meter.learnExported(sum)
	return sum, nil
}

// exportsSpent is the refusal of a job because this API user's exports have had their share of the day.
func (c *client) exportsSpent(spent int64) error {
	now := c.clock.Now()
	return &martsync.Error{
		Kind: martsync.Quota, Op: "marketo: create an export", After: nextQuota(now).Sub(now),
		Hint: "Exporting goes on after midnight US Central time, or at once with a higher limits.export_megabytes.",
		Err:  fmt.Errorf("today's exports of this API user have %d bytes, their share is %d (limits.export_megabytes)", spent, c.meter.limits.exportBytes()),
	}
}

// finishedToday sums up the files of this API user's jobs that finished in the present
// quota day.
func (c *client) finishedToday(ctx context.Context) (sum int64, err error) {
	now := c.clock.Now()
	begin := nextReset(now).Add(-24 * time.Hour)
	for _, o := range slices.Concat(exportObjects, c.exports()) {
		r := request{op: "list finished " + o.noun + " exports", path: o.list(), query: url.Values{"status": {"Completed"}}, optional: true}
		for env, err := range c.tokenPages(ctx, r) {
			if err != nil && martsync.KindOf(err) == martsync.Unavailable {
				break // what this user may not export has taken nothing of its share
			}
			if err != nil {
				return 0, err
			}
			for _, raw := range env.Result {
				var j struct {
					Status     string `json:"status"`
					FinishedAt string `json:"finishedAt"`
					FileSize   int64  `json:"fileSize"`
				}
				if err := json.Unmarshal(raw, &j); err != nil {
					return 0, &martsync.Error{Kind: martsync.Transient, Op: "marketo: " + r.op, Err: errors.New("the list of jobs cannot be read")}
				}
				at, ok := parseSecond(j.FinishedAt)
				if strings.EqualFold(j.Status, "Completed") && ok && !at.time().Before(begin) {
					sum += j.FileSize
				}
			}
		}
	}
	return sum, nil
}

// exportedToday is an upper bound of the bytes exported in the quota day by this API user.
func (m *meter) exportedToday() (bytes int64, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.clock.Now())
	return m.listed + m.finished, m.asked
}

// nothingFinished reports whether the vendor's list is as recent as the last job that was seen to finish.
func (m *meter) nothingFinished() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.clock.Now())
	return m.asked && m.finished == 0
}

// calledToday is how many calls this API user has made in the quota day, as far as known.
func (m *meter) calledToday() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.clock.Now())
	return m.today
}

// learnExported takes over the sum of the vendor's list.
func (m *meter) learnExported(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listed, m.finished, m.asked = bytes, 0, true
}

// exported counts export jobs that were created and bytes of jobs that turned out finished.
func (m *meter) exported(jobs, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.clock.Now())
	m.jobs += jobs
	m.bytes += bytes
	m.finished += bytes
}
