//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// formatOptions are the options of file formats, with what they are if nothing is said.
// Source: Snowflake documentation, CREATE FILE FORMAT.
func formatOptions() map[string]string {
	return map[string]string{
		"TYPE": "CSV", "COMPRESSION": "AUTO", "BINARY_AS_TEXT": "TRUE", "USE_LOGICAL_TYPE": "FALSE", "USE_VECTORIZED_SCANNER": "FALSE", "TRIM_SPACE": "FALSE",
		"REPLACE_INVALID_CHARACTERS": "FALSE", "FIELD_DELIMITER": ",", "RECORD_DELIMITER": "\n", "SKIP_HEADER": "0", "PARSE_HEADER": "FALSE",
		"FIELD_OPTIONALLY_ENCLOSED_BY": "NONE", "EMPTY_FIELD_AS_NULL": "TRUE", "ERROR_ON_COLUMN_COUNT_MISMATCH": "TRUE", "ESCAPE": "NONE", "ESCAPE_UNENCLOSED_FIELD": "\\\\",
		"SNAPPY_COMPRESSION": "TRUE", "ENCODING": "UTF8", "DATE_FORMAT": "AUTO", "TIMESTAMP_FORMAT": "AUTO", "BINARY_FORMAT": "HEX", "STRIP_OUTER_ARRAY": "FALSE", "MULTI_LINE": "TRUE", "FORMAT_NAME": "",
	}
}

var parquetOnly = []string{"BINARY_AS_TEXT", "USE_LOGICAL_TYPE", "USE_VECTORIZED_SCANNER"}

// fileFormat reads (TYPE = PARQUET …), a name, or (FORMAT_NAME = …).
func (p *parser) fileFormat() map[string]string {
	opt := formatOptions()
	if !p.op("(") {
		sch, name := p.c.schemaOf(p.path())
		if sch.formats[name] == nil {
			panic(notFound("File format", name))
		}
		return sch.formats[name]
	}
	start := p.at
	p.options(opt)
	p.want(")")
	if n := opt["FORMAT_NAME"]; n != "" {
		sch, name := p.c.schemaOf(strings.Split(n, "."))
		if sch.formats[name] == nil {
			panic(notFound("File format", name))
		}
		return sch.formats[name]
	}
	if ty := strings.ToUpper(opt["TYPE"]); ty != "PARQUET" {
		for _, t := range p.toks[start:p.at] {
			if t.kind == tWord && slices.Contains(parquetOnly, t.up) {
				panic(refuse("001420", "42601", "SQL compilation error:\ninvalid property '%s' for file format of type %s", t.up, ty))
			}
		}
	}
	return opt
}

// A load is a COPY that has been read.
type load struct {
	t          *table
	cols       []string // named in the statement
	place      place
	files      []object
	missing    []string
	format     map[string]string
	onError    string
	byName     bool
	exactNames bool
	force      bool
	purge      bool
}

// copyInto reads COPY INTO table FROM @stage.
func (p *parser) copyInto() plan {
	p.wantWord("COPY", "INTO")
	if k := p.peek().kind; k == tStage || k == tString {
		panic(unsupported("unloading to a stage in the simulator"))
	}
	c := p.c
	l := &load{format: nil, onError: "ABORT_STATEMENT"}
	l.t = p.target("INSERT")
	if p.isOp("(") {
		l.cols = p.names()
	}
	p.wantWord("FROM")
	if p.isOp("(") {
		panic(unsupported("COPY with a query in the simulator"))
	}
	l.place = p.place()
	l.place.need(c, "READ")
	l.format = l.place.stage.options
	var files []string
	var re *regexp.Regexp
	opt := map[string]string{
		"ON_ERROR": "ABORT_STATEMENT", "MATCH_BY_COLUMN_NAME": "NONE", "FORCE": "FALSE", "PURGE": "FALSE", "SIZE_LIMIT": "", "RETURN_FAILED_ONLY": "FALSE",
		"ENFORCE_LENGTH": "TRUE", "TRUNCATECOLUMNS": "FALSE", "LOAD_UNCERTAIN_FILES": "FALSE", "LOAD_MODE": "FULL_INGEST",
	}
	for p.peek().kind == tWord {
		switch {
		case p.isWord("FILES"):
			p.at++
			p.want("=")
			p.want("(")
			for {
				files = append(files, p.str())
				if !p.op(",") {
					break
				}
			}
			p.want(")")
		case p.isWord("PATTERN"):
			re = p.pattern()
		case p.word("FILE_FORMAT"):
			p.want("=")
			l.format = p.fileFormat()
		default:
			t := p.take()
			if _, ok := opt[t.up]; !ok {
				panic(refuse("001420", "42601", "SQL compilation error:\ninvalid property '%s' for 'COPY'", t.up))
			}
			p.want("=")
			v := p.take()
			if v.kind != tWord && v.kind != tString && v.kind != tNumber {
				p.unexpected(v)
			}
			opt[t.up] = v.up
		}
	}
	p.end()
	l.check(opt, files, re)
	l.resolve(c.srv, files, re)
	return plan{typeID: typeCopy, run: func(ctx context.Context) (*result, error) { return c.load(ctx, l) }}
}

// check refuses what Snowflake refuses. Source: Snowflake documentation, COPY INTO <table>.
func (l *load) check(opt map[string]string, files []string, re *regexp.Regexp) {
	bad := func(name string) {
		panic(refuse("001008", "22023", "SQL compilation error:\ninvalid value [%s] for parameter '%s'", opt[name], name))
	}
	l.onError = opt["ON_ERROR"]
	skip := regexp.MustCompile(`^SKIP_FILE(_\d+%?)?$`)
	if l.onError != "ABORT_STATEMENT" && l.onError != "CONTINUE" && !skip.MatchString(l.onError) {
		bad("ON_ERROR")
	}
	switch opt["MATCH_BY_COLUMN_NAME"] {
	case "CASE_INSENSITIVE":
		l.byName = true
	case "CASE_SENSITIVE":
		l.byName, l.exactNames = true, true
	case "NONE":
	default:
		bad("MATCH_BY_COLUMN_NAME")
	}
	if len(files) > 1000 {
		panic(compilation("001024", "FILES may name 1000 files at most, not %d", len(files)))
	}
	if files != nil && re != nil {
		panic(compilation("001024", "FILES and PATTERN cannot be given together"))
	}
	for _, b := range []string{"FORCE", "PURGE", "RETURN_FAILED_ONLY", "ENFORCE_LENGTH", "TRUNCATECOLUMNS"} {
		if opt[b] != "TRUE" && opt[b] != "FALSE" {
			bad(b)
		}
	}
	l.force, l.purge = opt["FORCE"] == "TRUE", opt["PURGE"] == "TRUE"
	switch strings.ToUpper(l.format["TYPE"]) {
	case "PARQUET":
		if l.format["USE_VECTORIZED_SCANNER"] == "TRUE" && l.onError != "ABORT_STATEMENT" && l.onError != "SKIP_FILE" {
			panic(compilation("001024", "USE_VECTORIZED_SCANNER supports ON_ERROR = ABORT_STATEMENT and SKIP_FILE only, not %s", l.onError))
		}
		if !l.byName && (len(l.t.cols) != 1 || !l.t.cols[0].typ.json()) {
			panic(refuse("000001", "0A000", "SQL compilation error:\nPARQUET file format can produce one and only one column of type variant, object, or array. Load data into separate columns using the MATCH_BY_COLUMN_NAME copy option or copy with transformation."))
		}
		if l.byName && l.cols != nil {
			panic(compilation("001024", "MATCH_BY_COLUMN_NAME cannot be used with a list of columns"))
		}
	case "CSV":
		if l.byName && l.format["PARSE_HEADER"] != "TRUE" {
			panic(compilation("001024", "MATCH_BY_COLUMN_NAME with CSV needs PARSE_HEADER = TRUE"))
		}
	default:
		panic(unsupported("COPY of " + l.format["TYPE"] + " in the simulator"))
	}
}

func (l *load) resolve(s *Server, files []string, re *regexp.Regexp) {
	all := s.found(l.place, re)
	if files == nil {
		l.files = all
		return
	}
	byKey := map[string]object{}
	for _, o := range all {
		byKey[o.key] = o
	}
	for _, f := range files {
		key := l.place.prefix + l.place.path
		if !strings.HasSuffix(key, "/") && key != "" {
			key += "/"
		}
		o, ok := byKey[key+f]
		if !ok {
			l.missing = append(l.missing, f)
			continue
		}
		l.files = append(l.files, o)
	}
}

func (c *session) load(ctx context.Context, l *load) (_ *result, err error) {
	defer caught(&err)
	s := c.srv
	if l.missing != nil {
		return nil, refuse("100183", "02000", "Remote file '%s%s%s' was not found. If you are running a copy command, please make sure files are not deleted when they are being loaded or files are not being loaded into two different tables concurrently (auto purge option).", l.place.label, l.place.path, l.missing[0])
	}
	var todo []object
	s.mu.Lock()
	for _, o := range l.files {
		if l.force || l.t.loaded[l.place.bucket+"/"+o.key] != o.etag {
			todo = append(todo, o)
		}
	}
	s.mu.Unlock()
	if len(todo) == 0 {
		return status("Copy executed with 0 files processed."), nil
	}
	var rows [][]any
	var queries []string
	var scratch []string
	defer func() {
		for _, f := range scratch {
			_ = os.Remove(f) // goes with the folder at the latest
		}
	}()
	var loaded []object
	for i, o := range todo {
		label := l.place.label + strings.TrimPrefix(o.key, l.place.prefix)
		name, _ := s.store.file(l.place.bucket, o.key)
		if l.place.stage.encrypted {
			if name, err = s.decrypt(l.place, o.key); err != nil {
				return nil, refuse("100172", "XX000", "Failed to decrypt '%s': %v", label, err)
			}
			scratch = append(scratch, name)
		}
		q, n, bad := c.loadFile(ctx, l, name)
		if bad == nil {
			bad = asRefusal(s.copyFault(i + 1))
		}
		if bad != nil {
			e := translate(bad)
			if l.onError == "ABORT_STATEMENT" {
				return nil, refuse(e.Code, e.State, "%s\n  File '%s', line 1, character 1\n  Row 1, column \"%s\"\n  If you would like to continue loading when an error is encountered, use other values such as 'SKIP_FILE' or 'CONTINUE' for the ON_ERROR option.", e.Msg, strings.TrimPrefix(o.key, l.place.prefix), l.t.name)
			}
			rows = append(rows, []any{label, "LOAD_FAILED", n, int64(0), int64(1), int64(1), e.Msg, 1, 1, nil})
			continue
		}
		queries = append(queries, q)
		loaded = append(loaded, o)
		rows = append(rows, []any{label, "LOADED", n, n, int64(1), int64(0), nil, nil, nil, nil})
	}
	if len(queries) > 0 {
		if _, err := c.change(ctx, l.t, c.kept(ctx, queries)...); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	for _, o := range loaded {
		l.t.loaded[l.place.bucket+"/"+o.key] = o.etag
	}
	s.mu.Unlock()
	if l.purge {
		for _, o := range loaded {
			s.store.remove(l.place.bucket, o.key)
		}
	}
	r := texts([]string{"file", "status", "rows_parsed", "rows_loaded", "error_limit", "errors_seen", "first_error", "first_error_line", "first_error_character", "first_error_column_name"}, rows)
	for _, row := range rows {
		n, _ := row[3].(int64)
		r.changed += n
	}
	r.typeID = typeCopy
	return r, nil
}

func asRefusal(e *sqlError) error {
	if e == nil {
		return nil
	}
	return e
}

// kept copies what a transaction loads into a table of the engine's, so that the transaction can be
// replayed after its files are gone.
func (c *session) kept(ctx context.Context, queries []string) []string {
	out := make([]string, len(queries))
	if c.txn == nil {
		for i, q := range queries {
			out[i] = strings.Replace(q, "\x00", "", 1)
		}
		return out
	}
	conn, err := c.srv.db.Conn(ctx)
	if err == nil {
		defer func() { _ = conn.Close() }()
		_, err = conn.ExecContext(ctx, "SET TimeZone = "+lit(c.zone()))
	}
	if err != nil {
		panic(translate(err))
	}
	for i, q := range queries {
		name := duckIdent(fmt.Sprintf("kept#%d", c.srv.lastTemp.Add(1)))
		head, sel, _ := strings.Cut(q, "\x00")
		if _, err := conn.ExecContext(ctx, "CREATE TABLE "+name+" AS "+sel); err != nil {
			panic(translate(err))
		}
		c.txn.keep = append(c.txn.keep, name)
		out[i] = head + "SELECT * FROM " + name
	}
	c.txn.seen = -1 // the tables are newer than the engine's transaction
	return out
}

// loadFile returns the statement that loads one file, and how many rows the file has. The file is
// read once to see that every cell fits.
func (c *session) loadFile(ctx context.Context, l *load, name string) (q string, n int64, err error) {
	defer caught(&err)
	conn, err := c.engine(ctx)
	if err != nil {
		return "", 0, err
	}
	reader := "read_parquet(" + lit(name) + ", binary_as_string=" + strings.ToLower(l.format["BINARY_AS_TEXT"]) + ")"
	csv := strings.EqualFold(l.format["TYPE"], "CSV")
	if csv {
		reader = l.csvReader(name)
	}
	types, err := c.describeRaw(ctx, "SELECT * FROM "+reader)
	if err != nil {
		return "", 0, refuse("100152", "22000", "Error parsing the file: %v", err)
	}
	var cols []column
	var exprs []string
	switch {
	case !csv && !l.byName:
		cols, exprs = l.t.cols, []string{"to_json(f)"}
	case l.byName:
		for _, tc := range l.t.cols {
			i := slices.IndexFunc(types, func(d col) bool {
				return d.name == tc.name || !l.exactNames && strings.EqualFold(d.name, tc.name)
			})
			if i < 0 {
				continue // a column of the table that the file lacks gets its default
			}
			cols = append(cols, tc)
			exprs = append(exprs, l.cell(tc, types[i]))
		}
		if len(cols) == 0 {
			return "", 0, refuse("100091", "22000", "no column of the file is one of table '%s'", l.t.name)
		}
	default:
		cols = targetColumns(l.t, l.cols)
		if len(types) != len(cols) && l.format["ERROR_ON_COLUMN_COUNT_MISMATCH"] == "TRUE" {
			return "", 0, refuse("100080", "22000", "Number of columns in file (%d) does not match that of the corresponding table (%d), use file format option error_on_column_count_mismatch=false to ignore this error", len(types), len(cols))
		}
		for i := range min(len(cols), len(types)) {
			exprs = append(exprs, l.cell(cols[i], types[i]))
		}
		cols = cols[:len(exprs)]
	}
	sel := "SELECT " + strings.Join(exprs, ", ") + " FROM " + reader + " AS f"
	// Everything is evaluated here, so that an error is this file's.
	probe := "SELECT count(*)"
	for i := range exprs {
		probe += fmt.Sprintf(", count(c%d)", i)
	}
	names := make([]string, len(exprs))
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	counted := make([]any, len(exprs)+1)
	vals := make([]int64, len(exprs)+1)
	for i := range counted {
		counted[i] = &vals[i]
	}
	if err := conn.QueryRowContext(ctx, probe+" FROM ("+sel+") AS s("+strings.Join(names, ", ")+")").Scan(counted...); err != nil {
		c.spoil()
		return "", 0, err
	}
	for i, cl := range cols {
		if cl.notNull && vals[i+1] < vals[0] {
			return "", vals[0], refuse("100072", "22000", "NULL result in a non-nullable column '%s'", cl.name)
		}
	}
	return "INSERT INTO " + l.t.duck() + " (" + columnNames(cols) + ") \x00" + sel, vals[0], nil
}

// cell is the expression that loads a column of a file.
func (l *load) cell(c column, file col) string {
	x := "f." + duckIdent(file.name)
	if strings.HasPrefix(file.duck, "TIMESTAMP") && strings.EqualFold(l.format["TYPE"], "PARQUET") {
		if l.format["USE_LOGICAL_TYPE"] != "TRUE" {
			// Without the logical type the number in the file is taken for seconds; what does
			// not fit wraps around in the real one. Here it lands a thousand times too far.
			x = "make_timestamp(CAST(epoch_us(" + x + ") * 1000 AS BIGINT))"
		}
	}
	switch {
	case c.typ.json() && file.duck == "VARCHAR":
		return "to_json(" + x + ")" // a text becomes a VARIANT that holds a text
	case c.typ.json():
		return "sf_variant(" + x + ")"
	case c.typ.kind == "BINARY" && file.duck == "VARCHAR":
		if strings.EqualFold(l.format["TYPE"], "PARQUET") {
			return "error('SIM100144|22000|Invalid UTF8 or binary value: the column was read as text; set BINARY_AS_TEXT = FALSE')::BLOB"
		}
		return "from_hex(" + x + ")"
	case c.typ.kind == "VARCHAR":
		y := "sf_text(" + x + ")"
		if c.typ.n != defaultText {
			y = fmt.Sprintf("sf_fit(%s, %d)", y, c.typ.n)
		}
		return y
	}
	return c.typ.convert(x, false)
}

// describeRaw is describe without undoing the spelling of names: these come from a file.
func (c *session) describeRaw(ctx context.Context, q string) ([]col, error) {
	conn, err := c.engine(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.fresh(ctx, conn); err != nil {
		return nil, err
	}
	rows, err := conn.QueryContext(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+q+")")
	if err != nil {
		c.spoil()
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []col
	for rows.Next() {
		var d col
		if err := rows.Scan(&d.name, &d.duck); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

func (l *load) csvReader(name string) string {
	quote := l.format["FIELD_OPTIONALLY_ENCLOSED_BY"]
	if quote == "NONE" {
		quote = ""
	}
	compression := strings.ToLower(l.format["COMPRESSION"])
	if compression == "auto" || compression == "auto_detect" {
		compression = "none"
		if strings.HasSuffix(name, ".gz") {
			compression = "gzip"
		}
	}
	header := l.format["PARSE_HEADER"] == "TRUE"
	out := fmt.Sprintf("read_csv(%s, delim=%s, quote=%s, escape=%s, header=%t, all_varchar=true, auto_detect=true, compression=%s", lit(name), lit(l.format["FIELD_DELIMITER"]), lit(quote), lit(quote), header, lit(compression))
	if n := l.format["SKIP_HEADER"]; n != "0" && !header {
		out += ", skip=" + n
	}
	if l.format["EMPTY_FIELD_AS_NULL"] != "TRUE" {
		out += ", nullstr='\\N'"
	}
	return out + ")"
}

// decrypt undoes the client's encryption of a file, into a scratch file.
func (s *Server) decrypt(pl place, key string) (string, error) {
	s.store.mu.Lock()
	meta := s.store.meta[pl.bucket+"/"+key]
	s.store.mu.Unlock()
	wrapped, err := base64.StdEncoding.DecodeString(meta["x-amz-key"])
	if err != nil || len(wrapped) == 0 {
		return "", fmt.Errorf("the object has no key")
	}
	iv, err := base64.StdEncoding.DecodeString(meta["x-amz-iv"])
	if err != nil {
		return "", err
	}
	kek, err := aes.NewCipher(pl.stage.key)
	if err != nil {
		return "", err
	}
	if len(wrapped)%aes.BlockSize != 0 || len(wrapped) < 2*aes.BlockSize {
		return "", fmt.Errorf("a wrapped key of %d bytes", len(wrapped))
	}
	fileKey := make([]byte, len(wrapped))
	for i := 0; i < len(wrapped); i += aes.BlockSize {
		kek.Decrypt(fileKey[i:], wrapped[i:])
	}
	block, err := aes.NewCipher(fileKey[:len(fileKey)-int(fileKey[len(fileKey)-1])])
	if err != nil {
		return "", err
	}
	name, _ := s.store.file(pl.bucket, key)
	in, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(s.dir, "plain-*"+filepath.Ext(name))
	if err != nil {
		return "", err
	}
	defer func() { _ = out.Close() }()
	info, err := in.Stat()
	if err != nil {
		return "", err
	}
	mode := cipher.NewCBCDecrypter(block, iv)
	buf := make([]byte, 64<<10)
	for left := info.Size(); left > 0; {
		n, err := io.ReadFull(in, buf[:min(int64(len(buf)), left)])
		if err != nil {
			return "", err
		}
		mode.CryptBlocks(buf[:n], buf[:n])
		if left -= int64(n); left == 0 {
			n -= int(buf[n-1])
		}
		if _, err := out.Write(buf[:max(n, 0)]); err != nil {
			return "", err
		}
	}
	return out.Name(), nil
}

// stageSource reads FROM @stage/path (FILE_FORMAT => 'name', PATTERN => '…'): each row as one VARIANT, $1.
func (p *parser) stageSource() string {
	pl := p.place()
	pl.need(p.c, "READ")
	format := pl.stage.options
	var re *regexp.Regexp
	if p.op("(") {
		for !p.isOp(")") {
			if p.isWord("PATTERN") {
				re = p.pattern()
			} else {
				p.wantWord("FILE_FORMAT")
				p.want("=>")
				sch, name := p.c.schemaOf(strings.Split(strings.ToUpper(p.str()), "."))
				if format = sch.formats[name]; format == nil {
					panic(notFound("File format", name))
				}
			}
			p.op(",")
		}
		p.want(")")
	}
	if !strings.EqualFold(format["TYPE"], "PARQUET") {
		panic(unsupported("a query of a stage of " + format["TYPE"] + " files in the simulator"))
	}
	var names []string
	for _, o := range p.c.srv.found(pl, re) {
		f, _ := p.c.srv.store.file(pl.bucket, o.key)
		names = append(names, lit(f))
	}
	p.uses = append(p.uses, &table{})
	if names == nil {
		return "(SELECT CAST(NULL AS JSON) AS \"$1\" WHERE FALSE)" + p.alias("STAGE")
	}
	return "(SELECT to_json(r) AS \"$1\" FROM read_parquet([" + strings.Join(names, ", ") + "], union_by_name=true) r)" + p.alias("STAGE")
}
