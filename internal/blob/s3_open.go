package blob

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

const (
	// attempts is how often the SDK tries a call. What outlasts that (about a minute) is the
	// pipeline's to wait for.
	attempts = 6

	// patience bounds the silence of a server if the environment does not.
	patience = 5 * time.Minute
)

// openS3 opens the store below a prefix of a bucket. It reads the shared configuration of AWS
// and makes no call to the bucket.
//
// Requests are signed with the system's time, not that of env.Clock: the server compares it with its own.
func openS3(ctx context.Context, bucket, prefix string, o S3Options, t Tuning, env martsync.Env) (Store, error) {
	var backoff retry.BackoffDelayer = retry.NewExponentialJitterBackoff(20 * time.Second)
	if t.Wait != nil {
		backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return t.Wait(attempt), nil })
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if strings.HasSuffix(bucket, "--x-s3") {
		return nil, configError("open s3://"+bucket, "use a general purpose bucket", "a directory bucket does not list its keys in order, so that the newest commit cannot be found")
	}
	load := []func(*config.LoadOptions) error{
		config.WithLogger(sdkLog{ctx, env.Log}),
		config.WithRetryer(func() aws.Retryer {
			standard := retry.NewStandard(func(r *retry.StandardOptions) {
				r.MaxAttempts, r.Backoff = attempts, backoff
				r.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(untrusted)}, r.Retryables...)
				r.Retryables = append(r.Retryables, retry.IsErrorRetryableFunc(brokenOff))
			})
			// Two writers at the same moment: the second attempt learns who won.
			return retry.AddWithErrorCodes(standard, "ConditionalRequestConflict", "OperationAborted")
		}),
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.Profile != "" {
		load = append(load, config.WithSharedConfigProfile(o.Profile))
	}
	if o.AccessKeyID != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(o.AccessKeyID, o.SecretAccessKey.Reveal(), o.SessionToken.Reveal())))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, loadError(bucket, err)
	}
	cfg.HTTPClient = httpClient(env, cfg.HTTPClient)
	if cfg.Region == "" {
		if o.Endpoint == "" && cfg.BaseEndpoint == nil {
			return nil, configError("open s3://"+bucket, "set region to the bucket's, for example eu-central-1", "neither the configuration nor the environment names a region")
		}
		cfg.Region = "us-east-1" // what servers other than AWS expect in a signature
	}
	if cfg.Credentials != nil {
		cfg.Credentials = aws.NewCredentialsCache(namedCredentials{cfg.Credentials})
	}
	if o.RoleARN != "" {
		assume := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), o.RoleARN, func(a *stscreds.AssumeRoleOptions) {
			a.RoleSessionName = "martsync"
			if o.ExternalID != "" {
				a.ExternalID = aws.String(o.ExternalID.Reveal())
			}
		})
		cfg.Credentials = aws.NewCredentialsCache(namedCredentials{assume}, func(c *aws.CredentialsCacheOptions) { c.ExpiryWindow = 5 * time.Minute })
	}
	client := s3.NewFromConfig(cfg, func(so *s3.Options) {
		so.DisableLogOutputChecksumValidationSkipped = true // ranges have none
		if o.Endpoint != "" {
			so.BaseEndpoint = aws.String(o.Endpoint)
		}
		// Names and certificates for every bucket's host are rare outside AWS.
		so.UsePathStyle = so.BaseEndpoint != nil
		if o.PathStyle != nil {
			so.UsePathStyle = *o.PathStyle
		}
	})
	s := newS3Store(client, bucket, prefix, o)
	if t.PartSize > 0 {
		s.partSize = t.PartSize
	}
	return s, nil
}

// brokenOff has the SDK try again if the body of a reply ended too early, as it does by itself if the
// connection was reset: otherwise one broken listing would end a load.
func brokenOff(err error) aws.Ternary {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// untrusted keeps the SDK from asking a server again and again whose certificate will not become another one.
func untrusted(err error) aws.Ternary {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// httpClient sends the SDK's requests as everything else of ours is sent, and trusts whom the SDK's own
// client trusts (AWS_CA_BUNDLE). Redirects are errors: the signature holds for one host. The sources of
// credentials that loading has set up keep the SDK's client, whose timeouts are made for them.
func httpClient(env martsync.Env, sdk aws.HTTPClient) *http.Client {
	base, silence := http.DefaultTransport, patience
	if env.HTTP != nil {
		if env.HTTP.Transport != nil {
			base = env.HTTP.Transport
		}
		if env.HTTP.Timeout > 0 {
			silence = env.HTTP.Timeout
		}
	}
	if b, ok := sdk.(*awshttp.BuildableClient); ok {
		if trusted := b.GetTransport().TLSClientConfig; trusted != nil && trusted.RootCAs != nil {
			base = trusting(base, trusted.RootCAs)
		}
	}
	return &http.Client{
		Transport:     httpx.Impatient(base, silence),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// trusting returns a transport that takes servers that the authorities have certified. Of a
// transport that is not the standard one it can only return the transport itself.
func trusting(base http.RoundTripper, authorities *x509.CertPool) http.RoundTripper {
	t, ok := base.(*http.Transport)
	if !ok {
		return base
	}
	t = t.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t.TLSClientConfig.RootCAs = authorities
	return t
}

func loadError(bucket string, err error) error {
	e := &martsync.Error{Kind: martsync.Config, Op: "store: open s3://" + bucket, Err: err}
	if p, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		e.Hint = fmt.Sprintf("add a profile %q to the shared configuration of AWS (~/.aws/config), or change profile", p.Profile)
	} else {
		e.Hint = "correct the shared configuration of AWS (~/.aws/config, ~/.aws/credentials) and the AWS_… variables of the environment"
	}
	return e
}

// namedCredentials mark the errors of getting credentials, so that they are not taken for errors of
// the call that needed them.
type namedCredentials struct{ aws.CredentialsProvider }

type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

func (c namedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	v, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return v, &credentialsError{err}
	}
	return v, nil
}

// sdkLog passes on what the SDK has to say. It is for people who look for a fault of the SDK's.
type sdkLog struct {
	ctx context.Context //nolint:containedctx // the logger's interface has none
	log *slog.Logger
}

func (l sdkLog) Logf(c logging.Classification, format string, v ...any) {
	if l.log != nil {
		l.log.DebugContext(l.ctx, fmt.Sprintf(format, v...), "sdk", string(c))
	}
}
