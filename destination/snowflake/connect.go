package snowflake

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/snowflakedb/gosnowflake/v2"
)

// application is how the driver names us to the account: letters and digits only.
const application = "martsync"

// loginTimeout bounds how long signing in is tried anew.
const loginTimeout = 90 * time.Second

// sessionParameters make what we send mean the same in every account.
// https://docs.snowflake.com/en/sql-reference/parameters
var sessionParameters = map[string]string{
	"TIMEZONE":                        "UTC",           // Parquet's UTC times become TIMESTAMP_NTZ by the session's zone
	"TIMESTAMP_TYPE_MAPPING":          "TIMESTAMP_NTZ", //
	"AUTOCOMMIT":                      "true",          //
	"ERROR_ON_NONDETERMINISTIC_MERGE": "true",          // two source rows for one key are a bug of ours
	"BINARY_INPUT_FORMAT":             "HEX",
	"BINARY_OUTPUT_FORMAT":            "HEX",
	"GEOGRAPHY_OUTPUT_FORMAT":         "GeoJSON",
	"JSON_INDENT":                     "0",
	"CLIENT_TELEMETRY_ENABLED":        "false",
	"CLIENT_SESSION_KEEP_ALIVE":       "false", // sessions that were idle for long are replaced
	"QUOTED_IDENTIFIERS_IGNORE_CASE":  "false",
	"TRANSACTION_ABORT_ON_ERROR":      "false",
	"GO_QUERY_RESULT_FORMAT":          "JSON",
}

// withoutLibrary keeps the driver from unpacking and loading a native library of its own, which it would use for
// telemetry alone. In programs that are not built with the tag minicore_disabled there is no other way to say so.
var withoutLibrary = sync.OnceFunc(func() { _ = os.Setenv("SF_DISABLE_MINICORE", "true") }) // a name that is always allowed

// driver is the driver's configuration.
func (d *destination) driver() (*gosnowflake.Config, error) {
	c := d.config
	withoutLibrary()
	dc := &gosnowflake.Config{
		Account: c.Account, Database: object(c.Database), Schema: object(c.Schema), Warehouse: object(c.Warehouse), Role: "",
		Protocol: c.Protocol, Host: c.Host, Port: c.Port,
		Application:  application,
		LoginTimeout: loginTimeout, //nolint:staticcheck // "timeouts may be reorganized": there is no other one yet
		// the schema may be about to be made, and check wants to say itself what is missing
		ValidateDefaultParameters: gosnowflake.ConfigBoolFalse,
		DisableConsoleLogin:       gosnowflake.ConfigBoolTrue,
		DisableQueryContextCache:  true, // it is for hybrid tables
		TmpDirPath:                d.env.TempDir,
		// it would write to the standard error; what goes wrong comes back as errors
		Tracing:     "off", //nolint:staticcheck // "may be removed": there is no other way yet
		Params:      map[string]*string{},
		Transporter: c.transporter,
	}
	if c.Role != "" {
		dc.Role = object(c.Role)
	}
	for name, value := range sessionParameters {
		dc.Params[name] = &value
	}
	if c.CAFile != "" && c.transporter == nil {
		transport, err := trusting(c.CAFile)
		if err != nil {
			return nil, err
		}
		dc.Transporter = transport
	}
	if err := c.authenticate(dc, d.env.Log); err != nil {
		return nil, err
	}
	return dc, nil
}

// trusting is a transport that trusts the authorities in a file beside those of the system.
func trusting(path string) (*http.Transport, error) {
	pem, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, configError("open", "Set ca_file to a file that this user can read.", "CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, configError("open", "Set ca_file to a file with certificates in PEM.", "there is no certificate in %s", path)
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	transport = transport.Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}

// open makes the pool that sessions come from. It connects to nothing. d.mu is held.
func (d *destination) openPool() error {
	if d.db != nil {
		return nil
	}
	dc, err := d.driver()
	if err != nil {
		return err
	}
	d.db = sql.OpenDB(gosnowflake.NewConnector(gosnowflake.SnowflakeDriver{}, *dc))
	d.db.SetMaxIdleConns(0) // a session that is given back ends
	return nil
}

// connect signs in.
func (d *destination) connect(ctx context.Context) (*sql.Conn, error) {
	d.poolMu.Lock()
	err := d.openPool()
	db := d.db
	d.poolMu.Unlock()
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sign in to %s: %w", d.config.Account, err)
	}
	return conn, nil
}
