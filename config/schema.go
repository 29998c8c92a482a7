package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"

	"github.com/martsync/martsync"
)

// JSONSchema returns the JSON Schema of the file, with the options of the given connectors and alerts,
// for editors that check and complete YAML.
func JSONSchema(sources []martsync.SourceConnector, destinations []martsync.DestinationConnector, alerts ...AlertType) ([]byte, error) {
	var sourceTypes, destinationTypes []*jsonschema.Schema
	for _, c := range sources {
		s := connectorSchema(c.Name, c.Title, c.NewConfig())
		columns := reflectSchema(columnOptions{})
		columns.Description = "What becomes of columns before anything is written."
		s.Properties.Set(columnsKey, columns)
		sourceTypes = append(sourceTypes, s)
	}
	for _, c := range destinations {
		destinationTypes = append(destinationTypes, connectorSchema(c.Name, c.Title, c.NewConfig()))
	}
	top := jsonschema.NewProperties()
	top.Set("version", &jsonschema.Schema{Const: Version, Description: "The version of this file's shape."})
	state := locationSchema()
	state.Default = defaultState
	state.Description = "Where progress between commits, leases and the record of runs are kept: a folder, relative to this file, or s3://bucket/prefix; or a mapping with url or path and s3."
	top.Set("state", state)
	top.Set("sources", named("What to read, by name.", sourceTypes))
	top.Set("destinations", named("Where to write, by name.", destinationTypes))
	top.Set("syncs", &jsonschema.Schema{
		Type: "array", Items: reflectSchema(syncOptions{}), Description: "What to copy from where to where.",
	})
	if len(alerts) > 0 {
		top.Set("alerts", alertsSchema(alerts))
	}
	top.Set("prices", &jsonschema.Schema{
		OneOf:       []*jsonschema.Schema{reflectSchema(priceOptions{})},
		Description: "What things cost, for martsync plan. What is left out is as martsync plan shows it.",
	})
	root := &jsonschema.Schema{
		Version: jsonschema.Version, Title: FileName, Type: "object", Properties: top,
		Required: []string{"version", "sources", "destinations", "syncs"}, AdditionalProperties: jsonschema.FalseSchema,
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return append(out, '\n'), nil
}

// named is the schema of a mapping from names to one of the given shapes.
func named(description string, shapes []*jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", Description: description,
		PropertyNames:        &jsonschema.Schema{Pattern: namePart.String()},
		AdditionalProperties: &jsonschema.Schema{OneOf: shapes},
	}
}

func connectorSchema(name, title string, options any) *jsonschema.Schema {
	s := reflectSchema(reflect.ValueOf(options).Elem().Interface())
	s.Title = title
	properties := jsonschema.NewProperties()
	properties.Set("type", &jsonschema.Schema{Const: name})
	for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
		properties.Set(pair.Key, pair.Value)
	}
	s.Properties = properties
	s.Required = slices.Insert(s.Required, 0, "type")
	return s
}

func reflectSchema(v any) *jsonschema.Schema {
	r := &jsonschema.Reflector{
		Anonymous: true, DoNotReference: true, ExpandedStruct: true, FieldNameTag: "yaml",
		RequiredFromJSONSchemaTags: true,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			switch t {
			case locationType:
				return locationSchema()
			case durationType:
				return &jsonschema.Schema{Type: "string", Pattern: `^(\d+w)?(\d+d)?(\d+(\.\d+)?(h|m|s|ms|us|ns))*$|\$\{`, Examples: []any{"15m", "36h", "7d"}}
			case patternsType:
				return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
					{Type: "string"}, {Type: "array", Items: &jsonschema.Schema{Type: "string"}},
				}}
			}
			if reflect.PointerTo(t).Implements(unmarshaler) {
				return &jsonschema.Schema{Type: "string"} // decode reads it from text
			}
			return nil
		},
	}
	s := r.Reflect(v)
	s.Version = ""
	allowVariables(s)
	return s
}

// allowVariables lets "${NAME}" stand where a number or a boolean belongs.
func allowVariables(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Properties != nil {
		for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
			switch pair.Value.Type {
			case "integer", "number", "boolean":
				plain := *pair.Value
				plain.Description = ""
				pair.Value = &jsonschema.Schema{
					Description: pair.Value.Description,
					AnyOf:       []*jsonschema.Schema{&plain, {Type: "string", Pattern: `\$\{`}},
				}
			default:
				allowVariables(pair.Value)
			}
		}
	}
	allowVariables(s.Items)
	allowVariables(s.AdditionalProperties)
}
