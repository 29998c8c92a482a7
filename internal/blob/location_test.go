package blob

import (
	"path/filepath"
	"testing"

	"github.com/martsync/martsync"
)

func TestLocations(t *testing.T) {
	for _, tt := range []struct {
		location        Location
		namespace, want string
	}{
		{Location{URL: "s3://b/p"}, "", "s3://b/p"},
		{Location{URL: "s3://b/p/"}, "mart", "s3://b/p/mart"},
		{Location{URL: "s3://b"}, "a/b", "s3://b/a/b"},
		{Location{Path: "x"}, "mart", filepath.Join("x", "mart")},
		{Location{URL: "file:///x"}, "ma rt", "file:///x/ma%20rt"},
		{Location{}, "", ""},
		{Location{URL: "s3:/b/p"}, "", ""},
		{Location{URL: "b/p"}, "mart", ""},
		{Location{URL: "s3://b", Path: "x"}, "", ""},
		{Location{Path: "x"}, "../y", ""},
	} {
		got, err := tt.location.below(tt.namespace)
		if got != tt.want || (err == nil) != (tt.want != "") || err != nil && (martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "") {
			t.Errorf("%+v, %q: got %q, %v", tt.location, tt.namespace, got, err)
		}
	}
}

// An address with a mistake is no folder that is made on this machine, and a folder may have any name all the same.
func TestMistypedAddresses(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"s3://b/p", "s3:/b/p", "s3:b/p", "s3//b/p", "file:/x", "gs:/b", "https:/x"} {
		if _, err := (Location{Path: path}).Open(t.Context(), "", martsync.Env{}); martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
			t.Errorf("%q: got %v, want an error of kind config with a hint", path, err)
		}
	}
	for _, path := range []string{"./s3:/b", "s3", "s3/b", "files/x", "a:b"} {
		if _, err := (Location{Path: path}).Open(t.Context(), "", martsync.Env{}); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}
