package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/internal/truth"
)

// demoTable marks a file as one that a demo made, and may replace.
const (
	demoTable = "_martsync_demo"
	demoMark  = "CREATE TABLE IF NOT EXISTS " + demoTable + " AS SELECT 'made by martsync demo; the next demo replaces this file' AS note"
)

// A demoQuery is a question to the tables, and its answer.
type demoQuery struct {
	Title   string     `json:"title"`
	SQL     string     `json:"sql"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// demoQueries are what people try first, by vendor.
var demoQueries = map[string][]demoQuery{
	"marketo": {
		{Title: "The newest leads", SQL: "SELECT id, first_name, last_name, company, created_at\nFROM leads WHERE NOT _deleted ORDER BY created_at DESC, id DESC LIMIT 5"},
		{Title: "What people did, by type of activity", SQL: "SELECT activity_type_id AS type, count(*) AS activities, count(DISTINCT lead_id) AS people,\n       max(activity_date) AS newest\nFROM activities GROUP BY type ORDER BY activities DESC, type LIMIT 5"},
		{Title: "Who was merged into whom", SQL: "SELECT m.loser_id, m.winner_id, w.email AS winner, m.merged_at\nFROM lead_merges m LEFT JOIN leads w ON w.id = m.winner_id ORDER BY m.merged_at DESC LIMIT 5"},
	},
	"pardot": {
		{Title: "The newest prospects", SQL: "SELECT id, first_name, last_name, company, score, created_at\nFROM prospects WHERE NOT _deleted ORDER BY created_at DESC, id DESC LIMIT 5"},
		{Title: "What visitors did, by type of activity", SQL: "SELECT type, any_value(type_name) AS of_what, count(*) AS activities, count(DISTINCT prospect_id) AS people,\n       max(created_at) AS newest\nFROM visitor_activities GROUP BY type ORDER BY activities DESC, type LIMIT 5"},
		{Title: "The largest lists", SQL: "SELECT l.name, count(*) AS members, count(*) FILTER (m.opted_out) AS opted_out\nFROM list_memberships m JOIN lists l ON l.id = m.list_id\nWHERE NOT m._deleted AND NOT l._deleted GROUP BY l.id, l.name ORDER BY members DESC, l.id LIMIT 5"},
	},
}

func showCell(c any) string {
	switch c := c.(type) {
	case nil:
		return "–"
	case time.Time:
		return c.UTC().Format("2006-01-02 15:04:05")
	case []byte:
		return string(c)
	default:
		return fmt.Sprint(c)
	}
}

var viewName = regexp.MustCompile(`(?i)\bVIEW\s+(?:IF NOT EXISTS\s+)?((?:"[^"]*"|[\w.]+)+)`)

// viewNames finds the names of the views that the statements create.
func viewNames(statements []string) []string {
	var names []string
	for _, s := range statements {
		if m := viewName.FindStringSubmatch(s); m != nil {
			parts := strings.Split(strings.ReplaceAll(m[1], `"`, ""), ".")
			names = append(names, parts[len(parts)-1])
		}
	}
	return names
}

// print writes the report for somebody who sees all this for the first time.
func (d *demo) print(r *demoResult) error {
	o := d.a.out
	for _, v := range r.Vendors {
		d.a.print("")
		d.a.print("%s  %s → %s, schema %s", o.Paint(report.Bold, "What was moved"), v.Title, r.Path, v.Schema)
		if err := d.printTables(v); err != nil {
			return err
		}
		d.printProof(v)
		if err := d.printCost(v); err != nil {
			return err
		}
		d.printFaults(v)
		d.printChanges(v)
	}
	for i, q := range r.Queries {
		d.a.print("")
		d.a.print("%s  %s", o.Paint(report.Bold, fmt.Sprintf("Query %d", i+1)), q.Title)
		for line := range strings.SplitSeq(q.SQL, "\n") {
			d.a.print("  %s", o.Paint(report.Cyan, line))
		}
		t := report.Table{}
		for i, c := range q.Columns {
			t.Columns = append(t.Columns, report.Column{Name: c, Flexible: true, Right: numbers(q.Rows, i)})
		}
		for _, row := range q.Rows {
			t.Add(row...)
		}
		if err := t.WriteTo(o); err != nil {
			return err
		}
	}
	d.a.print("")
	if r.OK {
		d.a.print("%s  Every table was equal to the vendor's data, row by row, after both syncs.", o.Paint(report.Green, "✓ Complete."))
	} else {
		d.a.print("%s  See the tables marked ✗ above.", o.Paint(report.Red, "✗ Not a perfect copy."))
	}
	d.a.print("  %s, %s, made in %s on this machine.", r.Path, report.Bytes(r.Size), seconds(r.Took))
	d.a.print("")
	d.a.print("%s", o.Paint(report.Bold, "Next"))
	d.a.print("  martsync init                    connect your own account: a few questions, two small files")
	d.a.print("  duckdb %-25s look around in the tables, if you have the DuckDB shell", r.Path)
	return nil
}

// printFaults tells what went wrong on purpose.
func (d *demo) printFaults(v *demoVendor) {
	if len(v.Faults) == 0 {
		return
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(v.Faults)) {
		list = append(list, fmt.Sprintf("%s ×%d", name, v.Faults[name]))
	}
	d.a.print("")
	d.a.print("%s  that the vendor had on purpose: %s", d.a.out.Paint(report.Bold, "Faults"), strings.Join(list, ", "))
}

// numbers reports whether a column of an answer holds nothing but numbers.
func numbers(rows [][]string, column int) bool {
	for _, row := range rows {
		if _, err := strconv.ParseFloat(row[column], 64); err != nil {
			return false
		}
	}
	return true
}

func seconds(s float64) string { return report.Duration(time.Duration(s * float64(time.Second))) }

// printTables lists what each table has, and whether it is what the vendor has.
func (d *demo) printTables(v *demoVendor) error {
	o := d.a.out
	t := report.Table{Columns: []report.Column{
		{Name: "table"},
		{Name: "rows", Right: true},
		{Name: "read", Right: true},
		{Name: "written by 2nd", Right: true},
		{Name: "rows now", Right: true},
		{Name: "deleted", Right: true},
		{Name: "equal to the vendor's"},
	}}
	for i, now := range v.Second.Tables {
		var first truth.Report
		if i < len(v.First.Tables) {
			first = v.First.Tables[i]
		}
		var read, fresh int64
		for _, s := range v.First.Streams {
			if s.Stream == now.Table {
				read = s.Bytes
			}
		}
		for _, s := range v.Second.Streams {
			if s.Stream == now.Table {
				fresh = s.Rows
			}
		}
		t.Add(now.Table, report.Count(first.Rows), report.Bytes(read), report.Count(fresh), report.Count(now.Rows), report.Count(now.Deleted),
			o.Mark(first.OK())+" 1st sync  "+o.Mark(now.OK())+" 2nd sync")
	}
	if err := t.WriteTo(o); err != nil {
		return err
	}
	d.printDifferences("first", v.First.Tables)
	d.printDifferences("second", v.Second.Tables)
	return nil
}

func (d *demo) printDifferences(sync string, tables []truth.Report) {
	for i := range tables {
		if !tables[i].OK() {
			d.a.print("  %s %s sync, %s", d.a.out.Mark(false), sync, tables[i].String())
		}
	}
}

// printProof says what the ledger proves.
func (d *demo) printProof(v *demoVendor) {
	var sum ledgerSum
	sum.OK = true
	for _, l := range v.Second.Ledger {
		sum.Windows += l.Windows
		sum.Parsed += l.Parsed
		sum.Quarantined += l.Quarantined
		sum.Written += l.Written
		sum.Counted += l.Counted
		sum.OK = sum.OK && l.OK
	}
	d.a.print("")
	d.a.print("%s  each file and listing has a row in the table _martsync_ledger", d.a.out.Paint(report.Bold, "Proof"))
	counted := ""
	if sum.Counted > 0 {
		counted = fmt.Sprintf("; the vendor's own counts of %s say the same", report.Plural(sum.Counted, "window", "windows"))
	}
	d.a.print("  %s %s: %s read = %s written + %s in quarantine%s",
		d.a.out.Mark(sum.OK), report.Plural(sum.Windows, "window", "windows"), report.Plural(sum.Parsed, "record", "records"),
		report.Count(sum.Written), report.Count(sum.Quarantined), counted)
}

// printCost says what it would have cost with the real vendor.
func (d *demo) printCost(v *demoVendor) error {
	o := d.a.out
	d.a.print("")
	d.a.print("%s  in the vendor's limits, which all your integrations share", o.Paint(report.Bold, "Cost"))
	t := report.Table{Columns: []report.Column{
		{Name: ""},
		{Name: "API calls" + limit(v.Usage, "calls"), Right: true},
		{Name: "exported" + limit(v.Usage, "bytes"), Right: true},
		{Name: "export jobs", Right: true},
		{Name: "waits, skipped here", Right: true},
	}}
	line := func(name string, s *demoSync) {
		t.Add(name, report.Count(int64(s.Calls)), report.Bytes(s.Exported), report.Count(int64(s.Jobs)), seconds(s.Skipped))
	}
	line("everything, once", &v.First)
	line("a day later", &v.Second)
	if err := t.WriteTo(o); err != nil {
		return err
	}
	if v.Second.Calls > v.First.Calls || v.Second.Jobs > v.First.Jobs {
		// Simulated accounts are small and ask for it.
		d.a.print("  A day later includes reading whole what shows changes and deletions in no other way. Of a real account that is done once a")
		d.a.print("  week or a month: the settings are in the README of the source, and martsync plan says what they cost.")
	}
	return nil
}

// limit writes the daily limit of the first usage in that unit.
func limit(usage []martsync.Usage, unit string) string {
	for _, u := range usage {
		if u.Unit == unit && u.Limit > 0 {
			if unit == "bytes" {
				return " of " + report.Bytes(u.Limit) + " a day"
			}
			return " of " + report.Count(u.Limit) + " a day"
		}
	}
	return ""
}

func (d *demo) printChanges(v *demoVendor) {
	d.a.print("")
	arrived := ""
	if v.Second.ok() {
		arrived = ", all of which arrived"
	}
	width, _ := d.a.out.Size()
	d.a.print("%s  at the vendor between the two syncs%s", d.a.out.Paint(report.Bold, "Changes"), arrived)
	for _, c := range v.Changes {
		d.a.print("  · %s", report.Wrap(c, width, 4))
	}
	if n := len(v.Views); n > 0 {
		d.a.print("")
		d.a.print("%s  %s, such as %s", d.a.out.Paint(report.Bold, "Views"), report.Count(int64(n)), strings.Join(v.Views[:min(n, 4)], ", "))
	}
}
