package plan

import (
	"cmp"
	"math"
	"slices"

	"github.com/martsync/martsync"
)

// A Saving is something that takes much, and what the plan would be without it.
type Saving struct {
	Stream string  `json:"stream"`
	Name   string  `json:"name,omitempty"` // of a column or a kind of records; "": the whole stream
	Bytes  int64   `json:"bytes"`          // -1: not known
	Part   float64 `json:"part"`           // of what the plan takes of the limit that decides; -1: not known
	Omit   string  `json:"omit,omitempty"` // the configuration that leaves it out; "": there is none
	Days   int     `json:"days"`           // of the plan without it
}

// Bounds of what is worth telling: parts of the deciding limit, of columns in the bytes of their stream, and how many
// streams, and columns or kinds of one stream.
const (
	smallStream, largeStream = 0.01, 0.05
	smallShare               = 0.02
	streamsMost, sharesMost  = 8, 5
)

// Savings are what takes most of the limit that decides: the streams in the order of what they take, and of the large
// ones the columns or kinds of records with most bytes.
func (p *Plan) Savings() ([]Saving, error) {
	decides, total := "", 0.0
	if len(p.Totals) > 0 {
		decides, total = p.Totals[0].Name, float64(p.Totals[0].Amount)
	}
	inBytes := len(p.Totals) > 0 && p.Totals[0].Unit == "bytes"
	part := func(s Stream) float64 {
		n := int64(0)
		for _, c := range s.Costs {
			if c.Name == decides {
				n += c.Amount
			}
		}
		return float64(n) / max(total, 1)
	}
	streams := slices.Clone(p.Streams)
	slices.SortStableFunc(streams, func(a, b Stream) int { return cmp.Compare(part(b), part(a)) })
	var all []Saving
	for _, s := range streams[:min(len(streams), streamsMost)] {
		of := part(s)
		if of < smallStream {
			continue
		}
		without, err := p.without(s.Stream, 1)
		if err != nil {
			return nil, err
		}
		all = append(all, Saving{Stream: s.Stream, Bytes: s.Bytes, Part: of, Omit: "exclude: [" + s.Stream + "]", Days: without.Days})
		if of < largeStream || s.Bytes <= 0 {
			continue
		}
		shares := slices.Clone(s.Shares)
		slices.SortStableFunc(shares, func(a, b martsync.Share) int { return cmp.Compare(b.Bytes, a.Bytes) })
		for _, x := range shares[:min(len(shares), sharesMost)] {
			in := min(1, float64(x.Bytes)/float64(s.Bytes))
			if in < smallShare || !inBytes && x.Omit == "" { // fewer bytes spare no calls
				continue
			}
			saving := Saving{Stream: s.Stream, Name: x.Name, Bytes: x.Bytes, Part: -1, Omit: x.Omit, Days: p.Days}
			if inBytes {
				saving.Part = of * in
			}
			if x.Omit != "" {
				without, err := p.without(s.Stream, in)
				if err != nil {
					return nil, err
				}
				saving.Days = without.Days
			}
			all = append(all, saving)
		}
	}
	return all, nil
}

// without is the plan without a part of the bytes of a stream, or without the stream if that is all of it. Calls and
// jobs stay: whether they become fewer depends on the vendor.
func (p *Plan) without(stream string, part float64) (*Plan, error) {
	var estimates []martsync.Estimate
	for _, s := range p.Streams {
		e := s.Estimate
		if e.Stream == stream {
			if part >= 1 {
				continue
			}
			e.Costs = slices.Clone(e.Costs)
			for i, c := range e.Costs {
				if c.Unit == "bytes" {
					e.Costs[i].Amount = int64(math.Ceil(float64(c.Amount) * (1 - part)))
				}
			}
		}
		estimates = append(estimates, e)
	}
	return Make(p.Sync, p.At, estimates, p.Limits, p.Share)
}
