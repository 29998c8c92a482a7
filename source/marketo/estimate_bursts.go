package marketo

import (
	"context"
	"slices"
	"time"
)

// rate is how many a second there are.
func (k *look) rate() float64 {
	return float64(k.found) * k.times() / max(k.part.length().Seconds(), 1)
}

const (
	// burst is how many times as dense as most a place is that may lie in a burst, such as a mailing.
	burst = 3

	// burstPages is how many pages are read to leave one behind, and burstCalls how many for all of them.
	burstPages, burstCalls = 12, 60

	// burstLoan is how many calls it may take that are kept for others, where a page covers less than burstLoanFor: one place
	// in a mailing makes the log look many times as long as it is.
	burstLoan, burstLoanFor = 6, time.Hour
)

// leaveBursts reads on at places that are much denser than most, first where that counts most. A page that lies in a burst covers a
// second or two, and would stand for a day of it.
func (s *source) leaveBursts(ctx context.Context, path string, looks []*look, most int) error {
	kept := secondOf(s.now()).add(-changesKept)
	usual := usualRates(looks, kept)
	for i := range min(burstCalls, most+burstLoan) {
		k := worstBurst(looks, usual, kept)
		if k == nil || i >= most && k.covered() > burstLoanFor {
			return nil
		}
		if i >= most {
			lend(ctx)
		}
		if err := s.readOn(ctx, path, k); err != nil {
			return err
		}
	}
	return nil
}

// usualRates are the rates of most places, by loop: of those before the vendor has everything, and of those since. Before it the log
// may well be as dense as since; that it is empty at other places says nothing.
func usualRates(looks []*look, kept second) map[int][2]float64 {
	rates := map[int][2][]float64{}
	for _, k := range looks {
		r := rates[k.loop]
		r[k.since(kept)] = append(r[k.since(kept)], k.rate())
		rates[k.loop] = r
	}
	usual := map[int][2]float64{}
	for loop, r := range rates {
		var u [2]float64
		for i := range r {
			if slices.Sort(r[i]); len(r[i]) > 0 {
				u[i] = r[i][(len(r[i])-1)/2]
			}
		}
		if len(r[0]) == 1 && len(r[1]) > 0 {
			u[0] = 0 // a single place has no other of its time to be compared with
		}
		usual[loop] = [2]float64{max(u[0], u[1]), u[1]}
	}
	return usual
}

// worstBurst is the place in a burst that makes out most of the log. Nil: there is none that can be read on from.
func worstBurst(looks []*look, usual map[int][2]float64, kept second) *look {
	var worst *look
	for _, k := range looks {
		if k.whole() || k.pages >= burstPages || k.rate() <= burst*usual[k.loop][k.since(kept)] {
			continue
		}
		if worst == nil || float64(k.found)*k.times() > float64(worst.found)*worst.times() {
			worst = k
		}
	}
	return worst
}

// since is 1 where the place lies in the time of which the vendor has everything, else 0.
func (k *look) since(kept second) int {
	if k.part.From >= kept {
		return 1
	}
	return 0
}
