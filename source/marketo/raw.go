package marketo

import (
	"encoding/json"
	"strings"

	"github.com/martsync/martsync"
)

// KeepRaw makes the streams put what the vendor sends on their batches: every export file that is
// downloaded and every page of records, those that bring nothing new included. Replies about jobs,
// tokens and the account's fields are none of these.
func (s *source) KeepRaw() { s.keep, s.client.keep = true, true }

// rawMost is how many bytes of pages wait for rows at most before they are yielded without.
const rawMost = 1 << 20

// A how is what Replay needs to know of a body beside its bytes (martsync.Raw.How). It stays readable
// for as long as somebody keeps what was read with it: members are added and never change.
type how struct {
	Kind bodyKind `json:"kind"`
	Part string   `json:"part,omitempty"` // of the stream; files and feeds
	Job  string   `json:"job,omitempty"`  // files

	// The time range that was asked for; of a feed, records outside of it belong to another.
	From second `json:"from,omitempty"`
	To   second `json:"to,omitempty"`

	Line   int64  `json:"line,omitempty"`   // listings: records before the page
	Passed ranges `json:"passed,omitempty"` // listings: records that had come before as they are

	Parent string `json:"parent,omitempty"` // listings: whose records these are, where they do not say so
	One    bool   `json:"one,omitempty"`    // listings: a read by id, which tells all of a record

	Gone idSet  `json:"gone,omitempty"` // leads read by id: those that were asked for and are gone
	Read second `json:"read,omitempty"` // likewise: when

	List int64  `json:"list,omitempty"` // members: of this list
	End  string `json:"end,omitempty"`  // members, on the last page of a list
}

// A bodyKind says what a body is.
type bodyKind string

const (
	exportFile  bodyKind = "export"  // the file of an export job
	feedPage    bodyKind = "feed"    // a page of the activity log or of the deletions
	listingPage bodyKind = "listing" // a page of assets or campaigns
	memberPage  bodyKind = "members" // a page of the members of a list
	keyFile     bodyKind = "keys"    // the file of an export job whose records only lead to others; no row comes of it
	keyedPage   bodyKind = "keyed"   // a page of companies, opportunities and the like
	leadReply   bodyKind = "leads"   // leads read by id
	listPage    bodyKind = "lists"   // a page of the lists whose members are read; no row comes of it
)

// What has come of the members of a list.
const (
	endsInRows = "rows"
	endsAlike  = "alike" // they are those of the pass before, so there are no rows
)

func (h how) text() string {
	b, err := json.Marshal(h)
	if err != nil {
		panic("marketo: how: " + err.Error()) // numbers and text only
	}
	return string(b)
}

// keptPage is a page as it came, or nil if nobody keeps it.
func keptPage(path string, env *envelope, h how) *martsync.Raw {
	if env.body == nil {
		return nil
	}
	return &martsync.Raw{Body: strings.TrimPrefix(path, "/"), Data: env.body, How: h.text()}
}

// kept is the page of a listing that was taken last.
func (p *pageReader) kept(path string, env *envelope, line int64) []martsync.Raw {
	raw := keptPage(path, env, how{Kind: listingPage, Line: line, Passed: p.passed})
	if raw == nil {
		return nil
	}
	return []martsync.Raw{*raw}
}

// ranges are rising numbers as pairs of the first and the last of each run.
type ranges [][2]int

// add appends a number greater than all there are.
func (r *ranges) add(n int) {
	if k := len(*r); k > 0 && (*r)[k-1][1] == n-1 {
		(*r)[k-1][1] = n
		return
	}
	*r = append(*r, [2]int{n, n})
}

func (r ranges) has(n int) bool {
	for _, p := range r {
		if p[0] <= n && n <= p[1] {
			return true
		}
	}
	return false
}
