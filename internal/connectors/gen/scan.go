package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A connector is a folder that exports one.
type connector struct {
	kind  string // "source", "destination", "simulator"
	path  string // from the module's root, with slashes
	name  string // of the package
	typed string // the name it is configured by
	title string
	page  bool // it has a README.md
}

// scan finds the connectors: source/* and destination/* that export Connector, and
// source/*/*sim that export Simulator.
func scan(root string) ([]connector, error) {
	var found []connector
	for _, place := range []struct{ kind, glob, value string }{
		{"source", "source/*", "Connector"},
		{"destination", "destination/*", "Connector"},
		{"simulator", "source/*/*sim", "Simulator"},
	} {
		folders, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(place.glob)))
		if err != nil {
			return nil, err
		}
		slices.Sort(folders)
		for _, folder := range folders {
			c, ok, err := scanFolder(root, folder, place.value)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			c.kind = place.kind
			if c.kind != "simulator" && c.typed != c.name {
				return nil, fmt.Errorf("%s: connector %q is not named like its folder", c.path, c.typed)
			}
			found = append(found, c)
		}
	}
	return found, nil
}

// scanFolder looks for the package-level variable value in a folder's files.
func scanFolder(root, folder, value string) (c connector, ok bool, err error) {
	relative, err := filepath.Rel(root, folder)
	if err != nil {
		return c, false, err
	}
	c = connector{path: filepath.ToSlash(relative), name: filepath.Base(folder)}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return c, false, nil //nolint:nilerr // a file, not a folder
	}
	constants := map[string]string{}
	var expr ast.Expr
	for _, e := range entries {
		if e.Name() == "README.md" {
			c.page = true
		}
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			return c, false, err
		}
		if v := declared(f, value, constants); v != nil {
			expr = v
			c.name = f.Name.Name
		}
	}
	if expr == nil {
		return c, false, nil
	}
	c.typed, c.title = nameAndTitle(expr, constants)
	if c.typed == "" || c.title == "" {
		return c, false, fmt.Errorf("%s: %s must give its name and title as text, in a call of martsync.NewSource or "+
			"martsync.NewDestination or as fields Name and Title", c.path, value)
	}
	return c, true, nil
}

// declared returns the expression of the package-level variable name in f and adds f's
// constant texts to constants.
func declared(f *ast.File, name string, constants map[string]string) (found ast.Expr) {
	for _, d := range f.Decls {
		general, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range general.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for i, id := range v.Names {
				if i >= len(v.Values) {
					continue
				}
				if general.Tok == token.VAR && id.Name == name {
					found = v.Values[i]
				}
				if text, ok := literal(v.Values[i], nil); ok && general.Tok == token.CONST {
					constants[id.Name] = text
				}
			}
		}
	}
	return found
}

// nameAndTitle reads the first two arguments of a call, or the fields Name and Title.
func nameAndTitle(e ast.Expr, constants map[string]string) (name, title string) {
	switch e := e.(type) {
	case *ast.UnaryExpr:
		return nameAndTitle(e.X, constants)
	case *ast.CallExpr:
		if len(e.Args) >= 2 {
			name, _ = literal(e.Args[0], constants)
			title, _ = literal(e.Args[1], constants)
		}
	case *ast.CompositeLit:
		for _, element := range e.Elts {
			field, ok := element.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			key, ok := field.Key.(*ast.Ident)
			if !ok {
				continue
			}
			switch key.Name {
			case "Name":
				name, _ = literal(field.Value, constants)
			case "Title":
				title, _ = literal(field.Value, constants)
			}
		}
	}
	return name, title
}

func literal(e ast.Expr, constants map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return text, err == nil
		}
	case *ast.Ident:
		text, ok := constants[e.Name]
		return text, ok
	}
	return "", false
}
