// Package pardot reads Salesforce Marketing Cloud Account Engagement, formerly Pardot: every
// collection that its API lists, by version 5 or 4, page by page or by export jobs.
//
// The vendor's facts that the code relies on stand in docs/vendors/account-engagement.md. This
// file opens a source; object.go says what can be said about a kind of record, catalog.go lists
// them; client.go makes calls, token.go and grants.go hold the credentials, errors.go gives
// the vendor's errors their kinds; stream.go reads a stream in time ranges, query.go page by
// page, export.go by jobs; raw.go says what is kept of what the vendor sends, and replay.go makes the
// rows of it again. When to commit and wait is left to the pipeline.
package pardot

import (
	"context"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/cached"
)

// Connector reads a business unit of Account Engagement.
var Connector = martsync.NewSource("pardot", "Salesforce Account Engagement (Pardot)", Open)

// Open checks the configuration. It makes no call: the first one is made when it is needed.
func Open(_ context.Context, cfg Config, env martsync.Env) (martsync.Source, error) {
	return open(cfg, env)
}

func open(cfg Config, env martsync.Env) (*source, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c, err := newClient(cfg, env)
	if err != nil {
		return nil, err
	}
	return &source{cfg: cfg, env: env, client: c}, nil
}

// A source is one business unit. Everything it does shares one client, and so one token and
// one set of limits.
type source struct {
	cfg    Config
	env    martsync.Env
	client *client
	keeps  bool // what the vendor sent goes on the batches: see KeepRaw

	zones  cached.Value[*zone]
	custom cached.Value[*customColumns]
}

// Account names the business unit, and its host if that is not the vendor's.
func (s *source) Account() string {
	account := "pardot:" + s.cfg.BusinessUnit
	// However it is spelled: tables of an account are not given to one with another name.
	if api := s.client.api; api.Host != "" && !strings.HasSuffix(strings.ToLower(api.Hostname()), vendorDomain) {
		account += "@" + strings.ToLower(api.Host)
	}
	return account
}

// vendorDomain is what the names of the vendor's hosts end in.
const vendorDomain = ".pardot.com"

// now is the present on the clock of the environment, in whole seconds since the vendor
// knows nothing finer.
func (s *source) now() time.Time { return s.env.Clock.Now().UTC().Truncate(time.Second) }
