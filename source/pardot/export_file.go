package pardot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/martsync/martsync"
)

const (
	// headerMost bounds the first line of a file: an account may have thousands of fields.
	headerMost = 512 << 10

	// parsersMost is how many goroutines parse a file at most; two keep up with any connection.
	parsersMost = 2

	// A download that breaks off is begun anew at once, a few times; then it waits, a few times.
	// After that the job is made anew.
	cutsAtOnce, cutsMost = 4, 12

	// shortMost is how often a file may end in the middle of a line before that is taken for its end.
	shortMost = 3

	// badMost is how often a file may not be what was asked for before its job is made anew.
	badMost = 2
)

// A badFile is a file that cannot be what the vendor meant to deliver.
type badFile struct{ why string }

func (b *badFile) Error() string { return b.why }

// deliver hands over the files of the complete job, each with a cursor behind it.
func (t *exportTask) deliver(ctx context.Context) error {
	s := t.state
	if t.refs == nil {
		if ok, err := t.refer(ctx); err != nil || !ok {
			return err
		}
	}
	if len(t.refs) == 0 && s.Taken {
		return t.foreign(ctx, "it has no file")
	}
	id := s.ID
	for _, ref := range t.refs {
		for !slices.Contains(s.Done, fileKey(ref)) {
			if err := t.file(ctx, ref); err != nil {
				return err
			}
			if s.ID != id {
				return nil // given up, or not ours
			}
		}
	}
	s.Jobs = append(s.Jobs, s.ID)
	s.Tries, s.Fails = 0, 0
	s.forget()
	s.Pass++
	t.refs = nil
	if s.Pass < len(t.passes()) {
		return t.remember()
	}
	return nil
}

// done reports whether the last file of the last pass has been read.
func (t *exportTask) done() bool {
	return t.state.Pass+1 == len(t.passes()) &&
		!slices.ContainsFunc(t.refs, func(ref string) bool { return !slices.Contains(t.state.Done, fileKey(ref)) })
}

// refer asks for the references to the files of a job that is known to be complete.
func (t *exportTask) refer(ctx context.Context) (bool, error) {
	job, calls, err := t.api.read(ctx, t.noun, t.state.ID)
	t.count(0, 0, calls)
	switch {
	case gone(err):
		return false, t.again(ctx, "the vendor has lost it")
	case err != nil:
		return false, err
	case job.expired:
		return false, t.again(ctx, "it expired")
	case job.state != exportComplete:
		return false, t.again(ctx, "it was complete and is "+job.state)
	}
	t.refs = append([]string{}, job.refs...)
	return true, nil
}

// fileKey recognises a file: the host that a reference names may change.
func fileKey(ref string) string {
	if u, err := url.Parse(ref); err == nil {
		ref = u.RequestURI()
	}
	sum := sha256.Sum256([]byte(ref))
	return hex.EncodeToString(sum[:6])
}

// file hands over one file. What a download that broke off, or a file of something else, has
// brought so far is taken back.
func (t *exportTask) file(ctx context.Context, ref string) error {
	s := t.state
	// Asked now, since a download holds one of the account's few places for as long as it is open: if all of them were
	// held by downloads that ask for the zone, none would come to an end.
	zone, err := t.jobZone(ctx)
	if err != nil {
		return err
	}
	resp, calls, err := t.src.client.download(ctx, "download "+t.noun+" export", ref)
	t.count(0, 0, calls)
	switch {
	case gone(err):
		return t.again(ctx, "its files are gone")
	case err != nil:
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	f := &fileReader{task: t, resp: resp, zone: zone}
	if t.keep != nil {
		f.keeps, f.name = true, fileName(s.job(), slices.Index(t.refs, ref), len(t.refs))
	}
	err = f.rows(ctx)
	if err == nil {
		if f.begin != nil { // a file without rows is kept too
			t.keep(f.begin[0])
		}
		t.count(f.n, f.bad, 0)
		s.Done = append(s.Done, fileKey(ref))
		s.Taken, s.Others, s.Cuts, s.Bad, s.Short = false, nil, 0, 0, 0
		t.src.env.Log.InfoContext(ctx, "export file read", "stream", t.stream, "job", s.job(), "rows", f.n, "bytes", f.bytes)
		if t.done() {
			return nil // the cursor behind the window follows, and its row of the ledger goes with these rows
		}
		return t.remember()
	}
	bad, isBad := errors.AsType[*badFile](err)
	switch {
	case f.left:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case f.err != nil:
		return t.broken(ctx, f)
	case isBad:
		return t.rejected(ctx, f, bad)
	}
	return err
}

// broken decides about a download that ended too early.
func (t *exportTask) broken(ctx context.Context, f *fileReader) error {
	s := t.state
	s.Cuts++
	t.note("download", "a download of export %d broke off after %d bytes and is begun anew", s.ID, f.bytes)
	if s.Cuts >= cutsMost {
		if err := t.takeBack(f); err != nil {
			return err
		}
		return t.again(ctx, "its files cannot be downloaded: "+f.err.Error())
	}
	if err := t.takeBack(f); err != nil {
		return err
	}
	if s.Cuts%cutsAtOnce != 0 {
		return nil
	}
	return &martsync.Error{
		Kind: martsync.Transient, Op: "pardot: download " + t.noun + " export", After: time.Minute,
		Err: fmt.Errorf("after %d bytes: %w", f.bytes, f.err),
	}
}

// rejected decides about a file that is not what was asked for.
func (t *exportTask) rejected(ctx context.Context, f *fileReader, bad *badFile) error {
	s := t.state
	if s.Taken {
		if f.sent {
			if err := t.discard(); err != nil {
				return err
			}
		}
		return t.foreign(ctx, bad.why)
	}
	s.Bad++
	if err := t.takeBack(f); err != nil {
		return err
	}
	if s.Bad >= badMost {
		return t.again(ctx, bad.why)
	}
	t.note("download", "a file of export %d is downloaded again: %s", s.ID, bad.why)
	return nil
}

// takeBack drops the rows of a file that did not come to its end.
func (t *exportTask) takeBack(f *fileReader) error {
	if f.sent {
		return t.discard()
	}
	return t.remember()
}
