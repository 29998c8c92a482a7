//go:build cgo && !lite

package main

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// exchange puts another Marketo account under the sync, with a field of leads that the first one lacks, and returns what puts
// the first one back, and the other one again.
func (m *snowMart) exchange(clock simulate.Time) (first, other func()) {
	m.t.Helper()
	account, err := marketosim.Simulator.New(simulate.Options{Seed: 6, Rows: 70, Clock: clock})
	if err != nil {
		m.t.Fatal(err)
	}
	if err := account.(*marketosim.Server).AddField("Of_The_Other__c", "Of the other", "string"); err != nil {
		m.t.Fatal(err)
	}
	server := httptest.NewServer(account)
	m.t.Cleanup(server.Close)
	was, at := m.account, m.vendor
	first = func() { m.account, m.vendor = was, at }
	other = func() { m.account, m.vendor = account, server.URL }
	other()
	return first, other
}

// refused runs a command that must be refused because of the account that it reads, and looks at what it has done. An audit
// reads the tables before.
func (m *snowMart) refused(tables string, args ...string) {
	m.t.Helper()
	m.mart.ResetStatements()
	code, stdout, stderr := m.command(args...)
	said := strings.Join(strings.Fields(stdout+stderr), " ")
	if code != martsync.ExitConfig || !strings.Contains(said, tables+" records of account marketo:") || !strings.Contains(said, "--same-account") {
		m.t.Errorf("martsync %s: exit code %d, want %d and a word of %s\n%s", strings.Join(args, " "), code, martsync.ExitConfig, tables, said)
	}
	statements, verbs, reads := m.mart.Statements(), []string{"SHOW", "LIST", "GET"}, args[0] == "audit"
	if reads {
		verbs = append(verbs, "DESCRIBE", "SELECT")
	}
	for _, s := range statements {
		if strings.HasPrefix(s.SQL, "ALTER SESSION ") {
			continue
		}
		if !slices.Contains(verbs, strings.Fields(s.SQL)[0]) || s.Warehouse != "" && !reads {
			m.t.Errorf("martsync %s has sent %.120q", strings.Join(args, " "), s.SQL)
		}
	}
	if len(statements) == 0 {
		m.t.Error("the account was not asked anything: the test looks at nothing")
	}
}

// TestAnotherAccountIntoSnowflake exchanges the account under a sync: nothing of it comes into the tables, which get no
// column of it either, nothing is passed over, and no warehouse is woken to say so.
func TestAnotherAccountIntoSnowflake(t *testing.T) {
	long(t)
	t.Parallel()
	m, clock := marketoMart(t, "leads", "programs")
	m.must("sync")
	columns := func() string {
		return fmt.Sprint(m.see(`SELECT TABLE_NAME, COLUMN_NAME FROM MART.INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = 'MARKETO' ORDER BY 1, 2`))
	}
	before := columns()

	first, other := m.exchange(clock)
	m.refused("tables leads and programs hold", "sync")
	m.refused("table leads holds", "sync", "--backfill", "--stream", "leads")
	// two configurations that write into one schema, each with a state of its own
	m.refused("table leads holds", "sync", "--state", filepath.Join(m.dir, "elsewhere"), "--stream", "leads")
	m.refused("table leads holds", "audit", "--sample", "0", "--stream", "leads", "--repair")
	if code, stdout, _ := m.command("audit", "--stream", "leads"); code != martsync.ExitData || !strings.Contains(stdout, "table leads holds records of account") {
		t.Errorf("audit: exit code %d, want %d, and the other account's name\n%s", code, martsync.ExitData, stdout)
	}
	if diff := cmp.Diff(before, columns()); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}

	m.sync["schema"] = "other"
	m.must("sync", "--state", filepath.Join(m.dir, "other"))
	delete(m.sync, "schema")

	first()
	m.must("sync")
	m.compareOne("leads")
	m.compareOne("programs")

	// a new address of the account is said once
	other()
	m.must("sync", "--same-account")
	if columns() == before {
		t.Error("the other account has no column that the first one lacks: the test looks at nothing")
	}
	m.must("sync")
	first()
	m.refused("tables leads and programs hold", "sync", "--state", filepath.Join(m.dir, "elsewhere"))
}
