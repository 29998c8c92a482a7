package marketosim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync/simulate"
)

// objectName is the API name of the one custom object the account has.
const objectName = "deviceOwned_c"

// A device is a custom object record while its values are being made: about one lead in three
// owns one.
type device struct {
	lead             int64 // id
	h                uint64
	created, updated int64
	price            int64 // hundredths, since a change; -1: the one of the start
}

// A deviceEdit is what happened to a device since the start, or the whole story of a new one.
type deviceEdit struct {
	created, updated, price int64
	gone                    bool
}

// objectFields are the fields of the custom object. (Marketo REST API, Custom Objects, Describe)
var objectFields = []struct {
	name, dataType string
	length         int
	of             func(d *device) value
}{
	{"marketoGUID", "string", 36, func(d *device) value { return text(simulate.UUID(d.h)) }},
	{"leadId", "integer", 0, func(d *device) value { return integer(d.lead) }},
	{"serialNumber", "string", 255, func(d *device) value { return text(fmt.Sprintf("LX-%07d", d.h%10_000_000)) }},
	{"model", "string", 255, func(d *device) value {
		if d.h%5 == 0 {
			return value{}
		}
		return titles.at(d.h)
	}},
	{"purchasedOn", "date", 0, func(d *device) value { return day(d.created / daySecs) }},
	{"price", "currency", 0, func(d *device) value {
		if d.price >= 0 {
			return cents(d.price)
		}
		return cents(int64(d.h % 1_000_000))
	}},
	{"createdAt", "datetime", 0, func(d *device) value { return stamp(d.created) }},
	{"updatedAt", "datetime", 0, func(d *device) value { return stamp(d.updated) }},
}

func objectField(name string) func(*device) value {
	for _, f := range objectFields {
		if f.name == name {
			return f.of
		}
	}
	return nil
}

// device fills in the device of a lead and reports whether there is one.
func (s *state) device(d *device, i int64) bool {
	e := s.devices[i]
	return s.owned(d, i) && s.exists(i) && (e == nil || !e.gone)
}

// owned does the same for every device that there ever was.
func (s *state) owned(d *device, i int64) bool {
	w := s.w
	d.lead, d.price = w.leadID(i), -1
	d.h = simulate.Hash(w.seed, saltObject, uint64(i), 0)
	if i < w.size.leads && simulate.OneIn(d.h, 3) {
		created := w.leadCreated(i)
		d.created = created + int64(simulate.Pick(d.h, int(w.start-created)))
		d.updated = d.created + int64(simulate.Pick(simulate.Next(d.h), int(w.start-d.created)))
	} else if s.devices[i] == nil {
		return false
	}
	if e := s.devices[i]; e != nil {
		d.created, d.updated, d.price = e.created, e.updated, e.price
	}
	return true
}

func (s *Server) objectRows(x *export, k *sink) error {
	fields := make([]func(*device) value, len(x.columns))
	for i, c := range x.columns {
		fields[i] = objectField(c)
	}
	var d device
	for i := k.pos[0]; i < x.st.total; i++ {
		if !x.st.device(&d, i) || x.field == "updatedAt" && (d.updated < x.from || d.updated > x.to) || x.list > 0 && !x.st.inList(x.list, i) {
			continue
		}
		b := k.begin()
		for c, f := range fields {
			if c > 0 {
				b = append(b, x.style.delimiter)
			}
			b = f(&d).appendCell(b, &x.style)
		}
		if err := k.end(b, [3]int64{i + 1}); err != nil {
			return err
		}
	}
	return k.close()
}

func (s *Server) describeObject(c *call) {
	if !c.provided("customobjects") {
		return
	}
	switch c.ids[0] {
	case objectName:
		c.result([]record{s.objectDescription()})
	case noteName:
		c.result([]record{s.noteDescription()})
	default:
		c.fail("1013", "Object not found")
	}
}

func (s *Server) objectDescription() record {
	var fields []record
	for _, f := range objectFields {
		r := record{{"name", f.name}, {"displayName", f.name}, {"dataType", f.dataType}}
		if f.length > 0 {
			r = append(r, member{"length", f.length})
		}
		fields = append(fields, append(r, member{"updateable", f.name != "marketoGUID"}, member{"crmManaged", false}))
	}
	made := moment(s.world.leadsFrom)
	return record{
		{"name", objectName},
		{"displayName", "Device Owned"},
		{"description", ""},
		{"createdAt", made},
		{"updatedAt", made},
		{"idField", "marketoGUID"},
		{"dedupeFields", []string{"serialNumber"}},
		{"searchableFields", [][]string{{"serialNumber"}, {"marketoGUID"}, {"leadId"}}},
		{"relationships", []record{{{"field", "leadId"}, {"type", "child"}, {"relatedTo", record{{"name", "Lead"}, {"field", "Id"}}}}}},
		{"fields", fields},
	}
}

// noteName is the API name of an object that hangs on the first one rather than on leads: it
// cannot be exported. (Marketo REST API, Bulk Custom Object Extract)
const noteName = "deviceNote_c"

func (s *Server) noteDescription() record {
	made := moment(s.world.leadsFrom)
	return record{
		{"name", noteName},
		{"displayName", "Device Note"},
		{"description", nil},
		{"createdAt", made},
		{"updatedAt", made},
		{"idField", "marketoGUID"},
		{"dedupeFields", []string{"noteNumber"}},
		{"searchableFields", [][]string{{"noteNumber"}, {"marketoGUID"}}},
		{"relationships", []record{{{"field", "serialNumber"}, {"type", "child"}, {"relatedTo", record{{"name", objectName}, {"field", "serialNumber"}}}}}},
		{"fields", []record{
			{{"name", "marketoGUID"}, {"displayName", "Marketo GUID"}, {"dataType", "string"}, {"length", 36}, {"updateable", false}, {"crmManaged", false}},
			{{"name", "noteNumber"}, {"displayName", "Note Number"}, {"dataType", "integer"}, {"updateable", true}, {"crmManaged", false}},
			{{"name", "serialNumber"}, {"displayName", "Serial Number"}, {"dataType", "string"}, {"length", 255}, {"updateable", true}, {"crmManaged", false}},
		}},
	}
}

func (s *Server) customObjects(c *call) {
	if !c.provided("customobjects") {
		return
	}
	list := []record{}
	for _, d := range []record{s.objectDescription(), s.noteDescription()} {
		if c.wants("names", d.get("name")) {
			list = append(list, d[:len(d)-1])
		}
	}
	c.result(list)
}

// queryObject answers customobjects/{name}.json. (Marketo REST API, Custom Objects, Query)
func (s *Server) queryObject(c *call) {
	if c.ids[0] != objectName {
		c.fail("1013", "Object not found")
		return
	}
	kind := c.q.Get("filterType")
	switch kind {
	case "idField":
		kind = "marketoGUID"
	case "dedupeFields":
		kind = "serialNumber"
	}
	if !slices.Contains([]string{"marketoGUID", "serialNumber", "leadId"}, kind) {
		c.fail("1003", "Invalid filterType: "+kind)
		return
	}
	if c.q.Get("filterValues") == "" {
		c.fail("1002", "Missing value for the required parameter 'filterValues'")
		return
	}
	names := []string{"marketoGUID", "serialNumber", "createdAt", "updatedAt"}
	if q := c.q.Get("fields"); q != "" {
		names = strings.Split(q, ",")
	}
	by := objectField(kind)
	var list []record
	var d device
	for i := range c.st.total {
		if !c.st.device(&d, i) || !c.wants("filterValues", by(&d)) {
			continue
		}
		r := record{{"seq", len(list)}}
		for _, n := range names {
			f := objectField(strings.TrimSpace(n))
			if f == nil {
				c.fail("1006", fmt.Sprintf("Field '%s' not found", n))
				return
			}
			if v := f(&d); !v.isNull() {
				r = append(r, member{n, v})
			}
		}
		list = append(list, r)
	}
	from, ok := c.position("o")
	if !ok {
		return
	}
	from = min(from, int64(len(list)))
	to := min(from+int64(c.batchSize()), int64(len(list)))
	if to < int64(len(list)) {
		c.result(list[from:to], member{"nextPageToken", opaque("o:" + strconv.FormatInt(to, 10))}, member{"moreResult", true})
		return
	}
	c.result(list[from:to], member{"moreResult", false})
}
