package main

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
)

// TestOptionsAreDescribed: init asks for what is required with the connectors' own words, and
// the JSON Schema has every option.
func TestOptionsAreDescribed(t *testing.T) {
	text, err := config.JSONSchema(connectors.Sources(), connectors.Destinations())
	if err != nil {
		t.Fatal(err)
	}
	type shapes struct {
		AdditionalProperties struct {
			OneOf []struct {
				Properties map[string]struct{ Const any }
				Required   []string
			}
		}
	}
	var schema struct {
		Properties struct{ Sources, Destinations shapes }
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	check := func(kind, name string, newConfig func() any, in shapes) {
		questions := 0
		for _, shape := range in.AdditionalProperties.OneOf {
			if shape.Properties["type"].Const != name {
				continue
			}
			for _, o := range config.OptionsOf(newConfig) {
				if _, ok := shape.Properties[o.Name]; !ok {
					t.Errorf("%s %s: the schema lacks %s", kind, name, o.Name)
				}
				if o.Required != slices.Contains(shape.Required, o.Name) {
					t.Errorf("%s %s: %s is required: %v here, %v in the schema", kind, name, o.Name, o.Required, !o.Required)
				}
				if o.Required || o.Offered {
					questions++
					if o.Description == "" {
						t.Errorf("%s %s: option %s has no description to ask with", kind, name, o.Name)
					}
				}
			}
		}
		if questions == 0 {
			t.Errorf("%s %s: init asks for nothing", kind, name)
		}
	}
	for _, c := range connectors.Sources() {
		check("source", c.Name, c.NewConfig, schema.Properties.Sources)
	}
	for _, c := range connectors.Destinations() {
		check("destination", c.Name, c.NewConfig, schema.Properties.Destinations)
	}
}
