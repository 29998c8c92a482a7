package snowflake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/martsync/martsync"
)

// A bucket is the operator's own stage on S3: we write to the bucket, and Snowflake reads it through the stage,
// because PUT knows internal stages only.
type bucket struct {
	d      *destination
	client *s3.Client
	name   string
	prefix string // ends with a slash, or is ""
}

// documentBytes bounds what is read of a document on the stage.
const documentBytes = 64 << 20

// openBucket reads the shared configuration of AWS and makes no call to the bucket.
func openBucket(ctx context.Context, d *destination) (*bucket, error) {
	o := d.config.Stage
	name, prefix, _ := strings.Cut(strings.TrimPrefix(o.URL, "s3://"), "/")
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	var load []func(*config.LoadOptions) error
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.AccessKeyID != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(o.AccessKeyID, o.SecretAccessKey.Reveal(), "")))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, configError("open stage "+o.URL, "Check the AWS configuration of this machine.", "%w", err)
	}
	if cfg.Region == "" {
		if o.Endpoint == "" && cfg.BaseEndpoint == nil {
			return nil, configError("open stage "+o.URL, "Set region of the stage.", "neither the configuration nor the environment names a region")
		}
		cfg.Region = "us-east-1" // what servers other than AWS expect in a signature
	}
	cfg.HTTPClient = d.env.HTTP
	client := s3.NewFromConfig(cfg, func(so *s3.Options) {
		if o.Endpoint != "" {
			so.BaseEndpoint = aws.String(o.Endpoint)
		}
		so.UsePathStyle = so.BaseEndpoint != nil
		so.DisableLogOutputChecksumValidationSkipped = true // it would write to the standard error
	})
	return &bucket{d: d, client: client, name: name, prefix: prefix}, nil
}

// key is where a file of the schema lies: several databases may share a stage.
func (b *bucket) key(key string) *string {
	return aws.String(b.prefix + b.below() + key)
}

func (b *bucket) below() string {
	return strings.TrimSuffix(streamFolder(b.d.database), "/") + "/" + streamFolder(b.d.schema)
}

func (b *bucket) location(folder string) string {
	parts := b.d.objectPath(b.d.config.Stage.Name)
	for i := range parts {
		parts[i] = ident(parts[i])
	}
	return text("@" + strings.Join(parts, ".") + "/" + b.below() + folder)
}

func (b *bucket) put(ctx context.Context, s *session, folder, file string) error {
	f, err := os.Open(file) //nolint:gosec // a file that we have just written
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: b.key(folder + path.Base(info.Name())), Body: f, ContentLength: aws.Int64(info.Size()),
	})
	if err != nil {
		return b.failed(err)
	}
	s.d.spent.bytes.Add(info.Size())
	return nil
}

func (b *bucket) list(ctx context.Context, _ *session, folder string) ([]string, error) {
	var keys []string
	root := len(*b.key(""))
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: b.key(folder)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.failed(err)
		}
		for _, o := range page.Contents {
			keys = append(keys, aws.ToString(o.Key)[root:])
		}
	}
	return keys, nil
}

func (b *bucket) get(ctx context.Context, _ *session, key string) (data []byte, ok bool, err error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: b.key(key)})
	if err != nil {
		if _, gone := errors.AsType[*types.NoSuchKey](err); gone {
			return nil, false, nil
		}
		return nil, false, b.failed(err)
	}
	defer func() { _ = out.Body.Close() }()
	data, err = io.ReadAll(io.LimitReader(out.Body, documentBytes))
	return data, err == nil, err
}

func (b *bucket) remove(ctx context.Context, s *session, key string) error {
	keys := []string{key}
	if strings.HasSuffix(key, "/") {
		var err error
		if keys, err = b.list(ctx, s, key); err != nil {
			return err
		}
	}
	for _, k := range keys {
		if _, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: b.key(k)}); err != nil {
			return b.failed(err)
		}
	}
	return nil
}

// failed says who must act on an error of the bucket.
func (b *bucket) failed(err error) error {
	out := &martsync.Error{Kind: martsync.Transient, Err: fmt.Errorf("stage %s: %w", b.d.config.Stage.URL, err)}
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		switch coded.ErrorCode() {
		case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken":
			out.Kind, out.Hint = martsync.Auth, "Let these credentials put, get, list and delete objects below the URL of the stage."
		case "NoSuchBucket", "PermanentRedirect":
			out.Kind, out.Hint = martsync.Config, "Check url and region of the stage."
		}
	}
	return out
}
