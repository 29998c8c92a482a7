// Package awstest is a stand-in for a few services of AWS over loopback: GetParameter of Systems Manager,
// GetSecretValue of Secrets Manager and Publish of SNS, at one address. It computes the signature of every request by
// itself, from the documentation, and refuses those that do not match.
package awstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

// Who may ask, and where.
const (
	Key    = "AKIDEXAMPLE"
	Secret = "the/secret+key="
	Region = "eu-central-1"
)

// A Server is the stand-in. Its maps are filled before it is asked.
type Server struct {
	URL        string
	Parameters map[string]string // by region, "/" and what a request names: "eu-central-1/" + "/mart/secret"
	Secrets    map[string]string // likewise, "?" and the stage or version if there is one
	Topics     []string          // ARNs
	Token      string            // the session token that requests must have

	mu        sync.Mutex
	calls     []string
	published []url.Values
	refuse    func(call string) (status int, code, message string)
}

// New starts a server and makes it the one that the environment of the process names, with the credentials that it
// takes.
func New(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{Parameters: map[string]string{}, Secrets: map[string]string{}}
	server := httptest.NewServer(s)
	tb.Cleanup(server.Close)
	s.URL = server.URL
	none := filepath.Join(tb.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": s.URL, "AWS_ACCESS_KEY_ID": Key, "AWS_SECRET_ACCESS_KEY": Secret, "AWS_REGION": Region,
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_DEFAULT_REGION": "",
	} {
		tb.Setenv(name, value)
	}
	return s
}

// Refuse has calls answered with an error for which f returns a status other than 0.
func (s *Server) Refuse(f func(call string) (status int, code, message string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = f
}

// Calls are those that were made, the refused ones too: "GetParameter eu-central-1/" + what they name.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Published are the forms of the messages that topics have got.
func (s *Server) Published() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.published)
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	scope, problem := check(r, body)
	query := strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	fail := say
	if query {
		fail = sayXML
	}
	switch {
	case problem != "":
		fail(w, http.StatusForbidden, "InvalidSignatureException", problem)
		return
	case r.Header.Get("X-Amz-Security-Token") != s.Token:
		fail(w, http.StatusForbidden, "UnrecognizedClientException", "The security token included in the request is invalid.")
		return
	}
	region, service := scope[2], scope[3]
	s.mu.Lock()
	defer s.mu.Unlock()
	done := func(call, named string) bool {
		call += " " + region + "/" + named
		s.calls = append(s.calls, call)
		if s.refuse == nil {
			return false
		}
		status, code, message := s.refuse(call)
		if status != 0 {
			fail(w, status, code, message)
		}
		return status != 0
	}
	switch target := r.Header.Get("X-Amz-Target"); {
	case query && service == "sns":
		s.publish(w, body, done)
	case target == "AmazonSSM.GetParameter" && service == "ssm":
		var in struct {
			Name           string
			WithDecryption bool
		}
		if json.Unmarshal(body, &in) != nil || done("GetParameter", in.Name) {
			return
		}
		value, ok := s.Parameters[region+"/"+in.Name]
		if !ok {
			say(w, http.StatusBadRequest, "ParameterNotFound", "")
			return
		}
		if !in.WithDecryption {
			value = "AQICAHencrypted"
		}
		reply(w, map[string]any{"Parameter": map[string]any{"Name": in.Name, "Type": "SecureString", "Value": value, "Version": 3}})
	case target == "secretsmanager.GetSecretValue" && service == "secretsmanager":
		var in struct{ SecretId, VersionId, VersionStage string }
		if json.Unmarshal(body, &in) != nil {
			return
		}
		named := in.SecretId
		if version := in.VersionId + in.VersionStage; version != "" {
			named += "?" + version
		}
		if done("GetSecretValue", named) {
			return
		}
		value, ok := s.Secrets[region+"/"+named]
		switch binary, isBinary := strings.CutPrefix(value, "binary:"); {
		case !ok:
			say(w, http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		case isBinary:
			reply(w, map[string]any{"Name": in.SecretId, "SecretBinary": []byte(binary)})
		default:
			reply(w, map[string]any{"Name": in.SecretId, "SecretString": value})
		}
	default:
		say(w, http.StatusBadRequest, "UnknownOperationException", "")
	}
}

// publish is Publish of SNS. Source: Amazon SNS API Reference, Publish. The caller holds the lock.
func (s *Server) publish(w http.ResponseWriter, body []byte, done func(call, named string) bool) {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Action") != "Publish" || form.Get("Version") != "2010-03-31" {
		sayXML(w, http.StatusBadRequest, "InvalidAction", "")
		return
	}
	if done("Publish", form.Get("TopicArn")) {
		return
	}
	subject := form.Get("Subject")
	switch {
	case !slices.Contains(s.Topics, form.Get("TopicArn")):
		sayXML(w, http.StatusNotFound, "NotFound", "Topic does not exist")
	case form.Get("Message") == "" || len(form.Get("Message")) > 256<<10:
		sayXML(w, http.StatusBadRequest, "InvalidParameter", "Invalid parameter: Message")
	case len(subject) > 100 || strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || r > '~' }):
		sayXML(w, http.StatusBadRequest, "InvalidParameter", "Invalid parameter: Subject")
	case strings.HasSuffix(form.Get("TopicArn"), ".fifo") != (form.Get("MessageGroupId") != ""):
		sayXML(w, http.StatusBadRequest, "InvalidParameter", "Invalid parameter: The MessageGroupId parameter is required for FIFO topics")
	default:
		s.published = append(s.published, form)
		fmt.Fprint(w, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>`)
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	json.NewEncoder(w).Encode(v) //nolint:errcheck,errchkjson // whoever asked sees it
}

func say(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "req-1")
	w.WriteHeader(status)
	reply(w, map[string]any{"__type": "com.amazonaws#" + code, "Message": message})
}

func sayXML(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	var text strings.Builder
	xml.EscapeText(&text, []byte(message)) //nolint:errcheck // to memory
	fmt.Fprintf(w, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>req-1</RequestId></ErrorResponse>`, code, text.String())
}

// check compares the signature with the one that the request should have and returns the credential's parts: key,
// date, region, service. Source: IAM User Guide, Create a signed AWS API request.
func check(r *http.Request, body []byte) (scope []string, problem string) {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	scope = strings.Split(parts["Credential"], "/")
	signed := strings.Split(parts["SignedHeaders"], ";")
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	switch {
	case !ok || len(scope) != 5 || scope[4] != "aws4_request":
		return nil, "The request has no signature."
	case scope[0] != Key:
		return nil, "The security token included in the request is invalid."
	case err != nil || scope[1] != date[:8]:
		return nil, "Date in Credential scope does not match."
	case martsync.SystemClock{}.Now().Sub(at).Abs() > 5*time.Minute:
		return nil, "Signature expired: " + date
	case !slices.Contains(signed, "host") || !slices.Contains(signed, "x-amz-date"):
		return nil, "host and x-amz-date must be signed."
	case r.Header.Get("X-Amz-Target") != "" && !slices.Contains(signed, "x-amz-target"):
		return nil, "x-amz-target must be signed."
	}
	canonical := r.Method + "\n" + r.URL.EscapedPath() + "\n" + r.URL.RawQuery + "\n"
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		canonical += name + ":" + strings.TrimSpace(value) + "\n"
	}
	canonical += "\n" + parts["SignedHeaders"] + "\n" + hash(string(body))
	toSign := "AWS4-HMAC-SHA256\n" + date + "\n" + strings.Join(scope[1:], "/") + "\n" + hash(canonical)
	key := []byte("AWS4" + Secret)
	for _, part := range append(slices.Clone(scope[1:]), toSign) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if hex.EncodeToString(key) != parts["Signature"] {
		return nil, "The request signature we calculated does not match the signature you provided."
	}
	return scope, ""
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
