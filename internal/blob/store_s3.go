package blob

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/martsync/martsync"
)

const (
	// partSize is how much of an upload is sent at once, the least that S3 takes, because it is held in memory; some stores want all
	// parts but the last to be of one size. Amazon S3 User Guide, Multipart upload limits.
	partSize = 5 << 20

	// maxParts is how many parts S3 takes in an upload. Same page.
	maxParts = 10_000

	// partsInFlight is how many parts all uploads of a store send at once; one upload sends two. With
	// the part that each upload fills it bounds memory: (uploads + partsInFlight) × partSize.
	partsInFlight = 4

	// deleteAtOnce is how many keys S3 takes in one call. Amazon S3 API Reference, DeleteObjects.
	deleteAtOnce = 1000
)

// putNonce is the name of the metadata that tells an object's writer that it is the one.
const putNonce = "martsync-put"

// An s3Store is a store in a bucket of S3 or of a server that speaks it.
type s3Store struct {
	client   *s3.Client
	bucket   string
	prefix   string // "" or with a slash at its end
	name     string
	options  S3Options
	partSize int
	inFlight chan struct{} // holds one for each part being sent
	spare    chan []byte   // buffers of partSize that nobody uses
}

func newS3Store(client *s3.Client, bucket, prefix string, o S3Options) *s3Store {
	s := &s3Store{
		client: client, bucket: bucket, options: o, partSize: partSize,
		name:     strings.TrimSuffix("s3://"+path.Join(bucket, prefix), "/"),
		inFlight: make(chan struct{}, partsInFlight), spare: make(chan []byte, 2),
	}
	if prefix != "" {
		s.prefix = prefix + "/"
	}
	return s
}

func (s *s3Store) String() string { return s.name }

func (s *s3Store) object(key string) *string { return aws.String(s.prefix + key) }

// where names an object in errors.
func (s *s3Store) where(key string) string { return s.name + "/" + key }

func (s *s3Store) Put(ctx context.Context, key string, data []byte, ifAbsent bool) error {
	match := ""
	if ifAbsent {
		match = absent
	}
	_, err := s.put(ctx, key, data, match)
	return err
}

// absent is what put takes for the tag of no object.
const absent = "*"

// put puts an object if the one that is there has that tag; "": whatever is there. It returns the new one's tag.
func (s *s3Store) put(ctx context.Context, key string, data []byte, match string) (tag string, err error) {
	if err := CheckKey("put", key); err != nil {
		return "", err
	}
	in := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: s.object(key), Body: bytes.NewReader(data), ContentType: aws.String(contentType(key)),
		// A checksum of our own in the header works with servers that do not know the trailing one of the SDK.
		ChecksumCRC32C: aws.String(crc32c(data)),
	}
	in.ServerSideEncryption, in.SSEKMSKeyId = s.encryption()
	nonce := rand.Text()
	switch match {
	case "":
	case absent:
		in.IfNoneMatch = aws.String("*")
		in.Metadata = map[string]string{putNonce: nonce}
	default:
		in.IfMatch = aws.String(match)
		in.Metadata = map[string]string{putNonce: nonce}
	}
	out, err := s.client.PutObject(ctx, in)
	if err == nil {
		return aws.ToString(out.ETag), nil
	}
	// To If-Match S3 says of an object that is not there that it is not there: Amazon S3 User Guide, Conditional writes.
	other := match != "" && isCode(err, "PreconditionFailed") || in.IfMatch != nil && isMissing(err)
	if !other {
		return "", s.wrap("put", "PutObject", key, err)
	}
	// If the reply to an attempt was lost, the SDK's next attempt finds the object of the first one.
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.object(key)})
	if err != nil && !isHeadMissing(err) {
		return "", s.wrap("put", "HeadObject", key, err)
	}
	if err == nil && head.Metadata[putNonce] == nonce {
		return aws.ToString(head.ETag), nil
	}
	return "", ErrExists
}

// PutIf leaves the comparison to the server (If-Match).
func (s *s3Store) PutIf(ctx context.Context, key string, data []byte, tag string) (string, error) {
	next, err := s.put(ctx, key, data, cmp.Or(tag, absent))
	switch {
	case errors.Is(err, ErrExists):
		return "", ErrChanged
	case err == nil && next == "":
		return "", configError("put "+s.where(key), "use a store that gives its objects tags, as S3 does, or a folder", "the store does not tell the object's ETag")
	}
	return next, err
}

func (s *s3Store) Get(ctx context.Context, key string, most int64) ([]byte, error) {
	data, _, err := s.GetTagged(ctx, key, most)
	return data, err
}

func (s *s3Store) GetTagged(ctx context.Context, key string, most int64) (data []byte, tag string, err error) {
	if err := CheckKey("get", key); err != nil {
		return nil, "", err
	}
	for attempt := 1; ; attempt++ {
		out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: s.object(key)})
		if isMissing(err) {
			return nil, "", fmt.Errorf("store: get %s: %w", s.where(key), ErrNotFound)
		}
		if err != nil {
			return nil, "", s.wrap("get", "GetObject", key, err)
		}
		data, err := io.ReadAll(io.LimitReader(out.Body, most+1))
		_ = out.Body.Close() // reading tells what went wrong
		switch {
		case err == nil && int64(len(data)) > most:
			return nil, "", sizeAbove("get", s.where(key), most)
		case err == nil:
			return data, aws.ToString(out.ETag), nil
		case attempt == bodyAttempts || ctx.Err() != nil:
			return nil, "", s.wrap("get", "GetObject", key, err)
		}
	}
}

func (s *s3Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := CheckKey("delete", key); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(keys, deleteAtOnce) {
		if err := s.deleteSome(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (s *s3Store) deleteSome(ctx context.Context, keys []string) error {
	if len(keys) > 1 {
		objects := make([]types.ObjectIdentifier, len(keys))
		for i, key := range keys {
			objects[i].Key = s.object(key)
		}
		out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &s.bucket, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)},
		})
		if err == nil {
			for _, e := range out.Errors {
				if code := aws.ToString(e.Code); code != "NoSuchKey" {
					key := strings.TrimPrefix(aws.ToString(e.Key), s.prefix)
					return s.wrap("delete", "DeleteObject", key, &s3Error{Code: code, Message: aws.ToString(e.Message)})
				}
			}
			return nil
		}
		if !isCode(err, "NotImplemented", "MethodNotAllowed", "MissingContentMD5", "MalformedXML") {
			return s.wrap("delete", "DeleteObjects", "", err)
		}
	}
	for _, key := range keys {
		if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.object(key)}); err != nil && !isMissing(err) {
			return s.wrap("delete", "DeleteObject", key, err)
		}
	}
	return nil
}

func (s *s3Store) Finish(ctx context.Context, r Receipt) error {
	if err := CheckKey("finish", r.Key); err != nil {
		return err
	}
	if r.ID == "" && r.Size == 0 { // see emptyReceipt
		return s.Put(ctx, r.Key, nil, false)
	}
	parts := make([]types.CompletedPart, len(r.Parts))
	for i, p := range r.Parts {
		parts[i] = types.CompletedPart{PartNumber: aws.Int32(p.Number), ETag: aws.String(p.ETag)}
		if p.CRC32C != "" {
			parts[i].ChecksumCRC32C = aws.String(p.CRC32C)
		}
	}
	out, err := s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &s.bucket, Key: s.object(r.Key), UploadId: aws.String(r.ID),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err == nil && strings.Trim(aws.ToString(out.ETag), `"`) == wholeETag(r.Parts) {
		return nil
	}
	if err != nil && !isCode(err, "NoSuchUpload") {
		return s.wrap("finish", "CompleteMultipartUpload", r.Key, err)
	}
	// Somebody finished it before, or the reply to the SDK's first attempt was lost; or it is gone. Some
	// servers say that all is well if they only find an object of that name.
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.object(r.Key)})
	switch {
	case isHeadMissing(err):
		return lostError(s.where(r.Key))
	case err != nil:
		return s.wrap("finish", "HeadObject", r.Key, err)
	case aws.ToInt64(head.ContentLength) != r.Size:
		return sizeError("finish", s.where(r.Key), aws.ToInt64(head.ContentLength), r.Size)
	}
	return nil
}

// wholeETag is the ETag of a finished upload: the MD5 of those of its parts, and their number. With
// encryption by KMS the server has its own. Amazon S3 User Guide, Checking object integrity.
func wholeETag(parts []Part) string {
	sum := md5.New()
	for _, p := range parts {
		digest, err := hex.DecodeString(strings.Trim(p.ETag, `"`))
		if err != nil {
			return ""
		}
		sum.Write(digest)
	}
	return fmt.Sprintf("%x-%d", sum.Sum(nil), len(parts))
}

func (s *s3Store) Abort(ctx context.Context, r Receipt) error {
	if err := CheckKey("abort", r.Key); err != nil {
		return err
	}
	if r.ID == "" { // see emptyReceipt
		return nil
	}
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: s.object(r.Key), UploadId: aws.String(r.ID)})
	if err != nil && !isCode(err, "NoSuchUpload") {
		return s.wrap("abort", "AbortMultipartUpload", r.Key, err)
	}
	return nil
}

// encryption is what a new object asks for.
func (s *s3Store) encryption() (types.ServerSideEncryption, *string) {
	switch s.options.Encryption {
	case "s3":
		return types.ServerSideEncryptionAes256, nil
	case "kms":
		if s.options.KMSKey != "" {
			return types.ServerSideEncryptionAwsKms, aws.String(s.options.KMSKey)
		}
		return types.ServerSideEncryptionAwsKms, nil
	}
	return "", nil
}

// contentType is for people who look into the bucket with a browser.
func contentType(key string) string {
	switch {
	case strings.HasSuffix(key, ".json"):
		return "application/json"
	case strings.HasSuffix(key, ".txt"):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

func (s *s3Store) wrap(op, action, key string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*martsync.Error](err); ok {
		return err
	}
	return s3Wrap(s3Call{op: op + " " + strings.TrimSuffix(s.where(key), "/"), action: action, bucket: s.bucket, object: s.prefix + key, options: s.options}, err)
}
