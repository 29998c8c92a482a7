package marketosim

import (
	"fmt"
	"strconv"

	"github.com/martsync/martsync/simulate"
)

// An asset is a program, an e-mail, a smart campaign or a static list.
type asset struct {
	id      int64
	updated int64
	gone    bool // deleted: no read shows it
	tested  bool // an e-mail of an A/B test: no read shows it either
	rec     record
	draft   record // differs from rec if the asset has an approved version and a draft
}

// A folder is a folder of marketing activities or of the design studio.
type folder struct {
	id   int64
	kind string
	rec  record
	path string
	gone bool // deleted
}

// Names are functions of the position, since activities show the name an asset had.
func programName(i int) string {
	switch i % 7 {
	case 1:
		return "WBN-" + strconv.Itoa(i) + " Lens Care, live"
	case 2:
		return "Spring \"Aurora\" launch " + strconv.Itoa(i)
	case 3:
		return "製品デモ " + strconv.Itoa(i)
	}
	return "PRG-" + strconv.Itoa(i) + " Nurture"
}

func emailName(i int) string {
	if i%9 == 4 {
		return "Reminder \"last call\" " + strconv.Itoa(i)
	}
	return "EM-" + strconv.Itoa(i) + " Invitation"
}

func campaignName(i int) string { return fmt.Sprintf("%02d Score web visits, %d", i%12, i) }

func listName(i int) string {
	if i%5 == 2 {
		return "Device owners \"EU\" " + strconv.Itoa(i)
	}
	return "List " + strconv.Itoa(i)
}

var programTypes = []struct{ name, channel, suffix, status string }{
	{"Default", "Operational", "PG", ""},
	{"Event", "Tradeshow", "ME", ""},
	{"Event with Webinar", "Webinar", "ME", ""},
	{"Engagement", "Nurture", "NP", "on"},
	{"Email", "Email Send", "EBP", "unlocked"},
}

// assetTimes returns a creation and an update before the start, in the account's life.
func (w *world) assetTimes(kind string, i int) (created, updated int64) {
	h := simulate.Hash(w.seed, saltAsset, salt(kind), uint64(i))
	created = w.leadsFrom + int64(simulate.Pick(h, int(w.leadSpan*9/10)))
	updated = created + int64(simulate.Pick(simulate.Next(h), int(w.start-created)))
	return created, updated
}

const appURL = "https://app-sim.example/#"

// newProgram makes a program. (Marketo REST API, Programs)
func (w *world) newProgram(i int, created, updated int64) *asset {
	id := w.programID(i)
	k := programTypes[i%len(programTypes)]
	workspace := "Default"
	if i%11 == 5 {
		workspace = "Europe"
	}
	r := record{
		{"id", id},
		{"name", programName(i)},
		{"description", description(i)},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
		{"url", appURL + k.suffix + strconv.FormatInt(id, 10) + "A1"},
		{"type", k.name},
		{"channel", k.channel},
		{"folder", folderOf(i)},
		{"status", k.status},
		{"workspace", workspace},
	}
	if i%3 == 0 {
		r = append(r, member{"headStart", i%2 == 0})
	}
	if i%4 == 1 {
		r = append(r, member{"sfdcId", "701U0000000" + strconv.Itoa(1000+i) + "IAO"}, member{"sfdcName", "CRM, " + programName(i)})
	}
	if k.suffix == "ME" {
		r = append(r, member{"startDate", moment(updated + 3*daySecs)}, member{"endDate", moment(updated + 3*daySecs + hour)})
	}
	tags := []record{{{"tagType", "Sales Region"}, {"tagValue", []string{"EMEA", "APJ"}[i%2]}}}
	costs := []record{{{"startDate", moment(created)}, {"cost", 100 + i}, {"note", "Stand, \"B4\""}}}
	r = append(r, member{"tags", hidden{tags}}, member{"costs", hidden{costs}})
	return &asset{id: id, updated: updated, rec: r}
}

func description(i int) any {
	switch i % 4 {
	case 0:
		return ""
	case 1:
		return "maintained by support,\nask \"Noor\""
	case 2:
		return nil
	}
	return "説明 " + strconv.Itoa(i)
}

func folderOf(i int) record {
	f := i % len(folderNames)
	return record{{"type", "Folder"}, {"value", 390 + f}, {"folderName", folderNames[f]}}
}

var folderNames = []string{"2026 Webinars", "Nurture, EMEA", "Tradeshows", "\"Old\" programs"}

// newEmail makes an e-mail. (Marketo REST API, Emails)
func (w *world) newEmail(i int, created, updated int64) *asset {
	id := w.emailID(i)
	p := i % w.size.programs
	said := func(s string) record { return record{{"type", "Text"}, {"value", s}} }
	var reply, fromEmail any = said("reply@larkfield.example"), said("events@larkfield.example")
	subject := said("See you on Thursday, " + strconv.Itoa(i) + " 🎉")
	switch i % 6 {
	case 1:
		reply = nil
	case 2:
		subject = record{{"type", "DynamicContent"}, {"value", strconv.Itoa(5000 + i)}}
	case 3:
		fromEmail = nil
	}
	var cc any
	if i%8 == 0 {
		cc = []record{{{"attributeId", "157"}, {"objectName", "lead"}, {"displayName", "Lead Owner Email Address"}, {"apiName", nil}}}
	}
	var template any = 61
	status := "approved"
	if i%10 == 7 {
		template, status = nil, "draft"
	}
	r := record{
		{"id", id},
		{"name", emailName(i)},
		{"description", description(i)},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
		{"url", appURL + "EM" + strconv.FormatInt(id, 10) + "A1"},
		{"subject", subject},
		{"fromName", said("Larkfield \"Events\"")},
		{"fromEmail", fromEmail},
		{"replyEmail", reply},
		{"folder", record{{"type", "Program"}, {"value", w.programID(p)}, {"folderName", programName(p)}}},
		{"operational", i%5 == 0},
		{"textOnly", i%7 == 0},
		{"publishToMSI", false},
		{"webView", i%2 == 0},
		{"status", status},
		{"template", template},
		{"workspace", "Default"},
		{"isOpenTrackingDisabled", false},
		{"version", 1 + i%2},
		{"autoCopyToText", true},
		{"ccFields", cc},
		{"preHeader", "Bring your questions"},
	}
	e := &asset{id: id, updated: updated, rec: r, tested: i%40 == 39}
	if i%6 == 4 && status == "approved" {
		e.draft = r.with("status", "draft").with("subject", said("DRAFT "+strconv.Itoa(i)))
	}
	return e
}

// newCampaign makes a smart campaign. (Marketo REST API, Smart Campaigns)
func (w *world) newCampaign(i int, created, updated int64) *asset {
	id := w.campaignID(i)
	p := i % w.size.programs
	kind, status := "trigger", "Active"
	recurrence := record{{"weekdayOnly", false}}
	rule := record{{"qualificationRuleType", "any"}}
	switch i % 4 {
	case 1:
		kind, status = "batch", "Never Run"
		rule = record{{"qualificationRuleType", "once"}}
	case 2:
		kind, status = "batch", "Recurring Run"
		recurrence = record{{"startAt", moment(created)}, {"intervalType", "Weekly"}, {"interval", 1}, {"weekdayOnly", false}, {"weekdayMask", []string{"Monday", "Friday"}}}
		rule = record{{"qualificationRuleType", "interval"}, {"qualificationRuleInterval", 1 + i%5}, {"qualificationRuleUnit", "day"}}
	case 3:
		kind, status = "default", "Inactive"
	}
	r := record{
		{"id", id},
		{"name", campaignName(i)},
		{"description", description(i)},
		{"createdAt", moment(created)},
		{"updatedAt", moment(updated)},
		{"folder", record{{"id", w.programID(p)}, {"type", "Program"}}},
		{"status", status},
		{"type", kind},
		{"isSystem", false},
		{"isActive", status == "Active"},
		{"isRequestable", i%8 == 0},
		{"isCommunicationLimitEnabled", i%3 == 0},
		{"recurrence", recurrence},
	}
	r = append(r, rule...)
	if kind == "batch" {
		r = append(r, member{"maxMembers", 10_000 + i})
	}
	r = append(r, member{"workspace", "Default"}, member{"smartListId", 9001 + int64(i)}, member{"flowId", 9501 + int64(i)})
	if i%9 != 8 {
		r = append(r, member{"parentProgramId", w.programID(p)})
	}
	r = append(r, member{"computedUrl", appURL + "SC" + strconv.FormatInt(id, 10) + "A1"})
	return &asset{id: id, updated: updated, rec: r}
}

// newList makes a static list. (Marketo REST API, Static Lists)
func (w *world) newList(i int, created, updated int64) *asset {
	id := w.listID(i)
	r := record{{"id", id}, {"name", listName(i)}}
	if d := description(i); d != nil {
		r = append(r, member{"description", d})
	}
	r = append(r, member{"createdAt", moment(created)}, member{"updatedAt", moment(updated)},
		member{"folder", record{{"id", w.programID(i % w.size.programs)}, {"type", "Program"}}},
		member{"computedUrl", appURL + "ST" + strconv.FormatInt(id, 10) + "A1"})
	if i%2 == 0 {
		r = append(r, member{"workspace", "Default"})
	}
	return &asset{id: id, updated: updated, rec: r}
}

// legacy returns a smart campaign as the lead database shows it.
// (Marketo REST API, Smart Campaigns, Get Campaigns)
func (s *state) legacy(c *asset) record {
	kind := c.rec.get("type")
	if kind == "default" {
		kind = "batch"
	}
	r := record{{"id", c.id}, {"name", c.rec.get("name")}}
	if d, ok := c.rec.get("description").(string); ok {
		r = append(r, member{"description", d})
	}
	r = append(r, member{"type", kind})
	if id, ok := c.rec.get("parentProgramId").(int64); ok {
		if p := find(s.programs, id); p != nil && !p.gone {
			r = append(r, member{"programId", id}, member{"programName", p.rec.get("name")})
		}
	}
	return append(r, member{"workspaceName", "Default"}, member{"createdAt", c.rec.get("createdAt")},
		member{"updatedAt", c.rec.get("updatedAt")}, member{"active", c.rec.get("isActive")})
}

// newFolders makes the folders. The oldest one is older than every lead, since an account gets
// its first folders when it is made. (Marketo REST API, Folders)
func (w *world) newFolders(workspaces ...string) []*folder {
	made := w.leadsFrom - daySecs
	var list []*folder
	add := func(id int64, name, kind, path string, parent any, created int64, system bool) {
		list = append(list, &folder{id: id, kind: "Folder", path: path, rec: record{
			{"name", name},
			{"description", nil},
			{"createdAt", moment(created)},
			{"updatedAt", moment(created)},
			{"url", nil},
			{"folderId", record{{"id", id}, {"type", "Folder"}}},
			{"folderType", kind},
			{"parent", parent},
			{"path", path},
			{"isArchive", false},
			{"isSystem", system},
			{"accessZoneId", 1},
			{"workspace", workspaces[0]},
			{"id", id},
		}})
	}
	add(9, "Marketing Activities", "Marketing Folder", "/Marketing Activities", nil, made, true)
	add(13, "Design Studio", "Zone", "/Design Studio", nil, made+2, true)
	add(12, "Default", "Zone", "/Marketing Activities/Default", record{{"id", 9}, {"type", "Folder"}}, made+1, true)
	for i, n := range folderNames {
		add(folderID(i), n, "Marketing Folder", "/Marketing Activities/Default/"+n, record{{"id", 12}, {"type", "Folder"}}, made+int64(i+1)*90*daySecs, false)
	}
	return list
}

// find returns the asset with this id from assets ordered by id, or nil.
func find(list []*asset, id int64) *asset {
	low, high := 0, len(list)
	for low < high {
		if m := (low + high) / 2; list[m].id < id {
			low = m + 1
		} else {
			high = m
		}
	}
	if low < len(list) && list[low].id == id {
		return list[low]
	}
	return nil
}
