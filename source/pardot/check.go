package pardot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

// Check makes one cheap call for each thing that a sync needs and changes nothing: where
// permission to create something is in question, it asks for what cannot be created.
func (s *source) Check(ctx context.Context) []martsync.Finding {
	ctx = hasty(ctx)
	if _, err := s.client.tokens.get(ctx); err != nil {
		return []martsync.Finding{bad("credentials", err)}
	}
	findings := []martsync.Finding{good("credentials", "access token by %s from %s", s.cfg.Grant, s.client.tokens.login.Host)}
	unit, err := s.checkUnit(ctx)
	findings = append(findings, unit...)
	if err != nil {
		return findings // nothing else would work
	}
	findings = append(findings, s.checkVersion(ctx), s.checkZone(ctx))
	findings = append(findings, s.checkExports(ctx)...)
	for _, o := range catalog {
		if ctx.Err() != nil {
			return append(findings, bad("check", ctx.Err()))
		}
		findings = append(findings, s.checkStream(ctx, o))
	}
	return findings
}

func good(subject, format string, args ...any) martsync.Finding {
	return martsync.Finding{Subject: subject, OK: true, Detail: fmt.Sprintf(format, args...)}
}

func bad(subject string, err error) martsync.Finding {
	return martsync.Finding{Subject: subject, Detail: cause(err), Hint: martsync.HintOf(err), Err: err}
}

// warning is a finding that a sync can live with.
func warning(subject string, err error, hint string) martsync.Finding {
	f := bad(subject, err)
	f.Hint = setting.Or(hint, f.Hint)
	f.Err = &martsync.Error{Kind: martsync.Unavailable, Op: "pardot: check " + subject, Hint: f.Hint, Err: err}
	return f
}

// cause is err without the operation, which the subject of a finding names already.
func cause(err error) string {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.Error()
	}
	return err.Error()
}

// A unitRecord is what the account object tells about the business unit.
type unitRecord struct {
	ID      int64  `json:"id"`
	Company string `json:"company"`
	Level   string `json:"level"`
	Most    int64  `json:"maximumDailyApiCalls"`
	Used    int64  `json:"apiCallsUsed"`
}

// checkUnit reads the business unit's own record, the first call that needs its id and the API
// host to be right. Its error is the one that makes all other calls useless.
func (s *source) checkUnit(ctx context.Context) ([]martsync.Finding, error) {
	host := good("API host", "%s", s.client.api)
	raw, err := s.client.read5(ctx, "read the account", "/api/v5/objects/account", url.Values{
		"fields": {"id,company,level,maximumDailyApiCalls,apiCallsUsed"},
	})
	var told unitRecord
	if err == nil {
		if err = unmarshal(raw, &told); err == nil {
			return []martsync.Finding{host, good("business unit", "%s, %s (%s)", s.cfg.BusinessUnit, told.Company, told.Level), s.checkCalls(told)}, nil
		}
		err = undescribed("read the account", err)
	}
	switch k := martsync.KindOf(err); {
	case codeOf(err) == 201:
		// The vendor tells a wrong host and a wrong id apart no more than this.
		host = bad("API host", err)
		return []martsync.Finding{host}, err
	case k == martsync.Transient:
		return []martsync.Finding{bad("API host", err)}, err
	case k == martsync.Auth, k == martsync.Config, k == martsync.Quota:
		return []martsync.Finding{host, bad("business unit", err)}, err
	default:
		// The user may not see the record, and can work all the same.
		return []martsync.Finding{host, warning("business unit", err, "Without the ability to view the account, the limits of the smallest edition are assumed; limits.daily_calls says otherwise.")}, nil
	}
}

// checkCalls tells what is left of the day.
func (s *source) checkCalls(told unitRecord) martsync.Finding {
	const subject = "API calls today"
	if told.Most <= 0 {
		return warning(subject, errors.New("the vendor does not tell the daily limit"), "Set limits.daily_calls to the share of this source.")
	}
	reserve := int64(s.cfg.Limits.DailyReserve)
	if reserve == 0 {
		reserve = told.Most / 5
	}
	f := good(subject, "%d of %d used by all integrations, the last %d are left to others", told.Used, told.Most, reserve)
	if told.Most-told.Used <= reserve {
		f.OK, f.Hint = false, "A sync would wait until the business unit's midnight; limits.daily_reserve decides."
	}
	return f
}

// checkVersion asks version 4 for something small, which also finds out whether the business unit
// is one of version 3.
func (s *source) checkVersion(ctx context.Context) martsync.Finding {
	const subject = "version 4"
	_, err := s.client.query4(ctx, "query campaigns", objectOf("campaigns").v4, url.Values{"limit": {"1"}})
	switch {
	case err != nil && codeOf(err) != 46:
		return warning(subject, err, "What only version 4 tells cannot be read.")
	case s.client.legacy.Load():
		return good(subject, "version 3 takes its place: prospects have one e-mail address each")
	default:
		return good(subject, "answers: prospects may share an e-mail address")
	}
}

// checkZone tells in which zone naive times are read, and who said so.
func (s *source) checkZone(ctx context.Context) martsync.Finding {
	const subject = "time zone of the API user"
	z, err := s.zone(ctx)
	if err != nil {
		return warning(subject, err, "Set timezone to the zone of the API user; what version 4 and export files tell cannot be read without.")
	}
	return good(subject, "%s, now %s, says %s", z.loc, s.now().In(z.loc).Format("Mon 15:04 MST"), z.from)
}

// abilityHints name what a role lacks where the vendor's pages do.
// Account Engagement API, Export; object pages.
var abilityHints = map[string]string{
	"visitor_activities": "Prospects > Visitors > View",
	"visitors":           "Prospects > Visitors > View",
	"email_clicks":       "Prospects > Visitors > View",
	"prospects":          "Prospects > Prospects > View",
	"lists":              "Marketing > Segmentation > Lists > View",
	"list_memberships":   "Marketing > Segmentation > Lists > View",
}

// roleHint says which ability the role of the API user lacks.
func roleHint(ability string) string {
	return "Give the role of the API user the ability " + ability + "."
}

// checkExports finds out whether export jobs can be created and listed. A job of a procedure that
// does not exist is refused with code 174 before anything is created.
func (s *source) checkExports(ctx context.Context) []martsync.Finding {
	const create, list = "exports", "list of exports"
	var findings []martsync.Finding
	_, err := s.client.do(ctx, request{
		op: "try an export", method: http.MethodPost, path: exports4Path + "create", noReplay: true,
		body: map[string]any{"object": "visitorActivity", "procedure": map[string]any{
			"name": "filter_by_nothing", "arguments": map[string]any{"updated_after": s.now().Add(-time.Minute).Format(time.DateTime)},
		}},
	})
	switch code := codeOf(err); {
	case code == 174 || code == 175 || code == 176 || code == 177:
		findings = append(findings, good(create, "can be created"))
	case code == 46:
		findings = append(findings, warning(create, err, roleHint("Prospects > Visitors > View")+" Without it, all is read page by page."))
	case err == nil:
		findings = append(findings, good(create, "can be created (a job of nothing was)"))
	default:
		findings = append(findings, warning(create, err, "Without exports, all is read page by page."))
	}
	_, err = s.client.query4(ctx, "list exports", &resource{path: "export", key: "export"}, url.Values{"limit": {"1"}})
	switch {
	case err == nil:
		return append(findings, good(list, "readable"))
	case codeOf(err) == 46:
		return append(findings, warning(list, err, roleHint("Admin > Exports > View")+" Without it, an export that was created just before a crash is created again."))
	default:
		return append(findings, warning(list, err, ""))
	}
}

// checkStream reads a record of an object by the version that serves it.
func (s *source) checkStream(ctx context.Context, o *object) martsync.Finding {
	subject := "stream " + o.stream
	rows, err := s.probe(ctx, o)
	switch {
	case err == nil && rows == 0:
		return good(subject, "readable, and empty")
	case err == nil:
		return good(subject, "readable")
	case martsync.KindOf(err) == martsync.Unavailable:
		return warning(subject, err, "")
	case codeOf(err) == 46:
		// What every business unit has and syncs are made for is not skipped: its stream fails.
		f := bad(subject, &martsync.Error{Kind: martsync.Auth, Op: "pardot: check " + o.stream, Err: err})
		f.Hint = "Give the role of the API user the ability to view this kind of record, or leave the stream out."
		if a := abilityHints[o.stream]; a != "" {
			f.Hint = roleHint(a)
		}
		return f
	default:
		return bad(subject, err)
	}
}

// probe returns how many records an object has, none or one.
func (s *source) probe(ctx context.Context, o *object) (rows int, err error) {
	op, plan := "check "+o.stream, s.plan(o)
	var p *page
	switch {
	case o.single:
		return 1, s.probeOne(ctx, op, plan.api)
	case o.stream == emailStream && plan.api == v4:
		// E-mails cannot be listed by version 4: their ids come from activities.
		o = objectOf("visitor_activities")
		fallthrough
	case plan.api == v4 && o.v4 != nil || o.v5 == nil:
		q := url.Values{"limit": {"1"}}
		for name, values := range o.v4.params {
			q[name] = values
		}
		p, err = s.client.query4(ctx, op, o.v4, q)
	default:
		q := url.Values{"fields": {"id"}, "limit": {"1"}}
		for name, values := range o.v5.params {
			q[name] = values
		}
		p, err = s.client.page5(ctx, op, o.v5.path, q) // one that is not shown tells as much
	}
	if err != nil {
		return 0, err
	}
	return len(p.rows), nil
}

// probeOne reads the business unit's own record by the version that a sync would.
func (s *source) probeOne(ctx context.Context, op string, v version) (err error) {
	var raw json.RawMessage
	if v == v4 {
		raw, err = s.client.read4(ctx, op, "/api/account/version/{v}/do/read", "account", nil)
	} else {
		raw, err = s.client.read5(ctx, op, "/api/v5/objects/account", url.Values{"fields": {"id"}})
	}
	if err == nil && len(raw) == 0 {
		err = &martsync.Error{Kind: martsync.Data, Op: "pardot: " + op, Err: errors.New("the reply has no record")}
	}
	return err
}

// Interfaces that the command line finds by assertion.
var (
	_ martsync.Source     = (*source)(nil)
	_ martsync.Checker    = (*source)(nil)
	_ martsync.Lookuper   = (*source)(nil)
	_ martsync.TimeTeller = (*source)(nil)
	_ martsync.Caller     = (*source)(nil)
	_ martsync.Meter      = (*source)(nil)
	_ martsync.Viewer     = (*source)(nil)
)
