package blob

import (
	"cmp"
	"context"
	"net/url"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// A Location says where a store is: either an address or a folder, and how to reach a bucket. It is the
// part of a configuration that names a store.
type Location struct {
	URL  string    `yaml:"url,omitempty" json:"url,omitempty" martsync:"ask" jsonschema:"title=Address,description=Where the files go: s3://bucket/prefix or file:///folder. Set either url or path.,example=s3://my-bucket/mart"`
	Path string    `yaml:"path,omitempty" json:"path,omitempty" martsync:"path,ask" jsonschema:"title=Folder,description=The folder that the files go to; it is created if it does not exist. Set either url or path.,example=mart"`
	S3   S3Options `yaml:"s3,omitempty" json:"s3,omitempty" jsonschema:"title=S3,description=How to reach the bucket."`
}

// Tuning is what tests choose, and what a store with rules of its own may need. Zero values mean the default.
type Tuning struct {
	PartSize int                             // bytes of an upload that are sent at once; S3 takes 5 MiB to 5 GiB
	Wait     func(attempt int) time.Duration // before a call is tried again
}

// Open opens the store, or the part of it that is below a namespace if that is not "". It makes no call
// to S3; a folder is created. A store has nothing to close.
func (l Location) Open(ctx context.Context, namespace string, env martsync.Env) (Store, error) {
	return l.OpenTuned(ctx, namespace, Tuning{}, env)
}

// OpenTuned is Open with another tuning.
func (l Location) OpenTuned(ctx context.Context, namespace string, t Tuning, env martsync.Env) (Store, error) {
	where, err := l.below(namespace)
	if err != nil {
		return nil, err
	}
	return openStore(ctx, where, l.S3, t, env)
}

// below is where a namespace is, as openStore takes it.
func (l Location) below(namespace string) (string, error) {
	switch {
	case l.URL == "" && l.Path == "":
		return "", configError("open", "set url to s3://bucket/prefix, or path to a folder", "neither url nor path is set")
	case l.URL != "" && l.Path != "":
		return "", configError("open", "remove one of them", "both url and path are set")
	}
	if namespace != "" {
		if err := CheckKey("open", namespace); err != nil {
			return "", err
		}
	}
	switch {
	case IsAddress(l.Path):
		return "", configError("open", "set url to it, and not path; write a folder of such a name as ./"+l.Path, "path %q is an address", l.Path)
	case l.URL != "" && !strings.Contains(l.URL, "://"):
		return "", configError("open", "write it as s3://bucket/prefix or file:///folder, or use path for a folder", "url %q is no address", l.URL)
	case namespace == "":
		return cmp.Or(l.URL, l.Path), nil
	case l.Path != "":
		return filepath.Join(l.Path, filepath.FromSlash(namespace)), nil
	case strings.HasPrefix(l.URL, "file:"):
		return strings.TrimRight(l.URL, "/") + "/" + (&url.URL{Path: namespace}).EscapedPath(), nil
	}
	return strings.TrimRight(l.URL, "/") + "/" + namespace, nil
}

// mistyped matches addresses that lack a slash or a colon: taken for folders they would be made on this machine, and
// all would seem well.
var mistyped = regexp.MustCompile(`^(s3|gs|az|abfss?|https?|file)(:/?[^/]|//)`)

// IsAddress reports whether a text is meant as an address, correct or not, and not as a folder.
func IsAddress(text string) bool { return strings.Contains(text, "://") || mistyped.MatchString(text) }

// openStore opens the store at location: "s3://bucket/prefix", "file:///folder" or a folder's path.
// It makes no call to S3; a folder is created.
func openStore(ctx context.Context, location string, o S3Options, t Tuning, env martsync.Env) (Store, error) {
	switch {
	case location == "":
		return nil, configError("open", "set url to s3://bucket/prefix, or path to a folder", "neither url nor path is set")
	case strings.HasPrefix(location, "s3://"):
		bucket, prefix, err := parseBucket(location)
		if err != nil {
			return nil, err
		}
		return openS3(ctx, bucket, prefix, o, t, env)
	case strings.HasPrefix(location, "file://"):
		u, err := url.Parse(location)
		if err != nil || u.Host != "" && u.Host != "localhost" || u.Path == "" {
			return nil, configError("open", "write it as file:///folder, or set path", "%q is no address of a folder", location)
		}
		p := u.Path
		if runtime.GOOS == "windows" { // file:///C:/mart
			p = strings.TrimPrefix(p, "/")
		}
		return openFolder(filepath.FromSlash(p))
	case strings.Contains(location, "://"):
		scheme, _, _ := strings.Cut(location, "://")
		return nil, configError("open", "write it as s3://bucket/prefix or file:///folder; for other stores that speak S3 set endpoint", "an address of type %q is not known", scheme)
	}
	return openFolder(location)
}

// parseBucket takes s3://bucket/prefix apart. The prefix has no slash at either end.
func parseBucket(location string) (bucket, prefix string, err error) {
	bucket, prefix, _ = strings.Cut(strings.TrimPrefix(location, "s3://"), "/")
	prefix = strings.Trim(prefix, "/")
	if bucket == "" || strings.ContainsAny(bucket, " ?#@:%") || strings.ContainsAny(prefix, "?#") {
		return "", "", configError("open", "write it as s3://bucket/prefix", "%q is no address of a bucket", location)
	}
	if prefix != "" {
		if err := CheckKey("open", prefix); err != nil {
			return "", "", err
		}
	}
	return bucket, prefix, nil
}
