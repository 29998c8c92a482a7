// Command marketocost measures what the vendor's limits cost in time: the calls and export bytes of a
// daily sync, and how long a backfill takes that the export quota rations. The source and the engine are the
// real ones, on a simulated account over HTTP; only the clock is not, which stands still while something is done
// and jumps over every wait.
//
//	go run ./bench/marketocost
//	go run ./bench/marketocost -what backfill -scale 1
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/state"
)

const day = 24 * time.Hour

// begin is when the account is first looked at: midnight where the vendor counts its days, so that the first day
// has the whole quota and no more.
var begin = time.Date(2026, 3, 16, 6, 0, 0, 0, time.UTC)

// shifted is a clock that is fast by so much.
type shifted struct {
	*simulate.Clock
	by time.Duration
}

// Now is the time that it shows.
func (s *shifted) Now() time.Time { return s.Clock.Now().Add(s.by) }

func main() {
	what := flag.String("what", "daily,backfill", "what to measure")
	modes := flag.String("modes", "auto,bulk,rest", "activities.mode of the daily syncs")
	var b backfill
	flag.IntVar(&b.leads, "leads", 2_000_000, "leads of the backfill")
	flag.IntVar(&b.perLead, "per-lead", 30, "activities a lead")
	flag.DurationVar(&b.span, "span", 3*365*day, "how far back leads and activities go")
	flag.IntVar(&b.scale, "scale", 20, "divides records and quota alike, so that times stay what they are; of 500")
	flag.IntVar(&b.share, "share", 500, "megabytes a day of the 500 that the source may take")
	verbose := flag.Bool("v", false, "show the source's log")
	flag.Parse()
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	for _, w := range strings.Split(*what, ",") {
		var err error
		switch w {
		case "daily":
			err = daily{changedLeads: 5_000, activities: 200_000, modes: strings.Split(*modes, ",")}.measure(context.Background(), os.Stdout, log)
		case "backfill":
			err = b.measure(context.Background(), os.Stdout, log)
		default:
			err = fmt.Errorf("nothing is called %q", w)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "marketocost:", err)
			os.Exit(1)
		}
	}
}

// A lab is a simulated account behind HTTP, and what is needed to sync it.
type lab struct {
	*marketosim.Server
	clock *simulate.Clock
	url   string
	log   *slog.Logger
	state state.Store
	to    *ledger
	stop  func()

	parallel int // streams at once; 0: as usual
}

// newLab makes the account. What is in it goes on for ahead of the clock: it is there, and comes to light as the
// clock gets to it.
func newLab(ctx context.Context, cfg marketosim.Config, ahead time.Duration, log *slog.Logger) (*lab, error) {
	clock := simulate.NewClock(begin)
	early := &shifted{clock, ahead}
	cfg.Clock = early
	server, err := marketosim.New(cfg)
	if err != nil {
		return nil, err
	}
	early.by = 0
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	web := &http.Server{Handler: server, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	return &lab{
		Server: server, clock: clock, url: "http://" + listener.Addr().String(), log: log,
		state: state.NewMemory(), to: newLedger(clock),
		stop: func() {
			_ = web.Close()
			<-served
		},
	}, nil
}

// sync runs one sync to its end, however many days it takes.
func (l *lab) sync(ctx context.Context, cfg marketo.Config, streams ...string) error {
	user := marketosim.DefaultUsers()[0]
	cfg.Endpoint, cfg.ClientID, cfg.ClientSecret = l.url, user.ClientID, martsync.Secret(user.Secret)
	dir, err := os.MkdirTemp("", "marketocost")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	transport := &slow{http.Transport{}, l.clock}
	defer transport.CloseIdleConnections()
	from, err := marketo.Open(ctx, cfg, martsync.Env{Log: l.log, HTTP: &http.Client{Transport: transport}, Clock: l.clock, TempDir: dir})
	if err != nil {
		return err
	}
	out, err := pipeline.Run(ctx, &pipeline.Sync{
		Name: "cost", Source: from, Destination: l.to, Streams: streams, Parallel: l.parallel, State: l.state, Clock: l.clock, Log: l.log,
	})
	if err == nil && !out.Done {
		err = fmt.Errorf("the sync is not done; it would go on at %s", out.WakeAt)
	}
	return err
}

// What a connection takes: the vendor's answers have been seen to come after some 0.3 s. Requests that run side
// by side are counted one after the other, so times are a little too long rather than too short.
const (
	latency   = 300 * time.Millisecond
	bandwidth = 5_000_000 // bytes a second
)

// slow lets the clock run while requests are made.
type slow struct {
	http.Transport
	clock *simulate.Clock
}

// RoundTrip makes the request.
func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.clock.Advance(latency)
	resp, err := s.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = &slowBody{ReadCloser: resp.Body, clock: s.clock}
	}
	return resp, err
}

type slowBody struct {
	io.ReadCloser
	clock *simulate.Clock
}

func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.clock.Advance(time.Duration(n) * time.Second / bandwidth)
	return n, err
}
