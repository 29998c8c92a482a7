//go:build cgo && !lite

package snowflakesim

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A request is a statement under way. The driver sends a request again, under the same id, when
// it has not heard the answer; it then gets the answer of the first.
type request struct {
	id      string // query id
	done    chan struct{}
	cancel  context.CancelFunc
	reply   map[string]any
	result  *result
	session int64
	polled  bool
}

func (s *Server) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

func failure(code, state, msg, queryID string) map[string]any {
	return map[string]any{"success": false, "code": code, "message": msg, "data": map[string]any{"sqlState": state, "queryId": queryID, "errorCode": code}}
}

// ServeHTTP speaks the protocol of Snowflake's drivers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.isDown() {
		panic(http.ErrAbortHandler)
	}
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		in = z
	}
	path := r.URL.Path
	switch {
	case path == "/session/v1/login-request":
		s.login(w, r, in)
	case path == "/oauth/token-request":
		s.oauthToken(w, r, in)
	case path == "/telemetry/send":
		s.answer(w, map[string]any{"success": true})
	case path == "/session/token-request":
		s.renew(w, r)
	case path == "/session" && r.URL.Query().Get("delete") == "true":
		if c := s.sessionOf(r); c != nil {
			s.endSession(c)
		}
		s.answer(w, map[string]any{"success": true, "data": nil})
	case path == "/session/heartbeat":
		if _, bad := s.alive(r); bad != nil {
			s.answer(w, bad)
			return
		}
		s.answer(w, map[string]any{"success": true, "data": nil})
	case path == "/queries/v1/query-request":
		s.query(w, r, in)
	case path == "/queries/v1/abort-request":
		s.abort(w, in)
	case strings.HasPrefix(path, "/queries/") && strings.HasSuffix(path, "/result"):
		s.resultOf(w, r, strings.Split(path, "/")[2])
	case strings.HasPrefix(path, "/monitoring/queries/"):
		s.monitor(w, strings.TrimPrefix(path, "/monitoring/queries/"))
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) sessionOf(r *http.Request) *session {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), `Token="`)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[strings.TrimSuffix(token, `"`)]
}

// alive returns the session of a request, or the refusal it gets.
func (s *Server) alive(r *http.Request) (*session, map[string]any) {
	c := s.sessionOf(r)
	if c == nil {
		return nil, failure("390104", "08001", "Session no longer exists.  New login required to access the service.", "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.until.IsZero() && !s.opt.Clock.Now().Before(c.until) {
		return nil, failure("390112", "08001", "Session token is expired.", "")
	}
	return c, nil
}

func (s *Server) renew(w http.ResponseWriter, r *http.Request) {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), `Token="`)
	token = strings.TrimSuffix(token, `"`)
	if s.faultAt(MasterExpired, "") != nil {
		s.answer(w, failure("390114", "08001", "Authentication token has expired.  The user must authenticate again.", ""))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.byID {
		if c.master != token {
			continue
		}
		delete(s.sessions, c.token)
		c.token, c.master = newToken(), newToken()
		if s.opt.TokenLife > 0 {
			c.until = s.opt.Clock.Now().Add(s.opt.TokenLife)
		}
		s.sessions[c.token] = c
		s.answer(w, map[string]any{"success": true, "data": map[string]any{
			"sessionToken": c.token, "validityInSecondsST": 3600, "masterToken": c.master, "validityInSecondsMT": 14400, "sessionId": c.id,
		}})
		return
	}
	s.answer(w, failure("390114", "08001", "Authentication token has expired.  The user must authenticate again.", ""))
}

type queryBody struct {
	SQLText      string         `json:"sqlText"`
	AsyncExec    bool           `json:"asyncExec"`
	DescribeOnly bool           `json:"describeOnly"`
	Parameters   map[string]any `json:"parameters"`
	Bindings     map[string]struct {
		Type  string          `json:"type"`
		Value json.RawMessage `json:"value"`
	} `json:"bindings"`
	BindStage string `json:"bindStage"`
}

func (s *Server) query(w http.ResponseWriter, r *http.Request, in io.Reader) {
	id := r.URL.Query().Get("requestId")
	var body queryBody
	if err := json.NewDecoder(in).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	if old := s.requests[id]; old != nil && id != "" {
		s.mu.Unlock()
		s.wait(w, r, old)
		return
	}
	s.mu.Unlock()

	c, bad := s.alive(r)
	if bad != nil {
		s.answer(w, bad)
		return
	}
	if s.opt.OnStatement != nil {
		s.opt.OnStatement(body.SQLText)
	}
	f := s.faultFor(body.SQLText)
	if f != nil && f.before(s, c, w) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	req := &request{id: newID(), done: make(chan struct{}), cancel: cancel, session: c.id}
	s.mu.Lock()
	s.requests[id], s.results[req.id] = req, req
	s.mu.Unlock()
	if body.AsyncExec || f != nil && f.Kind == Async {
		// The answer is fetched later. The statement ends with the server at the latest: Close
		// takes its session's lock.
		c.mu.Lock()
		go func() {
			defer c.mu.Unlock()
			s.run(ctx, c, req, body)
		}()
		s.answer(w, pending(req))
		return
	}
	c.mu.Lock()
	s.run(ctx, c, req, body)
	c.mu.Unlock()
	if f != nil && f.after(s, c) {
		panic(http.ErrAbortHandler)
	}
	s.wait(w, r, req)
}

func pending(req *request) map[string]any {
	return map[string]any{"success": true, "code": "333334", "message": "Asynchronous execution in progress. Use provided query id to perform query monitoring and management.", "data": map[string]any{
		"queryId": req.id, "getResultUrl": "/queries/" + req.id + "/result", "queryAbortsAfterSecs": 300,
	}}
}

func (s *Server) wait(w http.ResponseWriter, r *http.Request, req *request) {
	select {
	case <-req.done:
		s.answer(w, req.reply)
	case <-r.Context().Done():
	}
}

// run runs the statements of a request, with the session's mutex held.
func (s *Server) run(ctx context.Context, c *session, req *request, body queryBody) {
	defer close(req.done)
	defer req.cancel()
	start := s.opt.Clock.Now()
	tag := c.tag
	if t, ok := body.Parameters["QUERY_TAG"].(string); ok {
		tag = t
	}
	var last *result
	var ids, types []string
	err := func() error {
		if c.closed {
			return refuse("390111", "08001", "Session no longer exists.  New login required to access the service.")
		}
		if body.BindStage != "" {
			return unsupported("binds on a stage in the simulator")
		}
		rows, err := readBinds(body.Bindings)
		if err != nil {
			return err
		}
		toks, err := lex(body.SQLText)
		if err != nil {
			return err
		}
		statements := split(toks)
		want := 1
		if n, ok := body.Parameters["MULTI_STATEMENT_COUNT"].(float64); ok {
			want = int(n)
		}
		if len(statements) == 0 {
			return refuse("000900", "42601", "SQL compilation error:\nEmpty SQL statement.")
		}
		if want != 0 && len(statements) != want {
			return refuse("000008", "0A000", "Actual statement count %d did not match the desired statement count %d.", len(statements), want)
		}
		for _, st := range statements {
			if body.DescribeOnly {
				last, err = c.only(ctx, body.SQLText, st, rows)
			} else {
				last, err = c.execute(ctx, body.SQLText, st, rows)
			}
			if err != nil {
				return err
			}
			last.id = req.id
			if len(statements) > 1 {
				child := &request{id: newID(), done: make(chan struct{}), cancel: func() {}, session: c.id, result: last}
				last.id = child.id
				child.reply = s.reply(c, child.id, last)
				close(child.done)
				s.mu.Lock()
				s.results[child.id] = child
				s.mu.Unlock()
				ids, types = append(ids, child.id), append(types, fmt.Sprint(last.typeID))
			}
		}
		return nil
	}()
	st := Statement{
		ID: req.id, SQL: body.SQLText, Tag: tag, User: c.user, Role: c.role, Session: c.id, Binds: len(body.Bindings), Start: start, Took: s.opt.Clock.Now().Sub(start),
	}
	st.Took = max(st.Took, s.opt.StatementTime)
	if err != nil {
		e := translate(err)
		st.Code, st.Message = e.Code, e.Msg
		req.reply = failure(e.Code, e.State, e.Msg, req.id)
	} else {
		st.Rows = last.changed
		c.lastQuery = req.id
		req.result = last
		req.reply = s.reply(c, req.id, last)
		if len(ids) > 0 {
			one := "Multiple statements executed successfully."
			multi := &result{typeID: typeMulti, cols: []col{{name: "multiple statement execution", typ: dtype{kind: "VARCHAR", n: defaultText}}}, rows: [][]*string{{&one}}}
			req.reply = s.reply(c, req.id, multi)
			data, _ := req.reply["data"].(map[string]any)
			data["resultIds"], data["resultTypes"] = strings.Join(ids, ","), strings.Join(types, ",")
		}
	}
	s.mu.Lock()
	st.Warehouse = c.ran
	c.ran = ""
	s.history = append(s.history, st)
	s.past = append(s.past, st)
	s.mu.Unlock()
	s.opt.Log.Debug("statement", "sql", body.SQLText, "code", st.Code, "err", st.Message)
}

// only describes a statement without running it.
func (c *session) only(ctx context.Context, src string, toks []token, rows [][]bind) (_ *result, err error) {
	p := &parser{src: src, toks: toks, c: c}
	if rows != nil {
		p.binds = rows[0]
	}
	if !p.isWord("SELECT", "WITH", "VALUES") {
		return status(""), nil
	}
	q, err := func() (q string, err error) {
		c.srv.mu.Lock()
		defer c.srv.mu.Unlock()
		defer caught(&err)
		q = p.query()
		p.end()
		return q, nil
	}()
	if err != nil {
		return nil, err
	}
	cols, err := c.describe(ctx, q)
	return &result{typeID: typeSelect, cols: cols, rows: [][]*string{}}, err
}

// reply is the answer to a statement that succeeded.
func (s *Server) reply(c *session, id string, r *result) map[string]any {
	data := map[string]any{
		"queryId": id, "sqlState": "00000", "statementTypeId": r.typeID, "queryResultFormat": "json", "total": len(r.rows), "returned": len(r.rows),
		"finalDatabaseName": null(c.db), "finalSchemaName": null(c.schema), "finalWarehouseName": null(c.warehouse), "finalRoleName": null(c.role), "parameters": c.parameterList(),
	}
	if r.extra != nil {
		for k, v := range r.extra {
			data[k] = v
		}
		return map[string]any{"success": true, "code": nil, "message": nil, "data": data}
	}
	types := make([]map[string]any, len(r.cols))
	for i, cl := range r.cols {
		types[i] = rowType(cl)
	}
	rows := r.rows
	if rows == nil {
		rows = [][]*string{}
	}
	data["rowtype"] = types
	if r.typeID == typeSelect && !strings.EqualFold(c.params["GO_QUERY_RESULT_FORMAT"], "JSON") {
		text, err := asArrow(r)
		if err != nil {
			return failure("300002", "XX000", "Internal error of the simulator: "+err.Error(), id)
		}
		data["queryResultFormat"], data["rowsetBase64"] = "arrow", text
		return map[string]any{"success": true, "code": nil, "message": nil, "data": data}
	}
	data["rowset"] = rows
	return map[string]any{"success": true, "code": nil, "message": nil, "data": data}
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (c *session) parameterList() []map[string]any {
	out := []map[string]any{
		{"name": "CLIENT_TELEMETRY_ENABLED", "value": false},
		{"name": "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD", "value": 0},
		{"name": "AUTOCOMMIT", "value": true},
		{"name": "TIMEZONE", "value": c.zone()},
		{"name": "BINARY_OUTPUT_FORMAT", "value": "HEX"},
	}
	return append(out, map[string]any{"name": "QUERY_TAG", "value": c.tag})
}

func rowType(c col) map[string]any {
	m := map[string]any{"name": c.name, "nullable": true, "length": 0, "byteLength": 0, "precision": 0, "scale": 0}
	switch c.typ.kind {
	case "NUMBER":
		m["type"], m["precision"], m["scale"] = "fixed", c.typ.p, c.typ.s
	case "FLOAT":
		m["type"] = "real"
	case "VARCHAR":
		m["type"], m["length"], m["byteLength"] = "text", c.typ.n, c.typ.n
	case "BINARY":
		m["type"], m["length"], m["byteLength"] = "binary", c.typ.n, c.typ.n
	case "TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ":
		m["type"], m["scale"] = strings.ToLower(c.typ.kind), c.typ.s
	default:
		m["type"] = strings.ToLower(c.typ.kind)
	}
	return m
}

func (s *Server) abort(w http.ResponseWriter, in io.Reader) {
	var body struct {
		RequestID string `json:"requestId"`
	}
	_ = json.NewDecoder(in).Decode(&body) // an empty id is unknown
	s.mu.Lock()
	req := s.requests[body.RequestID]
	s.mu.Unlock()
	if req == nil {
		s.answer(w, failure("000605", "02000", "Identified SQL statement is not currently executing.", ""))
		return
	}
	select {
	case <-req.done:
		s.answer(w, failure("000605", "02000", "Identified SQL statement is not currently executing.", ""))
	default:
		req.cancel()
		s.answer(w, map[string]any{"success": true, "data": nil})
	}
}

func (s *Server) resultOf(w http.ResponseWriter, r *http.Request, id string) {
	s.mu.Lock()
	req := s.results[id]
	first := req != nil && !req.polled
	if first {
		req.polled = true
	}
	s.mu.Unlock()
	if req == nil {
		s.answer(w, failure("000709", "02000", "Statement "+id+" not found", id))
		return
	}
	select {
	case <-req.done:
		s.answer(w, req.reply)
	default:
		if first {
			s.answer(w, pending(req))
			return
		}
		s.wait(w, r, req)
	}
}

func (s *Server) monitor(w http.ResponseWriter, id string) {
	s.mu.Lock()
	req := s.results[id]
	s.mu.Unlock()
	list := []map[string]any{}
	if req != nil {
		st := "RUNNING"
		select {
		case <-req.done:
			st = "SUCCESS"
			if ok, _ := req.reply["success"].(bool); !ok {
				st = "FAILED_WITH_ERROR"
			}
		default:
		}
		list = append(list, map[string]any{"id": id, "status": st, "state": st, "sessionId": req.session})
	}
	s.answer(w, map[string]any{"success": true, "data": map[string]any{"queries": list}})
}

// result is what a statement answered, for RESULT_SCAN.
func (s *Server) result(id string) *result {
	if req := s.results[id]; req != nil {
		return req.result
	}
	return nil
}

// Admin runs statements as ACCOUNTADMIN, with all rights, without faults, meter and log: to make
// roles, grants and tables that a test needs.
func (s *Server) Admin(statements ...string) error {
	for _, q := range statements {
		if _, _, err := s.Query(q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// Query runs one statement as ACCOUNTADMIN in DefaultDatabase and DefaultSchema and returns its
// rows as texts: times and dates as ISO 8601, binary in hexadecimal, NULL as nil. It is how a test
// reads the truth: it needs no warehouse, is not logged and meets no faults.
func (s *Server) Query(q string) (columns []string, rows [][]any, err error) {
	s.mu.Lock()
	c := s.newSession("", "truth")
	delete(s.sessions, c.token)
	s.mu.Unlock()
	defer s.endSession(c)
	c.quiet, c.role, c.db, c.schema = true, AdminRole, DefaultDatabase, DefaultSchema
	c.params["TIMEZONE"] = "UTC"
	toks, err := lex(q)
	if err != nil {
		return nil, nil, err
	}
	st := split(toks)
	if len(st) != 1 {
		return nil, nil, fmt.Errorf("%d statements", len(st))
	}
	c.mu.Lock()
	r, err := c.execute(context.Background(), q, st[0], nil)
	c.mu.Unlock()
	if err != nil {
		return nil, nil, translate(err)
	}
	for _, cl := range r.cols {
		columns = append(columns, cl.name)
	}
	for _, row := range r.rows {
		out := make([]any, len(row))
		for i, v := range row {
			if v != nil {
				out[i] = plain(r.cols[i].typ, *v)
			}
		}
		rows = append(rows, out)
	}
	return columns, rows, nil
}

// plain spells a cell for people.
func plain(t dtype, v string) string {
	switch t.kind {
	case "BOOLEAN":
		return map[string]string{"1": "true", "0": "false"}[v]
	case "DATE":
		return time.Unix(int64(atoi(v))*86400, 0).UTC().Format("2006-01-02")
	case "TIMESTAMP_NTZ", "TIMESTAMP_LTZ":
		var sec, ns int64
		if _, err := fmt.Sscanf(v, "%d.%d", &sec, &ns); err == nil {
			return time.Unix(sec, ns).UTC().Format("2006-01-02T15:04:05.999999Z")
		}
	}
	return v
}
