package snowflake

import (
	"strings"
	"sync/atomic"
)

// counters count what a destination spends. They may be read at any time.
type counters struct {
	statements atomic.Int64 // all that were sent, signing in aside
	data       atomic.Int64 // of these, those that need a warehouse
	bytes      atomic.Int64 // put on the stage
	rows       atomic.Int64 // loaded from there
}

// freeVerbs begin statements that need no warehouse.
// https://docs.snowflake.com/en/user-guide/warehouses-overview and cost-understanding-overall (cloud services).
var freeVerbs = map[string]bool{
	"PUT": true, "GET": true, "LIST": true, "REMOVE": true, "SHOW": true, "DESCRIBE": true, "CREATE": true, "ALTER": true, "DROP": true,
	"USE": true, "BEGIN": true, "COMMIT": true, "ROLLBACK": true, "COMMENT": true, "GRANT": true, "UNDROP": true,
}

// needsWarehouse reports whether a statement needs a warehouse to run.
func needsWarehouse(query string) bool {
	query = strings.TrimSpace(query)
	verb := upper(query)
	if i := strings.IndexAny(verb, " \t\n("); i >= 0 {
		verb = verb[:i]
	}
	return !freeVerbs[verb] || verb == "CREATE" && strings.Contains(upper(query), " TABLE ") && strings.Contains(upper(query), " AS SELECT ")
}

func (c *counters) statement(query string) {
	c.statements.Add(1)
	if needsWarehouse(query) {
		c.data.Add(1)
	}
}
