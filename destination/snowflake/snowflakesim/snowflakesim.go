//go:build cgo && !lite

package snowflakesim

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the engine underneath
)

// What a server without further Options has.
const (
	DefaultAccount   = "martsim"
	DefaultUser      = "LOADER"
	DefaultPassword  = "loader-password"
	DefaultRole      = "LOADER_ROLE"
	DefaultWarehouse = "LOAD_WH"
	DefaultDatabase  = "MART"
	DefaultSchema    = "PUBLIC"
	AdminRole        = "ACCOUNTADMIN" // may do everything; no user has it unless Options says so
)

// A Clock tells the time of the account. simulate.Clock is one.
type Clock interface{ Now() time.Time }

// Options say what account to simulate. The zero value works: one user with a password, one role
// that owns one schema, one warehouse that resumes by itself.
type Options struct {
	Account    string      // "": DefaultAccount
	Users      []User      // nil: DefaultUser with DefaultPassword and DefaultRole
	Warehouses []Warehouse // nil: DefaultWarehouse, X-Small, suspended, resuming by itself
	Clock      Clock       // nil: the machine's clock. Meter and history go by it; tokens go by the machine's.
	Dir        string      // where the stage keeps its files; "": a new temporary folder, removed by Close

	// StatementTime is how long each statement counts as running on a warehouse. 0: as long as it took.
	StatementTime time.Duration

	// TokenLife is how long a session token lasts on Clock before the driver must renew it. 0: for ever.
	TokenLife time.Duration

	// IdleAbort is how long, on the machine's clock, a statement waits for a table locked by
	// a transaction that does nothing before that transaction is rolled back. Snowflake waits
	// five minutes. 0: 500 ms.
	IdleAbort time.Duration

	// Encrypt makes internal stages without an ENCRYPTION clause encrypted at the client, as
	// Snowflake's are; the files of the stage are then unreadable without their keys.
	Encrypt bool

	// StageEndpoint sends the drivers to an S3 server of the test's own ("127.0.0.1:7070",
	// behind TLS with a certificate that the driver's transport trusts), which keeps its files
	// below Dir/<StageBucket>. "": the server's own stage.
	StageEndpoint, StageBucket     string
	StageAccessKey, StageSecretKey string

	// TLS serves the account itself over https too, with the certificate of the stage.
	TLS bool

	// OnStatement is called with each statement as it comes in, before anything is done with
	// it, on the goroutine of its request.
	OnStatement func(sql string)

	Log *slog.Logger // one Debug line a statement; nil: silent
}

// A User may log in by whatever it is given here.
type User struct {
	Name        string
	Password    string            // "": none
	PublicKeys  []any             // *rsa.PublicKey; up to two, as RSA_PUBLIC_KEY and RSA_PUBLIC_KEY_2
	PATs        []string          // programmatic access tokens
	OAuthTokens []string          // access tokens an identity provider gave out
	Client      OAuthClient       // for whom /oauth/token-request gives out tokens
	Identities  map[string]string // workload identity: provider ("AWS", "OIDC", …) to token
	Roles       []string          // nil: DefaultRole
	DefaultRole string            // "": the first of Roles
	Disabled    bool
}

// An OAuthClient has client credentials.
type OAuthClient struct{ ID, Secret string }

// A Warehouse runs what reads or changes rows.
type Warehouse struct {
	Name        string
	Size        string        // "X-Small" and so on; "": X-Small
	NoResume    bool          // AUTO_RESUME = FALSE
	AutoSuspend time.Duration // 0: 60 s
	Started     bool
	Quota       bool // its resource monitor has spent its quota: it cannot be resumed
}

// A Statement is one that came in.
type Statement struct {
	ID        string // query id
	SQL       string
	Tag       string // QUERY_TAG
	User      string
	Role      string
	Warehouse string // the one that ran it; "" if none was needed
	Session   int64
	Binds     int
	Code      string // error number; "" if it succeeded
	Message   string
	Rows      int64 // produced, or changed
	Start     time.Time
	Took      time.Duration
}

// A Server is one account. Its methods may be called from several goroutines.
type Server struct {
	opt   Options
	api   *httptest.Server
	s3    *httptest.Server
	store *store
	db    *sql.DB
	dir   string
	own   bool // dir is ours to remove

	mu       sync.Mutex // everything below
	cat      *catalog
	users    map[string]*User
	grants   *grants
	houses   map[string]*house
	sessions map[string]*session // by token
	byID     map[int64]*session
	locks    map[string]*session // table → who changes it
	unlocked chan struct{}       // closed and replaced when a lock is let go
	requests map[string]*request // by request id: the same request is not run twice
	results  map[string]*request // by query id
	faults   []*fault
	down     bool
	history  []Statement
	past     []Statement       // history that ResetStatements does not reset
	oauth    map[string]string // access token → user

	commits  atomic.Int64 // changes of data, so that a transaction knows that others have committed
	lastID   atomic.Int64
	lastTemp atomic.Int64
}

// Start returns a running server. Close ends it.
func Start(opt Options) (*Server, error) {
	fill(&opt)
	s := &Server{
		opt: opt, users: map[string]*User{}, sessions: map[string]*session{}, byID: map[int64]*session{},
		locks: map[string]*session{}, unlocked: make(chan struct{}), requests: map[string]*request{}, results: map[string]*request{},
		houses: map[string]*house{}, oauth: map[string]string{}, dir: opt.Dir,
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "snowflakesim-*")
		if err != nil {
			return nil, fmt.Errorf("snowflakesim: folder of the stage: %w", err)
		}
		s.dir, s.own = dir, true
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("snowflakesim: open the engine: %w", err), s.Close())
	}
	s.db = db
	if err := s.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("snowflakesim: prepare the engine: %w", err), s.Close())
	}
	s.store = newStore(filepath.Join(s.dir, opt.StageBucket), opt.StageBucket, s)
	s.s3 = httptest.NewTLSServer(s.store)
	quiet(s.s3)
	if opt.TLS {
		s.api = httptest.NewTLSServer(s)
	} else {
		s.api = httptest.NewServer(s)
	}
	quiet(s.api)
	return s, nil
}

func fill(opt *Options) {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&opt.Account, DefaultAccount)
	def(&opt.StageBucket, "stage")
	def(&opt.StageAccessKey, "SIMKEY")
	def(&opt.StageSecretKey, "sim-stage-secret")
	if opt.Users == nil {
		opt.Users = []User{{Name: DefaultUser, Password: DefaultPassword}}
	}
	if opt.Warehouses == nil {
		opt.Warehouses = []Warehouse{{Name: DefaultWarehouse}}
	}
	if opt.Clock == nil {
		opt.Clock = machineClock{}
	}
	if opt.IdleAbort == 0 {
		opt.IdleAbort = 500 * time.Millisecond
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
}

// quiet keeps the noise of cut connections out of the output of tests.
func quiet(s *httptest.Server) {
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
}

type machineClock struct{}

func (machineClock) Now() time.Time {
	return time.Now() //nolint:forbidigo // the account's clock when a test brings none
}

// Close ends all sessions, connections and servers, and removes what the server made.
func (s *Server) Close() error {
	for _, srv := range []*httptest.Server{s.api, s.s3} {
		if srv != nil {
			srv.CloseClientConnections()
			srv.Close()
		}
	}
	s.KillSessions()
	var err error
	if s.db != nil {
		err = s.db.Close()
	}
	if s.own {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// URL is where the account is reached: "http://127.0.0.1:12345".
func (s *Server) URL() string { return s.api.URL }

// Host and Port are the two halves of URL, and Protocol is its scheme, as a driver wants them.
func (s *Server) Host() string {
	host, _, _ := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(s.api.URL, "https://"), "http://"))
	return host
}

// Port is the port of URL.
func (s *Server) Port() int {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(s.api.URL, "https://"), "http://"))
	n, _ := strconv.Atoi(port)
	return n
}

// Protocol is the scheme of URL.
func (s *Server) Protocol() string { return map[bool]string{true: "https", false: "http"}[s.opt.TLS] }

// Account is the name of the account.
func (s *Server) Account() string { return s.opt.Account }

// CA is the certificate of the stage, PEM, to be trusted by whoever uses it.
func (s *Server) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.s3.Certificate().Raw})
}

// Transport returns a new transport that trusts the stage. The caller closes its idle connections.
func (s *Server) Transport() *http.Transport {
	pool := x509.NewCertPool()
	pool.AddCert(s.s3.Certificate())
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 8}
}

// Statements returns everything that has come in, oldest first. Logins are not among it.
func (s *Server) Statements() []Statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Statement(nil), s.history...)
}

// ResetStatements forgets what Statements has, so that a test sees only what comes next.
func (s *Server) ResetStatements() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history = nil
}

// KillSessions ends all sessions as Snowflake does with those it no longer hears from: open
// transactions are rolled back, temporary tables go.
func (s *Server) KillSessions() {
	s.mu.Lock()
	all := make([]*session, 0, len(s.byID))
	for _, c := range s.byID {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		s.endSession(c)
	}
}
