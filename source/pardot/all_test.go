package pardot

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot/pardotsim"
	"github.com/martsync/martsync/source/sourcetest"
)

// A mode is a way to read everything that it can read.
type mode struct {
	name    string
	by      string // as pardotsim's TruthBy has it; "": what serves best
	change  func(*Config)
	streams []string // none: all
}

// modes are the ways that a configuration can choose for all streams alike.
func modes() []mode {
	only := func(name, by string, has func(o *object) bool, set StreamConfig) mode {
		m := mode{name: name, by: by}
		for _, o := range catalog {
			if has(o) {
				m.streams = append(m.streams, o.stream)
			}
		}
		m.change = func(c *Config) {
			c.Streams = map[string]StreamConfig{}
			for _, name := range m.streams {
				c.Streams[name] = set
			}
		}
		return m
	}
	return []mode{
		{name: "default", change: func(*Config) {}},
		// What version 4 tells of e-mails is one of many; special_emails_test.go compares it.
		only("version 4", "v4", func(o *object) bool { return o.has(v4) && o.stream != emailStream }, StreamConfig{API: "v4", Read: "query"}),
		only("version 5", "v5", func(o *object) bool { return o.has(v5) }, StreamConfig{API: "v5", Read: "query"}),
		only("exports", "export", func(o *object) bool { return o.exports(v4) }, StreamConfig{Read: "export"}),
	}
}

// read makes syncs read in a mode, and tables compare with what that can tell.
func (l *lab) read(m mode) {
	l.streams = m.streams
	if m.by != "" {
		l.truth = func(table string) iter.Seq[simulate.Row] { return l.TruthBy(table, m.by) }
	}
}

func TestLaws(t *testing.T) {
	for _, m := range modes() {
		t.Run(m.name, func(t *testing.T) {
			sourcetest.Run(t, func(t testing.TB) sourcetest.Setup {
				l, tap := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 20}}), newTap()
				l.transport = tap.transport
				s := sourcetest.Setup{
					Open:    func(t testing.TB) martsync.Source { return l.open(t, m.change) },
					Clock:   l.clock,
					Streams: m.streams, MaxCursors: 2,
					Calls: tap.count,
				}
				if m.by == "" || m.by == "export" { // files are among what is read
					s.Sum = tap.sum
				}
				return s
			})
		})
	}
}

// TestEveryMode reads everything, lets a working day pass, and reads what has changed, three times.
func TestEveryMode(t *testing.T) {
	for _, m := range modes() {
		t.Run(m.name, func(t *testing.T) {
			l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 100}})
			l.proves = true
			l.read(m)
			for range 3 {
				l.sync(t, m.change)
				if t.Failed() {
					return
				}
				l.changes(t, 60)
			}
		})
	}
}

// changes lets records change, with an hour before and a day after.
func (l *lab) changes(t testing.TB, n int) {
	t.Helper()
	l.clock.Advance(time.Hour)
	if said := l.Change(n); len(said) == 0 {
		t.Fatal("nothing has changed")
	}
	l.clock.Advance(25 * time.Hour) // whatever comes once a day is due
}

// everyWay are streams of which one at least is read in each of the ways that there are.
var everyWay = append(slices.Clone(crashStreams), "prospect_accounts", "email_clicks", "campaigns", "tag_objects", "emails", "landing_pages")

// faults are all that the simulator can do, several at a time, in doses that a sync survives.
var faults = [][]string{
	{"code:code=66,every=7", "code:code=183,every=12", "code:code=62,every=17"},
	{"code:code=202,every=11", "code:code=214,every=13"},
	{"code:code=1,every=17", "code:code=66,path=/api/export/,every=2"},
	{"expire:every=11", "login:times=2"},
	{"status:status=500,every=6", "status:status=502,every=10", "status:status=503,every=13"},
	{"status:status=504,every=8", "status:status=429,every=9"},
	{"html:every=6", "empty:every=8"},
	{"broken:every=5", "slow:for=5s,every=9"},
	{"cut:every=6", "drop:every=8"},
	{"wide:for=6h", "wide:for=48h,code=214,path=/api/v5/objects/prospects"},
	{"heavy:rows=20,code=214", "heavy:rows=50,code=63,path=/api/v5/"},
	{"nocreate:times=1", "noreply:nth=4", "fail:times=1", "fail:state=Canceled,nth=6"},
	{"stuck:for=9h,times=2", "lost:times=2", "status:path=*downloadResults*,status=503,times=2"},
	{"cut:path=*downloadResults*,times=1", "cut:path=*downloadResults*,after=700,nth=3", "broken:path=*downloadResults*,nth=4", "html:path=*downloadResults*,nth=6"},
}

// TestFaultsCostOnlyTime lets faults happen in the middle of every way of reading.
func TestFaultsCostOnlyTime(t *testing.T) {
	seen := map[string]bool{}
	for _, some := range faults {
		t.Run(strings.Join(some, " "), func(t *testing.T) {
			// A token that ends by itself just when the fault ends the next one would be one too many.
			l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}, TokenLife: 90 * 24 * time.Hour})
			l.streams, l.proves = everyWay, true
			for _, fault := range some {
				if err := l.AddFault(fault); err != nil {
					t.Fatal(err)
				}
			}
			l.sync(t)
			l.changes(t, 20)
			l.sync(t)
			for _, fault := range some {
				name, _, _ := strings.Cut(fault, ":")
				seen[name] = true
				if l.Stats().Faults[name] == 0 {
					t.Errorf("the fault %s never happened", name)
				}
			}
		})
	}
	for _, f := range pardotsim.Faults {
		if !seen[f.Name] && f.Name != "hang" { // which takes real time
			t.Errorf("no case for the fault %s", f.Name)
		}
	}
}

// TestAVendorThatFallsSilentIsAskedAgain: after half a reply, and after half a file.
func TestAVendorThatFallsSilentIsAskedAgain(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}})
	l.patience, l.streams = 300*time.Millisecond, []string{"tags", "visitor_activities"}
	for _, fault := range []string{"hang:path=/api/v5/objects/tags,times=1", "hang:path=*downloadResults*,times=1"} {
		if err := l.AddFault(fault); err != nil {
			t.Fatal(err)
		}
	}
	l.sync(t)
	if got := l.Stats().Faults["hang"]; got != 2 {
		t.Errorf("the vendor fell silent %d times, want 2", got)
	}
}

// TestX14TheDailyLimitParksASyncUntilTheAccountsMidnight: the account is on another clock than
// the API user.
func TestX14TheDailyLimitParksASyncUntilTheAccountsMidnight(t *testing.T) {
	const calls = 150
	l := newLab(t, pardotsim.Config{
		Options: simulate.Options{Rows: 200}, DailyCalls: calls, AccountZone: "Asia/Kolkata", UserZone: "America/New_York",
	})
	s := l.open(t, func(c *Config) {
		c.AccountTimezone = "Asia/Kolkata"
		c.Limits.DailyReserve = 1
	})
	begin := l.clock.Now()
	out, err := l.run(t, s)
	if err != nil || !out.Done {
		t.Fatalf("sync: %+v, %v", out, err)
	}
	l.compare(t, s)
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	midnights := 0
	for d := begin.In(kolkata); ; midnights++ {
		d = time.Date(d.Year(), d.Month(), d.Day()+1, 0, 0, 0, 0, kolkata)
		if d.After(l.clock.Now()) {
			break
		}
	}
	st := l.Stats()
	if want := st.Calls / calls; midnights < 1 || midnights > want+1 {
		t.Errorf("%d calls of %d a day: %d midnights passed, want about %d", st.Calls, calls, midnights, want)
	}
	if got := st.Refused["122"]; got > 2*midnights {
		t.Errorf("%d calls were refused for the day's limit on %d days: the client does not stop at the first", got, midnights)
	}
}

// TestAccountHasOneName, however the business unit and the host are written: tables go by it.
func TestAccountHasOneName(t *testing.T) {
	const id = "0Uv5A000000MothSAC"
	for _, c := range []struct{ unit, host, want string }{
		{id, "", "pardot:" + id},
		{id[:15], "production", "pardot:" + id},
		{" " + id + " ", "https://PI.Pardot.com/", "pardot:" + id},
		{id, "https://pi.pardot.com:443", "pardot:" + id},
		{id, "demo", "pardot:" + id},
		{id, "http://Proxy.example:8080", "pardot:" + id + "@proxy.example:8080"},
	} {
		l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 1}})
		s := l.open(t, func(cfg *Config) { cfg.BusinessUnit, cfg.APIHost = c.unit, c.host })
		if got := s.Account(); got != c.want {
			t.Errorf("%q at %q: got %s, want %s", c.unit, c.host, got, c.want)
		}
	}
}

// TestTwoBusinessUnitsShareALogin: two sources in one process, and one token for both.
func TestTwoBusinessUnitsShareALogin(t *testing.T) {
	org := pardotsim.NewOrg(11, pardotsim.DefaultUsers()...)
	const life = 7 * 24 * time.Hour // of a token
	one := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 60}, Wire: pardotsim.Wire{Org: org}, Rotate: true, TokenLife: life})
	two := newLab(t, pardotsim.Config{
		Options: simulate.Options{Rows: 60, Seed: 8, Clock: one.clock}, Wire: pardotsim.Wire{Org: org}, Rotate: true, TokenLife: life,
		BusinessUnit: "0Uv5A000000MothCAA",
	})
	login := func(c *Config) { c.LoginURL = one.url }
	a, b := one.open(t, login), two.open(t, login)
	if a.Account() == b.Account() {
		t.Fatalf("both business units are called %s", a.Account())
	}
	for range 2 {
		for _, s := range []struct {
			lab    *lab
			source *source
		}{{one, a}, {two, b}} {
			if out, err := s.lab.run(t, s.source); err != nil || !out.Done {
				t.Fatalf("sync: %+v, %v", out, err)
			}
			s.lab.compare(t, s.source)
			s.lab.Change(20)
		}
		one.clock.Advance(25 * time.Hour)
	}
	logins := one.Stats().ByPath["POST /services/oauth2/token"] + two.Stats().ByPath["POST /services/oauth2/token"]
	if logins != 1 {
		t.Errorf("%d logins, want one for both business units", logins)
	}
}

// TestX07SpringAndAutumn syncs every 49 minutes through the nights in which the clock of the API user is put forward and
// back, by every way of reading naive times.
func TestX07SpringAndAutumn(t *testing.T) {
	for _, m := range modes() {
		for _, night := range []time.Time{
			time.Date(2026, 3, 8, 4, 15, 0, 0, time.UTC),  // two hours and a half before New York's missing hour
			time.Date(2026, 11, 1, 3, 15, 0, 0, time.UTC), // and before its double one
		} {
			if night.Month() == time.March && m.by != "" {
				continue // nothing is ambiguous, and one way of reading is as good as another
			}
			t.Run(m.name+" "+night.Format("January"), func(t *testing.T) {
				l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30, Clock: simulate.NewClock(night)}})
				l.read(m)
				l.proves = true
				l.streams = slices.DeleteFunc([]string{
					"prospects", "list_memberships", "visitor_activities", "visitors", "prospect_accounts", "email_clicks", "tags",
				}, func(name string) bool { return len(m.streams) > 0 && !slices.Contains(m.streams, name) })
				sweep := func(c *Config) { c.Sweep = Sweep(time.Minute) } // what is gone is looked for each time
				for range 7 {
					l.sync(t, m.change, sweep)
					if t.Failed() {
						return
					}
					l.clock.Advance(25 * time.Minute)
					l.Change(20)
					l.clock.Advance(24 * time.Minute)
				}
				l.clock.Advance(21 * time.Hour)
				l.sync(t, m.change, sweep)
			})
		}
	}
}

// TestChangeOfTheUsersZone: times of version 4 shift, and nothing is missed.
func TestChangeOfTheUsersZone(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 100}})
	l.sync(t)
	for _, zone := range []string{"Asia/Tokyo", "America/Los_Angeles", "Europe/London"} {
		l.clock.Advance(30 * time.Minute)
		l.Change(30)
		if err := l.SetUserZone(zone); err != nil {
			t.Fatal(err)
		}
		l.clock.Advance(90 * time.Minute) // what was learned about the zone is an hour old by then
		l.Change(30)
		l.clock.Advance(25 * time.Hour)
		l.sync(t)
	}
}

// switches are answers to questions that the vendor leaves open.
var switches = map[string]pardotsim.Config{
	"version 3":              {SingleEmail: true},
	"no uncertain filters":   {NoFilters: true},
	"rotating tokens":        {Rotate: true, TokenLife: 20 * time.Minute},
	"limits with status 400": {LimitStatus: 400, Concurrency: 1},
	"tokens with status 200": {TokenStatus4: 200, TokenLife: 15 * time.Minute},
	"strict version 4":       {RefuseLimit: true, RefuseUnknown: true, OpenOpportunity: true, NullResult: true},
	"nothing is null":        {EmptyAs: pardotsim.EmptyNull, RawText: true},
	"nothing is absent":      {EmptyAs: pardotsim.EmptyAbsent, BitBools: true},
	"nothing is a text":      {EmptyAs: pardotsim.EmptyText},
	"nothing is an object":   {EmptyAs: pardotsim.EmptyObject, WrapAccount: true},
	"a slow cache":           {CacheLag: time.Minute, ClampLimit: true, Sequence: 40},
	"a quiet recycle bin":    {QuietBin: true},
	"small files, CRLF":      {FileRows: 7, Newline: "\r\n"},
	"masked fields":          {MaskedFields: []string{"prospects.doNotSell", "campaigns.folderId", "tags.objectCount"}},
}

// TestOpenQuestions syncs where the vendor answers differently than it likely does.
func TestOpenQuestions(t *testing.T) {
	for name, cfg := range switches {
		t.Run(name, func(t *testing.T) {
			cfg.Rows = 15
			l := newLab(t, cfg)
			l.proves = true
			m := modes()[0]
			if cfg.FileRows > 0 {
				m = modes()[3]
			}
			l.read(m)
			if !cfg.NoFilters && m.by == "" {
				l.streams = everyWay
			}
			if cfg.QuietBin { // a sweep tells _deleted, and a record that looks unchanged is not read again
				l.truth = func(table string) iter.Seq[simulate.Row] {
					return func(yield func(simulate.Row) bool) {
						for row := range l.Truth(table) {
							if flag, told := row.Values["isDeleted"].(bool); told {
								row.Values["isDeleted"] = simulate.OneOf{flag, !flag}
							}
							if !yield(row) {
								return
							}
						}
					}
				}
			}
			texts := func(c *Config) {
				if cfg.RawText {
					c.HTMLEntities = "keep"
				}
			}
			l.sync(t, m.change, texts)
			l.changes(t, 25)
			l.sync(t, m.change, texts)
		})
	}
}

// describe shows findings for people.
func describe(findings []martsync.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "\n%v %s: %s %s", f.OK, f.Subject, f.Detail, setting.Or(f.Hint, ""))
	}
	return b.String()
}
