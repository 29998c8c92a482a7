package blob

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/awscall"
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
		config.WithLogger(awscall.Log(ctx, env.Log)),
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
	cfg.HTTPClient = awscall.HTTPClient(env, cfg.HTTPClient, patience)
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
