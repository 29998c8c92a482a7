package blob

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/s3test"
)

// Each row is a reply of a server and what the operator is told.
func TestS3Errors(t *testing.T) {
	get := func(t *testing.T, s Store) error { _, err := s.Get(t.Context(), "a", 10); return err }
	put := func(t *testing.T, s Store) error { return s.Put(t.Context(), "a", nil, true) }
	head := func(t *testing.T, s Store) error { _, err := s.Open(t.Context(), "a", 10); return err }
	list := func(t *testing.T, s Store) error {
		for _, err := range s.List(t.Context(), "a", "") {
			return err
		}
		return nil
	}
	uploads := func(t *testing.T, s Store) error {
		for _, err := range s.Uploads(t.Context(), "a") {
			return err
		}
		return nil
	}
	finish := func(t *testing.T, s Store) error { return s.Finish(t.Context(), Receipt{Key: "a", ID: "1"}) }
	abort := func(t *testing.T, s Store) error { return s.Abort(t.Context(), Receipt{Key: "a", ID: "1"}) }
	remove := func(t *testing.T, s Store) error { return s.Delete(t.Context(), "a") }

	for _, test := range []struct {
		name   string
		call   func(*testing.T, Store) error
		status int
		code   string // "": no body, as for HEAD
		region string
		kind   martsync.Kind
		hint   string
		calls  int // attempts
	}{
		{"no bucket", get, 404, "NoSuchBucket", "", martsync.Config, "create the bucket mart", 1},
		{"no bucket to list", list, 404, "NoSuchBucket", "", martsync.Config, "create the bucket mart", 1},
		{"another region", put, 301, "PermanentRedirect", "eu-west-1", martsync.Config, "set region: eu-west-1", 1},
		{"another region, not told", put, 301, "PermanentRedirect", "", martsync.Config, "set region", 1},
		{"another region in the signature", list, 400, "AuthorizationHeaderMalformed", "eu-west-1", martsync.Config, "set region: eu-west-1", 1},
		{"another region by HEAD", head, 301, "", "us-west-2", martsync.Config, "set region: us-west-2", 1},
		{"temporary redirect", get, 307, "TemporaryRedirect", "", martsync.Config, "set region", 1},
		{"may not put", put, 403, "AccessDenied", "", martsync.Auth, "allow s3:PutObject on arn:aws:s3:::mart/p/a", 1},
		{"may not get", get, 403, "AccessDenied", "", martsync.Auth, "allow s3:GetObject on arn:aws:s3:::mart/p/a", 1},
		{"may not head", head, 403, "", "", martsync.Auth, "s3:ListBucket", 1},
		{"may not list", list, 403, "AccessDenied", "", martsync.Auth, "allow s3:ListBucket on arn:aws:s3:::mart,", 1},
		{"may not list uploads", uploads, 403, "AccessDenied", "", martsync.Auth, "allow s3:ListBucketMultipartUploads on arn:aws:s3:::mart,", 1},
		{"may not finish", finish, 403, "AccessDenied", "", martsync.Auth, "allow s3:PutObject", 1},
		{"may not abort", abort, 403, "AccessDenied", "", martsync.Auth, "allow s3:AbortMultipartUpload", 1},
		{"may not delete", remove, 403, "AccessDenied", "", martsync.Auth, "allow s3:DeleteObject", 1},
		{"unknown key ID", get, 403, "InvalidAccessKeyId", "", martsync.Auth, "access_key_id", 1},
		{"wrong secret", get, 403, "SignatureDoesNotMatch", "", martsync.Auth, "secret_access_key", 1},
		{"expired token", get, 400, "ExpiredToken", "", martsync.Auth, "sign in again", 1},
		{"clock", get, 403, "RequestTimeTooSkewed", "", martsync.Config, "clock", 0},
		{"slow down", put, 503, "SlowDown", "", martsync.Transient, "", attempts},
		{"503 by HEAD", head, 503, "", "", martsync.Transient, "", attempts},
		{"internal error", get, 500, "InternalError", "", martsync.Transient, "", attempts},
		{"too many requests", get, 429, "TooManyRequests", "", martsync.Transient, "", 0},
		{"disk of the server is full", put, 507, "XMinioStorageFull", "", martsync.Transient, "make room", 0},
		{"full, said otherwise", put, 507, "Whatever", "", martsync.Transient, "make room", 0},
		{"damaged on the way", put, 400, "BadDigest", "", martsync.Transient, "", 1},
		{"KMS key is disabled", put, 400, "KMS.DisabledException", "", martsync.Config, "kms_key", 1},
		{"archived", get, 403, "InvalidObjectState", "", martsync.Config, "Glacier", 1},
		{"cannot do this", finish, 501, "NotImplemented", "", martsync.Config, "another", 0},
		{"lost part", finish, 400, "InvalidPart", "", martsync.Data, "from the beginning", 1},
		{"not S3 at all", get, 404, "", "", martsync.Config, "endpoint", 1},
		{"unknown refusal", get, 400, "NewRefusal", "", martsync.Config, "endpoint", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeS3(t)
			s := f.store("p")
			f.During(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
				if test.region != "" {
					w.Header().Set("X-Amz-Bucket-Region", test.region)
				}
				if test.code == "" {
					w.Header().Set("X-Amz-Request-Id", "4442587FB7D0A2F9")
					w.WriteHeader(test.status)
					return true
				}
				s3test.Say(w, test.status, test.code, "the server's own words.")
				return true
			})
			err := test.call(t, s)
			if kind := martsync.KindOf(err); err == nil || kind != test.kind {
				t.Fatalf("error %v of kind %v, want kind %v", err, kind, test.kind)
			}
			if hint := martsync.HintOf(err); !strings.Contains(hint, test.hint) || test.hint == "" && hint != "" {
				t.Errorf("hint %q, want one with %q", hint, test.hint)
			}
			if !strings.HasPrefix(err.Error(), "store: ") || !strings.Contains(err.Error(), "s3://mart/p/a") || !strings.Contains(err.Error(), test.code) || !strings.Contains(err.Error(), "4442587FB7D0A2F9") {
				t.Errorf("error %q, want what was attempted, the server's code and its request", err)
			}
			if strings.Contains(err.Error(), "secret") && test.code != "SignatureDoesNotMatch" {
				t.Errorf("error %q shows a secret", err)
			}
			if said, ok := errors.AsType[*s3Error](err); !ok || said.Status != test.status {
				t.Errorf("the server's error is not below it: %#v", said)
			}
			if (martsync.AfterOf(err) > 0) != (test.kind == martsync.Transient) {
				t.Errorf("After is %v for kind %v", martsync.AfterOf(err), test.kind)
			}
			if n := f.Called(""); test.calls > 0 && n != test.calls {
				t.Errorf("%d attempts, want %d", n, test.calls)
			}
		})
	}
}

// An object that is missing is no error of the server's, but a bucket that is missing is.
func TestS3MissingObject(t *testing.T) {
	s := newFakeS3(t).store("")
	if _, err := s.Get(t.Context(), "none", 10); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	s.bucket = "other"
	if _, err := s.Get(t.Context(), "none", 10); errors.Is(err, ErrNotFound) || martsync.KindOf(err) != martsync.Config {
		t.Errorf("Get from a bucket that does not exist = %v, want a Config error", err)
	}
}

func TestS3Network(t *testing.T) {
	f := newFakeS3(t)
	for _, test := range []struct {
		name string
		edit func(*S3Options)
		kind martsync.Kind
		hint string
	}{
		{"nobody listens", func(o *S3Options) { o.Endpoint = closedAddress(t) }, martsync.Transient, "check that the store runs"},
		{"no such host", func(o *S3Options) { o.Endpoint = "http://s3.invalid" }, martsync.Transient, "does not resolve"},
		{"the bucket's host does not exist", func(o *S3Options) { o.Endpoint, o.PathStyle = "http://s3.invalid", new(bool) }, martsync.Transient, "path_style: true"},
		{"untrusted certificate", func(o *S3Options) {
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			o.Endpoint = server.URL
		}, martsync.Config, "certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := f.options()
			test.edit(&o)
			s := openFake(t, "p", o, s3test.Env(t))
			_, err := s.Get(t.Context(), "a", 10)
			if kind := martsync.KindOf(err); err == nil || kind != test.kind {
				t.Fatalf("error %v of kind %v, want kind %v", err, kind, test.kind)
			}
			if hint := martsync.HintOf(err); !strings.Contains(hint, test.hint) {
				t.Errorf("hint %q, want one with %q", hint, test.hint)
			}
			if text := err.Error(); test.kind == martsync.Transient && (!strings.Contains(text, o.Endpoint+" does not answer") || strings.Contains(text, "RequestID")) {
				t.Errorf("error %q, want who does not answer and no inner life of the SDK", text)
			}
		})
	}
}

// closedAddress is one where nobody listens, nor can: the port is taken by a connection of the test's own.
func closedAddress(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	taken, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	return "http://" + taken.LocalAddr().String()
}

// The authorities of AWS_CA_BUNDLE count, as they do for other tools.
func TestS3CABundle(t *testing.T) {
	f := newFakeS3(t)
	server := httptest.NewUnstartedServer(f)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, s3test.PEM(server.Certificate()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	o := f.options()
	o.Endpoint = server.URL
	s := openFake(t, "p", o, s3test.Env(t))
	if err := s.Put(t.Context(), "a", []byte("over TLS"), true); err != nil {
		t.Fatal(err)
	}
	r := uploadFile(t, s, "b", randomBytes(3000))
	if err := s.Finish(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), "a", 100); err != nil || string(got) != "over TLS" {
		t.Errorf("Get = %q, %v", got, err)
	}
}

func TestS3AssumesRole(t *testing.T) {
	f := newFakeS3(t)
	var asked string
	reply := func(w http.ResponseWriter) {
		_, _ = fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`, s3test.Key)
	}
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = string(body)
		reply(w)
	}))
	t.Cleanup(sts.Close)
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)

	o := f.options()
	o.AccessKeyID, o.RoleARN, o.ExternalID = "AKIDOTHER", "arn:aws:iam::123456789012:role/mart", "external"
	var token string
	f.During(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		token = r.Header.Get("X-Amz-Security-Token")
		return false
	})
	s := openFake(t, "p", o, s3test.Env(t))
	if err := s.Put(t.Context(), "a", nil, false); err != nil { // the fake takes s3test.Key only
		t.Fatal(err)
	}
	for _, want := range []string{"RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fmart", "ExternalId=external", "RoleSessionName=martsync"} {
		if !strings.Contains(asked, want) {
			t.Errorf("STS was asked %q, want %s in it", asked, want)
		}
	}
	if token != "session" {
		t.Errorf("session token %q was sent to S3, want that of the role", token)
	}

	reply = func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>`)
	}
	err := openFake(t, "p", o, s3test.Env(t)).Put(t.Context(), "a", nil, false)
	if martsync.KindOf(err) != martsync.Auth || !strings.Contains(martsync.HintOf(err), "sts:AssumeRole") || strings.Contains(fmt.Sprint(err), "external") {
		t.Errorf("error %v (%s), want an Auth error with sts:AssumeRole in the hint and without the external ID", err, martsync.HintOf(err))
	}
}

func TestS3WithoutCredentials(t *testing.T) {
	f := newFakeS3(t)
	o := f.options()
	o.AccessKeyID, o.SecretAccessKey = "", ""
	_, err := openFake(t, "p", o, s3test.Env(t)).Get(t.Context(), "a", 1)
	if martsync.KindOf(err) != martsync.Auth || !strings.Contains(martsync.HintOf(err), "access_key_id") {
		t.Errorf("error %v (%s), want an Auth error that says what to set", err, martsync.HintOf(err))
	}
	if n := f.Called(""); n != 0 {
		t.Errorf("%d calls without credentials", n)
	}
}

func TestS3Options(t *testing.T) {
	key := S3Options{Region: "eu-central-1", AccessKeyID: "a", SecretAccessKey: "s"}
	with := func(edit func(*S3Options)) S3Options { o := key; edit(&o); return o }
	for _, test := range []struct {
		name, location string
		options        S3Options
		want           string // in the error; "": none
	}{
		{"complete", "s3://mart/pre/fix/", key, ""},
		{"no prefix", "s3://mart", key, ""},
		{"no secret", "s3://mart", with(func(o *S3Options) { o.SecretAccessKey = "" }), "part of the static key"},
		{"token alone", "s3://mart", S3Options{SessionToken: "t"}, "part of the static key"},
		{"profile and key", "s3://mart", with(func(o *S3Options) { o.Profile = "p" }), "both a profile and a static key"},
		{"no such profile", "s3://mart", S3Options{Region: "eu-central-1", Profile: "nobody"}, "nobody"},
		{"external ID without a role", "s3://mart", with(func(o *S3Options) { o.ExternalID = "e" }), "external_id"},
		{"no ARN", "s3://mart", with(func(o *S3Options) { o.RoleARN = "mart" }), "no ARN"},
		{"unknown encryption", "s3://mart", with(func(o *S3Options) { o.Encryption = "rot13" }), "rot13"},
		{"KMS key without KMS", "s3://mart", with(func(o *S3Options) { o.KMSKey = "k" }), "kms_key"},
		{"endpoint without scheme", "s3://mart", with(func(o *S3Options) { o.Endpoint = "minio:9000" }), "minio:9000"},
		{"no region", "s3://mart", with(func(o *S3Options) { o.Region = "" }), "region"},
		{"no region but an endpoint", "s3://mart", with(func(o *S3Options) { o.Region, o.Endpoint = "", "https://minio.example.com" }), ""},
		{"directory bucket", "s3://mart--euc1-az1--x-s3/a", key, "directory bucket"},
		{"no bucket", "s3:///prefix", key, "no address of a bucket"},
		{"credentials in the address", "s3://key:secret@mart/a", key, "no address of a bucket"},
		{"prefix leaves the bucket", "s3://mart/a/../../b", key, "cannot be the name"},
		{"another scheme", "gs://mart", key, `"gs"`},
		{"nothing", "", key, "neither"},
		{"file on another host", "file://host/mart", S3Options{}, "no address of a folder"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := openStore(t.Context(), test.location, test.options, Tuning{}, s3test.Env(t))
			if test.want == "" {
				if err != nil || s.String() != strings.TrimSuffix(test.location, "/") {
					t.Fatalf("openStore = %v, %v", s, err)
				}
				return
			}
			if martsync.KindOf(err) != martsync.Config || !strings.Contains(fmt.Sprint(err), test.want) || martsync.HintOf(err) == "" {
				t.Errorf("error %v of kind %v, want a Config error with %q and a hint", err, martsync.KindOf(err), test.want)
			}
		})
	}
}

func TestS3OptionsHideSecrets(t *testing.T) {
	o := S3Options{AccessKeyID: "AKID", SecretAccessKey: "hush1", SessionToken: "hush2", ExternalID: "hush3"}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{string(text), fmt.Sprintf("%v %+v %#v", o, o, o)} {
		if strings.Contains(shown, "hush") {
			t.Errorf("options show a secret: %s", shown)
		}
	}
}

// Stopping is not the server's fault, and nothing is asked of the operator.
func TestS3Stop(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	ctx, cancel := context.WithCancel(t.Context())
	f.During(func(http.ResponseWriter, *http.Request, http.Handler) bool {
		cancel()
		panic(http.ErrAbortHandler)
	})
	_, err := s.Get(ctx, "a", 10)
	if martsync.KindOf(err) != martsync.Transient || martsync.HintOf(err) != "" || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v (%s), want a Transient one that is context.Canceled", err, martsync.HintOf(err))
	}
}
