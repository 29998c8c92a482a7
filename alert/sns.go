package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/awscall"
)

// snsConfig are the options of type sns.
type snsConfig struct {
	Topic   string `yaml:"topic" json:"topic" jsonschema:"required,title=Topic,description=ARN of the topic; it tells the region too.,example=arn:aws:sns:eu-central-1:123456789012:martsync"`
	Profile string `yaml:"profile,omitempty" json:"profile,omitempty" jsonschema:"title=Profile,description=A profile of the shared configuration of AWS."`
}

// An snsTopic publishes messages.
type snsTopic struct {
	arn    string
	caller *awscall.Caller
}

func openSNS(ctx context.Context, c snsConfig, env martsync.Env) (Sender, error) {
	if parts := strings.Split(c.Topic, ":"); len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" || parts[3] == "" || parts[5] == "" {
		return nil, configError("sns", "write it as arn:aws:sns:REGION:ACCOUNT:NAME", "topic %q is no ARN of a topic", c.Topic)
	}
	caller, err := awscall.Open(ctx, c.Profile, env)
	if err != nil {
		return nil, err
	}
	return &snsTopic{c.Topic, caller}, nil
}

// Send calls Publish. Source: Amazon SNS API Reference, Publish.
func (t *snsTopic) Send(ctx context.Context, m Message) error {
	form := url.Values{
		"Action": {"Publish"}, "Version": {"2010-03-31"}, "TopicArn": {t.arn},
		"Subject": {ascii(m.Title)}, "Message": {m.Title + "\n\n" + m.Text()},
	}
	// For filter policies of subscriptions.
	n := 0
	for _, a := range [...][2]string{{"event", string(m.Event)}, {"status", m.Status}, {"sync", m.Sync}} {
		if a[1] == "" {
			continue
		}
		n++
		at := fmt.Sprintf("MessageAttributes.entry.%d.", n)
		form.Set(at+"Name", a[0])
		form.Set(at+"Value.DataType", "String")
		form.Set(at+"Value.StringValue", a[1])
	}
	if strings.HasSuffix(t.arn, ".fifo") {
		group := m.Sync
		if group == "" {
			group = "test"
		}
		sum := sha256.Sum256([]byte(m.Title + m.Text() + m.At.String()))
		form.Set("MessageGroupId", group)
		form.Set("MessageDeduplicationId", hex.EncodeToString(sum[:]))
	}
	_, err := t.caller.Query(ctx, awscall.Call{
		Service: awscall.SNS, Region: awscall.RegionOf(t.arn), Op: "publish to " + t.arn, Grant: "sns:Publish on " + t.arn,
		Explain: func(said awscall.Reply, _ string) *martsync.Error {
			switch {
			case said.Code == "NotFound":
				return &martsync.Error{Kind: martsync.Config, Hint: "create the topic, or correct its ARN"}
			case said.Code == "InvalidParameter":
				return &martsync.Error{Kind: martsync.Config, Hint: "correct the ARN of the topic"}
			case strings.HasPrefix(said.Code, "KMS") && said.Status < 500 && said.Code != "KMSThrottling":
				return &martsync.Error{Kind: martsync.Auth, Hint: "allow kms:GenerateDataKey* and kms:Decrypt on the key of the topic"}
			}
			return nil
		},
	}, form)
	return err
}

// ascii makes a subject that SNS takes: printable ASCII, at most 100 characters.
func ascii(s string) string {
	s = strings.ReplaceAll(s, "…", "...")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 100)]
}
