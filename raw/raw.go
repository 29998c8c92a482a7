// Package raw keeps what vendors sent, byte for byte, beside the tables that were made of it, and
// makes the tables again from it without a call.
//
// A Zone is a part of a bucket or a folder. For each stream it has data objects, which hold export
// files and pages in zstd, and entries, which say what is where and what it led to: the rows it
// became, the windows it completed, the positions before and after it. Entries are numbered and
// never change. Those that count form a chain by the positions of the table that they were kept
// for (chain.go), so an entry whose commit came to nothing is passed over.
//
// It leaves to others when something is kept, which is the engine's affair (package pipeline), how
// bytes become records, which only the source knows (martsync.Replayer), and where objects lie
// (internal/blob).
package raw

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// A Zone keeps what one sync reads from one account. Its methods may be called from several
// goroutines. It has nothing to close.
type Zone struct {
	store   blob.Store
	account string
	prefix  string // of all keys, with a slash at its end
	clock   martsync.Clock
	log     *slog.Logger
	encoder *zstd.Encoder

	mu      sync.Mutex
	schemas map[string]bool // keys of the schemas known to be there
	cleaned map[string]bool // streams whose unfinished uploads have been dropped
}

// Open opens the zone of a sync at a location. Account is Source.Account.
func Open(ctx context.Context, location blob.Location, account, sync string, env martsync.Env) (*Zone, error) {
	store, err := location.Open(ctx, "", env)
	if err != nil {
		return nil, fmt.Errorf("open the raw zone: %w", err)
	}
	return New(store, account, sync, env)
}

// New makes the zone of a sync in a store.
func New(store blob.Store, account, sync string, env martsync.Env) (*Zone, error) {
	if account == "" || sync == "" {
		return nil, &martsync.Error{Kind: martsync.Internal, Op: "raw: open", Err: errors.New("a zone needs an account and a sync")}
	}
	// What it compresses it is given whole, for which it starts no goroutine and needs no closing.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(4), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, &martsync.Error{Kind: martsync.Internal, Op: "raw: open", Err: err}
	}
	return &Zone{
		encoder: encoder,
		store:   store, account: account, prefix: plain(account) + "/" + plain(sync) + "/", clock: env.Clock, log: env.Log,
		schemas: map[string]bool{}, cleaned: map[string]bool{},
	}, nil
}

// String says where the zone is, for people.
func (z *Zone) String() string {
	return strings.TrimRight(z.store.String(), "/") + "/" + strings.TrimRight(z.prefix, "/")
}

// plain makes a name that folders, buckets and shells take as it is.
func plain(name string) string {
	mapped := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, name)
	if strings.Trim(mapped, ".") == "" {
		return "-"
	}
	return mapped
}

// folder is where a stream's objects are, with a slash at its end.
func (z *Zone) folder(stream string) string { return z.prefix + plain(stream) + "/" }

// entryPrefix is what the keys of a stream's entries begin with.
func (z *Zone) entryPrefix(stream string) string { return z.folder(stream) + "entry-" }

func (z *Zone) entryKey(stream string, number int64) string {
	return fmt.Sprintf("%s%012d.json", z.entryPrefix(stream), number)
}

// Streams lists the streams that the zone has something of, in the order of their names.
func (z *Zone) Streams(ctx context.Context) ([]string, error) {
	var names []string
	for after := ""; ; {
		found := false
		for e, err := range z.store.List(ctx, z.prefix, after) {
			if err != nil {
				return nil, fmt.Errorf("list the streams of the raw zone: %w", err)
			}
			name, _, ok := strings.Cut(strings.TrimPrefix(e.Key, z.prefix), "/")
			if !ok {
				after = e.Key
			} else {
				names = append(names, name)
				after = z.prefix + name + "0" // the byte after the slash: everything in the folder is less
			}
			found = true
			break
		}
		if !found {
			return names, nil
		}
	}
}

// Size is how many bytes the zone takes, all streams and records of its own included.
func (z *Zone) Size(ctx context.Context) (bytes int64, err error) {
	for e, err := range z.store.List(ctx, z.prefix, "") {
		if err != nil {
			return 0, fmt.Errorf("list the raw zone: %w", err)
		}
		bytes += e.Size
	}
	return bytes, nil
}

// damaged is the error for a zone that is not as it was left.
func damaged(op string, format string, args ...any) error {
	return &martsync.Error{
		Kind: martsync.Data, Op: "raw: " + op, Err: fmt.Errorf(format, args...),
		Hint: "Restore the object from a backup or an earlier version; nothing of ours changes or deletes what a zone holds.",
	}
}
