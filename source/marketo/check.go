package marketo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

// Check makes one cheap call for each thing that a sync needs and changes nothing, except
// that it may create and cancel an export job, which costs nothing.
func (s *source) Check(ctx context.Context) []martsync.Finding {
	ctx = hasty(ctx)
	findings := []martsync.Finding{{
		Subject: "endpoint", OK: true, Detail: s.client.base.String() + ", " + s.account,
	}}
	if _, err := s.client.tokens.get(ctx); err != nil {
		return append(findings, bad("credentials", err))
	}
	findings = append(findings, martsync.Finding{
		Subject: "credentials", OK: true, Detail: "API user " + setting.Or(s.client.tokens.owner(ctx), "not told"),
	})
	findings = append(findings, s.checkQuota(ctx)...)
	for _, c := range s.checks() {
		if ctx.Err() != nil {
			return append(findings, bad("check", ctx.Err()))
		}
		detail, err := c.try(ctx)
		switch {
		case err == nil:
			findings = append(findings, martsync.Finding{Subject: c.subject, OK: true, Detail: setting.Or(detail, "readable")})
		case martsync.KindOf(err) == martsync.Unavailable:
			findings = append(findings, martsync.Finding{Subject: c.subject, Detail: "not available: " + cause(err), Hint: setting.Or(c.hint, martsync.HintOf(err))})
		default:
			f := bad(c.subject, err)
			if c.hint != "" && martsync.KindOf(err) == martsync.Auth {
				f.Hint = c.hint
			}
			findings = append(findings, f)
		}
	}
	return findings
}

func bad(subject string, err error) martsync.Finding {
	return martsync.Finding{Subject: subject, Detail: cause(err), Hint: martsync.HintOf(err), Err: err}
}

// cause is err without the operation, which the subject of a finding names already.
func cause(err error) string {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.Error()
	}
	return err.Error()
}

// checkQuota tells what is left of the day.
func (s *source) checkQuota(ctx context.Context) []martsync.Finding {
	u, err := s.client.usage(ctx)
	if err != nil {
		return []martsync.Finding{bad("API calls today", err)}
	}
	l := s.cfg.Limits
	own := u.by(s.client.tokens.owner(ctx))
	f := martsync.Finding{
		Subject: "API calls today", OK: true,
		Detail: fmt.Sprintf("%d of %d used by all integrations, %d of %d by this API user; they count anew at %s",
			u.Total, l.DailyQuota, own, l.DailyCalls, nextReset(s.now()).Format(time.RFC3339)),
	}
	if int64(l.DailyQuota)-u.Total <= int64(l.DailyReserve) || own >= int64(l.DailyCalls) {
		f.OK, f.Hint = false, "A sync would wait until then; limits.daily_calls and limits.daily_reserve decide."
	}
	return []martsync.Finding{f}
}

type check struct {
	subject string
	hint    string // where a permission is missing
	try     func(context.Context) (detail string, err error)
}

// checks lists the permissions as the vendor names them.
// Source: Marketo REST API, Custom Services, Permissions; Authentication.
func (s *source) checks() []check {
	probe := func(path string, optional bool, q ...string) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			query := url.Values{}
			for i := 0; i+1 < len(q); i += 2 {
				query.Set(q[i], q[i+1])
			}
			env, err := s.client.do(ctx, request{op: "check " + path, path: path, query: query, optional: optional, free: true})
			if nothing(err) {
				return "readable, and empty", nil
			}
			if err == nil && len(env.Result) == 0 {
				return "readable, and empty at this place", nil
			}
			return "", err
		}
	}
	role := func(permission string) string { return "Give the API user's role the permission " + permission + "." }
	list := []check{
		{"stream leads", role("Read-Only Lead"), func(ctx context.Context) (string, error) {
			fields, err := s.describe(ctx)
			return fmt.Sprintf("%d exportable fields", len(fields)), err
		}},
		{"stream leads: changes", role("Read-Only Activity and Read-Only Lead"), s.checkChanges},
		{"stream activities", role("Read-Only Activity"), func(ctx context.Context) (string, error) {
			types, err := s.activityTypes(ctx)
			return fmt.Sprintf("%d activity types", len(types)), err
		}},
		{"bulk exports", role("Read-Only Activity and Read-Only Lead"), probe("/bulk/v1/activities/export.json", false, "batchSize", "1")},
		{"stream deleted_leads", role("Read-Only Activity"), s.checkToken},
	}
	for _, a := range assets {
		list = append(list, check{"stream " + a.stream, role("Read-Only Assets"), probe(a.path, true, "maxReturn", "1", "offset", "0")})
	}
	for i := range listings {
		l := newListingStream(s, &listings[i]).listing
		hint := role(l.permission)
		if l.permission == noPermission {
			hint = ""
		}
		list = append(list, check{"stream " + l.stream, hint, probe(l.path, true, "maxReturn", "1", "offset", "0")})
	}
	list = append(list, s.objectChecks(role)...)
	return append(list,
		check{"stream tokens", role(readAssets), probe(foldersPath, true, "maxReturn", "1", "offset", "0")},
		check{"stream campaigns", role("Read-Only Campaign"), probe(campaignPath, true, "batchSize", "1")},
		check{"stream list_members", role("Read-Only Lead"), probe("/rest/v1/lists.json", true, "batchSize", "1")},
	)
}

// checkToken asks for a paging token of now, which the reads of deleted leads and of
// activities begin with.
func (s *source) checkToken(ctx context.Context) (string, error) {
	env, err := s.client.do(ctx, request{
		op: "check paging tokens", path: "/rest/v1/activities/pagingtoken.json", free: true,
		query: url.Values{"sinceDatetime": {wireTime(s.now())}},
	})
	if err == nil && strings.TrimSpace(env.NextPageToken) == "" {
		return "", &martsync.Error{Kind: martsync.Data, Op: "marketo: check paging tokens", Err: errors.New("the reply has no paging token")}
	}
	return "", err
}

// Interfaces that the command line finds by assertion.
var (
	_ martsync.Source   = (*source)(nil)
	_ martsync.Checker  = (*source)(nil)
	_ martsync.Lookuper = (*source)(nil)
	_ martsync.Caller   = (*source)(nil)
	_ martsync.Meter    = (*source)(nil)
	_ martsync.Viewer   = (*source)(nil)
)
