package marketo

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"strconv"
	"time"

	"github.com/martsync/martsync"
)

// tokenPages walks a listing of the lead database that pages by token: it ends where a
// reply has none. Source: Marketo REST API, Lead Database; Paging Tokens.
func (c *client) tokenPages(ctx context.Context, r request) iter.Seq2[*envelope, error] {
	return func(yield func(*envelope, error) bool) {
		if r.query == nil {
			r.query = url.Values{}
		}
		r.query.Set("batchSize", strconv.Itoa(leadPage))
		for token := ""; ; {
			env, err := c.do(ctx, r)
			if nothing(err) {
				env, err = &envelope{Success: true, Calls: 1}, nil
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(env, nil) || env.NextPageToken == "" {
				return
			}
			if env.NextPageToken == token {
				yield(nil, &martsync.Error{Kind: martsync.Transient, Op: "marketo: " + r.op, After: time.Minute, Err: errors.New("the listing does not move on: the same page token came twice")})
				return
			}
			token = env.NextPageToken
			r.query.Set("nextPageToken", token)
		}
	}
}

// A campaignStream reads the campaigns of the lead database, which activities name. The
// vendor offers no filter by time, so it is a snapshot.
// Source: Marketo REST API, Campaigns.
type campaignStream struct {
	source *source
	schema martsync.Schema
}

func newCampaignStream(s *source) *campaignStream {
	return &campaignStream{source: s, schema: martsync.Schema{
		Stream: "campaigns", Key: []string{"id"}, Snapshot: true,
		Columns: fieldList("id integer", "name", "description", "type", "programId integer", "programName", "workspaceName",
			"createdAt datetime", "updatedAt datetime", "active boolean"),
	}}
}

func (s *campaignStream) Schema() martsync.Schema { return s.schema }

const campaignPath = "/rest/v1/campaigns.json"

// Read lists all campaigns, wherever it is asked to begin.
func (s *campaignStream) Read(ctx context.Context, _ martsync.Cursor, _ martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		pages, line := newPageReader(s.schema.Columns), int64(0)
		began := s.source.now()
		for env, err := range s.source.client.tokenPages(ctx, request{op: "list campaigns", path: campaignPath, optional: true}) {
			if err != nil {
				yield(martsync.Batch{}, err)
				return
			}
			_, bad := pages.take(env, line)
			b := pages.flush()
			b.Quarantined, b.Bytes, b.Raw = bad, env.Bytes, pages.kept(campaignPath, env, line)
			line += int64(len(env.Result))
			if (b.Records != nil || len(bad) > 0 || b.Raw != nil) && !yield(b, nil) {
				return
			}
			pages.builder.Reset()
		}
		yield(martsync.Batch{
			Window: pages.window(martsync.Window{Filter: filterJSON(map[string]any{"path": campaignPath})}),
			Cursor: martsync.Cursor(filterJSON(map[string]any{"read": began.Unix()})),
		}, nil)
	}
}
