package marketosim

import (
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// An assetKind is one kind of asset: its paths and where its records are.
type assetKind struct {
	plural, singular string
	of               func(*state) []*asset
	whole            bool // cannot be filtered by the time of updates
	noID             bool // cannot be read by id
	anonymous        bool // replies have null for a request id, as those about files do
}

var assetKinds = []assetKind{
	{plural: "programs", singular: "program", of: func(s *state) []*asset { return s.programs }},
	{plural: "emails", singular: "email", of: func(s *state) []*asset { return s.emails }},
	{plural: "smartCampaigns", singular: "smartCampaign", of: func(s *state) []*asset { return s.campaigns }},
	{plural: "staticLists", singular: "staticList", of: func(s *state) []*asset { return s.lists }},
}

// assets answers in the asset envelope: errors and warnings are always there, and without
// matches there is a warning and no result. (Marketo REST API, Assets)
func (c *call) assets(list []record, everything bool) {
	b := append(c.open(), `"success":true,"errors":[],`...)
	if len(list) == 0 {
		c.send(append(b, `"warnings":["No assets found for the given search criteria."]}`...))
		return
	}
	b = append(b, `"warnings":[],"result":`...)
	c.send(append(appendAny(b, list, true, everything), '}'))
}

// page cuts the page that offset and maxReturn ask for: 20 by default, at most 200.
// (Marketo REST API, Assets)
func (c *call) page(list []record) {
	offset, _ := strconv.Atoi(c.q.Get("offset")) // absent or nonsense: from the start
	size, err := strconv.Atoi(c.q.Get("maxReturn"))
	if err != nil || size < 1 {
		size = 20
	}
	offset = min(max(offset, 0), len(list))
	c.assets(list[offset:min(offset+min(size, 200), len(list))], false)
}

// updatedRange reads earliestUpdatedAt and latestUpdatedAt, both inclusive.
func (c *call) updatedRange() (from, to int64, ok bool) {
	from, to = 0, endless
	for _, p := range []struct {
		name string
		to   *int64
	}{{"earliestUpdatedAt", &from}, {"latestUpdatedAt", &to}} {
		text := c.q.Get(p.name)
		if text == "" {
			continue
		}
		t, ok := parseTime(text)
		if !ok || strings.Contains(text, ".") {
			c.fail("1003", fmt.Sprintf("Invalid value for %s: %s", p.name, text))
			return 0, 0, false
		}
		*p.to = t.Unix()
	}
	if !c.s.cfg.LooseRanges && (from >= to || from >= c.now.Unix()) {
		c.fail("1003", "Invalid date range: earliestUpdatedAt must be before latestUpdatedAt and not in the future")
		return 0, 0, false
	}
	return from, to, true
}

// browse answers the collection of a kind.
func (s *Server) browse(k assetKind) func(*call) {
	return func(c *call) {
		c.anonymous = k.anonymous
		from, to := int64(0), endless
		if !k.whole {
			var ok bool
			if from, to, ok = c.updatedRange(); !ok {
				return
			}
		}
		var list []record
		for _, a := range k.of(c.st) {
			r := a.version(c.q.Get("status"))
			if a.gone || a.tested || r == nil || a.updated < from || a.updated > to || !c.browsable(k, a) {
				continue
			}
			list = append(list, r)
		}
		c.page(list)
	}
}

// version picks the approved version or the draft; without a wish the approved one is preferred.
func (a *asset) version(status string) record {
	switch {
	case status == "":
		return a.rec
	case a.draft != nil && strings.EqualFold(status, "draft"):
		return a.draft
	case strings.EqualFold(status, fmt.Sprint(a.rec.get("status"))):
		return a.rec
	}
	return nil
}

// browsable applies the filters that a kind has of its own.
func (c *call) browsable(k assetKind, a *asset) bool {
	if q := c.q.Get("folder"); q != "" {
		var f struct {
			ID   int64  `json:"id"`
			Type string `json:"type"`
		}
		if json.Unmarshal([]byte(q), &f) != nil {
			return false
		}
		in, _ := a.rec.get("folder").(record)
		id := in.get("id")
		if id == nil {
			id = in.get("value")
		}
		if fmt.Sprint(id) != strconv.FormatInt(f.ID, 10) || !strings.EqualFold(fmt.Sprint(in.get("type")), f.Type) {
			return false
		}
	}
	switch k.plural {
	case "smartCampaigns":
		return c.q.Get("isActive") != "true" || a.rec.get("isActive") == true && a.rec.get("type") == "trigger"
	case "programs":
		switch c.q.Get("filterType") {
		case "id", "programId":
			return c.wants("filterValues", a.id)
		case "workspace":
			return c.wants("filterValues", a.rec.get("workspace"))
		case "folderId":
			f, _ := a.rec.get("folder").(record)
			return c.wants("filterValues", f.get("value"))
		}
	}
	return true
}

func (s *Server) byID(k assetKind) func(*call) {
	return func(c *call) {
		id, err := strconv.ParseInt(c.ids[0], 10, 64)
		var list []record
		if a := find(k.of(c.st), id); err == nil && a != nil && !a.gone && !a.tested {
			if r := a.version(c.q.Get("status")); r != nil {
				list = append(list, r)
			}
		}
		c.assets(list, true)
	}
}

func (s *Server) byName(k assetKind) func(*call) {
	return func(c *call) {
		var list []record
		for _, a := range k.of(c.st) {
			if !a.gone && !a.tested && a.rec.get("name") == c.q.Get("name") {
				list = append(list, a.rec)
			}
		}
		c.assets(list, c.q.Get("includeTags") == "true" || c.q.Get("includeCosts") == "true")
	}
}

// folders answers folders.json: below root, or from the top, down to maxDepth.
// (Marketo REST API, Folders)
func (s *Server) folders(c *call) {
	depth, err := strconv.Atoi(c.q.Get("maxDepth"))
	if err != nil {
		depth = 2
	}
	root := "/"
	if q := c.q.Get("root"); q != "" {
		var f struct{ ID int64 }
		_ = json.Unmarshal([]byte(q), &f) // nonsense finds nothing
		root = "\x00"
		for _, d := range c.st.folders {
			if d.id == f.ID && !d.gone {
				root = d.path
			}
		}
	}
	var list []record
	for _, f := range c.st.allFolders() {
		if f.path != root && !strings.HasPrefix(f.path, path.Clean(root)) {
			continue
		}
		below := strings.Count(f.path, "/") - strings.Count(strings.TrimSuffix(root, "/"), "/")
		if below <= depth {
			list = append(list, f.rec)
		}
	}
	c.page(list)
}

func (s *Server) folder(c *call) {
	var list []record
	for _, f := range c.st.allFolders() {
		if strconv.FormatInt(f.id, 10) == c.ids[0] && strings.EqualFold(c.q.Get("type"), f.kind) {
			list = append(list, f.rec)
		}
	}
	c.assets(list, true)
}
