//go:build cgo && !lite

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/bench/measure"
	"github.com/martsync/martsync/destination/duckdb"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/state"
)

// A child is one sync in a process of its own.
type child struct{ URL, Dir, To, Memory, Endpoint string }

// Destinations of a sync, beside duckdb.
const (
	toFolder  = "folder"
	toCompact = "compact" // a folder, whose tables are compacted afterwards
	toS3      = "s3"
	toNone    = "none"
)

// open opens the destination; nil: rows are dropped.
func (c child) open(ctx context.Context, env martsync.Env) (martsync.Destination, error) {
	switch c.To {
	case "duckdb":
		return duckdb.Open(ctx, duckdb.Config{Path: c.database(), MemoryLimit: c.Memory}, "marketo", env)
	case toFolder:
		return files.Open(ctx, files.Config{Path: c.folder()}, "", env)
	case toCompact:
		return files.Open(ctx, files.Config{Path: c.folder(), Mode: "latest"}, "", env)
	case toS3:
		return files.Open(ctx, files.Config{URL: "s3://" + bucket, S3: blob.S3Options{
			Endpoint: c.Endpoint, Region: "eu-central-1", AccessKeyID: accessKey, SecretAccessKey: secretKey,
		}}, "", env)
	case toNone:
		return nil, nil //nolint:nilnil // it says so
	}
	return nil, fmt.Errorf("no destination is named %q", c.To)
}

func (c child) folder() string { return filepath.Join(c.Dir, "files") }

func (c child) run(ctx context.Context) error {
	clock := simulate.Scaled(speed)
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{}, Clock: clock, TempDir: c.Dir}
	user := marketosim.DefaultUsers()[0]
	config := marketo.Config{
		Endpoint: c.URL, ClientID: user.ClientID, ClientSecret: martsync.Secret(user.Secret),
		Start:      setting.Moment{Time: clock.Now().Add(-span - 24*time.Hour)},
		Activities: marketo.Activities{Mode: "bulk"},
		Limits:     marketo.Limits{ExportMegabytes: 1 << 20},
	}
	from, err := marketo.Open(ctx, config, env)
	if err != nil {
		return err
	}
	counted := &counting{}
	if counted.Destination, err = c.open(ctx, env); err != nil {
		return err
	}
	m := measure.Start()
	out, err := pipeline.Run(ctx, &pipeline.Sync{
		Name: "size", Source: from, Destination: counted, Streams: []string{"activities"},
		State: state.NewMemory(), Clock: clock,
	})
	if compacter, ok := counted.Destination.(martsync.Compacter); ok && err == nil && c.To == toCompact {
		for done, err := range compacter.Compact(ctx, "activities") {
			if err != nil {
				return err
			}
			if !done.Done {
				return errors.New("not compacted: " + done.Detail)
			}
		}
	}
	if err == nil && counted.Destination != nil {
		err = counted.Close()
	}
	if err != nil {
		return err
	}
	var r result
	for _, s := range out.Stats.Streams {
		r.Rows += s.Rows
	}
	r.Exported = counted.exported
	if r.Exported == 0 {
		return fmt.Errorf("nothing was exported")
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	return m.Print(os.Stdout, r.Exported)
}

// counting adds up the ledger of what is committed to another destination, or to none.
type counting struct {
	martsync.Destination // nil: rows are dropped
	exported             int64
}

func (d *counting) Open(ctx context.Context, s martsync.Schema) (martsync.Writer, error) {
	if d.Destination == nil {
		return &countingWriter{d: d, Writer: &dropping{}}, nil
	}
	w, err := d.Destination.Open(ctx, s)
	return &countingWriter{d: d, Writer: w}, err
}

type countingWriter struct {
	martsync.Writer
	d *counting
}

func (w *countingWriter) Commit(ctx context.Context, c martsync.Commit) error {
	for _, window := range c.Windows {
		w.d.exported += max(window.Bytes, 0)
	}
	return w.Writer.Commit(ctx, c)
}

// dropping is a writer without a table: what is left is the cost of everything before it.
type dropping struct{ cursor martsync.Cursor }

func (w *dropping) Cursor() martsync.Cursor                        { return w.cursor }
func (w *dropping) Staged() martsync.Cursor                        { return "" }
func (w *dropping) Changes() []martsync.Change                     { return nil }
func (w *dropping) Write(context.Context, *martsync.Records) error { return nil }
func (w *dropping) Discard(context.Context) error                  { return nil }
func (w *dropping) Close() error                                   { return nil }

func (w *dropping) Stage(context.Context, martsync.Commit) error { return martsync.ErrUnsupported }

func (w *dropping) Commit(_ context.Context, c martsync.Commit) error {
	w.cursor = c.Next
	return nil
}
