package marketo

import (
	"context"
	"fmt"
	"net/url"

	"github.com/martsync/martsync"
)

// objectStreams lists program members, custom objects, and what is found by way of leads.
func (s *source) objectStreams(ctx context.Context, d *dispatcher) ([]martsync.Stream, error) {
	members, err := newProgramMembers(ctx, s, d)
	if err != nil {
		return nil, err
	}
	customs, err := s.customStreams(ctx, d)
	if err != nil {
		return nil, err
	}
	streams := append([]martsync.Stream{members}, customs...)
	for _, t := range keyedObjects {
		st, err := newKeyed(ctx, s, d, t)
		if err != nil {
			return nil, err
		}
		streams = append(streams, st)
	}
	return streams, nil
}

// objectChecks are what check asks about these streams.
func (s *source) objectChecks(role func(string) string) []check {
	list := []check{
		{"stream " + programStream, role("Read-Only Lead, Read-Only Activity and Read-Only Assets"), func(ctx context.Context) (string, error) {
			d, err := s.describeObject(ctx, "program members", memberDescribePath)
			if err == nil {
				err = d.err
			}
			if err == nil {
				_, err = newAssetStream(s, &assets[0]).page(ctx, 0, url.Values{"maxReturn": {"1"}})
			}
			if err == nil {
				_, err = s.checkToken(ctx)
				err = s.permitted(ctx, err)
			}
			return fmt.Sprintf("%d fields", len(d.fields())), err
		}},
		{"custom objects", role("Read-Only Custom Object"), s.customCheck},
	}
	for _, t := range keyedObjects {
		list = append(list, check{"stream " + t.stream, "", func(ctx context.Context) (string, error) {
			d, err := s.describeObject(ctx, t.noun, t.describePath())
			if err == nil {
				err = s.canRead(ctx, t, d)
			}
			if err == nil && t == namedAccounts {
				_, err = s.client.do(ctx, request{op: "check named account lists", path: leadDatabase + "namedAccountLists.json", optional: true, free: true, query: url.Values{
					"filterType": {"dedupeFields"}, "filterValues": {s.cfg.Objects.NamedAccountLists[0]},
				}})
			}
			if isCode(err, "603") {
				err = &martsync.Error{Kind: martsync.KindOf(err), Op: "marketo: check", Hint: role(t.role), Err: causeOf(err)}
			}
			return fmt.Sprintf("%d fields", len(d.fields())), err
		}})
	}
	return list
}
