package pardot

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot/pardotsim"
)

// small is a business unit for tests of calls rather than of data.
func small() pardotsim.Config { return pardotsim.Config{Options: simulate.Options{Rows: 20}} }

var idOfTags = url.Values{"fields": {"id"}}

func TestX01TokensEndAtTheSimulator(t *testing.T) {
	for _, status := range []int{200, 401} { // of version 4
		cfg := small()
		cfg.TokenStatus4 = status
		l := newLab(t, cfg)
		a, b := l.open(t), l.open(t)
		for round := range 3 {
			var wg sync.WaitGroup
			for i := range 12 {
				c := []*client{a.client, b.client}[i%2]
				wg.Go(func() {
					var err error
					if i%3 == 0 {
						_, err = c.query4(context.Background(), "query tags", tagResource, nil)
					} else {
						_, err = c.query5(context.Background(), "query tags", "tags", idOfTags)
					}
					if err != nil {
						t.Errorf("status %d, round %d: %v", status, round, err)
					}
				})
			}
			wg.Wait()
			if got := l.Stats().ByPath["POST /services/oauth2/token"]; got != round+1 {
				t.Errorf("status %d: %d logins after %d tokens have ended, want one more", status, got, round)
			}
			l.clock.Advance(time.Second)
			l.ExpireTokens()
		}
	}
}

func TestX02RotationAtTheSimulator(t *testing.T) {
	cfg := small()
	cfg.Rotate = true
	l := newLab(t, cfg)
	file := filepath.Join(t.TempDir(), "token")
	for range 3 {
		s := l.open(t, func(c *Config) { c.TokenFile = file })
		for range 2 {
			if _, err := s.client.query5(t.Context(), "query tags", "tags", idOfTags); err != nil {
				t.Fatal(err)
			}
			l.clock.Advance(time.Second)
			l.ExpireTokens()
		}
		s.client.tokens.refresh = "" // as another process, which knows the file alone
	}
}

func TestX16VersionAtTheSimulator(t *testing.T) {
	for _, single := range []bool{false, true} {
		cfg := small()
		cfg.SingleEmail = single
		l := newLab(t, cfg)
		s := l.open(t)
		for range 3 {
			if p, err := s.client.query4(t.Context(), "query tags", tagResource, nil); err != nil || len(p.rows) == 0 {
				t.Fatalf("single address %v: %+v, %v", single, p, err)
			}
		}
		refused := l.Stats().Refused["88"] + l.Stats().Refused["89"]
		if want := map[bool]int{true: 1}[single]; refused != want || s.client.legacy.Load() != single {
			t.Errorf("single address %v: %d calls of the wrong version, want %d", single, refused, want)
		}
	}
}

func TestGrantsAtTheSimulator(t *testing.T) {
	user := pardotsim.DefaultUsers()[0]
	none := func(c *Config) { c.RefreshToken, c.Grant = "", "" }
	password := func(c *Config) {
		none(c)
		c.Username, c.Password, c.SecurityToken = user.Username, martsync.Secret(user.Password), martsync.Secret(user.SecurityToken)
	}
	for _, tc := range []struct {
		name   string
		config func(*pardotsim.Config)
		change func(*Config)
		kind   martsync.Kind // 0: it works
		hint   string
	}{
		{"client credentials", nil, none, 0, ""},
		{"client credentials at the generic login host", func(c *pardotsim.Config) { c.Generic = true }, none, martsync.Auth, "My Domain"},
		{"password", nil, password, 0, ""},
		{"wrong password", nil, func(c *Config) { password(c); c.Password = "hush" }, martsync.Auth, "password"},
		{"no security token", nil, func(c *Config) { password(c); c.SecurityToken = "" }, martsync.Auth, "security_token"},
		{"wrong secret", nil, func(c *Config) { c.ClientSecret = "hush" }, martsync.Auth, "client_secret"},
		{"wrong client", nil, func(c *Config) { c.ClientID = "nobody" }, martsync.Auth, "client_id"},
		{"revoked refresh token", nil, func(c *Config) { c.RefreshToken = "hush" }, martsync.Auth, "refresh token"},
		{"no scope", func(c *pardotsim.Config) { c.NoScope = true }, func(*Config) {}, martsync.Auth, "pardot_api"},
		{"another business unit", nil, func(c *Config) { c.BusinessUnit = "0Uv5A000000MothCAA" }, martsync.Config, "api_host"},
		{"one without the user", func(c *pardotsim.Config) { c.OtherUnits = []string{"0Uv5A000000MothCAA"} }, func(c *Config) { c.BusinessUnit = "0Uv5A000000MothCAA" }, martsync.Auth, "synced"},
		{"another API host", func(c *pardotsim.Config) { c.Host = "pi.demo.pardot.com" }, func(*Config) {}, martsync.Config, "demo"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := small()
			if tc.config != nil {
				tc.config(&cfg)
			}
			l := newLab(t, cfg)
			s := l.open(t, tc.change)
			for name, query := range map[string]func() error{
				"version 5": func() error {
					_, err := s.client.query5(hasty(t.Context()), "query tags", "tags", idOfTags)
					return err
				},
				"version 4": func() error {
					_, err := s.client.query4(hasty(t.Context()), "query tags", tagResource, nil)
					return err
				},
			} {
				err := query()
				if tc.kind == 0 {
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					continue
				}
				if martsync.KindOf(err) != tc.kind || !strings.Contains(martsync.HintOf(err), tc.hint) || strings.Contains(err.Error(), "hush") {
					t.Errorf("%s: %v (%v, %s), want %v and %q", name, err, martsync.KindOf(err), martsync.HintOf(err), tc.kind, tc.hint)
				}
			}
		})
	}
}

func TestZoneAtTheSimulator(t *testing.T) {
	for _, name := range []string{"America/New_York", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland"} {
		cfg := small()
		cfg.UserZone = name
		l := newLab(t, cfg)
		s := l.open(t)
		z, err := s.zone(t.Context())
		if err != nil || z.loc.String() != name {
			t.Errorf("got %v, %v, want %s", z, err, name)
		}
	}
	// A login whose zone at Salesforce is another one is no matter: the vendor's own counts.
	cfg := small()
	cfg.LoginZone = "Asia/Tokyo"
	if z, err := newLab(t, cfg).open(t).zone(t.Context()); err != nil || z.loc.String() != "America/New_York" {
		t.Errorf("got %v, %v", z, err)
	}
}

func TestX14DailyLimitOfTheSimulator(t *testing.T) {
	for _, status := range []int{0, 400} {
		cfg := small()
		cfg.DailyCalls, cfg.AccountZone, cfg.LimitStatus = 20, "America/Los_Angeles", status
		l := newLab(t, cfg)
		s := l.open(t, func(c *Config) { c.AccountTimezone, c.Limits.DailyReserve = "America/Los_Angeles", 1 })
		var err error
		calls := 0
		for ; err == nil && calls < 100; calls++ {
			_, err = s.client.query4(t.Context(), "query tags", tagResource, nil)
		}
		if calls != 21 || codeOf(err) != 122 || martsync.KindOf(err) != martsync.Quota {
			t.Fatalf("call %d: %v, want 122 at call 21", calls, err)
		}
		l.clock.Advance(martsync.AfterOf(err))
		if _, err := s.client.query4(t.Context(), "query tags", tagResource, nil); err != nil {
			t.Errorf("the next day: %v", err)
		}
		if got := l.Stats().Refused["122"]; got != 1 {
			t.Errorf("%d calls were refused, want 1", got)
		}
	}
}

func TestUsageIsToldByTheSimulator(t *testing.T) {
	l := newLab(t, small())
	s := l.open(t)
	for range 3 {
		if _, err := s.client.query5(t.Context(), "query tags", "tags", idOfTags); err != nil {
			t.Fatal(err)
		}
	}
	if u := s.Usage()[0]; u.Spent != 3 || u.Today != 3 || u.Limit != 100_000 {
		t.Errorf("usage %+v, want 3 calls of 100,000", u)
	}
}
