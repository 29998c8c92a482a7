package martsync

import (
	"context"
	"io"
	"iter"
)

// Raw is what the vendor sent for a batch, byte for byte: a page, or a piece of an export file.
type Raw struct {
	// Body names the export file or the page within its stream, for people and for files:
	// "job-4711.csv", "rest/asset/v1/programs.json". It holds no secret. Pieces that follow each
	// other under one name make one body.
	Body string

	// Offset is where in the body the piece begins. It is 0 in the first one.
	Offset int64

	// Data are the bytes. They are borrowed like the batch.
	Data []byte

	// How is what the source needs beside the bytes to read the body again, in its own terms, as
	// JSON: the request, the version of the API, the time zone. It counts on the first piece.
	// It holds no secret.
	How string
}

// A Replayer is a Source that can make the records of a batch again from what the vendor sent, without
// a call.
type Replayer interface {
	// KeepRaw makes the streams put what the vendor sent on their batches (Batch.Raw). It is
	// called before Streams.
	KeepRaw()

	// Replay yields the records, and those for the quarantine, that came from the bodies of one
	// unit: everything between two cursors. Schema is that of the stream when the bodies arrived.
	// The batches carry Records, Quarantined and Bytes and nothing else: cursors, windows, scopes
	// and censuses are the caller's. Each body is read before the next one is asked for.
	Replay(ctx context.Context, schema Schema, bodies iter.Seq2[RawBody, error]) iter.Seq2[Batch, error]
}

// A RawBody is a page or an export file as it arrived. Offset is 0, unless an earlier unit held
// what comes before it: a file whose rows were committed in pieces.
type RawBody struct {
	Name   string    // Raw.Body
	How    string    // Raw.How, also of the first piece if that came in an earlier unit
	Offset int64     // where in the body it begins
	Data   io.Reader // valid until the next body is asked for
}
