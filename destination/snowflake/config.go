package snowflake

import (
	"net/http"
	"strings"

	"github.com/martsync/martsync"
)

// Config is the configuration of a Snowflake destination.
type Config struct {
	Account   string `yaml:"account" json:"account" martsync:"ask" jsonschema:"required,title=Account,description=The account identifier: organization-account or the older locator.region.,example=myorg-myaccount"`
	User      string `yaml:"user,omitempty" json:"user,omitempty" martsync:"ask" jsonschema:"title=User,description=Whom to sign in as. Not needed with OAuth or workload identity.,example=MARTSYNC"`
	Role      string `yaml:"role,omitempty" json:"role,omitempty" jsonschema:"title=Role,description=The role of the session. Empty means the user's default role.,example=MARTSYNC_ROLE"`
	Warehouse string `yaml:"warehouse" json:"warehouse" martsync:"ask" jsonschema:"required,title=Warehouse,description=What loads the tables. It is resumed only when there is something to load.,example=LOADING"`
	Database  string `yaml:"database" json:"database" martsync:"ask" jsonschema:"required,title=Database,description=Where the tables go.,example=MART"`
	Schema    string `yaml:"schema,omitempty" json:"schema,omitempty" jsonschema:"title=Schema,description=The schema of the tables for syncs that name none. Empty means PUBLIC.,example=MARKETO"`

	Authentication string          `yaml:"authentication,omitempty" json:"authentication,omitempty" jsonschema:"title=Authentication,description=How to sign in. Empty means what the settings below it suggest.,enum=,enum=key_pair,enum=oauth,enum=token,enum=workload_identity,enum=password"`
	PrivateKey     martsync.Secret `yaml:"private_key,omitempty" json:"private_key,omitempty" jsonschema:"title=Private key,description=The text of a PEM file: PKCS#8\\, encrypted or not."`
	PrivateKeyFile string          `yaml:"private_key_file,omitempty" json:"private_key_file,omitempty" martsync:"path,ask" jsonschema:"title=Private key file,description=The PEM file with the private key of key-pair authentication.,example=rsa_key.p8"`
	Passphrase     martsync.Secret `yaml:"private_key_passphrase,omitempty" json:"private_key_passphrase,omitempty" jsonschema:"title=Passphrase,description=Of an encrypted private key."`
	OAuth          OAuth           `yaml:"oauth,omitempty" json:"oauth,omitempty" jsonschema:"title=OAuth,description=Client credentials of an authorization server that the account trusts."`
	Token          martsync.Secret `yaml:"token,omitempty" json:"token,omitempty" jsonschema:"title=Token,description=A programmatic access token."`
	TokenFile      string          `yaml:"token_file,omitempty" json:"token_file,omitempty" martsync:"path" jsonschema:"title=Token file,description=A file with a programmatic access token\\, or with the OIDC token of a workload. It is read at every sign-in."`
	Workload       Workload        `yaml:"workload_identity,omitempty" json:"workload_identity,omitempty" jsonschema:"title=Workload identity,description=Sign in as the machine or function that runs this\\, without a secret."`
	Password       martsync.Secret `yaml:"password,omitempty" json:"password,omitempty" jsonschema:"title=Password,description=For trial accounts only: Snowflake lets services no longer sign in by password."`

	Identifiers string             `yaml:"identifiers,omitempty" json:"identifiers,omitempty" jsonschema:"title=Identifiers,description=How tables and columns are named. upper (default): LEADS and FIRST_NAME\\, which need no quotes in queries. quoted: \"leads\" and \"first_name\". preserve: \"leads\" and the vendor's own spelling of columns such as \"firstName\".,enum=,enum=upper,enum=quoted,enum=preserve"`
	Stage       Stage              `yaml:"stage,omitempty" json:"stage,omitempty" jsonschema:"title=Stage,description=An S3 stage of yours to load through. Empty means an internal stage that is made beside the tables."`
	Backup      string             `yaml:"backup,omitempty" json:"backup,omitempty" jsonschema:"title=Backup,description=clone keeps a zero-copy clone of a table before it is read again from the beginning.,enum=,enum=none,enum=clone"`
	LegacyViews string             `yaml:"legacy_views,omitempty" json:"legacy_views,omitempty" jsonschema:"title=Legacy views,description=marketo makes the views that the former Marketo connector had: MARKETO_AWS_LOGS and MARKETO_META_DATA_VIEW and MARKETODATAMART.,enum=,enum=marketo"`
	Adopt       map[string]Adopted `yaml:"adopt,omitempty" json:"adopt,omitempty" jsonschema:"title=Adopt,description=Tables that another program made\\, by the stream that goes on with them."`
	Transient   bool               `yaml:"transient,omitempty" json:"transient,omitempty" jsonschema:"title=Transient tables,description=Make tables without fail-safe storage. Time travel stays."`

	Host     string `yaml:"host,omitempty" json:"host,omitempty" jsonschema:"title=Host,description=The account's host if it is not the one that follows from the account: private connectivity.,example=myaccount.privatelink.snowflakecomputing.com"`
	Port     int    `yaml:"port,omitempty" json:"port,omitempty" jsonschema:"title=Port,description=0 means 443.,minimum=0,maximum=65535"`
	Protocol string `yaml:"protocol,omitempty" json:"protocol,omitempty" jsonschema:"title=Protocol,description=https (default)\\, or http for a server on this machine.,enum=,enum=https,enum=http"`
	CAFile   string `yaml:"ca_file,omitempty" json:"ca_file,omitempty" martsync:"path" jsonschema:"title=CA file,description=Further certificate authorities to trust\\, in PEM: those of a proxy that inspects TLS."`

	// transporter carries all requests of the driver, those to the stage too. Nil: the driver's own.
	transporter http.RoundTripper
	// part overrides the size of staged files, in bytes of the compressed file.
	part int64
}

// OAuth are client credentials.
type OAuth struct {
	TokenURL     string          `yaml:"token_url,omitempty" json:"token_url,omitempty" jsonschema:"title=Token URL,description=Where tokens are asked for.,example=https://login.example.com/oauth2/token"`
	ClientID     string          `yaml:"client_id,omitempty" json:"client_id,omitempty" jsonschema:"title=Client ID"`
	ClientSecret martsync.Secret `yaml:"client_secret,omitempty" json:"client_secret,omitempty" jsonschema:"title=Client secret"`
	Scope        string          `yaml:"scope,omitempty" json:"scope,omitempty" jsonschema:"title=Scope,description=Empty means that of the role.,example=session:role:MARTSYNC_ROLE"`
}

// Workload is how a workload proves who it is.
type Workload struct {
	Provider      string   `yaml:"provider,omitempty" json:"provider,omitempty" jsonschema:"title=Provider,description=Where this runs.,enum=,enum=AWS,enum=GCP,enum=AZURE,enum=OIDC"`
	EntraResource string   `yaml:"entra_resource,omitempty" json:"entra_resource,omitempty" jsonschema:"title=Entra resource,description=The resource of the token on Azure if it is not Snowflake's own."`
	Impersonate   []string `yaml:"impersonate,omitempty" json:"impersonate,omitempty" jsonschema:"title=Impersonate,description=Roles or service accounts to assume one after the other before signing in."`
}

// Stage is an external stage on S3: files are uploaded to the bucket, and Snowflake reads them
// through the stage.
type Stage struct {
	Name            string          `yaml:"name,omitempty" json:"name,omitempty" jsonschema:"title=Name,description=The stage\\, qualified unless it lies in the schema of the tables.,example=MART.PUBLIC.LANDING"`
	URL             string          `yaml:"url,omitempty" json:"url,omitempty" jsonschema:"title=URL,description=The same place as the stage names it.,example=s3://my-bucket/landing"`
	Region          string          `yaml:"region,omitempty" json:"region,omitempty" jsonschema:"title=Region,description=Empty means what the environment says.,example=eu-central-1"`
	Endpoint        string          `yaml:"endpoint,omitempty" json:"endpoint,omitempty" jsonschema:"title=Endpoint,description=Of a store that speaks S3. Empty means AWS."`
	AccessKeyID     string          `yaml:"access_key_id,omitempty" json:"access_key_id,omitempty" jsonschema:"title=Access key ID,description=Empty means the credentials of the environment."`
	SecretAccessKey martsync.Secret `yaml:"secret_access_key,omitempty" json:"secret_access_key,omitempty" jsonschema:"title=Secret access key"`
}

// Adopted is a table that another program made.
type Adopted struct {
	Table   string            `yaml:"table" json:"table" jsonschema:"required,title=Table,description=Its name\\, qualified unless it lies in the schema of the tables.,example=MARKETO_LEADS"`
	Columns map[string]string `yaml:"columns,omitempty" json:"columns,omitempty" jsonschema:"title=Columns,description=Its columns by ours\\, where the names differ by more than upper and lower case and underscores."`
	Newest  string            `yaml:"newest,omitempty" json:"newest,omitempty" jsonschema:"title=Newest,description=Its column with the time at which reading goes on. Empty means the column of the stream's version.,example=UPDATEDAT"`
}

// How tables and columns are named.
const (
	upperIdentifiers    = "upper"
	quotedIdentifiers   = "quoted"
	preserveIdentifiers = "preserve"
)

// normal fills in defaults and reports what is wrong. Authentication is checked where the driver is
// configured.
func (c Config) normal(namespace string) (Config, error) {
	const op = "open"
	for _, need := range [...]struct{ name, value string }{
		{"account", c.Account}, {"warehouse", c.Warehouse}, {"database", c.Database},
	} {
		if need.value == "" {
			return c, configError(op, "Set "+need.name+" of the destination.", "no %s is configured", need.name)
		}
	}
	switch c.Identifiers {
	case "":
		c.Identifiers = upperIdentifiers
	case upperIdentifiers, quotedIdentifiers, preserveIdentifiers:
	default:
		return c, configError(op, "Set identifiers to upper, quoted or preserve.", "identifiers is %q", c.Identifiers)
	}
	switch c.Backup {
	case "", "none", "clone":
	default:
		return c, configError(op, "Set backup to clone, or leave it out.", "backup is %q", c.Backup)
	}
	switch c.LegacyViews {
	case "", "marketo":
	default:
		return c, configError(op, "Set legacy_views to marketo, or leave it out.", "legacy_views is %q", c.LegacyViews)
	}
	switch c.Protocol {
	case "":
		c.Protocol = "https"
	case "http", "https":
	default:
		return c, configError(op, "Set protocol to https, or leave it out.", "protocol is %q", c.Protocol)
	}
	if (c.Stage.Name == "") != (c.Stage.URL == "") {
		return c, configError(op, "Set both name and url of the stage, or neither.", "an external stage needs a name and a URL")
	}
	if c.Stage.URL != "" && !strings.HasPrefix(c.Stage.URL, "s3://") {
		return c, configError(op, "Set url of the stage to s3://bucket/prefix.", "the stage's URL is %q", c.Stage.URL)
	}
	if namespace != "" {
		c.Schema = namespace
	}
	if c.Schema == "" {
		c.Schema = "PUBLIC"
	}
	for _, name := range [...]string{c.Schema, c.Database, c.Warehouse, c.Role} {
		if strings.ContainsRune(name, 0) {
			return c, configError(op, "Choose another name.", "%q has a NUL in it", name)
		}
	}
	return c, nil
}
