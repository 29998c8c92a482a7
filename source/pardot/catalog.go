package pardot

import (
	"encoding/json"
	"net/url"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/flatjson"
)

// catalog is what can be read, in the order in which streams are listed. Another kind of record
// is another entry; catalog_*.go have the entries.
var catalog = slices.Concat(prospectObjects, activityObjects, marketingObjects, contentObjects, adminObjects)

// objectOf returns the object of a stream, or nil.
func objectOf(stream string) *object {
	for _, o := range catalog {
		if o.stream == stream {
			return o
		}
	}
	return nil
}

// streamNames lists the names of all streams, in the order of the catalog.
func streamNames() []string {
	names := make([]string, len(catalog))
	for i, o := range catalog {
		names[i] = o.stream
	}
	return names
}

// has reports whether a version lists the object.
func (o *object) has(v version) bool {
	if v == v4 {
		return o.v4 != nil
	}
	return o.v5 != nil
}

// exports reports whether a version exports the object.
func (o *object) exports(v version) bool {
	switch {
	case o.export == nil:
		return false
	case v == v4:
		return o.export.v4 != ""
	default:
		return o.export.v5 != ""
	}
}

// deletes reports whether the object's table tells which records are gone.
func (o *object) deletes() bool { return !o.single && (!o.fact || o.v5 != nil && o.v5.bin) }

// owns reports whether a record of a version is one of the object's, rather than another one that
// the same query tells.
func (o *object) owns(v version, row json.RawMessage) bool {
	return v == v4 || o.v5 == nil || hasAny(row, o.v5.need)
}

// hasAny reports whether a record has one of the fields; every record has one of none.
func hasAny(row json.RawMessage, fields []string) bool {
	if len(fields) == 0 {
		return true
	}
	found := false
	err := flatjson.Members(row, func(key, value []byte) error {
		found = found || string(value) != "null" && slices.Contains(fields, string(key))
		return nil
	})
	return found || err != nil // what is wrong with a broken one is found when it is appended
}

// Types by the words of the vendor's lists of fields.
const (
	ints   = martsync.Int64
	texts  = martsync.String
	floats = martsync.Float64
	bools  = martsync.Bool
	times  = martsync.Timestamp
	jsons  = martsync.JSON
)

// fieldsOf makes the fields of an object, which is that resource in version 4; "": version 4
// does not have it.
func fieldsOf(resource string, parts ...[]field) []field {
	fields := slices.Concat(parts...)
	for i := range fields {
		f := &fields[i]
		switch {
		case resource == "":
			f.v4 = ""
		case f.v4 == inBoth:
			f.v4 = name4(resource, f.v5)
		}
	}
	return fields
}

// inBoth stands for a name of version 4 that follows from that of version 5.
const inBoth = "*"

// both are fields of both versions, by their names in version 5.
func both(t martsync.Type, names ...string) []field { return makeFields(t, inBoth, names) }

// only5 are fields that version 4 lacks.
func only5(t martsync.Type, names ...string) []field { return makeFields(t, "", names) }

func makeFields(t martsync.Type, v4 string, names []string) []field {
	fields := make([]field, len(names))
	for i, n := range names {
		fields[i] = field{v5: n, v4: v4, typ: t}
	}
	return fields
}

// only4 are fields that version 5 lacks, by their names in version 4.
func only4(t martsync.Type, names ...string) []field {
	fields := make([]field, len(names))
	for i, n := range names {
		fields[i] = field{v4: n, typ: t}
	}
	return fields
}

// wished marks fields that an account or an edition may lack.
func wished(fields []field) []field {
	for i := range fields {
		fields[i].wish = true
	}
	return fields
}

// noFiles marks fields that version 4 cannot export.
func noFiles(fields []field) []field {
	for i := range fields {
		fields[i].noFile = true
	}
	return fields
}

// joinedLater marks fields that no query tells and that are not read each time.
func joinedLater(fields []field) []field {
	for i := range fields {
		fields[i].joined, fields[i].sticky = true, true
	}
	return fields
}

// namedAs gives a field a column that does not follow from the names of the vendor.
func namedAs(name string, fields []field) []field {
	fields[0].name = name
	return fields
}

// idField is the field that all objects have.
func idField() []field { return both(ints, "id") }

// changeTimes are the times of creation and change in both versions.
func changeTimes() []field { return both(times, "createdAt", "updatedAt") }

// audited is who created and changed a record, and when, in version 5.
func audited() []field { return slices.Concat(only5(times, "createdAt", "updatedAt"), changers()) }

// changers are the users who created and changed a record.
func changers() []field { return only5(ints, "createdById", "updatedById") }

// utmParameters are the parameters of an address by which visitors came, in both versions.
func utmParameters() []string {
	return []string{"campaignParameter", "mediumParameter", "sourceParameter", "contentParameter", "termParameter"}
}

// mailOptions are the dotted fields of senderOptions and replyToOptions. The vendor's pages say
// now that a query may have them, now that it may not. Account Engagement API, Email.
func mailOptions() []field {
	return wished(slices.Concat(
		only5(texts, "senderOptions.type", "senderOptions.address", "senderOptions.name"),
		only5(ints, "senderOptions.userId", "senderOptions.prospectCustomFieldId", "senderOptions.accountCustomFieldId"),
		only5(texts, "replyToOptions.type", "replyToOptions.address", "replyToOptions.name"),
		only5(ints, "replyToOptions.userId", "replyToOptions.prospectCustomFieldId", "replyToOptions.accountCustomFieldId"),
	))
}

// bulkOutput makes version 4 leave out what it can, such as the count of all rows, and write nested
// records as their ids. Account Engagement API, Version 4, Bulk Data Pull.
func bulkOutput(more ...string) url.Values {
	v := url.Values{"output": {"bulk"}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// byUpdate is the procedure of exports that gives everything that changed in a time range.
// Account Engagement API, Export.
var byUpdate = procedure{name: "filter_by_updated_at", after: "updated_after", before: "updated_before"}

// byCreation gives everything that was created in a time range.
var byCreation = procedure{name: "filter_by_created_at", after: "created_after", before: "created_before"}

// exported5 is an object that version 5 alone exports, recycle bin included: the field isDeleted
// tells what is in it.
func exported5(name string) *exportObject {
	return &exportObject{
		v5: name, procedures: []procedure{byUpdate},
		passes: []pass{{arguments: map[string]any{"deleted": "all"}}},
	}
}
