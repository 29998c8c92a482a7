package pardot

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

func goodConfig() Config {
	return Config{BusinessUnit: fakeUnit, ClientID: "id", ClientSecret: "secret", RefreshToken: "refresh"}
}

func TestDefaults(t *testing.T) {
	got, err := goodConfig().withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	want := goodConfig()
	want.APIHost, want.LoginURL, want.Grant = "https://pi.pardot.com", "https://login.salesforce.com", "refresh_token"
	want.Overlap, want.HTMLEntities, want.Exports.API, want.Limits.Concurrent = setting.Duration(24*time.Hour), "decode", "v4", 2
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestConfigChoices(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Config)
		get    func(Config) string
		want   string
	}{
		{"production", func(c *Config) { c.APIHost = "production" }, func(c Config) string { return c.APIHost }, productionHost},
		{"demo", func(c *Config) { c.APIHost = "Demo" }, func(c Config) string { return c.APIHost }, demoHost},
		{"any API host", func(c *Config) { c.APIHost = "http://127.0.0.1:1" }, func(c Config) string { return c.APIHost }, "http://127.0.0.1:1"},
		{"unit of 15 characters", func(c *Config) { c.BusinessUnit = "0Uv000000000001" }, func(c Config) string { return c.BusinessUnit }, "0Uv000000000001CAA"},
		{"unit with capitals", func(c *Config) { c.BusinessUnit = "0UvB0000000GmaM" }, func(c Config) string { return c.BusinessUnit }, "0UvB0000000GmaMKAS"},
		{"unit with spaces around", func(c *Config) { c.BusinessUnit = " 0Uv000000000001CAA\n" }, func(c Config) string { return c.BusinessUnit }, fakeUnit},
		{"refresh token wins", func(c *Config) { c.Username, c.Password = "u", "p" }, func(c Config) string { return c.Grant }, grantRefreshToken},
		{"token file alone", func(c *Config) { c.RefreshToken, c.TokenFile = "", "f" }, func(c Config) string { return c.Grant }, grantRefreshToken},
		{"jwt", func(c *Config) { c.RefreshToken, c.PrivateKey, c.Username = "", "k", "u" }, func(c Config) string { return c.Grant }, grantJWT},
		{"password", func(c *Config) { c.RefreshToken, c.Username, c.Password = "", "u", "p" }, func(c Config) string { return c.Grant }, grantPassword},
		{"client credentials", func(c *Config) { c.RefreshToken = "" }, func(c Config) string { return c.Grant }, grantClientCredentials},
		{"grant as said", func(c *Config) { c.Grant = grantClientCredentials }, func(c Config) string { return c.Grant }, grantClientCredentials},
		{"audience of production", jwtAt("https://login.salesforce.com"), func(c Config) string { return c.Audience }, loginHost},
		{"audience of a sandbox", jwtAt("https://test.salesforce.com"), func(c Config) string { return c.Audience }, sandboxHost},
		{"audience of a domain", jwtAt("https://kestrel.my.salesforce.com"), func(c Config) string { return c.Audience }, loginHost},
		{"audience of a sandbox's domain", jwtAt("https://kestrel--uat.sandbox.my.salesforce.com/"), func(c Config) string { return c.Audience }, sandboxHost},
		{"audience elsewhere", jwtAt("http://127.0.0.1:9/"), func(c Config) string { return c.Audience }, "http://127.0.0.1:9"},
		{"audience as said", func(c *Config) { jwtAt(loginHost)(c); c.Audience = "https://site" }, func(c Config) string { return c.Audience }, "https://site"},
	} {
		c := goodConfig()
		tc.change(&c)
		got, err := c.withDefaults()
		if err != nil || tc.get(got) != tc.want {
			t.Errorf("%s: %q, %v, want %q", tc.name, tc.get(got), err, tc.want)
		}
		if again, err := got.withDefaults(); err != nil || tc.get(again) != tc.want {
			t.Errorf("%s, with its defaults: %q, %v", tc.name, tc.get(again), err)
		}
	}
}

func jwtAt(login string) func(*Config) {
	return func(c *Config) { c.RefreshToken, c.PrivateKey, c.Username, c.LoginURL = "", "k", "u", login }
}

func TestConfigMistakes(t *testing.T) {
	yes := true
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   string // in the error or the hint
	}{
		{"no unit", func(c *Config) { c.BusinessUnit = "" }, "business_unit"},
		{"short unit", func(c *Config) { c.BusinessUnit = "0Uv0001" }, "15 or 18"},
		{"another id", func(c *Config) { c.BusinessUnit = "005000000000001AAA" }, "0Uv"},
		{"strange unit", func(c *Config) { c.BusinessUnit = "0Uv00000000000/CAA" }, "0Uv"},
		{"API host", func(c *Config) { c.APIHost = "ftp://x" }, "api_host"},
		{"API host in the clear", func(c *Config) { c.APIHost = "http://pi.pardot.com" }, "https"},
		{"API host with a query", func(c *Config) { c.APIHost = "https://pi.pardot.com?x=1" }, "api_host"},
		{"login", func(c *Config) { c.LoginURL = "http://login.salesforce.com" }, "login_url"},
		{"login with a user", func(c *Config) { c.LoginURL = "https://a:b@login.salesforce.com" }, "login_url"},
		{"no client", func(c *Config) { c.ClientID = "" }, "client_id"},
		{"no secret", func(c *Config) { c.ClientSecret, c.RefreshToken = "", "" }, "client_secret"},
		{"grant", func(c *Config) { c.Grant = "magic" }, "refresh_token"},
		{"no refresh token", func(c *Config) { c.Grant, c.RefreshToken = grantRefreshToken, "" }, "refresh_token"},
		{"no key", func(c *Config) { c.Grant, c.Username = grantJWT, "u" }, "private_key"},
		{"no user for a key", func(c *Config) { c.Grant, c.PrivateKey = grantJWT, "k" }, "username"},
		{"no password", func(c *Config) { c.Grant, c.Username = grantPassword, "u" }, "password"},
		{"no user for a password", func(c *Config) { c.Grant, c.Password = grantPassword, "p" }, "username"},
		{"timezone", func(c *Config) { c.Timezone = "Mars/Olympus" }, "timezone"},
		{"this machine's timezone", func(c *Config) { c.AccountTimezone = "Local" }, "account_timezone"},
		{"overlap", func(c *Config) { c.Overlap = -1 }, "overlap"},
		{"exports", func(c *Config) { c.Exports.API = "v3" }, "exports.api"},
		{"entities", func(c *Config) { c.HTMLEntities = "yes" }, "html_entities"},
		{"download host", func(c *Config) { c.DownloadHosts = []string{"https://x"} }, "download_hosts"},
		{"concurrent", func(c *Config) { c.Limits.Concurrent = 6 }, "limits.concurrent"},
		{"no concurrent", func(c *Config) { c.Limits.Concurrent = -1 }, "limits.concurrent"},
		{"daily calls", func(c *Config) { c.Limits.DailyCalls = -1 }, "daily_calls"},
		{"reserve", func(c *Config) { c.Limits.DailyReserve = -1 }, "daily_reserve"},
		{"per minute", func(c *Config) { c.Limits.CallsPerMinute = -1 }, "calls_per_minute"},
		{"unknown stream", func(c *Config) { c.Streams = map[string]StreamConfig{"prospect": {}} }, "Did you mean prospects?"},
		{"misspelt stream", func(c *Config) { c.Streams = map[string]StreamConfig{"visitor_actvities": {}} }, "Did you mean visitor_activities?"},
		{"api of a stream", func(c *Config) { c.Streams = map[string]StreamConfig{"tags": {API: "v3"}} }, "streams.tags.api"},
		{"read of a stream", func(c *Config) { c.Streams = map[string]StreamConfig{"tags": {Read: "bulk", Stats: &yes}} }, "streams.tags.read"},
		{"overlap of a stream", func(c *Config) { c.Streams = map[string]StreamConfig{"tags": {Overlap: -1}} }, "negative"},
	} {
		c := goodConfig()
		tc.change(&c)
		_, err := Open(t.Context(), c, martsync.Env{})
		if martsync.KindOf(err) != martsync.Config || err == nil {
			t.Errorf("%s: %v, want kind config", tc.name, err)
			continue
		}
		if !strings.Contains(err.Error()+" "+martsync.HintOf(err), tc.want) {
			t.Errorf("%s: %v (%s), want %q", tc.name, err, martsync.HintOf(err), tc.want)
		}
	}
}

func TestWrongFieldsAreNotShown(t *testing.T) {
	const secret = "3MVG9-hush-hush"
	for name, change := range map[string]func(*Config){
		"unit": func(c *Config) { c.BusinessUnit = secret }, "API host": func(c *Config) { c.APIHost = "%" + secret },
		"login": func(c *Config) { c.LoginURL = "https://u:" + secret + "@x" },
	} {
		c := goodConfig()
		change(&c)
		if _, err := c.withDefaults(); err == nil || strings.Contains(err.Error()+martsync.HintOf(err), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSweepSetting(t *testing.T) {
	for text, want := range map[string]Sweep{"off": sweepOff, "36h": Sweep(36 * time.Hour), "7d": Sweep(7 * 24 * time.Hour)} {
		var c Config
		if err := json.Unmarshal([]byte(`{"sweep":"`+text+`","streams":{"tags":{"sweep":"`+text+`"}}}`), &c); err != nil || c.Sweep != want || c.Streams["tags"].Sweep != want {
			t.Errorf("%q: %v, %v, want %v", text, c.Sweep, err, want)
		}
		var again Config
		if back, err := json.Marshal(c); err != nil || json.Unmarshal(back, &again) != nil || again.Sweep != want || again.Streams["tags"].Sweep != want {
			t.Errorf("%q is written as %s, %v", text, back, err)
		}
	}
	for _, text := range []string{"", "on", "-1h", "7"} {
		var s Sweep
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a sweep of %v", text, s)
		}
	}
}

func FuzzParseUnit(f *testing.F) {
	f.Add(fakeUnit)
	f.Add("0Uv000000000001")
	f.Fuzz(func(t *testing.T, id string) {
		unit, err := parseUnit(id)
		if err != nil {
			return
		}
		if again, err := parseUnit(unit); err != nil || again != unit || len(unit) != 18 {
			t.Errorf("%q becomes %q, then %q, %v", id, unit, again, err)
		}
	})
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"pi.pardot.com", "https://x/y/", "http://login.salesforce.com", "//", "https://a@b", "x y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseHost("api_host", text)
		if err != nil {
			return
		}
		if u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme == "http" && vendorHost(u.Hostname()) {
			t.Errorf("%q becomes %s", text, u)
		}
	})
}
