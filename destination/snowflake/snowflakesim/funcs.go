//go:build cgo && !lite

package snowflakesim

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A fn is a function of Snowflake's: how many arguments, and what it is for the engine. In to,
// {0} is the first argument, {*} all of them, {2:} the third and what follows.
type fn struct {
	min, max int // max -1: any number
	to       string
	agg      bool // may have DISTINCT, OVER, WITHIN GROUP
	variant  bool // gives a VARIANT, which VALUES refuses
}

var functions = map[string]fn{
	"ABS": {1, 1, "abs({0})", false, false}, "CEIL": {1, 1, "ceil({0})", false, false}, "FLOOR": {1, 1, "floor({0})", false, false},
	"ROUND": {1, 2, "round({*})", false, false}, "MOD": {2, 2, "({0} % {1})", false, false}, "SIGN": {1, 1, "sign({0})", false, false},
	"GREATEST": {1, -1, "sf_null_if_any([{*}], greatest({*}))", false, false}, "LEAST": {1, -1, "sf_null_if_any([{*}], least({*}))", false, false},
	"GREATEST_IGNORE_NULLS": {1, -1, "greatest({*})", false, false}, "LEAST_IGNORE_NULLS": {1, -1, "least({*})", false, false},
	"COALESCE": {1, -1, "coalesce({*})", false, false}, "NVL": {2, 2, "coalesce({*})", false, false}, "IFNULL": {2, 2, "coalesce({*})", false, false},
	"NVL2":   {3, 3, "(CASE WHEN {0} IS NOT NULL THEN {1} ELSE {2} END)", false, false},
	"NULLIF": {2, 2, "nullif({*})", false, false}, "ZEROIFNULL": {1, 1, "coalesce({0}, 0)", false, false},
	"IFF": {3, 3, "(CASE WHEN {0} THEN {1} ELSE {2} END)", false, false}, "EQUAL_NULL": {2, 2, "({0} IS NOT DISTINCT FROM {1})", false, false},
	"DIV0": {2, 2, "(CASE WHEN {1} = 0 THEN 0 ELSE {0} / {1} END)", false, false},

	"UPPER": {1, 1, "upper(sf_text({0}))", false, false}, "LOWER": {1, 1, "lower(sf_text({0}))", false, false},
	"TRIM": {1, 2, "trim({*})", false, false}, "LTRIM": {1, 2, "ltrim({*})", false, false}, "RTRIM": {1, 2, "rtrim({*})", false, false},
	"LENGTH": {1, 1, "sf_length({0})", false, false}, "LEN": {1, 1, "sf_length({0})", false, false}, "OCTET_LENGTH": {1, 1, "strlen(sf_text({0}))", false, false},
	"SUBSTR": {2, 3, "substr(sf_text({0}), {1:})", false, false}, "SUBSTRING": {2, 3, "substr(sf_text({0}), {1:})", false, false},
	"LEFT": {2, 2, "left(sf_text({0}), {1})", false, false}, "RIGHT": {2, 2, "right(sf_text({0}), {1})", false, false},
	"REPLACE": {2, 3, "replace({*})", false, false}, "CONCAT": {1, -1, "sf_concat([{text}])", false, false},
	"STARTSWITH": {2, 2, "starts_with({*})", false, false}, "ENDSWITH": {2, 2, "ends_with({*})", false, false}, "CONTAINS": {2, 2, "contains({*})", false, false},
	"CHARINDEX": {2, 2, "instr({1}, {0})", false, false}, "POSITION": {2, 2, "instr({1}, {0})", false, false}, "SPLIT_PART": {3, 3, "split_part({*})", false, false},
	"LPAD": {3, 3, "lpad({*})", false, false}, "RPAD": {3, 3, "rpad({*})", false, false}, "REPEAT": {2, 2, "repeat({*})", false, false},
	"REGEXP_REPLACE": {2, 3, "regexp_replace({*}, 'g')", false, false}, "REGEXP_LIKE": {2, 2, "regexp_full_match({*})", false, false},
	"MD5": {1, 1, "md5(sf_text({0}))", false, false}, "SHA2": {1, 2, "sha256(sf_text({0}))", false, false}, "HASH": {1, -1, "CAST(hash({*}) % 1000000007 AS BIGINT)", false, false},
	"HEX_ENCODE": {1, 1, "sf_hex({0})", false, false}, "UUID_STRING": {0, 0, "CAST(uuid() AS VARCHAR)", false, false}, "RANDOM": {0, 1, "CAST(random() * 1000000007 AS BIGINT)", false, false},
	"SEQ4": {0, 1, "(row_number() OVER () - 1)", false, false}, "SEQ8": {0, 1, "(row_number() OVER () - 1)", false, false},

	"TO_VARCHAR": {1, 2, "", false, false}, "TO_CHAR": {1, 2, "", false, false},
	"TO_NUMBER": {1, 4, "", false, false}, "TO_DECIMAL": {1, 4, "", false, false}, "TO_NUMERIC": {1, 4, "", false, false},
	"TRY_TO_NUMBER": {1, 3, "", false, false}, "TRY_TO_DECIMAL": {1, 3, "", false, false},
	"TO_DOUBLE": {1, 1, "sf_float({0})", false, false}, "TRY_TO_DOUBLE": {1, 1, "sf_float_try({0})", false, false},
	"TO_BOOLEAN": {1, 1, "sf_bool({0})", false, false}, "TRY_TO_BOOLEAN": {1, 1, "sf_bool_try({0})", false, false},
	"TO_DATE": {1, 2, "sf_date({0})", false, false}, "TRY_TO_DATE": {1, 2, "sf_date_try({0})", false, false},
	"TO_TIMESTAMP": {1, 2, "", false, false}, "TO_TIMESTAMP_NTZ": {1, 2, "", false, false}, "TRY_TO_TIMESTAMP": {1, 2, "sf_ntz_try({0})", false, false},
	"TRY_TO_TIMESTAMP_NTZ": {1, 2, "sf_ntz_try({0})", false, false}, "TO_TIMESTAMP_LTZ": {1, 1, "CAST({0} AS TIMESTAMPTZ)", false, false}, "TO_TIMESTAMP_TZ": {1, 1, "CAST({0} AS TIMESTAMPTZ)", false, false},
	"TO_BINARY": {1, 2, "sf_binary({0})", false, false}, "TRY_TO_BINARY": {1, 2, "sf_binary_try({0})", false, false},
	"BASE64_ENCODE": {1, 1, "to_base64(sf_bytes({0}))", false, false}, "BASE64_DECODE_BINARY": {1, 1, "from_base64({0})", false, false},

	"DATEADD": {3, 3, "", false, false}, "TIMESTAMPADD": {3, 3, "", false, false}, "DATEDIFF": {3, 3, "", false, false}, "TIMESTAMPDIFF": {3, 3, "", false, false}, "DATE_TRUNC": {2, 2, "", false, false}, "DATE_PART": {2, 2, "", false, false},
	"YEAR": {1, 1, "year({0})", false, false}, "MONTH": {1, 1, "month({0})", false, false}, "DAY": {1, 1, "day({0})", false, false},
	"CONVERT_TIMEZONE": {2, 3, "", false, false},

	"PARSE_JSON": {1, 1, "sf_parse_json({0})", false, true}, "TRY_PARSE_JSON": {1, 1, "sf_try_parse_json({0})", false, true}, "CHECK_JSON": {1, 1, "sf_check_json({0})", false, false},
	"TO_JSON": {1, 1, "CAST(sf_variant({0}) AS VARCHAR)", false, false}, "TO_VARIANT": {1, 1, "sf_variant({0})", false, true}, "TO_ARRAY": {1, 1, "sf_to_array({0})", false, true}, "TO_OBJECT": {1, 1, "sf_variant({0})", false, true},
	"GET": {2, 2, "", false, true}, "GET_PATH": {2, 2, "", false, true}, "TYPEOF": {1, 1, "sf_typeof({0})", false, false}, "ARRAY_SIZE": {1, 1, "sf_array_size({0})", false, false},
	"OBJECT_KEYS": {1, 1, "to_json(json_keys({0}))", false, true}, "OBJECT_CONSTRUCT": {0, -1, "sf_object(json_object({pairs}))", false, true}, "OBJECT_CONSTRUCT_KEEP_NULL": {0, -1, "json_object({pairs})", false, true},
	"ARRAY_CONSTRUCT": {0, -1, "json_array({variants})", false, true}, "ARRAY_CONTAINS": {2, 2, "json_contains({1}, {0})", false, false},
	"IS_NULL_VALUE": {1, 1, "(json_type({0}) = 'NULL')", false, false}, "IS_OBJECT": {1, 1, "(json_type({0}) = 'OBJECT')", false, false}, "IS_ARRAY": {1, 1, "(json_type({0}) = 'ARRAY')", false, false},
	"STRIP_NULL_VALUE": {1, 1, "(CASE WHEN json_type({0}) = 'NULL' THEN NULL ELSE {0} END)", false, true},
	"SPLIT":            {2, 2, "to_json(string_split({*}))", false, true},

	"COUNT": {0, -1, "count({*})", true, false}, "COUNT_IF": {1, 1, "count_if({0})", true, false}, "SUM": {1, 1, "sum({0})", true, false}, "AVG": {1, 1, "avg({0})", true, false},
	"MIN": {1, 1, "min({0})", true, false}, "MAX": {1, 1, "max({0})", true, false}, "ANY_VALUE": {1, 1, "any_value({0})", true, false}, "MAX_BY": {2, 2, "max_by({*})", true, false}, "MIN_BY": {2, 2, "min_by({*})", true, false},
	"MEDIAN": {1, 1, "median({0})", true, false}, "LISTAGG": {1, 2, "", true, false}, "ARRAY_AGG": {1, 1, "", true, true}, "BOOLOR_AGG": {1, 1, "bool_or({0})", true, false}, "BOOLAND_AGG": {1, 1, "bool_and({0})", true, false},
	"APPROX_COUNT_DISTINCT": {1, 1, "count(DISTINCT {0})", true, false}, "HASH_AGG": {1, -1, "CAST(sum(hash({*}) % 1000000007) AS BIGINT)", true, false}, "OBJECT_AGG": {2, 2, "CAST(json_group_object({0}, sf_variant({1})) AS JSON)", true, true},
	"ROW_NUMBER": {0, 0, "row_number()", true, false}, "RANK": {0, 0, "rank()", true, false}, "DENSE_RANK": {0, 0, "dense_rank()", true, false}, "NTILE": {1, 1, "ntile({0})", true, false},
	"LAG": {1, 3, "lag({*})", true, false}, "LEAD": {1, 3, "lead({*})", true, false}, "FIRST_VALUE": {1, 1, "first_value({0})", true, false}, "LAST_VALUE": {1, 1, "last_value({0})", true, false},

	"CURRENT_TIMESTAMP": {0, 1, "", false, false}, "LOCALTIMESTAMP": {0, 1, "", false, false}, "GETDATE": {0, 0, "", false, false}, "SYSDATE": {0, 0, "", false, false}, "SYSTIMESTAMP": {0, 0, "", false, false},
	"CURRENT_DATE": {0, 0, "", false, false}, "CURRENT_TIME": {0, 1, "", false, false}, "LOCALTIME": {0, 1, "", false, false}, "CURRENT_USER": {0, 0, "", false, false}, "CURRENT_ROLE": {0, 0, "", false, false}, "CURRENT_SECONDARY_ROLES": {0, 0, "", false, false},
	"CURRENT_WAREHOUSE": {0, 0, "", false, false}, "CURRENT_DATABASE": {0, 0, "", false, false}, "CURRENT_SCHEMA": {0, 0, "", false, false}, "CURRENT_SESSION": {0, 0, "", false, false}, "CURRENT_ACCOUNT": {0, 0, "", false, false}, "CURRENT_ACCOUNT_NAME": {0, 0, "", false, false}, "CURRENT_ORGANIZATION_NAME": {0, 0, "", false, false},
	"CURRENT_VERSION": {0, 0, "", false, false}, "CURRENT_REGION": {0, 0, "", false, false}, "CURRENT_TRANSACTION": {0, 0, "", false, false}, "CURRENT_STATEMENT": {0, 0, "", false, false}, "CURRENT_CLIENT": {0, 0, "", false, false}, "CURRENT_AVAILABLE_ROLES": {0, 0, "", false, true}, "LAST_QUERY_ID": {0, 1, "", false, false},
	"IS_ROLE_IN_SESSION": {1, 1, "", false, false},
	"SYSTEM$TYPEOF":      {1, 1, "sf_typeof({0})", false, false}, "SYSTEM$WHITELIST": {0, 0, "'[]'", false, false}, "SYSTEM$ALLOWLIST": {0, 0, "'[]'", false, false}, "SYSTEM$WAIT": {1, 2, "'waited'", false, false},
}

// metadata functions need no warehouse.
// Source: Snowflake documentation, context functions.
func contextual(name string) bool {
	return strings.HasPrefix(name, "CURRENT_") || strings.HasPrefix(name, "SYSTEM$") || strings.HasPrefix(name, "LOCALTIME") || name == "GETDATE" || name == "SYSDATE" || name == "LAST_QUERY_ID" || name == "SYSTIMESTAMP" || name == "IS_ROLE_IN_SESSION"
}

// function reads a call with all that may follow it.
func (p *parser) function() ex {
	t := p.take()
	p.want("(")
	f, ok := functions[t.up]
	if !ok {
		panic(refuse("002140", "42601", "SQL compilation error:\nUnknown function %s.", t.up))
	}
	var args []ex
	distinct := f.agg && p.word("DISTINCT")
	star := false
	switch {
	case t.up == "COUNT" && p.op("*"):
		star = true
	case t.up == "HASH" && p.op("*"):
		panic(unsupported("HASH(*)"))
	case t.up == "POSITION":
		args = append(args, p.concat())
		if !p.op(",") {
			p.wantWord("IN")
		}
		args = append(args, p.expr())
	default:
		if !p.isOp(")") {
			args = append(args, p.argument(t.up))
			for p.op(",") {
				args = append(args, p.argument(t.up))
			}
		}
	}
	p.want(")")
	if star {
		e := ex{sql: "count(*)"}
		return p.over(e, t.up)
	}
	if len(args) < f.min || f.max >= 0 && len(args) > f.max || t.up == "COUNT" && len(args) == 0 {
		code, word := "000938", "not enough"
		if len(args) > f.min {
			code, word = "000939", "too many"
		}
		panic(refuse(code, "42601", "SQL compilation error: error line 1 at position %d\n%s arguments for function [%s]", t.pos, word, t.up))
	}
	if f.agg {
		return p.over(p.aggregate(t, f, args, distinct), t.up)
	}
	return p.call(t, args)
}

// argument reads one; parts of dates may be bare words.
func (p *parser) argument(name string) ex {
	switch name {
	case "DATEADD", "DATEDIFF", "DATE_TRUNC", "DATE_PART", "TIMESTAMPADD", "TIMESTAMPDIFF":
		if t := p.peek(); t.kind == tWord && dateParts[t.up] != "" && p.ahead(1).text == "," {
			p.at++
			return ex{sql: lit(t.up), str: true}
		}
	}
	return p.expr()
}

var dateParts = map[string]string{
	"YEAR": "year", "QUARTER": "quarter", "MONTH": "month", "WEEK": "week", "DAY": "day", "HOUR": "hour", "MINUTE": "minute", "SECOND": "second",
	"MILLISECOND": "millisecond", "MICROSECOND": "microsecond", "EPOCH_SECOND": "epoch", "YEARS": "year", "MONTHS": "month", "DAYS": "day", "HOURS": "hour", "MINUTES": "minute", "SECONDS": "second", "DAYOFWEEK": "dow", "DAYOFYEAR": "doy",
}

func datePart(e ex) string {
	name := strings.ToUpper(strings.Trim(e.sql, "'"))
	part := dateParts[name]
	if part == "" {
		panic(refuse("002118", "22000", "SQL compilation error:\n'%s' is not a valid date/time component for this function.", name))
	}
	return part
}

func (p *parser) aggregate(t token, f fn, args []ex, distinct bool) ex {
	pre := ""
	if distinct {
		pre = "DISTINCT "
	}
	order := ""
	if p.words("WITHIN", "GROUP") {
		p.want("(")
		p.wantWord("ORDER", "BY")
		order = " ORDER BY " + p.orderList()
		p.want(")")
	}
	switch t.up {
	case "LISTAGG":
		sep := "''"
		if len(args) > 1 {
			sep = args[1].sql
		}
		return ex{sql: "coalesce(string_agg(" + pre + "sf_text(" + args[0].sql + "), " + sep + order + "), '')"}
	case "ARRAY_AGG":
		return ex{sql: "coalesce(to_json(list(" + pre + "sf_variant(" + args[0].sql + ")" + order + ") FILTER (WHERE " + args[0].sql + " IS NOT NULL)), CAST('[]' AS JSON))", variant: true, json: t.up}
	}
	sql := expand(f.to, args)
	if pre != "" {
		i := strings.IndexByte(sql, '(') + 1
		sql = sql[:i] + pre + sql[i:]
	}
	return ex{sql: sql}
}

// over reads a window.
func (p *parser) over(e ex, name string) ex {
	ignore := p.words("IGNORE", "NULLS")
	if !ignore {
		p.words("RESPECT", "NULLS")
	}
	if ignore {
		e.sql = strings.TrimSuffix(e.sql, ")") + " IGNORE NULLS)"
	}
	if !p.word("OVER") {
		switch name {
		case "ROW_NUMBER", "RANK", "DENSE_RANK", "NTILE", "LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE":
			panic(compilation("002303", "Window function [%s] must have an OVER clause.", name))
		}
		return e
	}
	p.want("(")
	var b strings.Builder
	if p.words("PARTITION", "BY") {
		b.WriteString("PARTITION BY " + p.list())
	}
	ordered := p.words("ORDER", "BY")
	if ordered {
		b.WriteString(" ORDER BY " + p.orderList())
	} else if name == "ROW_NUMBER" || name == "RANK" || name == "LAG" || name == "LEAD" {
		panic(compilation("002303", "Window function type [%s] requires ORDER BY in window specification", name))
	}
	if p.isWord("ROWS", "RANGE") {
		from := p.at
		for !p.isOp(")") {
			if p.peek().kind != tWord && p.peek().kind != tNumber {
				p.unexpected(p.peek())
			}
			p.at++
		}
		b.WriteString(" " + p.text(from, p.at))
	}
	p.want(")")
	return ex{sql: "(" + e.sql + " OVER (" + b.String() + "))", variant: e.variant}
}

func (p *parser) list() string {
	out := []string{p.expr().sql}
	for p.op(",") {
		out = append(out, p.expr().sql)
	}
	return strings.Join(out, ", ")
}

// orderList reads ORDER BY's list. In Snowflake a null is the greatest value; the engine is told.
func (p *parser) orderList() string {
	var out []string
	for {
		e := p.expr()
		dir, nulls := " ASC", " NULLS LAST"
		if p.word("DESC") {
			dir, nulls = " DESC", " NULLS FIRST"
		} else {
			p.word("ASC")
		}
		if p.word("NULLS") {
			if p.word("FIRST") {
				nulls = " NULLS FIRST"
			} else {
				p.wantWord("LAST")
				nulls = " NULLS LAST"
			}
		}
		out = append(out, e.sql+dir+nulls)
		if !p.op(",") {
			return strings.Join(out, ", ")
		}
	}
}

var slots = regexp.MustCompile(`\{(\*|text|pairs|variants|\d+:?)\}`)

func expand(to string, args []ex) string {
	join := func(from int, f func(i int, s string) string) string {
		var out []string
		for i, a := range args[min(from, len(args)):] {
			out = append(out, f(i, a.sql))
		}
		return strings.Join(out, ", ")
	}
	same := func(_ int, s string) string { return s }
	return slots.ReplaceAllStringFunc(to, func(slot string) string {
		switch s := strings.Trim(slot, "{}"); s {
		case "*":
			return join(0, same)
		case "text":
			return join(0, func(_ int, s string) string { return "sf_text(" + s + ")" })
		case "variants":
			return join(0, func(_ int, s string) string { return "sf_variant(" + s + ")" })
		case "pairs":
			return join(0, func(i int, s string) string {
				if i%2 == 0 {
					return "sf_text(" + s + ")"
				}
				return "sf_variant(" + s + ")"
			})
		default:
			n, _ := strconv.Atoi(strings.TrimSuffix(s, ":"))
			if strings.HasSuffix(s, ":") {
				return join(n, same)
			}
			return args[n].sql
		}
	})
}

// call is a function that is no aggregate.
func (p *parser) call(t token, args []ex) ex {
	f := functions[t.up]
	if contextual(t.up) {
		return p.context(t.up, args)
	}
	arg := func(i int) string { return args[i].sql }
	switch t.up {
	case "TO_VARCHAR", "TO_CHAR":
		if len(args) == 1 {
			return ex{sql: "sf_text(" + arg(0) + ")"}
		}
		return ex{sql: "sf_format(" + arg(0) + ", " + lit(strftime(args[1])) + ", " + arg(1) + ")"}
	case "TO_NUMBER", "TO_DECIMAL", "TO_NUMERIC", "TRY_TO_NUMBER", "TRY_TO_DECIMAL":
		ty := dtype{kind: "NUMBER", p: 38}
		if len(args) > 1 && args[1].num {
			ty.p, _ = strconv.Atoi(arg(1))
		}
		if len(args) > 2 {
			ty.s, _ = strconv.Atoi(arg(2))
		}
		return ex{sql: ty.convert(arg(0), strings.HasPrefix(t.up, "TRY_"))}
	case "TO_TIMESTAMP", "TO_TIMESTAMP_NTZ":
		if len(args) == 2 && args[1].num { // a number and its scale
			n, _ := strconv.Atoi(arg(1))
			return ex{sql: fmt.Sprintf("make_timestamp(CAST(CAST(%s AS HUGEINT) * 1000000 // CAST(1e%d AS HUGEINT) AS BIGINT))", arg(0), n)}
		}
		return ex{sql: "sf_to_ntz(" + arg(0) + ")"}
	case "DATEADD", "TIMESTAMPADD":
		return ex{sql: fmt.Sprintf("sf_keep_date(%[3]s, %[2]s, %[3]s + to_%[1]ss(CAST(%[2]s AS %[4]s)))", datePart(args[0]), arg(1), dateArg(args[2]), map[bool]string{true: "BIGINT", false: "INTEGER"}[isFine(datePart(args[0]))])}
	case "DATEDIFF", "TIMESTAMPDIFF":
		return ex{sql: fmt.Sprintf("date_diff('%s', %s, %s)", datePart(args[0]), dateArg(args[1]), dateArg(args[2]))}
	case "DATE_TRUNC":
		return ex{sql: fmt.Sprintf("date_trunc('%s', %s)", datePart(args[0]), dateArg(args[1]))}
	case "DATE_PART":
		return ex{sql: fmt.Sprintf("CAST(floor(date_part('%s', %s)) AS BIGINT)", datePart(args[0]), dateArg(args[1]))}
	case "CONVERT_TIMEZONE":
		if len(args) == 3 {
			return ex{sql: fmt.Sprintf("timezone(%s, timezone(%s, sf_ntz(%s)))", arg(1), arg(0), arg(2))}
		}
		return ex{sql: fmt.Sprintf("timezone(%s, CAST(%s AS TIMESTAMPTZ))", arg(0), arg(1))}
	case "GET":
		if args[1].num {
			return ex{sql: "sf_get(" + arg(0) + ", '$[' || " + arg(1) + " || ']')", variant: true}
		}
		// as a pointer of RFC 6901: in a path the engine could not write a key with a quote
		return ex{sql: `sf_get(` + arg(0) + `, '/' || replace(replace(` + arg(1) + `, '~', '~0'), '/', '~1'))`, variant: true}
	case "GET_PATH":
		return ex{sql: "sf_get(" + arg(0) + ", '$.' || " + arg(1) + ")", variant: true}
	}
	if strings.HasPrefix(t.up, "OBJECT_CONSTRUCT") && len(args)%2 != 0 {
		panic(refuse("001044", "42P13", "SQL compilation error:\ninvalid number of arguments for %s", t.up))
	}
	e := ex{sql: expand(f.to, args), variant: f.variant}
	if f.variant {
		e.json = t.up
	}
	for _, a := range args { // COALESCE and IFF of VARIANTs are one
		switch t.up {
		case "COALESCE", "NVL", "IFNULL", "IFF", "NVL2":
			e.variant = e.variant || a.variant
		}
		if e.json == "" {
			e.json = a.json
		}
	}
	return e
}

func isFine(part string) bool {
	return part != "year" && part != "quarter" && part != "month" && part != "week" && part != "day"
}

func dateArg(e ex) string {
	if e.str || e.variant {
		return "sf_ntz(" + e.sql + ")"
	}
	return e.sql
}

// strftime turns a format of Snowflake's, which must be a literal, into one of the engine's.
func strftime(e ex) string {
	if !e.str {
		panic(unsupported("a format that is not a literal"))
	}
	return strings.NewReplacer("YYYY", "%Y", "YY", "%y", "MM", "%m", "MON", "%b", "DD", "%d", "HH24", "%H", "HH12", "%I", "MI", "%M", "SS", "%S",
		"FF9", "%n", "FF6", "%f", "FF3", "%g", "FF0", "", "FF", "%n", `"T"`, "T", `"Z"`, "Z", "TZHTZM", "+0000", "''", "'").Replace(strings.Trim(e.sql, "'"))
}

// context is a function about the session, answered here.
func (p *parser) context(name string, args []ex) ex {
	c := p.c
	text := func(s string) ex {
		if s == "" {
			return ex{sql: "CAST(NULL AS VARCHAR)"}
		}
		return ex{sql: lit(s)}
	}
	now := c.srv.opt.Clock.Now().UTC()
	switch name {
	case "CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "GETDATE", "SYSTIMESTAMP":
		return ex{sql: "TIMESTAMPTZ '" + now.Format("2006-01-02 15:04:05.000000") + "+00'"}
	case "SYSDATE":
		return ex{sql: "TIMESTAMP '" + now.Format("2006-01-02 15:04:05.000000") + "'"}
	case "CURRENT_DATE":
		return ex{sql: "DATE '" + now.Format("2006-01-02") + "'"}
	case "CURRENT_TIME", "LOCALTIME":
		return ex{sql: "TIME '" + now.Format("15:04:05.000000") + "'"}
	case "CURRENT_USER":
		return text(c.user)
	case "CURRENT_ROLE":
		return text(c.role)
	case "CURRENT_SECONDARY_ROLES":
		return text(`{"roles":"","value":""}`)
	case "CURRENT_WAREHOUSE":
		return text(c.warehouse)
	case "CURRENT_DATABASE":
		return text(c.db)
	case "CURRENT_SCHEMA":
		return text(c.schema)
	case "CURRENT_SESSION":
		return text(strconv.FormatInt(c.id, 10))
	case "CURRENT_ACCOUNT", "CURRENT_ACCOUNT_NAME":
		return text(strings.ToUpper(c.srv.opt.Account))
	case "CURRENT_ORGANIZATION_NAME":
		return text("MARTSIM")
	case "CURRENT_VERSION":
		return text("10.0.0")
	case "CURRENT_REGION":
		return text("AWS_EU_CENTRAL_1")
	case "CURRENT_CLIENT":
		return text(c.client)
	case "CURRENT_TRANSACTION":
		if c.txn == nil {
			return text("")
		}
		return text(strconv.FormatInt(c.txn.id, 10))
	case "CURRENT_STATEMENT":
		return text(p.src)
	case "LAST_QUERY_ID":
		return text(c.lastQuery)
	case "CURRENT_AVAILABLE_ROLES":
		var names []string
		for _, r := range c.srv.rolesOf(c.user) {
			names = append(names, `"`+r+`"`)
		}
		return text("[" + strings.Join(names, ",") + "]")
	case "IS_ROLE_IN_SESSION":
		return ex{sql: map[bool]string{true: "TRUE", false: "FALSE"}[lit(c.role) == args[0].sql]}
	}
	if f, ok := functions[name]; ok && f.to != "" {
		return ex{sql: expand(f.to, args)}
	}
	panic(refuse("002140", "42601", "SQL compilation error:\nUnknown function %s.", name))
}
