package marketo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

const device = "custom_device_owned"

// A sentry looks at the table after every commit.
type sentry struct {
	martsync.Destination
	look func()
}

func (s sentry) Open(ctx context.Context, schema martsync.Schema) (martsync.Writer, error) {
	w, err := s.Destination.Open(ctx, schema)
	return sentryWriter{w, s.look}, err
}

type sentryWriter struct {
	martsync.Writer
	look func()
}

func (w sentryWriter) Commit(ctx context.Context, c martsync.Commit) error {
	err := w.Writer.Commit(ctx, c)
	w.look()
	return err
}

// A beholder reads one custom object, in a process after the other, and sees to it that no commit marks what exists.
type beholder struct {
	*depot
	skew    time.Duration // of this machine's clock
	every   time.Duration // between two listings
	commits int
	wrong   string // what the first commit said that had a record marked that exists
}

// look is called after every commit.
func (b *beholder) look(t testing.TB) func() {
	return func() {
		b.commits++
		if wrong, deleted := b.deletions(t, device, "marketoGUID"); len(wrong) > 0 && b.wrong == "" {
			b.wrong = fmt.Sprintf("commit %d at %v: %d are marked deleted, of which these exist: %v", b.commits, b.clock.Now(), deleted, wrong)
		}
	}
}

func (b *beholder) sync(t testing.TB) *pipeline.Sync {
	s := b.open(t, byBulk, func(c *Config) { c.Custom.FullListingEvery = setting.Duration(b.every) })
	s.env.Clock = fastClock{b.clock, b.skew}
	return &pipeline.Sync{
		Name: "depot", Source: s, Destination: sentry{memory.New(b.storage), b.look(t)}, Streams: []string{device},
		State: b.state, Clock: b.clock, Log: slog.New(slog.NewTextHandler(b.log, nil)),
	}
}

// run is one process. It reports whether it was killed.
func (b *beholder) run(t testing.TB, k *bookkeeper, at int, after bool) (died bool, err error) {
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	k.mu.Lock()
	k.calls, k.at, k.after, k.kill, k.killed = 0, at, after, kill, ""
	k.mu.Unlock()
	_, err = pipeline.Run(ctx, b.sync(t))
	if k.killed != "" {
		b.clock.Advance(time.Hour)
		return true, nil
	}
	return false, err
}

// Whatever changes while a custom object is listed, however clocks differ and processes die: no commit ever marks a record that
// exists, and in the end the table equals the truth.
func TestNoCommitMarksARecordThatExists(t *testing.T) {
	budget := 3 * time.Second
	if crash.Nightly() {
		budget = time.Hour
	}
	began, runs, deaths, listings := time.Now(), 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		enough := runs > 2 && listings > 1 && deaths > 0 // however slow the machine is
		if enough && time.Since(began) > budget {
			return
		}
		runs++
		days := time.Duration(rapid.IntRange(5, 200).Draw(rt, "days")) * 24 * time.Hour
		b := &beholder{every: time.Hour}
		b.depot = newDepot(t, marketosim.Config{
			Options:  simulate.Options{Rows: rapid.IntRange(10, 60).Draw(rt, "leads"), Seed: rapid.Uint64Range(1, 1<<20).Draw(rt, "seed")},
			LeadSpan: days, ActivitySpan: days, PerLead: 1, ExportBytes: rapid.SampledFrom([]int64{0, 0, 0, 1500}).Draw(rt, "quota"),
		})
		k := newBookkeeper(b.line)
		b.skew = rapid.SampledFrom([]time.Duration{0, 0, 2 * time.Minute, 3 * time.Hour, -time.Minute, -20 * time.Minute, -5 * time.Hour}).Draw(rt, "skew")
		var faults []string
		for range rapid.IntRange(0, 1).Draw(rt, "faults") {
			faults = append(faults, fmt.Sprintf(rapid.SampledFrom(passing).Draw(rt, "fault"), rapid.IntRange(20, 60).Draw(rt, "every")))
		}
		if _, err := b.run(t, k, 0, false); err != nil {
			rt.Fatal(err)
		}
		for _, f := range faults {
			if err := b.AddFault(f); err != nil {
				rt.Fatal(err)
			}
		}
		// Something changes at every so manieth call.
		busy, size := rapid.IntRange(1, 6).Draw(rt, "busy"), rapid.IntRange(1, 12).Draw(rt, "size")
		calm, n := false, 0
		b.line.block = func(r *http.Request) error {
			if n++; !calm && n%busy == 0 {
				b.ChangeDevices(size)
			}
			return k.request(r)
		}
		before := strings.Count(b.notes(device), "all records of")
		for range rapid.IntRange(1, 5).Draw(rt, "processes") {
			b.clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 1, 1, 24}).Draw(rt, "hours")*rapid.IntRange(1, 40*60).Draw(rt, "minutes")) * time.Minute)
			at := rapid.SampledFrom([]int{0, 1}).Draw(rt, "dies") * rapid.IntRange(1, 120).Draw(rt, "call")
			died, err := b.run(t, k, at, rapid.Bool().Draw(rt, "after"))
			if died {
				deaths++
			}
			if err != nil && len(faults) == 0 {
				rt.Fatalf("%v\n%s", err, b.log.tail())
			}
			if b.wrong != "" {
				rt.Fatalf("%s\n%s", b.wrong, b.log.tail())
			}
		}
		calm = true
		for try := 0; ; try++ {
			b.clock.Advance(7 * time.Hour)
			_, err := b.run(t, k, 0, false)
			if b.wrong != "" {
				rt.Fatalf("%s\n%s", b.wrong, b.log.tail())
			}
			if r := b.differs(t, []string{device}, byBulk)[device]; err == nil && r.OK() {
				break
			} else if try == 4 || try > 1 && len(faults) == 0 {
				rt.Fatalf("%v, %s\n%s", err, r.String(), b.log.tail())
			}
		}
		listings += strings.Count(b.notes(device), "all records of") - before
	})
	t.Logf("%d runs, %d deaths, %d listings", runs, deaths, listings)
	if listings < 2 || deaths == 0 {
		t.Errorf("%d runs with %d listings and %d deaths: too few to prove much", runs, listings, deaths)
	}
}

// A record that is updated while a listing is under way, and again before what has changed is exported, is in no file by the time
// at which a window says what is gone. So is one that is updated in what this machine's clock takes for the past.
func TestRecordsThatAreAlwaysUpdatedAreNotGone(t *testing.T) {
	for _, c := range []struct {
		name  string
		skew  time.Duration
		pause time.Duration // from the beginning of one sync to that of the next
		leads int           // few: the same records change again and again; many: there are always new ones
	}{
		{"clocks agree", 0, 30 * time.Hour, 60},
		{"this machine's clock is ahead", 3 * time.Hour, 30 * time.Hour, 60},
		{"it is ahead, and records are new", 3 * time.Hour, 30 * time.Hour, 900},
		{"this machine's clock is behind", -3 * time.Hour, 30 * time.Hour, 60},
		{"changes make a window that is as long as one may be", 0, maxWindow - time.Second, 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &beholder{every: 48 * time.Hour, skew: c.skew}
			b.depot = newDepot(t, marketosim.Config{Options: simulate.Options{Rows: c.leads}})
			k := newBookkeeper(b.line)
			b.line.block = func(*http.Request) error { b.ChangeDevices(c.leads / 60); return nil }
			for range 8 {
				next := b.clock.Now().Add(c.pause)
				if _, err := b.run(t, k, 0, false); err != nil {
					t.Fatal(err)
				}
				b.clock.Set(next)
			}
			if b.wrong != "" {
				t.Fatalf("%s\n%s", b.wrong, b.log.tail())
			}
			if n := strings.Count(b.notes(device), "no longer exist"); n < 2 {
				t.Errorf("%d listings, want several", n)
			}
			if _, deleted := b.deletions(t, device, "marketoGUID"); deleted == 0 {
				t.Error("none is marked deleted, so this proves nothing")
			}
			b.line.block = nil
			b.clock.Advance(60 * time.Hour)
			for range 2 {
				if _, err := b.run(t, k, 0, false); err != nil {
					t.Fatal(err)
				}
				b.clock.Advance(60 * time.Hour)
			}
			b.equal(t, []string{device}, byBulk)
			if n := strings.Count(b.notes(device), "ahead of the vendor's"); n > 14 || n > 0 != (c.skew > 0) {
				t.Errorf("%d notes that this machine's clock is ahead, by %v", n, c.skew)
			}
		})
	}
}

// A vendor that takes no date in the future gets none. All is listed nevertheless, and nothing is marked deleted.
func TestListingWithoutDatesInTheFuture(t *testing.T) {
	b := &beholder{every: 24 * time.Hour}
	b.depot = newDepot(t, marketosim.Config{})
	k, refused := newBookkeeper(b.line), 0
	b.line.bend = refusing(k, &refused, "Invalid date range: updatedAt is in the future", func(text []byte) bool {
		m := endAt.FindSubmatch(text)
		return m == nil || string(m[1]) > b.clock.Now().UTC().Format(time.RFC3339)
	})
	for range 3 {
		if _, err := b.run(t, k, 0, false); err != nil {
			t.Fatalf("%v\n%s", err, b.log.tail())
		}
		b.ChangeDevices(40)
		b.clock.Advance(25 * time.Hour)
	}
	if _, err := b.run(t, k, 0, false); err != nil {
		t.Fatal(err)
	}
	if r := b.differs(t, []string{device}, byBulk)[device]; r.Missing+r.Extra+r.Doubled > 0 {
		t.Error(r.String())
	}
	if n := strings.Count(b.notes(device), "cannot be told\n"); n != 3 || refused != n || b.wrong != "" {
		t.Errorf("%d listings, refused %d times, want 3 and each once; %s\n%s", n, refused, b.wrong, b.notes(device))
	}
	if _, deleted := b.deletions(t, device, "marketoGUID"); deleted > 0 {
		t.Errorf("%d are marked deleted", deleted)
	}
}

// refusing answers creates of what the vendor does not take.
func refusing(k *bookkeeper, n *int, message string, what func(body []byte) bool) func(*http.Response) error {
	return func(r *http.Response) error {
		if strings.HasSuffix(r.Request.URL.Path, "/create.json") {
			body, err := r.Request.GetBody()
			if err != nil {
				return err
			}
			text, err := io.ReadAll(body)
			if err != nil {
				return err
			}
			if what(text) {
				*n++
				said := `{"requestId":"1#2","success":false,"errors":[{"code":"1003","message":"` + message + `"}]}`
				_ = r.Body.Close()
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(said)), int64(len(said))
				r.Header.Del("Content-Length")
			}
		}
		return k.reply(r)
	}
}

var endAt = regexp.MustCompile(`"endAt":"([^"]*)"`)

// A sync that gets a few minutes a day comes to the end of a listing, too, although each time a day's changes wait.
func TestListingGoesOnInAFewMinutesADay(t *testing.T) {
	b := &beholder{every: 20 * 24 * time.Hour}
	b.depot = newDepot(t, marketosim.Config{LeadSpan: 300 * 24 * time.Hour})
	if _, err := b.run(t, newBookkeeper(b.line), 0, false); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(21 * 24 * time.Hour)
	days := 0
	for ; days < 20 && strings.Count(b.notes(device), "no longer exist") == 0; days++ {
		b.ChangeDevices(5)
		b.clock.Advance(24 * time.Hour)
		if _, err := pipeline.Advance(t.Context(), b.sync(t)); err != nil {
			t.Fatal(err)
		}
	}
	if days == 20 || b.wrong != "" {
		t.Errorf("after %d days there is no end of the listing; %s\n%s", days, b.wrong, b.log.tail())
	}
	if _, deleted := b.deletions(t, device, "marketoGUID"); deleted == 0 {
		t.Error("none is marked deleted")
	}
}

// Without the field that orders versions every row would lose against what the table has.
func TestVersionThatIsRefusedIsNotDone(t *testing.T) {
	b := &beholder{every: 1000 * time.Hour}
	b.depot = newDepot(t, marketosim.Config{})
	k := newBookkeeper(b.line)
	if _, err := b.run(t, k, 0, false); err != nil {
		t.Fatal(err)
	}
	b.ChangeDevices(40)
	b.clock.Advance(25 * time.Hour)
	asked, among := 0, regexp.MustCompile(`"updatedAt"[,\]]`) // the fields; the filter has its name, too
	b.line.bend = refusing(k, &asked, "Invalid fields: updatedAt", among.Match)
	if _, err := b.run(t, k, 0, false); err == nil || !strings.Contains(err.Error(), byUpdate) || asked == 0 {
		t.Errorf("asked %d times, and got %v, want an error that names %s", asked, err, byUpdate)
	}
	b.line.bend, b.every = nil, time.Hour
	if _, err := b.run(t, k, 0, false); err != nil {
		t.Fatal(err)
	}
	b.equal(t, []string{device}, byBulk)
}
