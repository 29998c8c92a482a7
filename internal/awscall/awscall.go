// Package awscall makes calls of AWS services that are one signed POST each. For those a service package of the SDK
// would add megabytes to the program and nothing to the call.
//
// It finds credentials, region and endpoints as the SDK does, signs with the SDK's signer, tries again what time may
// cure, and says who must act on an error. What a service's own errors mean is left to the caller, and S3, which
// needs more than one POST, to package blob.
package awscall

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

const (
	attempts = 4                // how often a call is tried
	silence  = 30 * time.Second // how long a service may say nothing
	maxReply = 4 << 20          // bytes; a secret has 64 KiB at most, a parameter 8
)

// A Service is one of AWS.
type Service struct {
	ID   string // the SDK's name of it, which its variables are made of: "Secrets Manager"
	Name string // in host names and signatures: "secretsmanager"
}

// The services that are called in this way.
var (
	SSM            = Service{"SSM", "ssm"}
	SecretsManager = Service{"Secrets Manager", "secretsmanager"}
	SNS            = Service{"SNS", "sns"}
)

// A Caller makes calls. It may be used from several goroutines and has nothing to close.
type Caller struct {
	cfg    aws.Config
	http   *http.Client
	clock  martsync.Clock
	signer *v4.Signer
}

// Open reads the environment and the shared configuration of AWS, with a profile other than the usual one if it is
// not "". It makes no call.
func Open(ctx context.Context, profile string, env martsync.Env) (*Caller, error) {
	load := []func(*config.LoadOptions) error{config.WithLogger(Log(ctx, env.Log))}
	if profile != "" {
		load = append(load, config.WithSharedConfigProfile(profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, &martsync.Error{
			Kind: martsync.Config, Op: "read the configuration of AWS", Err: err,
			Hint: "correct the shared configuration of AWS (~/.aws/config, ~/.aws/credentials) and the AWS_… variables of the environment",
		}
	}
	if cfg.Credentials != nil {
		cfg.Credentials = aws.NewCredentialsCache(cfg.Credentials)
	}
	clock := env.Clock
	if clock == nil {
		clock = martsync.SystemClock{}
	}
	return &Caller{cfg, HTTPClient(env, cfg.HTTPClient, silence), clock, v4.NewSigner()}, nil
}

// A Call is what is attempted.
type Call struct {
	Service Service
	Region  string // "": that of the environment or the profile
	Op      string // for errors: "read parameter /mart/secret"
	Grant   string // the permission that it takes: "ssm:GetParameter on arn:…"

	// Explain, if set, says what an error of the service's own means. Without an answer (nil) the rules count that
	// hold for all services.
	Explain func(Reply, string) *martsync.Error // the reply, and the region that was asked
}

// JSON makes a call of the protocol "AWS JSON 1.1": in is sent, and the reply is put into out.
func (c *Caller) JSON(ctx context.Context, call Call, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", call.Op, err)
	}
	reply, err := c.post(ctx, call, body, http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {target}})
	if err != nil {
		return err
	}
	if json.Unmarshal(reply, out) != nil { // its error may show a part of the reply, which holds a secret
		return &martsync.Error{
			Kind: martsync.Config, Op: call.Op, Err: fmt.Errorf("what answers is not %s", call.Service.ID),
			Hint: "check AWS_ENDPOINT_URL and what proxies do with requests to AWS",
		}
	}
	return nil
}

// Query makes a call of the protocol "Query" and returns the XML of the reply.
func (c *Caller) Query(ctx context.Context, call Call, form url.Values) ([]byte, error) {
	return c.post(ctx, call, []byte(form.Encode()), http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}})
}

// post tries until there is an answer that trying again will not change.
func (c *Caller) post(ctx context.Context, call Call, body []byte, header http.Header) ([]byte, error) {
	region := call.Region
	if region == "" {
		region = c.cfg.Region
	}
	if region == "" {
		return nil, &martsync.Error{
			Kind: martsync.Config, Op: call.Op, Err: fmt.Errorf("neither the environment nor a profile names a region"),
			Hint: "set AWS_REGION, or name it by its ARN, which tells the region",
		}
	}
	for try := 1; ; try++ {
		reply, err := c.once(ctx, call, region, body, header)
		if err == nil || martsync.KindOf(err) != martsync.Transient || try == attempts || ctx.Err() != nil {
			return reply, err
		}
		if c.clock.Sleep(ctx, httpx.Backoff(try)) != nil {
			return nil, err
		}
	}
}

func (c *Caller) once(ctx context.Context, call Call, region string, body []byte, header http.Header) ([]byte, error) {
	endpoint, err := c.endpoint(ctx, call.Service, region)
	if err != nil {
		return nil, &martsync.Error{Kind: martsync.Config, Op: call.Op, Err: err, Hint: "check AWS_ENDPOINT_URL and endpoint_url in ~/.aws/config"}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, &martsync.Error{Kind: martsync.Config, Op: call.Op, Err: httpx.Scrub(err), Hint: "check AWS_ENDPOINT_URL and endpoint_url in ~/.aws/config"}
	}
	r.Header = header.Clone()
	if err := c.sign(ctx, call, region, r, body); err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, unanswered(call, r.URL.Host, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, unanswered(call, r.URL.Host, err)
	}
	if resp.StatusCode == http.StatusOK {
		return data, nil
	}
	return nil, refused(call, region, readReply(resp, data))
}

// sign adds the signature. It is dated by the system's clock, which the service compares with its own.
func (c *Caller) sign(ctx context.Context, call Call, region string, r *http.Request, body []byte) error {
	if c.cfg.Credentials == nil {
		return noCredentials(call, fmt.Errorf("there are no AWS credentials"))
	}
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return noCredentials(call, err)
	}
	sum := sha256.Sum256(body)
	now := martsync.SystemClock{}.Now()
	if err := c.signer.SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), call.Service.Name, region, now); err != nil {
		return &martsync.Error{Kind: martsync.Internal, Op: call.Op, Err: fmt.Errorf("sign: %w", err)}
	}
	return nil
}

// endpoint is where a service is: as the environment or the shared configuration say, for one service or for all, else
// where AWS has it. The SDK's own function for this is for its service packages alone.
func (c *Caller) endpoint(ctx context.Context, s Service, region string) (string, error) {
	ignore := false
	for _, source := range c.cfg.ConfigSources {
		if p, ok := source.(interface {
			GetIgnoreConfiguredEndpoints(ctx context.Context) (bool, bool, error)
		}); ok {
			if value, found, err := p.GetIgnoreConfiguredEndpoints(ctx); err == nil && found {
				ignore = value
				break
			}
		}
	}
	for _, source := range c.cfg.ConfigSources {
		p, ok := source.(interface {
			GetServiceBaseEndpoint(ctx context.Context, sdkID string) (string, bool, error)
		})
		if !ok || ignore {
			continue
		}
		value, found, err := p.GetServiceBaseEndpoint(ctx, s.ID)
		if err != nil {
			return "", fmt.Errorf("endpoint of %s: %w", s.ID, err)
		}
		if found {
			return value, nil
		}
	}
	if c.cfg.BaseEndpoint != nil {
		return *c.cfg.BaseEndpoint, nil
	}
	return "https://" + s.Name + "." + region + "." + suffix(region), nil
}

// suffix is the domain of the partition that a region belongs to. Source: botocore, partitions.json.
func suffix(region string) string {
	for _, p := range [...][2]string{
		{"cn-", "amazonaws.com.cn"},
		{"us-iso-", "c2s.ic.gov"},
		{"us-isob-", "sc2s.sgov.gov"},
		{"us-isof-", "csp.hci.ic.gov"},
		{"eu-isoe-", "cloud.adc-e.uk"},
		{"eusc-", "amazonaws.eu"},
	} {
		if strings.HasPrefix(region, p[0]) {
			return p[1]
		}
	}
	return "amazonaws.com"
}

// RegionOf returns the region of an ARN, or "" if it is none.
func RegionOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return ""
	}
	return parts[3]
}
