//go:build cgo && !lite

package snowflakesim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// virtual is a view of INFORMATION_SCHEMA or SNOWFLAKE.ACCOUNT_USAGE, made of the catalog.
// Reading it needs a warehouse, as there.
func (p *parser) virtual(path []string) string {
	c := p.c
	p.uses = append(p.uses, &table{})
	view := path[len(path)-1]
	if path[0] == "SNOWFLAKE" {
		if path[1] != "ACCOUNT_USAGE" || !c.may("IMPORTED_PRIVILEGES", "DATABASE", "SNOWFLAKE") {
			panic(notFound("Object", strings.Join(path, ".")))
		}
		return c.srv.usage(view)
	}
	f := filter{db: c.db}
	if len(path) == 3 {
		f.db = path[0]
	}
	if c.srv.cat.dbs[f.db] == nil {
		panic(notFound("Database", f.db))
	}
	num := dtype{kind: "NUMBER", p: 38}
	text := dtype{kind: "VARCHAR", n: defaultText}
	when := dtype{kind: "TIMESTAMP_LTZ", s: 3}
	mk := func(names []string, types []dtype, rows [][]any) string {
		r := texts(names, rows)
		for i := range r.cols {
			r.cols[i].typ = types[i]
		}
		for _, row := range r.rows {
			for i := range row {
				if types[i].kind == "TIMESTAMP_LTZ" && row[i] != nil {
					s := iso(*row[i])
					row[i] = &s
				}
			}
		}
		return inline(r.cols, r.rows)
	}
	var rows [][]any
	switch view {
	case "TABLES", "VIEWS":
		for _, t := range c.visible(f) {
			kind := map[string]string{"TABLE": "BASE TABLE", "TRANSIENT": "BASE TABLE", "TEMPORARY": "LOCAL TEMPORARY", "VIEW": "VIEW"}[t.kind]
			var n, bytes any
			if t.view == "" {
				n, bytes = c.srv.rowCount(t), c.srv.rowCount(t)*64
			} else if view == "VIEWS" {
				kind = t.view
			}
			if view == "VIEWS" && t.view == "" {
				continue
			}
			rows = append(rows, []any{t.db, t.schema, t.name, t.owner, kind, yes(t.kind == "TRANSIENT"), n, bytes, t.created, t.altered, t.comment})
		}
		kind := "TABLE_TYPE"
		if view == "VIEWS" {
			kind = "VIEW_DEFINITION"
		}
		return mk([]string{"TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_OWNER", kind, "IS_TRANSIENT", "ROW_COUNT", "BYTES", "CREATED", "LAST_ALTERED", "COMMENT"},
			[]dtype{text, text, text, text, text, text, num, num, when, when, text}, rows)
	case "COLUMNS":
		for _, t := range c.visible(f) {
			for i, cl := range t.cols {
				var p, s, n any
				kind := map[string]string{"VARCHAR": "TEXT"}[cl.typ.kind]
				if kind == "" {
					kind = cl.typ.kind
				}
				switch cl.typ.kind {
				case "NUMBER":
					p, s = cl.typ.p, cl.typ.s
				case "VARCHAR", "BINARY":
					n = cl.typ.n
				}
				rows = append(rows, []any{t.db, t.schema, t.name, cl.name, i + 1, cl.defText, yes(!cl.notNull), kind, n, p, s, cl.comment})
			}
		}
		return mk([]string{"TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "COLUMN_NAME", "ORDINAL_POSITION", "COLUMN_DEFAULT", "IS_NULLABLE", "DATA_TYPE", "CHARACTER_MAXIMUM_LENGTH", "NUMERIC_PRECISION", "NUMERIC_SCALE", "COMMENT"},
			[]dtype{text, text, text, text, num, text, text, text, num, num, num, text}, rows)
	case "SCHEMATA":
		for _, n := range slices.Sorted(maps.Keys(c.srv.cat.dbs[f.db].schemas)) {
			s := c.srv.cat.dbs[f.db].schemas[n]
			rows = append(rows, []any{s.db, s.name, s.owner, s.created})
		}
		return mk([]string{"CATALOG_NAME", "SCHEMA_NAME", "SCHEMA_OWNER", "CREATED"}, []dtype{text, text, text, when}, rows)
	}
	panic(notFound("Object", strings.Join(path, ".")))
}

func yes(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

func iso(secs string) string {
	var sec, ns int64
	if _, err := fmt.Sscanf(secs, "%d.%d", &sec, &ns); err != nil {
		return secs
	}
	return time.Unix(sec, ns).UTC().Format("2006-01-02 15:04:05.000000") + "+00"
}

// usage are the views of ACCOUNT_USAGE.
func (s *Server) usage(view string) string {
	switch view {
	case "QUERY_HISTORY":
		return s.queryHistory(nil)
	case "WAREHOUSE_METERING_HISTORY":
		return s.metering("")
	case "QUERY_ATTRIBUTION_HISTORY":
		return s.attribution()
	}
	panic(notFound("Object", "SNOWFLAKE.ACCOUNT_USAGE."+view))
}

var (
	tText  = dtype{kind: "VARCHAR", n: defaultText}
	tNum   = dtype{kind: "NUMBER", p: 38}
	tFloat = dtype{kind: "FLOAT"}
	tWhen  = dtype{kind: "TIMESTAMP_LTZ", s: 6}
)

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000000") + "+00" }

func typed(names []string, types []dtype, rows [][]any) string {
	r := texts(names, rows)
	for i := range r.cols {
		r.cols[i].typ = types[i]
	}
	return inline(r.cols, r.rows)
}

// queryHistory is the history of statements that keep lets through.
func (s *Server) queryHistory(keep func(Statement) bool) string {
	var rows [][]any
	for _, q := range s.past {
		if keep != nil && !keep(q) {
			continue
		}
		st, code, msg := "SUCCESS", any(nil), any(nil)
		if q.Code != "" {
			st, code, msg = "FAILED_WITH_ERROR", q.Code, q.Message
		}
		var wh, size any
		if h := s.houses[q.Warehouse]; h != nil {
			wh, size = q.Warehouse, h.Size
		}
		word, _, _ := strings.Cut(strings.TrimSpace(q.SQL), " ")
		rows = append(rows, []any{q.ID, q.SQL, strings.ToUpper(word), fmt.Sprint(q.Session), q.User, q.Role, wh, size, q.Tag, st, code, msg, stamp(q.Start), stamp(q.Start.Add(q.Took)), q.Took.Milliseconds(), q.Rows, "0"})
	}
	return typed([]string{"QUERY_ID", "QUERY_TEXT", "QUERY_TYPE", "SESSION_ID", "USER_NAME", "ROLE_NAME", "WAREHOUSE_NAME", "WAREHOUSE_SIZE", "QUERY_TAG", "EXECUTION_STATUS", "ERROR_CODE", "ERROR_MESSAGE", "START_TIME", "END_TIME", "TOTAL_ELAPSED_TIME", "ROWS_PRODUCED", "CREDITS_USED_CLOUD_SERVICES"},
		[]dtype{tText, tText, tText, tNum, tText, tText, tText, tText, tText, tText, tText, tText, tWhen, tWhen, tNum, tNum, tFloat}, rows)
}

// metering tells the credits of warehouses hour by hour.
func (s *Server) metering(warehouse string) string {
	var rows [][]any
	now := s.opt.Clock.Now()
	for _, n := range slices.Sorted(maps.Keys(s.houses)) {
		h := s.houses[n]
		if warehouse != "" && n != warehouse {
			continue
		}
		h.settle(now)
		spans := slices.Clone(h.spans)
		if h.Started {
			spans = append(spans, span{h.since, now})
		}
		hours := map[time.Time]float64{}
		for _, sp := range spans {
			end := sp.to
			if end.Sub(sp.from) < minimum*time.Second {
				end = sp.from.Add(minimum * time.Second)
			}
			for at := sp.from; at.Before(end); {
				hour := at.Truncate(time.Hour)
				next := hour.Add(time.Hour)
				if next.After(end) {
					next = end
				}
				hours[hour] += next.Sub(at).Hours() * h.rate()
				at = next
			}
		}
		for _, hour := range slices.SortedFunc(maps.Keys(hours), time.Time.Compare) {
			rows = append(rows, []any{stamp(hour), stamp(hour.Add(time.Hour)), n, fmt.Sprint(hours[hour]), fmt.Sprint(hours[hour]), "0"})
		}
	}
	return typed([]string{"START_TIME", "END_TIME", "WAREHOUSE_NAME", "CREDITS_USED", "CREDITS_USED_COMPUTE", "CREDITS_USED_CLOUD_SERVICES"}, []dtype{tWhen, tWhen, tText, tFloat, tFloat, tFloat}, rows)
}

// attribution tells what each statement cost on its warehouse.
func (s *Server) attribution() string {
	var rows [][]any
	for _, q := range s.past {
		if h := s.houses[q.Warehouse]; h != nil {
			rows = append(rows, []any{q.ID, q.Warehouse, q.Tag, q.User, stamp(q.Start), stamp(q.Start.Add(q.Took)), fmt.Sprint(q.Took.Hours() * h.rate())})
		}
	}
	return typed([]string{"QUERY_ID", "WAREHOUSE_NAME", "QUERY_TAG", "USER_NAME", "START_TIME", "END_TIME", "CREDITS_ATTRIBUTED_COMPUTE"}, []dtype{tText, tText, tText, tText, tWhen, tWhen, tFloat}, rows)
}

// functionTable is a table function of INFORMATION_SCHEMA.
func (s *Server) functionTable(c *session, name string, args map[string]ex) string {
	switch name {
	case "QUERY_HISTORY", "QUERY_HISTORY_BY_SESSION", "QUERY_HISTORY_BY_USER", "QUERY_HISTORY_BY_WAREHOUSE":
		for k := range args {
			switch k {
			case "SESSION_ID", "RESULT_LIMIT", "END_TIME_RANGE_START", "END_TIME_RANGE_END", "USER_NAME", "WAREHOUSE_NAME", "INCLUDE_CLIENT_GENERATED_STATEMENT":
			default:
				panic(compilation("001015", "unknown argument %s of %s", k, name))
			}
		}
		id := c.id
		if e, ok := args["SESSION_ID"]; ok {
			var n int64
			if _, err := fmt.Sscan(strings.Trim(e.sql, "'()"), &n); err == nil {
				id = n
			}
		}
		sql := s.queryHistory(func(q Statement) bool {
			if name == "QUERY_HISTORY_BY_SESSION" {
				return q.Session == id
			}
			return q.User == c.user || c.role == AdminRole || c.may("MONITOR", "WAREHOUSE", q.Warehouse)
		})
		where := []string{}
		if e, ok := args["END_TIME_RANGE_START"]; ok {
			where = append(where, "END_TIME >= CAST("+e.sql+" AS TIMESTAMPTZ)")
		}
		if e, ok := args["END_TIME_RANGE_END"]; ok {
			where = append(where, "END_TIME <= CAST("+e.sql+" AS TIMESTAMPTZ)")
		}
		limit := "100" // Source: Snowflake documentation, QUERY_HISTORY, RESULT_LIMIT
		if e, ok := args["RESULT_LIMIT"]; ok {
			limit = e.sql
		}
		cond := ""
		if len(where) > 0 {
			cond = " WHERE " + strings.Join(where, " AND ")
		}
		return "(SELECT * FROM " + sql + cond + " ORDER BY START_TIME DESC LIMIT " + limit + ")"
	case "WAREHOUSE_METERING_HISTORY":
		if !c.may("MONITOR_USAGE", "ACCOUNT", strings.ToUpper(s.opt.Account)) {
			panic(insufficient("account", strings.ToUpper(s.opt.Account)))
		}
		wh := ""
		if e, ok := args["WAREHOUSE_NAME"]; ok {
			wh = strings.Trim(e.sql, "'")
		}
		return s.metering(wh)
	}
	panic(refuse("002141", "42601", "SQL compilation error:\nUnknown user-defined table function %s.", name))
}
