// Package machinetest runs the state machines of the CloudFormation template beside it, so that tests see them wait,
// try again, catch and go on, and not only that they are well formed.
//
// It interprets the part of the Amazon States Language that the template uses, on a clock of its own, and refuses whatever
// else a definition holds: a field that is passed over would be a test of another machine. What it knows is from the
// language's specification (states-language.net) and from the developer guide of Step Functions. What a function answers
// is up to the caller.
package machinetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"
)

// A Machine is a state machine's definition with its substitutions made.
type Machine struct {
	StartAt string
	States  map[string]*State
}

// A State is one state. Which fields it may have depends on its type; Load has checked it.
type State struct {
	Type           string
	Comment        string
	Next           string
	Parameters     any
	ResultPath     string
	Resource       string
	TimeoutSeconds float64
	Retry          []Retrier
	Catch          []Catcher
	Choices        []Choice
	Default        string
	TimestampPath  string
	Error          string
	Cause          string
	ErrorPath      string
	CausePath      string
}

// A Retrier says which errors of a task are tried again, and when.
type Retrier struct {
	Comment         string
	ErrorEquals     []string
	IntervalSeconds *float64 // nil: 1
	BackoffRate     *float64 // nil: 2
	MaxAttempts     *int     // nil: 3
	MaxDelaySeconds float64  // 0: no limit
	JitterStrategy  string   // FULL or nothing
}

// A Catcher says where a task goes whose errors are not tried again.
type Catcher struct {
	ErrorEquals []string
	ResultPath  string
	Next        string
}

// A Choice is one rule of a Choice state.
type Choice struct {
	Comment                  string
	And                      []Choice
	Variable                 string
	IsPresent                *bool
	IsTimestamp              *bool
	BooleanEquals            *bool
	NumericGreaterThanEquals *float64
	Next                     string
}

// fields are what a state of each type may have here.
var fields = map[string][]string{
	"Pass":    {"Parameters", "Next"},
	"Choice":  {"Choices", "Default"},
	"Task":    {"Resource", "Parameters", "ResultPath", "TimeoutSeconds", "Retry", "Catch", "Next"},
	"Wait":    {"TimestampPath", "Next"},
	"Succeed": {},
	"Fail":    {"Error", "Cause", "ErrorPath", "CausePath"},
}

// Load reads the definition of a state machine from a CloudFormation template. The substitutions stand for what
// CloudFormation would put in their place; there must be one for each that the template names, and no other.
func Load(file, logicalID string, substitutions map[string]string) (*Machine, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var template struct {
		Resources map[string]struct {
			Type       string         `yaml:"Type"`
			Properties map[string]any `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	// The tags of CloudFormation (!Ref …) are none of the language's, and nothing in a definition has one.
	if err := yaml.Unmarshal(text, &template); err != nil {
		return nil, fmt.Errorf("read template %s: %w", file, err)
	}
	r, ok := template.Resources[logicalID]
	if !ok || r.Type != "AWS::StepFunctions::StateMachine" {
		return nil, fmt.Errorf("template %s has no state machine %s", file, logicalID)
	}
	named, _ := r.Properties["DefinitionSubstitutions"].(map[string]any)
	want, got := slices.Sorted(maps.Keys(named)), slices.Sorted(maps.Keys(substitutions))
	if !slices.Equal(want, got) {
		return nil, fmt.Errorf("state machine %s has the substitutions %q; given are %q", logicalID, want, got)
	}
	definition, err := substitute(r.Properties["Definition"], substitutions)
	if err != nil {
		return nil, fmt.Errorf("state machine %s: %w", logicalID, err)
	}
	m, err := parse(definition)
	if err != nil {
		return nil, fmt.Errorf("state machine %s: %w", logicalID, err)
	}
	return m, nil
}

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

func substitute(v any, by map[string]string) (any, error) {
	var err error
	switch v := v.(type) {
	case string:
		s := placeholder.ReplaceAllStringFunc(v, func(p string) string {
			text, ok := by[p[2:len(p)-1]]
			if !ok {
				err = fmt.Errorf("%q in %q is not among the substitutions", p, v)
			}
			return text
		})
		return s, err
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			if out[key], err = substitute(value, by); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			if out[i], err = substitute(value, by); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// parse decodes a definition and refuses what Run would not heed.
func parse(definition any) (*Machine, error) {
	text, err := json.Marshal(definition)
	if err != nil {
		return nil, err
	}
	var loose struct {
		Comment string
		StartAt string
		States  map[string]map[string]any
	}
	if err := strict(text, &loose); err != nil {
		return nil, err
	}
	m := &Machine{StartAt: loose.StartAt, States: map[string]*State{}}
	for name, raw := range loose.States {
		kind, _ := raw["Type"].(string)
		known, ok := fields[kind]
		if !ok {
			return nil, fmt.Errorf("state %s is of type %q, which is not interpreted", name, kind)
		}
		for field := range raw {
			if field != "Type" && field != "Comment" && !slices.Contains(known, field) {
				return nil, fmt.Errorf("state %s has %s, which is not interpreted for a state of type %s", name, field, kind)
			}
		}
		text, err := json.Marshal(raw)
		if err != nil {
			return nil, err
		}
		m.States[name] = new(State)
		if err := strict(text, m.States[name]); err != nil {
			return nil, fmt.Errorf("state %s: %w", name, err)
		}
	}
	for from, s := range m.States {
		for _, to := range s.targets() {
			if m.States[to] == nil {
				return nil, fmt.Errorf("state %s goes to %q, which is not there", from, to)
			}
		}
	}
	if m.States[m.StartAt] == nil {
		return nil, fmt.Errorf("it starts at %q, which is not there", m.StartAt)
	}
	return m, nil
}

// targets are the states that may come after s.
func (s *State) targets() []string {
	var all []string
	if s.Type == "Pass" || s.Type == "Task" || s.Type == "Wait" {
		all = append(all, s.Next)
	}
	for _, c := range s.Choices {
		all = append(all, c.Next)
	}
	if s.Default != "" {
		all = append(all, s.Default)
	}
	for _, c := range s.Catch {
		all = append(all, c.Next)
	}
	return all
}

func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
