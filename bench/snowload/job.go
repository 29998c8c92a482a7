//go:build cgo && !lite

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/bench/measure"
	"github.com/martsync/martsync/destination/snowflake"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/rows"
)

// A child is one sync in a process of its own.
type child struct {
	Host           string
	Port           int
	Authority, Dir string

	Megabytes int // of records
	Rows      int // instead: so many
	Version   int64
	Commit    bool // else the rows are put on the stage and discarded
}

// A report is what a sync did.
type report struct{ Rows, Bytes int64 }

// schema is a lead with seventy columns, most of them text.
var schema = func() martsync.Schema {
	s := martsync.Schema{Stream: "leads", Key: []string{"id"}, Version: "updated_at", Deletes: true, Columns: []martsync.Column{
		{Name: "id", Type: martsync.Int64},
		{Name: "updated_at", Type: martsync.Timestamp},
		{Name: "created_at", Type: martsync.Timestamp},
		{Name: "score", Type: martsync.Float64},
		{Name: "unsubscribed", Type: martsync.Bool},
		{Name: "born", Type: martsync.Date},
	}}
	for i := range 64 {
		s.Columns = append(s.Columns, martsync.Column{Name: fmt.Sprintf("field_%d", i), Type: martsync.String})
	}
	return s
}()

// batch is as many leads as a batch holds, from an id on: a quarter of the text is null, half of the rest repeats itself.
func batch(from, version int64, most int) *martsync.Records {
	b := rows.NewBuilder(schema.Columns)
	random := rand.New(rand.NewPCG(uint64(from), uint64(version))) //nolint:gosec // the same rows each time
	cells := make([]any, len(schema.Columns))
	for ; b.Len() < min(most, martsync.MaxRows) && b.Records().Size() < 4<<20; from++ {
		cells[0], cells[1], cells[2] = from, rows.Micros((1_700_000_000+version)*1_000_000), rows.Micros(1_600_000_000_000_000+from)
		cells[3], cells[4], cells[5] = random.Float64(), from%7 == 0, rows.Date(10_000+from%9000)
		for i := range cells[6:] {
			switch random.IntN(4) {
			case 0:
				cells[6+i] = nil
			case 1:
				cells[6+i] = fmt.Sprintf("%x@example.com", random.Uint64())
			default:
				cells[6+i] = fmt.Sprintf("Value %d of a picklist", random.IntN(300))
			}
		}
		b.Append(cells...)
	}
	return b.Records()
}

func (c child) run(ctx context.Context) (err error) {
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{}, Clock: martsync.SystemClock{}, TempDir: c.Dir}
	d, err := snowflake.Open(ctx, snowflake.Config{
		Account: snowflakesim.DefaultAccount, User: snowflakesim.DefaultUser, Password: snowflakesim.DefaultPassword, Role: snowflakesim.DefaultRole,
		Warehouse: snowflakesim.DefaultWarehouse, Database: snowflakesim.DefaultDatabase,
		Host: c.Host, Port: c.Port, Protocol: "http", CAFile: c.Authority,
	}, "BENCH", env)
	if err != nil {
		return err
	}
	m := measure.Start()
	done, err := c.load(ctx, d)
	if err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(done); err != nil {
		return err
	}
	return m.Print(os.Stdout, done.Bytes)
}

// load does what a sync does to a table.
func (c child) load(ctx context.Context, d martsync.Destination) (done report, err error) {
	w, err := d.Open(ctx, schema)
	if err != nil {
		return done, err
	}
	for more := true; more; {
		most := martsync.MaxRows
		if c.Rows > 0 {
			most = c.Rows - int(done.Rows)
			more = most > 0
		} else {
			more = done.Bytes < int64(c.Megabytes)*1_000_000
		}
		if !more {
			break
		}
		r := batch(done.Rows, c.Version, most)
		done.Rows += int64(r.Len)
		done.Bytes += int64(r.Size())
		if err := w.Write(ctx, r); err != nil {
			return done, err
		}
	}
	at := time.Unix(1_700_000_000+c.Version, 0).UTC()
	next := martsync.Commit{
		Sync: "bench", At: at, Next: martsync.Cursor(fmt.Sprint("after ", c.Version)),
		Windows: []martsync.Window{{Job: fmt.Sprint("job ", c.Version), From: at.AddDate(0, 0, -1), To: at, Records: done.Rows, Parsed: done.Rows, Written: done.Rows, Bytes: -1}},
		Log:     []martsync.LogEntry{{Time: at, Sync: "bench", Stream: schema.Stream, Operation: "commit", Success: true, Rows: done.Rows}},
	}
	switch {
	case c.Commit && done.Rows > 0:
		err = w.Commit(ctx, next)
	case done.Rows > 0:
		if err = w.Stage(ctx, next); err == nil {
			err = w.Discard(ctx)
		}
	}
	if err != nil {
		return done, err
	}
	return done, w.Close()
}
