package pardotsim

import (
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A path4 is a path of version 4: /api/<object>/version/<3|4>/do/<operation>[/<name>/<value>]….
// (Account Engagement API, Version 4, Using the API)
type path4 struct {
	object    string
	version   string
	operation string
	args      map[string]string // what follows, by name: "id": "7"
}

// parse4 reads the parts of a path behind /api/.
func parse4(parts []string) (p path4, ok bool) {
	if len(parts) < 3 || parts[1] != "version" {
		return p, false
	}
	p.object, p.version, p.args = parts[0], parts[2], make(map[string]string)
	if len(parts) == 3 {
		return p, true
	}
	if parts[3] != "do" || len(parts) < 5 || len(parts)%2 == 0 {
		return p, false
	}
	p.operation = parts[4]
	for i := 5; i < len(parts); i += 2 {
		p.args[parts[i]] = parts[i+1]
	}
	return p, true
}

// open4 reads the parameters of a call of version 4 from its URL and form.
func (c *caller) open4() bool {
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	c.q = q
	c.json = strings.EqualFold(q.Get("format"), "json")
	if err != nil {
		return c.refuse(51, "Invalid parameter: the query cannot be read")
	}
	if !c.readBody() {
		return false
	}
	if kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" && c.r.Method == http.MethodPost {
		form, err := url.ParseQuery(string(c.body))
		if err != nil {
			return c.refuse(51, "Invalid parameter: the form cannot be read")
		}
		for k, v := range form {
			c.q[k] = append(c.q[k], v...)
		}
		c.json = strings.EqualFold(c.q.Get("format"), "json")
	}
	return true
}

// serve4 answers a call of version 4 or 3.
func (s *Server) serve4(c *caller, parts []string) {
	p, ok := parse4(parts)
	switch {
	case !ok:
		c.fail4(2, "Invalid action")
		return
	case c.r.Method != http.MethodGet && c.r.Method != http.MethodPost:
		c.fail4(60, "Invalid HTTP request method")
		return
	}
	n, err := strconv.Atoi(p.version)
	switch {
	case err != nil:
		c.fail4(94, "Version is not a number")
		return
	case n != 3 && n != 4:
		c.fail4(22, "This API is not available in this version")
		return
	// Which of the two versions an account has is a feature of it. (Account Engagement API, Version 4)
	case n == 3 && !s.cfg.SingleEmail:
		c.fail4(88, "Your account must use version 4 of the API.")
		return
	case n == 4 && s.cfg.SingleEmail:
		c.fail4(89, "Your account is unable to use version 4 of the API.")
		return
	}
	c.v = n
	if p.object == "export" {
		c.exports = true
		s.serveExports4(c, p)
		return
	}
	o := objectOf4(p.object)
	if o == nil {
		c.fail4(2, "Invalid action")
		return
	}
	operation := o.operations[p.operation]
	if operation == nil {
		c.fail4(2, "Invalid action")
		return
	}
	if p.operation == "query" && c.tooSlow(c.queryLimit(maxLimit4)) {
		return
	}
	for name, value := range p.args { // id/7 in the path is the same as id=7
		c.q.Set(name, value)
	}
	operation(s, c, o)
}

// fail4 answers with an error of version 4, in the status that has been seen or is the likelier.
// (Account Engagement API, Error Codes)
func (c *caller) fail4(code int, message string) {
	status := http.StatusOK
	switch code {
	case 49, 126, 184, 199:
		status = c.s.cfg.TokenStatus4
	case 66, 122:
		if c.s.cfg.LimitStatus != 0 {
			status = c.s.cfg.LimitStatus
		}
	case 181, 182, 201:
		status = http.StatusBadRequest
	default:
		if c.exports {
			status = http.StatusBadRequest
		}
	}
	c.s.count.refuse(strconv.Itoa(code))
	if c.json {
		b := fmt.Appendf(nil, `{"@attributes":{"stat":"fail","version":1,"err_code":%d},"err":`, code)
		c.send(status, "application/json; charset=utf-8", append(appendText4(b, message), '}'))
		return
	}
	b := fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<rsp stat="fail" version="1.0"><err code="%d">`, code)
	w := writer4{b: b, plain: true}
	w.b = append(w.b, html.EscapeString(message)...)
	c.send(status, "text/xml; charset=utf-8", append(w.b, "</err></rsp>\n"...))
}

// send4 answers with a tree in the envelope of version 4.
func (c *caller) send4(members ...element) {
	w := writer4{plain: c.s.cfg.RawText}
	if c.json {
		w.b = append(w.b, `{"@attributes":{"stat":"ok","version":1}`...)
		for _, m := range members {
			w.b = append(append(append(w.b, `,"`...), m.name...), `":`...)
			w.json(m.value)
		}
		c.send(http.StatusOK, "application/json; charset=utf-8", append(w.b, '}'))
		return
	}
	w.b = append(w.b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<rsp stat="ok" version="1.0">`...)
	for _, m := range members {
		w.xml(m.name, m.value)
	}
	c.send(http.StatusOK, "text/xml; charset=utf-8", append(w.b, "</rsp>\n"...))
}

// readBody reads the body of a request, if it has one.
func (c *caller) readBody() bool {
	if c.r.Method == http.MethodGet || c.r.Body == nil || c.body != nil {
		return true
	}
	b, err := io.ReadAll(io.LimitReader(c.r.Body, maxBody+1))
	if len(b) > maxBody {
		c.html(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return false
	}
	c.body = b
	return err == nil // otherwise the client is gone
}
