package marketo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// words is the name of a stream for people.
func words(stream string) string { return strings.ReplaceAll(stream, "_", " ") }

const (
	readAssets     = "Read-Only Assets"
	readLeads      = "Read-Only Lead"
	readActivities = "Read-Only Activity"
	noPermission   = "none"
)

// foldersDeep is how far down folders are listed; the vendor's default is 2. Source: Marketo REST API,
// Folders.
const foldersDeep = "50"

// listings are the kinds of records that are read whole.
// Source: Marketo REST API, Assets; Email Templates; Forms; Landing Pages; Snippets; Files; Folders;
// Channels; Tags; Dynamic Content; Leads; Activities; Usage.
var listings = [...]listing{
	{
		stream: "email_templates", path: assetRoot + "emailTemplates.json", one: assetRoot + "emailTemplate/%d.json", columns: designed,
	},
	{
		stream: "forms", path: assetRoot + "forms.json", one: assetRoot + "form/%d.json", columns: fieldList(
			"id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "url", "status", "theme", "language", "locale",
			"progressiveProfiling boolean", "labelPosition", "fontFamily", "fontSize", "folder object", "knownVisitor object",
			"thankYouList array", "buttonLocation integer", "buttonLabel", "waitingLabel"),
	},
	{
		stream: "landing_pages", path: assetRoot + "landingPages.json", one: assetRoot + "landingPage/%d.json", columns: fieldList(
			"id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "folder object", "workspace", "status",
			"template integer", "title", "keywords", "robots", "formPrefill boolean", "mobileEnabled boolean", "URL", "computedUrl",
			"customHeadHTML", "facebookOgTags"),
	},
	{
		stream: "snippets", path: assetRoot + "snippets.json", one: assetRoot + "snippet/%d.json", columns: designed,
	},
	{
		stream: "files", path: assetRoot + "files.json", one: assetRoot + "file/%d.json", columns: fieldList(
			"id integer", "size integer", "mimeType", "url", "folder object", "name", "description", "createdAt datetime", "updatedAt datetime"),
	},
	{
		stream: "folders", path: foldersPath, key: []string{"type", "id"}, pages: folderPages, of: folderRow, columns: append(
			[]martsync.Column{ours("type", martsync.String, "Folder or Program: each has ids of its own")}, fieldList(
				"id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "url", "folderId object", "folderType",
				"parent object", "path", "isArchive boolean", "isSystem boolean", "accessZoneId integer", "workspace")...),
	},
	{
		stream: "channels", path: assetRoot + "channels.json", columns: fieldList(
			"id integer", "name", "applicableProgramType", "progressionStatuses array", "createdAt datetime", "updatedAt datetime"),
	},
	{
		stream: "tags", path: assetRoot + "tagTypes.json", key: []string{"tag_type"}, pages: tagPages, columns: fieldList(
			"tagType", "applicableProgramTypes", "required boolean", "allowableValues"),
	},
	{
		stream: "segmentations", path: segmentationPath, pages: onePage, columns: fieldList(
			"id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "url", "folder object", "status", "workspace"),
	},
	{
		stream: "segments", path: segmentationPath, pages: segmentPages, of: segmentRow, columns: fieldList(
			"id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "url", "status", "segmentationId integer"),
	},
	{
		stream: "lead_fields", path: "/rest/v1/leads/describe.json", key: []string{"name"}, pages: fieldPages, of: fieldRows,
		permission: readLeads, cheap: true, columns: append(append(
			[]martsync.Column{ours("name", martsync.String, "of the REST API; of a field that it cannot read the name of the SOAP API or, without one, the display name")},
			fieldList("id integer", "displayName", "dataType", "length integer")...),
			ours("rest_name", martsync.String, ""), ours("rest_read_only", martsync.Bool, ""),
			ours("soap_name", martsync.String, ""), ours("soap_read_only", martsync.Bool, "")),
	},
	{
		stream: "activity_types", path: "/rest/v1/activities/types.json", pages: onePage, permission: readActivities, cheap: true, columns: fieldList(
			"id integer", "name", "description", "apiName", "primaryAttribute object", "attributes array"),
	},
	{
		stream: "api_usage", path: "/rest/v1/stats/usage/last7days.json", key: []string{"date", "user_id"}, pages: onePage,
		of: usageRows("users"), keeps: true, cheap: true, permission: noPermission, columns: fieldList("date date", "total integer", "userId", "count integer"),
	},
	{
		stream: "api_errors", path: "/rest/v1/stats/errors/last7days.json", key: []string{"date", "error_code"}, pages: onePage,
		of: usageRows("errors"), keeps: true, cheap: true, permission: noPermission, columns: fieldList("date date", "total integer", "errorCode", "count integer"),
	},
}

var designed = fieldList("id integer", "name", "description", "createdAt datetime", "updatedAt datetime", "url", "folder object", "status", "workspace")

const (
	foldersPath      = assetRoot + "folders.json"
	segmentationPath = assetRoot + "segmentation.json"
)

// folderPages lists folders of all workspaces at all depths.
func folderPages(ctx context.Context, s *source, _ *listing) iter.Seq2[page, error] {
	return s.offsetPages(ctx, "list folders", foldersPath, url.Values{"maxDepth": {foldersDeep}})
}

// A place is a folder or a program, which is a folder, too; each of the two has ids of its own.
// Source: Marketo REST API, Folders.
type place struct {
	id      int64
	program bool
}

func (p place) kind() string {
	if p.program {
		return "Program"
	}
	return "Folder"
}

func (p place) String() string { return fmt.Sprintf("%s %d", p.kind(), p.id) }

// placeOf reads which folder a record of the folders is.
func placeOf(raw []byte) (place, error) {
	var f struct {
		ID       json.RawMessage `json:"id"`
		FolderID struct {
			ID   json.RawMessage `json:"id"`
			Type string          `json:"type"`
		} `json:"folderId"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return place{}, fmt.Errorf("not a folder: %w", err)
	}
	id, err := json.Number(bare(f.FolderID.ID)).Int64()
	if err != nil {
		if id, err = json.Number(bare(f.ID)).Int64(); err != nil {
			return place{}, errNoID
		}
	}
	return place{id, isProgram(f.FolderID.Type)}, nil
}

func isProgram(kind string) bool { return strings.EqualFold(kind, "program") } // the case of types varies

// placeNamed reads what place.String wrote.
func placeNamed(text string) (p place, err error) {
	kind, id, _ := strings.Cut(text, " ")
	p.program = isProgram(kind)
	if p.id, err = strconv.ParseInt(id, 10, 64); err != nil {
		return p, fmt.Errorf("%q is no folder: %w", text, err)
	}
	return p, nil
}

func folderRow(raw []byte, _ string) ([][]byte, error) {
	p, err := placeOf(raw)
	if err != nil {
		return nil, err
	}
	row, err := with(raw, "id", fmt.Sprint(p.id), "type", quoted(p.kind()))
	return [][]byte{row}, err
}

// tagPages lists the types of tags, and reads each by name: only that tells the allowed values. A name
// with a comma cannot be asked for. Source: Marketo REST API, Tags.
func tagPages(ctx context.Context, s *source, l *listing) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		var names []string
		for p, err := range offsetPages(ctx, s, l) {
			if err != nil {
				yield(page{}, err)
				return
			}
			for _, raw := range p.env.Result {
				if n := tagName(raw); askable(n) {
					names = append(names, n)
				}
			}
			p.skip = func(raw []byte) bool { return askable(tagName(raw)) }
			if !yield(p, nil) {
				return
			}
		}
		for _, n := range names {
			p, err := s.reply(ctx, "read a type of tags", assetRoot+"tagType/byName.json", url.Values{"name": {n}})
			if vanished(err) {
				continue // deleted since it was listed
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

func askable(name string) bool { return name != "" && !strings.Contains(name, ",") }

func tagName(raw []byte) string {
	var t struct {
		TagType string `json:"tagType"`
	}
	_ = json.Unmarshal(raw, &t) // a name that is no text is none
	return t.TagType
}

// segmentPages lists the segmentations and then the segments of each. There are some twenty of them at
// most. Source: Marketo REST API, Dynamic Content.
func segmentPages(ctx context.Context, s *source, _ *listing) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		parents, err := s.reply(ctx, "list segmentations", segmentationPath, nil)
		parents.bare = true
		if !yield(parents, err) || err != nil {
			return
		}
		for _, raw := range parents.env.Result {
			id, err := recordID(raw)
			if err != nil {
				yield(page{}, &martsync.Error{Kind: martsync.Data, Op: "marketo: list segmentations", Err: fmt.Errorf("reply %s: %w", parents.env.RequestID, err)})
				return
			}
			for p, err := range s.offsetPages(ctx, "list segments", fmt.Sprintf("%ssegmentation/%d/segments.json", assetRoot, id), nil) {
				if vanished(err) {
					break // deleted since it was listed
				}
				p.parent = fmt.Sprint(id)
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// segmentRow says whose segment it is even if the record does not.
func segmentRow(raw []byte, parent string) ([][]byte, error) {
	row, err := with(raw, "segmentationId", parent)
	return [][]byte{row}, err
}

// fieldPages describes the fields of leads, by the newer endpoint where the older one is gone.
// Source: Marketo REST API, Leads, Describe; Describe2.
func fieldPages(ctx context.Context, s *source, l *listing) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		const op = "describe leads"
		p, err := s.reply(ctx, op, l.path, nil)
		if martsync.KindOf(err) == martsync.Unavailable {
			if newer, e := s.reply(ctx, op, "/rest/v1/leads/describe2.json", nil); e == nil {
				p, err = newer, nil
			}
		}
		yield(p, err)
	}
}

// fieldRows makes rows of a field, or of the object that the newer endpoint has all fields in.
func fieldRows(raw []byte, _ string) ([][]byte, error) {
	var object struct {
		Fields []json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, errNotObject
	}
	if object.Fields == nil {
		row, err := fieldRow(raw)
		return [][]byte{row}, err
	}
	var rows [][]byte
	for _, f := range object.Fields {
		row, err := fieldRow(f)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

var errNoName = errors.New("the record has no name")

func fieldRow(raw []byte) ([]byte, error) {
	type use struct {
		Name     string          `json:"name"`
		ReadOnly json.RawMessage `json:"readOnly"`
	}
	var f struct {
		Name        string `json:"name"` // the newer endpoint's
		DisplayName string `json:"displayName"`
		Updateable  *bool  `json:"updateable"`
		Rest, Soap  use
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("not a field: %w", err)
	}
	if f.Name != "" {
		f.Rest.Name = f.Name
		if f.Updateable != nil {
			f.Rest.ReadOnly = json.RawMessage(fmt.Sprint(!*f.Updateable))
		}
	}
	name := f.Rest.Name
	for _, n := range []string{f.Soap.Name, f.DisplayName} {
		if name == "" {
			name = n
		}
	}
	if name == "" {
		return nil, errNoName
	}
	text := func(s string) string {
		if s == "" {
			return "null"
		}
		return quoted(s)
	}
	return with(raw, "name", quoted(name), "rest_name", text(f.Rest.Name), "rest_read_only", or(f.Rest.ReadOnly),
		"soap_name", text(f.Soap.Name), "soap_read_only", or(f.Soap.ReadOnly))
}

// usageRows makes a row of each count of a day. Source: Marketo REST API, Usage.
func usageRows(of string) shape {
	return func(raw []byte, _ string) ([][]byte, error) {
		var day map[string]json.RawMessage
		var counts []json.RawMessage
		if err := json.Unmarshal(raw, &day); err != nil {
			return nil, errNotObject
		}
		if err := json.Unmarshal([]byte(or(day[of])), &counts); err != nil {
			return nil, fmt.Errorf("%s is not a list", of)
		}
		var rows [][]byte
		for _, c := range counts {
			row, err := with(c, "date", or(day["date"]), "total", or(day["total"]))
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
		return rows, nil
	}
}

// shapeOf is the shape of the records of a stream that a shapedReader reads; nil: it reads them not.
func shapeOf(stream string) shape {
	if stream == "tokens" {
		return tokenRows
	}
	for i := range listings {
		if listings[i].stream == stream {
			if listings[i].of == nil {
				return itself
			}
			return listings[i].of
		}
	}
	return nil
}
