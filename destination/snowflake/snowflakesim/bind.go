//go:build cgo && !lite

package snowflakesim

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// A bind is the value of a placeholder, in the spelling of the wire: dates in milliseconds, times
// in nanoseconds, binary in hexadecimal.
type bind struct {
	typ string
	val *string
}

func (b bind) text() string {
	if b.val == nil {
		return ""
	}
	return *b.val
}

// sql is the value as a literal of the engine's.
func (b bind) sql() string {
	if b.val == nil {
		return "NULL"
	}
	v := *b.val
	integer := func() int64 {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			panic(refuse("100038", "22018", "Numeric value '%s' is not recognized", v))
		}
		return n
	}
	switch b.typ {
	case "FIXED":
		if strings.Trim(v, "-0123456789.") != "" {
			panic(refuse("100038", "22018", "Numeric value '%s' is not recognized", v))
		}
		return "(" + v + ")"
	case "REAL":
		return "CAST(" + lit(v) + " AS DOUBLE)"
	case "BOOLEAN":
		if v == "1" || strings.EqualFold(v, "true") {
			return "TRUE"
		}
		return "FALSE"
	case "BINARY":
		return "from_hex(" + lit(v) + ")"
	case "DATE":
		return fmt.Sprintf("CAST(make_timestamp(%d) AS DATE)", integer()*1000)
	case "TIMESTAMP_NTZ":
		return fmt.Sprintf("make_timestamp(%d)", integer()/1000)
	case "TIMESTAMP_LTZ", "TIMESTAMP_TZ":
		v, _, _ = strings.Cut(v, " ")
		return fmt.Sprintf("to_timestamp(%d / 1000000.0)", integer()/1000)
	case "TIME":
		return fmt.Sprintf("CAST(make_timestamp(%d) AS TIME)", integer()/1000)
	}
	return lit(v)
}

// readBinds turns the bindings of a request into rows: one, or as many as the arrays are long.
func readBinds(in map[string]struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
},
) ([][]bind, error) {
	if len(in) == 0 {
		return nil, nil
	}
	cols := make([][]bind, len(in))
	rows := 1
	for i := range cols {
		b, ok := in[strconv.Itoa(i+1)]
		if !ok {
			return nil, refuse("002049", "42601", "SQL compilation error: error line 1 at position 0\nBind variable ? not set.")
		}
		var one *string
		if json.Unmarshal(b.Value, &one) == nil {
			cols[i] = []bind{{b.Type, one}}
			continue
		}
		var many []*string
		if err := json.Unmarshal(b.Value, &many); err != nil {
			return nil, refuse("002049", "42601", "bind %d is neither a text nor a list of texts", i+1)
		}
		for _, v := range many {
			cols[i] = append(cols[i], bind{b.Type, v})
		}
		rows = len(many)
	}
	out := make([][]bind, rows)
	for r := range out {
		for _, col := range cols {
			out[r] = append(out[r], col[min(r, len(col)-1)])
		}
	}
	return out, nil
}

func (p *parser) bind(t token) bind {
	n := p.bound
	if t.text != "" {
		n, _ = strconv.Atoi(t.text)
		n--
	} else {
		p.bound++
	}
	if n < 0 || n >= len(p.binds) {
		panic(refuse("002049", "42601", "SQL compilation error: error line 1 at position %d\nBind variable ? not set.", t.pos))
	}
	return p.binds[n]
}
