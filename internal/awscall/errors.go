package awscall

import (
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

// A Reply is what a service said of a call that it did not carry out. It is an error.
type Reply struct {
	Code, Message string
	Status        int    // of HTTP
	RequestID     string // what support asks for
}

func (r Reply) Error() string {
	var b strings.Builder
	b.WriteString(r.Code)
	if r.Message != "" && r.Message != r.Code {
		b.WriteString(": " + strings.TrimSuffix(r.Message, "."))
	}
	if r.RequestID != "" {
		b.WriteString(" (request " + r.RequestID + ")")
	}
	return b.String()
}

// readReply understands the errors of both protocols.
func readReply(resp *http.Response, body []byte) Reply {
	out := Reply{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Amzn-Requestid")}
	var j struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"` // also "Message": names are matched whatever their case
	}
	var x struct {
		Code      string `xml:"Error>Code"`
		Message   string `xml:"Error>Message"`
		RequestID string `xml:"RequestId"`
	}
	switch {
	case json.Unmarshal(body, &j) == nil:
		out.Code, out.Message = j.Type, j.Message
		if out.Code == "" {
			out.Code = j.Code
		}
	case xml.Unmarshal(body, &x) == nil:
		out.Code, out.Message = x.Code, x.Message
		if x.RequestID != "" {
			out.RequestID = x.RequestID
		}
	}
	if out.Code == "" {
		out.Code = resp.Header.Get("X-Amzn-Errortype")
	}
	out.Code = out.Code[strings.LastIndexByte(out.Code, '#')+1:]
	out.Code, _, _ = strings.Cut(out.Code, ":")
	if out.Code == "" {
		out.Code = fmt.Sprintf("status %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return out
}

const (
	retryAfter  = 30 * time.Second // after the tries of our own
	hintKey     = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile or role that the credentials come from"
	hintExpired = "the temporary credentials are no longer valid: sign in again, or use a role that renews them"
	hintClock   = "set the clock of this machine: AWS takes requests whose time differs from its own by 5 minutes at most"
	hintNone    = "give this machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE: AWS credentials were not found"
)

// kinds says who must act on errors that all services have. Source: AWS Systems Manager API Reference, Common errors;
// AWS Secrets Manager and Amazon SNS likewise; the signature's in IAM User Guide, Troubleshoot SigV4.
var kinds = map[string]struct {
	kind martsync.Kind
	hint string
}{
	"UnrecognizedClientException":    {martsync.Auth, hintKey},
	"InvalidClientTokenId":           {martsync.Auth, hintKey},
	"InvalidAccessKeyId":             {martsync.Auth, hintKey},
	"MissingAuthenticationToken":     {martsync.Auth, hintKey},
	"IncompleteSignature":            {martsync.Auth, hintKey},
	"InvalidSignatureException":      {martsync.Auth, "check AWS_SECRET_ACCESS_KEY: it does not belong to the key; if it does, a proxy changes requests"},
	"SignatureDoesNotMatch":          {martsync.Auth, "check AWS_SECRET_ACCESS_KEY: it does not belong to the key; if it does, a proxy changes requests"},
	"OptInRequired":                  {martsync.Auth, "the account of AWS has not signed up for the service"},
	"NotAuthorized":                  {martsync.Auth, ""},
	"ExpiredTokenException":          {martsync.Auth, hintExpired},
	"ExpiredToken":                   {martsync.Auth, hintExpired},
	"InvalidToken":                   {martsync.Auth, hintExpired},
	"RequestExpired":                 {martsync.Config, hintClock},
	"ThrottlingException":            {martsync.Transient, ""},
	"Throttling":                     {martsync.Transient, ""},
	"ThrottledException":             {martsync.Transient, ""},
	"TooManyRequestsException":       {martsync.Transient, ""},
	"RequestLimitExceeded":           {martsync.Transient, ""},
	"InternalServerError":            {martsync.Transient, ""},
	"InternalServiceError":           {martsync.Transient, ""},
	"InternalFailure":                {martsync.Transient, ""},
	"InternalError":                  {martsync.Transient, ""},
	"ServiceUnavailable":             {martsync.Transient, ""},
	"ServiceUnavailableException":    {martsync.Transient, ""},
	"KMSThrottling":                  {martsync.Transient, ""},
	"KMSThrottlingException":         {martsync.Transient, ""},
	"RequestTimeout":                 {martsync.Transient, ""},
	"RequestTimeoutException":        {martsync.Transient, ""},
	"PriorRequestNotCompleteFailure": {martsync.Transient, ""},
}

// refused makes an *Error of a reply.
func refused(call Call, region string, said Reply) error {
	if call.Explain != nil {
		if e := call.Explain(said, region); e != nil {
			e.Op, e.Err = call.Op, said
			return e
		}
	}
	out := &martsync.Error{Kind: martsync.Config, Op: call.Op, Err: said}
	k, known := kinds[said.Code]
	switch {
	case strings.Contains(said.Message, "Signature expired"), strings.Contains(said.Message, "Signature not yet current"):
		out.Hint = hintClock
	case strings.Contains(said.Message, "Credential should be scoped to"):
		out.Hint = "set AWS_REGION to the region of the endpoint: it does not take requests for " + region
	case known:
		out.Kind, out.Hint = k.kind, k.hint
	case said.Status >= 500, said.Status == http.StatusTooManyRequests, said.Status == http.StatusRequestTimeout:
		out.Kind = martsync.Transient
	case strings.Contains(said.Code, "AccessDenied"), said.Code == "AuthorizationError", said.Status == http.StatusUnauthorized, said.Status == http.StatusForbidden:
		out.Kind, out.Hint = martsync.Auth, "allow "+call.Grant+" in the policies of the user or role"
		if strings.Contains(strings.ToLower(said.Message), "kms:") {
			out.Hint = "allow kms:Decrypt on the key that it is encrypted with, in the policies of the user or role and of the key"
		}
	default:
		out.Hint = "check AWS_ENDPOINT_URL if what answers is not AWS itself"
		if os.Getenv("AWS_ENDPOINT_URL") == "" && os.Getenv("AWS_ENDPOINT_URL_"+strings.ToUpper(strings.ReplaceAll(call.Service.ID, " ", "_"))) == "" {
			out.Hint = ""
		}
	}
	if out.Kind == martsync.Transient {
		out.After = retryAfter
	}
	return out
}

// noCredentials is for what the sources of credentials say.
func noCredentials(call Call, err error) error {
	out := &martsync.Error{Kind: martsync.Auth, Op: call.Op, Err: fmt.Errorf("get AWS credentials: %w", err), Hint: hintNone}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		out.Hint = hintKey
		if k, known := kinds[api.ErrorCode()]; known {
			out.Kind, out.Hint = k.kind, k.hint
		} else if strings.Contains(api.ErrorCode(), "AccessDenied") {
			out.Hint = "let the trust policy of the role name who asks, and allow sts:AssumeRole"
		}
		if r, answered := errors.AsType[*awshttp.ResponseError](err); answered && r.HTTPStatusCode() >= 500 {
			out.Kind = martsync.Transient
		}
	} else if profile := os.Getenv("AWS_PROFILE"); profile != "" {
		out.Hint = fmt.Sprintf("profile %q gives no credentials now; for single sign-on run: aws sso login --profile %[1]s", profile)
	}
	if out.Kind == martsync.Transient {
		out.After = retryAfter
	}
	return out
}

// unanswered is for calls without an answer.
func unanswered(call Call, host string, err error) error {
	out := &martsync.Error{
		Kind: martsync.Transient, Op: call.Op, Err: fmt.Errorf("%s does not answer: %w", host, httpx.Scrub(err)), After: retryAfter,
		Hint: "check the network, and what proxies and firewalls let through",
	}
	switch _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); {
	case untrusted:
		out.Kind, out.After = martsync.Config, 0
		out.Hint = "the certificate of the server is not trusted: install that of your proxy (AWS_CA_BUNDLE)"
	case httpx.UnknownHost(err):
		out.Hint = "check the network, and the region (AWS_REGION or that of the ARN): the host name does not resolve"
	}
	return out
}
