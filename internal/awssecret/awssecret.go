// Package awssecret reads secrets from AWS: parameters of Systems Manager and secrets of Secrets Manager, named by
// references of the configuration.
//
// It leaves to others where references may stand (package config), and how AWS is called and signed in to (package
// awscall). What it has read it keeps for a minute and never shows.
package awssecret

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/awscall"
)

// keep is for how long a value is not asked for again. So a process that opens ten connectors, or one whose
// secrets are members of one, asks once; and one that lives for weeks, as a daemon or a warm sandbox of Lambda, sees
// a rotated secret when it next opens a connector.
const keep = time.Minute

// Stores reads secrets. It may be used from several goroutines.
type Stores struct {
	env martsync.Env

	mu     sync.Mutex
	caller *awscall.Caller
	values map[string]*value
}

// A value is one that was read, or is being read: who wants it waits for the lock.
type value struct {
	mu   sync.Mutex
	text string
	at   time.Time // zero: it was not read
}

// New makes the stores. AWS is asked at the first reference, and so are its credentials.
func New(env martsync.Env) *Stores {
	return &Stores{env: env, values: map[string]*value{}}
}

// SSM reads a parameter of Systems Manager, decrypted: "/path/name", "name:3" for a version, "name:label", or its ARN,
// which tells the region. After "#" may stand the name of a member, if the parameter is a JSON object.
func (s *Stores) SSM(ctx context.Context, reference string) (martsync.Secret, error) {
	name, member, hasMember := strings.Cut(reference, "#")
	op := "aws-ssm: read " + name
	if name == "" || strings.ContainsAny(name, " \t?@") || strings.Contains(name, "//") || hasMember && member == "" {
		return "", badReference(op, "write it as aws-ssm:/path/name, as aws-ssm:/path/name:VERSION, or with the ARN of the parameter")
	}
	text, err := s.value(ctx, "ssm "+name, func(c *awscall.Caller) (string, error) { return parameter(ctx, c, op, name) })
	if err != nil || !hasMember {
		return martsync.Secret(text), err
	}
	return memberOf(op, text, member)
}

// SecretsManager reads a secret of Secrets Manager: "name", or its ARN, which tells the region. After "?" may stand
// stage=… or version=…, and after "#" the name of a member, if the secret is a JSON object.
func (s *Stores) SecretsManager(ctx context.Context, reference string) (martsync.Secret, error) {
	id, member, hasMember := strings.Cut(reference, "#")
	name, version, hasVersion := strings.Cut(id, "?")
	op := "aws-secretsmanager: read " + name
	request := secretRequest{SecretID: name}
	which, text, _ := strings.Cut(version, "=")
	switch {
	case which == "stage" && text != "":
		request.VersionStage = text
	case which == "version" && text != "":
		request.VersionID = text
	case hasVersion:
		return "", badReference(op, "after ? write stage=AWSPREVIOUS or version=ID")
	}
	if name == "" || strings.ContainsAny(name, " \t") || hasMember && member == "" {
		return "", badReference(op, "write it as aws-secretsmanager:name or aws-secretsmanager:name#member, or with the ARN of the secret")
	}
	text, err := s.value(ctx, "secret "+id, func(c *awscall.Caller) (string, error) { return secret(ctx, c, op, request) })
	if err != nil || !hasMember {
		return martsync.Secret(text), err
	}
	return memberOf(op, text, member)
}

// value returns what is kept, or reads it.
func (s *Stores) value(ctx context.Context, key string, read func(*awscall.Caller) (string, error)) (string, error) {
	caller, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	v := s.values[key]
	if v == nil {
		v = &value{}
		s.values[key] = v
	}
	s.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if age := s.env.Clock.Now().Sub(v.at); !v.at.IsZero() && age >= 0 && age < keep {
		return v.text, nil
	}
	text, err := read(caller)
	if err != nil {
		return "", err
	}
	// As with a file: what an editor puts at the end is not part of the secret.
	v.text, v.at = strings.TrimRight(text, "\r\n"), s.env.Clock.Now()
	return v.text, nil
}

func (s *Stores) open(ctx context.Context) (*awscall.Caller, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.caller == nil {
		c, err := awscall.Open(ctx, "", s.env)
		if err != nil {
			return nil, err
		}
		s.caller = c
	}
	return s.caller, nil
}

// parameter calls GetParameter. Source: AWS Systems Manager API Reference, GetParameter.
func parameter(ctx context.Context, c *awscall.Caller, op, name string) (string, error) {
	var out struct {
		Parameter struct{ Value *string }
	}
	err := c.JSON(ctx, awscall.Call{
		Service: awscall.SSM, Region: awscall.RegionOf(name), Op: op, Grant: "ssm:GetParameter on the parameter",
		Explain: func(said awscall.Reply, region string) *martsync.Error {
			switch said.Code {
			case "ParameterNotFound":
				return notFound("parameter", region)
			case "ParameterVersionNotFound":
				return configError("correct what stands after the name: the parameter has no such version or label")
			case "InvalidKeyId":
				return &martsync.Error{Kind: martsync.Auth, Hint: "enable the KMS key of the parameter, and allow kms:Decrypt on it"}
			case "ValidationException":
				return configError("correct the name: the path of a parameter begins with /, and a slash, letters, digits, ., - and _ are all it has")
			}
			return nil
		},
	}, "AmazonSSM.GetParameter", map[string]any{"Name": name, "WithDecryption": true}, &out)
	if err != nil {
		return "", err
	}
	if out.Parameter.Value == nil || *out.Parameter.Value == "" {
		return "", &martsync.Error{Kind: martsync.Config, Op: op, Err: errors.New("the parameter is empty"), Hint: "put the secret into it"}
	}
	return *out.Parameter.Value, nil
}

// A secretRequest is the input of GetSecretValue.
type secretRequest struct {
	SecretID     string `json:"SecretId"`
	VersionID    string `json:"VersionId,omitempty"`
	VersionStage string `json:"VersionStage,omitempty"`
}

// secret calls GetSecretValue. Source: AWS Secrets Manager API Reference, GetSecretValue.
func secret(ctx context.Context, c *awscall.Caller, op string, request secretRequest) (string, error) {
	var out struct {
		SecretString *string
		SecretBinary []byte
	}
	err := c.JSON(ctx, awscall.Call{
		Service: awscall.SecretsManager, Region: awscall.RegionOf(request.SecretID), Op: op, Grant: "secretsmanager:GetSecretValue on the secret",
		Explain: func(said awscall.Reply, region string) *martsync.Error {
			switch said.Code {
			case "ResourceNotFoundException":
				if strings.Contains(said.Message, "staging label") || strings.Contains(said.Message, "VersionId") {
					return configError("the secret has no such version: correct what stands after ?, or put a value into the secret")
				}
				return notFound("secret", region)
			case "DecryptionFailure":
				return &martsync.Error{Kind: martsync.Auth, Hint: "enable the KMS key of the secret, and allow kms:Decrypt on it"}
			case "InvalidRequestException":
				if strings.Contains(said.Message, "deletion") {
					return configError("the secret is marked for deletion: restore it, or name another one")
				}
			}
			return nil
		},
	}, "secretsmanager.GetSecretValue", request, &out)
	if err != nil {
		return "", err
	}
	switch {
	case out.SecretString != nil && *out.SecretString != "":
		return *out.SecretString, nil
	case len(out.SecretBinary) > 0 && utf8.Valid(out.SecretBinary):
		return string(out.SecretBinary), nil
	case len(out.SecretBinary) > 0:
		return "", &martsync.Error{Kind: martsync.Config, Op: op, Err: errors.New("the secret is binary and no text"), Hint: "store it as text"}
	}
	return "", &martsync.Error{Kind: martsync.Config, Op: op, Err: errors.New("the secret is empty"), Hint: "put the value into it"}
}

func notFound(what, region string) *martsync.Error {
	return configError(fmt.Sprintf("create the %s in %s, or correct its name; if it is in another region, name it by its ARN or set AWS_REGION", what, region))
}

func configError(hint string) *martsync.Error {
	return &martsync.Error{Kind: martsync.Config, Hint: hint}
}

func badReference(op, hint string) error {
	return &martsync.Error{Kind: martsync.Config, Op: op, Err: errors.New("the reference cannot be understood"), Hint: hint}
}

// memberOf returns a member of a JSON object: a text as it is, a number or a truth value as it is written. Its
// errors tell nothing of the object.
func memberOf(op, text, name string) (martsync.Secret, error) {
	fail := func(format string, args ...any) (martsync.Secret, error) {
		return "", &martsync.Error{
			Kind: martsync.Config, Op: op, Err: fmt.Errorf(format, args...),
			Hint: "correct what stands after #: the name of a member of the JSON object that the secret is",
		}
	}
	d := json.NewDecoder(strings.NewReader(text))
	var members map[string]json.RawMessage
	if d.Decode(&members) != nil || members == nil {
		return fail("it is no JSON object, so it has no member %q", name)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fail("it is no JSON object, so it has no member %q", name)
	}
	raw, ok := members[name]
	if !ok {
		return fail("it has no member %q", name)
	}
	var out string
	switch raw = bytes.TrimSpace(raw); raw[0] {
	case '"':
		if json.Unmarshal(raw, &out) != nil {
			return fail("member %q is no text", name)
		}
	case '{', '[', 'n':
		return fail("member %q is no text", name)
	default:
		out = string(raw)
	}
	if out == "" {
		return fail("member %q is empty", name)
	}
	return martsync.Secret(out), nil
}
