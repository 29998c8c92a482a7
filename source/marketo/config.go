package marketo

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

// Config reaches one Marketo subscription.
type Config struct {
	Endpoint     string          `yaml:"endpoint" json:"endpoint" jsonschema:"required,title=Endpoint,description=Munchkin id (123-ABC-456) or the endpoint that Admin > Web Services shows,example=123-ABC-456"`
	ClientID     string          `yaml:"client_id" json:"client_id" jsonschema:"required,title=Client id,description=Client id of the custom service (Admin > LaunchPoint > View Details)"`
	ClientSecret martsync.Secret `yaml:"client_secret" json:"client_secret" jsonschema:"required,title=Client secret,description=Client secret of the custom service"`
	PartnerID    string          `yaml:"partner_id,omitempty" json:"partner_id,omitempty" jsonschema:"description=Partner id that Adobe gave to your application if it gave you one"`

	Start setting.Moment `yaml:"start,omitempty" json:"start,omitempty" jsonschema:"description=Earliest records wanted when a stream is read for the first time: a date or an RFC 3339 time; a sync's own start wins. Default: everything the vendor still has"`

	Limits      Limits      `yaml:"limits,omitempty" json:"limits,omitempty" jsonschema:"description=How much of the subscription's API limits may be used. Every integration of the subscription shares them"`
	Leads       Leads       `yaml:"leads,omitempty" json:"leads,omitempty" jsonschema:"description=How leads are read"`
	Activities  Activities  `yaml:"activities,omitempty" json:"activities,omitempty" jsonschema:"description=How activities are read"`
	Assets      Assets      `yaml:"assets,omitempty" json:"assets,omitempty" jsonschema:"description=How assets are read"`
	Tokens      Tokens      `yaml:"tokens,omitempty" json:"tokens,omitempty" jsonschema:"description=How the tokens of folders and programs are read"`
	Members     Members     `yaml:"program_members,omitempty" json:"program_members,omitempty" jsonschema:"description=How the members of programs are read"`
	Custom      Custom      `yaml:"custom_objects,omitempty" json:"custom_objects,omitempty" jsonschema:"description=How custom objects are read"`
	Objects     Objects     `yaml:"objects,omitempty" json:"objects,omitempty" jsonschema:"description=How companies\\, opportunities\\, opportunity roles\\, sales persons and named accounts are read"`
	ListMembers ListMembers `yaml:"list_members,omitempty" json:"list_members,omitempty" jsonschema:"description=How the members of static lists are read"`
}

// Limits say how much of what the whole subscription shares this source may take.
type Limits struct {
	DailyQuota      int `yaml:"daily_quota,omitempty" json:"daily_quota,omitempty" jsonschema:"default=50000,minimum=1,description=Calls a day that the subscription has (Admin > Web Services)"`
	DailyCalls      int `yaml:"daily_calls,omitempty" json:"daily_calls,omitempty" jsonschema:"minimum=1,description=Calls a day that this API user may make. Default: half of daily_quota"`
	DailyReserve    int `yaml:"daily_reserve,omitempty" json:"daily_reserve,omitempty" jsonschema:"minimum=1,description=Calls a day that are left to other integrations: reading stops when fewer remain. Default: a fifth of daily_quota"`
	CallsPer20s     int `yaml:"calls_per_20s,omitempty" json:"calls_per_20s,omitempty" jsonschema:"default=50,minimum=1,maximum=100,description=Calls within any 20 seconds; the subscription has 100"`
	Concurrent      int `yaml:"concurrent,omitempty" json:"concurrent,omitempty" jsonschema:"default=5,minimum=1,maximum=10,description=Calls at the same time; the subscription has 10"`
	ExportMegabytes int `yaml:"export_megabytes,omitempty" json:"export_megabytes,omitempty" jsonschema:"minimum=1,description=Megabytes a day that this API user's bulk exports may have. Default: half of export_quota_megabytes"`

	ExportQuotaMegabytes int `yaml:"export_quota_megabytes,omitempty" json:"export_quota_megabytes,omitempty" jsonschema:"default=500,minimum=1,description=Megabytes a day of bulk exports that the subscription has"`
}

// Leads say how leads are read.
type Leads struct {
	Sweep setting.Duration `yaml:"sweep,omitempty" json:"sweep,omitempty" jsonschema:"default=30d,description=Only where the subscription cannot export leads by the date of their last change: the time within which all are exported again\\, a slice at a time\\, so that changes which no activity tells arrive"`
}

// Activities say how activities are read.
type Activities struct {
	Exclude []string         `yaml:"exclude,omitempty" json:"exclude,omitempty" jsonschema:"description=Activity types to leave out\\, by id or name,example=1,example=Visit Webpage"`
	Mode    string           `yaml:"mode,omitempty" json:"mode,omitempty" jsonschema:"enum=auto,enum=bulk,enum=rest,default=auto,description=bulk: export jobs; rest: pages of 300; auto: whichever costs less for the time range"`
	Overlap setting.Duration `yaml:"overlap,omitempty" json:"overlap,omitempty" jsonschema:"description=How far back each sync reads again\\, since activities appear late. Without it: 24h in the first week\\, then twice as far back as any was late\\, 4 to 48 hours,example=36h"`
}

// Assets say how assets are read.
type Assets struct {
	FullListingEvery setting.Duration `yaml:"full_listing_every,omitempty" json:"full_listing_every,omitempty" jsonschema:"default=7d,description=How often all assets are listed\\, which is the only way to notice deleted ones; syncs between read what was updated"`
	Every            setting.Duration `yaml:"every,omitempty" json:"every,omitempty" jsonschema:"description=Least time between two reads of the assets that Marketo cannot list by the time of their update (such as forms and landing pages); 0: at each sync. It costs a call for 200 records"`
	ProgramReads     int              `yaml:"program_reads,omitempty" json:"program_reads,omitempty" jsonschema:"default=3000,minimum=1,description=Most programs that one sync reads by id for their tags and costs\\, a call each; those that are left are read by the next one. Each program is read when it is new or was updated"`
}

// Tokens say how the tokens of folders and programs are read.
type Tokens struct {
	Every setting.Duration `yaml:"every,omitempty" json:"every,omitempty" jsonschema:"default=24h,description=How often the tokens of all folders and programs are read\\, a call for each of these; syncs between read those of folders and programs that were updated"`
}

// Members say how program members are read.
type Members struct {
	Every            setting.Duration `yaml:"every,omitempty" json:"every,omitempty" jsonschema:"description=Least time between two reads of what has changed; 0: at each sync"`
	FullListingEvery setting.Duration `yaml:"full_listing_every,omitempty" json:"full_listing_every,omitempty" jsonschema:"default=30d,description=How often every program is exported whole\\, which is how memberships of deleted leads are noticed. It costs an export job for each program"`
}

// Custom says how custom objects are read.
type Custom struct {
	Exclude          []string         `yaml:"exclude,omitempty" json:"exclude,omitempty" jsonschema:"description=Objects to leave out\\, by API name,example=car_c"`
	FullListingEvery setting.Duration `yaml:"full_listing_every,omitempty" json:"full_listing_every,omitempty" jsonschema:"default=30d,description=How often each object is exported whole\\, which is the only way to notice deleted records"`
}

// Objects say how the objects are read that Marketo's API shows by key only.
type Objects struct {
	Every             setting.Duration `yaml:"every,omitempty" json:"every,omitempty" jsonschema:"default=7d,description=Least time between two readings. Each one exports the keys of all leads and asks for what they lead to\\, 300 a call"`
	NamedAccountLists []string         `yaml:"named_account_lists,omitempty" json:"named_account_lists,omitempty" jsonschema:"description=Names of the named account lists whose accounts are read. Marketo's API lists neither the accounts nor the lists,example=Tier 1"`
}

// ListMembers say how the members of static lists are read.
type ListMembers struct {
	Every   setting.Duration `yaml:"every,omitempty" json:"every,omitempty" jsonschema:"description=Least time between two full reads of the members; 0: at each sync. It costs a call for each list and 300 members"`
	Exclude []string         `yaml:"exclude,omitempty" json:"exclude,omitempty" jsonschema:"description=Lists to leave out\\, by id or name"`
}

// Vendor limits and the share of them that is polite for one integration.
// Source: Marketo REST API, Marketo Integration Best Practices.
const (
	vendorDailyCalls   = 50_000           // calls a day, most subscriptions
	vendorCallsPer20s  = 100              // calls in any vendorWindow
	vendorConcurrent   = 10               // calls in flight
	vendorWindow       = 20 * time.Second // the rate limit's window
	vendorExportMB     = 500              // megabytes of bulk exports a day
	politeCallsPer20s  = 50
	politeConcurrent   = 5
	defaultOverlap     = 24 * time.Hour
	defaultFullListing = 7 * 24 * time.Hour
	defaultTokens      = 24 * time.Hour
	defaultReads       = 3000
	leastSweep         = 24 * time.Hour
	defaultSweep       = 30 * 24 * time.Hour
	defaultWhole       = 30 * 24 * time.Hour
	defaultObjects     = 7 * 24 * time.Hour
)

// withDefaults returns the configuration with every default filled in, or what is wrong
// with it.
func (c Config) withDefaults() (Config, error) {
	if c.ClientID == "" {
		return c, configError("client_id is missing", "Copy it from Admin > LaunchPoint > View Details of your API service.")
	}
	if c.ClientSecret == "" {
		return c, configError("client_secret is missing", "Copy it from Admin > LaunchPoint > View Details of your API service.")
	}
	l := &c.Limits
	l.DailyQuota = setting.Or(l.DailyQuota, vendorDailyCalls)
	l.DailyCalls = setting.Or(l.DailyCalls, l.DailyQuota/2)
	l.DailyReserve = setting.Or(l.DailyReserve, l.DailyQuota/5)
	l.CallsPer20s = setting.Or(l.CallsPer20s, politeCallsPer20s)
	l.Concurrent = setting.Or(l.Concurrent, politeConcurrent)
	l.ExportQuotaMegabytes = setting.Or(l.ExportQuotaMegabytes, vendorExportMB)
	l.ExportMegabytes = setting.Or(l.ExportMegabytes, max(1, l.ExportQuotaMegabytes/2))
	c.Leads.Sweep = setting.Or(c.Leads.Sweep, setting.Duration(defaultSweep))
	c.Activities.Mode = setting.Or(c.Activities.Mode, "auto")
	c.Activities.Overlap = setting.Or(c.Activities.Overlap, setting.Duration(defaultOverlap))
	c.Assets.FullListingEvery = setting.Or(c.Assets.FullListingEvery, setting.Duration(defaultFullListing))

	c.Assets.ProgramReads = setting.Or(c.Assets.ProgramReads, defaultReads)
	c.Members.FullListingEvery = setting.Or(c.Members.FullListingEvery, setting.Duration(defaultWhole))
	c.Custom.FullListingEvery = setting.Or(c.Custom.FullListingEvery, setting.Duration(defaultWhole))
	c.Objects.Every = setting.Or(c.Objects.Every, setting.Duration(defaultObjects))
	c.Tokens.Every = setting.Or(c.Tokens.Every, setting.Duration(defaultTokens))

	for _, v := range []struct {
		name string
		n    int
	}{
		{"daily_quota", l.DailyQuota},
		{"daily_calls", l.DailyCalls},
		{"daily_reserve", l.DailyReserve},
		{"calls_per_20s", l.CallsPer20s},
		{"concurrent", l.Concurrent},
		{"export_megabytes", l.ExportMegabytes},
		{"export_quota_megabytes", l.ExportQuotaMegabytes},
	} {
		if v.n < 1 {
			return c, configError("limits."+v.name+" must be positive", "")
		}
	}
	switch {
	case l.CallsPer20s > vendorCallsPer20s:
		return c, configError(fmt.Sprintf("limits.calls_per_20s is %d, the vendor allows %d", l.CallsPer20s, vendorCallsPer20s), "")
	case l.Concurrent > vendorConcurrent:
		return c, configError(fmt.Sprintf("limits.concurrent is %d, the vendor allows %d", l.Concurrent, vendorConcurrent), "")
	case c.Activities.Mode != "auto" && c.Activities.Mode != "bulk" && c.Activities.Mode != "rest":
		return c, configError(fmt.Sprintf("activities.mode is %q", c.Activities.Mode), "Use auto, bulk or rest.")
	case c.Leads.Sweep < setting.Duration(leastSweep) && c.Leads.Sweep >= 0:
		return c, configError("leads.sweep is less than a day", "A sweep exports all leads again; a week or a month is usual.")
	case c.Assets.ProgramReads < 1:
		return c, configError("assets.program_reads must be positive", "")
	case c.Leads.Sweep < 0 || c.Activities.Overlap < 0 || c.Assets.FullListingEvery < 0 || c.Assets.Every < 0 || c.Tokens.Every < 0 || c.Members.Every < 0 || c.Members.FullListingEvery < 0 ||
		c.Custom.FullListingEvery < 0 || c.Objects.Every < 0 || c.ListMembers.Every < 0:
		return c, configError("a duration is negative", "")
	}
	return c, nil
}

// exportBytes is the share of the daily export quota in bytes. The vendor writes "500MB",
// perhaps meaning MiB; this is the smaller. Source: Marketo REST API, Bulk Extract, Limits.
func (l Limits) exportBytes() int64 { return int64(l.ExportMegabytes) * 1_000_000 }

// calls is the share of the day's calls. Those that would leave others less than the reserve are not made either.
func (l Limits) calls() int64 { return int64(min(l.DailyCalls, max(1, l.DailyQuota-l.DailyReserve))) }

func configError(what, hint string) error {
	return &martsync.Error{Kind: martsync.Config, Op: "marketo: configuration", Hint: hint, Err: fmt.Errorf("%s", what)}
}

var munchkin = regexp.MustCompile(`(?i)^[0-9]{3}-[a-z0-9]{3}-[0-9]{3}$`)

// parseEndpoint turns the forms in which users have the endpoint (Munchkin id, base URL,
// the REST or identity URL of the admin screen, with or without a trailing slash) into the
// base URL and the name of the account. Any other HTTP server is taken as it is, for
// simulators and proxies.
func parseEndpoint(endpoint string) (base *url.URL, account string, err error) {
	const hint = "Give the Munchkin id (123-ABC-456) or the REST endpoint that Admin > Web Services shows."
	e := strings.TrimSpace(endpoint)
	if e == "" {
		return nil, "", configError("endpoint is missing", hint)
	}
	if munchkin.MatchString(e) {
		e += ".mktorest.com"
	}
	if !strings.Contains(e, "://") {
		e = "https://" + e
	}
	u, err := url.Parse(e)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		// The text is not shown: somebody may have pasted a secret into the wrong field.
		return nil, "", configError("endpoint is not a URL", hint)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, "", configError("endpoint has more than host and path", hint)
	}
	id, vendors := strings.CutSuffix(strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), ".mktorest.com")
	if vendors {
		if !munchkin.MatchString(id) {
			return nil, "", configError(fmt.Sprintf("endpoint names %q, which is no Munchkin id", id), hint)
		}
		// The vendor serves nothing but TLS and nothing below another path.
		return &url.URL{Scheme: "https", Host: id + ".mktorest.com"}, strings.ToUpper(id), nil
	}
	path := u.Path
	for before := "\x00"; path != before; {
		before, path = path, strings.TrimRight(path, "/")
		for _, root := range []string{"/rest", "/identity", "/bulk"} {
			path = strings.TrimSuffix(path, root)
		}
	}
	host := strings.ToLower(u.Host) // however it is spelled: tables of an account are not given to one with another name
	return &url.URL{Scheme: u.Scheme, Host: host, Path: path}, host + path, nil
}
