package marketo

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"time"

	"github.com/martsync/martsync"
)

// A tokenStream reads the local tokens of folders and programs, each of which has to be asked for its
// own. All of them are asked every so often; in between only those that are new or were updated, since
// the documentation does not say whether a token that changes moves the update of its folder.
//
// Tokens of a folder that are those of the last time go no further, as with the members of lists.
// Source: Marketo REST API, Tokens; Folders.
type tokenStream struct {
	source *source
	schema martsync.Schema
}

func newTokenStream(s *source) *tokenStream {
	return &tokenStream{source: s, schema: martsync.Schema{
		Stream: "tokens", Key: []string{"parent", "name", "type"}, Deletes: true,
		Columns: append([]martsync.Column{
			ours("parent", martsync.String, "the folder or program, by type and id"),
			ours("folder_type", martsync.String, "Folder or Program"),
			ours("folder_id", martsync.Int64, "of the folder or program"),
		}, fieldList("name", "type", "value", "computedUrl")...),
	}}
}

func (s *tokenStream) Schema() martsync.Schema { return s.schema }

// A tokenPosition is the cursor of tokens. Times are seconds since 1970.
type tokenPosition struct {
	Read  int64     `json:"read,omitempty"`  // when the last pass over all folders began
	Since int64     `json:"since,omitempty"` // folders that were updated before this have been asked
	Pass  int64     `json:"pass,omitempty"`  // when the pass under way began; 0: none is
	Done  int64     `json:"done,omitempty"`  // of that pass: the last folder that was asked, by its number
	Sums  summaries `json:"sums,omitempty"`  // folders that have rows in the table, by their numbers
}

func (p tokenPosition) cursor() martsync.Cursor { return martsync.Cursor(filterJSON(p)) }

// number makes one number of a place.
func (p place) number() int64 {
	if p.program {
		return 2*p.id + 1
	}
	return 2 * p.id
}

func placeNumbered(n int64) place { return place{id: n / 2, program: n%2 == 1} }

// Read asks all folders or those that were updated.
func (s *tokenStream) Read(ctx context.Context, from martsync.Cursor, _ martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		pass := tokenPass{stream: s, yield: yield}
		if from != "" {
			if err := json.Unmarshal([]byte(from), &pass.at); err != nil {
				yield(martsync.Batch{}, badCursor(s.schema.Stream, err))
				return
			}
		}
		now := s.source.now()
		all := pass.at.Pass != 0 || pass.at.Read == 0 || now.Sub(time.Unix(pass.at.Read, 0)) >= time.Duration(s.source.cfg.Tokens.Every)
		if all && pass.at.Pass == 0 {
			pass.at.Pass, pass.at.Done = now.Unix(), -1
		}
		since := time.Time{}
		if !all {
			since = time.Unix(pass.at.Since, 0).Add(-assetOverlap)
		}
		updated, stable, err := pass.places(ctx, since, now)
		if err != nil {
			yield(martsync.Batch{}, err)
			return
		}
		for _, n := range sortedKeys(updated) {
			due := n > pass.at.Done
			if !all {
				// Whoever does not tell when it was updated is asked each time.
				due = updated[n].IsZero() || !updated[n].Before(since)
			}
			if due && !pass.ask(ctx, placeNumbered(n), all) {
				return
			}
		}
		next := tokenPosition{Read: pass.at.Read, Since: now.Unix(), Sums: pass.at.Sums}
		if all {
			if stable && !pass.forget(updated) {
				return
			}
			next = tokenPosition{Read: pass.at.Pass, Since: pass.at.Pass, Sums: pass.at.Sums}
		}
		pass.flush(martsync.Batch{Cursor: next.cursor()})
	}
}

func sortedKeys[V any](m map[int64]V) []int64 {
	keys := make([]int64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// A tokenPass is one read of a tokenStream.
type tokenPass struct {
	stream *tokenStream
	yield  func(martsync.Batch, error) bool
	at     tokenPosition
	quiet  int // folders without news since the last cursor

	raw   []martsync.Raw // pages that have not been yielded yet
	size  int
	bytes int64
}

// places lists folders and programs with the time of their last update. Programs are folders, too, but
// nothing promises that the listing of folders has them. After since, only the programs that were
// updated are asked for; folders cannot be. Stable says that nothing moved while the listings were read.
func (p *tokenPass) places(ctx context.Context, since, now time.Time) (updated map[int64]time.Time, stable bool, err error) {
	updated = map[int64]time.Time{}
	var bounds url.Values
	if !since.IsZero() {
		if !since.Before(now) {
			return updated, true, nil
		}
		bounds = url.Values{"earliestUpdatedAt": {wireTime(since)}, "latestUpdatedAt": {wireTime(now)}}
	}
	stable = true
	for _, l := range []struct {
		op, path string
		q        url.Values
		of       func([]byte) (place, error)
	}{
		{"list folders", foldersPath, url.Values{"maxDepth": {foldersDeep}}, placeOf},
		{"list programs", assets[0].path, bounds, func(raw []byte) (place, error) {
			id, err := recordID(raw)
			return place{id, true}, err
		}},
	} {
		settled := false
		for walk := 1; walk <= mostWalks && !settled; walk++ {
			news, filled := 0, 0
			for page, err := range p.stream.source.offsetPages(ctx, l.op, l.path, l.q) {
				if err != nil {
					return nil, false, err
				}
				page.bare = true
				p.keep((&taken{page: page}).kept())
				if len(page.env.Result) > 0 {
					filled++
				}
				for _, raw := range page.env.Result {
					at, err := l.of(raw)
					if err != nil {
						return nil, false, &martsync.Error{Kind: martsync.Data, Op: "marketo: " + l.op, Err: fmt.Errorf("reply %s: %w", page.env.RequestID, err)}
					}
					before, had := updated[at.number()]
					if !had {
						news++
					}
					if t := updateOf(raw); !had || t.After(before) {
						updated[at.number()] = t
					}
				}
			}
			settled = filled <= 1 || walk > 1 && news == 0
		}
		stable = stable && settled
	}
	return updated, stable, nil
}

// updateOf is when a record was updated; zero if it does not say.
func updateOf(raw []byte) time.Time {
	var r struct {
		UpdatedAt string `json:"updatedAt"`
	}
	if json.Unmarshal(raw, &r) != nil {
		return time.Time{}
	}
	at, ok := parseSecond(r.UpdatedAt)
	if !ok {
		return time.Time{}
	}
	return at.time()
}

// ask reads the tokens of a folder and reports whether to go on. In a pass over all of them the
// position moves on.
func (p *tokenPass) ask(ctx context.Context, of place, all bool) bool {
	path := fmt.Sprintf("%sfolder/%d/tokens.json", assetRoot, of.id)
	page, err := p.stream.source.reply(ctx, "list the tokens of "+of.String(), path, url.Values{"folderType": {of.kind()}})
	if vanished(err) {
		page, err = emptyPage(path), nil // deleted since it was listed: it has none
	}
	if err != nil {
		p.yield(martsync.Batch{}, err)
		return false
	}
	page.parent = of.String()
	rows := newShapedReader(&p.stream.schema, tokenRows)
	t := rows.take(page)
	if all {
		p.at.Done = of.number()
	}
	before, had := p.at.Sums.find(of.number())
	now := summary{List: of.number()}
	if !t.bad() {
		now.Sum = max(rows.total()&sumMask, 1)
	}
	none := len(rows.seen) == 0 && !t.bad()
	if had && now.Sum == before.Sum && now.Sum != 0 || !had && none {
		t.pass()
		p.keep(t.kept())
		p.bytes += page.env.Bytes
		if p.quiet++; p.quiet < quietLists && p.size < rawMost {
			return true
		}
		return p.flush(martsync.Batch{Cursor: p.at.cursor()})
	}
	if !rows.emit(&t, func(b martsync.Batch) bool { return p.yield(b, nil) }) {
		return false
	}
	if p.at.Sums = p.at.Sums.without(of.number()); !none {
		if rows.quarantined > 0 {
			now.Sum = 0 // not every row is in the table
		}
		p.at.Sums = p.at.Sums.with(now)
	}
	b := rows.rest()
	b.Cursor = p.at.cursor()
	if rows.quarantined == 0 { // else a token exists and no row says so
		b.Complete = tokenScope(of)
	}
	if rows.parsed > 0 {
		b.Window = rows.window(martsync.Window{Filter: filterJSON(map[string]any{"path": path, "folderType": of.kind()})})
	}
	return p.flush(b)
}

func tokenScope(of place) *martsync.Scope {
	return &martsync.Scope{Column: "parent", Value: of.String()}
}

func emptyPage(path string) page { return page{path: path, env: &envelope{Success: true, Calls: 1}} }

// forget empties the folders that had tokens and are no more.
func (p *tokenPass) forget(exist map[int64]time.Time) bool {
	for _, s := range p.at.Sums {
		if _, ok := exist[s.List]; ok {
			continue
		}
		p.at.Sums = p.at.Sums.without(s.List)
		if !p.flush(martsync.Batch{Cursor: p.at.cursor(), Complete: tokenScope(placeNumbered(s.List))}) {
			return false
		}
	}
	return true
}

func (p *tokenPass) keep(raw []martsync.Raw) {
	for _, r := range raw {
		p.size += len(r.Data)
	}
	p.raw = append(p.raw, raw...)
}

// flush yields b with the pages that wait.
func (p *tokenPass) flush(b martsync.Batch) bool {
	b.Raw, p.raw, p.size = append(p.raw, b.Raw...), nil, 0
	b.Bytes, p.bytes = b.Bytes+p.bytes, 0
	if b.Cursor != "" {
		p.quiet = 0
	}
	return p.yield(b, nil)
}

// tokenRows makes rows of the tokens of a folder. What a reply says of another folder is left to that
// one's own.
func tokenRows(raw []byte, parent string) ([][]byte, error) {
	var in struct {
		Folder struct {
			Type  string          `json:"type"`
			Value json.RawMessage `json:"value"`
			ID    json.RawMessage `json:"id"`
		} `json:"folder"`
		Tokens []json.RawMessage `json:"tokens"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("not the tokens of a folder: %w", err)
	}
	of, err := placeNamed(parent)
	if err != nil {
		return nil, err
	}
	for _, id := range []json.RawMessage{in.Folder.Value, in.Folder.ID} {
		if n, err := json.Number(bare(id)).Int64(); err == nil && n != of.id {
			return nil, nil
		}
	}
	if in.Folder.Type != "" && (place{of.id, isProgram(in.Folder.Type)}) != of {
		return nil, nil
	}
	var rows [][]byte
	for _, t := range in.Tokens {
		row, err := with(t, "parent", quoted(parent), "folder_type", quoted(of.kind()), "folder_id", fmt.Sprint(of.id))
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
