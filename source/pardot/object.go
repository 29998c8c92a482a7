package pardot

import (
	"net/url"
	"time"

	"github.com/martsync/martsync"
)

// A version is one of the vendor's two APIs for reading. Version 3 is version 4 for accounts
// without the feature "allow multiple prospects with the same email address"; the client
// switches between the two by itself.
type version string

const (
	v4 version = "v4"
	v5 version = "v5"
)

// A way is how the rows of a time range are read.
type way string

const (
	byAuto   way = "auto"   // export jobs for long ranges, queries for short ones
	byQuery  way = "query"  // page by page
	byExport way = "export" // by export jobs
)

// An object is a kind of record that the vendor lists: one stream. Another one is another row of
// the catalog.
type object struct {
	stream string        // "visitor_activities": the table
	noun   string        // in errors: "visitor activity"
	v5     *collection   // nil: version 5 does not have it
	v4     *resource     // nil: version 4 does not have it
	export *exportObject // nil: cannot be exported
	prefer version       // the version that serves it best
	key    []string      // columns; nil: id
	fields []field       // in the vendor's order, of both versions

	// custom says whose custom fields are columns too.
	custom customFields

	// fact marks records that happen once and are not taken back, of which there are too many to
	// look for missing ones.
	fact bool

	// single marks the one record that there is no list of.
	single bool
}

// A collection is how version 5 lists an object. Account Engagement API, Version 5 Overview.
type collection struct {
	path   string     // below /api/v5/objects/: "visitor-activities"
	since  string     // the time that ranges are over: "updatedAt"; "": there is no such filter, everything is listed each time
	bin    bool       // deleted=all shows the recycle bin too, and isDeleted tells which rows are in it
	params url.Values // sent with each query
	need   []string   // rows that have none of these fields are none of the object's; empty: all are
}

// A resource is how version 4 lists an object. Account Engagement API, Version 4.
type resource struct {
	path   string     // "visitorActivity"
	key    string     // of the records in a reply: "visitor_activity"
	since  string     // "updated" for updated_after and updated_before; "": everything is listed each time
	bin    bool       // a second pass with deleted=true shows the recycle bin
	params url.Values // sent with each query, such as output=bulk
}

// An exportObject is how an object is exported in bulk. Account Engagement API, Export.
type exportObject struct {
	v4, v5     string      // the object's name; "": that version does not export it
	procedures []procedure // in the order in which they are tried
	passes     []pass      // one job each; their rows together are the object's
	auto       bool        // worth it for long ranges: what exports cannot tell can be had otherwise or is not missed
}

// A procedure selects what is exported by a time range.
type procedure struct {
	name          string // "filter_by_updated_at"
	after, before string // arguments: "updated_after", "updated_before"
}

// A pass is one job of an export.
type pass struct {
	arguments map[string]any // "deleted": "true"
	deleted   bool           // its rows are in the recycle bin
}

// A field is a column and where each version has it.
type field struct {
	name   string // column; "": snake_case of v5, or v4 if that is empty
	v5     string // "campaignId"; a dot leads into an object: "senderOptions.type"; "": version 5 lacks it
	v4     string // "campaign_id", as flattened; "": version 4 lacks it
	typ    martsync.Type
	text   string // description
	noFile bool   // version 4 cannot export it

	// wish marks fields that an account or an edition may lack: the vendor's refusal of them is no drift.
	wish bool

	// joined marks fields that no query tells: a join adds them, page by page.
	joined bool

	// sticky marks joined fields that are not told each time.
	sticky bool
}

// customFields says whose custom fields an object has.
type customFields int

const (
	noCustom customFields = iota
	prospectCustom
	accountCustom // of prospect accounts
)

// longRange is from where on export jobs are worth their wait.
const longRange = 31 * 24 * time.Hour
