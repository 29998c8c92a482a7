package pardot

import (
	"context"
	"time"

	"github.com/martsync/martsync"
)

// A job reads and writes naive times in the zone that its creator had at that moment, whatever
// becomes of the creator's settings later. Account Engagement API, Version 4, Export. So the
// zone is part of the state.

// zone is the zone of a job that is made now; nil where times have offsets.
func (t *exportTask) zone(ctx context.Context) (*zone, error) {
	if t.version == v5 {
		return nil, nil //nolint:nilnil // no zone is needed
	}
	return t.src.zone(ctx)
}

// jobZone is the zone of the job of the state.
func (t *exportTask) jobZone(ctx context.Context) (*zone, error) {
	z, err := t.zone(ctx)
	if err != nil || z == nil || z.name() == t.state.Zone {
		return z, err
	}
	loc, err := time.LoadLocation(t.state.Zone)
	if err != nil {
		return nil, &martsync.Error{
			Kind: martsync.Config, Op: "pardot: read " + t.noun + " export",
			Hint: "Set timezone in the source's configuration.", Err: err,
		}
	}
	return &zone{loc: loc}, nil
}

// name is the zone's name in the time zone database; "" for nil.
func (z *zone) name() string {
	if z == nil {
		return ""
	}
	return z.loc.String()
}

// moments are the times that a text of the vendor can mean: two of a naive one in the hour
// in which clocks are set back, none of what is no time.
func (z *zone) moments(text string) []time.Time {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return []time.Time{t.UTC()}
	}
	wall, err := time.Parse(time.DateTime, text)
	if err != nil {
		return nil
	}
	if z == nil {
		return []time.Time{wall}
	}
	first := z.instant(wall)
	later := first.Add(time.Hour)
	if later.In(z.loc).Format(time.DateTime) == wall.Format(time.DateTime) {
		return []time.Time{first, later}
	}
	return []time.Time{first}
}

// zoneSkew is how far the vendor's clock and ours may differ: less than any two zones do.
const zoneSkew = 10 * time.Minute

// strange reports whether a time that the vendor just wrote in this zone is not the present.
func (z *zone) strange(text string, now time.Time) bool {
	moments := z.moments(text)
	for _, at := range moments {
		if at.Sub(now).Abs() <= zoneSkew {
			return false
		}
	}
	return len(moments) > 0
}

// rezone decides about a job whose time of creation shows that the API user's zone is another one
// than was thought: the range was not the one that was meant, and its times would be misread.
func (t *exportTask) rezone(ctx context.Context, created string) error {
	s := t.state
	known := s.Zone
	if !t.rezoned {
		t.rezoned = true
		t.src.zones.Drop()
		z, err := t.zone(ctx)
		if err != nil {
			return err
		}
		if z.name() != known {
			t.src.env.Log.WarnContext(ctx, "the API user's time zone has changed", "stream", t.stream, "job", s.job())
			t.note("time zone", "the API user's time zone is %s now, it was %s; export %d is made anew", z.name(), known, s.ID)
			s.forget()
			return t.remember()
		}
	}
	t.note("time zone", "export %d was created at %s by the API user's clock, which does not fit the time zone %s; "+
		"times in export files may be wrong by hours", s.ID, created, known)
	return t.remember()
}

// unix is a moment as a time, zero included.
func unix(s second) time.Time { return time.Unix(int64(s), 0).UTC() }

func stamp(s second) string { return unix(s).Format(time.RFC3339) }
