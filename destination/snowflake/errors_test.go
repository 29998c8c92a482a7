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
	"net/url"
	"testing"

	"github.com/snowflakedb/gosnowflake/v2"

	"github.com/martsync/martsync"
)

// TestErrors has a row for each error that the table of verdicts knows, and one for each family.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		number int
		kind   martsync.Kind
		hint   bool
		lost   bool
	}{
		{390100, martsync.Auth, true, false},
		{390101, martsync.Auth, true, false},
		{390104, martsync.Transient, false, true},
		{390111, martsync.Transient, false, true},
		{390112, martsync.Transient, false, true},
		{390114, martsync.Transient, false, true},
		{390144, martsync.Auth, true, false},
		{390186, martsync.Auth, true, false},
		{390189, martsync.Auth, true, false},
		{390195, martsync.Auth, true, false},
		{390201, martsync.Config, true, false},
		{390303, martsync.Auth, true, false},
		{390318, martsync.Auth, true, false},
		{390422, martsync.Auth, true, false},
		{394400, martsync.Auth, true, false},
		{399999, martsync.Auth, true, false},
		{604, martsync.Transient, false, false},
		{606, martsync.Config, true, false},
		{625, martsync.Transient, false, false},
		{630, martsync.Transient, true, false},
		{666, martsync.Config, true, false},
		{904, martsync.Transient, true, false},
		{1003, martsync.Internal, false, false},
		{2002, martsync.Config, true, false},
		{2003, martsync.Auth, true, false},
		{2043, martsync.Auth, true, false},
		{3001, martsync.Auth, true, false},
		{90030, martsync.Config, true, false},
		{90064, martsync.Config, true, false},
		{90073, martsync.Quota, true, false},
		{90112, martsync.Config, true, false},
		{90999, martsync.Config, true, false},
		{100072, martsync.Data, true, false},
		{100078, martsync.Data, true, false},
		{100090, martsync.Internal, false, false},
		{100038, martsync.Data, true, false},
		{gosnowflake.ErrCodeFailedToConnect, martsync.Config, true, false},
		{gosnowflake.ErrCodeServiceUnavailable, martsync.Transient, false, false},
		{gosnowflake.ErrFailedToPostQuery, martsync.Transient, false, false},
		{gosnowflake.ErrFailedToRenewSession, martsync.Transient, false, true},
		{gosnowflake.ErrFailedToCancelQuery, martsync.Transient, false, false},
		{gosnowflake.ErrFailedToAuth, martsync.Transient, false, false},
		{gosnowflake.ErrFailedToGetChunk, martsync.Transient, false, false},
		{gosnowflake.ErrFailedToUploadToStage, martsync.Transient, false, false},
		{gosnowflake.ErrFailedToDownloadFromStage, martsync.Transient, false, false},
		{264999, martsync.Transient, false, false},
		{gosnowflake.ErrCodeEmptyAccountCode, martsync.Config, true, false},
		{300002, martsync.Transient, false, false},
		{370001, martsync.Transient, false, false},
		{123, martsync.Internal, false, false},
	} {
		t.Run(fmt.Sprint(tt.number), func(t *testing.T) {
			cause := &gosnowflake.SnowflakeError{Number: tt.number, Message: "why"}
			err := wrap("try", fmt.Errorf("deeper: %w", cause))
			if got := martsync.KindOf(err); got != tt.kind {
				t.Errorf("kind: got %v, want %v", got, tt.kind)
			}
			if got := martsync.HintOf(err) != ""; got != tt.hint {
				t.Errorf("hint: got %q, want one: %v", martsync.HintOf(err), tt.hint)
			}
			if got := lostSession(err); got != tt.lost {
				t.Errorf("session lost: got %v, want %v", got, tt.lost)
			}
			if !errors.Is(err, cause) {
				t.Errorf("%v has lost its cause", err)
			}
		})
		delete(unseen, tt.number)
	}
	if len(unseen) > 0 {
		t.Errorf("numbers without a row in this test: %v", unseen)
	}
}

// unseen are the numbers that TestErrors has not seen yet.
var unseen = func() map[int]bool {
	all := map[int]bool{}
	for n := range verdicts {
		all[n] = true
	}
	return all
}()

func TestOtherErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		kind martsync.Kind
		lost bool
	}{
		"a broken connection": {driver.ErrBadConn, martsync.Transient, true},
		"a closed connection": {sql.ErrConnDone, martsync.Transient, true},
		"the network":         {&url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}, martsync.Transient, false},
		"an end too early":    {io.ErrUnexpectedEOF, martsync.Transient, false},
		"no such host":        {&net.DNSError{IsNotFound: true}, martsync.Config, false},
		"a strange authority": {&url.Error{Op: "Post", Err: x509.UnknownAuthorityError{}}, martsync.Config, false},
		"cancelled":           {context.Canceled, martsync.Transient, false},
		"ours":                {conflict("people"), martsync.Conflict, false},
		"unknown":             {errors.New("what"), martsync.Internal, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := wrap("try", tt.err)
			if got := martsync.KindOf(err); got != tt.kind {
				t.Errorf("kind: got %v, want %v", got, tt.kind)
			}
			if got := lostSession(err); got != tt.lost {
				t.Errorf("session lost: got %v, want %v", got, tt.lost)
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("%v has lost its cause", err)
			}
		})
	}
	if err := wrap("try", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}
