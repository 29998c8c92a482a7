//go:build cgo && !lite

package snowflakesim

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// A place is a stage and a path on it.
type place struct {
	stage  *stage
	bucket string
	prefix string // of the stage within the bucket
	path   string // below it
	label  string // what LIST puts before the path
}

// place reads @stage/path or '@stage/path'.
func (p *parser) place() place {
	t := p.take()
	text := t.text
	switch t.kind {
	case tStage:
	case tString:
		var ok bool
		if text, ok = strings.CutPrefix(text, "@"); !ok {
			p.unexpected(t)
		}
	default:
		p.unexpected(t)
	}
	name, rest := cutStage(text)
	if strings.HasPrefix(name, "%") || strings.HasPrefix(name, "~") {
		panic(unsupported("stages of tables and users in the simulator"))
	}
	toks, err := lex(name)
	if err != nil {
		panic(translate(err))
	}
	q := &parser{src: name, toks: toks, c: p.c}
	st := p.c.stage(q.path())
	q.end()
	return p.c.srv.placeOf(st, rest)
}

func (s *Server) placeOf(st *stage, rest string) place {
	out := place{stage: st, bucket: s.store.bucket, prefix: st.prefix(), path: strings.TrimPrefix(rest, "/"), label: strings.ToLower(st.name) + "/"}
	if st.url != "" {
		u := strings.TrimPrefix(st.url, "s3://")
		out.bucket, out.prefix, _ = strings.Cut(u, "/")
		if out.prefix != "" && !strings.HasSuffix(out.prefix, "/") {
			out.prefix += "/"
		}
		out.label = strings.TrimSuffix(st.url, "/") + "/"
	}
	return out
}

// cutStage splits a stage's name from its path, with an eye on quotes.
func cutStage(text string) (name, rest string) {
	quoted := false
	for i, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
		case r == '/' && !quoted:
			return text[:i], text[i:]
		}
	}
	return text, ""
}

func (pl place) need(c *session, privilege string) {
	st := pl.stage
	if st.temporary != 0 {
		return
	}
	if st.url != "" {
		privilege = "USAGE"
	}
	if !c.may(privilege, "STAGE", st.full()) {
		if c.may("READ", "STAGE", st.full()) || c.may("WRITE", "STAGE", st.full()) {
			panic(insufficient("stage", st.name))
		}
		panic(notFound("Stage", st.name))
	}
}

func (p *parser) pattern() *regexp.Regexp {
	if !p.word("PATTERN") {
		return nil
	}
	if !p.op("=>") {
		p.want("=")
	}
	re, err := regexp.Compile("^(?:" + p.str() + ")$")
	if err != nil {
		panic(compilation("100080", "Invalid regular expression: %s", err))
	}
	return re
}

// found lists the objects of a place.
func (s *Server) found(pl place, re *regexp.Regexp) []object {
	var out []object
	for _, o := range s.store.objects(pl.bucket, pl.prefix+pl.path) {
		if re == nil || re.MatchString(strings.TrimPrefix(o.key, pl.prefix)) {
			out = append(out, o)
		}
	}
	return out
}

func (p *parser) listStage() *result {
	p.at++
	pl := p.place()
	re := p.pattern()
	p.end()
	pl.need(p.c, "READ")
	var rows [][]any
	for _, o := range p.c.srv.found(pl, re) {
		rows = append(rows, []any{pl.label + strings.TrimPrefix(o.key, pl.prefix), o.size, o.etag, o.mod.UTC().Format("Mon, 2 Jan 2006 15:04:05 GMT")})
	}
	r := texts([]string{"name", "size", "md5", "last_modified"}, rows)
	r.cols[1].typ = dtype{kind: "NUMBER", p: 38}
	return r
}

func (p *parser) removeFiles() *result {
	p.at++
	pl := p.place()
	re := p.pattern()
	p.end()
	pl.need(p.c, "WRITE")
	var rows [][]any
	for _, o := range p.c.srv.found(pl, re) {
		p.c.srv.store.remove(pl.bucket, o.key)
		rows = append(rows, []any{pl.label + strings.TrimPrefix(o.key, pl.prefix), "removed"})
	}
	return texts([]string{"name", "result"}, rows)
}

// transfer is what PUT and GET tell the driver of the stage.
func (s *Server) transfer(pl place, dir string) map[string]any {
	endpoint := s.opt.StageEndpoint
	if endpoint == "" {
		endpoint = strings.TrimPrefix(s.s3.URL, "https://")
	}
	loc := pl.bucket + "/" + pl.prefix + dir
	return map[string]any{
		"locationType": "S3", "location": loc, "path": dir, "region": "us-east-1", "endPoint": endpoint,
		"creds": map[string]any{"AWS_KEY_ID": s.opt.StageAccessKey, "AWS_SECRET_KEY": s.opt.StageSecretKey, "AWS_TOKEN": ""},
	}
}

func (p *parser) put() *result {
	p.wantWord("PUT")
	src := p.str()
	local, ok := strings.CutPrefix(src, "file://")
	if !ok {
		panic(compilation("001003", "PUT needs a file:// path, not '%s'", src))
	}
	if strings.ContainsRune(local, '\\') && strings.HasPrefix(local, `\`) {
		panic(compilation("001003", "backslash in the path of PUT: '%s'", src))
	}
	pl := p.place()
	pl.need(p.c, "WRITE")
	if pl.stage.url != "" {
		panic(compilation("001757", "PUT to an external stage '%s' is not supported", pl.stage.name))
	}
	opt := map[string]string{"PARALLEL": "4", "AUTO_COMPRESS": "TRUE", "SOURCE_COMPRESSION": "AUTO_DETECT", "OVERWRITE": "FALSE"}
	p.options(opt)
	p.end()
	dir := pl.path
	if dir != "" && !strings.HasSuffix(dir, "/") {
		dir += "/"
	}
	data := map[string]any{
		"command": "UPLOAD", "operation": "Node", "kind": "UPLOAD", "src_locations": []string{local}, "parallel": atoi(opt["PARALLEL"]), "threshold": 209715200,
		"autoCompress": opt["AUTO_COMPRESS"] == "TRUE", "overwrite": opt["OVERWRITE"] == "TRUE", "sourceCompression": strings.ToLower(opt["SOURCE_COMPRESSION"]),
		"clientShowEncryptionParameter": false, "stageInfo": p.c.srv.transfer(pl, dir), "statementTypeId": typeOther,
	}
	if pl.stage.encrypted {
		data["encryptionMaterial"] = material(pl.stage)
	}
	return &result{typeID: typeOther, extra: data}
}

func material(st *stage) map[string]any {
	return map[string]any{"queryStageMasterKey": base64.StdEncoding.EncodeToString(st.key), "queryId": newID(), "smkId": 1}
}

func (p *parser) get() *result {
	p.wantWord("GET")
	pl := p.place()
	dst := p.str()
	local, ok := strings.CutPrefix(dst, "file://")
	if !ok {
		panic(compilation("001003", "GET needs a file:// path, not '%s'", dst))
	}
	pl.need(p.c, "READ")
	opt := map[string]string{"PARALLEL": "10"}
	var re *regexp.Regexp
	for p.peek().kind == tWord {
		if p.isWord("PATTERN") {
			re = p.pattern()
			continue
		}
		p.options(opt)
	}
	p.end()
	files := []string{}
	var keys []map[string]any
	for _, o := range p.c.srv.found(pl, re) {
		files = append(files, strings.TrimPrefix(o.key, pl.prefix))
		if pl.stage.encrypted {
			keys = append(keys, material(pl.stage))
		}
	}
	// If there are none the driver makes an error of its own of the empty list.
	data := map[string]any{
		"command": "DOWNLOAD", "operation": "Node", "kind": "DOWNLOAD", "src_locations": files, "localLocation": local, "parallel": atoi(opt["PARALLEL"]),
		"stageInfo": p.c.srv.transfer(pl, ""), "statementTypeId": typeOther,
	}
	if keys != nil {
		data["encryptionMaterial"] = keys
	}
	return &result{typeID: typeOther, extra: data}
}

func atoi(s string) int {
	var n int
	_, _ = fmt.Sscan(s, &n)
	return n
}

// options reads NAME = value …, of those in opt.
func (p *parser) options(opt map[string]string) {
	for p.peek().kind == tWord && !p.isWord("PATTERN") {
		t := p.take()
		if _, ok := opt[t.up]; !ok {
			panic(refuse("001420", "42601", "SQL compilation error:\ninvalid property '%s'", t.up))
		}
		p.want("=")
		v := p.take()
		switch v.kind {
		case tWord:
			opt[t.up] = v.up
		case tString, tNumber:
			opt[t.up] = v.text
		default:
			p.unexpected(v)
		}
		p.op(",")
	}
}

func (p *parser) createStage(temporary, replace bool) *result {
	c := p.c
	ifNot := p.ifNotExists()
	sch, name := c.schemaOf(p.path())
	c.need("CREATE_STAGE", "SCHEMA", sch.db+"."+sch.name)
	st := &stage{db: sch.db, schema: sch.name, name: name, owner: c.role, created: c.srv.cat.now(), encrypted: c.srv.opt.Encrypt, key: make([]byte, 16), options: map[string]string{"TYPE": "CSV"}}
	if temporary {
		st.temporary = c.id
	}
	if free(sch.stages[name] != nil, replace, ifNot, name) {
		return status(name + " already exists, statement succeeded.")
	}
	_, _ = rand.Read(st.key) // never fails
	for p.peek().kind == tWord {
		t := p.take()
		switch t.up {
		case "URL":
			p.want("=")
			st.url = p.str()
			if !strings.HasPrefix(st.url, "s3://") {
				panic(compilation("001015", "invalid URL prefix found in: '%s'", st.url))
			}
			st.encrypted = false
		case "ENCRYPTION":
			p.want("=")
			o := map[string]string{"TYPE": "SNOWFLAKE_FULL", "KMS_KEY_ID": "", "MASTER_KEY": ""}
			p.want("(")
			p.options(o)
			p.want(")")
			switch o["TYPE"] {
			case "SNOWFLAKE_FULL":
				st.encrypted = true
			case "SNOWFLAKE_SSE", "AWS_SSE_S3", "AWS_SSE_KMS", "NONE":
				st.encrypted = false
			default:
				panic(compilation("001008", "invalid value [%s] for parameter 'ENCRYPTION'", o["TYPE"]))
			}
		case "CREDENTIALS":
			p.want("=")
			o := map[string]string{"AWS_KEY_ID": "", "AWS_SECRET_KEY": "", "AWS_TOKEN": "", "AWS_ROLE": ""}
			p.want("(")
			p.options(o)
			p.want(")")
		case "STORAGE_INTEGRATION":
			p.want("=")
			p.name()
		case "DIRECTORY":
			p.want("=")
			o := map[string]string{"ENABLE": "FALSE"}
			p.want("(")
			p.options(o)
			p.want(")")
		case "FILE_FORMAT":
			p.want("=")
			st.options = p.fileFormat()
		case "COMMENT":
			p.want("=")
			st.comment = p.str()
		default:
			panic(refuse("001420", "42601", "SQL compilation error:\ninvalid property '%s' for 'STAGE'", t.up))
		}
	}
	p.end()
	if old := sch.stages[name]; old != nil && old.url == "" {
		c.srv.store.removePrefix(old.prefix())
	}
	sch.stages[name] = st
	if !temporary {
		c.own("STAGE", st.full())
	}
	return status(fmt.Sprintf("Stage area %s successfully created.", name))
}

func (p *parser) createFormat(replace bool) *result {
	c := p.c
	ifNot := p.ifNotExists()
	sch, name := c.schemaOf(p.path())
	c.need("CREATE_FILE_FORMAT", "SCHEMA", sch.db+"."+sch.name)
	opt := formatOptions()
	p.options(opt)
	p.end()
	if free(sch.formats[name] != nil, replace, ifNot, name) {
		return status(name + " already exists, statement succeeded.")
	}
	sch.formats[name] = opt
	return status(fmt.Sprintf("File format %s successfully created.", name))
}

// A File is one on a stage.
type File struct {
	Name string // below the stage
	Size int64
	Time time.Time
}

// Files lists what is on a stage, named with its database and schema: "MART.PUBLIC.STAGE".
func (s *Server) Files(stageName string) []File {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := strings.SplitN(stageName, ".", 3)
	var out []File
	if len(parts) != 3 || s.cat.dbs[parts[0]] == nil || s.cat.dbs[parts[0]].schemas[parts[1]] == nil {
		return nil
	}
	st := s.cat.dbs[parts[0]].schemas[parts[1]].stages[parts[2]]
	if st == nil {
		return nil
	}
	pl := s.placeOf(st, "")
	for _, o := range s.found(pl, nil) {
		out = append(out, File{strings.TrimPrefix(o.key, pl.prefix), o.size, o.mod})
	}
	return out
}

// Staged tells how many objects have been put on stages and how many bytes they had.
func (s *Server) Staged() (objects int, bytes int64) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return s.store.puts, s.store.bytes
}

// S3URL is where the stage's server is reached; any bucket may be written there with the
// credentials of Options, to be read by an external stage.
func (s *Server) S3URL() string { return s.s3.URL }
