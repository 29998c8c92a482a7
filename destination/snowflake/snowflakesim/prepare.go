//go:build cgo && !lite

package snowflakesim

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"
)

// Macros that give the engine Snowflake's conversions. typeof is known when a statement is
// prepared, so the branches that do not apply cost nothing.
var macros = []string{
	`sf_text(x) AS CASE typeof(x)
		WHEN 'JSON' THEN json_extract_string(TRY_CAST(x AS JSON), '$')
		WHEN 'TIMESTAMP' THEN strftime(TRY_CAST(x AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%g')
		WHEN 'TIMESTAMP WITH TIME ZONE' THEN strftime(TRY_CAST(x AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%g') || ' Z'
		WHEN 'DOUBLE' THEN regexp_replace(TRY_CAST(x AS VARCHAR), '\.0$', '')
		WHEN 'BLOB' THEN hex(TRY_CAST(x AS BLOB))
		ELSE CAST(x AS VARCHAR) END`,
	`sf_numeric_text(x) AS CASE typeof(x) WHEN 'JSON' THEN json_extract_string(TRY_CAST(x AS JSON), '$') ELSE CAST(x AS VARCHAR) END`,
	`sf_variant(x) AS CASE typeof(x) WHEN 'JSON' THEN TRY_CAST(x AS JSON) ELSE to_json(x) END`,
	`sf_get(x, path) AS CASE WHEN typeof(x) IN ('JSON', '"NULL"') THEN json_extract(TRY_CAST(x AS JSON), path)
		ELSE CAST(error('SIM001044|42P13|SQL compilation error: Invalid argument types for function ''GET'': (' || typeof(x) || ', VARCHAR)') AS JSON) END`,
	`sf_flat(x) AS CASE WHEN typeof(x) IN ('JSON', '"NULL"') THEN TRY_CAST(x AS JSON)
		ELSE CAST(error('SIM001007|42601|SQL compilation error: invalid type [' || typeof(x) || '] for parameter ''INPUT'' of FLATTEN') AS JSON) END`,
	`sf_ntz(x) AS CASE typeof(x) WHEN 'JSON' THEN CAST(json_extract_string(TRY_CAST(x AS JSON), '$') AS TIMESTAMP) ELSE CAST(x AS TIMESTAMP) END`,
	`sf_ntz_try(x) AS CASE typeof(x) WHEN 'JSON' THEN TRY_CAST(json_extract_string(TRY_CAST(x AS JSON), '$') AS TIMESTAMP) ELSE TRY_CAST(x AS TIMESTAMP) END`,
	`sf_to_ntz(x) AS CASE WHEN typeof(x) LIKE 'DECIMAL%' OR typeof(x) LIKE '%INT%' THEN make_timestamp(CAST(TRY_CAST(x AS DOUBLE) * 1000000 AS BIGINT)) ELSE sf_ntz(x) END`,
	`sf_date(x) AS CASE typeof(x) WHEN 'JSON' THEN CAST(json_extract_string(TRY_CAST(x AS JSON), '$') AS DATE) ELSE CAST(x AS DATE) END`,
	`sf_date_try(x) AS CASE typeof(x) WHEN 'JSON' THEN TRY_CAST(json_extract_string(TRY_CAST(x AS JSON), '$') AS DATE) ELSE TRY_CAST(x AS DATE) END`,
	`sf_float(x) AS CASE typeof(x) WHEN 'JSON' THEN CAST(json_extract_string(TRY_CAST(x AS JSON), '$') AS DOUBLE) ELSE CAST(x AS DOUBLE) END`,
	`sf_float_try(x) AS CASE typeof(x) WHEN 'JSON' THEN TRY_CAST(json_extract_string(TRY_CAST(x AS JSON), '$') AS DOUBLE) ELSE TRY_CAST(x AS DOUBLE) END`,
	`sf_bool(x) AS CASE typeof(x) WHEN 'JSON' THEN CAST(json_extract_string(TRY_CAST(x AS JSON), '$') AS BOOLEAN) ELSE CAST(x AS BOOLEAN) END`,
	`sf_bool_try(x) AS CASE typeof(x) WHEN 'JSON' THEN TRY_CAST(json_extract_string(TRY_CAST(x AS JSON), '$') AS BOOLEAN) ELSE TRY_CAST(x AS BOOLEAN) END`,
	`sf_binary(x) AS CASE typeof(x) WHEN 'BLOB' THEN TRY_CAST(x AS BLOB) ELSE from_hex(CAST(x AS VARCHAR)) END`,
	`sf_binary_try(x) AS CASE typeof(x) WHEN 'BLOB' THEN TRY_CAST(x AS BLOB) ELSE TRY(from_hex(CAST(x AS VARCHAR))) END`,
	`sf_bytes(x) AS CASE typeof(x) WHEN 'BLOB' THEN TRY_CAST(x AS BLOB) ELSE encode(CAST(x AS VARCHAR)) END`,
	`sf_hex(x) AS hex(x)`,
	`sf_length(x) AS CASE typeof(x) WHEN 'BLOB' THEN octet_length(TRY_CAST(x AS BLOB)) ELSE length(sf_text(x)) END`,
	`sf_concat(list) AS CASE WHEN len(list_filter(list, e -> e IS NULL)) > 0 THEN NULL ELSE array_to_string(list, '') END`,
	`sf_null_if_any(list, x) AS CASE WHEN len(list_filter(list, e -> e IS NULL)) > 0 THEN NULL ELSE x END`,
	`sf_format(x, f, original) AS CASE typeof(x)
		WHEN 'BLOB' THEN CASE upper(original) WHEN 'HEX' THEN hex(TRY_CAST(x AS BLOB)) WHEN 'BASE64' THEN base64(TRY_CAST(x AS BLOB)) ELSE decode(TRY_CAST(x AS BLOB)) END
		ELSE strftime(TRY_CAST(x AS TIMESTAMP), f) END`,
	`sf_fit(x, n) AS CASE WHEN length(x) > n THEN error('SIM100078|22000|String ''' || left(x, 40) || ''' is too long and would be truncated') ELSE x END`,
	`sf_typeof(x) AS CASE typeof(x) WHEN 'JSON' THEN CASE json_type(TRY_CAST(x AS JSON)) WHEN 'NULL' THEN 'NULL_VALUE' WHEN 'UBIGINT' THEN 'INTEGER' WHEN 'BIGINT' THEN 'INTEGER' ELSE json_type(TRY_CAST(x AS JSON)) END ELSE typeof(x) END`,
	`sf_array_size(x) AS CASE WHEN json_type(TRY_CAST(x AS JSON)) = 'ARRAY' THEN json_array_length(TRY_CAST(x AS JSON)) END`,
	`sf_to_array(x) AS CASE WHEN json_type(sf_variant(x)) = 'ARRAY' THEN sf_variant(x) ELSE json_array(sf_variant(x)) END`,
	`sf_object(x) AS json_merge_patch(CAST('{}' AS JSON), x)`,
	`sf_keep_date(d, n, x) AS CASE WHEN typeof(d) = 'DATE' AND CAST(x AS TIME) = TIME '00:00:00' THEN x ELSE x END`,
	`sf_parse_json(x) AS CASE WHEN typeof(x) = 'JSON' THEN TRY_CAST(x AS JSON) ELSE CAST(sf_canon(CAST(x AS VARCHAR), TRUE) AS JSON) END`,
	`sf_try_parse_json(x) AS CASE WHEN typeof(x) = 'JSON' THEN TRY_CAST(x AS JSON) ELSE CAST(sf_canon(CAST(x AS VARCHAR), FALSE) AS JSON) END`,
	`sf_check_json(x) AS CASE WHEN x IS NULL OR sf_canon(CAST(x AS VARCHAR), FALSE) IS NOT NULL THEN NULL ELSE 'not JSON' END`,
}

// prepare fills the engine and the catalog.
func (s *Server) prepare() error {
	ctx := context.Background()
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := duckdb.RegisterScalarUDF(conn, "sf_canon", canon{}); err != nil {
		return err
	}
	for _, m := range macros {
		if _, err := conn.ExecContext(ctx, "CREATE MACRO "+m); err != nil {
			return fmt.Errorf("macro %s: %w", strings.SplitN(m, "(", 2)[0], err)
		}
	}
	s.cat = newCatalog(s.opt.Clock.Now)
	s.grants = newGrants()
	for _, u := range s.opt.Users {
		if u.Roles == nil {
			u.Roles = []string{DefaultRole}
		}
		if u.DefaultRole == "" {
			u.DefaultRole = u.Roles[0]
		}
		s.users[strings.ToUpper(u.Name)] = &u
		for _, r := range u.Roles {
			s.grants.role(r)
		}
	}
	s.grants.role(DefaultRole)
	for _, w := range s.opt.Warehouses {
		s.houses[w.Name] = newHouse(w)
		s.grants.add(DefaultRole, "USAGE", "WAREHOUSE", w.Name)
		s.grants.add(DefaultRole, "OPERATE", "WAREHOUSE", w.Name)
	}
	d := &database{name: DefaultDatabase, owner: DefaultRole, created: s.cat.now(), schemas: map[string]*schema{}}
	s.cat.dbs[d.name] = d
	s.grants.add(DefaultRole, "OWNERSHIP", "DATABASE", d.name)
	s.addSchema(d, DefaultSchema, DefaultRole)
	return nil
}

func (s *Server) addSchema(d *database, name, owner string) {
	d.schemas[name] = &schema{
		db: d.name, name: name, owner: owner, created: s.cat.now(),
		tables: map[string]*table{}, stages: map[string]*stage{}, formats: map[string]map[string]string{}, dropped: map[string][]*table{},
	}
	s.grants.add(owner, "OWNERSHIP", "SCHEMA", d.name+"."+name)
}

// canon is PARSE_JSON: keys in order, no white space, and no key twice.
type canon struct{}

func (canon) Config() duckdb.ScalarFuncConfig {
	text, _ := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR) // a plain type: cannot go wrong
	boolean, _ := duckdb.NewTypeInfo(duckdb.TYPE_BOOLEAN)
	return duckdb.ScalarFuncConfig{InputTypeInfos: []duckdb.TypeInfo{text, boolean}, ResultTypeInfo: text}
}

func (canon) Executor() duckdb.ScalarFuncExecutor {
	return duckdb.ScalarFuncExecutor{RowExecutor: func(args []driver.Value) (any, error) {
		text, _ := args[0].(string)
		if args[0] == nil || strings.TrimSpace(text) == "" {
			return nil, nil
		}
		out, err := canonical(text)
		if err == nil {
			return out, nil
		}
		if strict, _ := args[1].(bool); strict {
			return nil, fmt.Errorf("SIM100069|22P02|Error parsing JSON: %w", err)
		}
		return nil, nil // TRY_PARSE_JSON makes NULL of what is not JSON
	}}
}

func canonical(text string) (string, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := keysOnce(d); err != nil {
		return "", err
	}
	d = json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", err
	}
	if d.More() {
		return "", errors.New("more than one value")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// keysOnce refuses objects that have a key twice, as PARSE_JSON does.
func keysOnce(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('{'):
		seen := map[string]bool{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := k.(string)
			if seen[name] {
				return fmt.Errorf("duplicate object attribute %q", name)
			}
			seen[name] = true
			if err := keysOnce(d); err != nil {
				return err
			}
		}
		_, err = d.Token()
	case json.Delim('['):
		for d.More() {
			if err := keysOnce(d); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}
