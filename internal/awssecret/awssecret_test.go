package awssecret

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/awscall/awstest"
)

const (
	arn       = "arn:aws:ssm:us-west-2:123456789012:parameter/mart/far"
	secretARN = "arn:aws:secretsmanager:us-west-2:123456789012:secret:far-a1B2c3"
)

// A handClock moves when it is told to. Sleeping moves it.
type handClock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func (c *handClock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *handClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.slept = append(c.slept, d)
	return ctx.Err()
}

type fixture struct {
	*awstest.Server
	stores *Stores
	clock  *handClock
	log    bytes.Buffer
}

func setUp(t *testing.T) *fixture {
	f := &fixture{Server: awstest.New(t), clock: &handClock{now: time.Date(2026, 3, 9, 8, 0, 0, 0, time.UTC)}}
	f.Parameters["eu-central-1//mart/secret"] = "s3cr3t-text"
	f.Parameters["eu-central-1//mart/secret:2"] = "s3cr3t-before\n"
	f.Parameters["eu-central-1/plain"] = "s3cr3t-plain"
	f.Parameters["eu-central-1//mart/json"] = `{"id":"s3cr3t-id"}`
	f.Parameters["us-west-2/"+arn] = "s3cr3t-far"
	f.Secrets["eu-central-1/mart"] = `{"user":"etl","password":"s3cr3t-\"p\u00e4ss\"","port":5432,"on":true,"none":null,"deep":{"a":1},"empty":""}`
	f.Secrets["eu-central-1/mart?AWSPREVIOUS"] = `{"password":"s3cr3t-old"}`
	f.Secrets["eu-central-1/mart?0123-ab"] = "s3cr3t-version"
	f.Secrets["eu-central-1/text"] = "s3cr3t-whole#not-cut"
	f.Secrets["eu-central-1/bytes"] = "binary:s3cr3t-bytes"
	f.Secrets["eu-central-1/image"] = "binary:\xff\xfes3cr3t"
	f.Secrets["us-west-2/"+secretARN] = "s3cr3t-far-too"
	f.stores = New(martsync.Env{Log: slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Clock: f.clock})
	return f
}

func TestRead(t *testing.T) {
	f := setUp(t)
	for _, tc := range []struct{ name, reference, want string }{
		{"a parameter", "ssm:/mart/secret", "s3cr3t-text"},
		{"a version, without its line end", "ssm:/mart/secret:2", "s3cr3t-before"},
		{"a parameter without a path", "ssm:plain", "s3cr3t-plain"},
		{"a member of a parameter", "ssm:/mart/json#id", "s3cr3t-id"},
		{"a parameter of another region", "ssm:" + arn, "s3cr3t-far"},
		{"a member", "sm:mart#password", `s3cr3t-"päss"`},
		{"a number", "sm:mart#port", "5432"},
		{"a truth value", "sm:mart#on", "true"},
		{"a stage", "sm:mart?stage=AWSPREVIOUS#password", "s3cr3t-old"},
		{"a version of a secret", "sm:mart?version=0123-ab", "s3cr3t-version"},
		{"a text", "sm:text", "s3cr3t-whole#not-cut"},
		{"bytes that are text", "sm:bytes", "s3cr3t-bytes"},
		{"a secret of another region", "sm:" + secretARN, "s3cr3t-far-too"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := f.read(t.Context(), tc.reference)
			if err != nil || got.Reveal() != tc.want {
				t.Errorf("got %q, %v, want %q", got.Reveal(), err, tc.want)
			}
		})
	}
	f.silent(t)
}

func (f *fixture) read(ctx context.Context, reference string) (martsync.Secret, error) {
	if name, ok := strings.CutPrefix(reference, "ssm:"); ok {
		return f.stores.SSM(ctx, name)
	}
	return f.stores.SecretsManager(ctx, strings.TrimPrefix(reference, "sm:"))
}

// silent checks that no secret was logged.
func (f *fixture) silent(t *testing.T) {
	t.Helper()
	if strings.Contains(f.log.String(), "s3cr3t") || strings.Contains(f.log.String(), awstest.Secret) {
		t.Errorf("a secret was logged:\n%s", f.log.String())
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		name, reference string
		status          int // of the refusal; 0: none
		code, message   string
		prepare         func(t *testing.T, f *fixture)
		kind            martsync.Kind
		err, hint       string
		calls           int
	}{
		{name: "no such parameter", reference: "ssm:/mart/none", kind: martsync.Config, err: "aws-ssm: read /mart/none: ParameterNotFound (request req-1)", hint: "create the parameter in eu-central-1, or correct its name; if it is in another region, name it by its ARN", calls: 1},
		{name: "no such version", reference: "ssm:/mart/secret:9", status: 400, code: "ParameterVersionNotFound", kind: martsync.Config, hint: "no such version or label", calls: 1},
		{name: "a bad name", reference: "ssm:mart/secret", status: 400, code: "ValidationException", kind: martsync.Config, hint: "begins with /", calls: 1},
		{name: "no right", reference: "ssm:/mart/secret", status: 400, code: "AccessDeniedException", message: "User: arn:x is not authorized to perform: ssm:GetParameter", kind: martsync.Auth, err: "not authorized", hint: "allow ssm:GetParameter on the parameter", calls: 1},
		{name: "no right to the key", reference: "ssm:/mart/secret", status: 400, code: "AccessDeniedException", message: "not authorized to perform: kms:Decrypt", kind: martsync.Auth, hint: "allow kms:Decrypt", calls: 1},
		{name: "a key that is disabled", reference: "ssm:/mart/secret", status: 400, code: "InvalidKeyId", kind: martsync.Auth, hint: "enable the KMS key of the parameter", calls: 1},
		{name: "no such secret", reference: "sm:none#x", kind: martsync.Config, hint: "create the secret in eu-central-1", calls: 1},
		{name: "no such stage", reference: "sm:mart?stage=OTHER", status: 400, code: "ResourceNotFoundException", message: "Secrets Manager can't find the specified secret value for staging label: OTHER", kind: martsync.Config, hint: "no such version", calls: 1},
		{name: "no right to a secret", reference: "sm:mart", status: 400, code: "AccessDeniedException", kind: martsync.Auth, hint: "allow secretsmanager:GetSecretValue", calls: 1},
		{name: "marked for deletion", reference: "sm:mart", status: 400, code: "InvalidRequestException", message: "You can't perform this operation on the secret because it was marked for deletion.", kind: martsync.Config, hint: "restore it", calls: 1},
		{name: "not decrypted", reference: "sm:mart", status: 400, code: "DecryptionFailure", kind: martsync.Auth, hint: "kms:Decrypt", calls: 1},
		{name: "an unknown key", reference: "sm:mart", status: 400, code: "UnrecognizedClientException", kind: martsync.Auth, hint: "check AWS_ACCESS_KEY_ID", calls: 1},
		{name: "expired", reference: "sm:mart", status: 400, code: "ExpiredTokenException", kind: martsync.Auth, hint: "no longer valid", calls: 1},
		{name: "a wrong clock", reference: "sm:mart", status: 403, code: "InvalidSignatureException", message: "Signature expired: x is now earlier than y", kind: martsync.Config, hint: "set the clock", calls: 1},
		{name: "a wrong region", reference: "sm:mart", status: 403, code: "InvalidSignatureException", message: "Credential should be scoped to a valid region.", kind: martsync.Config, hint: "set AWS_REGION", calls: 1},
		{name: "too many requests", reference: "sm:mart", status: 400, code: "ThrottlingException", kind: martsync.Transient, calls: 4},
		{name: "out of order", reference: "sm:mart", status: 500, code: "InternalServiceError", kind: martsync.Transient, calls: 4},
		{name: "no member", reference: "sm:mart#pasword", kind: martsync.Config, err: `no member "pasword"`, hint: "after #", calls: 1},
		{name: "a member of a text", reference: "sm:text#a", kind: martsync.Config, err: "no JSON object", calls: 1},
		{name: "a member that is null", reference: "sm:mart#none", kind: martsync.Config, err: "is no text", calls: 1},
		{name: "a member that is an object", reference: "sm:mart#deep", kind: martsync.Config, err: "is no text", calls: 1},
		{name: "a member that is empty", reference: "sm:mart#empty", kind: martsync.Config, err: "is empty", calls: 1},
		{name: "bytes that are no text", reference: "sm:image", kind: martsync.Config, err: "binary", calls: 1},
		{name: "an empty reference", reference: "ssm:", kind: martsync.Config, hint: "aws-ssm:/path/name"},
		{name: "an address", reference: "ssm://mart/secret", kind: martsync.Config, hint: "aws-ssm:/path/name"},
		{name: "nothing after #", reference: "sm:mart#", kind: martsync.Config, hint: "aws-secretsmanager:name#member"},
		{name: "something else after ?", reference: "sm:mart?latest", kind: martsync.Config, hint: "stage=AWSPREVIOUS"},
		{name: "no region", reference: "sm:mart", prepare: func(t *testing.T, _ *fixture) { t.Setenv("AWS_REGION", "") }, kind: martsync.Config, hint: "set AWS_REGION"},
		{name: "no credentials", reference: "sm:mart", prepare: func(t *testing.T, _ *fixture) {
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		}, kind: martsync.Auth, hint: "give this machine a role"},
		{name: "another secret key", reference: "sm:mart", prepare: func(t *testing.T, _ *fixture) { t.Setenv("AWS_SECRET_ACCESS_KEY", "other") }, kind: martsync.Auth, hint: "AWS_SECRET_ACCESS_KEY"},
		{name: "a session token is missing", reference: "sm:mart", prepare: func(_ *testing.T, f *fixture) { f.Token = "token" }, kind: martsync.Auth, hint: "check AWS_ACCESS_KEY_ID"},
		{name: "a profile that does not exist", reference: "sm:mart", prepare: func(t *testing.T, _ *fixture) { t.Setenv("AWS_PROFILE", "nobody") }, kind: martsync.Config, hint: "~/.aws/config"},
		{name: "nobody answers", reference: "sm:mart", prepare: func(t *testing.T, _ *fixture) { t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") }, kind: martsync.Transient, err: "127.0.0.1:1 does not answer", hint: "check the network"},
		{name: "something else answers", reference: "sm:mart", prepare: func(t *testing.T, f *fixture) { f.Refuse(func(string) (int, string, string) { return 404, "", "" }) }, kind: martsync.Config, err: "status 404", hint: "AWS_ENDPOINT_URL", calls: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := setUp(t)
			if tc.prepare != nil {
				tc.prepare(t, f)
			}
			if tc.status != 0 {
				f.Refuse(func(string) (int, string, string) { return tc.status, tc.code, tc.message })
			}
			got, err := f.read(t.Context(), tc.reference)
			if err == nil {
				t.Fatalf("got %q, want an error", got.Reveal())
			}
			if martsync.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.err) || !strings.Contains(martsync.HintOf(err), tc.hint) {
				t.Errorf("got %v %q, hint %q; want %v, %q, %q", martsync.KindOf(err), err, martsync.HintOf(err), tc.kind, tc.err, tc.hint)
			}
			if n := len(f.Calls()); n != tc.calls {
				t.Errorf("%d calls, want %d", n, tc.calls)
			}
			if text := fmt.Sprint(got, err, martsync.HintOf(err)); strings.Contains(text, "s3cr3t") {
				t.Errorf("the error shows a secret: %s", text)
			}
			f.silent(t)
		})
	}
}

// Members of one secret cost one call, also of several goroutines; a minute later it is asked for anew.
func TestKeptForAMinute(t *testing.T) {
	f := setUp(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for _, member := range []string{"user", "password"} {
				if _, err := f.stores.SecretsManager(t.Context(), "mart#"+member); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	want := []string{"GetSecretValue eu-central-1/mart"}
	if diff := cmp.Diff(want, f.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	f.Secrets["eu-central-1/mart"] = `{"user":"rotated"}`
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{59 * time.Second, "etl"}, {time.Second, "rotated"}, {-time.Hour, "rotated"}} {
		f.clock.now = f.clock.now.Add(step.after)
		if got, err := f.stores.SecretsManager(t.Context(), "mart#user"); err != nil || got.Reveal() != step.want {
			t.Errorf("after %v: got %q, %v, want %q", step.after, got.Reveal(), err, step.want)
		}
	}
	if n := len(f.Calls()); n != 3 {
		t.Errorf("%d calls, want 3: a clock that was put back is no reason to keep a value for long", n)
	}
}

// What failed is asked for again, and a failure that passes is overcome.
func TestTriesAgain(t *testing.T) {
	f := setUp(t)
	failures := 3
	f.Refuse(func(string) (int, string, string) {
		failures--
		if failures >= 0 {
			return 503, "ServiceUnavailable", ""
		}
		return 0, "", ""
	})
	got, err := f.stores.SSM(t.Context(), "/mart/secret")
	if err != nil || got.Reveal() != "s3cr3t-text" {
		t.Errorf("got %q, %v", got.Reveal(), err)
	}
	if len(f.clock.slept) != 3 || f.clock.slept[2] < f.clock.slept[0] {
		t.Errorf("slept %v, want three pauses that grow", f.clock.slept)
	}
	f.Refuse(func(string) (int, string, string) { return 400, "AccessDeniedException", "" })
	if _, err := f.stores.SSM(t.Context(), "plain"); err == nil {
		t.Error("want an error")
	}
	f.Refuse(nil)
	if got, err := f.stores.SSM(t.Context(), "plain"); err != nil || got.Reveal() != "s3cr3t-plain" {
		t.Errorf("after the right was granted: got %q, %v", got.Reveal(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.stores.SSM(ctx, "/mart/json"); err == nil {
		t.Error("want an error of a context that is done")
	}
}

// A service's own endpoint beats that of all, in the environment and in a profile.
func TestEndpoints(t *testing.T) {
	f := setUp(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	t.Setenv("AWS_ENDPOINT_URL_SSM", f.URL)
	if _, err := f.stores.SSM(t.Context(), "plain"); err != nil {
		t.Error(err)
	}
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("AWS_ENDPOINT_URL_SSM", "")
	file := filepath.Join(t.TempDir(), "config")
	text := "[profile mart]\nservices = here\nregion = eu-central-1\n[services here]\nsecrets_manager =\n  endpoint_url = " + f.URL + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	t.Setenv("AWS_PROFILE", "mart")
	t.Setenv("AWS_REGION", "")
	if _, err := New(f.stores.env).SecretsManager(t.Context(), "text"); err != nil {
		t.Error(err)
	}
}
