package marketosim

import (
	"strconv"
	"strings"
)

// The records of the design studio and of segmentations, in the order of the vendor's samples.

func screen(kind string, id int64) string { return appURL + kind + strconv.FormatInt(id, 10) + "A1" }

// unless appends a member where the record has it at all.
func (r record) unless(absent bool, name string, v any) record {
	if absent {
		return r
	}
	return append(r, member{name, v})
}

// inProgram is the folder of assets that show it with a value and a name.
func (w *world) inProgram(i int) record {
	if i%4 == 3 {
		return folderOf(i)
	}
	p := i % w.size.programs
	return record{{"type", "Program"}, {"value", w.programID(p)}, {"folderName", programName(p)}}
}

// drafted gives every n-th asset a draft beside its approved version.
func drafted(a *asset, i, n int) *asset {
	if i%n == 2 {
		a.draft = a.rec.with("status", "draft").with("description", "DRAFT")
	}
	return a
}

func status(i int) string { return []string{"approved", "approved", "draft", "Approved"}[i%4] }

// newSmartList makes a smart list. The ids of those inside campaigns are what the campaigns
// name. (Marketo REST API, Smart Lists)
func (w *world) newSmartList(i int, created, updated int64) *asset {
	id := 9001 + int64(i)
	r := record{{"id", id}, {"name", "SL-" + strconv.Itoa(i) + " Opened \"Aurora\""}}
	r = r.unless(i%4 == 2, "description", description(i))
	r = append(r, member{"createdAt", moment(created)}, member{"updatedAt", moment(updated)}, member{"url", screen("SL", id)})
	if i%3 == 0 {
		r = append(r, member{"folder", record{{"id", folderID(i % len(folderNames))}, {"type", "Folder"}}})
	} else {
		r = append(r, member{"folder", record{{"id", w.programID(i % w.size.programs)}, {"type", "Program"}}})
	}
	return &asset{id: id, updated: updated, rec: append(r, member{"workspace", "Default"})}
}

// newTemplate makes an e-mail template. (Marketo REST API, Email Templates)
func (w *world) newTemplate(i int, created, updated int64) *asset {
	id := 61 + int64(i)
	return drafted(&asset{id: id, updated: updated, rec: record{
		{"id", id},
		{"name", "TPL-" + strconv.Itoa(i) + " Two columns"},
		{"description", description(i)},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
		{"url", nil},
		{"folder", folderOf(i)},
		{"status", status(i)},
		{"workspace", "Default"},
	}}, i, 5)
}

// newSnippet makes a snippet. (Marketo REST API, Snippets)
func (w *world) newSnippet(i int, created, updated int64) *asset {
	id := 77 + int64(i)
	return drafted(&asset{id: id, updated: updated, rec: record{
		{"id", id},
		{"name", "Footer, " + strconv.Itoa(i)},
		{"description", description(i)},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
		{"url", screen("SN", id)},
		{"folder", folderOf(i)},
		{"status", status(i)},
		{"workspace", "Default"},
	}}, i, 4)
}

// newForm makes a form. Its name comes without that of its program. (Marketo REST API, Forms)
func (w *world) newForm(i int, created, updated int64) *asset {
	id := 1188 + int64(i)
	return drafted(&asset{id: id, updated: updated, rec: record{
		{"id", id},
		{"name", "Registration \"" + strconv.Itoa(i) + "\""},
		{"description", description(i)},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
		{"url", screen("FO", id)},
		{"status", status(i)},
		{"theme", "simple"},
		{"language", "English"},
		{"locale", "en_US"},
		{"progressiveProfiling", i%3 == 0},
		{"labelPosition", []string{"left", "above"}[i%2]},
		{"fontFamily", "Helvetica"},
		{"fontSize", "13px"},
		{"folder", w.inProgram(i)},
		{"knownVisitor", record{{"type", "form"}, {"template", nil}}},
		{"thankYouList", []record{{{"followupType", "none"}, {"followupValue", nil}, {"default", true}}}},
		{"buttonLocation", 120},
		{"buttonLabel", []string{"Register", "登録"}[i%2]},
		{"waitingLabel", "Please wait"},
	}}, i, 3)
}

// pageColumns are members that some landing pages lack.
var pageColumns = []string{"description", "title", "keywords", "customHeadHTML", "facebookOgTags"}

// newPage makes a landing page. (Marketo REST API, Landing Pages)
func (w *world) newPage(i int, created, updated int64) *asset {
	id := 4120 + int64(i)
	if i%13 == 4 {
		created = updated + hour // seen on pages from before July 2020
	}
	r := record{{"id", id}, {"name", "WBN-RegPage-" + strconv.Itoa(i)}}
	r = r.unless(i%2 == 0, "description", description(i))
	r = append(r, member{"createdAt", moment(created)}, member{"updatedAt", moment(updated)}, member{"folder", w.inProgram(i)},
		member{"workspace", "Default"}, member{"status", status(i)}, member{"template", 57 + i%3})
	r = r.unless(i%5 == 0, "title", "Register, now").unless(i%3 > 0, "keywords", "lens, care")
	r = append(r, member{"robots", "index, follow"}, member{"formPrefill", i%2 == 0}, member{"mobileEnabled", i%7 == 0},
		member{"URL", "https://pages.larkfield.example/WBN-RegPage-" + strconv.Itoa(i) + ".html"}, member{"computedUrl", screen("LP", id)})
	r = r.unless(i%6 > 0, "customHeadHTML", "<meta name=\"x\"\n content='1'>").unless(i%8 > 0, "facebookOgTags", "<og:title>")
	return &asset{id: id, updated: updated, rec: r}
}

// newFile makes a file. Its folder names the kind of folder. (Marketo REST API, Files)
func (w *world) newFile(i int, created, updated int64) *asset {
	id := 33_120 + int64(i)
	folder := record{{"type", "Image"}, {"id", 436}, {"name", "Images"}}
	if i%3 == 1 {
		folder = record{{"type", "Email"}, {"id", 437}}
	}
	name := "lens-" + strconv.Itoa(i) + ".png"
	return &asset{id: id, updated: updated, rec: record{
		{"id", id},
		{"size", 48_211 + 1_000_003*int64(i%3000)},
		{"mimeType", "image/png"},
		{"url", "https://pages.larkfield.example/rs/917-QXL-204/images/" + name},
		{"folder", folder},
		{"name", name},
		{"description", description(i)},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
	}}
}

// newSegmentation makes a segmentation. (Marketo REST API, Dynamic Content)
func (w *world) newSegmentation(i int, created, updated int64) *asset {
	id := segmentationID(i)
	return &asset{id: id, updated: updated, rec: record{
		{"id", id},
		{"name", []string{"Region", "Industry", "Size, \"B2B\"", "言語"}[i%4] + strings.Repeat(" ", i/4) + strings.Repeat("+", i/4)},
		{"description", description(i)},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
		{"url", screen("SG", id)},
		{"folder", record{{"type", "Folder"}, {"value", 21}, {"folderName", "Segmentations"}}},
		{"status", status(i)},
		{"workspace", "Default"},
	}}
}

func segmentationID(i int) int64 { return 1007 + int64(i) }

// newSegment makes a segment of one of the first segmentations. (Marketo REST API, Dynamic Content)
func (w *world) newSegment(i int, created, updated int64) *asset {
	return w.segment(i, segmentationID(i/segmentsEach), created, updated)
}

func (w *world) segment(i int, of int64, created, updated int64) *asset {
	id := 1030 + int64(i)
	name := "Default"
	if i%segmentsEach > 0 {
		name = "Segment " + strconv.Itoa(i)
	}
	r := record{
		{"id", id},
		{"name", name},
		{"description", description(i)},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
	}
	r = r.unless(i%2 > 0, "url", screen("SE", id))
	return &asset{id: id, updated: updated, rec: append(r, member{"status", status(i)}, member{"segmentationId", of})}
}

// newChannel makes a channel. Its statuses change without a new id. (Marketo REST API, Channels)
func (w *world) newChannel(i int, created, updated int64) *asset {
	t := programTypes[i%len(programTypes)]
	name := t.channel
	if i >= len(programTypes) {
		name += " " + strconv.Itoa(i)
	} else {
		created, updated = w.leadsFrom, w.leadsFrom
	}
	return &asset{id: 9 + int64(i), updated: updated, rec: record{
		{"id", 9 + i},
		{"name", name},
		{"applicableProgramType", strings.ToLower(t.name)},
		{"progressionStatuses", []record{
			{{"name", "Not in Program"}, {"step", 0}, {"description", nil}, {"hidden", false}, {"type", "Not in Program"}, {"success", false}},
			{{"name", "Registered"}, {"step", 20}, {"description", nil}, {"hidden", false}, {"success", false}},
			{{"name", "Attended"}, {"step", 40}, {"description", nil}, {"hidden", false}, {"success", true}},
		}},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
	}}
}
