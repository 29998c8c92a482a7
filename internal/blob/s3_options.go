package blob

import (
	"slices"
	"strings"

	"github.com/martsync/martsync"
)

// S3Options say how to reach a bucket and how to store in it. All of them may be empty: then the
// environment, the shared configuration of AWS and the machine's role count, as with other tools.
type S3Options struct {
	Region          string          `yaml:"region,omitempty" json:"region,omitempty" jsonschema:"title=Region,description=The region of the bucket. Empty means the one of the environment or the profile.,example=eu-central-1"`
	Endpoint        string          `yaml:"endpoint,omitempty" json:"endpoint,omitempty" jsonschema:"title=Endpoint,description=Address of a store that speaks S3; empty means AWS.,example=https://minio.example.com"`
	PathStyle       *bool           `yaml:"path_style,omitempty" json:"path_style,omitempty" jsonschema:"title=Path style,description=Whether the bucket's name stands in the path rather than in the host. Without it: yes if endpoint is set."`
	Profile         string          `yaml:"profile,omitempty" json:"profile,omitempty" jsonschema:"title=Profile,description=A profile of the shared configuration of AWS."`
	AccessKeyID     string          `yaml:"access_key_id,omitempty" json:"access_key_id,omitempty" jsonschema:"title=Access key ID,description=A static key. Empty means what AWS tools find: the environment or a profile or the role of the machine."`
	SecretAccessKey martsync.Secret `yaml:"secret_access_key,omitempty" json:"secret_access_key,omitempty" jsonschema:"title=Secret access key,description=The secret of the static key."`
	SessionToken    martsync.Secret `yaml:"session_token,omitempty" json:"session_token,omitempty" jsonschema:"title=Session token,description=The token of a temporary key."`
	RoleARN         string          `yaml:"role_arn,omitempty" json:"role_arn,omitempty" jsonschema:"title=Role,description=A role to assume with the credentials above.,example=arn:aws:iam::123456789012:role/mart"`
	ExternalID      martsync.Secret `yaml:"external_id,omitempty" json:"external_id,omitempty" jsonschema:"title=External ID,description=The external ID that the role's trust policy asks for."`
	Encryption      string          `yaml:"encryption,omitempty" json:"encryption,omitempty" jsonschema:"title=Encryption,description=Encryption at rest: s3 (AES256) or kms. Empty means what the bucket does by default.,enum=,enum=s3,enum=kms"`
	KMSKey          string          `yaml:"kms_key,omitempty" json:"kms_key,omitempty" jsonschema:"title=KMS key,description=ARN or alias of the key for encryption: kms. Empty means the AWS managed key."`
	StorageClass    string          `yaml:"storage_class,omitempty" json:"storage_class,omitempty" jsonschema:"title=Storage class,description=Storage class of data files. Empty means STANDARD. Manifests are always STANDARD.,example=INTELLIGENT_TIERING"`
}

// check finds what contradicts itself, before any call is made.
func (o S3Options) check() error {
	static := o.AccessKeyID != "" || o.SecretAccessKey != "" || o.SessionToken != ""
	switch {
	case static && (o.AccessKeyID == "" || o.SecretAccessKey == ""):
		return configError("open", "set both access_key_id and secret_access_key, or neither", "only a part of the static key is set")
	case static && o.Profile != "":
		return configError("open", "remove either profile or access_key_id and secret_access_key", "both a profile and a static key are set")
	case o.ExternalID != "" && o.RoleARN == "":
		return configError("open", "set role_arn too, or remove external_id", "external_id is only sent when a role is assumed")
	case o.RoleARN != "" && !strings.HasPrefix(o.RoleARN, "arn:"):
		return configError("open", "write it as arn:aws:iam::123456789012:role/name", "role_arn %q is no ARN of a role", o.RoleARN)
	case !slices.Contains([]string{"", "s3", "kms"}, o.Encryption):
		return configError("open", "use s3 or kms, or leave it empty for what the bucket does by default", "encryption %q is not known", o.Encryption)
	case o.KMSKey != "" && o.Encryption != "kms":
		return configError("open", "set encryption: kms too, or remove kms_key", "kms_key is only used by encryption: kms")
	case o.Endpoint != "" && !strings.HasPrefix(o.Endpoint, "http://") && !strings.HasPrefix(o.Endpoint, "https://"):
		return configError("open", "write it as https://host or http://host:port", "endpoint %q is no address", o.Endpoint)
	}
	return nil
}
