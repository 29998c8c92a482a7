package pardotsim

import (
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync/simulate"
)

// A User is a user of Salesforce that is synced to the business unit, with an app of its own: the
// way integrations are set up.
type User struct {
	ClientID, Secret string
	Username         string // at Salesforce
	Password         string
	SecurityToken    string         // to be appended to the password; "": the caller's address is trusted
	PublicKey        *rsa.PublicKey // of the certificate that signs assertions; nil: the app has none
	SalesforceID     string
	Zone             string   // in the business unit; "": Config.UserZone, which SetUserZone changes
	Unsynced         bool     // the business unit does not know the user: code 184
	Denied           []string // abilities it lacks
}

// The abilities that calls need. (Account Engagement API, Export)
const (
	abilityVisitors = "Prospects > Visitors > View"
	abilityLists    = "Marketing > Segmentation > Lists > View"
	abilityExports  = "Admin > Exports > View"
)

// can reports whether the user has an ability.
func (u *User) can(ability string) bool { return !slices.Contains(u.Denied, ability) }

// DefaultUsers are the API users of a business unit: the warehouse's, and one of another tool
// that shares its limits.
func DefaultUsers() []User {
	return []User{
		{
			ClientID: "3MVG9kitewarehouse.sim_consumer_key", Secret: "5E3C0FFEE0WAREHOUSE0SIM0SECRET",
			Username: "warehouse.api@kestrelkites.example", Password: "kite-Flies-high-7", SecurityToken: "sIm5ecuRityT0ken",
			SalesforceID: "0055e000001WareAAG",
		},
		{
			ClientID: "3MVG9kiteothertool.sim_consumer_key", Secret: "5E3C0FFEE0OTHERTOOL0SIM0SECRET",
			Username: "other.tool@kestrelkites.example", Password: "kite-Flies-low-3",
			SalesforceID: "0055e000001OthrAAG", Zone: "Europe/Berlin",
		},
	}
}

// apiUsers are the users that Config names, by itself, by its Org or not at all.
func (c *Config) apiUsers() []User {
	switch {
	case c.Org != nil:
		return c.Org.users
	case c.Users == nil:
		return DefaultUsers()
	}
	return c.Users
}

// zoneOf is the time zone of a user in the business unit at this moment.
func (s *Server) zoneOf(u *User) *time.Location {
	if u.Zone != "" {
		if loc, err := time.LoadLocation(u.Zone); err == nil { // checked by beginWire
			return loc
		}
	}
	return s.zone.Load()
}

// SetUserZone moves the API user to another time zone, as a visit to the settings does: all naive
// times shift from then on, and those of exports that exist already do not.
func (s *Server) SetUserZone(name string) error {
	loc, err := time.LoadLocation(name)
	if err != nil {
		return fmt.Errorf("zone of the API user: %w", err)
	}
	s.jobs.Settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones = append(s.zones, loc)
	s.zone.Store(loc)
	return nil
}

// ExpireTokens ends all access tokens now.
func (s *Server) ExpireTokens() { s.org.expire(s.clock.Now()) }

// unitHeader names the business unit. (Account Engagement API, Authentication)
const unitHeader = "Pardot-Business-Unit-Id"

var unitForm = regexp.MustCompile(`^0Uv[0-9A-Za-z]{12}([0-9A-Za-z]{3})?$`)

// sameUnit compares ids of which either may lack the three characters that end the longer form.
func sameUnit(a, b string) bool {
	return len(a) >= 15 && len(b) >= 15 && a[:15] == b[:15] && (len(a) == 15 || len(b) == 15 || a == b)
}

// authenticate finds the user of a call and checks the business unit, in the order in which the
// vendor's replies suggest it does. (Account Engagement API, Authentication and Error Codes)
func (c *caller) authenticate() bool {
	s := c.s
	header := strings.TrimSpace(c.r.Header.Get("Authorization"))
	scheme, token, _ := strings.Cut(header, " ")
	switch {
	case header == "":
		return c.refuse(49, "Access Denied")
	case strings.EqualFold(scheme, "Pardot"):
		return c.refuse(199, "api_key authentication is no longer supported.")
	case !strings.EqualFold(scheme, "Bearer"):
		return c.refuse(126, "Invalid authentication mechanism.")
	}
	unit, sent := c.r.Header.Get(unitHeader), c.r.Header.Values(unitHeader)
	switch {
	case len(sent) == 0:
		return c.refuse(181, "A required header is missing: "+unitHeader+" header not found on request.")
	case !unitForm.MatchString(unit):
		return c.refuse(182, "A required header value is invalid: "+unitHeader+".")
	}
	c.token = strings.TrimSpace(token)
	c.user = s.org.owner(c.token)
	if c.user != nil && s.faults.First(c.r, c.user.ClientID, "expire") != nil {
		s.org.end(c.token, c.now)
	}
	const bad = "access_token is invalid, unknown, or malformed"
	switch {
	case c.user == nil, !s.org.valid(c.token, c.now, s.cfg.TokenLife, s.cfg.TokenSlides), s.cfg.NoScope:
		return c.refuse(184, bad)
	case s.cfg.Host != "" && c.r.Host != s.cfg.Host:
		return c.refuse(201, "The Business Unit ID was not found or is inactive.")
	case slices.ContainsFunc(s.cfg.OtherUnits, func(other string) bool { return sameUnit(unit, other) }):
		return c.refuse(184, bad)
	case !sameUnit(unit, s.cfg.BusinessUnit):
		return c.refuse(201, "The Business Unit ID was not found or is inactive.")
	case c.user.Unsynced:
		return c.refuse(184, bad)
	}
	c.zone = s.zoneOf(c.user)
	return true
}

// refuse answers with an error and returns false.
func (c *caller) refuse(code int, message string) bool {
	c.fail(code, message)
	return false
}

// orgID is the id of the Salesforce org.
const orgID = "00D5e000000KiteEAK"

// randomText is text that looks random and depends on the seed only.
func randomText(seed, kind, n uint64, length int) string {
	b := make([]byte, 0, length+8)
	for h := simulate.Hash(seed, kind, n, 0x6b65); len(b) < length; h = simulate.Next(h) {
		for i := range 8 {
			b = append(b, byte(h>>(8*i)))
		}
	}
	return base64.RawURLEncoding.EncodeToString(b)[:length]
}

// identity answers userinfo and the identity URL of a token response.
func (s *Server) identity(c *caller, u *User) {
	zone := s.cfg.LoginZone
	if zone == "" {
		zone = s.zoneOf(u).String()
	}
	name, _, _ := strings.Cut(u.Username, "@")
	first, last, _ := strings.Cut(name, ".")
	c.object(http.StatusOK, map[string]any{
		"sub": c.baseURL() + "/id/" + orgID + "/" + u.SalesforceID, "user_id": u.SalesforceID, "organization_id": orgID,
		"preferred_username": u.Username, "username": u.Username, "nickname": name, "name": first + " " + last, "given_name": first, "family_name": last,
		"email": u.Username, "email_verified": true, "zoneinfo": zone, "timezone": zone, "locale": "en_US", "language": "en_US",
		"user_type": "STANDARD", "active": true, "is_app_installed": true,
	})
}
