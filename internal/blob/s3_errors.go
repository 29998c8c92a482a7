package blob

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

// An s3Error is what the server said.
type s3Error struct {
	Code, Message string
	Status        int    // of HTTP; 0: not known
	RequestID     string // what support asks for
	Region        string // where the bucket is, if the server told
	err           error
}

func (e *s3Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code)
	if e.Message != "" && e.Message != e.Code {
		b.WriteString(": " + strings.TrimSuffix(e.Message, "."))
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

func (e *s3Error) Unwrap() error { return e.err }

// An s3Call is what was attempted.
type s3Call struct {
	op      string // for people: "put s3://bucket/key"
	action  string // the call of the API: "PutObject"
	bucket  string
	object  string // the whole key
	options S3Options
}

// grants are the permissions that calls need, where they are not of the call's own name. Service
// Authorization Reference, Actions for Amazon S3; Amazon S3 User Guide, Multipart upload API and permissions.
var grants = map[string]string{
	"CreateMultipartUpload":   "s3:PutObject",
	"UploadPart":              "s3:PutObject",
	"CompleteMultipartUpload": "s3:PutObject",
	"AbortMultipartUpload":    "s3:AbortMultipartUpload",
	"ListMultipartUploads":    "s3:ListBucketMultipartUploads",
	"ListObjectsV2":           "s3:ListBucket",
	"HeadObject":              "s3:GetObject",
	"DeleteObjects":           "s3:DeleteObject",
}

const (
	retryAfter   = 30 * time.Second // after the SDK's own attempts
	hintKey      = "check access_key_id and secret_access_key, or the profile or role they come from"
	hintExpired  = "the temporary credentials are no longer valid: sign in again, or use a role that renews them"
	hintClock    = "set the clock of this machine: S3 takes requests whose time differs from its own by 15 minutes at most"
	hintKMS      = "check kms_key: it must exist in the region of the bucket, be enabled, and grant kms:GenerateDataKey and kms:Decrypt"
	hintFull     = "make room in the store or raise its quota, then run it again; nothing that was committed is lost"
	hintEndpoint = "check endpoint, and path_style if the store is not AWS"
)

// s3Kinds says who must act on an error code. Amazon S3 API Reference, Error responses; STS likewise;
// the last ones are of other servers that speak S3.
var s3Kinds = map[string]struct {
	kind martsync.Kind
	hint string
}{
	"NoSuchBucket":                                   {martsync.Config, "create the bucket {bucket}, or correct its name"},
	"InvalidBucketName":                              {martsync.Config, "correct the bucket's name: 3 to 63 lower case letters, digits, hyphens and dots"},
	"InvalidStorageClass":                            {martsync.Config, "correct storage_class: the store does not have it"},
	"InvalidObjectState":                             {martsync.Config, "the object is archived: restore it from Glacier, and do not let the bucket archive what a destination reads"},
	"ObjectLockConfigurationNotFound":                {martsync.Config, ""},
	"MethodNotAllowed":                               {martsync.Config, hintEndpoint},
	"NotImplemented":                                 {martsync.Config, "the store cannot do this; use another one or another version of it"},
	"NotSupported":                                   {martsync.Config, "the store cannot do this; use another one or another version of it"},
	"InvalidEncryptionAlgorithmError":                {martsync.Config, "correct encryption: the store does not have it"},
	"ServerSideEncryptionConfigurationNotFoundError": {martsync.Config, "correct encryption: the store does not have it"},
	"KMS.NotFoundException":                          {martsync.Config, hintKMS},
	"KMS.DisabledException":                          {martsync.Config, hintKMS},
	"KMS.InvalidKeyUsageException":                   {martsync.Config, hintKMS},
	"KMS.KMSInvalidStateException":                   {martsync.Config, hintKMS},
	"KMS.AccessDeniedException":                      {martsync.Auth, hintKMS},
	"KMS.ThrottlingException":                        {martsync.Transient, ""},
	"KeyTooLongError":                                {martsync.Config, "shorten layout or the prefix: S3 takes keys of 1,024 bytes"},
	"KeyTooLong":                                     {martsync.Config, "shorten layout or the prefix: S3 takes keys of 1,024 bytes"},
	"EntityTooLarge":                                 {martsync.Config, "lower rotate: the store does not take files of this size"},
	"EntityTooSmall":                                 {martsync.Config, "the store wants larger parts than S3 does; use another one"},
	"InvalidAccessKeyId":                             {martsync.Auth, hintKey},
	"SignatureDoesNotMatch":                          {martsync.Auth, "check secret_access_key: it does not belong to access_key_id; if it does, a proxy changes requests"},
	"XAdminUserNotFound":                             {martsync.Auth, hintKey}, // versitygw
	"InvalidClientTokenId":                           {martsync.Auth, hintKey},
	"UnrecognizedClientException":                    {martsync.Auth, hintKey},
	"InvalidSecurity":                                {martsync.Auth, hintKey},
	"NotSignedUp":                                    {martsync.Auth, "the account has not signed up for S3"},
	"AccountProblem":                                 {martsync.Auth, "the account at AWS has a problem that its owner must solve"},
	"InvalidPayer":                                   {martsync.Auth, "the account at AWS has a problem that its owner must solve"},
	"ExpiredToken":                                   {martsync.Auth, hintExpired},
	"ExpiredTokenException":                          {martsync.Auth, hintExpired},
	"InvalidToken":                                   {martsync.Auth, hintExpired},
	"TokenRefreshRequired":                           {martsync.Auth, hintExpired},
	"RequestTimeTooSkewed":                           {martsync.Config, hintClock},
	"RequestExpired":                                 {martsync.Config, hintClock},
	"SlowDown":                                       {martsync.Transient, ""},
	"Throttling":                                     {martsync.Transient, ""},
	"TooManyRequests":                                {martsync.Transient, ""},
	"RequestLimitExceeded":                           {martsync.Transient, ""},
	"ServiceUnavailable":                             {martsync.Transient, ""},
	"InternalError":                                  {martsync.Transient, ""},
	"RequestTimeout":                                 {martsync.Transient, ""},
	"OperationAborted":                               {martsync.Transient, ""},
	"ConditionalRequestConflict":                     {martsync.Transient, ""},
	"BadDigest":                                      {martsync.Transient, ""}, // damaged on the way
	"IncompleteBody":                                 {martsync.Transient, ""},
	"XAmzContentSHA256Mismatch":                      {martsync.Transient, ""},
	"XAmzContentChecksumMismatch":                    {martsync.Transient, ""},
	"InvalidPart":                                    {martsync.Data, "the store has lost a part of the upload; load the stream again from the beginning"},
	"QuotaExceeded":                                  {martsync.Transient, hintFull},
	"InsufficientStorage":                            {martsync.Transient, hintFull},
	"XMinioStorageFull":                              {martsync.Transient, hintFull},
	"XMinioAdminBucketQuotaExceeded":                 {martsync.Transient, hintFull},
	"NoSuchLifecycleConfiguration":                   {martsync.Config, ""},
}

// s3Wrap makes an *Error of what went wrong with a call.
func s3Wrap(c s3Call, err error) error {
	out := &martsync.Error{Kind: martsync.Internal, Op: "store: " + c.op, Err: err}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		out.Kind = martsync.Transient
		return out
	}
	if errors.Is(err, fs.ErrClosed) || errors.Is(err, fs.ErrInvalid) { // a call of ours on something closed
		return out
	}
	said := s3Said(err)
	if cred, ok := errors.AsType[*credentialsError](err); ok {
		return credentialsFailed(c, out, cred, said)
	}
	if said == nil {
		return transport(c, out, err)
	}
	out.Err = said
	if k, ok := s3Kinds[said.Code]; ok {
		out.Kind, out.Hint = k.kind, strings.ReplaceAll(k.hint, "{bucket}", c.bucket)
		if out.Kind == martsync.Transient {
			out.After = retryAfter
		}
		return out
	}
	switch {
	case slices.Contains([]string{"PermanentRedirect", "MovedPermanently", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}, said.Code),
		said.Region != "" && c.options.Endpoint == "" && said.Status == http.StatusBadRequest, // HEAD has no body that tells
		said.Status >= 300 && said.Status < 400:
		out.Kind, out.Hint = martsync.Config, "set region to the bucket's, and endpoint if it is not AWS"
		if said.Region != "" {
			out.Hint = "set region: " + said.Region
		}
	case said.Code == "AccessDenied", said.Code == "AllAccessDisabled", said.Status == http.StatusForbidden, said.Status == http.StatusUnauthorized:
		out.Kind, out.Hint = martsync.Auth, denied(c, said)
	case said.Status >= 500, said.Status == http.StatusTooManyRequests, said.Status == http.StatusRequestTimeout:
		out.Kind, out.After = martsync.Transient, retryAfter
		if said.Status == http.StatusInsufficientStorage {
			out.Hint = hintFull
		}
	case said.Status >= 400:
		out.Kind, out.Hint = martsync.Config, hintEndpoint
	}
	return out
}

// s3Said finds what the server said, or nil if it said nothing.
func s3Said(err error) *s3Error {
	if e, ok := errors.AsType[*s3Error](err); ok {
		return e
	}
	e := &s3Error{err: err}
	response, answered := errors.AsType[*awshttp.ResponseError](err)
	if answered {
		e.RequestID = response.ServiceRequestID()
		if response.Response != nil && response.Response.Response != nil {
			e.Status = response.HTTPStatusCode()
			e.Region = response.Response.Header.Get("X-Amz-Bucket-Region")
		}
	}
	api, said := errors.AsType[smithy.APIError](err)
	switch {
	case said:
		e.Code, e.Message = api.ErrorCode(), api.ErrorMessage()
	case e.Status >= 300:
		e.Code = fmt.Sprintf("status %d %s", e.Status, http.StatusText(e.Status))
	default:
		return nil // an answer that broke off is the network's fault
	}
	return e
}

// denied names the right that is missing.
func denied(c s3Call, said *s3Error) string {
	grant := grants[c.action]
	if grant == "" {
		grant = "s3:" + c.action
	}
	resource := "arn:aws:s3:::" + c.bucket + "/" + c.object
	if strings.HasPrefix(grant, "s3:List") {
		resource = "arn:aws:s3:::" + c.bucket
	}
	hint := fmt.Sprintf("allow %s on %s, in the policies of the user or role and of the bucket", grant, resource)
	switch {
	case strings.Contains(said.Message, "kms:"), c.options.Encryption == "kms" && grant == "s3:PutObject":
		hint += "; and kms:GenerateDataKey and kms:Decrypt on the key"
	case grant == "s3:GetObject":
		hint += "; and s3:ListBucket, without which S3 says the same of objects that do not exist"
	}
	return hint
}

func credentialsFailed(c s3Call, out *martsync.Error, cred *credentialsError, said *s3Error) error {
	out.Kind, out.Err = martsync.Auth, cred
	switch {
	case said == nil && c.options.RoleARN == "":
		out.Hint = "set access_key_id and secret_access_key, or profile, or give this machine a role: AWS credentials were not found"
		if c.options.Profile != "" {
			out.Hint = fmt.Sprintf("profile %q gives no credentials now; for single sign-on run: aws sso login --profile %s", c.options.Profile, c.options.Profile)
		}
	case said == nil && sentNothing(cred):
		out.Kind, out.Hint = martsync.Transient, "check the network: STS, which lends the role, does not answer"
	case said == nil:
		out.Hint = "set access_key_id and secret_access_key, or profile, or give this machine a role: there are no AWS credentials to assume role_arn with"
	case s3Kinds[said.Code].kind != martsync.Internal:
		out.Kind, out.Hint, out.Err = s3Kinds[said.Code].kind, s3Kinds[said.Code].hint, said
	case said.Status >= 500:
		out.Kind, out.After, out.Err = martsync.Transient, retryAfter, said
	default:
		out.Err = said
		out.Hint = "let the credentials do sts:AssumeRole on role_arn, and let the trust policy of the role name them and external_id"
	}
	return out
}

// sentNothing reports whether a request did not reach anybody.
func sentNothing(err error) bool {
	_, ok := errors.AsType[*smithyhttp.RequestSendError](err)
	return ok
}

// transport is for calls without an answer.
func transport(c s3Call, out *martsync.Error, err error) error {
	out.Kind = martsync.Transient
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		out.Kind, out.Hint = martsync.Config, "the certificate of the server is not trusted: check endpoint, install the certificate of your proxy or store, or set path_style: true"
		return out
	}
	where := cmp.Or(c.options.Endpoint, "S3")
	if reason := innermost(err); reason != nil { // the rest says how often and by which call of the SDK
		out.Err = &unreachable{where, reason, err}
		out.Hint = "check that the store runs, and endpoint; or the network, and what proxies and firewalls let through"
		if c.options.Endpoint == "" {
			out.Hint = "check the network, and what proxies and firewalls let through"
		}
	}
	if httpx.UnknownHost(err) {
		out.Hint = "check the network, and region and endpoint: the host name does not resolve"
		if c.options.Endpoint != "" && c.options.PathStyle != nil && !*c.options.PathStyle {
			out.Hint = "check the network and endpoint, or set path_style: true: the host name does not resolve"
		}
	}
	return out
}

// An unreachable server did not answer a request.
type unreachable struct {
	where       string
	reason, err error
}

func (e *unreachable) Error() string { return fmt.Sprintf("%s does not answer: %v", e.where, e.reason) }
func (e *unreachable) Unwrap() error { return e.err }

// innermost is what the network said of a connection that could not be made; nil if there was one.
func innermost(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return op
	}
	return nil
}

// isCode reports whether the server said one of these.
func isCode(err error, codes ...string) bool {
	if err == nil {
		return false
	}
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains(codes, api.ErrorCode())
}

// isMissing reports whether the server said that there is no such object. To a GET it says so in words:
// a 404 without any comes from something that is not S3.
func isMissing(err error) bool { return isCode(err, "NoSuchKey") }

// isHeadMissing is isMissing for a HEAD, whose reply has no body. That it is the bucket that does not
// exist cannot be told from it.
func isHeadMissing(err error) bool { return isCode(err, "NoSuchKey", "NotFound") }
