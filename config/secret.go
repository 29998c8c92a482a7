package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/martsync/martsync"
)

// A SecretStore gives the secret that a reference names: what stands after the scheme and its colon. It is
// asked each time a connector is opened, from several goroutines. Its errors hold no secret.
type SecretStore func(ctx context.Context, name string) (martsync.Secret, error)

// Stores outside of this machine that references may name, whether Options.Secrets has them or not: without it
// such a reference must not be taken for the secret itself.
func isStore(scheme string) bool { return scheme == "aws-ssm" || scheme == "aws-secretsmanager" }

// secretHint says what a secret can be.
const secretHint = "A secret is the text itself, ${VARIABLE}, or a reference: env:NAME, file:/path, aws-ssm:/name or aws-secretsmanager:name#key."

// secretError is that of following the references below op. Who must act, and how, is for the store to say if it
// was one that failed.
func secretError(op string, err error) error {
	e := &martsync.Error{Kind: martsync.Config, Op: op, Err: err, Hint: secretHint}
	if stored, ok := errors.AsType[*martsync.Error](err); ok {
		e.Kind, e.After = stored.Kind, stored.After
		if hint := martsync.HintOf(stored); hint != "" || e.Kind.Waits() {
			e.Hint = hint
		}
	}
	return e
}

var secretType = reflect.TypeFor[martsync.Secret]()

// resolveSecrets returns a copy of options in which references to secrets are replaced by
// what they point to. It is called when a connector is opened, not before, so that commands
// which need no secret ask for none.
func resolveSecrets(ctx context.Context, options any, env lookup) (any, error) {
	v := reflect.ValueOf(options)
	resolved, err := resolveValue(ctx, v, env)
	if err != nil {
		return nil, err
	}
	return resolved.Interface(), nil
}

func resolveValue(ctx context.Context, v reflect.Value, env lookup) (reflect.Value, error) {
	if !holdsSecret(v.Type(), nil) {
		return v, nil
	}
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		text, err := follow(ctx, v.String(), env)
		out.SetString(text)
		return out, err
	case reflect.Pointer:
		if v.IsNil() {
			return v, nil
		}
		elem, err := resolveValue(ctx, v.Elem(), env)
		out.Set(reflect.New(v.Type().Elem()))
		out.Elem().Set(elem)
		return out, err
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			field, err := resolveValue(ctx, v.Field(i), env)
			if err != nil {
				return out, fmt.Errorf("%s: %w", optionName(v.Type().Field(i)), err)
			}
			out.Field(i).Set(field)
		}
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			item, err := resolveValue(ctx, v.Index(i), env)
			if err != nil {
				return out, err
			}
			out.Index(i).Set(item)
		}
	case reflect.Map:
		out.Set(reflect.MakeMap(v.Type()))
		for _, key := range v.MapKeys() {
			item, err := resolveValue(ctx, v.MapIndex(key), env)
			if err != nil {
				return out, err
			}
			out.SetMapIndex(key, item)
		}
	default:
	}
	return out, nil
}

// holdsSecret reports whether a value of type t can hold a secret.
func holdsSecret(t reflect.Type, seen []reflect.Type) bool {
	if t == secretType {
		return true
	}
	for _, s := range seen {
		if s == t {
			return false
		}
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return holdsSecret(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() && holdsSecret(t.Field(i).Type, seen) {
				return true
			}
		}
	default:
	}
	return false
}

// follow returns what a secret's text stands for: the text itself, or what a reference
// points to. "literal:" before a text keeps it from being a reference.
func follow(ctx context.Context, text string, env lookup) (string, error) {
	scheme, rest, found := strings.Cut(text, ":")
	if !found {
		return text, nil
	}
	switch scheme {
	case "literal":
		return rest, nil
	case "env":
		if value := env.get(rest); value != "" {
			return value, nil
		}
		return "", fmt.Errorf("variable %s, which env:%s names, is not set", rest, rest)
	case "file":
		path := rest
		if !filepath.IsAbs(path) {
			path = filepath.Join(env.dir, path)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("follow file:%s: %w", rest, err)
		}
		value := strings.TrimRight(string(data), "\r\n")
		if value == "" {
			return "", fmt.Errorf("follow file:%s: the file is empty", rest)
		}
		return value, nil
	}
	if ask := env.secrets[scheme]; ask != nil {
		secret, err := ask(ctx, rest)
		return secret.Reveal(), err
	}
	if isStore(scheme) {
		return "", &martsync.Error{
			Kind: martsync.Config, Err: fmt.Errorf("this program cannot follow %s: references", scheme),
			Hint: "Put the secret into an environment variable (env:NAME) or a file (file:/path).",
		}
	}
	return text, nil
}
