//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A result is what a statement answers.
type result struct {
	id      string
	cols    []col
	rows    [][]*string
	typeID  int64
	changed int64          // rows
	extra   map[string]any // file transfers
}

// A col is a column of a result.
type col struct {
	name     string
	typ      dtype
	duck     string
	nullable bool
}

func status(text string) *result {
	return &result{typeID: typeOther, cols: []col{{name: "status", typ: dtype{kind: "VARCHAR", n: defaultText}}}, rows: [][]*string{{&text}}}
}

// texts builds the rows of SHOW and the like.
func texts(names []string, rows [][]any) *result {
	r := &result{typeID: typeOther}
	for _, n := range names {
		c := col{name: n, typ: dtype{kind: "VARCHAR", n: defaultText}, nullable: true}
		if slices.Contains([]string{"created_on", "resumed_on", "updated_on", "started_on"}, n) {
			c.typ = dtype{kind: "TIMESTAMP_LTZ", s: 3}
		}
		r.cols = append(r.cols, c)
	}
	for _, row := range rows {
		out := make([]*string, len(row))
		for i, v := range row {
			switch v := v.(type) {
			case nil:
			case time.Time:
				s := fmt.Sprintf("%d.%09d", v.Unix(), v.Nanosecond())
				out[i] = &s
			case int, int64, float64:
				s := fmt.Sprint(v)
				out[i] = &s
				r.cols[i].typ = dtype{kind: "NUMBER", p: 38}
				if _, ok := v.(float64); ok {
					r.cols[i].typ = dtype{kind: "FLOAT"}
				}
			default:
				s := fmt.Sprint(v)
				out[i] = &s
			}
		}
		r.rows = append(r.rows, out)
	}
	return r
}

// describe asks the engine for the columns of a query.
func (c *session) describe(ctx context.Context, q string) ([]col, error) {
	conn, err := c.engine(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.fresh(ctx, conn); err != nil {
		return nil, err
	}
	rows, err := conn.QueryContext(ctx, "DESCRIBE "+q)
	if err != nil {
		c.spoil()
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []col
	for rows.Next() {
		var name, typ string
		var rest [4]sql.NullString
		if err := rows.Scan(&name, &typ, &rest[0], &rest[1], &rest[2], &rest[3]); err != nil {
			return nil, err
		}
		out = append(out, col{name: unmangle(name), typ: fromDuck(typ), duck: typ, nullable: true})
	}
	return out, rows.Err()
}

// any returns the first cell of a query, "" if there are no rows.
func (c *session) any(ctx context.Context, q string) (string, error) {
	conn, err := c.engine(ctx)
	if err != nil {
		return "", err
	}
	if err := c.fresh(ctx, conn); err != nil {
		return "", err
	}
	var out sql.NullString
	if err := conn.QueryRowContext(ctx, q).Scan(&out); err != nil && !errors.Is(err, sql.ErrNoRows) {
		c.spoil()
		return "", err
	}
	return out.String, nil
}

// spoil notes that the engine has given its transaction up after an error.
func (c *session) spoil() {
	if c.txn != nil {
		c.txn.seen = -1
	}
}

// wire is the engine's expression of a cell as the driver wants it.
func wire(t dtype, x string) string {
	switch t.kind {
	case "BOOLEAN":
		return "CASE WHEN " + x + " THEN '1' WHEN NOT " + x + " THEN '0' END"
	case "DATE":
		return "CAST(" + x + " - DATE '1970-01-01' AS VARCHAR)"
	case "TIME":
		return "CAST(epoch_us(" + x + ") AS VARCHAR)"
	case "TIMESTAMP_NTZ", "TIMESTAMP_LTZ":
		return "CAST(epoch_us(" + x + ") AS VARCHAR)"
	case "BINARY":
		return "hex(" + x + ")"
	}
	return "CAST(" + x + " AS VARCHAR)"
}

// seconds turns microseconds into the "seconds.nanos" of the wire.
func seconds(us string) string {
	n, err := strconv.ParseInt(us, 10, 64)
	if err != nil {
		return us
	}
	sec, frac := n/1e6, n%1e6
	if frac < 0 {
		sec, frac = sec-1, frac+1e6
	}
	return fmt.Sprintf("%d.%09d", sec, frac*1000)
}

// read runs a query and returns its rows in the spelling of the wire.
func (c *session) read(ctx context.Context, q string) (*result, error) {
	conn, err := c.engine(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.fresh(ctx, conn); err != nil {
		return nil, err
	}
	out, err := c.readWire(ctx, conn, q)
	if err != nil {
		c.spoil()
	}
	return out, err
}

func (c *session) readWire(ctx context.Context, conn *sql.Conn, q string) (*result, error) {
	cols, err := c.describe(ctx, q)
	if err != nil {
		return nil, err
	}
	exprs, names := make([]string, len(cols)), make([]string, len(cols))
	for i := range cols {
		names[i] = fmt.Sprintf("c%d", i)
		cols[i].typ = orText(cols[i].typ)
		exprs[i] = wire(cols[i].typ, "s."+names[i])
	}
	rows, err := conn.QueryContext(ctx, "SELECT "+strings.Join(exprs, ", ")+" FROM ("+q+") AS s("+strings.Join(names, ", ")+")")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := &result{typeID: typeSelect, cols: cols, rows: [][]*string{}}
	cells := make([]sql.NullString, len(cols))
	into := make([]any, len(cols))
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]*string, len(cols))
		for i, cell := range cells {
			if !cell.Valid {
				continue
			}
			s := cell.String
			switch cols[i].typ.kind {
			case "TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ":
				s = seconds(s)
			case "VARIANT":
				s = pretty(s)
			}
			row[i] = &s
		}
		out.rows = append(out.rows, row)
	}
	out.changed = int64(len(out.rows))
	return out, rows.Err()
}

// pretty spells a VARIANT as Snowflake's clients see it: indented.
func pretty(s string) string {
	if s == "" || s[0] != '{' && s[0] != '[' {
		return s
	}
	var b strings.Builder
	var raw json.RawMessage = []byte(s)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if enc.Encode(raw) != nil {
		return s
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Words that begin statements which change the catalog. They commit an open transaction first.
// Source: Snowflake documentation, Transactions, DDL.
var ddl = set("CREATE DROP ALTER UNDROP COMMENT GRANT REVOKE TRUNCATE")

// execute runs one statement. It is called with the session's mutex held.
func (c *session) execute(ctx context.Context, src string, toks []token, rows [][]bind) (*result, error) {
	if len(rows) <= 1 {
		var binds []bind
		if len(rows) == 1 {
			binds = rows[0]
		}
		return c.once(ctx, src, toks, binds)
	}
	// A bulk insert by arrays: the counts add up.
	var sum *result
	for _, binds := range rows {
		r, err := c.once(ctx, src, toks, binds)
		if err != nil {
			return nil, err
		}
		if sum == nil {
			sum = r
			continue
		}
		for i := range r.rows[0] {
			a, _ := strconv.ParseInt(*sum.rows[0][i], 10, 64)
			b, _ := strconv.ParseInt(*r.rows[0][i], 10, 64)
			s := strconv.FormatInt(a+b, 10)
			sum.rows[0][i] = &s
		}
		sum.changed += r.changed
	}
	return sum, nil
}

func (c *session) once(ctx context.Context, src string, toks []token, binds []bind) (*result, error) {
	p := &parser{src: src, toks: toks, c: c, binds: binds}
	first := p.peek()
	if c.lost && !p.isWord("COMMIT", "ROLLBACK") {
		c.lost = false
		return nil, refuse("000625", "57014", "The transaction was rolled back: it was idle while other statements waited for its locks.")
	}
	if first.kind == tWord && ddl[first.up] && !p.isSessionOnly() {
		if err := c.commit(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case p.word("BEGIN"), p.words("START", "TRANSACTION"):
		p.word("TRANSACTION", "WORK")
		if p.word("NAME") {
			p.name()
		}
		if err := endOf(p); err != nil {
			return nil, err
		}
		c.begin()
		return status("Statement executed successfully."), nil
	case p.word("COMMIT"):
		p.word("WORK")
		if err := endOf(p); err != nil {
			return nil, err
		}
		if c.lost {
			c.lost = false
			return nil, refuse("000625", "57014", "The transaction was rolled back: it was idle while other statements waited for its locks.")
		}
		if err := c.commit(ctx); err != nil {
			return nil, err
		}
		return status("Statement executed successfully."), nil
	case p.word("ROLLBACK"):
		p.word("WORK")
		if err := endOf(p); err != nil {
			return nil, err
		}
		c.lost = false
		c.rollback(ctx)
		return status("Statement executed successfully."), nil
	}
	pl, err := c.plan(ctx, p)
	if err != nil {
		return nil, err
	}
	if !pl.free && !c.quiet {
		done, err := c.srv.useWarehouse(c)
		if err != nil {
			return nil, err
		}
		defer done()
	}
	if pl.locks != nil {
		if err := c.lock(ctx, pl.locks); err != nil {
			return nil, err
		}
	}
	r, err := pl.run(ctx)
	if pl.locks != nil && c.txn == nil {
		c.unlock()
	}
	return r, err
}

func endOf(p *parser) (err error) {
	defer caught(&err)
	p.end()
	return nil
}

// isSessionOnly: ALTER SESSION commits nothing.
func (p *parser) isSessionOnly() bool {
	return p.isWord("ALTER") && p.ahead(1).up == "SESSION"
}

// plan reads the statement, with the catalog locked. Statements that only concern the catalog are
// done here and now.
func (c *session) plan(ctx context.Context, p *parser) (pl plan, err error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	defer caught(&err)
	now := func(r *result) plan {
		return plan{free: true, run: func(context.Context) (*result, error) { return r, nil }}
	}
	t := p.peek()
	if t.kind == tOp && t.text == "(" {
		return p.selectPlan(), nil
	}
	if t.kind != tWord {
		p.unexpected(t)
	}
	switch t.up {
	case "SELECT", "WITH", "VALUES":
		return p.selectPlan(), nil
	case "INSERT":
		return p.insert(), nil
	case "UPDATE":
		return p.update(), nil
	case "DELETE":
		return p.deleteFrom(), nil
	case "MERGE":
		return p.merge(), nil
	case "TRUNCATE":
		return p.truncate(), nil
	case "COPY":
		return p.copyInto(), nil
	case "CREATE":
		return p.create(ctx), nil
	case "DROP":
		return now(p.drop()), nil
	case "UNDROP":
		return now(p.undrop()), nil
	case "ALTER":
		return now(p.alter(ctx)), nil
	case "COMMENT":
		return now(p.commentOn()), nil
	case "GRANT", "REVOKE":
		return now(p.grantOrRevoke()), nil
	case "USE":
		return now(p.use()), nil
	case "SHOW":
		return now(p.show()), nil
	case "DESC", "DESCRIBE":
		return now(p.describeObject()), nil
	case "LIST", "LS":
		return now(p.listStage()), nil
	case "REMOVE", "RM":
		return now(p.removeFiles()), nil
	case "PUT":
		return now(p.put()), nil
	case "GET":
		return now(p.get()), nil
	}
	p.unexpected(t)
	return plan{}, nil
}

func (p *parser) selectPlan() plan {
	q := p.query()
	p.end()
	c := p.c
	free := len(p.uses) == 0 && !strings.Contains(q, "FROM")
	return plan{typeID: typeSelect, free: free, run: func(ctx context.Context) (*result, error) { return c.read(ctx, q) }}
}
