// Package files is the destination that keeps tables as files: in a bucket of S3, in a store that
// speaks S3, or in a folder.
//
// # The protocol
//
// The commits of a stream are a chain of manifests, _martsync/<stream>/manifest-000000000042.json.
// Each names the data files that it adds and holds the cursor, the ledger, the log and the quarantine.
// A manifest is put only if there is none of its number: that is the transaction. Of two writers that
// build on commit 41 one puts manifest 42, and the other one learns that it has lost (I2). Stores that
// let both put it are found out, and refused, when the first stream is opened.
//
// A data file is uploaded before the commit, in a manner that keeps it invisible (S3: a multipart upload
// that is not completed; a folder: a file under another name), and becomes visible after it.
// The manifest holds what it takes to finish the upload, so anybody can: whoever opens the
// stream next does it first if the writer has died in between. So
//
//   - who follows manifests sees whole commits (I1);
//   - who lists the bucket never sees a file that disappears, or a row that comes again. In mode latest, which is
//     described below, this does not hold.
//
// Rows that cannot be committed yet are staged: a document like a manifest, stage-<n>-<k>.json, the k-th that
// builds on commit n, put in the same way. It holds everything since that commit, so a writer that takes over
// needs the newest one alone. A discard is a stage that holds nothing. A writer goes on only
// while the newest stage is the one it knows.
//
// # What keeps it right
//
// An upload may be aborted only by who is sure that no manifest will ever promise it. These are sure:
//
//   - the writer that made it, as long as it has told nobody, not even in a request whose
//     reply was lost;
//   - everybody, once a commit exists that is newer than the one that the upload's writer builds on and does not name it:
//     then that writer cannot commit. Uploads that a stage names build on the commit of
//     the stage. Of others it is known when they began: before the newest commit was put.
//
// So a discard aborts nothing that was staged: a writer that has not noticed may be about to commit
// it, and may do so. Its commit then comes first, and the one that discarded is the loser.
//
// Files of commit n-1 are all visible when commit n is put, because a writer finishes the commit
// that it builds on before anything else. So only the newest commit can have files that wait to be finished.
//
// The schema of a table is a chain of its own, because opening a table may change it without
// a commit, and that must not make other writers lose.
//
// # Mode latest
//
// A commit may replace the table: one of a stream of snapshots always does, and so does a compaction, which writes the
// rows that the table has anyway to new files. Manifests tell where the table begins, so readers do not look
// further back. In mode latest a writer compacts a table after a commit of its own when enough has come together, and whoever opens
// it deletes the files that were replaced some time ago. What must be right about that:
//
//   - A compaction changes nothing for what comes later. It keeps each row's version, its flag of being deleted and the time when it was
//     synced, also of rows that a scope or a census has marked. Tombstones become rows with that flag.
//   - It is a commit like any other: it is put if there is none of its number, with the position of the commit before it. Of a sync and
//     a compaction one loses, and the compaction has lost nothing but time. So that the sync loses none either,
//     it is not begun, and not put, while a stage builds on its commit.
//   - It is not part of the commit that it follows. If it goes wrong that commit stands and nothing is said of it but in the
//     log; only when nobody knows whether it was put, the writer must be opened again.
//   - A file is deleted when a commit that replaced it is settled, and was put as long ago as readers may take. Keys are never used again, so
//     deleting can be repeated: the marker swept-<n> says that the files of all commits before n are gone, and is put after that.
//
// The package leaves to others: when to commit (package pipeline), what a record is (the source), how
// Parquet files are encoded (internal/pqfile), and how objects are kept (internal/blob).
package files

import (
	"context"

	"github.com/martsync/martsync"
)

// Connector opens buckets and folders.
var Connector = martsync.NewDestination("files", "Files in S3 or a folder", Open)

// Open opens the destination for the tables of one namespace: a folder below the configured place, or
// that place itself if it is "". It makes no call to S3.
func Open(ctx context.Context, c Config, namespace string, env martsync.Env) (martsync.Destination, error) {
	d, err := open(ctx, c, namespace, env)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func open(ctx context.Context, c Config, namespace string, env martsync.Env) (*destination, error) {
	d, err := newDestination(c, namespace, env)
	if err != nil {
		return nil, err
	}
	d.store, err = c.location().Open(ctx, namespace, env)
	return d, err
}

// newDestination makes a destination that lacks its store.
func newDestination(c Config, namespace string, env martsync.Env) (*destination, error) {
	p, err := presetOf(c.Preset)
	if err != nil {
		return nil, err
	}
	f, err := c.format(p)
	if err != nil {
		return nil, err
	}
	template := p.Layout
	if c.Layout != "" {
		template = c.Layout
	}
	l, err := parseLayout(template)
	if err != nil {
		return nil, err
	}
	latest, keep, err := c.mode(f)
	if err != nil {
		return nil, err
	}
	return &destination{
		env: env, wall: martsync.SystemClock{}, config: c, source: namespace, layout: l, format: f, preset: p,
		latest: latest, keep: keep, rule: defaultRule, replay: compactReplay, compacting: make(chan struct{}, 1),
		cleaned: map[string]bool{},
	}, nil
}
