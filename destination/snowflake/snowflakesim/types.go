//go:build cgo && !lite

package snowflakesim

import (
	"fmt"
	"strconv"
	"strings"
)

// A dtype is a type of Snowflake's.
type dtype struct {
	kind string // NUMBER FLOAT BOOLEAN DATE TIME TIMESTAMP_NTZ TIMESTAMP_LTZ TIMESTAMP_TZ VARCHAR BINARY VARIANT OBJECT ARRAY
	p, s int    // NUMBER: precision, scale; times: s is the precision
	n    int    // VARCHAR, BINARY: length
}

const (
	defaultText   = 16_777_216
	maxText       = 134_217_728 // since 2025; columns without a length keep 16 MiB
	defaultBinary = 8_388_608
)

func (t dtype) String() string {
	switch t.kind {
	case "NUMBER":
		return fmt.Sprintf("NUMBER(%d,%d)", t.p, t.s)
	case "VARCHAR", "BINARY":
		return fmt.Sprintf("%s(%d)", t.kind, t.n)
	case "TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ":
		return fmt.Sprintf("%s(%d)", t.kind, t.s)
	}
	return t.kind
}

// duck is the engine's type.
func (t dtype) duck() string {
	switch t.kind {
	case "NUMBER":
		return fmt.Sprintf("DECIMAL(%d,%d)", t.p, t.s)
	case "FLOAT":
		return "DOUBLE"
	case "TIMESTAMP_NTZ":
		return "TIMESTAMP"
	case "TIMESTAMP_LTZ", "TIMESTAMP_TZ":
		return "TIMESTAMPTZ"
	case "BINARY":
		return "BLOB"
	case "VARIANT", "OBJECT", "ARRAY":
		return "JSON"
	}
	return t.kind
}

func (t dtype) json() bool { return t.duck() == "JSON" }

// convert is the expression that makes x, of whatever type, a t as an explicit cast does.
func (t dtype) convert(x string, try bool) string {
	f := ""
	switch t.kind {
	case "VARCHAR":
		if t.n < defaultText {
			return fmt.Sprintf("left(sf_text(%s), %d)", x, t.n)
		}
		return "sf_text(" + x + ")"
	case "VARIANT", "OBJECT", "ARRAY":
		return "sf_variant(" + x + ")"
	case "BINARY":
		return "sf_binary(" + x + ")"
	case "TIMESTAMP_NTZ":
		f = "sf_ntz"
	case "DATE":
		f = "sf_date"
	case "FLOAT":
		f = "sf_float"
	case "BOOLEAN":
		f = "sf_bool"
	case "NUMBER":
		// A macro cannot have a type as its parameter.
		if try {
			return fmt.Sprintf("TRY_CAST(sf_numeric_text(%s) AS %s)", x, t.duck())
		}
		return fmt.Sprintf("(CASE WHEN typeof(%[1]s) = 'JSON' THEN CAST(json_extract_string(CAST(%[1]s AS JSON), '$') AS %[2]s) ELSE CAST(%[1]s AS %[2]s) END)", x, t.duck())
	}
	if f != "" {
		if try {
			return f + "_try(" + x + ")"
		}
		return f + "(" + x + ")"
	}
	if try {
		return fmt.Sprintf("TRY_CAST(%s AS %s)", x, t.duck())
	}
	return fmt.Sprintf("CAST(%s AS %s)", x, t.duck())
}

// fromDuck is the Snowflake type of a result of the engine's.
func fromDuck(name string) dtype {
	switch {
	case strings.HasPrefix(name, "DECIMAL("):
		p, s, _ := strings.Cut(strings.TrimSuffix(name[len("DECIMAL("):], ")"), ",")
		t := dtype{kind: "NUMBER"}
		t.p, _ = strconv.Atoi(p)
		t.s, _ = strconv.Atoi(s)
		return t
	case name == "BOOLEAN", name == "DATE":
		return dtype{kind: name}
	case name == "TIME":
		return dtype{kind: name, s: 9}
	case name == "DOUBLE", name == "FLOAT":
		return dtype{kind: "FLOAT"}
	case name == "TIMESTAMP", name == "TIMESTAMP_NS", name == "TIMESTAMP_MS", name == "TIMESTAMP_S":
		return dtype{kind: "TIMESTAMP_NTZ", s: 9}
	case name == "TIMESTAMP WITH TIME ZONE":
		return dtype{kind: "TIMESTAMP_LTZ", s: 9}
	case name == "BLOB":
		return dtype{kind: "BINARY", n: defaultBinary}
	case name == "JSON":
		return dtype{kind: "VARIANT"}
	case strings.HasSuffix(name, "INT"), strings.HasSuffix(name, "INTEGER"):
		return dtype{kind: "NUMBER", p: 38}
	case name == `"NULL"`, name == "NULL":
		return dtype{kind: "NULL"}
	}
	return dtype{kind: "VARCHAR", n: defaultText}
}

// typeName reads a type: NUMBER(38, 0), VARCHAR, DOUBLE PRECISION.
func (p *parser) typeName() dtype {
	t := p.take()
	if t.kind != tWord {
		p.unexpected(t)
	}
	nums := func(def ...int) []int {
		out := append([]int(nil), def...)
		if p.op("(") {
			for i := 0; ; i++ {
				n := p.number()
				if i >= len(out) {
					p.unexpected(p.peek())
				}
				out[i] = n
				if !p.op(",") {
					break
				}
			}
			p.want(")")
		}
		return out
	}
	switch t.up {
	case "NUMBER", "DECIMAL", "NUMERIC", "DEC":
		n := nums(38, 0)
		if n[0] < 1 || n[0] > 38 || n[1] > n[0] || n[1] > 37 {
			panic(compilation("001018", "Invalid precision or scale: %s(%d,%d)", t.up, n[0], n[1]))
		}
		return dtype{kind: "NUMBER", p: n[0], s: n[1]}
	case "INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BYTEINT":
		return dtype{kind: "NUMBER", p: 38}
	case "FLOAT", "FLOAT4", "FLOAT8", "REAL":
		return dtype{kind: "FLOAT"}
	case "DOUBLE":
		p.word("PRECISION")
		return dtype{kind: "FLOAT"}
	case "BOOLEAN", "DATE":
		return dtype{kind: t.up}
	case "TIME":
		return dtype{kind: "TIME", s: nums(9)[0]}
	case "TIMESTAMP", "DATETIME", "TIMESTAMP_NTZ", "TIMESTAMPNTZ":
		n := nums(9)
		if p.words("WITHOUT", "TIME", "ZONE") {
			t.up = "TIMESTAMP_NTZ"
		}
		return dtype{kind: "TIMESTAMP_NTZ", s: n[0]}
	case "TIMESTAMP_LTZ", "TIMESTAMPLTZ":
		return dtype{kind: "TIMESTAMP_LTZ", s: nums(9)[0]}
	case "TIMESTAMP_TZ", "TIMESTAMPTZ":
		return dtype{kind: "TIMESTAMP_TZ", s: nums(9)[0]}
	case "VARCHAR", "STRING", "TEXT", "NVARCHAR":
		n := nums(defaultText)
		if n[0] < 1 || n[0] > maxText {
			panic(compilation("001018", "Invalid length %d for a character type", n[0]))
		}
		return dtype{kind: "VARCHAR", n: n[0]}
	case "CHAR", "CHARACTER", "NCHAR":
		return dtype{kind: "VARCHAR", n: nums(1)[0]}
	case "BINARY", "VARBINARY":
		return dtype{kind: "BINARY", n: nums(defaultBinary)[0]}
	case "VARIANT", "OBJECT", "ARRAY":
		return dtype{kind: t.up}
	}
	panic(compilation("002040", "Unsupported data type '%s'.", t.up))
}
