package config

import (
	"strings"
	"testing"

	"github.com/martsync/martsync"
)

func TestColumns(t *testing.T) {
	const long = "0123456789abcdef"
	for name, tc := range map[string]struct {
		columns string
		raw     bool
		loads   string // "": it loads; else a part of the error
		opens   string // "": it opens
	}{
		"none":              {"", true, "", ""},
		"no rules":          {"columns: {}", true, "", ""},
		"all":               {"columns: {include: [a.*], exclude: b, hash: [a.c, a.d.e f], hash_key: '${KEY}'}", false, "", ""},
		"a reference":       {"columns: {hash: c, hash_key: env:KEY}", false, "", ""},
		"a missing one":     {"columns: {hash: c, hash_key: env:NOWHERE}", false, "", "env:NOWHERE"},
		"a short key":       {"columns: {hash: c, hash_key: literal:short}", false, "", "at least 16"},
		"no key":            {"columns: {hash: [c]}", false, "hash needs a hash_key", ""},
		"no pattern":        {"columns: {exclude: ['a.[b']}", false, "patterns are names", ""},
		"an empty part":     {"columns: {exclude: [.b]}", false, "a part is empty", ""},
		"include of all":    {"columns: {include: [b]}", false, "name a stream", ""},
		"an unknown key":    {"columns: {excluded: [b]}", false, `unknown key "excluded"`, ""},
		"a list":            {"columns: [b]", false, "must be", ""},
		"what raw holds":    {"columns: {exclude: [b]}", true, "raw would keep", ""},
		"of a destination":  {"-", false, `unknown key "columns"`, ""},
		"with a wrong type": {"columns: {hash: [c], hash_key: 5}", false, "", "at least 16"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, "    type: shop\n", "    type: shop\n    "+tc.columns+"\n", 1)
			if tc.columns == "-" {
				text = strings.Replace(good, "    type: file\n", "    type: file\n    columns: {}\n", 1)
			}
			if tc.raw {
				text = strings.Replace(text, "    start: 2024-03-10", "    start: 2024-03-10\n    raw: sent", 1)
			}
			o := connectors(new([]any))
			o.Getenv = environment("SHOP_SECRET", "x", "CALLS", "1", "TOKEN", "x", "KEY", long)
			dir := t.TempDir()
			write(t, dir, "token.txt", "x")
			c, err := Load(write(t, dir, FileName, text), o)
			if tc.loads != "" {
				if err == nil || !strings.Contains(err.Error(), tc.loads) {
					t.Fatalf("got %v, want an error with %q", err, tc.loads)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			source, err := c.Sources[0].Open(t.Context(), martsync.Env{})
			if tc.opens != "" {
				if martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), tc.opens) || strings.Contains(err.Error(), long) {
					t.Fatalf("got %v, want an error with %q", err, tc.opens)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if wrapped := source != nil; wrapped != (strings.Contains(tc.columns, "c,") || strings.Contains(tc.columns, "a.c")) {
				t.Errorf("wrapped: %v", wrapped) // the shop itself is nil
			}
		})
	}
}
