package marketo

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// leadPage is the largest page of the lead database, assetPage that of the asset API.
// Source: Marketo REST API, Lead Database; Assets.
const (
	leadPage  = 300
	assetPage = 200
)

// A pageReader turns pages of JSON records into batches.
type pageReader struct {
	builder *columns.Builder
	seen    map[int64]uint64 // hashes of records by id, so that what comes twice goes on once
	seed    maphash.Seed
	passed  ranges // records of the last page that went no further

	// Of the window under way.
	parsed, quarantined, calls, bytes int64
}

func newPageReader(cols []martsync.Column) *pageReader {
	return &pageReader{builder: columns.NewBuilder(cols), seen: map[int64]uint64{}, seed: maphash.MakeSeed()}
}

// take puts the records of a page into the builder, without those that came before as they
// are now, and returns the ones that do not fit. News is how many ids had not come before.
// Line is the position of the page in the listing.
func (p *pageReader) take(env *envelope, line int64) (news int, bad []martsync.Quarantined) {
	p.calls += env.Calls
	p.bytes += env.Bytes
	p.passed = nil
	for i, raw := range env.Result {
		id, err := recordID(raw)
		if err == nil {
			sum := maphash.Bytes(p.seed, raw)
			before, again := p.seen[id]
			if again && before == sum {
				p.passed.add(i)
				continue
			}
			p.seen[id] = sum
			if !again {
				news++
			}
		}
		p.parsed++
		if err = p.append(raw, err); err != nil {
			p.quarantined++
			bad = append(bad, quarantine(raw, env.RequestID, line+int64(i)+1, err))
		}
	}
	return news, bad
}

// append puts a record with an id into the builder.
func (p *pageReader) append(raw []byte, noID error) error {
	if noID != nil {
		return noID
	}
	return p.builder.AppendJSON(raw)
}

// again does the same with a page that was kept, without the records that went no further then.
func (p *pageReader) again(env *envelope, line int64, passed ranges) (bad []martsync.Quarantined) {
	for i, raw := range env.Result {
		if passed.has(i) {
			continue
		}
		_, err := recordID(raw)
		if err = p.append(raw, err); err != nil {
			bad = append(bad, quarantine(raw, env.RequestID, line+int64(i)+1, err))
		}
	}
	return bad
}

// flush returns what the builder holds as a batch, borrowed until clear.
func (p *pageReader) flush() martsync.Batch {
	var b martsync.Batch
	if p.builder.Len() > 0 {
		b.Records = p.builder.Records()
	}
	return b
}

// window ends the window under way.
func (p *pageReader) window(w martsync.Window) *martsync.Window {
	w.Records, w.Bytes, w.Parsed, w.Quarantined, w.Calls = -1, -1, p.parsed, p.quarantined, p.calls
	p.parsed, p.quarantined, p.calls, p.bytes = 0, 0, 0, 0
	return &w
}

var errNoID = errors.New("the record has no id")

// recordID reads the id that every record of these listings has. Some endpoints have been
// seen to send numbers as strings.
func recordID(raw []byte) (int64, error) {
	var r struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return 0, fmt.Errorf("not a JSON object: %w", err)
	}
	id, err := json.Number(bare(r.ID)).Int64()
	if err != nil || len(r.ID) == 0 {
		return 0, errNoID
	}
	return id, nil
}

func quarantine(raw []byte, request string, line int64, err error) martsync.Quarantined {
	q := martsync.Quarantined{Job: request, Line: line, Reason: err.Error(), Raw: rawText(raw)}
	if c, ok := errors.AsType[*columns.CellError](err); ok {
		q.Column, q.Reason = c.Column, c.Reason
	} else if errors.Is(err, errNoID) {
		q.Column = "id"
	}
	return q
}

// rawText makes raw fit for the quarantine.
func rawText(raw []byte) string {
	s := strings.ToValidUTF8(string(raw), "\uFFFD")
	if len(s) > martsync.MaxQuarantineRaw {
		s = strings.ToValidUTF8(s[:martsync.MaxQuarantineRaw], "")
	}
	return s
}

// nothing reports whether err is one of the vendor's ways of saying that there is no
// record: some endpoints answer an empty listing with an error.
// Source: Marketo REST API, Error Codes, 702.
func nothing(err error) bool { return isCode(err, "702") }

// filterJSON is a window's filter: what was asked for, in the vendor's terms.
func filterJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("marketo: filter: " + err.Error()) // maps of strings and numbers only
	}
	return string(b)
}
