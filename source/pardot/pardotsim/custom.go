package pardotsim

import (
	"fmt"
	"time"

	"github.com/martsync/martsync/simulate"
)

// A CustomField is a field that an administrator has added to prospects or prospect accounts.
type CustomField struct {
	ID      int64
	FieldID string // "kite_colors": version 4's name; version 5's is kite_colors__c
	Name    string
	Type    string // "Text", "Number", "Date", "Multi-Select" …
	Values  bool   // records multiple responses
}

// multi says that the field's value is a list.
func (f *CustomField) multi() bool {
	return f.Values || f.Type == "Multi-Select" || f.Type == "Checkbox"
}

// defaultFields are the prospects' custom fields of the start, one of each type.
func defaultFields() []*CustomField {
	return []*CustomField{
		{ID: 7001, FieldID: "kite_colors", Name: "Kite colors", Type: "Multi-Select"},
		{ID: 7002, FieldID: "Favorite_Kite", Name: "Favorite \"Kite\"", Type: "Dropdown"},
		{ID: 7003, FieldID: "birthday", Name: "Birthday", Type: "Date"},
		{ID: 7004, FieldID: "budget", Name: "Budget & more", Type: "Number"},
		{ID: 7005, FieldID: "newsletter", Name: "Newsletter", Type: "Checkbox"},
		{ID: 7006, FieldID: "background", Name: "Background", Type: "Textarea"},
		{ID: 7007, FieldID: "size", Name: "Size", Type: "Radio Button"},
		{ID: 7008, FieldID: "gclid", Name: "GCLID", Type: "Hidden"},
		{ID: 7009, FieldID: "account_manager", Name: "Account manager", Type: "CRM User"},
		{ID: 7010, FieldID: "Events", Name: "イベント", Type: "Text", Values: true},
		{ID: 7011, FieldID: "null", Name: "null", Type: "Text"},
	}
}

// accountFields are those of prospect accounts.
func accountFields() []*CustomField {
	return []*CustomField{
		{ID: 8001, FieldID: "tier", Name: "Tier", Type: "Dropdown"},
		{ID: 8002, FieldID: "seats", Name: "Seats", Type: "Number"},
		{ID: 8003, FieldID: "customer_since", Name: "Customer since", Type: "Date"},
		{ID: 8004, FieldID: "remarks", Name: "Remarks", Type: "Textarea"},
	}
}

func customColumns(list []*CustomField) []*column {
	var out []*column
	for _, f := range list {
		out = append(out, customColumn(f))
	}
	return out
}

// customColumn makes the column of a custom field. Queries of version 5 do not tell lists.
// (Account Engagement API, Prospect)
func customColumn(f *CustomField) *column {
	c := newColumn(f.FieldID+"__c="+f.FieldID, kindText, 55, valueOf(f))
	c.custom = f
	if f.multi() {
		c.kind, c.byID = kindList, true
	}
	return c
}

func valueOf(f *CustomField) maker {
	pick := func(w words) maker {
		return func(_ *record, h uint64) any { return w[simulate.Pick(h, len(w))] }
	}
	if f.multi() {
		return func(_ *record, h uint64) any {
			var list []string
			first := simulate.Pick(h, len(colours))
			for i := range 1 + simulate.Pick(simulate.Next(h), 3) {
				list = append(list, colours[(first+i)%len(colours)])
			}
			return list
		}
	}
	switch f.Type {
	case "Number":
		return func(_ *record, h uint64) any {
			switch h % 4 {
			case 0:
				return fmt.Sprintf("-%d.%02d", h>>40%5000, h>>20%100)
			case 1:
				return fmt.Sprintf("%d", h>>8%1_000_000_000_000)
			default:
				return fmt.Sprintf("%d.%d", h>>40%5000, h>>20%10)
			}
		}
	case "Date":
		return func(_ *record, h uint64) any {
			return time.Date(1950, 1, 1+simulate.Pick(h, 28_000), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
		}
	case "Textarea":
		return pick(remarks)
	case "CRM User":
		return func(_ *record, h uint64) any { return salesforceID("005", h) }
	default:
		return pick(tiers)
	}
}
