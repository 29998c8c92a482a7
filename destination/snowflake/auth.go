package snowflake

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/snowflakedb/gosnowflake/v2"
)

// The ways to sign in, as the configuration names them.
const (
	keyPair          = "key_pair"
	oauth            = "oauth"
	accessToken      = "token"
	workloadIdentity = "workload_identity"
	password         = "password"
)

// signIn is what a way to sign in needs of the configuration.
type signIn struct {
	name    string
	user    bool                // it needs a user
	set     func(c Config) bool // whether the configuration has settings of it
	missing func(c Config) string
	apply   func(c Config, d *gosnowflake.Config) error
}

var signIns = []signIn{
	{
		name: keyPair, user: true,
		set: func(c Config) bool { return c.PrivateKey != "" || c.PrivateKeyFile != "" },
		missing: func(c Config) string {
			if c.PrivateKey == "" && c.PrivateKeyFile == "" {
				return "private_key_file or private_key"
			}
			return ""
		},
		apply: func(c Config, d *gosnowflake.Config) error {
			key, err := c.key()
			d.Authenticator, d.PrivateKey = gosnowflake.AuthTypeJwt, key
			return err
		},
	},
	{
		name: oauth,
		set:  func(c Config) bool { return c.OAuth != OAuth{} },
		missing: func(c Config) string {
			switch {
			case c.OAuth.TokenURL == "":
				return "oauth.token_url"
			case c.OAuth.ClientID == "":
				return "oauth.client_id"
			case c.OAuth.ClientSecret == "":
				return "oauth.client_secret"
			case c.OAuth.Scope == "" && c.Role == "":
				return "oauth.scope or role" // one names the other
			}
			return ""
		},
		apply: func(c Config, d *gosnowflake.Config) error {
			d.Authenticator = gosnowflake.AuthTypeOAuthClientCredentials
			d.OauthTokenRequestURL, d.OauthScope = c.OAuth.TokenURL, c.OAuth.Scope
			d.OauthClientID, d.OauthClientSecret = c.OAuth.ClientID, c.OAuth.ClientSecret.Reveal()
			if c.OAuth.Scope == "" {
				d.OauthScope = "session:role:" + object(c.Role)
			}
			return nil
		},
	},
	{
		name: workloadIdentity,
		set:  func(c Config) bool { return c.Workload.Provider != "" },
		missing: func(c Config) string {
			switch {
			case c.Workload.Provider == "":
				return "workload_identity.provider"
			case strings.EqualFold(c.Workload.Provider, "OIDC") && c.Token == "" && c.TokenFile == "":
				return "token_file"
			}
			return ""
		},
		apply: func(c Config, d *gosnowflake.Config) error {
			d.Authenticator = gosnowflake.AuthTypeWorkloadIdentityFederation
			d.WorkloadIdentityProvider = strings.ToUpper(c.Workload.Provider)
			d.WorkloadIdentityEntraResource, d.WorkloadIdentityImpersonationPath = c.Workload.EntraResource, c.Workload.Impersonate
			if d.WorkloadIdentityProvider != "OIDC" {
				return nil
			}
			if c.Token != "" && strings.Count(c.Token.Reveal(), ".") != 2 {
				return configError("sign in", "Set token or token_file to the token that the identity provider gave this workload.", "the token is no JWT")
			}
			return c.token(d)
		},
	},
	{
		name: accessToken, user: true,
		set: func(c Config) bool {
			return (c.Token != "" || c.TokenFile != "") && c.Workload.Provider == ""
		},
		missing: func(c Config) string {
			if c.Token == "" && c.TokenFile == "" {
				return "token or token_file"
			}
			return ""
		},
		apply: func(c Config, d *gosnowflake.Config) error {
			d.Authenticator = gosnowflake.AuthTypePat
			return c.token(d)
		},
	},
	{
		name: password, user: true,
		set: func(c Config) bool { return c.Password != "" },
		missing: func(c Config) string {
			if c.Password == "" {
				return "password"
			}
			return ""
		},
		apply: func(c Config, d *gosnowflake.Config) error {
			d.Authenticator, d.Password = gosnowflake.AuthTypeSnowflake, c.Password.Reveal()
			return nil
		},
	},
}

// authenticate fills in how the driver signs in.
// The ways: https://docs.snowflake.com/en/developer-guide/driver-overview-authentication.
func (c Config) authenticate(d *gosnowflake.Config, log *slog.Logger) error {
	way, err := c.signIn()
	if err != nil {
		return err
	}
	if way.name == password {
		log.Warn("signing in with a password; Snowflake accepts passwords of services no longer. Use a key pair (private_key_file) or a token.",
			"destination", "snowflake")
	}
	d.User = c.User
	// Tokens stay in memory: by default the driver puts them into the keychain of a Mac or a PC.
	d.ClientStoreTemporaryCredential = gosnowflake.ConfigBoolFalse
	return way.apply(c, d)
}

// signIn finds the way to sign in: the one that is named, or the only one that has settings.
func (c Config) signIn() (signIn, error) {
	var found []signIn
	var names []string
	for _, w := range signIns {
		if c.Authentication == w.name || c.Authentication == "" && w.set(c) {
			found, names = append(found, w), append(names, w.name)
		}
	}
	switch {
	case len(found) == 0 && c.Authentication != "":
		return signIn{}, configError("sign in", "Set authentication to key_pair, oauth, token, workload_identity or password.", "authentication is %q", c.Authentication)
	case len(found) == 0:
		return signIn{}, configError("sign in", "Set private_key_file of the destination and user; the README tells how to make a key pair.", "no way to sign in is configured")
	case len(found) > 1:
		return signIn{}, configError("sign in", "Set authentication to the one that is meant, or remove the settings of the others.", "there are settings for %s", strings.Join(names, " and "))
	}
	way := found[0]
	if missing := way.missing(c); missing != "" {
		return way, configError("sign in", "Set "+missing+" of the destination.", "%s needs %s", way.name, missing)
	}
	if way.user && c.User == "" {
		return way, configError("sign in", "Set user of the destination.", "%s needs a user", way.name)
	}
	return way, nil
}

// token hands over the token, or the name of the file that the driver reads at every sign-in: a token
// in a file may be replaced while we run.
func (c Config) token(d *gosnowflake.Config) error {
	if c.Token != "" && c.TokenFile != "" {
		return configError("sign in", "Remove one of token and token_file.", "token and token_file are both set")
	}
	if c.TokenFile == "" {
		d.Token = strings.TrimSpace(c.Token.Reveal())
		return nil
	}
	// the driver would say so, too, but as an error that may pass with time
	if _, err := os.Stat(c.TokenFile); err != nil {
		return configError("sign in", "Set token_file to a file that this user can read.", "token file: %w", err)
	}
	d.TokenFilePath = c.TokenFile
	return nil
}

// describe says how the session signs in, for people; no secret is in it.
func (c Config) describe() string {
	way, err := c.signIn()
	if err != nil {
		return "no way to sign in"
	}
	switch way.name {
	case keyPair:
		return "key pair"
	case oauth:
		return "OAuth client " + c.OAuth.ClientID
	case accessToken:
		return "programmatic access token"
	case workloadIdentity:
		return fmt.Sprintf("workload identity (%s)", strings.ToUpper(c.Workload.Provider))
	default:
		return "password"
	}
}
