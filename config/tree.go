package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A node is a value of the file and where it stood. Scalars stay text until the type of
// the option is known: so 0123 is a client id with its zero, and a variable may hold a number.
type node struct {
	kind    kind
	text    string // of a scalar
	entries []entry
	items   []*node

	line, column, width int    // 1-based, in characters
	origin              string // set instead if the value does not come from the file
}

type kind uint8

const (
	null kind = iota
	scalar
	mapping
	sequence
)

func (k kind) String() string {
	return [...]string{"nothing", "a single value", "a mapping", "a list"}[k]
}

// An entry is a member of a mapping.
type entry struct {
	key   string
	place *node // of the key
	value *node
}

// member returns the value of key, or nil.
func (n *node) member(key string) *node {
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// set replaces or adds a member.
func (n *node) set(key string, value *node) {
	for i, e := range n.entries {
		if e.key == key {
			n.entries[i].value = value
			return
		}
	}
	n.entries = append(n.entries, entry{key: key, place: value, value: value})
}

// maxAliases bounds how often anchors may be used, against files that grow without end.
const maxAliases = 1000

type treeBuilder struct {
	anchors map[string]*node
	aliases int
}

// parseTree reads one YAML document. Its error is a *Problem.
func parseTree(text []byte) (*node, error) {
	if !utf8.Valid(text) {
		return nil, &Problem{Message: "the file is not UTF-8 text", Hint: "Save it as UTF-8."}
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntaxProblem(err)
	}
	b := &treeBuilder{anchors: map[string]*node{}}
	var root *node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			n := place(doc.Body.GetToken())
			return nil, &Problem{Line: n.line, Column: n.column, Message: "a second document", Hint: "Keep one document in the file."}
		}
		if root, err = b.node(doc.Body); err != nil {
			return nil, err
		}
	}
	if root == nil {
		return &node{kind: mapping}, nil
	}
	return root, nil
}

// syntaxProblem keeps the message and place of the parser's error and drops its excerpt,
// which may show a secret.
func syntaxProblem(err error) *Problem {
	p := &Problem{Message: "this is not YAML", unknown: true}
	var ye yaml.Error
	if errors.As(err, &ye) {
		p.Message = ye.GetMessage()
		if t := ye.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column, p.width = t.Position.Line, t.Position.Column, 1
		}
	}
	return p
}

func place(t *token.Token) *node {
	n := &node{width: 1}
	if t != nil && t.Position != nil {
		n.line, n.column, n.width = t.Position.Line, t.Position.Column, max(1, utf8.RuneCountInString(t.Value))
	}
	return n
}

func problemAt(n *node, format string, args ...any) *Problem {
	return &Problem{Line: n.line, Column: n.column, width: n.width, Message: fmt.Sprintf(format, args...)}
}

func (b *treeBuilder) node(a ast.Node) (*node, error) {
	n := place(a.GetToken())
	switch a := a.(type) {
	case *ast.NullNode:
		return n, nil
	case *ast.StringNode:
		n.kind, n.text = scalar, a.Value
	case *ast.LiteralNode:
		n.kind, n.text = scalar, a.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text = scalar, a.GetToken().Value
	case *ast.MappingNode:
		n.kind = mapping
		return n, b.mapping(n, a.Values)
	case *ast.MappingValueNode:
		n.kind = mapping
		return n, b.mapping(n, []*ast.MappingValueNode{a})
	case *ast.SequenceNode:
		n.kind = sequence
		for _, v := range a.Values {
			item, err := b.node(v)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
	case *ast.AnchorNode:
		value, err := b.node(a.Value)
		if err != nil {
			return nil, err
		}
		b.anchors[a.Name.GetToken().Value] = value
		return value, nil
	case *ast.AliasNode:
		name := a.Value.GetToken().Value
		value, ok := b.anchors[name]
		if b.aliases++; b.aliases > maxAliases {
			return nil, problemAt(n, "more than %d uses of anchors", maxAliases)
		}
		if !ok {
			return nil, problemAt(n, "there is no anchor &%s before this line", name)
		}
		return value, nil
	default:
		return nil, problemAt(n, "%s is not understood here", a.Type())
	}
	return n, nil
}

func (b *treeBuilder) mapping(n *node, values []*ast.MappingValueNode) error {
	own := map[string]bool{}
	var merged []entry
	for _, v := range values {
		value, err := b.node(v.Value)
		if err != nil {
			return err
		}
		at := place(v.Key.GetToken())
		if v.Key.Type() == ast.MergeKeyType {
			if value.kind != mapping {
				return problemAt(at, "<<: needs a mapping")
			}
			merged = append(merged, value.entries...)
			continue
		}
		key := v.Key.GetToken().Value
		if own[key] {
			return problemAt(at, "key %q occurs twice", key)
		}
		own[key] = true
		n.entries = append(n.entries, entry{key: key, place: at, value: value})
	}
	for _, e := range merged {
		if !own[e.key] {
			own[e.key] = true
			n.entries = append(n.entries, e)
		}
	}
	return nil
}

// treeOf builds the tree of values that did not come from a file.
func treeOf(v any, origin string) (*node, error) {
	n := &node{origin: origin, kind: scalar}
	switch v := v.(type) {
	case nil:
		n.kind = null
	case string:
		n.text = v
	case bool:
		n.text = strconv.FormatBool(v)
	case int, int64, float64, uint64:
		n.text = fmt.Sprint(v)
	case []string:
		n.kind = sequence
		for _, item := range v {
			n.items = append(n.items, &node{origin: origin, kind: scalar, text: item})
		}
	case []any:
		n.kind = sequence
		for _, item := range v {
			child, err := treeOf(item, origin)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, child)
		}
	case map[string]any:
		n.kind = mapping
		for _, key := range slices.Sorted(maps.Keys(v)) {
			child, err := treeOf(v[key], origin)
			if err != nil {
				return nil, err
			}
			n.set(key, child)
		}
	default:
		return nil, fmt.Errorf("a %T cannot be an option", v)
	}
	return n, nil
}
