package config

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

// A reference to a store is followed when the connector is opened, each time; what the store says of a failure is
// what the operator reads.
func TestSecretStores(t *testing.T) {
	var opened []any
	o := connectors(&opened)
	asked := 0
	var fails error
	o.Secrets = map[string]SecretStore{"aws-ssm": func(_ context.Context, name string) (martsync.Secret, error) {
		asked++
		if name != "/mart/secret#member:x" {
			t.Errorf("asked for %q", name)
		}
		return "the secret", fails
	}}
	const text = "version: 1\nsources:\n  web: {type: shop, client_secret: 'aws-ssm:/mart/secret#member:x'}\n"
	c, err := parse("martsync.yaml", []byte(text), lookup{getenv: func(string) string { return "" }, secrets: o.Secrets}, o)
	if err != nil {
		t.Fatal(err)
	}
	if asked != 0 {
		t.Errorf("asked %d times before anything was opened", asked)
	}
	for i := range 2 {
		if _, err := c.Sources[0].Open(t.Context(), martsync.Env{}); err != nil {
			t.Fatal(err)
		}
		if got := opened[i].(shopConfig).Secret.Reveal(); got != "the secret" {
			t.Errorf("opened with %q", got)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want at each opening", asked)
	}
	for _, tc := range []struct {
		name  string
		err   error
		kind  martsync.Kind
		after time.Duration
		hint  string
	}{
		{"denied", &martsync.Error{Kind: martsync.Auth, Op: "read", Hint: "allow it", Err: errors.New("denied")}, martsync.Auth, 0, "allow it"},
		{"nobody there", &martsync.Error{Kind: martsync.Transient, After: time.Second, Err: errors.New("no answer")}, martsync.Transient, time.Second, ""},
		{"without a hint", &martsync.Error{Kind: martsync.Config, Err: errors.New("odd")}, martsync.Config, 0, secretHint},
		{"of another kind", errors.New("odd"), martsync.Config, 0, secretHint},
	} {
		fails = tc.err
		_, err := c.Sources[0].Open(t.Context(), martsync.Env{})
		if martsync.KindOf(err) != tc.kind || martsync.AfterOf(err) != tc.after || martsync.HintOf(err) != tc.hint || !errors.Is(err, tc.err) {
			t.Errorf("%s: got %v %v after %v (%s)", tc.name, martsync.KindOf(err), err, martsync.AfterOf(err), martsync.HintOf(err))
		}
		if !strings.HasPrefix(err.Error(), "open source web: client_secret: ") {
			t.Errorf("%s: got %q, which does not say of which option", tc.name, err)
		}
	}
}
