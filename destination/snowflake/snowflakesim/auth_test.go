//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"database/sql"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/snowflakedb/gosnowflake/v2"
)

// TestLogin goes through the ways to prove who one is, right and wrong.
func TestLogin(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{Users: []User{
		{
			Name: DefaultUser, Password: DefaultPassword, PublicKeys: []any{&other.PublicKey, &key.PublicKey}, PATs: []string{"pat-1"}, OAuthTokens: []string{"oauth-1"},
			Client: OAuthClient{"client", "client-secret"}, Identities: map[string]string{"OIDC": "oidc-1"},
		},
		{Name: "GONE", Password: "p", Disabled: true},
		{Name: "BARE"},
	}})
	form := url.Values{"grant_type": {"client_credentials"}}
	given := func(secret string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/oauth/token-request", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("client", secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var out struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, out.AccessToken
	}
	if code, _ := given("wrong"); code != http.StatusUnauthorized {
		t.Errorf("a wrong client secret: got HTTP %d, want 401", code)
	}
	_, token := given("client-secret")
	for _, tt := range []struct {
		name string
		set  func(c *gosnowflake.Config)
		code string
	}{
		{"password", func(*gosnowflake.Config) {}, ""},
		{"wrong password", func(c *gosnowflake.Config) { c.Password = "x" }, "390100"},
		{"no such user", func(c *gosnowflake.Config) { c.User = "NOBODY" }, "390100"},
		{"a user without a password", func(c *gosnowflake.Config) { c.User = "BARE" }, "390100"},
		{"a disabled user", func(c *gosnowflake.Config) { c.User, c.Password = "GONE", "p" }, "390101"},
		{"a role not granted", func(c *gosnowflake.Config) { c.Role = AdminRole }, "390189"},
		{"key pair", func(c *gosnowflake.Config) { c.Authenticator, c.PrivateKey = gosnowflake.AuthTypeJwt, key }, ""},
		{"the second key", func(c *gosnowflake.Config) { c.Authenticator, c.PrivateKey = gosnowflake.AuthTypeJwt, other }, ""},
		{"another's key", func(c *gosnowflake.Config) {
			c.Authenticator, c.PrivateKey, c.User = gosnowflake.AuthTypeJwt, key, "BARE"
		}, "390144"},
		{"access token", func(c *gosnowflake.Config) { c.Authenticator, c.Token = gosnowflake.AuthTypePat, "pat-1" }, ""},
		{"wrong access token", func(c *gosnowflake.Config) { c.Authenticator, c.Token = gosnowflake.AuthTypePat, "pat-2" }, "394400"},
		{"OAuth", func(c *gosnowflake.Config) { c.Authenticator, c.Token = gosnowflake.AuthTypeOAuth, "oauth-1" }, ""},
		{"OAuth, by client credentials", func(c *gosnowflake.Config) { c.Authenticator, c.Token = gosnowflake.AuthTypeOAuth, token }, ""},
		{"wrong OAuth", func(c *gosnowflake.Config) { c.Authenticator, c.Token = gosnowflake.AuthTypeOAuth, "x" }, "390303"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(t, s)
			tt.set(cfg)
			cfg.LoginTimeout = 3 * time.Second //nolint:staticcheck // see config
			db := sql.OpenDB(gosnowflake.NewConnector(gosnowflake.SnowflakeDriver{}, *cfg))
			defer func() { _ = db.Close() }()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			var who string
			err := db.QueryRowContext(ctx, "SELECT CURRENT_USER()").Scan(&who)
			switch {
			case tt.code == "" && (err != nil || who != DefaultUser):
				t.Errorf("got %q and %v, want %s", who, err, DefaultUser)
			case tt.code != "" && errNumber(err) != tt.code:
				t.Errorf("got %v, want error %s", err, tt.code)
			}
		})
	}
}
