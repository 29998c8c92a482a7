package awscall

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/martsync/martsync"
)

func TestEndpointsOfAWS(t *testing.T) {
	c := &Caller{cfg: aws.Config{}}
	for region, want := range map[string]string{
		"eu-central-1":  "https://secretsmanager.eu-central-1.amazonaws.com",
		"us-gov-west-1": "https://secretsmanager.us-gov-west-1.amazonaws.com",
		"cn-north-1":    "https://secretsmanager.cn-north-1.amazonaws.com.cn",
		"us-isob-east1": "https://secretsmanager.us-isob-east1.sc2s.sgov.gov",
		"eusc-de-east1": "https://secretsmanager.eusc-de-east1.amazonaws.eu",
	} {
		if got, err := c.endpoint(t.Context(), SecretsManager, region); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", region, got, err, want)
		}
	}
}

func TestRegionOf(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws:sns:eu-west-1:123456789012:topic":                "eu-west-1",
		"arn:aws-cn:ssm:cn-north-1:123456789012:parameter/a/b:2":  "cn-north-1",
		"arn:aws:secretsmanager:us-west-2:1234:secret:name-AbCdE": "us-west-2",
		"/mart/secret": "", "name:3": "", "arn:aws:sns": "", "": "",
	} {
		if got := RegionOf(arn); got != want {
			t.Errorf("%q: got %q, want %q", arn, got, want)
		}
	}
}

// Without a clock of the caller's the system's counts.
func TestOpenNeedsLittle(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	c, err := Open(t.Context(), "", martsync.Env{})
	if err != nil || c.clock == nil || c.http == nil {
		t.Errorf("got %+v, %v", c, err)
	}
}
