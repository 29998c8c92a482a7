package pardot

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// KeepRaw makes the streams put every reply and every file that rows, deletions or positions came
// from on their batches. It must be called before Streams. See Replay.
func (s *source) KeepRaw() { s.keeps = true }

// A recipe is what Replay needs to know beside the bytes of a body. It stands in martsync.Raw.How,
// and so in what people keep for years: members may be added, but what one means never changes.
//
// It holds everything that followed from the configuration, from the account, or from how far
// the reading had come. Names and types of columns are those of the schema that is kept with it.
type recipe struct {
	Kind bodyKind `json:"kind"`
	API  version  `json:"api,omitempty"`
	Rows string   `json:"rows,omitempty"` // version 4: the member that holds the records

	// Columns are those whose name in the body is not the usual one (see usualName); "": the body
	// does not tell them.
	Columns map[string]string `json:"columns,omitempty"`

	Zone     string `json:"zone,omitempty"`     // of naive times
	Entities bool   `json:"entities,omitempty"` // entities of HTML in text of version 4 are decoded
	Job      string `json:"job,omitempty"`      // what rows in quarantine are said to come from
	Line     int64  `json:"line,omitempty"`     // rows that came before the body
	Deleted  bool   `json:"deleted,omitempty"`  // everything in it is in the recycle bin

	// Pages, and files.
	Types []string `json:"types,omitempty"` // only records of these kinds

	// Pages.
	Need  []string `json:"need,omitempty"`  // only records that have one of these fields
	Sent  second   `json:"sent,omitempty"`  // only what was sent since then
	After int64    `json:"after,omitempty"` // the id that the page came after

	// Bodies that complete the rows of the page that comes after them, and single records.
	Row     int               `json:"row,omitempty"`     // which row of the page
	ID      int64             `json:"id,omitempty"`      // which record; 0: the body tells
	Members map[string]string `json:"members,omitempty"` // fields, by what the body calls them
	List    int64             `json:"list,omitempty"`    // the list email that led to the email

	// Files.
	Bin   string `json:"bin,omitempty"`   // the column that tells what is in the recycle bin
	Apart bool   `json:"apart,omitempty"` // what is in the recycle bin is in files of its own
}

// A bodyKind says what is made of a body.
type bodyKind string

const (
	pageBody    bodyKind = "page"    // records of a query: rows
	recordBody  bodyKind = "record"  // one record: a row
	linksBody   bodyKind = "links"   // opportunities: pairs of ids
	fileBody    bodyKind = "file"    // a file of an export job: rows
	valuesBody  bodyKind = "values"  // completes rows of the next page, by id: the first one that has an id counts
	detailsBody bodyKind = "details" // completes one row of the next page
	asideBody   bodyKind = "aside"   // no rows: it told what to read, or what exists
)

// how writes the recipe.
func (h recipe) how() string {
	b, err := json.Marshal(h)
	if err != nil {
		panic("pardot: recipe: " + err.Error()) // plain data only
	}
	return string(b)
}

// usualName is what bodies of a version usually call a column: its origin in version 5, and in
// version 4 the column's own name, or for custom fields the origin without what version 5 appends.
func usualName(c martsync.Column, v version) string {
	if v == v5 {
		return c.Origin
	}
	if name, custom := strings.CutSuffix(c.Origin, customSuffix); custom {
		return name
	}
	return c.Name
}

// missing is a name that no body has, since NUL is not a character of names.
func missing(column string) string { return "\x00" + column }

// unusual lists the columns whose origin is not their usual name. Origins are those by which
// bodies of the version are read.
func unusual(schema []martsync.Column, origins []martsync.Column, v version) map[string]string {
	var names map[string]string
	for i, c := range schema {
		name := origins[i].Origin
		if name == usualName(c, v) {
			continue
		}
		if names == nil {
			names = map[string]string{}
		}
		if strings.HasPrefix(name, "\x00") {
			name = ""
		}
		names[c.Name] = name
	}
	return names
}

// columns returns the columns of the schema with what the body calls them as their origin.
func (h *recipe) columns(schema []martsync.Column) []martsync.Column {
	cols := make([]martsync.Column, len(schema))
	for i, c := range schema {
		cols[i] = c
		name, told := h.Columns[c.Name]
		if !told {
			name = usualName(c, h.API)
		}
		if name == "" {
			name = missing(c.Name)
		}
		cols[i].Origin = name
	}
	return cols
}

// keep puts a body on the next batch. The bytes must stay as they are until then.
func (r *run) keep(name string, data []byte, h recipe) {
	r.raw = append(r.raw, martsync.Raw{Body: name, Data: data, How: h.how()})
}

// keepPage puts a page of the window on the next batch.
func (r *run) keepPage(w *window, p *page, z *zone) {
	h := recipe{Kind: pageBody, API: w.API, Job: r.pageJob(w.API), Line: w.Rows, Deleted: w.Pass > 0, Types: r.plan.types}
	h.Columns = unusual(r.layout.schema.Columns, r.layout.columnsFor(w.API), w.API)
	name := r.obj.bodyName(w.API, "after-"+formatID(w.After))
	if w.API == v4 {
		h.Rows, h.Zone, h.Entities = r.obj.v4.key, z.name(), r.src.decodes()
		if w.Pass > 0 {
			name = r.obj.bodyName(v4, "deleted-after-"+formatID(w.After))
		}
	} else {
		h.Need = r.obj.v5.need
	}
	r.keep(name, p.body, h)
}

// decodes reports whether entities of HTML in text of version 4 are decoded.
func (s *source) decodes() bool { return s.cfg.HTMLEntities != "keep" }

// pageJob is what rows of pages are said to come from.
func (r *run) pageJob(v version) string { return "/" + r.obj.path(v) }

// bodyName names a reply after the path that was asked.
func (o *object) bodyName(v version, part string) string {
	if v == v4 {
		return "api/" + o.v4.path + "/" + part + ".json"
	}
	return strings.TrimPrefix(objects5, "/") + o.v5.path + "/" + part + ".json"
}

// fileName names a file of an export job: files is how many the job has.
func fileName(job string, file, files int) string {
	if files > 1 {
		job += "-file-" + strconv.Itoa(file+1)
	}
	return "job-" + job + ".csv"
}
