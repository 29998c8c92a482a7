package main

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	planning "github.com/martsync/martsync/plan"
)

// What running a sync takes beside the vendor's limits. docs/plan.md says where these come from.
const (
	secondsACall    = 0.5        // a call and what is done with its reply
	bytesASecond    = 10_000_000 // read, typed and written, in a function of 256 MB
	lambdaGB        = 0.25       // memory of the function
	lambdaSeconds   = 14 * 60    // of one invocation: it stops a minute before its deadline
	wakesAJob       = 3          // invocations while an export job is waited for
	stepsAWake      = 4          // transitions of the state machine for one invocation
	putsAWake       = 6          // of the state store, for one invocation
	putsACommit     = 3          // data, manifest and mark
	partBytes       = 128 << 20  // of one file of a table
	rawBytes        = 8 << 20    // of one object of the raw zone
	compressed      = 0.25       // what is stored of a byte that was read
	warehouseLeast  = 60.0       // seconds that are billed when a warehouse wakes up
	warehouseSpeed  = 20_000_000 // bytes that the smallest one loads and merges in a second
	secondsACredit  = 3600.0     // of the smallest warehouse
	daysAMonth      = 30.0
	loadsAtOnceMost = 8 // streams whose loads share one waking of the warehouse
)

// planUses is what the plan needs of things that cost money: once for what is to be read now, and each month for the
// regular syncs after it.
func planUses(s config.Sync, c *config.Config, r *planReport) []planning.Use {
	uses := usesOf(s, c, r.Plan, 1, false)
	regular := r.Regular
	if regular == nil {
		regular = r.Plan
	}
	times := daysAMonth * float64(24*time.Hour) / float64(max(r.Every, time.Minute))
	uses = append(uses, usesOf(s, c, regular, times, true)...)
	if stored := storedGB(s, r.Bytes) + float64(r.Stored)/1e9; stored > 0 {
		uses = append(uses, planning.Use{Service: "Amazon S3", Item: config.GBMonths, Amount: stored, Monthly: true})
	}
	return uses
}

// usesOf is what a plan takes that is carried out so many times.
func usesOf(s config.Sync, c *config.Config, p *planning.Plan, times float64, monthly bool) []planning.Use {
	var calls, jobs float64
	for _, t := range p.Totals {
		switch t.Unit {
		case "calls":
			calls += float64(t.Amount)
		case "jobs":
			jobs += float64(t.Amount)
		}
	}
	bytes, streams := float64(p.Bytes), float64(len(p.Streams))
	work := calls*secondsACall + bytes/bytesASecond
	wakes := math.Ceil(work/lambdaSeconds) + jobs*wakesAJob + float64(p.Days)
	commits := streams + jobs
	uses := []planning.Use{
		{Service: "AWS Lambda", Item: config.LambdaGBSecond, Amount: work * lambdaGB},
		{Service: "AWS Lambda", Item: config.LambdaRequests, Amount: wakes},
		{Service: "AWS Step Functions", Item: config.Transitions, Amount: wakes * stepsAWake},
	}
	puts := 0.0
	if c.State != nil && isBucket(c.State.String()) {
		puts += wakes * putsAWake
	}
	if isBucket(destinationURL(s)) {
		puts += commits*putsACommit + bytes*compressed/partBytes
	}
	if s.Raw != nil && isBucket(s.Raw.String()) {
		puts += commits + bytes/rawBytes
	}
	if puts > 0 {
		uses = append(uses, planning.Use{Service: "Amazon S3", Item: config.Puts, Amount: puts})
	}
	if s.Destination.Connector.Name == "snowflake" {
		seconds := math.Ceil(commits/loadsAtOnceMost)*warehouseLeast + bytes/warehouseSpeed
		uses = append(uses, planning.Use{Service: "Snowflake", Item: config.Credits, Amount: seconds / secondsACredit})
	}
	for i := range uses {
		uses[i].Amount = math.Ceil(uses[i].Amount*times*1e6) / 1e6
		uses[i].Monthly = monthly
	}
	return uses
}

// storedGB is what is kept in buckets of so many bytes that were read.
func storedGB(s config.Sync, bytes int64) float64 {
	copies := 0.0
	if isBucket(destinationURL(s)) {
		copies++
	}
	if s.Raw != nil && isBucket(s.Raw.String()) {
		copies++
	}
	return copies * compressed * float64(max(bytes, 0)) / 1e9
}

// stored is how many bytes of a sync lie in buckets already, as far as they can tell. A plan does not fail for it: the bucket
// may be still to come.
func (a *app) stored(ctx context.Context, s config.Sync, account string, spans []planSpan, env martsync.Env) (bytes int64) {
	unknown := func(err error) {
		a.log().WarnContext(ctx, "what is stored already is not counted", "sync", s.Name, "err", err)
	}
	if isBucket(destinationURL(s)) {
		n, err := a.storedTables(ctx, s, spans, env)
		if bytes += n; err != nil {
			unknown(err)
		}
	}
	if s.Raw != nil && isBucket(s.Raw.String()) {
		zone, err := a.openZone(ctx, s, account, env)
		var n int64
		if err == nil {
			n, err = zone.Size(ctx)
		}
		if bytes += n; err != nil {
			unknown(err)
		}
	}
	return bytes
}

// storedTables is how many bytes the tables of these streams take, if the destination can tell.
func (a *app) storedTables(ctx context.Context, s config.Sync, spans []planSpan, env martsync.Env) (bytes int64, err error) {
	destination, err := a.openDestination(ctx, s, env)
	if err != nil {
		return 0, err
	}
	defer closing(destination, &err)
	tables, ok := destination.(martsync.Sizer)
	if !ok {
		return 0, nil
	}
	for _, x := range spans {
		e, err := tables.TableSize(ctx, x.stream)
		if err != nil {
			return bytes, err
		}
		bytes += e.Bytes
	}
	return bytes, nil
}

func isBucket(address string) bool { return strings.HasPrefix(address, "s3://") }

// destinationURL is the option url of a destination that has one.
func destinationURL(s config.Sync) string {
	var o struct {
		URL string `json:"url"`
	}
	text, err := json.Marshal(s.Destination.Options)
	if err != nil || json.Unmarshal(text, &o) != nil {
		return ""
	}
	return o.URL
}
