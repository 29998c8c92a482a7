package audit

import (
	"context"
	"fmt"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
)

// storage asks a destination whether what it stored of a stream is unharmed; no name: it cannot tell.
func storage(ctx context.Context, d martsync.Destination, stream string) (Check, error) {
	verifier, ok := d.(martsync.Verifier)
	if !ok {
		return Check{}, nil
	}
	c := Check{Name: "storage", State: OK}
	var files, bytes, wrong int64
	for v, err := range verifier.Verify(ctx, stream) {
		if martsync.KindOf(err) == martsync.Config { // there is no such table, which reading it will tell
			return Check{}, nil
		}
		if err != nil {
			return c, fmt.Errorf("verify files of %s: %w", stream, err)
		}
		if v.SHA256 != "" { // the others are what the destination writes down about them
			files++
			bytes += v.Bytes
		}
		if v.OK {
			continue
		}
		wrong++
		if len(c.Examples) < maxExamples {
			c.Examples = append(c.Examples, v.Name+": "+v.Detail)
		}
	}
	switch {
	case wrong > 0:
		c.State = Wrong
		c.Detail = fmt.Sprintf("%s not as written", report.Plural(wrong, "file is", "files are"))
		c.Hint = "Restore them, for example from an older version in the bucket; martsync sync --backfill into another schema reads everything again."
	case files == 0:
		c.State, c.Detail = Skipped, "nothing is stored"
	default:
		c.Detail = fmt.Sprintf("%s, %s, as written", report.Plural(files, "file", "files"), report.Bytes(bytes))
	}
	return c, nil
}
