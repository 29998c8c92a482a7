package marketosim

import (
	"net/http"
)

// identity answers /identity/oauth/token. (Marketo REST API, Authentication)
func (s *Server) identity(c *call) {
	h := c.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	if c.broken(s.faults.First(c.r, c.client(), identityFaults...)) {
		return
	}
	q := c.r.URL.Query()
	if c.r.Method == http.MethodPost && q.Get("grant_type") == "" { // a form is taken too
		if err := c.r.ParseForm(); err == nil {
			q = c.r.PostForm
		}
	}
	refuse := func(code, text string) {
		s.count.refuse("http 401", c.now)
		h.Set("Content-Type", "application/json;charset=UTF-8")
		c.w.WriteHeader(http.StatusUnauthorized)
		_, _ = c.w.Write(record{{"error", code}, {"error_description", text}}.append(nil, false, true))
	}
	client := q.Get("client_id")
	user := s.users[client]
	switch {
	case c.r.Method != http.MethodGet && c.r.Method != http.MethodPost:
		c.html(http.StatusMethodNotAllowed, "Method Not Allowed")
		return
	case q.Get("grant_type") != "client_credentials":
		refuse("unsupported_grant_type", "Unsupported grant type: "+q.Get("grant_type"))
		return
	case user == nil:
		refuse("unauthorized", "No client with requested id: "+client)
		return
	case q.Get("client_secret") != user.Secret:
		refuse("invalid_client", "Bad client credentials")
		return
	}
	token, left := s.tokens.Issue(client, c.now)
	c.send(record{{"access_token", token}, {"token_type", "bearer"}, {"expires_in", int64(left.Seconds())}, {"scope", user.Email}}.append(nil, false, true))
}
