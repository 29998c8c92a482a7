package pipeline

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/martsync/martsync"
	text "github.com/martsync/martsync/internal/position"
)

// checkAccounts refuses the run if one of its tables holds the records of another account (I12), before any stream is read and
// any table opened, which might add the columns of the wrong account to it. A destination that cannot say where its
// tables stand is asked when each is opened (loader.ofAccount).
func (e *engine) checkAccounts(ctx context.Context, streams []martsync.Stream) error {
	p, ok := martsync.As[martsync.Positioner](e.Destination)
	if !ok || e.SameAccount {
		return nil
	}
	theirs := make([]string, len(streams))
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(e.Parallel)
	for i, s := range streams {
		group.Go(func() (err error) {
			theirs[i], err = e.strange(asking, p, s.Schema().Stream)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var account string
	var tables []string
	for i, s := range streams {
		if theirs[i] == "" || account != "" && theirs[i] != account {
			continue
		}
		account, tables = theirs[i], append(tables, s.Schema().Stream)
	}
	if len(tables) == 0 {
		return nil
	}
	return text.Refuse(tables, account, e.account)
}

// strange tells which other account's records a table holds; "": none.
func (e *engine) strange(ctx context.Context, p martsync.Positioner, stream string) (string, error) {
	base, err := p.Position(ctx, stream)
	if err != nil {
		return "", fmt.Errorf("ask where table %s stands: %w", stream, err)
	}
	theirs := decodePosition(base).account
	if theirs == "" || theirs == e.account {
		return "", nil
	}
	saved, _, err := e.loadProgress(ctx, stream)
	if err != nil || saved.Base == base && decodePosition(saved.Cursor).account == e.account {
		return "", err // somebody has said that the two are one
	}
	return theirs, nil
}

// ofAccount refuses to read on where another account was read (I12). What was read of it beyond an empty table counts for
// nothing: the table may begin with any account.
func (l *loader) ofAccount(ctx context.Context) error {
	theirs := decodePosition(l.progress.Base).account
	l.renamed = theirs != "" && theirs != l.account
	if l.SameAccount || text.Check(l.progress.Cursor, l.schema.Stream, l.account) == nil {
		return nil
	}
	if l.progress.Base != "" {
		return text.Check(l.progress.Cursor, l.schema.Stream, l.account)
	}
	l.Log.InfoContext(ctx, "what was read of another account is not used", "stream", l.schema.Stream, "account", decodePosition(l.progress.Cursor).account)
	if l.progress.Staged != "" {
		if err := l.writer.Discard(ctx); err != nil {
			return fmt.Errorf("discard staged rows: %w", err)
		}
	}
	l.progress = progress{Backfill: l.progress.Backfill}
	return nil
}

// retells reports whether the table must be told the account's new name although no rows came. A snapshot is told with the
// next one that is read: a commit replaces it.
func (l *loader) retells() bool { return l.renamed && l.verified && !l.schema.Snapshot }
