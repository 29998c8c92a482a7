//go:build cgo && !lite

package snowflake

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/sqlgen"
)

// verbs are the first words of the statements that were sent; those that needed the warehouse are marked.
func verbs(server *snowflakesim.Server) string {
	var out []string
	for _, s := range server.Statements() {
		verb := strings.Fields(s.SQL)[0]
		if s.Warehouse != "" {
			verb += "!"
		}
		out = append(out, verb)
	}
	return strings.Join(out, " ")
}

// TestPosition asks for the position of a table in each state that it may be in. Every statement counts: none changes
// anything, and the warehouse is asked only where the stage leaves a doubt.
func TestPosition(t *testing.T) {
	t.Parallel()
	for _, identifiers := range []string{upperIdentifiers, quotedIdentifiers} {
		t.Run(identifiers, func(t *testing.T) {
			t.Parallel()
			server := start(t, snowflakesim.Options{})
			c := connected(t, server)
			c.Identifiers = identifiers
			reopen := func() *destination {
				d := openOn(t, c)
				t.Cleanup(func() { mustDo(t, "close", d.Close()) })
				return d
			}
			want := func(what string, d *destination, stream string, position martsync.Cursor, statements string) {
				t.Helper()
				server.ResetStatements()
				if got, err := d.Position(t.Context(), stream); err != nil || got != position {
					t.Errorf("%s: got %q and error %v, want %q", what, got, err, position)
				}
				if got := verbs(server); got != statements {
					t.Errorf("%s: sent %s, want %s", what, got, statements)
				}
				for _, s := range server.Statements() {
					if s.Tag != "martsync stream="+stream {
						t.Errorf("%s: query tag of %.40s: got %q", what, s.SQL, s.Tag)
					}
				}
			}
			drop := func(kind, name string) {
				t.Helper()
				admin(t, server, "DROP "+kind+" "+name)
			}
			d := reopen()
			want("no schema", d, small.Stream, "", "SHOW")

			mustDo(t, "close the writer", openWriter(t, d).Close())
			want("an empty table", d, small.Stream, "", "SHOW LIST GET")
			loadOnce(t, d, "first", leads(0, 5, 1))
			want("a commit", d, small.Stream, "first", "SHOW LIST GET")
			want("a second question", d, small.Stream, "first", "SHOW LIST")
			want("a table that is not there", d, "programs", "", "SHOW")

			server.Suspend(snowflakesim.DefaultWarehouse, false)
			before := server.Meter(snowflakesim.DefaultWarehouse)
			other := reopen()
			want("another process", other, small.Stream, "first", "SHOW LIST GET")
			server.ResetStatements()
			w := openWriter(t, other)
			if w.Cursor() != "first" || strings.Contains(verbs(server), "GET") {
				t.Errorf("open after a question: got cursor %q by %s, want first without a GET", w.Cursor(), verbs(server))
			}
			if after := server.Meter(snowflakesim.DefaultWarehouse); after.Resumes != before.Resumes || after.Started {
				t.Errorf("the warehouse was resumed %d times", after.Resumes-before.Resumes)
			}
			mustDo(t, "write", w.Write(t.Context(), leads(0, 5, 2)))
			mustDo(t, "stage", w.Stage(t.Context(), martsync.Commit{Next: "staged"}))
			want("rows are staged", other, small.Stream, "first", "SHOW LIST")
			mustDo(t, "commit", w.Commit(t.Context(), aCommit("second", "second")))
			mustDo(t, "close the writer", w.Close())
			want("the other one has committed", d, small.Stream, "second", "SHOW LIST GET")

			w = openWriter(t, d)
			d.after = func(statement string) error {
				if statement == "COMMIT" {
					return io.ErrUnexpectedEOF
				}
				return nil
			}
			if err := w.Commit(t.Context(), aCommit("lost", "lost")); martsync.KindOf(err) != martsync.Transient {
				t.Errorf("commit without an answer: got %v, want an error of kind transient", err)
			}
			mustDo(t, "close the writer", w.Close())
			d.after = nil
			want("a commit without an answer", d, small.Stream, "lost", "SHOW LIST SELECT!")

			drop("STAGE", d.table(stageName))
			want("no stage", d, small.Stream, "lost", "SHOW LIST SELECT!")
			drop("TABLE", d.table(sqlgen.Cursors))
			want("no table of cursors", d, small.Stream, "", "SHOW LIST SELECT")
			drop("TABLE", d.table(small.Stream))
			want("the table was dropped", d, small.Stream, "", "SHOW")
			mustDo(t, "make", d.Exec(t.Context(), []string{"CREATE TABLE " + d.table(small.Stream) + " (ID NUMBER(19,0))"}))
			want("somebody's own table", d, small.Stream, "", "SHOW")
			drop("SCHEMA", sqlgen.Name(d.database, d.schema))
			want("the schema was dropped", d, small.Stream, "", "SHOW")
		})
	}
}

// TestPositionOfADroppedTable has none although the stage still tells one, until the table is made anew.
func TestPositionOfADroppedTable(t *testing.T) {
	t.Parallel()
	d := opened(t, start(t, snowflakesim.Options{}), nil)
	loadOnce(t, d, "first", leads(0, 5, 1))
	var got []martsync.Cursor
	ask := func() {
		t.Helper()
		p, err := d.Position(t.Context(), small.Stream)
		mustDo(t, "position", err)
		got = append(got, p)
	}
	ask()
	mustDo(t, "drop", d.Exec(t.Context(), []string{"DROP TABLE " + d.table(small.Stream)}))
	ask()
	w := openWriter(t, d)
	ask()
	mustDo(t, "commit", w.Commit(t.Context(), aCommit("second", "second")))
	mustDo(t, "close the writer", w.Close())
	ask()
	if diff := cmp.Diff([]martsync.Cursor{"first", "", "", "second"}, got); diff != "" {
		t.Errorf("positions (-want +got):\n%s", diff)
	}
}

// TestPositionCannotBeAsked has who must act if the account does not tell.
func TestPositionCannotBeAsked(t *testing.T) {
	t.Parallel()
	server := start(t, snowflakesim.Options{})
	d := opened(t, server, nil)
	loadOnce(t, d, "first", leads(0, 5, 1))
	for _, verb := range []string{"SHOW", "LIST", "GET"} {
		d.hints = nil
		d.before = func(statement string) error {
			if strings.HasPrefix(statement, verb) {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if got, err := d.Position(t.Context(), small.Stream); got != "" || martsync.KindOf(err) != martsync.Transient {
			t.Errorf("no answer to %s: got %q and error %v, want one of kind transient", verb, got, err)
		}
	}
	d.before = nil
	c := connected(t, server)
	c.Password = "wrong"
	stranger := openOn(t, c)
	defer func() { mustDo(t, "close", stranger.Close()) }()
	if got, err := stranger.Position(t.Context(), small.Stream); got != "" || martsync.KindOf(err) != martsync.Auth {
		t.Errorf("a wrong password: got %q and error %v, want one of kind auth", got, err)
	}
}
