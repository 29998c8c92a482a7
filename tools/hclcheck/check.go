package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// A template is what counts here of a CloudFormation template.
type template struct {
	Parameters map[string]struct {
		Default any `yaml:"Default"`
	} `yaml:"Parameters"`
	Outputs map[string]any `yaml:"Outputs"`
}

func readTemplate(file string) (*template, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	t := new(template)
	return t, yaml.Unmarshal(text, t)
}

// A resourceType is what the documentation of Terraform's AWS provider says of a resource.
type resourceType struct{ required, optional []string }

// What the pages s3_object and cloudformation_stack of the provider's documentation list (website/docs/r, version 6).
var resourceTypes = map[string]resourceType{
	"aws_s3_object": {
		[]string{"bucket", "key"},
		[]string{
			"acl", "bucket_key_enabled", "cache_control", "content_base64", "content_disposition", "content_encoding", "content_language", "content_type",
			"content", "etag", "force_destroy", "kms_key_id", "metadata", "object_lock_legal_hold_status", "object_lock_mode", "object_lock_retain_until_date",
			"server_side_encryption", "source_hash", "source", "storage_class", "tags", "website_redirect",
		},
	},
	"aws_cloudformation_stack": {
		[]string{"name"},
		[]string{
			"region", "template_body", "template_url", "capabilities", "disable_rollback", "notification_arns", "on_failure", "parameters", "policy_body", "policy_url",
			"tags", "iam_role_arn", "timeout_in_minutes",
		},
	},
}

// A checker collects what a module declares and uses.
type checker struct {
	t         *template
	problems  []string
	variables map[string]*hclsyntax.Body
	resources map[string]*hclsyntax.Body // by type.name
	used      map[string]bool            // variables
}

func (c *checker) add(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// check says what is wrong with the files of a module, by name.
func check(files map[string]string, t *template) []string {
	c := &checker{t: t, variables: map[string]*hclsyntax.Body{}, resources: map[string]*hclsyntax.Body{}, used: map[string]bool{}}
	var bodies []*hclsyntax.Body
	parser := hclparse.NewParser()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, diags := parser.ParseHCL([]byte(files[name]), name)
		if diags.HasErrors() {
			c.add("%s", diags)
			continue
		}
		bodies = append(bodies, f.Body.(*hclsyntax.Body))
	}
	for _, body := range bodies {
		for _, block := range body.Blocks {
			c.declare(block)
		}
	}
	for _, body := range bodies {
		c.references(body)
	}
	for _, name := range slices.Sorted(maps.Keys(c.variables)) {
		if !c.used[name] {
			c.add("nobody uses the variable %s", name)
		}
	}
	c.stack()
	return c.problems
}

func (c *checker) declare(block *hclsyntax.Block) {
	switch block.Type {
	case "variable":
		c.variables[block.Labels[0]] = block.Body
	case "resource":
		c.resources[strings.Join(block.Labels, ".")] = block.Body
		c.arguments(block)
	case "output", "terraform":
	default:
		c.add("a block %s is not known here", block.Type)
	}
}

func (c *checker) arguments(block *hclsyntax.Block) {
	kind := block.Labels[0]
	known, ok := resourceTypes[kind]
	if !ok {
		c.add("%s is not known here: add what the provider's documentation says of it", kind)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(block.Body.Attributes)) {
		if !slices.Contains(known.required, name) && !slices.Contains(known.optional, name) {
			c.add("%s has no argument %s", kind, name)
		}
	}
	for _, name := range known.required {
		if block.Body.Attributes[name] == nil {
			c.add("%s needs %s", kind, name)
		}
	}
}

// references follows what expressions name: variables and resources. Others are of the language.
func (c *checker) references(body *hclsyntax.Body) {
	diags := hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		traversal, ok := node.(*hclsyntax.ScopeTraversalExpr)
		if !ok {
			return nil
		}
		path := traversal.Traversal
		var words []string
		for _, step := range path {
			switch s := step.(type) {
			case hcl.TraverseRoot:
				words = append(words, s.Name)
			case hcl.TraverseAttr:
				words = append(words, s.Name)
			case hcl.TraverseIndex:
				words = append(words, s.Key.AsString())
			}
		}
		switch {
		case words[0] == "var" && len(words) > 1:
			c.used[words[1]] = true
			if c.variables[words[1]] == nil {
				c.add("there is no variable %s", words[1])
			}
		case strings.HasPrefix(words[0], "aws_") && len(words) > 1:
			if c.resources[words[0]+"."+words[1]] == nil {
				c.add("there is no resource %s.%s", words[0], words[1])
			}
			if len(words) == 4 && words[2] == "outputs" {
				if _, ok := c.t.Outputs[words[3]]; !ok {
					c.add("the template has no output %s", words[3])
				}
			}
		}
		return nil
	})
	if diags.HasErrors() {
		c.add("%s", diags)
	}
}

// stack compares what is handed over with what the template takes.
func (c *checker) stack() {
	body := c.resources["aws_cloudformation_stack.martsync"]
	if body == nil || body.Attributes["parameters"] == nil {
		c.add("there is no aws_cloudformation_stack.martsync with parameters")
		return
	}
	if a := body.Attributes["capabilities"]; a == nil || !strings.Contains(literal(a.Expr), "CAPABILITY_IAM") {
		c.add("the stack makes roles and needs CAPABILITY_IAM")
	}
	object, ok := body.Attributes["parameters"].Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		c.add("parameters are no object")
		return
	}
	given := map[string]bool{}
	for _, item := range object.Items {
		key := literal(item.KeyExpr)
		given[key] = true
		p, ok := c.t.Parameters[key]
		if !ok {
			c.add("the template has no parameter %s", key)
			continue
		}
		traversal, ok := item.ValueExpr.(*hclsyntax.ScopeTraversalExpr)
		if !ok || traversal.Traversal.RootName() != "var" {
			continue
		}
		name := traversal.Traversal[1].(hcl.TraverseAttr).Name
		if variable := c.variables[name]; variable != nil {
			if got, want := defaultOf(variable), fmt.Sprint(p.Default); got != want {
				c.add("the default of %s is %s, that of %s in the template %s", name, got, key, want)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.t.Parameters)) {
		if !given[key] {
			c.add("the parameter %s is not handed over", key)
		}
	}
}

// defaultOf is a variable's default as text; "<nil>" if it has none, as fmt writes a template's.
func defaultOf(variable *hclsyntax.Body) string {
	a := variable.Attributes["default"]
	if a == nil {
		return fmt.Sprint(nil)
	}
	return literal(a.Expr)
}

// literal is the value of an expression that refers to nothing, as text; "" if it is another one.
func literal(e hclsyntax.Expression) string {
	v, diags := e.Value(nil)
	if diags.HasErrors() || !v.IsWhollyKnown() || v.IsNull() {
		return ""
	}
	switch {
	case v.Type() == cty.String:
		return v.AsString()
	case v.Type() == cty.Number:
		return v.AsBigFloat().Text('f', -1)
	case v.CanIterateElements():
		var all []string
		for it := v.ElementIterator(); it.Next(); {
			if _, element := it.Element(); element.Type() == cty.String {
				all = append(all, element.AsString())
			}
		}
		return strings.Join(all, " ")
	}
	return ""
}
