package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/state"
)

// progress is the document that remembers, between commits, where a stream stands and what
// waits for its next commit. It counts only as long as the writer still is where it was
// saved (I8): otherwise somebody has committed or staged since, and what it holds is either
// in the destination or will be read again.
type progress struct {
	Base   martsync.Cursor `json:"base"`   // the committed position it builds on
	Staged martsync.Cursor `json:"staged"` // the staged position it builds on; "": nothing staged
	Cursor martsync.Cursor `json:"cursor"` // where reading goes on; all three are encoded positions

	Unverified bool  `json:"unverified,omitzero"` // Cursor may not be committed
	Raw        int64 `json:"raw,omitzero"`        // the entry of the raw zone that Cursor stands in; 0: none

	Windows []martsync.Window   `json:"windows,omitempty"` // empty windows that no commit has taken yet
	Log     []martsync.LogEntry `json:"log,omitempty"`     // what happened since the last commit

	// What follows counts wherever the writer is.

	Backfill string   `json:"backfill,omitzero"` // the last run that began to read again from the beginning
	Missing  []string `json:"missing,omitempty"` // columns known to have left the schema
}

// Bounds of what waits in a progress document. Windows beyond maxHeld are committed without
// rows; of log entries the newest maxHeldLog are kept.
const (
	maxHeld    = 500
	maxHeldLog = 100
)

func progressKey(sync, stream string) string { return "progress/" + sync + "/" + stream }

// loadProgress reads the document. A document that is missing or unreadable is empty: it
// costs time, never a record.
func (e *engine) loadProgress(ctx context.Context, stream string) (p progress, revision string, err error) {
	d, err := e.State.Get(ctx, progressKey(e.Name, stream))
	if errors.Is(err, state.ErrNotFound) {
		return progress{}, "", nil
	}
	if err != nil {
		return progress{}, "", fmt.Errorf("load progress: %w", err)
	}
	if err := json.Unmarshal(d.Data, &p); err != nil {
		e.Log.WarnContext(ctx, "progress is unreadable and not used", "stream", stream, "err", err)
		return progress{}, d.Revision, nil
	}
	return p, d.Revision, nil
}

// saveProgress writes l.progress if it differs from what is stored.
func (l *loader) saveProgress(ctx context.Context) error {
	if n := len(l.progress.Log) - maxHeldLog; n > 0 {
		l.progress.Log = l.progress.Log[n:]
	}
	data, err := json.Marshal(l.progress)
	if err != nil {
		return fmt.Errorf("save progress: %w", err)
	}
	if l.revision != "" && string(data) == l.stored {
		return nil
	}
	revision, err := l.State.Put(ctx, progressKey(l.Name, l.schema.Stream), data, l.revision)
	if errors.Is(err, state.ErrStale) {
		return &martsync.Error{
			Kind: martsync.Conflict, Op: "save progress", Err: errors.New("another sync of this name reads the stream"),
			Hint: "Let the other sync end; this one can be run again afterwards.",
		}
	}
	if err != nil {
		return fmt.Errorf("save progress: %w", err)
	}
	l.revision, l.stored, l.storedBase = revision, string(data), l.progress.Base
	return nil
}
