package pardot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot/pardotsim"
)

func TestCheckOfAHealthyAccount(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 60}})
	before := l.Stats()
	findings := l.open(t).Check(t.Context())
	seen := map[string]martsync.Finding{}
	for _, f := range findings {
		if !f.OK {
			t.Errorf("%s: %s", f.Subject, f.Detail)
		}
		if _, twice := seen[f.Subject]; twice || f.Detail == "" {
			t.Errorf("finding %+v comes twice or says nothing", f)
		}
		seen[f.Subject] = f
	}
	for subject, text := range map[string]string{
		"credentials": "refresh_token", "API host": "127.0.0.1", "business unit": pardotsim.DefaultBusinessUnit,
		"version 4": "share", "time zone of the API user": "America/New_York", "API calls today": "of 100000",
		"exports": "can be created", "list of exports": "readable",
	} {
		if !strings.Contains(seen[subject].Detail, text) {
			t.Errorf("%s: %q, want %q in it", subject, seen[subject].Detail, text)
		}
	}
	for _, o := range catalog {
		if _, ok := seen["stream "+o.stream]; !ok {
			t.Errorf("nothing about stream %s", o.stream)
		}
	}
	after := l.Stats()
	if after.ExportJobs != before.ExportJobs {
		t.Errorf("%d exports were created by looking", after.ExportJobs-before.ExportJobs)
	}
	if calls := after.Calls - before.Calls; calls > len(catalog)+15 {
		t.Errorf("%d calls for %d streams, want about one each", calls, len(catalog))
	}
}

func TestCheckOfVersion3(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}, SingleEmail: true})
	for _, f := range l.open(t).Check(t.Context()) {
		if !f.OK {
			t.Errorf("%s: %s", f.Subject, f.Detail)
		}
		if f.Subject == "version 4" && !strings.Contains(f.Detail, "version 3") {
			t.Errorf("%s: %s, want version 3", f.Subject, f.Detail)
		}
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	users := pardotsim.DefaultUsers()
	users[0].Denied = []string{"Admin > Exports > View", "Prospects > Visitors > View", "Marketing > Segmentation > Lists > View"}
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}, Wire: pardotsim.Wire{Users: users}})
	want := map[string]string{"exports": "Prospects > Visitors > View", "list of exports": "Admin > Exports > View"}
	for _, f := range l.open(t).Check(t.Context()) {
		if hint, bad := want[f.Subject]; bad {
			if f.OK || !strings.Contains(f.Hint, hint) {
				t.Errorf("%+v, want a hint about %q", f, hint)
			}
			if martsync.KindOf(f.Err) != martsync.Unavailable {
				t.Errorf("%s is of kind %s: a sync works without", f.Subject, martsync.KindOf(f.Err))
			}
			delete(want, f.Subject)
		}
	}
	if len(want) > 0 {
		t.Errorf("no findings about %v", want)
	}
}

func TestCheckOfStreamsThatTheUserMayNotRead(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}})
	for _, path := range []string{"/api/v5/objects/prospects", "/api/v5/objects/files"} {
		if err := l.AddFault("code:code=46,path=" + path); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range l.open(t).Check(t.Context()) {
		want := map[string]martsync.Kind{"stream prospects": martsync.Auth, "stream files": martsync.Unavailable}
		kind, bad := want[f.Subject]
		switch {
		case f.OK == bad:
			t.Errorf("%+v", f)
		case bad && (martsync.KindOf(f.Err) != kind || f.Hint == ""):
			t.Errorf("%s is of kind %s, want %s and a hint: %+v", f.Subject, martsync.KindOf(f.Err), kind, f)
		}
	}
}

func TestCheckStopsWhereNothingElseWouldWork(t *testing.T) {
	users := pardotsim.DefaultUsers()
	users[0].Unsynced = true
	for _, tc := range []struct {
		name    string
		cfg     pardotsim.Config
		change  func(*Config)
		subject string
		hint    string
		kind    martsync.Kind
	}{
		{"a wrong secret", pardotsim.Config{}, func(c *Config) { c.ClientSecret = "hush-hush" }, "credentials", "client_secret", martsync.Auth},
		{"a wrong refresh token", pardotsim.Config{}, func(c *Config) { c.RefreshToken = "hush-hush" }, "credentials", "refresh token", martsync.Auth},
		{"a wrong API host", pardotsim.Config{Wire: pardotsim.Wire{Host: "pi.demo.pardot.com"}}, nil, "API host", "api_host", martsync.Config},
		{"another business unit", pardotsim.Config{}, func(c *Config) { c.BusinessUnit = "0Uv000000000009CAA" }, "API host", "business_unit", martsync.Config},
		{"a user who is not synced", pardotsim.Config{Wire: pardotsim.Wire{Users: users}}, nil, "business unit", "synced", martsync.Auth},
		{"an app without scope", pardotsim.Config{NoScope: true}, nil, "business unit", "pardot_api", martsync.Auth},
		{"no server", pardotsim.Config{}, func(c *Config) { c.APIHost = "http://127.0.0.1:1" }, "API host", "api_host", martsync.Transient},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.cfg.Rows = 30
			l := newLab(t, tc.cfg)
			if tc.change == nil {
				tc.change = func(*Config) {}
			}
			findings := l.open(t, tc.change).Check(t.Context())
			last := findings[len(findings)-1]
			if last.Subject != tc.subject || last.OK || !strings.Contains(last.Hint, tc.hint) || martsync.KindOf(last.Err) != tc.kind || len(findings) > 3 {
				t.Errorf("the last finding is %+v of kind %s, want %s with a hint about %s, of kind %s:%s",
					last, martsync.KindOf(last.Err), tc.subject, tc.hint, tc.kind, describe(findings))
			}
			if strings.Contains(l.log.String()+fmt.Sprint(findings), "hush-hush") {
				t.Error("the secret is shown")
			}
		})
	}
}

func TestCheckSaysWhoToldTheZone(t *testing.T) {
	hidden := []string{"code:code=46,path=/api/user/", "code:code=46,path=/api/v5/objects/users"}
	for _, tc := range []struct {
		zone   string
		faults []string
		want   string
	}{
		{"", nil, "America/New_York, now Wed 12:30 EDT, says the user's record in the business unit"},
		{"", hidden, "America/New_York, now Wed 12:30 EDT, says the user's record in Salesforce"},
		{"Europe/Berlin", hidden, "Europe/Berlin, now Wed 17:30 CET, says the configuration"},
	} {
		l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}})
		for _, fault := range tc.faults {
			if err := l.AddFault(fault); err != nil {
				t.Fatal(err)
			}
		}
		f := l.open(t, func(c *Config) { c.Timezone = tc.zone }).checkZone(t.Context())
		if !f.OK || f.Detail != tc.want {
			t.Errorf("%+v, want %s", f, tc.want)
		}
	}
}

func TestCheckWarnsOfAZoneThatNobodyTells(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}})
	for _, fault := range []string{
		"code:code=46,path=/api/user/", "code:code=46,path=/api/v5/objects/users", "status:status=403,path=/services/oauth2/userinfo", "status:status=403,path=/id/",
	} {
		if err := l.AddFault(fault); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range l.open(t).Check(t.Context()) {
		switch f.Subject {
		case "time zone of the API user":
			if f.OK || !strings.Contains(f.Hint, "timezone") {
				t.Errorf("%+v, want a hint about timezone", f)
			}
		case "credentials", "business unit", "exports":
			if !f.OK {
				t.Errorf("%+v", f)
			}
		}
	}
}
