package snowflake

import (
	"context"
	"database/sql"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/martsync/martsync"
)

var _ martsync.Measurer = (*destination)(nil)

// Usage tells what the destination has spent since it was opened. It asks nobody: seconds and credits are
// those that Measure found last.
//
// Credits are an estimate: what the warehouse charges for the seconds that our statements took, their waiting included, at the
// price of its size, plus what the account itself counted for cloud services. A warehouse that was resumed
// runs for a minute at least and until it is suspended; who else uses it then is not known here.
func (d *destination) Usage() []martsync.Usage {
	usage := func(name, unit string, spent int64) martsync.Usage {
		return martsync.Usage{Name: name, Unit: unit, Spent: spent, Today: -1}
	}
	out := []martsync.Usage{
		usage("statements", "statements", d.spent.statements.Load()),
		usage("data statements", "statements", d.spent.data.Load()),
		usage("staged bytes", "bytes", d.spent.bytes.Load()),
		usage("loaded rows", "rows", d.spent.rows.Load()),
	}
	if ran, credits, known := d.measured.sum(); known {
		out = append(out,
			usage("warehouse time", "seconds", int64(math.Ceil(ran.Seconds()))),
			usage("credits", "microcredits", int64(math.Ceil(credits*1e6))))
	}
	return out
}

// A meter remembers what sessions have cost. Its zero value knows nothing.
type meter struct {
	mu       sync.Mutex
	sessions map[*sql.Conn]measurement // by the session that was asked last
}

// A measurement is what the account says that the statements of a session cost.
type measurement struct {
	ran     time.Duration // that they were running on a warehouse
	credits float64
	data    int64 // data statements of the destination when it was taken
}

func (m *meter) sum() (ran time.Duration, credits float64, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		ran += s.ran
		credits += s.credits
	}
	return ran, credits, len(m.sessions) > 0
}

func (m *meter) set(session *sql.Conn, s measurement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions == nil {
		m.sessions = map[*sql.Conn]measurement{}
	}
	m.sessions[session] = s
}

// at is how many data statements there were when something was measured last.
func (m *meter) at() (data int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		data = max(data, s.data)
	}
	return data
}

// creditsPerHour are the prices of warehouses by size, as the query history spells them.
// https://docs.snowflake.com/en/user-guide/warehouses-overview
var creditsPerHour = map[string]float64{
	"X-SMALL": 1, "SMALL": 2, "MEDIUM": 4, "LARGE": 8, "X-LARGE": 16, "2X-LARGE": 32, "3X-LARGE": 64, "4X-LARGE": 128,
	"5X-LARGE": 256, "6X-LARGE": 512,
}

// measureTimeout bounds what a number for a report may cost.
const measureTimeout = 20 * time.Second

// historyQuery sums up what the statements of the session have cost, by the size of the warehouse. A user sees
// the history of their own statements without a grant, and at once. https://docs.snowflake.com/en/sql-reference/functions/query_history
const historyQuery = `SELECT "WAREHOUSE_SIZE", SUM("TOTAL_ELAPSED_TIME") AS "MILLISECONDS", SUM("CREDITS_USED_CLOUD_SERVICES") AS "CREDITS"
FROM TABLE("INFORMATION_SCHEMA"."QUERY_HISTORY_BY_SESSION"(RESULT_LIMIT => 10000))
WHERE STARTSWITH("QUERY_TAG", 'martsync') AND "WAREHOUSE_SIZE" IS NOT NULL
GROUP BY "WAREHOUSE_SIZE"`

// Measure asks the account what the statements of the session have cost: at the end of a sync, say. It does nothing
// where there is no session, or where no statement has needed the warehouse since the last time, so that it
// never wakes a warehouse up for its own sake.
func (d *destination) Measure(ctx context.Context) error {
	d.mu.Lock()
	open := d.sess != nil && !d.closed
	d.mu.Unlock()
	if !open {
		return nil
	}
	return d.with(ctx, "measure", func(s *session) error { return s.measure(ctx) })
}

// measure does it on a session. The question runs on the warehouse that statements have just kept awake, for a
// fraction of a second.
func (s *session) measure(ctx context.Context) error {
	d := s.d
	if d.spent.data.Load() == d.measured.at() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.measureWait)
	defer cancel()
	r, err := s.query(ctx, historyQuery)
	if err != nil {
		return err
	}
	sum := measurement{data: d.spent.data.Load()}
	for i := range r.rows {
		millis, _ := strconv.ParseFloat(r.cell(i, "MILLISECONDS"), 64)
		cloud, _ := strconv.ParseFloat(r.cell(i, "CREDITS"), 64)
		ran := time.Duration(millis * float64(time.Millisecond))
		sum.ran += ran
		sum.credits += ran.Hours()*creditsPerHour[upper(r.cell(i, "WAREHOUSE_SIZE"))] + cloud
	}
	d.measured.set(s.conn, sum)
	return nil
}
