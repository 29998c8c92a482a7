package snowflake

import (
	"context"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/snowflakedb/gosnowflake/v2"

	"github.com/martsync/martsync"
)

// A verdict says who must act on an error of the account or of the driver.
type verdict struct {
	kind martsync.Kind
	hint string
	lost bool // the session is over, and nothing of the statement was done
}

const (
	warehouseHint = "Check the warehouse of the destination: it must exist, the role needs USAGE on it, and it must be able to resume. martsync check prints the GRANT statements."
	grantHint     = "Check that it exists and that the role may use it: martsync check prints the GRANT statements that are missing."
	accountHint   = "Check account (or host) of the destination: organization-account, as in the account's own URL."
	tokenHint     = "Make a new token and put it into the configuration."
)

// verdicts are by error number. The account's numbers are those of
// https://docs.snowflake.com/en/user-guide/error-codes and of the drivers' sources; those from 260000 on
// are the driver's own.
var verdicts = map[int]verdict{
	390100: {kind: martsync.Auth, hint: "Check user and password of the destination."},
	390101: {kind: martsync.Auth, hint: "The user is disabled: ALTER USER … SET DISABLED = FALSE."},
	390104: {kind: martsync.Transient, lost: true}, // the session is gone
	390111: {kind: martsync.Transient, lost: true}, // the session is gone
	390112: {kind: martsync.Transient, lost: true}, // its token is too old, and the driver could not renew it
	390114: {kind: martsync.Transient, lost: true}, // so is the token to renew it with
	390144: {kind: martsync.Auth, hint: "Check account, user and private key: the public key must be set at the user (ALTER USER … SET RSA_PUBLIC_KEY), and the clock of this machine must be right."},
	390186: {kind: martsync.Auth, hint: "Grant the role to the user (GRANT ROLE … TO USER …), or set another role."},
	390189: {kind: martsync.Auth, hint: "Check role of the destination: it must exist and be granted to the user."},
	390195: {kind: martsync.Auth, hint: tokenHint},
	390201: {kind: martsync.Config, hint: grantHint},
	390303: {kind: martsync.Auth, hint: "Check the OAuth client and the security integration of the account."},
	390318: {kind: martsync.Auth, hint: "The OAuth token has expired: check that the authorization server gives out new ones."},
	390422: {kind: martsync.Auth, hint: "A network policy of the account does not let this machine in: add its address to it."},
	394400: {kind: martsync.Auth, hint: tokenHint},

	604:  {kind: martsync.Transient}, // cancelled
	606:  {kind: martsync.Config, hint: warehouseHint},
	625:  {kind: martsync.Transient}, // lock not had in time
	630:  {kind: martsync.Transient, hint: "The statement ran into the account's time limit: use a larger warehouse or raise STATEMENT_TIMEOUT_IN_SECONDS."},
	666:  {kind: martsync.Config, hint: "The account is suspended: its owner has to settle that with Snowflake."},
	904:  {kind: martsync.Transient, hint: "A column is not there; if the table was changed meanwhile, running it again helps."},
	1003: {kind: martsync.Internal},
	2002: {kind: martsync.Config, hint: "Something else has the name of a table or stage of ours: rename it, or let the sync use another schema."},
	2003: {kind: martsync.Auth, hint: grantHint},
	2043: {kind: martsync.Auth, hint: grantHint},
	3001: {kind: martsync.Auth, hint: grantHint},

	90030:  {kind: martsync.Config, hint: warehouseHint},
	90064:  {kind: martsync.Config, hint: warehouseHint},
	90073:  {kind: martsync.Quota, hint: "The warehouse's resource monitor has spent its quota: wait for its next interval, or raise it."},
	90112:  {kind: martsync.Config, hint: warehouseHint},
	100072: {kind: martsync.Data, hint: "A column of the table does not take NULL: ALTER TABLE … ALTER COLUMN … DROP NOT NULL."},
	100078: {kind: martsync.Data, hint: "A text is too long for its column: ALTER TABLE … ALTER COLUMN … SET DATA TYPE VARCHAR."},
	100090: {kind: martsync.Internal}, // two source rows for one row of a MERGE

	gosnowflake.ErrCodeFailedToConnect:       {kind: martsync.Config, hint: accountHint},
	gosnowflake.ErrCodeServiceUnavailable:    {kind: martsync.Transient},
	gosnowflake.ErrFailedToPostQuery:         {kind: martsync.Transient},
	gosnowflake.ErrFailedToRenewSession:      {kind: martsync.Transient, lost: true},
	gosnowflake.ErrFailedToCancelQuery:       {kind: martsync.Transient},
	gosnowflake.ErrFailedToAuth:              {kind: martsync.Transient},
	gosnowflake.ErrFailedToGetChunk:          {kind: martsync.Transient},
	gosnowflake.ErrFailedToUploadToStage:     {kind: martsync.Transient},
	gosnowflake.ErrFailedToDownloadFromStage: {kind: martsync.Transient},
}

// families say what numbers without a verdict of their own mean.
var families = []struct {
	from, to int
	verdict  verdict
}{
	{90000, 90999, verdict{kind: martsync.Config, hint: warehouseHint}},
	{100000, 100999, verdict{kind: martsync.Data, hint: "A value does not fit its column; the text above names it."}},
	{260000, 260999, verdict{kind: martsync.Config, hint: "Check the connection settings of the destination."}},
	{264000, 264999, verdict{kind: martsync.Transient}}, // transfer of files
	{300000, 300999, verdict{kind: martsync.Transient}}, // "internal error" of the account
	{370000, 370999, verdict{kind: martsync.Transient}}, // likewise, with an incident number
	{390000, 399999, verdict{kind: martsync.Auth, hint: "Check the credentials of the destination; the account's login history says why it refused them."}},
}

// judge finds the verdict on an error.
func judge(err error) (verdict, bool) {
	if e, ok := errors.AsType[*gosnowflake.SnowflakeError](err); ok {
		if v, ok := verdicts[e.Number]; ok {
			return v, true
		}
		for _, r := range families {
			if r.from <= e.Number && e.Number <= r.to {
				return r.verdict, true
			}
		}
		return verdict{kind: martsync.Internal}, true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return verdict{kind: martsync.Config, hint: "If a proxy inspects TLS, set ca_file to its certificate authority; else check host."}, true
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return verdict{kind: martsync.Config, hint: accountHint}, true
	}
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return verdict{kind: martsync.Transient, lost: true}, true
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return verdict{kind: martsync.Transient}, true
	}
	return verdict{}, false
}

// lostSession reports whether an error says that the session is over and nothing was done.
func lostSession(err error) bool {
	v, ok := judge(err)
	return ok && v.lost
}

// number is the account's or the driver's number of an error; 0 if it has none.
func number(err error) int {
	if e, ok := errors.AsType[*gosnowflake.SnowflakeError](err); ok {
		return e.Number
	}
	return 0
}

// missing reports whether an error says that something does not exist, or that the role may not see it:
// Snowflake does not tell which.
func missing(err error) bool { return number(err) == 2003 || number(err) == 2043 }

// wrap makes an *Error of what the account or the driver said. Errors of other origin stay as they
// are, with what was attempted in front.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	op = "snowflake: " + op
	if e, ok := errors.AsType[*martsync.Error](err); ok {
		if e.Op == "" {
			e.Op = op
		}
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &martsync.Error{Kind: martsync.Transient, Op: op, Err: err}
	}
	if v, ok := judge(err); ok {
		return &martsync.Error{Kind: v.kind, Op: op, Hint: v.hint, Err: err}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// configError is an error that the operator must act on.
func configError(op, hint, format string, args ...any) error {
	return &martsync.Error{Kind: martsync.Config, Op: "snowflake: " + op, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// bug is an error of ours or of the source's.
func bug(op, format string, args ...any) error {
	return &martsync.Error{Kind: martsync.Internal, Op: "snowflake: " + op, Err: fmt.Errorf(format, args...)}
}
