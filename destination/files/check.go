package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// skewLimit is how far the clocks of this machine and of the store may be apart. Left-overs of dead
// writers are told by their age, and S3 refuses requests from 15 minutes on.
const skewLimit = 5 * time.Minute

// spaceLimit is how much room a folder should have: less is filled by a few files.
const spaceLimit = 1 << 30 // bytes

// Check tries everything that a sync does, on objects of its own under _martsync/, and
// leaves nothing behind.
func (d *destination) Check(ctx context.Context) []martsync.Finding {
	c := &checking{d: d, key: blob.SystemFolder + "check-" + blob.NewID() + ".txt"}
	defer c.clean(ctx)
	for _, try := range []struct {
		subject string
		try     func(context.Context) (detail string, err error)
	}{
		{"list files", c.list},
		{"write files", c.put},
		{"read files", c.get},
		{"one writer at a time", c.probe},
		{"clock", c.clock},
		{"unfinished uploads", c.upload},
		{"delete files", c.remove},
		{"delete data files", c.removeData},
		{"free space", c.space},
	} {
		detail, err := try.try(ctx)
		switch {
		case err != nil:
			c.findings = append(c.findings, martsync.Finding{Subject: try.subject, Detail: err.Error(), Hint: martsync.HintOf(err), Err: err})
		case detail != "":
			c.findings = append(c.findings, martsync.Finding{Subject: try.subject, OK: true, Detail: detail})
		}
		// Without this there is nothing to try with, and each of the others would say the same again.
		if err != nil && (try.subject == "list files" && martsync.KindOf(err) != martsync.Auth || try.subject == "write files") {
			break
		}
	}
	return c.findings
}

// checking is what one check has done so far.
type checking struct {
	d        *destination
	key      string    // of its object
	written  bool      // maybe: the object must be removed
	began    time.Time // about when the object was written
	ended    time.Time
	receipt  blob.Receipt // of an upload that must be aborted, if it has an ID
	findings []martsync.Finding
}

// content is what the object of a check holds.
const content = "martsync check: this object may be deleted.\n"

func (c *checking) list(ctx context.Context) (string, error) {
	streams, err := c.d.streams(ctx)
	if err != nil {
		return "", err
	}
	n := fmt.Sprintf("%d tables", len(streams))
	switch len(streams) {
	case 0:
		n = "no tables yet"
	case 1:
		n = "1 table"
	}
	return c.d.store.String() + ", " + n, nil
}

func (c *checking) put(ctx context.Context) (string, error) {
	c.began, c.written = c.d.wall.Now(), true
	if err := c.d.store.Put(ctx, c.key, []byte(content), true); err != nil {
		return "", err
	}
	c.ended = c.d.wall.Now()
	return c.key + " was written", nil
}

func (c *checking) get(ctx context.Context) (string, error) {
	r, err := c.d.store.Open(ctx, c.key, int64(len(content)))
	if err != nil {
		return "", err
	}
	defer r.Close() //nolint:errcheck // nothing was written
	got := make([]byte, len(content))
	if _, err := r.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if string(got) != content {
		return "", fail(martsync.Data, "read "+c.key, "Something between this program and the store changes what is stored.", "it does not hold what was written")
	}
	return "and found as written", nil
}

func (c *checking) probe(ctx context.Context) (string, error) {
	if err := blob.Probe(ctx, c.d.store); err != nil {
		return "", err
	}
	return "of two who put the same object only one can", nil
}

// clock compares the time of this machine with that of a bucket. A folder has no other clock.
func (c *checking) clock(ctx context.Context) (string, error) {
	if _, local := blob.Folder(c.d.store); local {
		return "", nil
	}
	for e, err := range c.d.store.List(ctx, c.key, "") {
		if err != nil {
			return "", err
		}
		// Times in listings are whole seconds.
		apart := max(c.began.Add(-time.Second).Sub(e.Modified), e.Modified.Sub(c.ended), 0).Truncate(time.Second)
		if apart > skewLimit {
			return "", fail(martsync.Config, "check the clock", "Set the clock of this machine, for example by NTP: stores refuse requests that are 15 minutes off.",
				"it and that of the store are %v apart", apart)
		}
		return fmt.Sprintf("that of the store is at most %v apart", apart+time.Second), nil
	}
	return "", fail(martsync.Config, "list "+c.key, "Use a store that shows in listings at once what was written: how commits are found depends on it.", "an object that was just written is not listed")
}

func (c *checking) upload(ctx context.Context) (string, error) {
	u, err := c.d.store.Create(ctx, c.key+".upload", "text/plain")
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(u, content); err != nil {
		return "", errors.Join(err, u.Abort(context.WithoutCancel(ctx)))
	}
	if c.receipt, err = u.Close(ctx); err != nil {
		return "", errors.Join(err, u.Abort(context.WithoutCancel(ctx)))
	}
	listed := false
	for r, err := range c.d.store.Uploads(ctx, c.key) {
		if err != nil {
			return "", err
		}
		listed = listed || r.ID == c.receipt.ID
	}
	if !listed {
		return "", fail(martsync.Config, "list uploads", "Left-overs of runs that died will stay in the store; let a rule of it remove unfinished uploads after 7 days.", "an upload under way is not listed")
	}
	if err := c.d.store.Abort(ctx, c.receipt); err != nil {
		return "", err
	}
	c.receipt = blob.Receipt{}
	return "can be made, found and aborted", nil
}

func (c *checking) remove(ctx context.Context) (string, error) {
	if err := c.d.store.Delete(ctx, c.key); err != nil {
		return "", err
	}
	c.written = false
	return c.key + " was removed", nil
}

// removeData tries to delete a data file that does not exist, which takes the same right as to delete one: mode latest
// deletes what it has replaced.
func (c *checking) removeData(ctx context.Context) (string, error) {
	if !c.d.latest {
		return "", nil
	}
	if err := c.d.store.Delete(ctx, strings.TrimPrefix(c.key, blob.SystemFolder)); err != nil {
		return "", err
	}
	return "files that were replaced can be", nil
}

// space tells how much room a folder has. A bucket has no end.
func (c *checking) space(context.Context) (string, error) {
	dir, local := blob.Folder(c.d.store)
	if !local {
		return "", nil
	}
	free, known := blob.FreeSpace(c.d.store)
	if !known {
		return "", nil
	}
	text := fmt.Sprintf("%.1f GB on the disk of %s", float64(free)/1e9, dir)
	if free < spaceLimit {
		return "", fail(martsync.Config, "check the disk", "Make room there, or choose a folder on another disk.", "only %s", text)
	}
	return text, nil
}

// clean removes what a check that went wrong has left. What it cannot remove was reported before.
func (c *checking) clean(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if c.receipt.ID != "" {
		_ = c.d.store.Abort(ctx, c.receipt)
	}
	if c.written {
		_ = c.d.store.Delete(ctx, c.key)
	}
}

var (
	_ martsync.Checker       = (*destination)(nil)
	_ martsync.TableReader   = (*destination)(nil)
	_ martsync.HistoryReader = (*destination)(nil)
	_ martsync.TimeReader    = (*destination)(nil)
)
