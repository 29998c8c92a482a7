package marketo

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

func TestE1_EndpointForms(t *testing.T) {
	const vendor = "https://917-qxl-204.mktorest.com"
	for _, tc := range []struct{ endpoint, base, account string }{
		{"917-QXL-204", vendor, "917-QXL-204"},
		{" 917-qxl-204 ", vendor, "917-QXL-204"},
		{"https://917-QXL-204.mktorest.com", vendor, "917-QXL-204"},
		{"https://917-QXL-204.mktorest.com/", vendor, "917-QXL-204"},
		{"https://917-QXL-204.mktorest.com/rest", vendor, "917-QXL-204"},
		{"https://917-QXL-204.mktorest.com/rest/", vendor, "917-QXL-204"},
		{"https://917-QXL-204.mktorest.com//rest//", vendor, "917-QXL-204"},
		{"https://917-QXL-204.mktorest.com/identity", vendor, "917-QXL-204"},
		{"917-qxl-204.mktorest.com/rest", vendor, "917-QXL-204"},
		{"http://917-QXL-204.mktorest.com/rest", vendor, "917-QXL-204"}, // never in the clear
		{"https://917-QXL-204.MktoRest.com:443", vendor, "917-QXL-204"},
		{"917-qxl-204.mktorest.com.", vendor, "917-QXL-204"},
		{"https://Proxy.Example/Marketo/rest", "https://proxy.example/Marketo", "proxy.example/Marketo"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080"},
		{"http://127.0.0.1:8080/rest/", "http://127.0.0.1:8080", "127.0.0.1:8080"},
		{"https://proxy.example/marketo/rest", "https://proxy.example/marketo", "proxy.example/marketo"},
	} {
		base, account, err := parseEndpoint(tc.endpoint)
		if err != nil {
			t.Errorf("%q: %v", tc.endpoint, err)
			continue
		}
		if base.String() != tc.base || account != tc.account {
			t.Errorf("%q: base %s, account %s, want %s and %s", tc.endpoint, base, account, tc.base, tc.account)
		}
	}
	for _, endpoint := range []string{"", "  ", "ftp://x", "https://", "https://1-2-3.mktorest.com", "https://x.example?client_secret=hush", "https://user:hush@x.example", "%zz hush"} {
		_, _, err := parseEndpoint(endpoint)
		if martsync.KindOf(err) != martsync.Config || err == nil {
			t.Errorf("%q: %v, want an error of the configuration", endpoint, err)
		} else if strings.Contains(err.Error(), "hush") || martsync.HintOf(err) == "" {
			t.Errorf("%q: %v, want a hint and no secret", endpoint, err)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	f.Add("917-QXL-204")
	f.Add("https://917-QXL-204.mktorest.com/rest/")
	f.Add("http://[::1]:80/rest/rest")
	f.Fuzz(func(t *testing.T, endpoint string) {
		base, account, err := parseEndpoint(endpoint)
		if err != nil {
			return
		}
		again, same, err := parseEndpoint(base.String())
		if err != nil || again.String() != base.String() || same != account {
			t.Errorf("%q gives %q (%s), which gives %v (%s), %v", endpoint, base, account, again, same, err)
		}
	})
}

func TestConfigDefaults(t *testing.T) {
	c, err := Config{Endpoint: "917-QXL-204", ClientID: "a", ClientSecret: "b"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	want := Limits{DailyQuota: 50_000, DailyCalls: 25_000, DailyReserve: 10_000, CallsPer20s: 50, Concurrent: 5, ExportMegabytes: 250, ExportQuotaMegabytes: 500}
	if c.Limits != want {
		t.Errorf("limits %+v, want %+v", c.Limits, want)
	}
	if c.Activities.Mode != "auto" || time.Duration(c.Activities.Overlap) != 24*time.Hour || time.Duration(c.Assets.FullListingEvery) != 7*24*time.Hour {
		t.Errorf("defaults %+v %+v", c.Activities, c.Assets)
	}
	if got := c.Limits.exportBytes(); got != 250_000_000 {
		t.Errorf("export bytes %d, want 250000000", got)
	}
}

func TestConfigErrors(t *testing.T) {
	ok := Config{Endpoint: "917-QXL-204", ClientID: "a", ClientSecret: "b"}
	for name, change := range map[string]func(*Config){
		"client_id":          func(c *Config) { c.ClientID = "" },
		"client_secret":      func(c *Config) { c.ClientSecret = "" },
		"daily_calls":        func(c *Config) { c.Limits.DailyCalls = -1 },
		"calls_per_20s":      func(c *Config) { c.Limits.CallsPer20s = 101 },
		"concurrent":         func(c *Config) { c.Limits.Concurrent = 11 },
		"activities.mode":    func(c *Config) { c.Activities.Mode = "fast" },
		"duration":           func(c *Config) { c.ListMembers.Every = -1 },
		"endpoint":           func(c *Config) { c.Endpoint = "" },
		"export_megabytes":   func(c *Config) { c.Limits.ExportMegabytes = -5 },
		"limits.daily_quota": func(c *Config) { c.Limits.DailyQuota = -5 },
	} {
		c := ok
		change(&c)
		_, err := open(c, martsync.Env{})
		if martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error of the configuration that names it", name, err)
		}
	}
}

func TestConfigReadsYAMLAndJSON(t *testing.T) {
	check := func(t *testing.T, c Config, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if c.ClientSecret.Reveal() != "s" || !c.Start.Equal(time.Date(2020, 1, 31, 0, 0, 0, 0, time.UTC)) ||
			time.Duration(c.Activities.Overlap) != 36*time.Hour || time.Duration(c.Assets.FullListingEvery) != 14*24*time.Hour ||
			len(c.Activities.Exclude) != 2 || c.Limits.DailyCalls != 1000 {
			t.Errorf("got %+v", c)
		}
	}
	var y Config
	err := yaml.UnmarshalWithOptions([]byte(`
endpoint: 917-QXL-204
client_id: c
client_secret: s
start: 2020-01-31
limits: {daily_calls: 1000}
activities: {exclude: [1, Visit Webpage], overlap: 36h}
assets: {full_listing_every: 14d}
`), &y, yaml.Strict())
	check(t, y, err)
	var j Config
	err = json.Unmarshal([]byte(`{"endpoint":"917-QXL-204","client_id":"c","client_secret":"s","start":"2020-01-31T00:00:00Z",
		"limits":{"daily_calls":1000},"activities":{"exclude":["1","Visit Webpage"],"overlap":"36h"},"assets":{"full_listing_every":"14d"}}`), &j)
	check(t, j, err)
	if b, err := json.Marshal(j); err != nil || strings.Contains(string(b), `"s"`) {
		t.Errorf("written as JSON: %s, %v, want no secret", b, err)
	}
}

func TestMomentsAndDurations(t *testing.T) {
	for _, bad := range []string{"", "yesterday", "2020-13-01", "31.1.2020"} {
		if err := new(setting.Moment).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("moment %q: no error", bad)
		}
	}
	for _, bad := range []string{"", "7", "d", "-1d", "1.5d", "x"} {
		if err := new(setting.Duration).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("duration %q: no error", bad)
		}
	}
	for text, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "0d": 0, "90m": 90 * time.Minute, "36h": 36 * time.Hour} {
		var d setting.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("duration %q: %v, %v, want %v", text, time.Duration(d), err, want)
		}
		b, err := d.MarshalText()
		var again setting.Duration
		if err != nil || again.UnmarshalText(b) != nil || again != d {
			t.Errorf("duration %q is written as %q, %v, and read as %v", text, b, err, time.Duration(again))
		}
	}
}

func TestConnectorOpensItsConfig(t *testing.T) {
	cfg, ok := Connector.NewConfig().(*Config)
	if !ok {
		t.Fatalf("NewConfig returns a %T", Connector.NewConfig())
	}
	*cfg = Config{Endpoint: "917-QXL-204", ClientID: "a", ClientSecret: "b"}
	s, err := Connector.Open(t.Context(), cfg, newFakeVendor(t, nil).env(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Account(); got != "marketo:917-QXL-204" {
		t.Errorf("account %q, want marketo:917-QXL-204", got)
	}
	if _, err := Connector.Open(t.Context(), Config{}, martsync.Env{}); martsync.KindOf(err) != martsync.Internal || err == nil {
		t.Errorf("a configuration by value: %v, want an internal error", err)
	}
}

func TestAssetSettings(t *testing.T) {
	base := Config{Endpoint: "123-ABC-456", ClientID: "id", ClientSecret: "s"}
	c, err := base.withDefaults()
	if err != nil || c.Assets.ProgramReads != 3000 || c.Tokens.Every != setting.Duration(24*time.Hour) || c.Assets.Every != 0 {
		t.Errorf("defaults %+v %+v, %v", c.Assets, c.Tokens, err)
	}
	for name, change := range map[string]func(*Config){
		"assets.every":         func(c *Config) { c.Assets.Every = -1 },
		"tokens.every":         func(c *Config) { c.Tokens.Every = -1 },
		"assets.program_reads": func(c *Config) { c.Assets.ProgramReads = -1 },
	} {
		c := base
		change(&c)
		if _, err := c.withDefaults(); martsync.KindOf(err) != martsync.Config {
			t.Errorf("%s below zero: %v, want an error of kind Config", name, err)
		}
	}
}
