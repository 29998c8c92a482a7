package pardot

import (
	"fmt"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

// Config reaches one business unit of Account Engagement.
type Config struct {
	BusinessUnit string `yaml:"business_unit" json:"business_unit" jsonschema:"required,title=Business unit,description=Business unit id that Setup > Business Unit Setup shows; it begins with 0Uv,example=0Uv000000000001CAA"`
	APIHost      string `yaml:"api_host,omitempty" json:"api_host,omitempty" martsync:"ask" jsonschema:"title=API host,default=production,description=production (pi.pardot.com)\\, demo (pi.demo.pardot.com\\, for sandboxes and developer orgs) or a URL"`
	LoginURL     string `yaml:"login_url,omitempty" json:"login_url,omitempty" martsync:"ask" jsonschema:"title=Login URL,default=https://login.salesforce.com,description=https://login.salesforce.com\\, https://test.salesforce.com for sandboxes\\, or the My Domain URL,example=https://example.my.salesforce.com"`

	Grant         string          `yaml:"grant,omitempty" json:"grant,omitempty" jsonschema:"title=Grant,enum=refresh_token,enum=client_credentials,enum=jwt,enum=password,description=How access tokens are got. Default: what the credentials given allow"`
	ClientID      string          `yaml:"client_id" json:"client_id" jsonschema:"required,title=Client id,description=Consumer key of the external client app or connected app"`
	ClientSecret  martsync.Secret `yaml:"client_secret,omitempty" json:"client_secret,omitempty" martsync:"ask" jsonschema:"title=Client secret,description=Consumer secret of the app; jwt needs none"`
	RefreshToken  martsync.Secret `yaml:"refresh_token,omitempty" json:"refresh_token,omitempty" martsync:"ask" jsonschema:"title=Refresh token,description=Refresh token of a login with the scopes pardot_api and refresh_token"`
	Username      string          `yaml:"username,omitempty" json:"username,omitempty" jsonschema:"description=Salesforce user name; for jwt and password"`
	Password      martsync.Secret `yaml:"password,omitempty" json:"password,omitempty" jsonschema:"description=Password; for password"`
	SecurityToken martsync.Secret `yaml:"security_token,omitempty" json:"security_token,omitempty" jsonschema:"description=Security token\\, which password needs from networks that the org does not trust"`
	PrivateKey    martsync.Secret `yaml:"private_key,omitempty" json:"private_key,omitempty" jsonschema:"description=RSA private key in PEM\\, whose certificate the app has; for jwt"`
	Audience      string          `yaml:"audience,omitempty" json:"audience,omitempty" jsonschema:"description=Audience of the assertion; for jwt. Default: https://test.salesforce.com for sandboxes\\, else https://login.salesforce.com"`
	TokenFile     string          `yaml:"token_file,omitempty" json:"token_file,omitempty" martsync:"path" jsonschema:"description=File in which the newest refresh token is kept if the app rotates them. It wins over refresh_token"`

	Timezone        string `yaml:"timezone,omitempty" json:"timezone,omitempty" jsonschema:"description=Time zone of the API user\\, in which version 4 and export files tell times. Default: what the vendor says,example=America/New_York"`
	AccountTimezone string `yaml:"account_timezone,omitempty" json:"account_timezone,omitempty" jsonschema:"description=Time zone of the business unit\\, at whose midnight the daily limit starts anew. Default: that of the API user,example=America/New_York"`

	Start   setting.Moment   `yaml:"start,omitempty" json:"start,omitempty" jsonschema:"description=Earliest records wanted when a stream is read for the first time: a date or an RFC 3339 time; a sync's own start wins. Default: everything the vendor still has"`
	Overlap setting.Duration `yaml:"overlap,omitempty" json:"overlap,omitempty" jsonschema:"default=24h,description=How far back each sync reads again\\, since changes appear late"`
	Sweep   Sweep            `yaml:"sweep,omitempty" json:"sweep,omitempty" jsonschema:"description=Least time between two sweeps for deleted records; off: none. Default: 20 hours or longer\\, such that sweeps cost about a hundredth of the daily calls"`

	Limits        Limits                  `yaml:"limits,omitempty" json:"limits,omitempty" jsonschema:"description=How much of the business unit's API limits may be used. Every integration shares them"`
	Exports       Exports                 `yaml:"exports,omitempty" json:"exports,omitempty" jsonschema:"description=How export jobs are made"`
	DownloadHosts []string                `yaml:"download_hosts,omitempty" json:"download_hosts,omitempty" jsonschema:"description=Further hosts from which export files may be fetched\\, and which see the access token"`
	HTMLEntities  string                  `yaml:"html_entities,omitempty" json:"html_entities,omitempty" jsonschema:"enum=decode,enum=keep,default=decode,description=What becomes of HTML entities in texts that version 4 tells"`
	Streams       map[string]StreamConfig `yaml:"streams,omitempty" json:"streams,omitempty" jsonschema:"description=Settings of single streams\\, by their names"`
}

// Limits say how much of what the whole business unit shares this source may take.
type Limits struct {
	DailyCalls     int `yaml:"daily_calls,omitempty" json:"daily_calls,omitempty" jsonschema:"minimum=1,description=Calls a day that this source may make. Default: the business unit's maximum"`
	DailyReserve   int `yaml:"daily_reserve,omitempty" json:"daily_reserve,omitempty" jsonschema:"minimum=1,description=Calls a day that are left to other integrations: reading stops when fewer remain. Default: a fifth of the business unit's maximum"`
	Concurrent     int `yaml:"concurrent,omitempty" json:"concurrent,omitempty" jsonschema:"default=2,minimum=1,maximum=5,description=Calls at the same time; the business unit has 5"`
	CallsPerMinute int `yaml:"calls_per_minute,omitempty" json:"calls_per_minute,omitempty" jsonschema:"minimum=0,description=Calls within any minute. Default: no limit"`
}

// Exports say how export jobs are made.
type Exports struct {
	API string `yaml:"api,omitempty" json:"api,omitempty" jsonschema:"enum=v4,enum=v5,default=v4,description=Version of the API that makes export jobs"`
}

// StreamConfig are the settings of one stream. What is not set is as for the source.
type StreamConfig struct {
	API      string           `yaml:"api,omitempty" json:"api,omitempty" jsonschema:"enum=v4,enum=v5,description=Version of the API that is queried. Default: the one that tells more"`
	Read     string           `yaml:"read,omitempty" json:"read,omitempty" jsonschema:"enum=auto,enum=query,enum=export,description=query: page by page; export: by jobs; auto: jobs for long time ranges where they tell everything"`
	Overlap  setting.Duration `yaml:"overlap,omitempty" json:"overlap,omitempty" jsonschema:"description=How far back each sync reads again"`
	Sweep    Sweep            `yaml:"sweep,omitempty" json:"sweep,omitempty" jsonschema:"description=Least time between two sweeps for deleted records; off: none"`
	Every    setting.Duration `yaml:"every,omitempty" json:"every,omitempty" jsonschema:"description=Least time between two listings of a stream that is listed whole"`
	Types    []string         `yaml:"types,omitempty" json:"types,omitempty" jsonschema:"description=tag_objects: kinds of objects wanted. visitor_activities: numbers of the types wanted"`
	Stats    *bool            `yaml:"stats,omitempty" json:"stats,omitempty" jsonschema:"description=list_emails: read the statistics of each email\\, a call each. Default: true"`
	StatsFor setting.Duration `yaml:"stats_for,omitempty" json:"stats_for,omitempty" jsonschema:"description=list_emails: how long after it was sent an email's statistics are read again. Default: 30d"`
	Messages *bool            `yaml:"messages,omitempty" json:"messages,omitempty" jsonschema:"description=list_emails and emails: read the text of each new one\\, a call each. Default: true for list_emails\\, false for emails"`
}

// A Sweep is the least time between two sweeps: a duration, or "off". Zero: the default.
type Sweep time.Duration

// sweepOff is the Sweep that never comes.
const sweepOff Sweep = -1

// UnmarshalText reads "off" or what a setting.Duration reads.
func (s *Sweep) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*s = sweepOff
		return nil
	}
	var d setting.Duration
	if err := d.UnmarshalText(text); err != nil {
		return fmt.Errorf(`%q is neither "off" nor a duration such as 36h or 7d`, text)
	}
	if d < 0 {
		return fmt.Errorf("%q is negative", text)
	}
	*s = Sweep(d)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Sweep) MarshalText() ([]byte, error) {
	if s < 0 {
		return []byte("off"), nil
	}
	return setting.Duration(s).MarshalText()
}

// The grants. Account Engagement API, Authentication; Salesforce Help, OAuth Authorization Flows.
const (
	grantRefreshToken      = "refresh_token"
	grantClientCredentials = "client_credentials"
	grantJWT               = "jwt"
	grantPassword          = "password"
)

// Hosts and limits of the vendor, and the share that is polite for one integration.
// Account Engagement API, Version 5 Overview; Rate Limits.
const (
	productionHost = "https://pi.pardot.com"
	demoHost       = "https://pi.demo.pardot.com"
	loginHost      = "https://login.salesforce.com"
	sandboxHost    = "https://test.salesforce.com"

	vendorConcurrent = 5 // calls in flight
	politeConcurrent = 2
	defaultOverlap   = 24 * time.Hour
	defaultStatsFor  = 30 * 24 * time.Hour
)
