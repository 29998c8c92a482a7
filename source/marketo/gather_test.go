package marketo

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// starved is an account whose whole export quota is spent by the first job of a day that ends: the few that are queued by
// then are all that there are until midnight. Everything in it has been read once, and some of it has changed.
func starved(t *testing.T, streams []string) (*depot, *bookkeeper) {
	t.Helper()
	const span = 4200 * 24 * time.Hour
	d := newDepot(t, marketosim.Config{
		Options: simulate.Options{Rows: 150}, LeadSpan: span, ActivitySpan: span, PerLead: 1, ExportBytes: map[string]int64{"custom_device_owned": 200, "opportunity_roles": 90}[streams[0]],
	})
	if err := d.run(t.Context(), t, streams, 1); err != nil {
		t.Fatal(err)
	}
	d.Change(300)
	d.clock.Advance(8 * time.Hour)
	return d, newBookkeeper(d.line)
}

// What is exported is downloaded before the vendor deletes it, however many days the quota makes of the whole: a file is
// never asked for in vain, and no byte is exported twice; whatever call a process dies at.
func TestE8NoFileIsGoneWhereQuotaIsScarce(t *testing.T) {
	for _, streams := range [][]string{{"custom_device_owned"}, {"opportunity_roles"}} {
		t.Run(streams[0], func(t *testing.T) {
			check := func(d *depot, k *bookkeeper, exported, told int64, where string) {
				t.Helper()
				d.equal(t, streams)
				if len(k.lost) > 0 {
					t.Errorf("%s: %d files were asked for when they were gone", where, len(k.lost))
				}
				if w := k.waste(); len(w) > 0 {
					t.Errorf("%s: in vain: %q", where, w)
				}
				if streams[0] == "custom_device_owned" { // of the others the ledger tells no files
					if e, l := d.Stats().ExportBytes-exported, d.ledgerBytes(t, streams)-told; e > l || e == 0 {
						t.Errorf("%s: %d bytes were exported, %d were needed", where, e, l)
					}
				}
				if t.Failed() {
					t.Fatal(d.log.tail())
				}
			}
			d, k := starved(t, streams)
			began, exported, told := d.clock.Now(), d.Stats().ExportBytes, d.ledgerBytes(t, streams)
			if err := d.run(t.Context(), t, streams, 1); err != nil {
				t.Fatal(err)
			}
			if days := d.clock.Now().Sub(began).Hours() / 24; days < map[string]float64{"custom_device_owned": 20, "opportunity_roles": 7}[streams[0]] {
				t.Fatalf("it took %.1f days, so this proves nothing", days)
			}
			check(d, k, exported, told, "undisturbed")
			calls, parts := k.calls, 5
			if testing.Short() {
				parts = 2
			}
			if crash.Nightly() {
				parts = calls / 3
			}
			d, k = starved(t, streams)
			exported, told = d.Stats().ExportBytes, d.ledgerBytes(t, streams)
			// One reading that dies again and again, each time a few calls later in a life.
			deaths, step := 0, max(7, calls/parts/10)
			for at := 3; ; at += step {
				died, err := d.runKilled(t, k, streams, 1, at, deaths%2 == 0)
				if err != nil {
					t.Fatal(err)
				}
				if !died {
					break
				}
				deaths++
			}
			if deaths < 4 {
				t.Errorf("it died %d times only", deaths)
			}
			check(d, k, exported, told, fmt.Sprintf("died %d times", deaths))
		})
	}
}

// ledgerBytes are the sizes of the files that the ledgers tell.
func (d *depot) ledgerBytes(t testing.TB, streams []string) (n int64) {
	t.Helper()
	for _, s := range streams {
		for _, w := range d.windows(t, s) {
			n += max(w.Bytes, 0)
		}
	}
	return n
}

// A file that arrives wrong takes back itself alone: what was read before it is not read again, and its own rows come once.
func TestE10BadFileTakesBackItselfOnly(t *testing.T) {
	for _, stream := range []string{"custom_device_owned", "opportunity_roles"} {
		for _, c := range []struct {
			name  string
			times int
			jobs  bool // the file is exported again
			bend  func(*http.Response)
		}{
			{"other bytes, once", 1, false, garble},
			{"other bytes, always", 1000, true, garble},
			{"gone in the middle", 1, true, func(r *http.Response) { r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 40), broken{})) }},
		} {
			t.Run(stream+", "+c.name, func(t *testing.T) {
				d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 120}, LeadSpan: 120 * 24 * time.Hour})
				one := []string{stream}
				if err := d.run(t.Context(), t, one, 1); err != nil {
					t.Fatal(err)
				}
				d.Change(100)
				d.clock.Advance(8 * time.Hour)
				jobs, bad, reads, hit := d.Stats().ExportJobs, "", map[string]int{}, 0
				d.line.bend = func(r *http.Response) error {
					id, found := strings.CutSuffix(r.Request.URL.Path, "/file.json")
					if !found {
						return nil
					}
					if reads[id]++; len(reads) == 2 && bad == "" {
						bad = id
					}
					switch {
					case id == bad && hit < c.times && strings.HasPrefix(c.name, "other"):
						hit++
						c.bend(r)
					case id == bad && hit == 0:
						hit++
						c.bend(r)
					case id == bad && strings.HasPrefix(c.name, "gone"):
						r.StatusCode, r.ContentLength = http.StatusNotFound, -1
						r.Body = io.NopCloser(strings.NewReader("File not found"))
					}
					return nil
				}
				if err := d.run(t.Context(), t, one, 1); err != nil {
					t.Fatal(err)
				}
				d.line.bend = nil
				if hit == 0 {
					t.Fatal("no file was wrong, so this proves nothing")
				}
				d.equal(t, one)
				for id, n := range reads {
					if id != bad && n > 1 {
						t.Errorf("%s was read %d times, want once", id, n)
					}
				}
				whole := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 120}, LeadSpan: 120 * 24 * time.Hour})
				if err := whole.run(t.Context(), t, one, 1); err != nil {
					t.Fatal(err)
				}
				whole.Change(100)
				whole.clock.Advance(8 * time.Hour)
				want := -whole.Stats().ExportJobs
				if err := whole.run(t.Context(), t, one, 1); err != nil {
					t.Fatal(err)
				}
				if want += whole.Stats().ExportJobs; c.jobs {
					want++
				}
				if got := d.Stats().ExportJobs - jobs; got != want {
					t.Errorf("%d jobs, want %d", got, want)
				}
			})
		}
	}
}

// garble changes what a file says, but not its length.
func garble(r *http.Response) {
	text, err := io.ReadAll(r.Body)
	if err != nil || len(text) < 2 {
		panic(fmt.Sprint("a file of ", len(text), " bytes: ", err))
	}
	text[len(text)-2] ^= 1
	r.Body = io.NopCloser(strings.NewReader(string(text)))
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

// However often a listing is due, one sync makes one; and an object whose first reading has not ended is not listed beside it.
func TestOneListingASync(t *testing.T) {
	always := func(c *Config) { c.Custom.FullListingEvery = setting.Duration(time.Second) }
	one := []string{"custom_device_owned"}
	d := newDepot(t, marketosim.Config{})
	for round := range 3 {
		before := strings.Count(d.notes(one[0]), "no longer exist")
		windows := len(d.windows(t, one[0]))
		d.sync(t, one, always)
		d.equal(t, one, always)
		if got, want := strings.Count(d.notes(one[0]), "no longer exist")-before, min(round, 1); got != want {
			t.Errorf("round %d: %d listings, want %d", round, got, want)
		}
		if round > 0 && len(d.windows(t, one[0])) == windows {
			t.Errorf("round %d: nothing was read", round)
		}
		d.Change(200)
		d.clock.Advance(time.Hour)
	}
}

// Nothing of a listing is to be seen before all of it has come.
func TestNothingIsSeenBeforeTheListingIsWhole(t *testing.T) {
	one := []string{"custom_device_owned"}
	d, k := starved(t, one)
	before := d.table(t, one[0])
	staged := 0
	for at := 5; ; at += 9 {
		died, err := d.runKilled(t, k, one, 1, at, false)
		if err != nil {
			t.Fatal(err)
		}
		if !died || strings.Contains(d.notes(one[0]), "no longer exist") {
			break
		}
		k.mu.Lock()
		if len(k.read) > 0 {
			staged++
		}
		k.mu.Unlock()
		if after := d.table(t, one[0]); !slices.Equal(before, after) {
			t.Fatalf("died at call %d: the table has changed", at)
		}
	}
	if staged < 2 {
		t.Errorf("it died %d times after a file had been read, so this proves nothing", staged)
	}
	if slices.Equal(before, d.table(t, one[0])) {
		t.Error("the listing has changed nothing")
	}
}

// table is a table as text.
func (d *depot) table(t testing.TB, name string) (texts []string) {
	t.Helper()
	_, batches, err := memory.New(d.storage).ReadTable(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Len {
			text := fmt.Sprint(r.Deleted != nil && r.Deleted[i])
			for c := range r.Columns {
				if v := &r.Columns[c]; v.Offsets != nil {
					text += "|" + string(v.Bytes(i))
				}
			}
			texts = append(texts, text)
		}
	}
	slices.Sort(texts)
	return texts
}
