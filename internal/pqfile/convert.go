package pqfile

import (
	"context"
	"io"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/csvfile"
)

// A Summary says what Convert did.
type Summary struct {
	Rows        int64 // records of the CSV file
	Quarantined int64 // of these, rows that are not in the Parquet file
	Bytes       int64 // of the Parquet file
}

// Convert writes the records of a CSV file as a Parquet file. Rows that do not fit are passed
// to quarantine, which may be nil; they are borrowed. With in.Workers and out.Workers at 1
// everything happens in the caller's goroutine.
func Convert(ctx context.Context, w io.Writer, r io.Reader, in csvfile.Options, out Options, quarantine func([]martsync.Quarantined) error) (Summary, error) {
	var sum Summary
	out.Columns = in.Columns
	p, err := NewWriter(w, out)
	if err != nil {
		return sum, err
	}
	for chunk, err := range csvfile.Read(ctx, r, in) {
		if err != nil {
			return sum, err
		}
		sum.Rows += chunk.Rows
		sum.Quarantined += int64(len(chunk.Quarantined))
		if len(chunk.Quarantined) > 0 && quarantine != nil {
			if err := quarantine(chunk.Quarantined); err != nil {
				return sum, err
			}
		}
		if err := p.Write(chunk.Records); err != nil {
			return sum, err
		}
	}
	err = p.Close()
	sum.Bytes = p.offset
	return sum, err
}
