package marketosim

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/martsync/martsync/simulate"
)

var studioTables = []string{
	"smart_lists", "email_templates", "forms", "landing_pages", "snippets", "files", "folders", "tokens",
	"channels", "tags", "segmentations", "segments", "lead_fields", "activity_types", "api_usage", "api_errors",
}

// studioTruth yields what a perfect copy of one of studioTables holds.
func (s *Server) studioTruth(st *state, table string, yield func(simulate.Row) bool) {
	switch table {
	case "smart_lists":
		assetTruth(st.smartLists, []string{"description"}, nil, yield)
	case "email_templates":
		assetTruth(st.templates, nil, nil, yield)
	case "forms":
		assetTruth(st.forms, nil, nil, yield)
	case "landing_pages":
		assetTruth(st.pages, pageColumns, nil, yield)
	case "snippets":
		assetTruth(st.snippets, nil, nil, yield)
	case "files":
		assetTruth(st.files, nil, nil, yield)
	case "channels":
		assetTruth(st.channels, nil, nil, yield)
	case "segmentations":
		assetTruth(st.segmentations, nil, nil, yield)
	case "segments":
		assetTruth(st.segmentsNow(), []string{"url"}, nil, yield)
	case "folders":
		folderTruth(st, yield)
	case "tokens":
		tokenTruth(st, yield)
	case "tags":
		tagTruth(st, yield)
	case "lead_fields":
		fieldTruth(st, yield)
	case "activity_types":
		for _, t := range s.types.list {
			row := simulate.Row{Values: t.describe().truth()}
			for _, c := range []string{"apiName", "primaryAttribute"} {
				if _, ok := row.Values[c]; !ok {
					row.Values[c] = nil
				}
			}
			if !yield(row) {
				return
			}
		}
	case "api_usage":
		s.told.truth(false, yield)
	case "api_errors":
		s.told.truth(true, yield)
	}
}

// segmentsNow are the segments, those of deleted segmentations marked as gone.
func (s *state) segmentsNow() []*asset {
	list := make([]*asset, len(s.segments))
	for i, a := range s.segments {
		of, _ := a.rec.get("segmentationId").(int64)
		if p := find(s.segmentations, of); p == nil || p.gone {
			c := *a
			c.gone = true
			a = &c
		}
		list[i] = a
	}
	return list
}

func folderTruth(st *state, yield func(simulate.Row) bool) {
	show := func(f *folder, gone bool) bool {
		row := simulate.Row{Values: f.rec.truth(), Gone: gone}
		row.Values["type"] = f.kind
		return yield(row)
	}
	for _, f := range st.allFolders() {
		if !show(f, false) {
			return
		}
	}
	for _, f := range st.folders {
		if f.gone && !show(f, true) {
			return
		}
	}
	for _, p := range st.programs {
		if p.gone && !show(p.folder(nil), true) {
			return
		}
	}
}

func tokenTruth(st *state, yield func(simulate.Row) bool) {
	show := func(p place, r record, gone bool) bool {
		v := r.truth()
		v["parent"], v["folder_type"], v["folder_id"] = p.text(), p.kind, p.id
		return yield(simulate.Row{Values: v, Gone: gone})
	}
	for _, p := range sorted(st.tokens, place.compare) {
		for _, r := range st.tokens[p] {
			if !show(p, r, !st.has(p)) {
				return
			}
		}
	}
	for _, p := range sorted(st.lost, place.compare) {
		for _, r := range st.lost[p] {
			if !st.hasToken(p, r) && !show(p, r, true) {
				return
			}
		}
	}
}

func (s *state) hasToken(p place, r record) bool {
	for _, t := range s.tokens[p] {
		if t.get("name") == r.get("name") && t.get("type") == r.get("type") {
			return true
		}
	}
	return false
}

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.kind, other.kind), cmp.Compare(p.id, other.id))
}

func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}

func (p place) text() string { return p.kind + " " + strconv.FormatInt(p.id, 10) }

func tagTruth(st *state, yield func(simulate.Row) bool) {
	for _, t := range st.tags {
		row := simulate.Row{Values: t.record().truth(), Gone: t.gone}
		if !t.searchable() {
			row.Values["allowableValues"] = nil // no read tells them
		}
		if !yield(row) {
			return
		}
	}
}

// fieldTruth: a field that nobody can read by REST has the name of the retired interface.
func fieldTruth(st *state, yield func(simulate.Row) bool) {
	show := func(f *Field, gone bool) bool {
		v := map[string]any{
			"name": f.Name, "id": f.ID, "displayName": f.Display, "dataType": f.Type, "length": nil,
			"rest_name": f.Name, "rest_read_only": f.ReadOnly, "soap_name": nil, "soap_read_only": nil,
		}
		if f.Length > 0 {
			v["length"] = int64(f.Length)
		}
		if f.SOAP != "" {
			v["soap_name"], v["soap_read_only"] = f.SOAP, f.ReadOnly
		}
		if f.NoREST {
			v["name"], v["rest_name"], v["rest_read_only"] = f.SOAP, nil, nil
			if f.SOAP == "" {
				v["name"] = f.Display
			}
		}
		return yield(simulate.Row{Values: v, Gone: gone})
	}
	now := map[string]bool{}
	for _, f := range st.fields {
		now[f.Name] = true
		if !show(f, false) {
			return
		}
	}
	for _, f := range st.lostFields {
		if !now[f.Name] {
			now[f.Name] = true
			if !show(f, true) {
				return
			}
		}
	}
}

// told is what the usage endpoints of the last seven days have told. Counts never stand still, so a
// copy of them is right if it holds what was told last. (Marketo REST API, Usage)
type told struct {
	mu           sync.Mutex
	users, codes map[toldKey]toldCount
}

type toldKey struct{ day, of string }

type toldCount struct{ total, count int }

func (t *told) take(day string, errors bool, total int, counts map[string]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := &t.users
	if errors {
		m = &t.codes
	}
	if *m == nil {
		*m = map[toldKey]toldCount{}
	}
	for of, n := range counts {
		(*m)[toldKey{day, of}] = toldCount{total, n}
	}
}

func (t *told) truth(errors bool, yield func(simulate.Row) bool) {
	t.mu.Lock()
	counts, of := maps.Clone(t.users), "userId"
	if errors {
		counts, of = maps.Clone(t.codes), "errorCode"
	}
	t.mu.Unlock()
	for _, k := range sorted(counts, func(a, b toldKey) int { return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.of, b.of)) }) {
		n := counts[k]
		if !yield(simulate.Row{Values: map[string]any{"date": k.day, "total": int64(n.total), of: k.of, "count": int64(n.count)}}) {
			return
		}
	}
}
