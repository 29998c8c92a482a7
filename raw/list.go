package raw

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Kept is a body, or a part of one, that a zone holds.
type Kept struct {
	Stream string    `json:"stream"`
	At     time.Time `json:"at"` // when its entry was written
	Sync   string    `json:"sync"`
	Entry  int64     `json:"entry"`
	Body   string    `json:"body"`
	Offset int64     `json:"offset,omitzero"` // where in the body, if the beginning is in an earlier entry
	Bytes  int64     `json:"bytes"`           // as they were sent
	SHA256 string    `json:"sha256"`          // of the body up to the end of this part
	Object string    `json:"object"`          // the key of the object that holds it
	Start  int64     `json:"start"`           // where in the object
	Length int64     `json:"length"`          // in the object, compressed
	Job    string    `json:"job,omitempty"`   // of the window that it came in
	From   time.Time `json:"from,omitzero"`   // of that window
	To     time.Time `json:"to,omitzero"`
	Filter string    `json:"filter,omitempty"`
}

// List yields everything that the zone holds of a stream, oldest first, those entries too that do not
// count because their commit came to nothing.
func (z *Zone) List(ctx context.Context, stream string) iter.Seq2[Kept, error] {
	return func(yield func(Kept, error) bool) {
		for n, err := range z.numbers(ctx, stream, "") {
			if err != nil {
				yield(Kept{}, err)
				return
			}
			e, err := z.readEntry(ctx, stream, n)
			if err != nil {
				yield(Kept{}, fmt.Errorf("list %s: %w", stream, err))
				return
			}
			units := e.Units
			if e.Open != nil {
				units = append(units, *e.Open)
			}
			for i := range units {
				for k := range units[i].Bodies {
					if !yield(z.kept(e, units, i, &units[i].Bodies[k]), nil) {
						return
					}
				}
			}
		}
	}
}

// kept describes a part. Its window is the next one that was complete, in its unit or a later one.
func (z *Zone) kept(e *entry, units []unit, i int, p *part) Kept {
	k := Kept{
		Stream: e.Stream, At: e.At, Sync: e.Sync, Entry: e.Number, Body: p.Name, Offset: p.Offset,
		Bytes: p.Bytes, SHA256: p.SHA256, Start: p.At, Length: p.Length,
	}
	if p.Object != "" {
		k.Object = z.folder(e.Stream) + p.Object
	}
	for ; i < len(units); i++ {
		if len(units[i].Windows) > 0 {
			w := &units[i].Windows[0].Window
			k.Job, k.From, k.To, k.Filter = w.Job, w.From, w.To, w.Filter
			break
		}
	}
	return k
}
