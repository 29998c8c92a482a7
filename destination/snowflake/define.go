package snowflake

import (
	"context"
	"strings"

	"github.com/martsync/martsync"
)

var _ martsync.Definer = (*destination)(nil)

// TableStatements returns the SQL that creates the table of s, the system tables and the stage. All names are
// qualified, so that the statements can be run in any client. They need no warehouse.
func (d *destination) TableStatements(s martsync.Schema) []string {
	out := []string{d.createSchema()}
	for _, t := range systemTables() {
		out = append(out, d.createTable(t.Name, t.Columns, systemComment))
	}
	if d.config.Stage.Name == "" {
		out = append(out, d.createStage())
	}
	return append(out, d.createStream(s))
}

// Exec runs the statements. In Snowflake a statement that defines something commits at once, and whatever was done
// before it too; so those come first, each of them harmless to repeat, and the others run in one
// transaction after them.
func (d *destination) Exec(ctx context.Context, statements []string) error {
	const op = "run statements"
	defines := 0
	for defines < len(statements) && !changesRows(statements[defines]) {
		defines++
	}
	for _, q := range statements[defines:] {
		if !changesRows(q) {
			return bug(op, "%.60q would commit what comes before it", q)
		}
	}
	return d.with(ctx, op, func(s *session) error {
		if err := s.execAll(ctx, statements[:defines]); err != nil || defines == len(statements) {
			return err
		}
		return s.tx(ctx, func() error { return s.execAll(ctx, statements[defines:]) })
	})
}

// changesRows reports whether a statement can be part of a transaction.
func changesRows(statement string) bool {
	verb, _, _ := strings.Cut(strings.TrimSpace(upper(statement)), " ")
	switch verb {
	case "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "SELECT":
		return true
	}
	return false
}
