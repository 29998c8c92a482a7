package marketosim

import "strings"

// A route is one path and method. {x} stands for one part of the path, which may have .json.
type route struct {
	method     string
	path       string
	permission string // (Marketo REST API, Authentication: permissions)
	do         func(*call)
	json       bool // a POST whose body must be JSON
	parts      []string
}

// find returns the route of a clean path and the parts that stand for {…}. A route of another
// method is found too: the answer then is 605.

func (s *Server) find(clean string) (*route, []string) {
	parts := strings.Split(strings.TrimPrefix(clean, "/"), "/")
next:
	for i := range s.routes {
		r := &s.routes[i]
		if len(r.parts) != len(parts) {
			continue
		}
		var ids []string
		for k, want := range r.parts {
			got := parts[k]
			if !strings.HasPrefix(want, "{") {
				if want != got {
					continue next
				}
				continue
			}
			if ext := want[strings.IndexByte(want, '}')+1:]; ext != "" {
				id, ok := strings.CutSuffix(got, ext)
				if !ok {
					continue next
				}
				got = id
			}
			if got == "" {
				continue next
			}
			ids = append(ids, got)
		}
		return r, ids
	}
	return nil, nil
}

// table lists all paths. Literal paths come before those with {…} that would match them.
func (s *Server) table() []route {
	const (
		lead, act, actMeta = "Read-Only Lead", "Read-Only Activity", "Read-Only Activity Metadata"
		assets, campaign   = "Read-Only Assets", "Read-Only Campaign"
		object, schema     = "Read-Only Custom Object", "Read-Write Schema Standard Field"
	)
	t := []route{
		{path: "/rest/v1/leads/describe.json", permission: lead, do: s.describe},
		{path: "/rest/v1/leads/describe2.json", permission: lead, do: s.describe2},
		{path: "/rest/v1/leads/schema/fields.json", permission: schema, do: s.schemaFields},
		{path: "/rest/v1/leads/partitions.json", permission: lead, do: s.partitions},
		{path: "/rest/v1/leads.json", permission: lead, do: s.leadsByFilter},
		{path: "/rest/v1/lead/{id}.json", permission: lead, do: s.leadByID},
		{path: "/rest/v1/leads/programs/{id}.json", permission: lead, do: s.leadsByProgram},
		{path: "/rest/v1/leads/{id}/listMembership.json", permission: assets, do: s.listMembership},
		{path: "/rest/v1/leads/{id}/programMembership.json", permission: assets, do: s.programMembership},
		{path: "/rest/v1/lists.json", permission: lead, do: s.lists},
		{path: "/rest/v1/lists/{id}.json", permission: lead, do: s.listByID},
		{path: "/rest/v1/lists/{id}/leads.json", permission: lead, do: s.listLeads},
		{path: "/rest/v1/list/{id}/leads.json", permission: lead, do: s.listLeads},
		{path: "/rest/v1/lists/{id}/leads/ismember.json", permission: "Read-Write Lead", do: s.isMember},
		{path: "/rest/v1/campaigns.json", permission: campaign, do: s.legacyCampaigns},
		{path: "/rest/v1/campaigns/{id}.json", permission: campaign, do: s.legacyCampaign},

		{path: "/rest/v1/activities/pagingtoken.json", permission: act, do: s.pagingToken},
		{path: "/rest/v1/activities/types.json", permission: act, do: s.activityTypes},
		{path: "/rest/v1/activities/external/types.json", permission: actMeta, do: s.externalTypes},
		{path: "/rest/v1/activities/leadchanges.json", permission: act, do: s.leadChanges},
		{path: "/rest/v1/activities/deletedleads.json", permission: act, do: s.deletedLeads},
		{path: "/rest/v1/activities.json", permission: act, do: s.activities},

		{path: "/rest/v1/programs/members/describe.json", permission: lead, do: s.describeMembers},
		{path: "/rest/v1/programs/{id}/members.json", permission: lead, do: s.programMembers},
		{path: "/rest/v1/customobjects.json", permission: object, do: s.customObjects},
		{path: "/rest/v1/customobjects/{name}/describe.json", permission: object, do: s.describeObject},
		{path: "/rest/v1/customobjects/{name}.json", permission: object, do: s.queryObject},

		{path: "/rest/v1/stats/usage.json", do: s.usage(1, false)},
		{path: "/rest/v1/stats/usage/last7days.json", do: s.usage(7, false)},
		{path: "/rest/v1/stats/errors.json", do: s.usage(1, true)},
		{path: "/rest/v1/stats/errors/last7days.json", do: s.usage(7, true)},

		{path: "/rest/asset/v1/folders.json", permission: assets, do: s.folders},
		{path: "/rest/asset/v1/folder/{id}.json", permission: assets, do: s.folder},
	}
	t = append(t, s.studioRoutes(assets)...)
	t = append(t, s.crmRoutes()...)
	for _, k := range assetKinds {
		t = append(t, route{path: "/rest/asset/v1/" + k.plural + ".json", permission: assets, do: s.browse(k)},
			route{path: "/rest/asset/v1/" + k.singular + "/byName.json", permission: assets, do: s.byName(k)},
			route{path: "/rest/asset/v1/" + k.singular + "/{id}.json", permission: assets, do: s.byID(k)})
	}
	for i := range t {
		t[i].method = "GET"
	}
	for _, o := range []struct{ path, permission string }{{"leads", lead}, {"activities", act}, {"program/members", lead}, {"customobjects/{name}", object}} {
		p := "/bulk/v1/" + o.path + "/export"
		t = append(t,
			route{method: "POST", path: p + "/create.json", permission: o.permission, do: s.createExport, json: true},
			route{method: "GET", path: p + ".json", permission: o.permission, do: s.listExports},
			route{method: "POST", path: p + "/{id}/enqueue.json", permission: o.permission, do: s.enqueueExport},
			route{method: "POST", path: p + "/{id}/cancel.json", permission: o.permission, do: s.cancelExport},
			route{method: "GET", path: p + "/{id}/status.json", permission: o.permission, do: s.exportStatus},
			route{method: "GET", path: p + "/{id}/file.json", permission: o.permission, do: s.exportFile})
	}
	for i := range t {
		t[i].parts = strings.Split(strings.TrimPrefix(t[i].path, "/"), "/")
	}
	return t
}
