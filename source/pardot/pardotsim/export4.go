package pardotsim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync/simulate"
)

// exportables4 are the objects that version 4 exports. (Account Engagement API, Export v4; the
// last two procedures are those of scripts that have used them)
func (s *Server) exportables4() []exportable {
	created := func(more ...string) procedure {
		return procedure{"filter_by_created_at", "createdAt", "created_after", "created_before", more}
	}
	updated := func(more ...string) procedure {
		return procedure{"filter_by_updated_at", "updatedAt", "updated_after", "updated_before", more}
	}
	accounts := []procedure{
		{"filter_by_prospect_updated_at", "updatedAt", "prospect_updated_after", "prospect_updated_before", nil},
		updated(),
	}
	if s.cfg.AccountBy != "" {
		accounts = slices.DeleteFunc(accounts, func(p procedure) bool { return p.name != s.cfg.AccountBy })
	}
	return []exportable{
		{name: "visitorActivity", table: "visitor_activities", procedures: []procedure{created("type", "prospectOnly"), updated("type", "prospectOnly")}},
		{name: "listMembership", table: "list_memberships", procedures: []procedure{created("deleted"), updated("deleted")}, ability: abilityLists},
		{name: "prospect", table: "prospects", procedures: []procedure{updated("deleted")}, onlyAll: true},
		{name: "prospectAccount", table: "prospect_accounts", procedures: accounts},
		{name: "visitor", table: "visitors", procedures: []procedure{updated()}},
	}
}

// serveExports4 answers the paths of exports in version 4.
func (s *Server) serveExports4(c *caller, p path4) {
	switch p.operation {
	case "create":
		if c.r.Method != http.MethodPost {
			c.fail4(60, "Invalid HTTP request method")
			return
		}
		s.createExport4(c)
	case "read":
		if x, j, ok := s.lookup(c, cmp.Or(p.args["id"], c.q.Get("id"))); ok {
			s.sendExport4(c, s.export4(c, x, j, true))
		}
	case "query":
		s.listExports4(c)
	case "downloadResults":
		x, j, ok := s.lookup(c, p.args["id"])
		if ok {
			s.download(c, x, j, func(_ int, f exportFile) bool { return strconv.FormatInt(f.id, 10) == p.args["file"] })
		}
	default:
		c.fail4(2, "Invalid action")
	}
}

func (s *Server) createExport4(c *caller) {
	r, bad := c.readCreate()
	if bad == nil {
		bad = s.newExport4(c, r)
	}
	if bad != nil {
		c.fail4(bad.code, bad.message)
	}
}

// newExport4 checks a create, queues the export and answers.
func (s *Server) newExport4(c *caller, r *createRequest) *refusal {
	list := s.exportables4()
	i := slices.IndexFunc(list, func(o exportable) bool { return strings.EqualFold(o.name, r.Object) })
	if i < 0 {
		return &refusal{154, "A property is invalid: object " + r.Object + " cannot be exported"}
	}
	o := &list[i]
	if !c.allowed(o) {
		return nil
	}
	x := &export{version: 4, object: o.name, user: c.user, zone: c.zone}
	t := s.state.Load().byName[o.table]
	x.query = query{table: t}
	if bad := o.narrow(c, &x.query, r, func(text string) (time.Time, bool) { return gnuDate(text, c.now, c.zone, s.cfg.LaterHour) }); bad != nil {
		return bad
	}
	fields := r.Fields
	if len(fields) == 0 {
		for _, col := range t.columns {
			if exportable4(col) {
				fields = append(fields, col.v4)
			}
		}
	}
	for _, name := range fields {
		col := t.column4(name)
		if col == nil || !exportable4(col) {
			return &refusal{180, "One or more fields are invalid: " + name}
		}
		x.fields = append(x.fields, exportField{name, func(r *record) any { return r.value(col) }})
	}
	s.sendExport4(c, s.export4(c, x, s.add(c, x), true))
	return nil
}

func exportable4(c *column) bool { return c.v4 != "" && !c.noFile }

// export4 is an export as version 4 shows it. Times are in the zone of whoever asks, and lists do
// not tell where the files are.
func (s *Server) export4(c *caller, x *export, j simulate.Job, refs bool) tree {
	expired := s.expired(x, j)
	t := tree{{"id", x.id}, {"state", exportState(j)}, {"isExpired", expired}}
	if refs && j.Status == simulate.JobCompleted && !expired {
		list := make(repeated, len(x.files))
		for i, f := range x.files {
			list[i] = markup(fmt.Sprintf("%s/api/export/version/%d/do/downloadResults/id/%d/file/%d", s.refsHost(c), c.v, x.id, f.id))
		}
		t = append(t, element{"resultRefs", list})
	}
	return append(t,
		element{"createdAt", markup(naive(nil, j.CreatedAt.Unix(), c.zone))},
		element{"updatedAt", markup(naive(nil, changed(j).Unix(), c.zone))})
}

// refsHost begins the references to files.
func (s *Server) refsHost(c *caller) string {
	switch host := s.cfg.RefsHost; {
	case host == "":
		return c.baseURL()
	case strings.Contains(host, "://"):
		return host
	default:
		return "https://" + host
	}
}

func (s *Server) sendExport4(c *caller, t tree) {
	if s.cfg.BareExport && c.json {
		w := writer4{plain: true}
		w.json(t)
		c.send(http.StatusOK, "application/json; charset=utf-8", w.b)
		return
	}
	c.send4(element{"export", t})
}

// listExports4 answers a query of exports.
func (s *Server) listExports4(c *caller) {
	if !c.user.can(abilityExports) {
		c.fail4(46, "You do not have permission to perform this action")
		return
	}
	bounds := make(map[string]time.Time)
	for _, name := range []string{"created_after", "created_before", "updated_after", "updated_before"} {
		if text := c.q.Get(name); text != "" {
			t, ok := gnuDate(text, c.now, c.zone, s.cfg.LaterHour)
			if !ok {
				c.fail4(7, "Invalid timestamp")
				return
			}
			bounds[name] = t
		}
	}
	by := cmp.Or(c.q.Get("sort_by"), "id")
	order := strings.ToLower(cmp.Or(c.q.Get("sort_order"), "descending"))
	switch {
	case by != "id" && by != "created_at" && by != "updated_at":
		c.fail4(19, "Invalid sort_by")
		return
	case order != "ascending" && order != "descending":
		c.fail4(20, "Invalid sort_order")
		return
	}
	within := func(name string, t time.Time) bool {
		after, a := bounds[name+"_after"]
		before, b := bounds[name+"_before"]
		return (!a || t.After(after)) && (!b || t.Before(before))
	}
	type row struct {
		x *export
		j simulate.Job
	}
	var rows []row
	list, jobs := s.allExports(false)
	for i, x := range list {
		j := jobs[i]
		if within("created", j.CreatedAt) && within("updated", changed(j)) && (c.q.Get("status") == "" || strings.EqualFold(c.q.Get("status"), exportState(j))) &&
			(c.q.Get("object") == "" || strings.EqualFold(c.q.Get("object"), x.object)) {
			rows = append(rows, row{x, j})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		d := cmp.Compare(a.x.id, b.x.id)
		switch by {
		case "created_at":
			d = cmp.Or(a.j.CreatedAt.Compare(b.j.CreatedAt), d)
		case "updated_at":
			d = cmp.Or(changed(a.j).Compare(changed(b.j)), d)
		}
		if order == "descending" {
			return -d
		}
		return d
	})
	total := len(rows)
	limit := int(c.queryLimit(maxLimit4))
	if offset, err := strconv.Atoi(c.q.Get("offset")); err == nil && offset > 0 {
		rows = rows[min(offset, len(rows)):]
	}
	rows = rows[:min(max(limit, 0), len(rows))]
	records := make(repeated, len(rows))
	for i, r := range rows {
		records[i] = s.export4(c, r.x, r.j, false)
	}
	c.send4(element{"result", tree{{"total_results", int64(total)}, {"export", records}}})
}
