package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/martsync/martsync"
)

func TestLoadText(t *testing.T) {
	o := connectors(new([]any))
	o.Getenv = environment("SHOP_SECRET", "x", "CALLS", "1", "TOKEN", "x")
	c, err := LoadText("s3://mart/martsync.yaml", []byte(good), o)
	if err != nil {
		t.Fatal(err)
	}
	if c.Path != "s3://mart/martsync.yaml" || len(c.Syncs) == 0 {
		t.Errorf("got %s with %d syncs", c.Path, len(c.Syncs))
	}
	if got := c.State.String(); got != filepath.Join(".", ".martsync") {
		t.Errorf("state: got %s, want it below the working directory", got)
	}
	o.Getenv = nil
	_, err = LoadText("s3://mart/martsync.yaml", []byte(good), o)
	if martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), "s3://mart/martsync.yaml") || !strings.Contains(err.Error(), "SHOP_SECRET") {
		t.Errorf("without an environment: got %v, want an error that names the place and the variable", err)
	}
}
