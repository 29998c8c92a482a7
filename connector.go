package martsync

import (
	"context"
	"fmt"
)

// A SourceConnector makes sources of one type. Each source folder exports one as Connector;
// the list of them is generated, so that adding a source edits no other file.
type SourceConnector struct {
	Name  string // the configuration's type: "marketo"
	Title string // for people: "Adobe Marketo Engage"

	// NewConfig returns a pointer to a zero configuration: a struct with yaml, json and
	// jsonschema tags, secrets as Secret.
	NewConfig func() any

	// Open takes what NewConfig returned, filled. It may do I/O but starts no goroutine.
	Open func(ctx context.Context, config any, env Env) (Source, error)
}

// NewSource makes a connector of a typed open function.
func NewSource[C any](name, title string, open func(context.Context, C, Env) (Source, error)) SourceConnector {
	return SourceConnector{
		Name: name, Title: title,
		NewConfig: func() any { return new(C) },
		Open: func(ctx context.Context, config any, env Env) (Source, error) {
			c, ok := config.(*C)
			if !ok {
				return nil, &Error{Kind: Internal, Op: "open " + name, Err: fmt.Errorf("configuration is a %T", config)}
			}
			return open(ctx, *c, env)
		},
	}
}

// A DestinationConnector makes destinations of one type.
type DestinationConnector struct {
	Name      string // the configuration's type: "duckdb"
	Title     string // for people: "DuckDB file"
	NewConfig func() any

	// Open takes what NewConfig returned, filled, and the namespace (a database schema, a
	// key prefix) that the tables go to; "" is the destination's default.
	Open func(ctx context.Context, config any, namespace string, env Env) (Destination, error)
}

// NewDestination makes a connector of a typed open function.
func NewDestination[C any](name, title string, open func(context.Context, C, string, Env) (Destination, error)) DestinationConnector {
	return DestinationConnector{
		Name: name, Title: title,
		NewConfig: func() any { return new(C) },
		Open: func(ctx context.Context, config any, namespace string, env Env) (Destination, error) {
			c, ok := config.(*C)
			if !ok {
				return nil, &Error{Kind: Internal, Op: "open " + name, Err: fmt.Errorf("configuration is a %T", config)}
			}
			return open(ctx, *c, namespace, env)
		},
	}
}
