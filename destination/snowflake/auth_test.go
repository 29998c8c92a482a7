package snowflake

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snowflakedb/gosnowflake/v2"

	"github.com/martsync/martsync"
)

func TestAuthenticate(t *testing.T) {
	key := martsync.Secret(pkcs8Of(t, testKey()))
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("file-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := OAuth{TokenURL: "https://login.example.com/token", ClientID: "id", ClientSecret: "secret"}
	for _, tt := range []struct {
		name   string
		config Config
		want   gosnowflake.Config // the fields that count
		bad    string             // in the error; "": none
		hint   string
	}{
		{name: "a key", config: Config{User: "U", PrivateKey: key}, want: gosnowflake.Config{Authenticator: gosnowflake.AuthTypeJwt, User: "U", PrivateKey: testKey()}},
		{name: "a token", config: Config{User: "U", Token: " pat\n"}, want: gosnowflake.Config{Authenticator: gosnowflake.AuthTypePat, User: "U", Token: "pat"}},
		{name: "a token in a file", config: Config{User: "U", TokenFile: file}, want: gosnowflake.Config{Authenticator: gosnowflake.AuthTypePat, User: "U", TokenFilePath: file}},
		{name: "a password", config: Config{User: "U", Password: "pw"}, want: gosnowflake.Config{Authenticator: gosnowflake.AuthTypeSnowflake, User: "U", Password: "pw"}},
		{
			name: "an OAuth client, by the role", config: Config{Role: "loader", OAuth: client},
			want: gosnowflake.Config{
				Authenticator: gosnowflake.AuthTypeOAuthClientCredentials, OauthTokenRequestURL: client.TokenURL, OauthClientID: "id",
				OauthClientSecret: "secret", OauthScope: "session:role:LOADER",
			},
		},
		{
			name: "an OAuth client, by the scope", config: Config{OAuth: OAuth{TokenURL: "u", ClientID: "i", ClientSecret: "s", Scope: "session:role-any"}},
			want: gosnowflake.Config{
				Authenticator: gosnowflake.AuthTypeOAuthClientCredentials, OauthTokenRequestURL: "u", OauthClientID: "i", OauthClientSecret: "s", OauthScope: "session:role-any",
			},
		},
		{
			name: "a workload on AWS", config: Config{Workload: Workload{Provider: "aws", Impersonate: []string{"arn:a", "arn:b"}}},
			want: gosnowflake.Config{
				Authenticator: gosnowflake.AuthTypeWorkloadIdentityFederation, WorkloadIdentityProvider: "AWS", WorkloadIdentityImpersonationPath: []string{"arn:a", "arn:b"},
			},
		},
		{
			name: "a workload with a token", config: Config{Workload: Workload{Provider: "OIDC"}, TokenFile: file},
			want: gosnowflake.Config{Authenticator: gosnowflake.AuthTypeWorkloadIdentityFederation, WorkloadIdentityProvider: "OIDC", TokenFilePath: file},
		},
		{
			name: "the one that is named", config: Config{Authentication: "token", User: "U", Token: "pat", Password: "pw"},
			want: gosnowflake.Config{Authenticator: gosnowflake.AuthTypePat, User: "U", Token: "pat"},
		},

		{name: "nothing", config: Config{User: "U"}, bad: "no way to sign in", hint: "private_key_file"},
		{name: "two ways", config: Config{User: "U", Token: "pat", Password: "pw"}, bad: "token and password", hint: "authentication"},
		{name: "an unknown way", config: Config{User: "U", Authentication: "browser"}, bad: "browser", hint: "key_pair"},
		{name: "a key without a user", config: Config{PrivateKey: key}, bad: "needs a user", hint: "user"},
		{name: "a way without its settings", config: Config{User: "U", Authentication: "key_pair"}, bad: "private_key_file", hint: "private_key_file"},
		{name: "half a client", config: Config{Role: "R", OAuth: OAuth{TokenURL: "u", ClientID: "i"}}, bad: "oauth.client_secret", hint: "oauth.client_secret"},
		{name: "a client without a role", config: Config{OAuth: client}, bad: "role", hint: "role"},
		{name: "OIDC without a token", config: Config{Workload: Workload{Provider: "OIDC"}}, bad: "token_file", hint: "token_file"},
		{name: "a token twice", config: Config{User: "U", Token: "pat", TokenFile: file}, bad: "both set", hint: "Remove one"},
		{name: "a file that is not there", config: Config{User: "U", TokenFile: file + "x"}, bad: "no such file", hint: "token_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			var got gosnowflake.Config
			err := tt.config.authenticate(&got, slog.New(slog.NewTextHandler(&log, nil)))
			if tt.bad != "" {
				if martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), tt.bad) || !strings.Contains(martsync.HintOf(err), tt.hint) {
					t.Errorf("got %v with hint %q, want an error of kind config with %q and a hint with %q", err, martsync.HintOf(err), tt.bad, tt.hint)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.ClientStoreTemporaryCredential != gosnowflake.ConfigBoolFalse {
				t.Error("the driver may put tokens into a keychain")
			}
			tt.want.ClientStoreTemporaryCredential = gosnowflake.ConfigBoolFalse
			if (got.PrivateKey == nil) != (tt.want.PrivateKey == nil) || got.PrivateKey != nil && !got.PrivateKey.Equal(tt.want.PrivateKey) {
				t.Error("another private key")
			}
			got.PrivateKey, tt.want.PrivateKey = nil, nil
			for _, f := range []struct{ name, got, want string }{
				{"authenticator", got.Authenticator.String(), tt.want.Authenticator.String()},
				{"user", got.User, tt.want.User},
				{"password", got.Password, tt.want.Password},
				{"token", got.Token, tt.want.Token},
				{"token file", got.TokenFilePath, tt.want.TokenFilePath},
				{"token URL", got.OauthTokenRequestURL, tt.want.OauthTokenRequestURL},
				{"client", got.OauthClientID + " " + got.OauthClientSecret, tt.want.OauthClientID + " " + tt.want.OauthClientSecret},
				{"scope", got.OauthScope, tt.want.OauthScope},
				{"provider", got.WorkloadIdentityProvider, tt.want.WorkloadIdentityProvider},
				{"impersonation", strings.Join(got.WorkloadIdentityImpersonationPath, " "), strings.Join(tt.want.WorkloadIdentityImpersonationPath, " ")},
			} {
				if f.got != f.want {
					t.Errorf("%s: got %q, want %q", f.name, f.got, f.want)
				}
			}
			if warned := strings.Contains(log.String(), "level=WARN"); warned != (tt.want.Authenticator == gosnowflake.AuthTypeSnowflake) {
				t.Errorf("warned: %t, want a warning of passwords only", warned)
			}
			for _, secret := range []string{"pw", "pat", "secret"} {
				if strings.Contains(log.String(), "="+secret) || strings.Contains(tt.config.describe(), secret+" ") {
					t.Errorf("a secret is shown: %s / %s", log.String(), tt.config.describe())
				}
			}
		})
	}
}
