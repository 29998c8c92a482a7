package sourcetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

var wordSchema = martsync.Schema{Stream: "words", Key: []string{"word"}, Deletes: true, Columns: []martsync.Column{{Name: "word", Type: martsync.String}}}

// words replays lines: "!word" is one for the quarantine, "-word" a tombstone. Spoil does something wrong.
type words struct {
	spoil func(*martsync.Batch)
	late  bool // reads a body after the next one was asked for
	deaf  bool // takes an error for the end
}

func (words) KeepRaw() {}

func (w words) Replay(ctx context.Context, s martsync.Schema, bodies iter.Seq2[martsync.RawBody, error]) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		all := []io.Reader{}
		for b, err := range bodies {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			if err != nil {
				if !w.deaf {
					yield(martsync.Batch{}, err)
				}
				return
			}
			if w.late {
				all = append(all, b.Data)
				continue
			}
			if err := w.body(s, b.Data, yield); err != nil {
				if !w.deaf && !errors.Is(err, errLeft) {
					yield(martsync.Batch{}, err)
				}
				return
			}
		}
		for _, r := range all {
			if err := w.body(s, r, yield); err != nil {
				yield(martsync.Batch{}, err)
				return
			}
		}
	}
}

func (w words) body(s martsync.Schema, r io.Reader, yield func(martsync.Batch, error) bool) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	b := wordBatch(s, string(text))
	if w.spoil != nil {
		w.spoil(&b)
	}
	if !yield(b, nil) {
		return errLeft
	}
	return nil
}

var errLeft = errors.New("the reader left")

func wordBatch(s martsync.Schema, text string) (b martsync.Batch) {
	builder := rows.NewBuilder(s.Columns)
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "!"):
			b.Quarantined = append(b.Quarantined, martsync.Quarantined{Line: int64(i) + 1, Reason: "bad", Raw: line})
		case strings.HasPrefix(line, "-"):
			builder.AppendTombstone(line[1:])
		default:
			builder.Append(line)
		}
	}
	b.Records = builder.Records()
	return b
}

func steps(pieces ...any) (all []step) {
	for _, p := range pieces {
		switch p := p.(type) {
		case martsync.Raw:
			b := wordBatch(wordSchema, string(p.Data))
			b.Raw = []martsync.Raw{p}
			all = append(all, step{b, wordSchema})
		case martsync.Batch:
			all = append(all, step{p, wordSchema})
		}
	}
	return all
}

func piece(name string, offset int64, text string) martsync.Raw {
	return martsync.Raw{Body: name, Offset: offset, Data: []byte(text)}
}

var verified = martsync.Batch{Cursor: "c"}

func TestUnits(t *testing.T) {
	staged := martsync.Batch{Cursor: "s", Unverified: true}
	discard := martsync.Batch{Cursor: "d", Discard: true}
	joined := martsync.Batch{Cursor: "c", Raw: []martsync.Raw{piece("p", 0, "x\n"), piece("p", 0, "y\n")}}
	for _, c := range []struct {
		name  string
		steps []step
		want  string // bodies of the units, or the error
	}{
		{"one file in pieces", steps(piece("a", 0, "one\n"), staged, piece("a", 4, "two\n"), verified), "[a+0=one,two]"},
		{"what follows the last cursor", steps(piece("a", 0, "one\n"), verified, piece("b", 0, "two\n")), "[a+0=one]"},
		{"two pages of one name", steps(piece("p", 0, "one\n"), piece("p", 0, "two\n"), verified), "[p+0=one p+0=two]"},
		{"pages that came together", steps(joined), "[p+0=x p+0=y]"},
		{"a file over two units", steps(piece("a", 0, "one\n"), verified, piece("a", 4, "two\n"), verified), "[a+0=one] [a+4=two]"},
		{"a file that was taken back", steps(piece("a", 0, "one\n"), staged, discard, piece("a", 0, "two\n"), verified), "[a+0=two]"},
		{"the second half taken back", steps(piece("a", 0, "one\n"), verified, piece("a", 4, "no\n"), discard, piece("a", 4, "two\n"), verified), "[a+0=one] [a+4=two]"},
		{"a gap", steps(piece("a", 0, "one\n"), piece("a", 5, "two\n"), verified), "piece of body a at 5 follows"},
		{"another name", steps(piece("a", 0, "one\n"), piece("b", 4, "two\n"), verified), "piece of body b at 4 follows"},
		{"no name", steps(piece("", 0, "one\n"), verified), "named"},
		{"half of JSON", steps(martsync.Raw{Body: "a", How: "{", Data: []byte("x\n")}, verified), "want JSON"},
		{"a body that is discarded at once", steps(martsync.Batch{Cursor: "d", Discard: true, Raw: joined.Raw}), "belongs to nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			units, err := unitsOf(&wordSchema, c.steps)
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				return
			}
			var got []string
			for i := range units {
				var bodies []string
				for _, b := range units[i].bodies {
					bodies = append(bodies, fmt.Sprintf("%s+%d=%s", b.name, b.offset, strings.ReplaceAll(strings.TrimSpace(string(b.data)), "\n", ",")))
				}
				got = append(got, fmt.Sprint(bodies))
			}
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// The laws are worth something only if they notice a source that breaks them.
func TestReplayIsCompared(t *testing.T) {
	units, err := unitsOf(&wordSchema, steps(piece("a", 0, "one\n-two\n!three\n"), piece("b", 0, "four\n"), verified))
	if err != nil || len(units) != 1 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	for _, c := range []struct {
		name     string
		replayer words
		want     string // in the error of replay; "": none
		broken   string // in the error of replayBroken
	}{
		{name: "a good one"},
		{"a row is missing", words{spoil: func(b *martsync.Batch) { b.Records.Len = 0; b.Records = nil }}, "rows", ""},
		{"a tombstone is a row", words{spoil: func(b *martsync.Batch) { b.Records.Tombstone = nil }}, "rows", ""},
		{"the quarantine is lost", words{spoil: func(b *martsync.Batch) { b.Quarantined = nil }}, "quarantine", ""},
		{"it has a cursor", words{spoil: func(b *martsync.Batch) { b.Cursor = "c" }}, "more than records", ""},
		{"it reads late", words{late: true}, errStale.Error(), "torn"},
		{"it ignores errors", words{deaf: true}, "", "missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, check := range []struct {
				what string
				err  error
				want string
			}{
				{"replay", units[0].replay(t.Context(), c.replayer, wordSchema), c.want},
				{"replay of broken bodies", units[0].replayBroken(t.Context(), c.replayer, wordSchema), c.broken},
			} {
				switch {
				case check.want == "" && check.err != nil:
					t.Errorf("%s: %v", check.what, check.err)
				case check.want != "" && (check.err == nil || !strings.Contains(check.err.Error(), check.want)):
					t.Errorf("%s: got %v, want something about %q", check.what, check.err, check.want)
				}
			}
		})
	}
}

func TestSumsAreCompared(t *testing.T) {
	hexSum := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	window := func(text string, n int64) martsync.Batch {
		return martsync.Batch{Cursor: "c", Window: &martsync.Window{Job: "j", Bytes: n, SHA256: hexSum(text)}}
	}
	served := func(text string) func(string) string {
		return func(body string) string {
			if body == "a" {
				return hexSum(text)
			}
			return ""
		}
	}
	for _, c := range []struct {
		name   string
		steps  []step
		served func(string) string
		known  int
		want   string
	}{
		{"equal", steps(piece("a", 0, "one\n"), piece("a", 4, "two\n"), window("one\ntwo\n", 8)), served("one\ntwo\n"), 1, ""},
		{"over two units", steps(piece("a", 0, "one\n"), verified, piece("a", 4, "two\n"), window("one\ntwo\n", 8)), served("one\ntwo\n"), 1, ""},
		{"a page among files", steps(piece("p", 0, "one\n"), verified), served("one\n"), 0, ""},
		{"served other bytes", steps(piece("a", 0, "one\n"), verified), served("two\n"), 1, "the account served"},
		{"the ledger has another sum", steps(piece("a", 0, "one\n"), window("two\n", 4)), nil, 0, "no body has"},
		{"the ledger has another size", steps(piece("a", 0, "one\n"), window("one\n", 5)), nil, 0, "no body has"},
	} {
		t.Run(c.name, func(t *testing.T) {
			units, err := unitsOf(&wordSchema, c.steps)
			if err != nil {
				t.Fatal(err)
			}
			known := 0
			for i := range units {
				var next *unit
				if i+1 < len(units) {
					next = &units[i+1]
				}
				n, e := units[i].checkSums(c.served, next)
				if known += n; e != nil {
					err = e
				}
			}
			if known != c.known || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d known, %v, want %d and %q", known, err, c.known, c.want)
			}
		})
	}
}
