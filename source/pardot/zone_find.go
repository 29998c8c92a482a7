package pardot

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// zone returns the API user's time zone. It is asked for once in a while, since the user may
// change it, after which all naive times are told in the new one.
func (s *source) zone(ctx context.Context) (*zone, error) {
	return s.zones.Get(s.now(), func() (*zone, error) {
		z, err := s.findZone(ctx)
		if err != nil {
			return nil, err
		}
		name := z.loc.String()
		if last := s.client.lastZone.Swap(&name); last != nil && *last != name {
			s.client.log.WarnContext(ctx, "the time zone of the API user has changed", "from", *last, "to", name)
		}
		s.client.meter.learnZone(z)
		return z, nil
	})
}

// findZone asks for the zone wherever it may be told: version 4's record of the user, then the
// identity of the login. Both must agree with the offsets that version 5 writes, which are
// those of the user's zone. Account Engagement API, User; Salesforce Help, The UserInfo Endpoint.
func (s *source) findZone(ctx context.Context) (*zone, error) {
	if s.cfg.Timezone != "" {
		loc, err := loadZone(s.cfg.Timezone)
		if err != nil {
			return nil, configError("timezone: "+err.Error(), "")
		}
		return &zone{loc: loc, from: "the configuration"}, nil
	}
	const op = "find the time zone of the API user"
	var rejected []string
	accept := func(z *zone, seen []time.Time) bool {
		if z == nil {
			return false
		}
		if !z.fits(seen) {
			rejected = append(rejected, z.loc.String())
			return false
		}
		return true
	}
	who, err := s.client.tokens.who(ctx)
	if err != nil {
		return nil, during(request{op: op}, err)
	}
	var told identity
	if who == "" {
		if told, err = s.client.tokens.userinfo(ctx); err != nil && !skippable(err) {
			return nil, during(request{op: op}, err)
		}
		who = told.UserID
	}
	user, seen, err := s.client.findUser(ctx, path.Base(who))
	if err != nil && !skippable(err) {
		return nil, err
	}
	if user > 0 {
		z, err := s.client.userZone(ctx, user)
		if err != nil && !skippable(err) {
			return nil, err
		}
		if accept(z, seen) {
			z.from = "the user's record in the business unit"
			return z, nil
		}
	}
	if len(seen) == 0 {
		if seen, err = s.client.accountTimes(ctx); err != nil && !skippable(err) {
			return nil, err
		}
	}
	if told == (identity{}) {
		if told, err = s.client.tokens.userinfo(ctx); err != nil && !skippable(err) {
			return nil, during(request{op: op}, err)
		}
	}
	if z := zoneNamed(told.ZoneInfo, told.Timezone); accept(z, seen) {
		z.from = "the user's record in Salesforce"
		return z, nil
	}
	e := &martsync.Error{
		Kind: martsync.Config, Op: "pardot: " + op, Err: errors.New("the vendor does not tell it"),
		Hint: "Set timezone to that of the API user (in Salesforce, Settings > Language & Time Zone), or let the user view users.",
	}
	if len(rejected) > 0 {
		e.Err = errors.New("it is told as " + strings.Join(rejected, " and ") + ", which does not agree with the times that version 5 tells")
	}
	return nil, e
}

// skippable reports whether an error says only that something cannot be known in this way.
func skippable(err error) bool {
	switch martsync.KindOf(err) {
	case martsync.Data, martsync.Unavailable:
		return true
	case martsync.Internal: // the login host has another opinion than the API
		_, ok := errors.AsType[*apiError](err)
		return ok
	case martsync.Config, martsync.Auth, martsync.Conflict, martsync.Busy, martsync.Quota, martsync.Pending, martsync.Transient:
	}
	return false
}

// fits reports whether the zone has the offsets of times that are known to be of it. Tables of
// old times differ between machines, so a few may disagree.
func (z *zone) fits(seen []time.Time) bool {
	wrong := 0
	for _, t := range seen {
		_, want := t.Zone()
		if _, got := t.In(z.loc).Zone(); got != want {
			wrong++
		}
	}
	return wrong*2 <= len(seen) && (wrong == 0 || len(seen) > 2)
}

// findUser finds the user of Account Engagement that belongs to a Salesforce user, 0 if there
// is none, and the times of its record and others as they were written.
func (c *client) findUser(ctx context.Context, salesforce string) (id int64, seen []time.Time, err error) {
	if len(salesforce) < 15 {
		return 0, nil, nil
	}
	err = c.each5(ctx, "query users", "users", "id,salesforceId,createdAt,updatedAt", func(raw json.RawMessage) (int64, error) {
		var u struct {
			ID           int64  `json:"id"`
			SalesforceID string `json:"salesforceId"`
			CreatedAt    string `json:"createdAt"`
			UpdatedAt    string `json:"updatedAt"`
		}
		if json.Unmarshal(raw, &u) != nil {
			return 0, nil //nolint:nilerr // another user will do
		}
		seen = appendTimes(seen, u.CreatedAt, u.UpdatedAt)
		if len(u.SalesforceID) >= 15 && u.SalesforceID[:15] == salesforce[:15] {
			id = u.ID
			return id, errEnough
		}
		return u.ID, nil
	})
	return id, seen, err
}

// userZone reads the zone from version 4's record of a user, nil if it tells none.
func (c *client) userZone(ctx context.Context, id int64) (*zone, error) {
	raw, err := c.read4(ctx, "read user", "user/do/read/id/"+strconv.FormatInt(id, 10), "user", nil)
	if err != nil {
		return nil, err
	}
	var u struct {
		Timezone string `json:"timezone"`
	}
	if err := unmarshal(raw, &u); err != nil {
		return nil, nil //nolint:nilerr // a form that nobody knows tells nothing
	}
	return zoneNamed(u.Timezone), nil
}

// accountTimes reads the times of the business unit's record, as they were written.
func (c *client) accountTimes(ctx context.Context) ([]time.Time, error) {
	raw, err := c.read5(ctx, "read account", "account", url.Values{"fields": {"createdAt,updatedAt"}})
	if err != nil {
		return nil, err
	}
	var a struct {
		CreatedAt string `json:"createdAt"`
		UpdatedAt string `json:"updatedAt"`
	}
	if err := unmarshal(raw, &a); err != nil {
		return nil, nil //nolint:nilerr // as above
	}
	return appendTimes(nil, a.CreatedAt, a.UpdatedAt), nil
}

func appendTimes(seen []time.Time, texts ...string) []time.Time {
	for _, text := range texts {
		if t, err := time.Parse(time.RFC3339, text); err == nil && !strings.HasSuffix(text, "Z") {
			seen = append(seen, t)
		}
	}
	return seen
}

// Zones are also written as in "(GMT-05:00) Eastern Standard Time (America/New_York)".
var zoneName = regexp.MustCompile(`[A-Za-z]+(?:/[A-Za-z0-9_+-]+)+`)

// zoneNamed loads the zone by the first name that is one, nil if none is.
func zoneNamed(names ...string) *zone {
	for _, name := range names {
		for _, n := range append([]string{name}, zoneName.FindAllString(name, -1)...) {
			if loc, err := loadZone(n); err == nil {
				return &zone{loc: loc}
			}
		}
	}
	return nil
}
