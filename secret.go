package martsync

import "log/slog"

const redacted = "[redacted]"

// A Secret is text that must never be shown. It prints, logs and marshals as "[redacted]";
// only Reveal gives it away, at the place where it goes on the wire.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from showing the secret.
func (s Secret) GoString() string { return `martsync.Secret("` + s.String() + `")` }

// MarshalText keeps JSON, YAML and the like from showing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the secret from a configuration.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

// LogValue keeps log/slog from showing the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
