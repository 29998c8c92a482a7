package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"helm.sh/helm/v3/pkg/chart"
)

// schemaProblems compares values.schema.json with values.yaml: the schema refuses keys that it does not know, and what it
// knows must have a default, where people look.
func schemaProblems(c *chart.Chart) (problems []string) {
	type schema struct {
		Properties           map[string]json.RawMessage `json:"properties"`
		AdditionalProperties any                        `json:"additionalProperties"`
	}
	var walk func(at string, raw []byte, values map[string]any)
	walk = func(at string, raw []byte, values map[string]any) {
		var s schema
		if err := json.Unmarshal(raw, &s); err != nil {
			problems = append(problems, fmt.Sprintf("values.schema.json: %s: %v", at, err))
			return
		}
		if len(s.Properties) == 0 {
			return
		}
		if s.AdditionalProperties != false {
			problems = append(problems, fmt.Sprintf("values.schema.json: %s takes keys that nobody reads", at))
		}
		for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
			value, ok := values[key]
			if !ok && key != "global" { // which Helm has for all charts
				problems = append(problems, fmt.Sprintf("values.yaml: %s%s of the schema has no default", at, key))
			}
			if sub, ok := value.(map[string]any); ok {
				walk(at+key+".", s.Properties[key], sub)
			}
		}
	}
	walk("", c.Schema, c.Values)
	return problems
}
