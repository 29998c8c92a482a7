package marketosim

import (
	"path"
	"strconv"
	"strings"
)

// studioKinds are the kinds that browse and by-id reads serve like those of assetKinds. Only smart
// lists can be filtered by the time of their update. (Marketo REST API, Assets)
var studioKinds = []assetKind{
	{plural: "smartLists", singular: "smartList", of: func(s *state) []*asset { return s.smartLists }},
	{plural: "emailTemplates", singular: "emailTemplate", of: func(s *state) []*asset { return s.templates }, whole: true},
	{plural: "forms", singular: "form", of: func(s *state) []*asset { return s.forms }, whole: true},
	{plural: "landingPages", singular: "landingPage", of: func(s *state) []*asset { return s.pages }, whole: true},
	{plural: "snippets", singular: "snippet", of: func(s *state) []*asset { return s.snippets }, whole: true},
	{plural: "files", singular: "file", of: func(s *state) []*asset { return s.files }, whole: true, anonymous: true},
	{plural: "channels", singular: "channel", of: func(s *state) []*asset { return s.channels }, whole: true, noID: true},
}

func (s *Server) studioRoutes(permission string) []route {
	const root = "/rest/asset/v1/"
	t := []route{
		{path: root + "tagTypes.json", do: s.tagTypes},
		{path: root + "tagType/byName.json", do: s.tagType},
		{path: root + "segmentation.json", do: s.segmentations},
		{path: root + "segmentation/{id}/segments.json", do: s.segments},
		{path: root + "folder/{id}/tokens.json", do: s.tokensOf},
		{path: root + "smartCampaign/{id}/smartList.json", do: s.smartListOf},
	}
	for _, k := range studioKinds {
		t = append(t, route{path: root + k.plural + ".json", do: s.browse(k)})
		if k.plural != "snippets" {
			t = append(t, route{path: root + k.singular + "/byName.json", do: s.byName(k)})
		}
		if !k.noID {
			t = append(t, route{path: root + k.singular + "/{id}.json", do: s.byID(k)})
		}
	}
	for i := range t {
		t[i].permission = permission
	}
	return t
}

// tagTypes lists the types without their values, which only reads by name tell.
// (Marketo REST API, Tags)
func (s *Server) tagTypes(c *call) {
	var list []record
	for _, t := range c.st.tags {
		if !t.gone {
			list = append(list, t.record()[:3])
		}
	}
	c.page(list)
}

func (s *Server) tagType(c *call) {
	var list []record
	for _, t := range c.st.tags {
		if !t.gone && t.name == c.q.Get("name") && t.searchable() {
			list = append(list, t.record())
		}
	}
	c.assets(list, true)
}

// searchable reports whether a read by name finds it: names with commas cannot be searched.
// (Marketo REST API, Assets)
func (t *tagType) searchable() bool { return !strings.Contains(t.name, ",") }

func (t *tagType) record() record {
	return record{
		{"tagType", t.name},
		{"applicableProgramTypes", t.programs},
		{"required", t.required},
		{"allowableValues", "[" + strings.Join(t.values, ", ") + "]"},
	}
}

// segmentations answers all at once: the specification has no paging parameters there.
// (Marketo REST API, Dynamic Content)
func (s *Server) segmentations(c *call) { c.assets(c.versions(c.st.segmentations, nil), false) }

func (s *Server) segments(c *call) {
	id, err := strconv.ParseInt(c.ids[0], 10, 64)
	if of := find(c.st.segmentations, id); err != nil || of == nil || of.gone {
		c.fail("702", "Segmentation not found")
		return
	}
	c.page(c.versions(c.st.segments, func(a *asset) bool { return a.rec.get("segmentationId") == id }))
}

// versions are the records of the assets that exist, in the wanted status.
func (c *call) versions(list []*asset, want func(*asset) bool) (records []record) {
	for _, a := range list {
		if r := a.version(c.q.Get("status")); !a.gone && r != nil && (want == nil || want(a)) {
			records = append(records, r)
		}
	}
	return records
}

// tokensOf answers the tokens of a folder or a program. A place without any answers the usual
// warning or, if its id is odd, a place with an empty list: no sample shows which.
// (Marketo REST API, Tokens)
func (s *Server) tokensOf(c *call) {
	id, _ := strconv.ParseInt(c.ids[0], 10, 64) // nonsense is no place
	p := place{"Folder", id}
	if strings.EqualFold(c.q.Get("folderType"), "Program") {
		p.kind = "Program"
	}
	if !c.st.has(p) {
		c.fail("702", p.kind+" not found")
		return
	}
	tokens := c.st.tokens[p]
	if len(tokens) == 0 && id%2 == 0 {
		c.assets(nil, false)
		return
	}
	if tokens == nil {
		tokens = []record{}
	}
	c.assets([]record{{{"folder", record{{"type", p.kind}, {"value", id}}}, {"tokens", tokens}}}, false)
}

// has reports whether the place exists.
func (s *state) has(p place) bool {
	if p.kind == "Program" {
		a := find(s.programs, p.id)
		return a != nil && !a.gone
	}
	for _, f := range s.folders {
		if f.id == p.id {
			return !f.gone
		}
	}
	return false
}

// smartListOf answers the smart list of a campaign. (Marketo REST API, Smart Lists)
func (s *Server) smartListOf(c *call) {
	id, _ := strconv.ParseInt(c.ids[0], 10, 64)
	var list []record
	if a := find(c.st.campaigns, id); a != nil && !a.gone {
		of, _ := a.rec.get("smartListId").(int64)
		if l := find(c.st.smartLists, of); l != nil && !l.gone {
			list = append(list, l.rec)
		}
	}
	c.assets(list, false)
}

// allFolders are the folders that exist and the programs, each of which is a folder, too.
// (Marketo REST API, Folders)
func (s *state) allFolders() []*folder {
	var list []*folder
	paths := map[int64]string{}
	for _, f := range s.folders {
		paths[f.id] = f.path
		if !f.gone {
			list = append(list, f)
		}
	}
	for _, p := range s.programs {
		if !p.gone {
			list = append(list, p.folder(paths))
		}
	}
	return list
}

// folder shows a program as the folder that it is.
func (a *asset) folder(paths map[int64]string) *folder {
	in, _ := a.rec.get("folder").(record)
	parent, _ := in.get("value").(int)
	name, _ := a.rec.get("name").(string)
	f := &folder{id: a.id, kind: "Program", path: path.Join(paths[int64(parent)], name)}
	kind := "Marketing Program"
	if a.rec.get("startDate") != nil {
		kind = "Marketing Event"
	}
	f.rec = record{
		{"name", name},
		{"description", a.rec.get("description")},
		{"createdAt", a.rec.get("createdAt")},
		{"updatedAt", a.rec.get("updatedAt")},
		{"url", a.rec.get("url")},
		{"folderId", record{{"id", a.id}, {"type", "Program"}}},
		{"folderType", kind},
		{"parent", record{{"id", parent}, {"type", "Folder"}}},
		{"path", f.path},
		{"isArchive", false},
		{"isSystem", false},
		{"accessZoneId", 1},
		{"workspace", a.rec.get("workspace")},
		{"id", a.id},
	}
	return f
}
