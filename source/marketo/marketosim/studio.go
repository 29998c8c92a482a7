package marketosim

import (
	"maps"
	"slices"
)

// A studio is what a state holds beside people and campaigns: smart lists, the design studio's
// assets, segmentations, tokens, channels and tags. Lists are ordered by id.
type studio struct {
	smartLists, templates, forms, pages, snippets, files []*asset
	segmentations, segments, channels                    []*asset

	tags   []*tagType
	tokens map[place][]record // local tokens
	lost   map[place][]record // tokens that were deleted

	lostFields []*Field // lead fields that were removed

	step, tagStep int // changes so far: of all, and of types of tags
}

// A place is a folder or a program. Ids are unique for each of the two types only.
// (Marketo REST API, Folders)
type place struct {
	kind string // "Folder" or "Program"
	id   int64
}

// A tagType is a type of program tags. (Marketo REST API, Tags)
type tagType struct {
	name     string
	programs string // a text such as "[program,event]", as the vendor writes it
	required bool
	values   []string
	gone     bool
}

func (s *studio) clone() studio {
	c := *s
	for _, list := range c.shelves() {
		*list = slices.Clone(*list)
	}
	c.tags, c.tokens, c.lost, c.lostFields = slices.Clone(s.tags), maps.Clone(s.tokens), maps.Clone(s.lost), slices.Clone(s.lostFields)
	return c
}

func (s *studio) shelves() []*[]*asset {
	return []*[]*asset{&s.smartLists, &s.templates, &s.forms, &s.pages, &s.snippets, &s.files, &s.segmentations, &s.segments, &s.channels}
}

// segmentsEach is how many segments a segmentation has at the start, Default included.
const segmentsEach = 3

// newStudio makes what the account has at the start.
func (w *world) newStudio(programs []*asset) studio {
	n := w.size.programs
	make := func(kind string, n int, of func(i int, created, updated int64) *asset) []*asset {
		list := make([]*asset, n)
		for i := range list {
			created, updated := w.assetTimes(kind, i)
			list[i] = of(i, created, updated)
		}
		return list
	}
	s := studio{
		smartLists:    make("smart list", n+n/2, w.newSmartList),
		templates:     make("email template", 12+n/20, w.newTemplate),
		forms:         make("form", 10+n/4, w.newForm),
		pages:         make("landing page", 15+n/3, w.newPage),
		snippets:      make("snippet", 8+n/25, w.newSnippet),
		files:         make("file", 30+n, w.newFile),
		segmentations: make("segmentation", 4, w.newSegmentation),
		segments:      make("segment", 4*segmentsEach, w.newSegment),
		channels:      make("channel", len(programTypes), w.newChannel),
		tags: []*tagType{
			{name: "Sales Region", programs: "[program,event,webinar]", required: true, values: []string{"EMEA", "APJ"}},
			{name: "Owner, \"B2B\"", programs: "[program]", values: []string{"Noor", "Ines", "説明"}},
			{name: "Budget", programs: "[program,event,webinar,nurture]", values: []string{"low", "high"}},
		},
		tokens: map[place][]record{}, lost: map[place][]record{},
	}
	for i, p := range programs {
		if i%3 == 0 {
			s.tokens[place{"Program", p.id}] = tokensOf(i)
		}
	}
	for i := range folderNames {
		s.tokens[place{"Folder", folderID(i)}] = tokensOf(i + 1)
	}
	return s
}

// folderID is the id of a folder that programs are in.
func folderID(i int) int64 { return 390 + int64(i) }

// tokenTypes are the types of tokens that the documentation names. (Marketo REST API, Tokens)
var tokenTypes = []struct{ kind, name, value string }{
	{"date", "Webinar Date", "2026-03-05"},
	{"text", "Speaker \"one\"", "Ines Marlow,\nnoted \"expert\""},
	{"rich text", "Agenda", "<p>午前 &amp; afternoon</p>"},
	{"number", "Seats", "120"},
	{"score", "Attended", "+15"},
	{"sfdc campaign", "Campaign", "701U00000001000IAO"},
	{"text", "Webinar Date", ""}, // the same name with another type is another token
}

func tokensOf(i int) []record {
	var list []record
	for n := range 1 + i%len(tokenTypes) {
		t := tokenTypes[n]
		list = append(list, token(t.name, t.kind, t.value))
	}
	return list
}

func token(name, kind, value string) record {
	return record{{"name", name}, {"type", kind}, {"value", value}, {"computedUrl", appURL + "TK" + kind[:1] + "C3"}}
}
