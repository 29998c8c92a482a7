package pardotsim

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// skew is how far the clocks of a client and Salesforce may be apart.
const skew = 3 * time.Minute

// assertion checks a signed assertion and returns its user, or what is wrong.
// (Salesforce Help, OAuth 2.0 JWT Bearer Flow)
func (s *Server) assertion(c *caller, text string) (*User, string) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, "invalid assertion"
	}
	var header struct{ Alg, Typ string }
	var claims struct {
		Iss, Sub string
		Aud      json.RawMessage
		Exp      json.Number
	}
	if !jwtPart(parts[0], &header) || !jwtPart(parts[1], &claims) || header.Alg != "RS256" {
		return nil, "invalid assertion"
	}
	u := s.org.client(claims.Iss)
	if u == nil {
		return nil, "invalid client id"
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || u.PublicKey == nil || rsa.VerifyPKCS1v15(u.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return nil, "invalid assertion"
	}
	if !slices.Contains([]string{"https://login.salesforce.com", "https://test.salesforce.com", c.baseURL()}, audience(claims.Aud)) {
		return nil, "audience is invalid"
	}
	exp, err := claims.Exp.Float64()
	if err != nil || !c.now.Before(time.Unix(int64(exp), 0).Add(skew)) {
		return nil, "expired authorization code"
	}
	if claims.Sub != u.Username {
		return nil, "user hasn't approved this consumer"
	}
	return u, ""
}

// jwtPart reads one part of a token: base64url without padding.
func jwtPart(text string, v any) bool {
	b, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && json.Unmarshal(b, v) == nil
}

// audience is the claim, which may be an array of one.
func audience(p json.RawMessage) string {
	var one string
	var list []string
	if json.Unmarshal(p, &one) == nil {
		return one
	}
	if json.Unmarshal(p, &list) == nil && len(list) == 1 {
		return list[0]
	}
	return ""
}
