package config

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync/internal/blob"
)

// An address where a folder belongs stays what it is, so that opening it says so; it would be a folder on this machine.
func TestAddressesAreNoPaths(t *testing.T) {
	for path, want := range map[string]string{
		"mart": filepath.Join("base", "mart"), "s3/mart": filepath.Join("base", "s3", "mart"), "./s3:/mart": filepath.Join("base", "s3:", "mart"),
		"s3://bucket/mart": "s3://bucket/mart", "s3:/bucket/mart": "s3:/bucket/mart",
	} {
		l := blob.Location{Path: path}
		absolutePaths(reflect.ValueOf(&l).Elem(), "base")
		if l.Path != want {
			t.Errorf("%s: got %s, want %s", path, l.Path, want)
		}
	}
}

func TestRaw(t *testing.T) {
	for name, tc := range map[string]struct {
		raw     string
		want    *blob.Location
		wantErr string // "": none
	}{
		"none":             {"", nil, ""},
		"empty":            {"raw:", nil, ""},
		"bucket":           {"raw: s3://mart/raw", &blob.Location{URL: "s3://mart/raw"}, ""},
		"folder":           {"raw: sent", &blob.Location{Path: "sent"}, ""},
		"absolute folder":  {"raw: /data/sent", &blob.Location{Path: "/data/sent"}, ""},
		"mapping":          {"raw: {url: s3://mart/raw, s3: {region: eu-central-1, secret_access_key: \"env:KEY\"}}", &blob.Location{URL: "s3://mart/raw", S3: blob.S3Options{Region: "eu-central-1", SecretAccessKey: "hidden"}}, ""},
		"mapping, folder":  {"raw: {path: sent}", &blob.Location{Path: "sent"}, ""},
		"mistyped":         {"raw: s3:/mart/raw", &blob.Location{URL: "s3:/mart/raw"}, ""}, // no folder; Open refuses it
		"both":             {"raw: {path: sent, url: s3://mart}", nil, "both url and path"},
		"neither":          {"raw: {s3: {region: x}}", nil, "names no place"},
		"unknown key":      {"raw: {pfad: sent}", nil, `unknown key "pfad"`},
		"a list is no raw": {"raw: [a, b]", nil, "must be"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, "    start: 2024-03-10", "    start: 2024-03-10\n    "+tc.raw, 1)
			path := write(t, t.TempDir(), FileName, text)
			o := connectors(new([]any))
			o.Getenv = environment("SHOP_SECRET", "x", "CALLS", "1", "TOKEN", "x", "KEY", "hidden")
			c, err := Load(path, o)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("got %v, want an error with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r := c.Syncs[0].Raw
			if (r == nil) != (tc.want == nil) {
				t.Fatalf("got %v, want %v", r, tc.want)
			}
			if r == nil {
				return
			}
			if tc.want.Path != "" && !filepath.IsAbs(tc.want.Path) {
				tc.want.Path = filepath.Join(filepath.Dir(path), tc.want.Path)
			}
			got, err := r.Location(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(r.String(), "hidden") {
				t.Errorf("%q shows a secret", r)
			}
		})
	}
}

func TestState(t *testing.T) {
	bucket := blob.Location{URL: "s3://mart/state"}
	for name, tc := range map[string]struct {
		state   string
		env     string // MARTSYNC_STATE
		want    blob.Location
		wantErr string // "": none
	}{
		"none":                   {"", "", blob.Location{Path: ".martsync"}, ""},
		"empty":                  {"state:", "", blob.Location{Path: ".martsync"}, ""},
		"empty text":             {`state: ""`, "", blob.Location{Path: ".martsync"}, ""},
		"folder":                 {"state: progress", "", blob.Location{Path: "progress"}, ""},
		"absolute folder":        {"state: /var/lib/martsync", "", blob.Location{Path: "/var/lib/martsync"}, ""},
		"bucket":                 {"state: s3://mart/state", "", bucket, ""},
		"folder's address":       {"state: file:///var/lib/martsync", "", blob.Location{URL: "file:///var/lib/martsync"}, ""},
		"mapping":                {"state: {url: s3://mart/state, s3: {region: eu-central-1, secret_access_key: \"env:KEY\"}}", "", blob.Location{URL: "s3://mart/state", S3: blob.S3Options{Region: "eu-central-1", SecretAccessKey: "hidden"}}, ""},
		"mapping, folder":        {"state: {path: progress}", "", blob.Location{Path: "progress"}, ""},
		"environment":            {"state: progress", "s3://mart/state", bucket, ""},
		"environment, of bucket": {"state: {url: s3://other}", "elsewhere", blob.Location{Path: "elsewhere"}, ""},
		"mistyped":               {"state: s3:/mart/state", "", blob.Location{URL: "s3:/mart/state"}, ""}, // no folder; Open refuses it
		"both":                   {"state: {path: progress, url: s3://mart}", "", blob.Location{}, "state has both url and path"},
		"neither":                {"state: {s3: {region: x}}", "", blob.Location{}, "state names no place"},
		"unknown key":            {"state: {bucket: mart}", "", blob.Location{}, `unknown key "bucket"`},
		"a list":                 {"state: [a, b]", "", blob.Location{}, "must be"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, t.TempDir(), FileName, strings.Replace(good, "version: 1\n", "version: 1\n"+tc.state+"\n", 1))
			o := connectors(new([]any))
			o.Getenv = environment("SHOP_SECRET", "x", "CALLS", "1", "TOKEN", "x", "KEY", "hidden", "MARTSYNC_STATE", tc.env)
			c, err := Load(path, o)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("got %v, want an error with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tc.want.Path != "" && !filepath.IsAbs(tc.want.Path) {
				tc.want.Path = filepath.Join(filepath.Dir(path), tc.want.Path)
			}
			got, err := c.State.Location(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if s := c.State.String(); s != tc.want.URL+tc.want.Path {
				t.Errorf("String: got %q", s)
			}
		})
	}
}
