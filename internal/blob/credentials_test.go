package blob

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/s3test"
)

// sessionToken is that of the temporary credentials in these tests.
const sessionToken = "the/session+token="

// ways are the ways to credentials. Each prepares the environment, as the machine or its operator does, and returns
// what is configured besides the endpoint. token: the session token that must arrive at the store.
var ways = []struct {
	name    string
	prepare func(t *testing.T) S3Options
	token   string
}{
	{"static key", func(*testing.T) S3Options {
		return S3Options{Region: s3test.Region, AccessKeyID: s3test.Key, SecretAccessKey: s3test.Secret}
	}, ""},
	{"static key with a session token", func(*testing.T) S3Options {
		return S3Options{Region: s3test.Region, AccessKeyID: s3test.Key, SecretAccessKey: s3test.Secret, SessionToken: sessionToken}
	}, sessionToken},
	{"environment", func(t *testing.T) S3Options {
		t.Setenv("AWS_ACCESS_KEY_ID", s3test.Key)
		t.Setenv("AWS_SECRET_ACCESS_KEY", s3test.Secret)
		t.Setenv("AWS_REGION", s3test.Region)
		return S3Options{}
	}, ""},
	{"environment with a session token", func(t *testing.T) S3Options {
		t.Setenv("AWS_ACCESS_KEY_ID", s3test.Key)
		t.Setenv("AWS_SECRET_ACCESS_KEY", s3test.Secret)
		t.Setenv("AWS_SESSION_TOKEN", sessionToken)
		return S3Options{Region: s3test.Region}
	}, sessionToken},
	{"profile", func(t *testing.T) S3Options {
		shared(t, "[profile mart]\nregion = "+s3test.Region+"\n", "[default]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = other\n\n[mart]\n"+keyLines)
		return S3Options{Profile: "mart"}
	}, ""},
	{"profile of the environment", func(t *testing.T) S3Options {
		shared(t, "[profile mart]\nregion = "+s3test.Region+"\n"+keyLines, "")
		t.Setenv("AWS_PROFILE", "mart")
		return S3Options{}
	}, ""},
	{"default profile", func(t *testing.T) S3Options {
		shared(t, "[default]\nregion = us-west-2\n", "[default]\n"+keyLines)
		return S3Options{Region: s3test.Region} // what is configured beats the profile
	}, ""},
	{"profile with a role", func(t *testing.T) S3Options {
		shared(t, "[profile base]\n"+otherKeyLines+"[profile mart]\nregion = "+s3test.Region+"\nrole_arn = arn:aws:iam::123456789012:role/mart\nsource_profile = base\n", "")
		lendRole(t, "Action=AssumeRole&", "AKIDOTHER")
		return S3Options{Profile: "mart"}
	}, sessionToken},
	{"profile with a program", func(t *testing.T) S3Options {
		reply := filepath.Join(t.TempDir(), "reply.json")
		text, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": s3test.Key, "SecretAccessKey": s3test.Secret})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(reply, text, 0o600); err != nil {
			t.Fatal(err)
		}
		shared(t, "[profile mart]\nregion = "+s3test.Region+"\ncredential_process = cat "+filepath.ToSlash(reply)+"\n", "")
		return S3Options{Profile: "mart"}
	}, ""},
	{"role", func(t *testing.T) S3Options {
		lendRole(t, "ExternalId=tenant+7", "AKIDOTHER")
		return S3Options{
			Region: s3test.Region, AccessKeyID: "AKIDOTHER", SecretAccessKey: "other",
			RoleARN: "arn:aws:iam::123456789012:role/mart", ExternalID: "tenant 7",
		}
	}, sessionToken},
	{"role of a pod", func(t *testing.T) S3Options {
		lendRole(t, "WebIdentityToken=the.pods.token", "")
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte("the.pods.token"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
		t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
		return S3Options{Region: s3test.Region}
	}, sessionToken},
	{"role of a container", func(t *testing.T) S3Options {
		lend(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/creds" || r.Header.Get("Authorization") != "the pod may" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			lentJSON(w)
		}, func(url string) { t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url+"/creds") })
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the pod may")
		return S3Options{Region: s3test.Region}
	}, sessionToken},
	{"role of a machine", func(t *testing.T) S3Options {
		lend(t, machine, func(url string) { t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url) })
		t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
		return S3Options{Region: s3test.Region}
	}, sessionToken},
}

const (
	keyLines      = "aws_access_key_id = " + s3test.Key + "\naws_secret_access_key = " + s3test.Secret + "\n"
	otherKeyLines = "aws_access_key_id = AKIDOTHER\naws_secret_access_key = other\n"
)

// shared writes the shared configuration of AWS.
func shared(t *testing.T, config, credentials string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"AWS_CONFIG_FILE": config, "AWS_SHARED_CREDENTIALS_FILE": credentials} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, file)
	}
}

// lend starts a server that lends credentials.
func lend(t *testing.T, handler http.HandlerFunc, tell func(url string)) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	tell(server.URL)
}

// lendRole starts an STS that wants a text in the request, and the key of who asks if that is not "".
func lendRole(t *testing.T, want, key string) {
	t.Helper()
	lend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), want) || key != "" && !strings.Contains(r.Header.Get("Authorization"), "Credential="+key+"/") {
			t.Errorf("STS was asked %q by %q, want %q by %q", body, r.Header.Get("Authorization"), want, key)
		}
		action := "AssumeRole"
		if strings.Contains(string(body), "WebIdentity") {
			action += "WithWebIdentity"
		}
		_, _ = fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials>
<AccessKeyId>%[2]s</AccessKeyId><SecretAccessKey>%[3]s</SecretAccessKey><SessionToken>%[4]s</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>
</Credentials></%[1]sResult></%[1]sResponse>`, action, s3test.Key, s3test.Secret, sessionToken)
	}, func(url string) { t.Setenv("AWS_ENDPOINT_URL_STS", url) })
}

// lentJSON answers as the endpoints of containers and machines do.
func lentJSON(w http.ResponseWriter) {
	_ = json.NewEncoder(w).Encode(map[string]any{
		"Code": "Success", "AccessKeyId": s3test.Key, "SecretAccessKey": s3test.Secret, "Token": sessionToken, "Expiration": "2099-01-01T00:00:00Z",
	})
}

// machine is the metadata service of an EC2 instance, version 2: nothing without its token.
func machine(w http.ResponseWriter, r *http.Request) {
	const token = "X-Aws-Ec2-Metadata-Token"
	switch path := strings.TrimPrefix(r.URL.Path, "/latest/"); {
	case r.Method == http.MethodPut && path == "api/token":
		w.Header().Set(token+"-Ttl-Seconds", "21600")
		_, _ = io.WriteString(w, "v2")
	case r.Header.Get(token) != "v2":
		w.WriteHeader(http.StatusUnauthorized)
	case path == "meta-data/iam/security-credentials/":
		_, _ = io.WriteString(w, "mart-role")
	case path == "meta-data/iam/security-credentials/mart-role":
		lentJSON(w)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// TestCredentials takes each way to the server in this process, which compares key, region and token,
// and to a real one, which compares the signature.
func TestCredentials(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			f := newFakeS3(t)
			var scope, token string
			f.During(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				scope, _, _ = strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="), ", ")
				token = r.Header.Get("X-Amz-Security-Token")
				return false
			})
			o := way.prepare(t)
			o.Endpoint = f.URL
			roundTrip(t, openFake(t, "p", o, s3test.Env(t)))
			if want := "/" + s3test.Region + "/s3/aws4_request"; !strings.HasPrefix(scope, s3test.Key+"/") || !strings.HasSuffix(scope, want) {
				t.Errorf("signed with %q, want %s/<day>%s", scope, s3test.Key, want)
			}
			if token != way.token {
				t.Errorf("session token %q, want %q", token, way.token)
			}
		})
	}
}

func TestCredentialsOfVersityGW(t *testing.T) {
	server := s3test.NewVersityGW(t)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			if way.token != "" {
				t.Skip("the server knows no temporary credentials")
			}
			o := way.prepare(t)
			o.Endpoint = server.URL
			roundTrip(t, openTuned(t, "p", o, Tuning{}, s3test.Env(t)))
			for name, spoil := range map[string]func(*S3Options){
				"secret": func(o *S3Options) { o.AccessKeyID, o.SecretAccessKey, o.Profile = s3test.Key, "other", "" },
				"key":    func(o *S3Options) { o.AccessKeyID, o.SecretAccessKey, o.Profile = "AKIDNOBODY", s3test.Secret, "" },
			} {
				bad := o
				bad.Region = s3test.Region
				spoil(&bad)
				if err := openTuned(t, "p", bad, Tuning{}, s3test.Env(t)).Put(t.Context(), "a", nil, false); martsync.KindOf(err) != martsync.Auth {
					t.Errorf("another %s: %v, want an Auth error", name, err)
				}
			}
		})
	}
}

// roundTrip writes and reads.
func roundTrip(t *testing.T, s Store) {
	t.Helper()
	if err := s.Put(t.Context(), "a", []byte("x"), false); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), "a", 10); err != nil || string(got) != "x" {
		t.Errorf("Get = %q, %v", got, err)
	}
	r := uploadFile(t, s, "b", []byte("y"))
	if err := s.Finish(t.Context(), r); err != nil {
		t.Error(err)
	}
}

// Credentials that end are fetched again before they do, as long as it takes.
func TestCredentialsAreRenewed(t *testing.T) {
	lent := 0
	lend(t, func(w http.ResponseWriter, _ *http.Request) {
		lent++
		_ = json.NewEncoder(w).Encode(map[string]any{
			"AccessKeyId": s3test.Key, "SecretAccessKey": s3test.Secret, "Token": fmt.Sprint(lent),
			"Expiration": time.Now().Add(time.Second / 2 * time.Duration(lent)).UTC().Format(time.RFC3339Nano),
		})
	}, func(url string) { t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url) })
	f := newFakeS3(t)
	calls, token := 0, 0
	f.During(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		calls++
		token, _ = strconv.Atoi(r.Header.Get("X-Amz-Security-Token"))
		return false
	})
	s := openFake(t, "p", S3Options{Region: s3test.Region, Endpoint: f.URL}, s3test.Env(t))
	var clock martsync.SystemClock
	for token < 3 { // a slow machine may pass over one
		if err := s.Put(t.Context(), "a", nil, false); err != nil {
			t.Fatal(err)
		}
		if calls > 1000 {
			t.Fatalf("the token stays number %d", token)
		}
		if err := clock.Sleep(t.Context(), 10*time.Millisecond); err != nil { // the SDK's clock is the system's
			t.Fatal(err)
		}
	}
}

// Nobody lends anything: it is said what to set.
func TestCredentialsAreMissing(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T) S3Options{
		"the container's endpoint refuses": func(t *testing.T) S3Options {
			lend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
				func(url string) { t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url) })
			return S3Options{}
		},
		"a machine without a role": func(t *testing.T) S3Options {
			lend(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "security-credentials") {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				machine(w, r)
			}, func(url string) { t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url) })
			t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
			return S3Options{}
		},
		"a profile without keys": func(t *testing.T) S3Options {
			shared(t, "[profile mart]\nregion = eu-central-1\n", "")
			return S3Options{Profile: "mart"}
		},
		"a pod whose token is gone": func(t *testing.T) S3Options {
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(t.TempDir(), "none"))
			t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
			return S3Options{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeS3(t)
			o := prepare(t)
			o.Region, o.Endpoint = s3test.Region, f.URL
			err := openFake(t, "p", o, s3test.Env(t)).Put(t.Context(), "a", nil, false)
			if martsync.KindOf(err) != martsync.Auth || martsync.HintOf(err) == "" {
				t.Errorf("error %v of kind %v (%s), want an Auth error that says what to set", err, martsync.KindOf(err), martsync.HintOf(err))
			}
			if n := f.Called(""); n != 0 {
				t.Errorf("%d calls without credentials", n)
			}
		})
	}
}
