// Package marketo reads Adobe Marketo Engage: leads and activities by bulk export, deletions,
// merges, assets, campaigns and list members by paged REST.
//
// The vendor's facts that the code relies on stand in docs/vendors/marketo.md. This file
// opens a source and lists its streams; client.go makes calls, token.go holds the
// credentials, errors.go gives the vendor's errors their kinds, quota.go keeps to a share
// of the account's limits. When to read, commit and wait is left to the pipeline.
package marketo

import (
	"context"
	"sync"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/cached"
)

// Connector reads a Marketo subscription.
var Connector = martsync.NewSource("marketo", "Adobe Marketo Engage", Open)

// Open checks the configuration. It makes no call: the first one is made when it is needed.
func Open(_ context.Context, cfg Config, env martsync.Env) (martsync.Source, error) {
	return open(cfg, env)
}

func open(cfg Config, env martsync.Env) (*source, error) {
	measured := cfg.Activities.Overlap == 0
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	base, account, err := parseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	return &source{cfg: cfg, env: env, account: "marketo:" + account, client: newClient(cfg, base, env), measured: measured}, nil
}

// A source is one subscription. Everything it does shares one client, and so one token and
// one set of limits.
type source struct {
	cfg     Config
	env     martsync.Env
	account string
	client  *client
	keep    bool // what the vendor sends goes with the batches

	measured bool // how far activities are read again follows from how late they appear

	unwanted func(stream string, c martsync.Column) bool // see Prune; nil: all are wanted

	fields cached.Value[[]field]        // of leads
	types  cached.Value[[]activityType] // of activities

	shared sharedExports // by streams that need the same files

	deletions sharedWalk // of the log of deleted leads

	estimates estimates
	logs      logSamples // of estimates
	objects   descriptions
	objectMu  sync.Mutex
	customs   cached.Value[[]string] // API names of custom objects
}

// Account names the subscription by its Munchkin id.
func (s *source) Account() string { return s.account }

// Streams lists the bulk streams, then program members, custom objects, companies and the like, then the assets, then
// campaigns and list members.
func (s *source) Streams(ctx context.Context) ([]martsync.Stream, error) {
	jobs := newDispatcher()
	streams, err := s.rangeStreams(ctx, jobs)
	if err != nil {
		return nil, err
	}
	objects, err := s.objectStreams(ctx, jobs)
	if err != nil {
		return nil, err
	}
	streams = append(streams, objects...)
	for i := range assets {
		streams = append(streams, newAssetStream(s, &assets[i]))
	}
	streams = append(streams, newCampaignStream(s), newMemberStream(s), newTokenStream(s))
	for i := range listings {
		streams = append(streams, newListingStream(s, &listings[i]))
	}
	return streams, nil
}

// now is the present on the clock of the environment, in whole seconds since the vendor
// knows nothing finer.
func (s *source) now() time.Time { return s.env.Clock.Now().UTC().Truncate(time.Second) }
