package pardot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// customColumns are the fields that an account has added.
type customColumns struct {
	prospect []field   // of prospects, those in multi included
	account  []field   // of prospect accounts
	multi    []field   // those of prospects that no query of version 5 tells
	at       time.Time // when the account was asked for them

	prospectErr, accountErr error // why they are not known; it concerns that object alone
}

// customColumns asks the account for its custom fields. It is kept for a while; the slices are
// shared and must not be changed.
func (s *source) customColumns(ctx context.Context) (*customColumns, error) {
	return s.custom.Get(s.now(), func() (*customColumns, error) {
		c := &customColumns{at: s.now()}
		described, err := s.customFields(ctx)
		if concernsAll(err) {
			return nil, err
		}
		c.prospectErr = err
		for _, d := range described {
			f := d.field()
			c.prospect = append(c.prospect, f)
			if f.joined {
				c.multi = append(c.multi, f)
			}
		}
		c.account, c.accountErr = s.accountFields(ctx)
		if concernsAll(c.accountErr) {
			return nil, c.accountErr
		}
		return c, nil
	})
}

// concernsAll reports whether an error would meet the other streams too.
func concernsAll(err error) bool {
	if err == nil {
		return false
	}
	kind := martsync.KindOf(err)
	return kind != martsync.Data && kind != martsync.Unavailable
}

// columns are the custom fields of an object.
func (c *customColumns) columns(whose customFields) ([]field, error) {
	switch whose {
	case prospectCustom:
		return c.prospect, c.prospectErr
	case accountCustom:
		return c.account, c.accountErr
	default:
		return nil, nil
	}
}

// A customField is the vendor's description of a custom field of prospects.
type customField struct {
	ID       int64
	Name     string // for people
	FieldID  string // in version 5 a suffix follows
	Type     string // "Multi-Select"
	Multiple bool   // it keeps all answers rather than the last
}

// field makes the column. The types follow from what the vendor says about the field, never from what
// records have in it. Account Engagement API, Custom Field.
func (d customField) field() field {
	f := field{v5: d.FieldID + customSuffix, v4: d.FieldID, typ: customType(d.Type), text: d.Name}
	if d.Multiple {
		f.typ = martsync.JSON
	}
	// Fields with several values are in reads by id, but in no query, of version 5.
	f.joined = f.typ == martsync.JSON
	return f
}

// customType is the type of a custom field. The versions spell the vendor's types alike but for
// capitals, hyphens and spaces.
func customType(vendor string) martsync.Type {
	switch strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(vendor)) {
	case "number":
		return martsync.Decimal
	case "date":
		return martsync.Date
	case "checkbox", "checkboxes", "multiselect":
		return martsync.JSON
	default:
		// Text, Textarea, Hidden, Dropdown, Radio Button, CRM User, and whatever comes next.
		return martsync.String
	}
}

// customFields lists the custom fields of prospects by id, by whichever version tells them. An account
// that shows them to neither has none for us.
func (s *source) customFields(ctx context.Context) ([]customField, error) {
	fields, err := s.customFields5(ctx)
	if isRefused(err) || codeOf(err) == 51 {
		fields, err = s.customFields4(ctx)
	}
	if isRefused(err) {
		s.env.Log.Warn("custom fields of prospects cannot be listed and are left out", "stream", "prospects", "err", err)
		fields, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(fields, func(d customField) bool {
		again := seen[d.FieldID]
		seen[d.FieldID] = true
		return again || d.FieldID == ""
	}), nil
}

const customFieldsOp = "list custom fields"

func (s *source) customFields5(ctx context.Context) (fields []customField, err error) {
	const asked = "id,name,fieldId,type,isRecordMultipleResponses"
	err = s.client.each5(ctx, customFieldsOp, "custom-fields", asked, func(raw json.RawMessage) (int64, error) {
		var d struct {
			ID       int64  `json:"id"`
			Name     string `json:"name"`
			FieldID  string `json:"fieldId"`
			Type     string `json:"type"`
			Multiple loose  `json:"isRecordMultipleResponses"`
		}
		if err := json.Unmarshal(raw, &d); err != nil {
			return 0, undescribed(customFieldsOp, err)
		}
		fields = append(fields, customField{d.ID, d.Name, d.FieldID, d.Type, d.Multiple.yes()})
		return d.ID, nil
	})
	return fields, err
}

// customFieldResource is how version 4 lists custom fields.
var customFieldResource = &resource{path: "customField", key: "customField"}

func (s *source) customFields4(ctx context.Context) (fields []customField, err error) {
	after := int64(0)
	for {
		p, err := s.client.query4(ctx, customFieldsOp, customFieldResource, url.Values{
			"id_greater_than": {strconv.FormatInt(after, 10)}, "sort_by": {"id"}, "sort_order": {"ascending"}, "limit": {"200"},
		})
		if err != nil {
			return nil, err
		}
		before := after
		for _, raw := range p.rows {
			var d struct {
				ID       int64 `json:"id"`
				Name     loose `json:"name"`
				FieldID  loose `json:"field_id"`
				Type     loose `json:"type"`
				Multiple loose `json:"is_record_multiple_responses"`
			}
			if err := json.Unmarshal(raw, &d); err != nil {
				return nil, undescribed(customFieldsOp, err)
			}
			fields = append(fields, customField{d.ID, d.Name.text(), d.FieldID.text(), d.Type.text(), d.Multiple.yes()})
			after = max(after, d.ID)
		}
		if len(p.rows) < 200 || after == before {
			return fields, nil
		}
	}
}

const describeAccountOp = "describe prospect accounts"

// accountFields asks version 4 which fields prospect accounts have beside those of the catalog. Default
// fields can be customised too, and those that version 5 does not know are columns all the same.
// Account Engagement API, Version 4, Prospect Accounts.
func (s *source) accountFields(ctx context.Context) ([]field, error) {
	raw, err := s.client.read4(ctx, describeAccountOp, "/api/prospectAccount/version/{v}/do/describe", "result", nil)
	if isRefused(err) {
		s.env.Log.Warn("custom fields of prospect accounts cannot be listed and are left out", "stream", "prospect_accounts", "err", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseDescribe(raw)
}

// parseDescribe reads the description of prospect accounts.
func parseDescribe(raw json.RawMessage) ([]field, error) {
	var result struct {
		Field several `json:"field"`
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return nil, undescribed(describeAccountOp, err)
	}
	seen := map[string]bool{}
	for _, f := range objectOf("prospect_accounts").fields {
		seen[f.v4] = true
	}
	var fields []field
	for _, one := range result.Field {
		var d struct {
			describedField
			Attributes *describedField `json:"@attributes"`
		}
		if err := json.Unmarshal(one, &d); err != nil {
			return nil, undescribed(describeAccountOp, err)
		}
		if d.Attributes != nil {
			d.describedField = *d.Attributes
		}
		id := d.ID.text()
		if id == "" || seen[id] || seen[columns.Snake(id)] {
			continue
		}
		seen[id] = true
		f := field{v4: id, typ: customType(d.Type.text()), text: d.Label.text(), name: columns.Snake(id)}
		if d.Custom.yes() {
			f.name = columns.Snake(id + customSuffix)
			if f.typ != martsync.JSON { // no query of version 5 tells the others
				f.v5 = id + customSuffix
			}
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// A describedField is one field of a description.
type describedField struct {
	ID     loose `json:"id"`
	Label  loose `json:"label"`
	Type   loose `json:"type"`
	Custom loose `json:"custom"`
}

// A loose value is one that version 4 writes now as text, now as a number or a boolean.
type loose json.RawMessage

// UnmarshalJSON keeps the value.
func (l *loose) UnmarshalJSON(data []byte) error {
	*l = slices.Clone(data)
	return nil
}

// text is the value as text, "" if there is none.
func (l loose) text() string {
	var s string
	switch {
	case len(l) == 0 || string(l) == "null" || l[0] == '{' || l[0] == '[':
		return ""
	case json.Unmarshal(l, &s) == nil:
		return s
	default:
		return string(l)
	}
}

func (l loose) yes() bool {
	t := strings.ToLower(l.text())
	return t == "true" || t == "1"
}

// A several is an array, of which version 4 writes one element without the array and none as null.
type several []json.RawMessage

// UnmarshalJSON reads the elements.
func (s *several) UnmarshalJSON(data []byte) error {
	*s = nil
	switch {
	case len(data) == 0 || data[0] != '[' && data[0] != '{':
		return nil
	case data[0] == '{':
		if string(data) != "{}" {
			*s = several{slices.Clone(data)}
		}
		return nil
	default:
		return json.Unmarshal(data, (*[]json.RawMessage)(s))
	}
}

// undescribed is the error for a description that cannot be read.
func undescribed(op string, err error) error {
	return &martsync.Error{Kind: martsync.Data, Op: "pardot: " + op, Err: fmt.Errorf("read the reply: %w", err)}
}
