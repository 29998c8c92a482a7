package pardot

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/martsync/martsync/internal/httpx"
)

// An identity is what the login host tells about the user.
// Salesforce Help, The UserInfo Endpoint; Identity URLs.
type identity struct {
	UserID   string `json:"user_id"`
	Email    string `json:"email"`
	ZoneInfo string `json:"zoneinfo"` // of userinfo
	Timezone string `json:"timezone"` // of an identity URL
}

// userinfo asks the login host about the user. That is no call of the API.
func (t *tokens) userinfo(ctx context.Context) (identity, error) {
	var who identity
	id, err := t.who(ctx)
	if err != nil {
		return who, err
	}
	places := []string{t.login.JoinPath("services/oauth2/userinfo").String()}
	if t.trusts(id) {
		places = append(places, id)
	}
	for _, place := range places {
		for try := range 2 {
			var again bool
			if who, again, err = t.askIdentity(ctx, place, try == 0); !again {
				break
			}
		}
		if err == nil {
			return who, nil
		}
	}
	return who, err
}

// trusts reports whether an address that the vendor gave may see the access token.
func (t *tokens) trusts(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return false
	}
	return u.Scheme == t.login.Scheme && u.Host == t.login.Host ||
		u.Scheme == "https" && strings.HasSuffix(u.Hostname(), ".salesforce.com")
}

// askIdentity makes one call. A refused token is forgotten if there is a second chance.
func (t *tokens) askIdentity(ctx context.Context, place string, renew bool) (who identity, again bool, err error) {
	token, err := t.get(ctx)
	if err != nil {
		return who, false, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return who, false, httpx.Scrub(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", userAgent)
	resp, err := t.http.Do(r)
	if err != nil {
		return who, false, t.unreachable(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 256<<10))
	switch {
	case err != nil:
		return who, false, t.unreachable(ctx, err)
	case resp.StatusCode == http.StatusUnauthorized && renew:
		return who, true, t.refuse(ctx, token)
	case resp.StatusCode != http.StatusOK:
		return who, false, &apiError{Status: resp.StatusCode, Message: t.excerpt(body, token.Reveal())}
	}
	if err := unmarshal(body, &who); err != nil {
		return who, false, &apiError{Status: resp.StatusCode, Message: "the identity is not JSON"}
	}
	return who, false, nil
}
