package sqlgen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/martsync/martsync"
)

// MetadataView is the name of the generic view that lists the tables.
const MetadataView = "metadata"

// A Layout tells which columns a table has. Tables that do not exist are not in the map.
type Layout map[string][]string

func (l Layout) has(table, column string) bool { return slices.Contains(l[table], column) }

// View is the statement that makes a view over the tables of a database schema. It has those
// of the view's columns that exist. ok is false if the view makes no sense: a table or a
// column it depends on does not exist, or nothing is left to show.
func (d Dialect) View(schema string, v martsync.View, tables Layout) (statement string, ok bool) {
	if _, ok := tables[v.From]; !ok {
		return "", false
	}
	if v.Follow != nil {
		return d.followed(schema, v, tables)
	}
	var shown []string
	for _, c := range v.Columns {
		table, alias := v.From, "a."
		if c.Joined {
			if v.Join == nil || v.Join.Anti {
				continue
			}
			table, alias = v.Join.Stream, "b."
		}
		if tables.has(table, c.Column) {
			shown = append(shown, d.viewColumn(alias, c)+" AS "+Ident(c.Name))
		}
	}
	if len(shown) == 0 {
		return "", false
	}
	var b strings.Builder
	b.WriteString("CREATE OR REPLACE VIEW " + Name(schema, v.Name) + " AS\nSELECT")
	if v.Distinct {
		b.WriteString(" DISTINCT")
	}
	b.WriteString("\n  " + strings.Join(shown, ",\n  "))
	b.WriteString("\nFROM " + Name(schema, v.From) + " AS a")

	var where []string
	for _, c := range v.Where {
		if !tables.has(v.From, c.Column) {
			return "", false
		}
		switch c.Op {
		case "=":
			where = append(where, fmt.Sprintf("a.%s = %d", Ident(c.Column), c.Value))
		case "is not null":
			where = append(where, "a."+Ident(c.Column)+" IS NOT NULL")
		default:
			return "", false
		}
	}
	if j := v.Join; j != nil {
		var on []string
		for _, pair := range j.On {
			if !tables.has(v.From, pair[0]) || !tables.has(j.Stream, pair[1]) {
				return "", false
			}
			on = append(on, "a."+Ident(pair[0])+" = b."+Ident(pair[1]))
		}
		if len(on) == 0 {
			return "", false
		}
		if j.Anti {
			where = append(where, "NOT EXISTS (SELECT 1 FROM "+Name(schema, j.Stream)+" AS b WHERE "+strings.Join(on, " AND ")+")")
		} else {
			b.WriteString("\nLEFT JOIN " + Name(schema, j.Stream) + " AS b ON " + strings.Join(on, " AND "))
		}
	}
	if len(where) > 0 {
		b.WriteString("\nWHERE " + strings.Join(where, "\n  AND "))
	}
	return b.String(), true
}

// CanonicalID is the column of a view that follows records to what they have become.
const CanonicalID = "canonical_id"

// mostMerges bounds how many times a record has been merged on. Merges in a circle, which only wrong data has, would
// not end.
const mostMerges = 100

// followed is the statement of a view with Follow.
func (d Dialect) followed(schema string, v martsync.View, tables Layout) (statement string, ok bool) {
	f := v.Follow
	if !tables.has(v.From, f.Key) || !tables.has(f.Stream, f.Old) || !tables.has(f.Stream, f.New) {
		return "", false
	}
	from, merges, key, old, next := Name(schema, v.From), Name(schema, f.Stream), Ident(f.Key), Ident(f.Old), Ident(f.New)
	shown := []string{"c.id AS " + Ident(f.Key), "c.canonical_id AS " + Ident(followName(f.Key))}
	for _, c := range v.Columns {
		if tables.has(v.From, c.Column) && c.Column != f.Key {
			shown = append(shown, d.viewColumn("a.", c)+" AS "+Ident(c.Name))
		}
	}
	return "CREATE OR REPLACE VIEW " + Name(schema, v.Name) + " AS\n" +
		"WITH RECURSIVE merged (id, canonical_id, merges) AS (\n" +
		"  SELECT m." + old + ", m." + next + ", 1 FROM " + merges + " AS m\n" +
		"  UNION ALL\n" +
		"  SELECT f.id, m." + next + ", f.merges + 1 FROM merged AS f JOIN " + merges + " AS m ON m." + old + " = f.canonical_id" +
		fmt.Sprintf(" WHERE f.merges < %d\n", mostMerges) +
		"),\ncanonical (id, canonical_id) AS (\n" +
		"  SELECT f.id, f.canonical_id FROM merged AS f WHERE NOT EXISTS (SELECT 1 FROM " + merges + " AS m WHERE m." + old + " = f.canonical_id)\n" +
		"  UNION ALL\n" +
		"  SELECT l." + key + ", l." + key + " FROM " + from + " AS l WHERE NOT EXISTS (SELECT 1 FROM " + merges + " AS m WHERE m." + old + " = l." + key + ")\n" +
		")\nSELECT\n  " + strings.Join(shown, ",\n  ") +
		"\nFROM canonical AS c\nLEFT JOIN " + from + " AS a ON a." + key + " = c.canonical_id", true
}

// followName is canonical_id in the spelling of the key: a warehouse that has its names in capitals has this one, too.
func followName(key string) string {
	if key == strings.ToUpper(key) && key != strings.ToLower(key) {
		return strings.ToUpper(CanonicalID)
	}
	return CanonicalID
}

func (d Dialect) viewColumn(alias string, c martsync.ViewColumn) string {
	column := alias + Ident(c.Column)
	if c.Key == "" {
		return column
	}
	switch c.Type {
	case 0, martsync.String:
		return d.Member(column, c.Key)
	case martsync.JSON:
		return d.MemberJSON(column, c.Key)
	case martsync.Decimal:
		// a member has no precision of its own; this holds every amount of money
		return d.Cast(d.Member(column, c.Key), martsync.Column{Type: martsync.Decimal, Precision: 38, Scale: 9})
	default:
		return d.Cast(d.Member(column, c.Key), martsync.Column{Type: c.Type})
	}
}

// Metadata is the statement that makes the generic view: a row for each table with the
// number of its rows and the time at which the newest was written.
func (d Dialect) Metadata(schema string, tables []string) string {
	names := slices.Clone(tables)
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("CREATE OR REPLACE VIEW " + Name(schema, MetadataView) + " AS")
	for i, t := range names {
		if i > 0 {
			b.WriteString("\nUNION ALL")
		}
		fmt.Fprintf(&b, "\nSELECT %s AS table_name, count(*) AS row_count, max(%s) AS newest FROM %s",
			Text(t), Ident(martsync.SyncedAt), Name(schema, t))
	}
	if len(names) == 0 {
		fmt.Fprintf(&b, "\nSELECT CAST(NULL AS %s) AS table_name, CAST(0 AS %s) AS row_count, CAST(NULL AS %s) AS newest WHERE false",
			d.Type(martsync.Column{Type: martsync.String}), d.Type(martsync.Column{Type: martsync.Int64}), d.Type(martsync.Column{Type: martsync.Timestamp}))
	}
	return b.String()
}
