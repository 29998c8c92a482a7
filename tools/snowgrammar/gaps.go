package main

import (
	"fmt"
	"regexp"
	"strings"
)

// A gap is a construct that Snowflake documents and the grammar lacks.
type gap struct {
	page    string // in Snowflake's documentation
	pattern *regexp.Regexp
	instead string // what the grammar has in its place
}

// gaps are tried in this order, on the statement with its tokens one space apart.
var gaps = []gap{
	{"sql-reference/constructs/order-by", regexp.MustCompile(`(?i)( (?:ASC|DESC)) NULLS (?:FIRST|LAST)\b`), "$1"},
	{"sql-reference/sql/copy-into-table", regexp.MustCompile(`(?i)\bON_ERROR = ABORT_STATEMENT\b`), "ON_ERROR = CONTINUE"},
	{"sql-reference/functions-window-syntax", regexp.MustCompile(`(?i) ROWS BETWEEN UNBOUNDED PRECEDING AND (?:CURRENT ROW|UNBOUNDED FOLLOWING) \)`), " )"},
	{"sql-reference/sql/create-file-format", regexp.MustCompile(`(?i) (?:USE_LOGICAL_TYPE|USE_VECTORIZED_SCANNER|BINARY_AS_TEXT) = (?:TRUE|FALSE)\b`), ""},
	{"sql-reference/sql/create-clone", regexp.MustCompile(`(?i)\bCREATE (?:TRANSIENT )?TABLE IF NOT EXISTS (?:\S+ \. )*(\S+) CLONE\b`), "CREATE TABLE IF NOT EXISTS $1 CLONE"},
	{"sql-reference/sql/show-grants", regexp.MustCompile(`(?i)\bSHOW GRANTS TO DATABASE ROLE (?:\S+ \. )?`), "SHOW GRANTS TO ROLE "},
	{"sql-reference/sql/grant-privilege", regexp.MustCompile(`(?i)\bGRANT (?:READ , WRITE|READ|WRITE|SELECT) ON (?:STAGE|TABLE) `), "GRANT USAGE ON SCHEMA "},
	// the driver's own parameters are documented with the driver
	{"developer-guide/golang/go-driver", regexp.MustCompile(`(?i)\bALTER SESSION SET GO_QUERY_RESULT_FORMAT = `), "ALTER SESSION SET QUERY_TAG = "},
}

// bridge writes a statement in the grammar's words.
func bridge(statement string) (string, error) {
	tokens, err := tokenize(statement)
	if err != nil {
		return "", err
	}
	for i, t := range tokens {
		switch {
		case t == "?": // developer-guide/sql-api/submitting-requests, "Using bind variables"
			tokens[i] = "0"
		case strings.HasPrefix(t, `'@`): // sql-reference/sql/put: a location in quotes may hold any character
			tokens[i] = "@STAGE/p/"
		case strings.HasPrefix(t, `'file://`): // likewise
			tokens[i] = "file:///tmp/file"
		}
	}
	text := strings.Join(tokens, " ")
	for _, g := range gaps {
		text = g.pattern.ReplaceAllString(text, g.instead)
	}
	return text, nil
}

var token = regexp.MustCompile(`(?s)^(?:'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|[A-Za-z_$][A-Za-z0-9_$]*|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|::|=>|<>|<=|>=|!=|\|\||@[^\s'"]*|[-+*/%=<>(),.:;?\[\]])`)

// tokenize takes a statement apart. What is no token of SQL is an error here: the grammar must not get to see a
// statement that was mended on the way.
func tokenize(statement string) ([]string, error) {
	var tokens []string
	rest := strings.TrimSpace(statement)
	for rest != "" {
		t := token.FindString(rest)
		if t == "" {
			return nil, fmt.Errorf("no token begins at %.40q", rest)
		}
		tokens = append(tokens, t)
		rest = strings.TrimLeft(rest[len(t):], " \t\r\n")
	}
	return tokens, nil
}
