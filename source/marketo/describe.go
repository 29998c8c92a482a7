package marketo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// A field is a field of leads that can be exported.
type field struct {
	ID          int64  // names the field in Change Data Value activities; 0 if not told
	Name        string // of the REST API: what does not change when somebody renames the field
	DisplayName string
	DataType    string
	Length      int // characters; 0 if not told
}

// describe returns the exportable fields of leads in the vendor's order. It is kept for a
// while; the slice is shared and must not be changed.
// Source: Marketo REST API, Leads, Describe.
func (s *source) describe(ctx context.Context) ([]field, error) {
	return s.fields.Get(s.now(), func() ([]field, error) {
		const op = "describe leads"
		fields, err := s.describe1(ctx, op)
		if martsync.KindOf(err) == martsync.Unavailable {
			// The vendor calls this endpoint superseded. The newer one has no numeric ids
			// and does not tell which fields can be exported.
			fields, err = s.describe2(ctx, op)
		}
		if err == nil && len(fields) == 0 {
			err = &martsync.Error{Kind: martsync.Data, Op: "marketo: " + op, Err: fmt.Errorf("the account shows no field of leads")}
		}
		return fields, err
	})
}

func (s *source) describe1(ctx context.Context, op string) ([]field, error) {
	var fields []field
	err := list(ctx, s.client, request{op: op, path: "/rest/v1/leads/describe.json"}, func(f struct {
		ID          int64  `json:"id"`
		DisplayName string `json:"displayName"`
		DataType    string `json:"dataType"`
		Length      int    `json:"length"`
		Rest        *struct {
			Name string `json:"name"`
		} `json:"rest"`
	},
	) {
		// A field without a REST name cannot be read over REST at all.
		if f.Rest != nil && f.Rest.Name != "" && f.DataType != "formula" {
			fields = append(fields, field{f.ID, f.Rest.Name, f.DisplayName, f.DataType, f.Length})
		}
	})
	return unique(fields), err
}

func (s *source) describe2(ctx context.Context, op string) ([]field, error) {
	var fields []field
	err := list(ctx, s.client, request{op: op, path: "/rest/v1/leads/describe2.json"}, func(o struct {
		Fields []struct {
			Name        string `json:"name"`
			DisplayName string `json:"displayName"`
			DataType    string `json:"dataType"`
			Length      int    `json:"length"`
		} `json:"fields"`
	},
	) {
		for _, f := range o.Fields {
			if f.Name != "" && f.DataType != "formula" {
				fields = append(fields, field{0, f.Name, f.DisplayName, f.DataType, f.Length})
			}
		}
	})
	return unique(fields), err
}

// unique drops fields that come twice: an export would refuse them.
func unique(fields []field) []field {
	seen := make(map[string]bool, len(fields))
	return slices.DeleteFunc(fields, func(f field) bool {
		defer func() { seen[f.Name] = true }()
		return seen[f.Name]
	})
}

// list makes a call and hands each item of its result to take.
func list[T any](ctx context.Context, c *client, r request, take func(T)) error {
	env, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	for _, raw := range env.Result {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return &martsync.Error{Kind: martsync.Data, Op: "marketo: " + r.op, Err: fmt.Errorf("read the reply %s: %w", env.RequestID, err)}
		}
		take(v)
	}
	return nil
}

// An activityType describes activities of one type.
type activityType struct {
	ID          int64       `json:"id"`
	Name        string      `json:"name"`
	APIName     string      `json:"apiName"` // custom types only
	Description string      `json:"description"`
	Primary     *attribute  `json:"primaryAttribute"` // nil: none
	Attributes  []attribute `json:"attributes"`
}

// An attribute of an activity. Its name is the one that activities show.
type attribute struct {
	Name     string `json:"name"`
	DataType string `json:"dataType"`
}

// activityTypes returns all types by id, custom ones included. It is kept for a while; the
// slice is shared and must not be changed.
// Source: Marketo REST API, Activities, Activity Types.
func (s *source) activityTypes(ctx context.Context) ([]activityType, error) {
	return s.types.Get(s.now(), func() ([]activityType, error) {
		var types []activityType
		err := list(ctx, s.client, request{op: "list activity types", path: "/rest/v1/activities/types.json"}, func(t activityType) {
			if t.ID > 0 {
				types = append(types, t)
			}
		})
		slices.SortStableFunc(types, func(a, b activityType) int { return int(a.ID - b.ID) })
		return slices.CompactFunc(types, func(a, b activityType) bool { return a.ID == b.ID }), err
	})
}

// Decimals hold what the vendor calls percent and currency without rounding. It shows no
// more than 6 decimals of either.
const (
	decimalPrecision = 38
	decimalScale     = 6
)

// column makes a column of a vendor's field. Its name is unique only among columns that
// were made together, see columnsOf.
// Source: Marketo REST API, Field Types.
func column(name, dataType string) martsync.Column {
	c := martsync.Column{Name: columns.Snake(name), Origin: name, Type: columnType(dataType)}
	if c.Type == martsync.Decimal {
		c.Precision, c.Scale = decimalPrecision, decimalScale
	}
	return c
}

func columnType(dataType string) martsync.Type {
	switch strings.ToLower(dataType) {
	case "integer", "score":
		return martsync.Int64
	case "percent", "currency":
		return martsync.Decimal
	case "float":
		return martsync.Float64
	case "boolean":
		return martsync.Bool
	case "date":
		return martsync.Date
	case "datetime":
		return martsync.Timestamp
	case "array", "object":
		return martsync.JSON
	default:
		// string, text, textarea, email, phone, url, reference, lead_function, and
		// whatever the vendor invents next: text takes it.
		return martsync.String
	}
}

// columnsOf makes the columns of fields, with unique names given in their order.
func columnsOf(fields []field) []martsync.Column {
	namer := columns.NewSnakeNamer()
	cols := make([]martsync.Column, len(fields))
	for i, f := range fields {
		cols[i] = column(f.Name, f.DataType)
		cols[i].Name = namer.Name(f.Name)
		if f.DisplayName != f.Name {
			cols[i].Description = f.DisplayName
		}
	}
	return cols
}
