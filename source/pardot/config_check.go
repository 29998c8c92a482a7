package pardot

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // machines without a time zone database must know the API user's zone too

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/nearest"
	"github.com/martsync/martsync/internal/setting"
)

// withDefaults returns the configuration with every default filled in, or what is wrong
// with it.
func (c Config) withDefaults() (Config, error) {
	var err error
	if c.BusinessUnit, err = parseUnit(c.BusinessUnit); err != nil {
		return c, err
	}
	switch strings.ToLower(c.APIHost) {
	case "", "production":
		c.APIHost = productionHost
	case "demo":
		c.APIHost = demoHost
	}
	c.LoginURL = setting.Or(c.LoginURL, loginHost)
	for _, h := range []struct{ name, url string }{{"api_host", c.APIHost}, {"login_url", c.LoginURL}} {
		if _, err := parseHost(h.name, h.url); err != nil {
			return c, err
		}
	}
	if c, err = c.withGrant(); err != nil {
		return c, err
	}
	for _, z := range []struct{ name, zone string }{{"timezone", c.Timezone}, {"account_timezone", c.AccountTimezone}} {
		if z.zone == "" {
			continue
		}
		if _, err := loadZone(z.zone); err != nil {
			return c, configError(fmt.Sprintf("%s is %q, which is no time zone", z.name, z.zone), "Give a name such as America/New_York.")
		}
	}
	c.Overlap = setting.Or(c.Overlap, setting.Duration(defaultOverlap))
	if c.Overlap < 0 {
		return c, configError("overlap is negative", "")
	}
	c.Exports.API = setting.Or(c.Exports.API, string(v4))
	if c.Exports.API != string(v4) && c.Exports.API != string(v5) {
		return c, configError(fmt.Sprintf("exports.api is %q", c.Exports.API), "Use v4 or v5.")
	}
	c.HTMLEntities = setting.Or(c.HTMLEntities, "decode")
	if c.HTMLEntities != "decode" && c.HTMLEntities != "keep" {
		return c, configError(fmt.Sprintf("html_entities is %q", c.HTMLEntities), "Use decode or keep.")
	}
	for _, h := range c.DownloadHosts {
		if h == "" || strings.ContainsAny(h, "/@:?# \t") {
			return c, configError(fmt.Sprintf("download_hosts has %q, which is no host name", h), "Give names such as files.example.com.")
		}
	}
	if c, err = c.withLimits(); err != nil {
		return c, err
	}
	return c.withStreams()
}

// withGrant finds out how to log in and checks that the credentials for it are there.
func (c Config) withGrant() (Config, error) {
	if c.Grant == "" {
		switch {
		case c.RefreshToken != "" || c.TokenFile != "":
			c.Grant = grantRefreshToken
		case c.PrivateKey != "":
			c.Grant = grantJWT
		case c.Username != "" || c.Password != "":
			c.Grant = grantPassword
		default:
			c.Grant = grantClientCredentials
		}
	}
	type need struct {
		name string
		has  bool
	}
	id, secret, user := need{"client_id", c.ClientID != ""}, need{"client_secret", c.ClientSecret != ""}, need{"username", c.Username != ""}
	var needs []need
	switch c.Grant {
	case grantRefreshToken: // an app may do without a secret here
		needs = []need{id, {"refresh_token", c.RefreshToken != "" || c.TokenFile != ""}}
	case grantClientCredentials:
		needs = []need{id, secret}
	case grantJWT:
		needs = []need{id, user, {"private_key", c.PrivateKey != ""}}
	case grantPassword:
		needs = []need{id, secret, user, {"password", c.Password != ""}}
	default:
		return c, configError(fmt.Sprintf("grant is %q", c.Grant), "Use refresh_token, client_credentials, jwt or password.")
	}
	for _, n := range needs {
		if !n.has {
			return c, configError(n.name+" is missing", "The grant "+c.Grant+" needs it.")
		}
	}
	if c.Grant == grantJWT && c.Audience == "" {
		c.Audience = audienceOf(c.LoginURL)
	}
	return c, nil
}

// audienceOf is whom an assertion is for: the vendor's login host, however the org's own
// address is called. Salesforce Help, OAuth 2.0 JWT Bearer Flow.
func audienceOf(login string) string {
	u, err := parseHost("login_url", login)
	if err != nil {
		return login
	}
	switch host := strings.ToLower(u.Hostname()); {
	case "https://"+host == sandboxHost || strings.HasSuffix(host, ".sandbox.my.salesforce.com"):
		return sandboxHost
	case strings.HasSuffix(host, ".salesforce.com"):
		return loginHost
	}
	return u.String()
}

func (c Config) withLimits() (Config, error) {
	l := &c.Limits
	l.Concurrent = setting.Or(l.Concurrent, politeConcurrent)
	switch {
	case l.DailyCalls < 0:
		return c, configError("limits.daily_calls is negative", "")
	case l.DailyReserve < 0:
		return c, configError("limits.daily_reserve is negative", "")
	case l.CallsPerMinute < 0:
		return c, configError("limits.calls_per_minute is negative", "")
	case l.Concurrent < 1 || l.Concurrent > vendorConcurrent:
		return c, configError(fmt.Sprintf("limits.concurrent is %d, the vendor allows 1 to %d", l.Concurrent, vendorConcurrent), "")
	}
	return c, nil
}

// withStreams checks the settings of single streams.
func (c Config) withStreams() (Config, error) {
	for _, name := range slices.Sorted(maps.Keys(c.Streams)) {
		s, o := c.Streams[name], objectOf(name)
		at := "streams." + name + "."
		switch {
		case o == nil:
			hint := "martsync streams lists them."
			if near := nearest.Of(name, streamNames()); near != "" {
				hint = "Did you mean " + near + "?"
			}
			return c, configError("streams has "+name+", which is no stream", hint)
		case s.API != "" && s.API != string(v4) && s.API != string(v5):
			return c, configError(fmt.Sprintf("%sapi is %q", at, s.API), "Use v4 or v5.")
		case s.Read != "" && s.Read != string(byAuto) && s.Read != string(byQuery) && s.Read != string(byExport):
			return c, configError(fmt.Sprintf("%sread is %q", at, s.Read), "Use auto, query or export.")
		case s.Overlap < 0 || s.Every < 0 || s.StatsFor < 0:
			return c, configError("streams."+name+" has a negative duration", "")
		}
	}
	return c, c.checkStreams()
}

func configError(what, hint string) error {
	return &martsync.Error{Kind: martsync.Config, Op: "pardot: configuration", Hint: hint, Err: errors.New(what)}
}

var unitID = regexp.MustCompile(`^0Uv[0-9A-Za-z]{12}(?:[0-9A-Z]{3})?$`)

// parseUnit checks a business unit's id and gives it the form of 18 characters, which the
// header asks for.
func parseUnit(id string) (string, error) {
	const hint = "Copy the id that begins with 0Uv from Setup > Business Unit Setup."
	id = strings.TrimSpace(id)
	switch {
	case id == "":
		return "", configError("business_unit is missing", hint)
	case !unitID.MatchString(id):
		// The text is not shown: somebody may have pasted a secret into the wrong field.
		return "", configError("business_unit is no id of 15 or 18 characters that begins with 0Uv", hint)
	case len(id) == 15:
		return id + suffixOf(id), nil
	}
	return id, nil
}

// suffixOf makes the three characters that tell which of the 15 before them are capitals.
// Salesforce Help, ID Field Type.
func suffixOf(id string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	var suffix [3]byte
	for i := range suffix {
		bits := 0
		for j, b := range []byte(id[5*i : 5*i+5]) {
			if b >= 'A' && b <= 'Z' {
				bits |= 1 << j
			}
		}
		suffix[i] = alphabet[bits]
	}
	return string(suffix[:])
}

// parseHost reads a base URL, with or without its scheme. Any HTTP server is taken, for
// simulators and proxies.
func parseHost(name, text string) (*url.URL, error) {
	hint := "Give a URL such as " + loginHost + "."
	if name == "api_host" {
		hint = "Give production, demo or a URL such as " + productionHost + "."
	}
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		// Nor is this text shown.
		return nil, configError(name+" is not a URL", hint)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, configError(name+" has more than host and path", hint)
	case u.Scheme == "http" && vendorHost(u.Hostname()):
		return nil, configError(name+" is not https", hint)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}, nil
}

// vendorHost reports whether the host is the vendor's, who serves nothing but TLS.
func vendorHost(host string) bool {
	host = strings.ToLower(host)
	return strings.HasSuffix(host, ".pardot.com") || strings.HasSuffix(host, ".salesforce.com")
}

// loadZone loads a time zone by its name. "Local" and "" are none.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is no time zone", name)
	}
	return time.LoadLocation(name)
}
