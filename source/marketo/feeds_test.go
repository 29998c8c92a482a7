package marketo

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

// A fakeLog serves activities in the order in which they arrived, one an hour, two a page, and forgets tokens.
type fakeLog struct {
	begin  time.Time
	dates  []time.Time
	forget func(token string) bool // the token is refused
}

func newFakeLog(n int) *fakeLog {
	l := &fakeLog{begin: newStillClock().Now().Add(-24 * time.Hour)}
	for i := range n {
		l.dates = append(l.dates, l.begin.Add(time.Duration(i)*time.Hour))
	}
	return l
}

func (l *fakeLog) vendor(t *testing.T) *fakeVendor {
	v := newFakeVendor(t, map[string]script{
		"/rest/v1/leads/describe.json":   replies(result(`{"id":1,"displayName":"Id","dataType":"integer","rest":{"name":"id"}}`)),
		"/rest/v1/activities/types.json": replies(result(`{"id":6,"name":"Send Email","attributes":[]}`)),
	})
	v.paths["/rest/v1/activities/pagingtoken.json"] = func(_ int, w http.ResponseWriter, r *http.Request) {
		since, err := time.Parse(time.RFC3339, r.Form.Get("sinceDatetime"))
		first := min(max(int(math.Ceil(since.Sub(l.begin).Hours())), 0), len(l.dates))
		if err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprintf(w, `{"requestId":"t","success":true,"nextPageToken":"%d"}`, first)
	}
	v.paths[activitiesPath] = func(_ int, w http.ResponseWriter, r *http.Request) {
		token, at := r.Form.Get("nextPageToken"), 0
		_, _ = fmt.Sscan(token, &at)
		if l.forget(token) {
			replies(faulty("1003", "Invalid nextPageToken"))(0, w, r)
			return
		}
		end := min(at+2, len(l.dates))
		items := make([]string, 0, 2)
		for i := at; i < end; i++ {
			items = append(items, fmt.Sprintf(`{"marketoGUID":"g%d","leadId":1,"activityDate":%q,"activityTypeId":6,"attributes":[]}`, i, l.dates[i].Format(time.RFC3339)))
		}
		_, _ = io.WriteString(w, strings.TrimSuffix(result(strings.Join(items, ",")), "}")+
			fmt.Sprintf(`,"nextPageToken":"%d","moreResult":%t}`, end, end < len(l.dates)))
	}
	return v
}

func (l *fakeLog) read(t *testing.T, v *fakeVendor) (*mart, error) {
	t.Helper()
	streams, err := v.source(t, byRest).bulkStreams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(streams, func(s martsync.Stream) bool { return s.Schema().Stream == activityStream })
	m := newMart(streams[i].Schema())
	return m, m.attempt(t.Context(), streams[i], martsync.Span{Start: l.begin}, never)
}

// E17: where the vendor forgets a token the walk goes on from where it had come to, whatever dates people have given to
// activities that they sent themselves: such a date stands anywhere in the log.
func TestWalkGoesOnWhenItsTokenIsLost(t *testing.T) {
	for _, made := range []struct {
		name string
		up   time.Duration // of the date that is made up, from the beginning
	}{
		{"no date is made up", 2 * time.Hour},
		{"a date before the end of the window", 23 * time.Hour},
		{"a date after it", 400 * 24 * time.Hour},
	} {
		t.Run(made.name, func(t *testing.T) {
			l, lost := newFakeLog(20), 0
			l.dates[2] = l.begin.Add(made.up)
			l.forget = func(token string) bool {
				if token == "4" && lost == 0 {
					lost++
					return true
				}
				return false
			}
			m, err := l.read(t, l.vendor(t))
			if err != nil || lost != 1 {
				t.Fatalf("%v, %d tokens were lost", err, lost)
			}
			for i, d := range l.dates {
				if _, ok := m.rows[fmt.Sprintf("g%d", i)]; !ok && d.Before(l.begin.Add(24*time.Hour)) {
					t.Errorf("activity %d of %v is missing", i, d)
				}
			}
		})
	}
}

// Tokens that are refused again and again end the walk: from the date it comes to the same place each time, and each
// time takes calls.
func TestWalkEndsWhenTokensAreNeverAccepted(t *testing.T) {
	l, refused := newFakeLog(20), 0
	l.forget = func(token string) bool {
		at := 0
		_, _ = fmt.Sscan(token, &at)
		bad := at >= 6 && refused < 100
		if bad {
			refused++
		}
		return bad
	}
	v := l.vendor(t)
	if _, err := l.read(t, v); martsync.KindOf(err) != martsync.Data {
		t.Errorf("the walk ends with %v, want an error of kind data", err)
	}
	if n := v.count(activitiesPath); n > 10 {
		t.Errorf("%d pages were asked for", n)
	}
}
