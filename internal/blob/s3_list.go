package blob

import (
	"context"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func (s *s3Store) List(ctx context.Context, prefix, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.object(prefix)}
		if after != "" {
			in.StartAfter = s.object(after)
		}
		last := after
		for pages := s3.NewListObjectsV2Paginator(s.client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Entry{}, s.wrap("list", "ListObjectsV2", prefix, err))
				return
			}
			for _, o := range page.Contents {
				key := strings.TrimPrefix(aws.ToString(o.Key), s.prefix)
				if strings.HasSuffix(key, "/") || key == "" || key <= after {
					continue // what consoles show as folders; and servers that ignore StartAfter
				}
				if key <= last && last != after {
					// The newest manifest is found by listing: in another order it would be missed.
					yield(Entry{}, configError("list", "use a store that lists keys in ascending order, as S3 does; its directory buckets do not", "%s lists %q after %q", s.name, key, last))
					return
				}
				last = key
				if !yield(Entry{Key: key, Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified).UTC()}, nil) {
					return
				}
			}
		}
	}
}

func (s *s3Store) Uploads(ctx context.Context, prefix string) iter.Seq2[Receipt, error] {
	return func(yield func(Receipt, error) bool) {
		in := &s3.ListMultipartUploadsInput{Bucket: &s.bucket, Prefix: s.object(prefix)}
		for pages := s3.NewListMultipartUploadsPaginator(s.client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if isCode(err, "NoSuchUpload") {
				return // so some servers say that there are none
			}
			if err != nil {
				yield(Receipt{}, s.wrap("list uploads", "ListMultipartUploads", prefix, err))
				return
			}
			for _, u := range page.Uploads {
				key, ok := strings.CutPrefix(aws.ToString(u.Key), s.prefix)
				if !ok || !strings.HasPrefix(key, prefix) {
					continue // some servers list whole folders
				}
				if !yield(Receipt{Key: key, ID: aws.ToString(u.UploadId), Modified: aws.ToTime(u.Initiated).UTC()}, nil) {
					return
				}
			}
		}
	}
}
