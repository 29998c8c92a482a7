// Package marketosim is an in-memory Adobe Marketo Engage account behind an http.Handler:
// identity, the lead database, bulk extract, assets and usage, with the vendor's limits, error
// codes and oddities.
//
// It is a second, independent reading of the vendor's documentation and shares no code with the
// source that is tested against it. Each behaviour names the page of the documentation that it
// follows; where the documentation leaves a question open, Config has a switch.
//
// The account at the start is a pure function of the seed and the size, so that exports of
// gigabytes stream without being stored; what changes afterwards is kept beside it.
package marketosim

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // quota days are those of US Central Time, also where the system knows no zones

	"github.com/martsync/martsync/simulate"
)

// Simulator is what this folder offers to the commands and tests of the project.
var Simulator = simulate.Simulator{
	Name:   "marketo",
	Title:  "Adobe Marketo Engage",
	Faults: Faults,
	New: func(o simulate.Options) (simulate.Instance, error) {
		return New(Config{Options: o})
	},
}

// A Config describes an account. Its zero value is an ordinary one: the documented limits, and
// the likelier answer wherever the documentation leaves a question open.
type Config struct {
	simulate.Options

	Users []User // API users; nil: DefaultUsers

	// Limits. (Marketo REST API, Marketo Integration Best Practices)
	DailyCalls     int           // 0: 50,000; code 607 beyond
	RateLimit      int           // calls in 20 s; 0: 100; code 606 beyond
	FixedRate      bool          // windows of 20 s rather than the past 20 s
	Concurrency    int           // calls in flight; 0: 10; code 615 beyond
	ExportBytes    int64         // daily bytes of export files; 0: 500,000,000; code 1029 beyond
	FixedQuotaZone bool          // days end at midnight UTC−6 all year rather than in America/Chicago
	TokenLife      time.Duration // 0: 1 h
	TokenInQuery   bool          // accept the access_token parameter that the vendor removes

	// Export jobs. (Marketo REST API, Bulk Extract)
	ProcessTime   func(*simulate.Job) time.Duration // nil: 60 s to 2 min, of the seed
	Slots         int                               // jobs processed at once; 0: 2
	Queue         int                               // jobs queued or processing; 0: 10
	Refresh       time.Duration                     // statuses change for polls this often; 0: 60 s
	FileLife      time.Duration                     // 0: 7 days
	ListLife      time.Duration                     // jobs are listed this long; 0: 7 days
	StatusLife    time.Duration                     // 0: 30 days
	CancelSpelled string                            // "": "Cancelled"
	NoUpdatedAt   bool                              // the account lacks the updatedAt filter: code 1035
	SmartLists    bool                              // the account has the smart list filters
	ForbidMillis  bool                              // refuse .000 in date ranges too
	CutExpired    bool                              // a download ends when its token does

	// Files. (Marketo REST API, Bulk Extract; sample files)
	Newline     string // "": "\n"
	NoFinal     bool   // the last record ends without a newline
	QuoteAlways bool
	BitBools    bool      // booleans of program member files as 0 and 1
	Empty       EmptyFile // what a job without records delivers

	// Records.
	LateArrival    time.Duration // activities become visible this long after their date
	LateTypes      LateTypes     // how late activities of a type are at most instead; each of them is anything up to that
	LateFrom       time.Time     // LateTypes are of activities from then on; zero: all
	LeadSpan       time.Duration // leads were created over this time before the start; 0: 730 days
	ActivitySpan   time.Duration // 0: 75 days
	PerLead        int           // activities a lead, beside its creation; 0: 19
	MergeDeletes   bool          // merges log Delete Lead for the losers too
	MissingEmpty   bool          // lead/{id}.json answers an empty result for a missing lead, not 1004
	SinceExclusive bool          // a paging token begins after its second, not with it
	PageBlock      int           // records of the log that one activity page looks at; 0: 1000
	QuietTokens    bool          // updatedAt of a folder or program does not move when its tokens change
	CRM            bool          // a CRM is the master of companies, opportunities and sales persons: no roles, code 1018
	Lacks          []string      // objects that the subscription was not sold, by describe name or API name, code 703: "namedaccounts"
	KeepsAll       bool          // activities are kept for ever, as if the subscription had paid for it
	LooseRanges    bool          // asset reads take earliestUpdatedAt in the future or not before latestUpdatedAt
}

// LateTypes are activity types whose activities become visible late, each by a time of its own up to this one, as those of busy
// campaigns do. (Marketo REST API, Activities)
type LateTypes map[int64]time.Duration

// EmptyFile is what the file of a job without records looks like.
type EmptyFile int

// The forms of an empty file.
const (
	EmptyHeader  EmptyFile = iota // only the header
	EmptyBytes                    // zero bytes
	EmptyMissing                  // HTTP 404
)

// A User is an API-only user with one custom service.
type User struct {
	ClientID, Secret string
	Email            string
	Denied           []string // permissions it lacks, of those that routes name, such as "Read-Only Lead"
}

// DefaultUsers are the API users of an account: the warehouse's, and one of another tool that
// shares its limits.
func DefaultUsers() []User {
	return []User{
		{ClientID: "9f0a7c1e-52d4-4b7a-8f3e-warehouse-sim", Secret: "s3cr3t-warehouse-sim", Email: "warehouse.api@larkfield.example"},
		{ClientID: "1c7be24d-03a9-4e0d-9d42-crm-sim", Secret: "s3cr3t-crm-sim", Email: "crm.api@larkfield.example"},
	}
}

// defaultStart is where a clock stands that nobody handed over.
var defaultStart = time.Date(2026, 3, 16, 9, 30, 0, 0, time.UTC)

// A Server is one account. Its methods may be called from several goroutines.
type Server struct {
	cfg    Config
	clock  simulate.Time
	log    *slog.Logger
	world  *world
	types  *typeTable
	users  map[string]*User
	tokens simulate.Tokens
	rate   simulate.Rate
	gate   simulate.Gate
	faults simulate.Faults
	jobs   simulate.Jobs
	calls  simulate.Daily
	count  counters
	told   told
	routes []route

	mu    sync.Mutex // held while the account changes
	turn  uint64     // changes so far
	state atomic.Pointer[state]
	gone  sync.Map // export ids whose file has vanished
}

var _ simulate.Instance = (*Server)(nil)

// New makes an account. It starts no goroutines and needs no closing.
func New(cfg Config) (*Server, error) {
	def(&cfg.Rows, 1000)
	def(&cfg.DailyCalls, 50_000)
	def(&cfg.RateLimit, 100)
	def(&cfg.Concurrency, 10)
	def(&cfg.ExportBytes, 500_000_000)
	def(&cfg.TokenLife, time.Hour)
	def(&cfg.Slots, 2)
	def(&cfg.Queue, 10)
	def(&cfg.Refresh, time.Minute)
	def(&cfg.FileLife, 7*24*time.Hour)
	def(&cfg.ListLife, 7*24*time.Hour)
	def(&cfg.StatusLife, 30*24*time.Hour)
	def(&cfg.CancelSpelled, "Cancelled")
	def(&cfg.Newline, "\n")
	def(&cfg.LeadSpan, 730*24*time.Hour)
	def(&cfg.ActivitySpan, 75*24*time.Hour)
	def(&cfg.PerLead, 19)
	def(&cfg.PageBlock, 1000)
	if cfg.Rows < 1 {
		return nil, fmt.Errorf("an account needs leads: rows is %d", cfg.Rows)
	}
	if cfg.LeadSpan < time.Hour || cfg.ActivitySpan < time.Hour || cfg.PerLead < 1 {
		return nil, fmt.Errorf("an account needs a past of at least an hour and activities: leads over %s, %d activities each over %s", cfg.LeadSpan, cfg.PerLead, cfg.ActivitySpan)
	}
	if cfg.Clock == nil {
		cfg.Clock = simulate.NewClock(defaultStart)
	}
	if cfg.Users == nil {
		cfg.Users = DefaultUsers()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, clock: cfg.Clock, log: cfg.Log, types: newTypeTable(), users: make(map[string]*User)}
	for i := range cfg.Users {
		s.users[cfg.Users[i].ClientID] = &cfg.Users[i]
	}
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil || cfg.FixedQuotaZone {
		zone = time.FixedZone("CST", -6*3600)
	}
	s.calls.Zone = zone
	s.count.errors.Zone = zone
	s.tokens = simulate.Tokens{Life: cfg.TokenLife, Seed: cfg.Seed, Suffix: ":sim"}
	s.rate = simulate.Rate{Limit: cfg.RateLimit, Span: 20 * time.Second, Fixed: cfg.FixedRate}
	s.gate.Limit = cfg.Concurrency
	s.faults.Seed = cfg.Seed
	for _, text := range cfg.Faults {
		if err := s.AddFault(text); err != nil {
			return nil, err
		}
	}
	s.jobs = simulate.Jobs{
		Clock: s.clock, Seed: cfg.Seed, Slots: cfg.Slots, Queue: cfg.Queue, Refresh: cfg.Refresh, StatusLife: cfg.StatusLife,
		Quota: cfg.ExportBytes, Day: &simulate.Daily{Zone: zone}, ProcessTime: cfg.ProcessTime, Prepare: s.prepare, Make: s.makeFile,
	}
	if s.jobs.ProcessTime == nil {
		s.jobs.ProcessTime = func(j *simulate.Job) time.Duration {
			return time.Minute + time.Duration(simulate.Pick(simulate.Hash(cfg.Seed, saltJob, salt(j.ID), 0), 60))*time.Second
		}
	}
	s.begin()
	s.count.past(cfg.Seed, s.clock.Now(), "crm.api@larkfield.example")
	s.routes = s.table()
	return s, nil
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// begin makes the account of the start.
func (s *Server) begin() {
	rows := s.cfg.Rows
	w := &world{seed: s.cfg.Seed, start: s.clock.Now().Unix(), size: size{
		leads: int64(rows), activities: int64(rows) * int64(s.cfg.PerLead),
		programs: min(max(rows/20, 12), 2000), emails: min(max(rows/5, 24), 4000),
		campaigns: min(max(rows/4, 24), 4000), lists: min(max(rows/50, 5), 100),
	}}
	w.leadSpan = int64(s.cfg.LeadSpan/time.Second) / 1024 * 1024
	w.activity = int64(s.cfg.ActivitySpan/time.Second) / 1024 * 1024
	w.leadsFrom, w.activityFrom = w.start-w.leadSpan, w.start-w.activity
	w.fields = standardFields()
	s.world = w

	st := &state{
		w: w, fields: w.fields, leads: make(map[int64]*edit), total: w.size.leads, members: make(map[membership]bool),
		joined: make(map[memberKey]*memberEdit), devices: make(map[int64]*deviceEdit),
	}
	make := func(kind string, n int, of func(i int, created, updated int64) *asset) []*asset {
		list := make([]*asset, n)
		for i := range list {
			created, updated := w.assetTimes(kind, i)
			list[i] = of(i, created, updated)
		}
		return list
	}
	st.programs = make("program", w.size.programs, w.newProgram)
	st.emails = make("email", w.size.emails, w.newEmail)
	st.campaigns = make("campaign", w.size.campaigns, w.newCampaign)
	st.lists = make("list", w.size.lists, w.newList)
	st.folders = w.newFolders("Default")
	st.studio = w.newStudio(st.programs)
	w.newCRM(&st.crm)
	s.history(st)
	s.state.Store(st)
}

// SourceConfig is the configuration of a source that reads this account.
func (s *Server) SourceConfig(baseURL string) map[string]any {
	u := s.cfg.Users[0]
	return map[string]any{
		"endpoint": baseURL, "client_id": u.ClientID, "client_secret": u.Secret,
		// The account is small: what takes many calls of a large one is read at each sync.
		"program_members": map[string]any{"full_listing_every": "1s"},
		"custom_objects":  map[string]any{"full_listing_every": "1s"},
		"objects":         map[string]any{"every": "1s", "named_account_lists": namedLists[:]},
	}
}

// Stats tells what has been asked so far.
func (s *Server) Stats() simulate.Stats {
	st := s.count.stats()
	st.ExportJobs, st.ExportBytes = s.jobs.Counts()
	st.Faults = s.faults.Fired()
	return st
}

// MaxInFlight returns the highest number of calls that were in flight at once.
func (s *Server) MaxInFlight() int { return s.gate.Most() }

var _ http.Handler = (*Server)(nil)
