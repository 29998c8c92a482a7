package marketosim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/martsync/martsync/simulate"
)

// changeStudio updates, creates and deletes what a studio holds, in turn, so that every kind of change
// comes up after a few calls.
func (m *mutation) changeStudio(k int) string {
	w := m.s.world
	steps := []func() string{
		m.retag,
		func() string { return m.rename("form", m.st.forms) },
		m.editToken,
		func() string { return m.drop("landing page", m.st.pages) },
		func() string { return m.make("file", &m.st.files, w.newFile) },
		m.addToken,
		m.addStatus,
		func() string { return m.rename("smart list", m.st.smartLists) },
		func() string { return m.make("segment", &m.st.segments, m.newSegment) },
		m.addFolder,
		func() string { return m.rename("snippet", m.st.snippets) },
		m.dropToken,
		func() string { return m.drop("file", m.st.files) },
		func() string { return m.make("form", &m.st.forms, w.newForm) },
		m.changeTags,
		func() string { return m.rename("email template", m.st.templates) },
		func() string { return m.drop("smart list", m.st.smartLists) },
		m.dropFolder,
		func() string { return m.rename("segment", m.st.segments) },
		func() string { return m.drop("snippet", m.st.snippets) },
		func() string { return m.make("smart list", &m.st.smartLists, w.newSmartList) },
		m.renameFolder,
		func() string { return m.drop("segmentation", m.st.segmentations) },
		func() string { return m.rename("landing page", m.st.pages) },
		func() string { return m.make("segmentation", &m.st.segmentations, w.newSegmentation) },
		func() string { return m.make("channel", &m.st.channels, w.newChannel) },
		func() string { return m.drop("form", m.st.forms) },
		func() string { return m.make("landing page", &m.st.pages, w.newPage) },
		func() string { return m.drop("email template", m.st.templates) },
		func() string { return m.drop("segment", m.st.segments) },
		func() string { return m.make("snippet", &m.st.snippets, w.newSnippet) },
		func() string { return m.drop("channel", m.st.channels) },
		func() string { return m.make("email template", &m.st.templates, w.newTemplate) },
	}
	var said []string
	for range k {
		if text := steps[m.st.step%len(steps)](); text != "" {
			said = append(said, text)
		}
		m.st.step++
	}
	if len(said) == 0 {
		return ""
	}
	more := ""
	if len(said) > 3 {
		more = fmt.Sprintf(", and %d more", len(said)-3)
		said = said[:3]
	}
	return "Design studio: " + strings.Join(said, ", ") + more + "."
}

// make creates an asset with an id above all others.
func (m *mutation) make(what string, list *[]*asset, of func(i int, created, updated int64) *asset) string {
	a := of(len(*list), m.at, m.at)
	*list = append(*list, a)
	return fmt.Sprintf("%s %q was created", what, a.rec.get("name"))
}

// newSegment makes a segment of a segmentation that exists.
func (m *mutation) newSegment(i int, created, updated int64) *asset {
	of := m.st.segmentations[0].id
	if k := m.one(m.st.segmentations); k >= 0 {
		of = m.st.segmentations[k].id
	}
	return m.s.world.segment(i, of, created, updated)
}

// retag changes tags and costs of a program, or takes them away.
func (m *mutation) retag() string {
	i := m.one(m.st.programs)
	if i < 0 {
		return ""
	}
	a := *m.st.programs[i]
	tags := []record{{{"tagType", "Budget"}, {"tagValue", fmt.Sprintf("rev. %d", m.s.turn)}}}
	var costs any = []record{{{"startDate", moment(m.at)}, {"cost", int(m.s.turn)}, {"note", nil}}} //nolint:gosec // few turns
	if m.roll()%3 == 0 {
		tags, costs = nil, nil
	}
	a.rec = a.rec.with("tags", hidden{tags}).with("costs", hidden{costs}).with("updatedAt", moment(m.at))
	a.updated = m.at
	m.st.programs[i] = &a
	return fmt.Sprintf("tags and costs of program %q changed", a.rec.get("name"))
}

// spot picks a place with tokens, and its tokens.
func (m *mutation) spot() (p place, list []record, ok bool) {
	var all []place
	for p, list := range m.st.tokens {
		if len(list) > 0 && m.st.has(p) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return place{}, nil, false
	}
	slices.SortFunc(all, place.compare)
	p = all[simulate.Pick(m.roll(), len(all))]
	return p, slices.Clone(m.st.tokens[p]), true
}

// touch moves the update of a place whose tokens have changed, if they do that.
func (m *mutation) touch(p place) {
	if m.s.cfg.QuietTokens {
		return
	}
	if p.kind == "Program" {
		for i, a := range m.st.programs {
			if a.id == p.id {
				c := *a
				c.rec, c.updated = a.rec.with("updatedAt", moment(m.at)), m.at
				m.st.programs[i] = &c
			}
		}
		return
	}
	for i, f := range m.st.folders {
		if f.id == p.id {
			c := *f
			c.rec = f.rec.with("updatedAt", moment(m.at))
			m.st.folders[i] = &c
		}
	}
}

func (m *mutation) editToken() string {
	p, list, ok := m.spot()
	if !ok {
		return ""
	}
	i := simulate.Pick(m.roll(), len(list))
	list[i] = list[i].with("value", fmt.Sprintf("rev. %d", m.s.turn))
	m.st.tokens[p] = list
	m.touch(p)
	return fmt.Sprintf("token %q of %s changed", list[i].get("name"), p.text())
}

func (m *mutation) addToken() string {
	i := m.one(m.st.programs)
	if i < 0 {
		return ""
	}
	p := place{"Program", m.st.programs[i].id}
	t := token(fmt.Sprintf("Token %d.%d", m.s.turn, m.st.step), "text", "new")
	m.st.tokens[p] = append(slices.Clone(m.st.tokens[p]), t)
	m.touch(p)
	return fmt.Sprintf("token %q of %s was created", t.get("name"), p.text())
}

func (m *mutation) dropToken() string {
	p, list, ok := m.spot()
	if !ok {
		return ""
	}
	i := simulate.Pick(m.roll(), len(list))
	t := list[i]
	m.st.lost[p] = append(slices.Clone(m.st.lost[p]), t)
	m.st.tokens[p] = slices.Delete(list, i, i+1)
	m.touch(p)
	return fmt.Sprintf("token %q of %s was deleted", t.get("name"), p.text())
}

// addStatus adds a status to a channel.
func (m *mutation) addStatus() string {
	i := m.one(m.st.channels)
	if i < 0 {
		return ""
	}
	a := *m.st.channels[i]
	statuses, _ := a.rec.get("progressionStatuses").([]record)
	statuses = append(slices.Clone(statuses), record{{"name", fmt.Sprintf("Status %d", m.s.turn)}, {"step", 50}, {"description", nil}, {"hidden", true}, {"success", true}})
	a.rec = a.rec.with("progressionStatuses", statuses).with("updatedAt", moment(m.at))
	a.updated = m.at
	m.st.channels[i] = &a
	return fmt.Sprintf("channel %q got a status", a.rec.get("name"))
}

// changeTags creates a type of tags, deletes one or adds a value to one, in turn.
func (m *mutation) changeTags() string {
	m.st.tagStep++
	switch m.st.tagStep % 3 {
	case 1:
		t := &tagType{name: fmt.Sprintf("Tag %d.%d", m.s.turn, m.st.step), programs: "[program]", values: []string{"a", "b"}}
		m.st.tags = append(m.st.tags, t)
		return fmt.Sprintf("tag type %q was created", t.name)
	case 2:
		i := len(m.st.tags) - 1
		t := *m.st.tags[i]
		t.gone = true
		m.st.tags[i] = &t
		return fmt.Sprintf("tag type %q was deleted", t.name)
	}
	t := *m.st.tags[0]
	t.values = append(slices.Clone(t.values), fmt.Sprintf("Value %d", m.s.turn))
	m.st.tags[0] = &t
	return fmt.Sprintf("tag type %q got a value", t.name)
}

func (m *mutation) addFolder() string {
	id := folderID(len(m.st.folders) + len(folderNames))
	parent, name := m.st.folders[2], fmt.Sprintf("Folder %d.%d", m.s.turn, m.st.step)
	f := &folder{id: id, kind: "Folder", path: parent.path + "/" + name}
	f.rec = record{
		{"name", name},
		{"description", "made \"late\""},
		{"createdAt", moment(m.at)},
		{"updatedAt", moment(m.at)},
		{"url", nil},
		{"folderId", record{{"id", id}, {"type", "Folder"}}},
		{"folderType", "Marketing Folder"},
		{"parent", record{{"id", parent.id}, {"type", "Folder"}}},
		{"path", f.path},
		{"isArchive", false},
		{"isSystem", false},
		{"accessZoneId", 1},
		{"workspace", "Default"},
		{"id", id},
	}
	m.st.folders = append(m.st.folders, f)
	p := place{"Folder", id}
	m.st.tokens[p] = []record{token("Late", "text", "token")}
	return fmt.Sprintf("folder %q was created", name)
}

// late is the last folder that was created since the start and exists.
func (m *mutation) late() int {
	for i := len(m.st.folders) - 1; i >= 3+len(folderNames); i-- {
		if !m.st.folders[i].gone {
			return i
		}
	}
	return -1
}

func (m *mutation) dropFolder() string {
	i := m.late()
	if i < 0 {
		return ""
	}
	f := *m.st.folders[i]
	f.gone = true
	m.st.folders[i] = &f
	return fmt.Sprintf("folder %q was deleted", f.rec.get("name"))
}

// renameFolder renames a folder with programs in it: their paths change and their updatedAt does not.
func (m *mutation) renameFolder() string {
	f := *m.st.folders[3]
	old := f.rec.get("name")
	name := fmt.Sprintf("%s (rev. %d)", folderNames[0], m.s.turn)
	f.path = m.st.folders[2].path + "/" + name
	f.rec = f.rec.with("name", name).with("path", f.path).with("updatedAt", moment(m.at))
	m.st.folders[3] = &f
	return fmt.Sprintf("folder %q was renamed to %q", old, name)
}
