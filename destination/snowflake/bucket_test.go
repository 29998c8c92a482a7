//go:build cgo && !lite

package snowflake

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/crash"
)

func startWithBucket(t testing.TB) *snowflakesim.Server {
	t.Helper()
	return start(t, snowflakesim.Options{StageAccessKey: "landing-key", StageSecretKey: "landing-secret"})
}

// onBucket lets a configuration load through a stage on S3 that the account has already.
func onBucket(t testing.TB, server *snowflakesim.Server, c Config) (Config, martsync.Env) {
	t.Helper()
	const access, secret = "landing-key", "landing-secret"
	err := server.Admin(
		"CREATE STAGE IF NOT EXISTS MART.PUBLIC.LANDING URL = 's3://landing/in/' CREDENTIALS = (AWS_KEY_ID = '"+access+"' AWS_SECRET_KEY = '"+secret+"')",
		"GRANT USAGE ON STAGE MART.PUBLIC.LANDING TO ROLE "+snowflakesim.DefaultRole,
	)
	if err != nil {
		t.Fatal(err)
	}
	c.Stage = Stage{
		Name: "MART.PUBLIC.LANDING", URL: "s3://landing/in", Endpoint: server.S3URL(), Region: "eu-central-1",
		AccessKeyID: access, SecretAccessKey: secret,
	}
	env := testEnv(t)
	transport := server.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	env.HTTP = &http.Client{Transport: transport}
	return c, env
}

func openOnBucket(t testing.TB, server *snowflakesim.Server, change func(*Config)) *destination {
	t.Helper()
	c, env := onBucket(t, server, connected(t, server))
	if change != nil {
		change(&c)
	}
	d, err := open(t.Context(), c, "", env)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return d
}

// TestBucketLaws has the laws on a stage of the operator's own. What differs from TestLaws is the four calls of a depot,
// which TestBucket has too, so all of them are for the nightly run.
func TestBucketLaws(t *testing.T) {
	if !crash.Nightly() {
		t.Skip("MARTSYNC_NIGHTLY is not set")
	}
	destinationtest.Run(t, func(t testing.TB) destinationtest.Factory {
		server := startWithBucket(t)
		var last *destination
		return destinationtest.Factory{
			Open: func(t testing.TB) martsync.Destination {
				last = openOnBucket(t, server, nil)
				return last
			},
			Quarantine: quarantine,
			Log:        logEntries,
			Fault:      func(n int) { last.before = destinationtest.FailStatement(n) },
		}
	})
}

// TestBucket loads through the operator's own bucket: nothing is put on a stage of ours, an unchanged table wakes no
// warehouse, and only the position is left in the bucket.
func TestBucket(t *testing.T) {
	t.Parallel()
	server := startWithBucket(t)
	first := openOnBucket(t, server, func(c *Config) { c.part = 1 })
	loadOnce(t, first, "first", leads(0, 10, 1))
	loadOnce(t, first, "second", leads(5, 15, 2))
	mustDo(t, "close", first.Close())
	for _, s := range server.Statements() {
		if strings.HasPrefix(s.SQL, "PUT") || strings.HasPrefix(s.SQL, "CREATE STAGE") {
			t.Errorf("a bucket needs no %.60s", s.SQL)
		}
	}
	if first.spent.bytes.Load() == 0 {
		t.Error("no bytes were counted")
	}

	third := openOnBucket(t, server, nil)
	w := openWriter(t, third)
	mustDo(t, "write", w.Write(t.Context(), leads(15, 20, 3)))
	mustDo(t, "stage", w.Stage(t.Context(), martsync.Commit{Next: "staged"}))
	mustDo(t, "close the writer", w.Close())
	mustDo(t, "close", third.Close())
	third = openOnBucket(t, server, nil)
	w = openWriter(t, third)
	if w.Staged() != "staged" {
		t.Errorf("staged position: got %q, want staged", w.Staged())
	}
	mustDo(t, "commit", w.Commit(t.Context(), aCommit("third", "third")))
	mustDo(t, "close the writer", w.Close())
	mustDo(t, "close", third.Close())

	server.ResetStatements()
	again := openOnBucket(t, server, nil)
	defer func() { mustDo(t, "close", again.Close()) }()
	if at, err := again.Position(t.Context(), small.Stream); err != nil || at != "third" {
		t.Errorf("position: got %q and error %v, want third", at, err)
	}
	w = openWriter(t, again)
	if w.Cursor() != "third" {
		t.Errorf("cursor: got %q, want third", w.Cursor())
	}
	mustDo(t, "close the writer", w.Close())
	if got := sent(server, true); len(got) > 0 {
		t.Errorf("statements of an idle sync that need a warehouse: got %q", got)
	}
	want := expected(5, 15, 2)
	for id, name := range expected(0, 5, 1) {
		want[id] = name
	}
	for id, name := range expected(15, 20, 3) {
		want[id] = name
	}
	if diff := cmp.Diff(want, contents(t, again)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}

	keys, err := again.depot.list(t.Context(), nil, "leads/")
	mustDo(t, "list", err)
	for i, key := range keys {
		keys[i], _, _ = strings.Cut(strings.TrimPrefix(key, "leads/"), "-")
	}
	slices.Sort(keys)
	if diff := cmp.Diff([]string{"000000000003/settled"}, keys); diff != "" {
		t.Errorf("files in the bucket (-want +got):\n%s", diff)
	}
	if _, ok, err := again.depot.get(t.Context(), nil, "leads/nothing"); ok || err != nil {
		t.Errorf("a key that is not there: got %t and error %v, want none of both", ok, err)
	}
}

// TestBucketRefusals has who must act on what the bucket refuses.
func TestBucketRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change  func(*Config)
		prepare func(*snowflakesim.Server)
		kind    martsync.Kind
	}{
		"a wrong key": {change: func(c *Config) { c.Stage.AccessKeyID = "SOMEBODY" }, kind: martsync.Auth},
		"credentials that have expired": {
			prepare: func(s *snowflakesim.Server) { s.Inject(snowflakesim.Fault{Kind: snowflakesim.StageExpired, Times: -1}) }, kind: martsync.Auth,
		},
		"a stage that is not there": {change: func(c *Config) { c.Stage.Name = "MART.PUBLIC.NOWHERE" }, kind: martsync.Auth},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startWithBucket(t)
			d := openOnBucket(t, server, tt.change)
			defer func() { mustDo(t, "close", d.Close()) }()
			if tt.prepare != nil {
				tt.prepare(server)
			}
			w, err := d.Open(t.Context(), small)
			if err == nil {
				mustDo(t, "write", w.Write(t.Context(), leads(0, 3, 1)))
				err = w.Commit(t.Context(), aCommit("refused", "refused"))
				mustDo(t, "close the writer", w.Close())
			}
			if martsync.KindOf(err) != tt.kind || martsync.HintOf(err) == "" {
				t.Errorf("got %v with hint %q, want an error of kind %s with a hint", err, martsync.HintOf(err), tt.kind)
			}
		})
	}
}
