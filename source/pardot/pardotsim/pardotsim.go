// Package pardotsim is an in-memory business unit of Salesforce Account Engagement (Pardot) behind
// an http.Handler: Salesforce's OAuth, versions 3, 4 and 5 of the API and their exports, with the
// vendor's limits, error codes and oddities.
//
// It is a second, independent reading of the vendor's documentation and shares no code with the
// source that is tested against it. Where the documentation leaves a question open, Config has a
// switch.
//
// The business unit at the start is a pure function of the seed and the size, so that any number
// of rows costs nothing to have; what changes afterwards is kept beside it.
package pardotsim

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // users have time zones, also where the system knows none

	"github.com/martsync/martsync/simulate"
)

// Simulator is what this folder offers to the commands and tests of the project.
var Simulator = simulate.Simulator{
	Name:   "pardot",
	Title:  "Salesforce Account Engagement (Pardot)",
	Faults: Faults,
	New: func(o simulate.Options) (simulate.Instance, error) {
		return New(Config{Options: o})
	},
}

// A Config describes a business unit. Its zero value is an ordinary one: the documented limits, and
// the likelier answer wherever the documentation leaves a question open.
type Config struct {
	simulate.Options
	Wire

	// The business unit and its API user.
	BusinessUnit string // "": DefaultBusinessUnit
	UserZone     string // of the API user; "": America/New_York
	AccountZone  string // whose midnight ends a day's calls; "": America/Los_Angeles
	SingleEmail  bool   // no two prospects may share an address: version 3 rather than 4
	NoFilters    bool   // the date filters that are not certain (visitors, form fields, programs) are refused

	// OAuth.
	Rotate    bool          // a refresh returns another refresh token and ends the old one
	TokenLife time.Duration // 0: 2 h
	Generic   bool          // the login host is login.salesforce.com: no client credentials
	NoScope   bool          // the app lacks pardot_api: code 184

	// Limits. (Account Engagement API, Limits)
	DailyCalls   int // 0: 100,000; code 122 beyond
	Concurrency  int // calls in flight; 0: 5; code 66 beyond
	LimitStatus  int // HTTP status of codes 66 and 122; 0: 200 in version 4, 429 in version 5
	TokenStatus4 int // HTTP status of code 184 in version 4; 0: 401

	// Version 4.
	RefuseLimit     bool // limits above 200 are code 23 where the page says so; else clamped
	RefuseUnknown   bool // unknown parameters are code 5; else ignored
	OpenOpportunity bool // opportunities take updated_after and ignore it
	NullResult      bool // an empty bulk reply is "result": null
	EmptyAs         Empty
	RawText         bool // texts without HTML entities
	BitBools        bool // opted_out and CSV booleans as 0 and 1

	// Version 5.
	ClampLimit   bool          // limits above 1,000 are clamped; else code 52
	Sequence     int           // rows of a sequence of page tokens; 0: 100,000
	PageLife     time.Duration // of a page token; 0: 4 h
	CacheLag     time.Duration // changes show this much later; 0: at once
	WrapAccount  bool          // the account comes inside values
	MaskedFields []string      // "prospects.doNotSell": fields this account does not know
	QuietBin     bool          // moving a record to the recycle bin leaves updatedAt alone

	// Export jobs.
	ProcessTime func(id int64) time.Duration // nil: 1 to 6 min, of the seed
	FileRows    int                          // rows of an export file; 0: 10,000
	FileLife    time.Duration                // 0: 7 days
	Newline     string                       // "": "\n"
	RefsHost    string                       // host of result references; "": that of the request
}

// Empty is how version 4 writes a null in JSON.
type Empty int

// The forms of nothing. (The documentation shows three of them; clients have seen the fourth.)
const (
	EmptyMixed  Empty = iota // by field, one of the others
	EmptyNull                // null
	EmptyAbsent              // no such member
	EmptyText                // ""
	EmptyObject              // {}
)

// DefaultBusinessUnit is the id of a business unit that Config does not name.
const DefaultBusinessUnit = "0Uv5A000000KiteCAA"

// defaultStart is where a clock stands that nobody handed over.
var defaultStart = time.Date(2026, 3, 16, 14, 30, 0, 0, time.UTC)

// A Server is one business unit. Its methods may be called from several goroutines.
type Server struct {
	cfg     Config
	clock   simulate.Time
	log     *slog.Logger
	world   *world
	account *time.Location                // whose midnight ends a day's calls
	zone    atomic.Pointer[time.Location] // of the API user

	mu    sync.Mutex // held while the business unit changes
	turn  uint64     // changes so far
	state atomic.Pointer[state]
	past  []*state // earlier states, while a cache may still show them
	zones []*time.Location

	wire // routes, tokens, limits, faults and jobs
}

var _ simulate.Instance = (*Server)(nil)

// New makes a business unit. It starts no goroutines and needs no closing.
func New(cfg Config) (*Server, error) {
	def(&cfg.Rows, 4000)
	def(&cfg.BusinessUnit, DefaultBusinessUnit)
	def(&cfg.UserZone, "America/New_York")
	def(&cfg.AccountZone, "America/Los_Angeles")
	def(&cfg.TokenLife, 2*time.Hour)
	def(&cfg.DailyCalls, 100_000)
	def(&cfg.Concurrency, 5)
	def(&cfg.TokenStatus4, http.StatusUnauthorized)
	def(&cfg.Sequence, 100_000)
	def(&cfg.PageLife, 4*time.Hour)
	def(&cfg.FileRows, 10_000)
	def(&cfg.FileLife, 7*24*time.Hour)
	def(&cfg.Newline, "\n")
	if cfg.Rows < 1 {
		return nil, fmt.Errorf("a business unit needs prospects: rows is %d", cfg.Rows)
	}
	if cfg.Clock == nil {
		cfg.Clock = simulate.NewClock(defaultStart)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, clock: cfg.Clock, log: cfg.Log}
	user, err := time.LoadLocation(cfg.UserZone)
	if err != nil {
		return nil, fmt.Errorf("zone of the API user: %w", err)
	}
	s.zone.Store(user)
	s.zones = []*time.Location{user}
	if s.account, err = time.LoadLocation(cfg.AccountZone); err != nil {
		return nil, fmt.Errorf("zone of the account: %w", err)
	}
	if err := s.beginWire(); err != nil {
		return nil, err
	}
	s.world = newWorld(s)
	s.state.Store(newState(s.world))
	return s, nil
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// now is the present in whole seconds, which is all the vendor knows.
func (s *Server) now() int64 { return s.clock.Now().Unix() }

// present is the state that queries of version 5 see.
func (s *Server) present() *state { return s.state.Load() }
