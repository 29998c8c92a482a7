package marketo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// starved is an account whose whole export quota is spent by the first job of a day that ends: the few that are queued by
// then are all that there are until midnight. Everything in it has been read once, and some of it has changed.
func starved(t *testing.T, streams []string, quota int64) (*depot, *bookkeeper) {
	t.Helper()
	const span = 4200 * 24 * time.Hour
	d := newDepot(t, marketosim.Config{
		Options: simulate.Options{Rows: 150}, LeadSpan: span, ActivitySpan: span, PerLead: 1, ExportBytes: quota,
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
	for stream, quota := range map[string]int64{"custom_device_owned": 200, "opportunity_roles": 90} {
		streams := []string{stream}
		t.Run(stream, func(t *testing.T) {
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
			d, k := starved(t, streams, quota)
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
			d, k = starved(t, streams, quota)
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
	one := []string{"custom_device_owned"}
	begin := func() *depot {
		d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 120}, LeadSpan: 120 * 24 * time.Hour})
		if err := d.run(t.Context(), t, one, 1); err != nil {
			t.Fatal(err)
		}
		d.Change(100)
		d.clock.Advance(8 * time.Hour)
		return d
	}
	whole := begin()
	want := -whole.Stats().ExportJobs
	if err := whole.run(t.Context(), t, one, 1); err != nil {
		t.Fatal(err)
	}
	want += whole.Stats().ExportJobs
	for _, c := range []struct {
		name string
		more int // jobs: another one for the file, and one for what changed until that was made
		bend func(r *http.Response, hits int)
	}{
		{"other bytes, once", 0, func(r *http.Response, hits int) {
			if hits == 1 {
				garble(r)
			}
		}},
		{"other bytes, always", 2, func(r *http.Response, _ int) { garble(r) }},
		{"gone in the middle", 2, func(r *http.Response, hits int) {
			if hits == 1 {
				r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 40), broken{}))
				return
			}
			r.StatusCode, r.ContentLength = http.StatusNotFound, -1
			r.Body = io.NopCloser(strings.NewReader("File not found"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := begin()
			jobs, bad, reads := d.Stats().ExportJobs, "", map[string]int{}
			d.line.bend = func(r *http.Response) error {
				id, found := strings.CutSuffix(r.Request.URL.Path, "/file.json")
				if !found {
					return nil
				}
				if reads[id]++; len(reads) == 3 && bad == "" { // after that of the changes, and one of the listing
					bad = id
				}
				if id == bad {
					c.bend(r, reads[id])
				}
				return nil
			}
			if err := d.run(t.Context(), t, one, 1); err != nil {
				t.Fatal(err)
			}
			d.line.bend = nil
			if bad == "" {
				t.Fatal("no file was wrong, so this proves nothing")
			}
			d.equal(t, one)
			for id, n := range reads {
				if id != bad && n > 1 {
					t.Errorf("%s was read %d times, want once", id, n)
				}
			}
			if got := d.Stats().ExportJobs - jobs; got != want+c.more {
				t.Errorf("%d jobs, want %d", got, want+c.more)
			}
		})
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

// A record whose newest version is in quarantine has an older one in the table. No listing takes it for one that is gone.
func TestQuarantineIsNoDeletion(t *testing.T) {
	one := []string{"custom_device_owned"}
	for _, dirty := range []int{1, 2} { // sync in which changes cannot be read: before the listing, and in that of the listing
		d := newDepot(t, marketosim.Config{})
		d.sync(t, one, monthly)
		d.equal(t, one, monthly)
		for round := 1; round <= 4; round++ {
			d.Change(300) // some are gone
			spoilt := round != dirty
			d.line.bend = func(r *http.Response) error {
				if !strings.Contains(r.Request.URL.Path, "/customobjects/") {
					return nil
				}
				text, err := io.ReadAll(r.Body)
				if err != nil {
					return err
				}
				if before := text; strings.HasSuffix(r.Request.URL.Path, "/status.json") {
					text = regexp.MustCompile(`"fileChecksum":"[^"]*"`).ReplaceAll(text, []byte(`"fileChecksum":null`))
				} else if at := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`).FindIndex(text); at != nil && !spoilt && strings.HasSuffix(r.Request.URL.Path, "/file.json") {
					text, spoilt = slices.Concat(before[:at[0]], []byte("is not a time at all"), before[at[1]:]), true
				}
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), -1
				r.Header.Del("Content-Length")
				return nil
			}
			d.clock.Advance([]time.Duration{0, 2 * time.Hour, 31 * 24 * time.Hour, 31 * 24 * time.Hour, 31 * 24 * time.Hour}[round])
			d.sync(t, one, monthly)
			wrong, deleted := d.deletions(t, one[0], "marketoGUID")
			if len(wrong) > 0 {
				t.Errorf("dirty in sync %d, after sync %d: marked deleted: %d, of which these exist: %v", dirty, round, deleted, wrong)
			}
			if round == 2 && deleted > 0 {
				t.Errorf("dirty in sync %d: %d are marked deleted by the listing after it, want none", dirty, deleted)
			}
		}
		if log := d.notes(one[0]); strings.Count(log, "not all are marked") != dirty || strings.Count(log, "did not come no longer exist") != 3-dirty {
			t.Errorf("dirty in sync %d: the log says %q, want as many listings that do not tell all, and more that do", dirty, log)
		}
		if len(d.storage.Quarantined(one[0])) == 0 {
			t.Error("nothing is in quarantine, so this proves nothing")
		}
		d.equal(t, one, monthly)
	}
}

// Changes of a custom object come each day, however long a listing of it takes; and what is gone is marked window by window.
func TestChangesComeWhileAllIsListed(t *testing.T) {
	one := []string{"custom_device_owned"}
	d, _ := starved(t, one, 1_000)
	d.clock.Advance(31 * 24 * time.Hour)
	d.sync(t, one, byBulk, func(c *Config) { c.Custom.FullListingEvery = setting.Duration(1000 * 24 * time.Hour) })
	const listed = "no longer exist"
	began, last, most, listings := d.clock.Now(), d.clock.Now(), time.Duration(0), strings.Count(d.notes(one[0]), listed)
	marks := map[int]bool{}
	for d.clock.Now().Sub(began) < 60*24*time.Hour && strings.Count(d.notes(one[0]), listed) == listings {
		before := len(d.windows(t, one[0]))
		d.Change(12)
		out, err := pipeline.Advance(t.Context(), &pipeline.Sync{
			Name: "depot", Source: d.open(t, byBulk, monthly), Destination: memory.New(d.storage), Streams: one,
			State: d.state, Clock: d.clock, Log: slog.New(slog.NewTextHandler(d.log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		d.clock.Advance(max(out.WakeAt.Sub(d.clock.Now()), 3*time.Hour))
		if w := d.windows(t, one[0]); len(w) > before {
			for _, w := range w[before:] {
				if w.To.After(last) {
					most, last = max(most, w.To.Sub(last)), w.To
				}
			}
		}
		wrong, deleted := d.deletions(t, one[0], "marketoGUID")
		if len(wrong) > 0 {
			t.Fatalf("marked deleted: %d, of which these exist: %v", deleted, wrong)
		}
		marks[deleted] = true
	}
	if took := d.clock.Now().Sub(began); took < 10*24*time.Hour || most > 50*time.Hour || len(marks) < 4 {
		t.Errorf("it took %v; changes came after %v at most, and what is gone was marked in %d steps; want days, two at most, several steps", took, most, len(marks))
	}
}

// A listing whose jobs take all places in the queue when its process dies does not keep the next one from reading changes.
func TestListingGivesItsPlacesBack(t *testing.T) {
	one := []string{"custom_device_owned"}
	d := newDepot(t, marketosim.Config{LeadSpan: 400 * 24 * time.Hour})
	if err := d.run(t.Context(), t, one, 1); err != nil {
		t.Fatal(err)
	}
	d.Change(200)
	d.clock.Advance(8 * time.Hour)
	ctx, kill := context.WithCancel(t.Context())
	enqueued, looks := 0, 0
	d.line.block = func(r *http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/enqueue.json") {
			enqueued++
		}
		if enqueued > 1+queueShare && strings.HasSuffix(r.URL.Path, "/status.json") {
			looks++
		}
		if looks > 0 { // that they are in the queue has been written down
			kill()
			return errKilled
		}
		return nil
	}
	if err := d.run(ctx, t, one, 1); ctx.Err() == nil {
		t.Fatalf("it did not die: %v", err)
	}
	d.Change(200)
	d.clock.Advance(2 * time.Hour)
	ctx, kill = context.WithCancel(t.Context())
	defer kill()
	limit := d.clock.Now().Add(2 * 24 * time.Hour)
	d.line.block = func(*http.Request) error {
		if d.clock.Now().After(limit) {
			kill()
			return errKilled
		}
		return nil
	}
	if err := d.run(ctx, t, one, 1); err != nil {
		t.Fatalf("%v\n%s", err, d.log.tail())
	}
	d.equal(t, one)
}

// What a listing is said to have shown is what its last window has shown, too.
func TestLastWindowWithQuarantineIsTold(t *testing.T) {
	one := []string{"custom_device_owned"}
	hourly := func(c *Config) { c.Custom.FullListingEvery = setting.Duration(time.Hour) }
	d := newDepot(t, marketosim.Config{LeadSpan: 10 * 24 * time.Hour}) // one window is all
	d.sync(t, one, hourly)
	d.clock.Advance(8 * time.Hour)
	files := 0
	d.line.bend = func(r *http.Response) error {
		if !strings.Contains(r.Request.URL.Path, "/customobjects/") {
			return nil
		}
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		if strings.HasSuffix(r.Request.URL.Path, "/status.json") {
			text = regexp.MustCompile(`"fileChecksum":"[^"]*"`).ReplaceAll(text, []byte(`"fileChecksum":null`))
		}
		if strings.HasSuffix(r.Request.URL.Path, "/file.json") {
			files++
			at := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`).FindIndex(text)
			copy(text[at[0]:at[1]], "is not a time at all")
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), -1
		r.Header.Del("Content-Length")
		return nil
	}
	d.sync(t, one, hourly)
	if said := d.notes(one[0]); files != 1 || strings.Count(said, "not all are marked") != 1 || strings.Contains(said, "did not come no longer exist") {
		t.Errorf("%d files; the log says %q, want one, and that not all are marked", files, said)
	}
}

// A file whose keys cannot be put by is not downloaded at each look at the others; one that is wrong is exported again at once.
func TestFileThatCannotBePutBy(t *testing.T) {
	one := []string{"opportunity_roles"}
	for _, c := range []struct {
		name string
		most int // downloads of the file
		bend func(r *http.Response)
	}{
		{"other bytes", 2, garble},
		{"a line that is no key", 4, func(r *http.Response) {
			text, err := io.ReadAll(r.Body)
			if err != nil {
				panic(err)
			}
			text[len(text)-2] = '"'
			r.Body = io.NopCloser(bytes.NewReader(text))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, k := starved(t, one, 90)
			bad, reads := "", 0
			d.line.bend = func(r *http.Response) error {
				if id, found := strings.CutSuffix(r.Request.URL.Path, "/file.json"); found && r.StatusCode < 300 && (bad == "" || bad == id) {
					bad = id
					reads++
					c.bend(r)
				}
				return k.reply(r)
			}
			if err := d.run(t.Context(), t, one, 1); err != nil {
				t.Fatal(err)
			}
			d.equal(t, one)
			if reads == 0 || reads > c.most {
				t.Errorf("the file was downloaded %d times, want at most %d", reads, c.most)
			}
		})
	}
}
