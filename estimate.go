package martsync

import (
	"context"
	"time"
)

// An Estimator is a Source that can tell what reading would take before anything is read.
type Estimator interface {
	// Estimate tells what it takes to read a stream after from, in span. All estimates of a Source together take few
	// calls: what does not fit in is told as Open. With sample it may also read a small part of what there is, by an
	// export job where the vendor has no other way, to learn how large records are. A stream that the account does not have
	// is ErrUnsupported; that the account's limits are used up may be an *Error of kind Quota.
	Estimate(ctx context.Context, stream string, from Cursor, span Span, sample bool) (Estimate, error)
}

// An EstimateLimiter is an Estimator that keeps to a number of calls which it is told.
type EstimateLimiter interface {
	Estimator

	// LimitEstimates names the streams that are going to be estimated, so that calls are kept for each of them, and says how
	// many calls the Source may make until then: those for the estimates, and those that it has made before, such as to list
	// its streams. 0: as many as without it. A number that leaves none for estimates, or that is more than the Source may
	// make today, is an *Error of kind Config. It is called before the first Estimate.
	LimitEstimates(calls int64, streams []string) error
}

// An Estimate is what reading a stream would take.
type Estimate struct {
	Stream string    `json:"stream"`
	From   time.Time `json:"from,omitzero"` // of what would be read; zero: the stream knows no times
	To     time.Time `json:"to,omitzero"`
	Rows   int64     `json:"rows"`  // -1: not known
	Bytes  int64     `json:"bytes"` // of the vendor's payload; -1: not known
	Basis  Basis     `json:"basis"`
	Detail string    `json:"detail"` // how it was found, for the reader: "3 of 36 months sampled"

	// Costs are what it takes of the vendor's limits. Their names are those of the source's Usage.
	Costs []Cost `json:"costs"`

	// Most are the same at most, as far as the method can be wrong. Nil: as Costs.
	Most []Cost `json:"most,omitempty"`

	// Open says that Rows and Bytes are not known or are the least, and Costs the least: nobody knows the most.
	Open bool `json:"open,omitempty"`

	// Shares say which columns or kinds of records take how much, the largest first, so that somebody can decide to
	// do without. They need not add up to Bytes. Nil: not known.
	Shares []Share `json:"shares,omitempty"`
}

// Basis says what an estimate rests on.
type Basis string

// What an Estimate rests on, the surest first.
const (
	Counted Basis = "counted" // the vendor told how many records there are
	Sampled Basis = "sampled" // a part was read
	Assumed Basis = "assumed" // neither; from constants that the documents state
)

// A Cost is a part of a limit.
type Cost struct {
	Name   string `json:"name"` // of a Usage
	Unit   string `json:"unit"` // of that Usage
	Amount int64  `json:"amount"`
}

// A Share is what a part of the records takes of the payload.
type Share struct {
	Name  string `json:"name"`  // of a column, or of a kind of record
	Bytes int64  `json:"bytes"` // of all that would be read

	// Omit is the line of the source's configuration that leaves it out: "activities.exclude: [1]". "": there is none.
	Omit string `json:"omit,omitempty"`
}

// An Allower is a Meter whose configuration lets it take only a part of the account's limits.
type Allower interface {
	Meter

	// Allowances tells how much of each limit the source may take a day, by the names of its Usage. Limits of which
	// it may take everything are left out. It makes no call.
	Allowances() []Allowance
}

// An Allowance is what a source may take of a limit in each of the vendor's quota days.
type Allowance struct {
	Cost
	Taken int64 // of it, today, by all who share it; -1: not known
}
