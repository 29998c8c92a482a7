// Package simulate is the kit that simulators of vendors are built from: a clock that tests
// control, tokens, rate and concurrency limits, daily quotas, export jobs, fault rules, large
// files made on demand, and data that is a pure function of a seed.
//
// A simulator answers over real HTTP and knows the truth: what a perfect copy of its account
// holds at this moment. What one vendor does differently (paths, envelopes, codes, records)
// stays in the simulator's folder. This package imports nothing else of the project, so that a
// simulator is an independent reading of the vendor's documentation.
package simulate

import (
	"iter"
	"log/slog"
	"net/http"
)

// A Simulator makes instances of one simulated vendor. Each simulator folder exports one as
// Simulator.
type Simulator struct {
	Name   string      // the type of the source it answers to: "marketo"
	Title  string      // for people: "Adobe Marketo Engage"
	Faults []FaultInfo // what Options.Faults may name
	New    func(Options) (Instance, error)
}

// Options say what account to simulate. The zero value works.
type Options struct {
	Seed   uint64       // same seed, same bytes
	Rows   int          // how many people the account knows; everything else scales with it; 0: the simulator's default
	Clock  Time         // nil: a Clock that stands still at a fixed moment
	Faults []string     // "name[:key=value,…]", see ParseFault
	Log    *slog.Logger // one Debug line a request; nil: silent
}

// An Instance is one simulated account. Its methods may be called from several goroutines.
type Instance interface {
	http.Handler

	// SourceConfig is the configuration, with the keys of the YAML file, of a source that
	// reaches this instance at baseURL ("http://127.0.0.1:8080"), credentials included.
	SourceConfig(baseURL string) map[string]any

	// Tables names the streams whose truth is known, in a fixed order.
	Tables() []string

	// Truth yields what a perfect copy of the table holds now. It reads a consistent
	// state: changes made while it runs do not show. An unknown table yields nothing.
	Truth(table string) iter.Seq[Row]

	// Change makes about n records change now and tells people what happened, one sentence
	// for each kind of change.
	Change(n int) []string

	// Stats tells what has been asked so far.
	Stats() Stats
}

// A Row is one row of a table's truth.
type Row struct {
	// Values are keyed by the vendor's name of the field, or by the name of the column
	// where the column is not the vendor's. They are nil, string, int64, float64, bool,
	// time.Time in UTC, json.RawMessage, a decimal as string, or OneOf.
	Values map[string]any

	// Gone says that the vendor no longer shows the row: a copy may lack it, and where the
	// copy marks deletions it must be marked deleted.
	Gone bool
}

// OneOf is a value for which several answers are right, for example because the vendor's two
// interfaces differ.
type OneOf []any

// Stats are what an instance counted since it was made.
type Stats struct {
	Calls       int            // calls that count against the vendor's limits
	ByPath      map[string]int // all requests, by method and path with ids replaced: "GET /rest/v1/lists/{id}.json"
	ByUser      map[string]int // counted calls, by API user
	Refused     map[string]int // error replies, by the vendor's code, or "http 502" and the like
	Faults      map[string]int // faults that happened, by name
	ExportJobs  int            // export jobs created
	ExportBytes int64          // bytes of the export files that were finished
	SentBytes   int64          // bytes of bodies sent
}
