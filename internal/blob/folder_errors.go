package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/martsync/martsync"
)

var (
	errIsFolder = errors.New("it is a folder, not a file")
	errNoLink   = errors.New("the file system cannot create a file only if it is absent")
)

// folderKinds says who must act on what the operating system says. The first row counts.
var folderKinds = []struct {
	err  error
	kind martsync.Kind
	hint string
}{
	{context.Canceled, martsync.Transient, ""},
	{context.DeadlineExceeded, martsync.Transient, ""},
	{errNoLink, martsync.Config, "choose a folder on another file system: without this two syncs at once could lose each other's commits"},
	{syscall.ENOSPC, martsync.Transient, "free some space on the disk of the folder and run it again; nothing that was committed is lost"},
	{syscall.EFBIG, martsync.Transient, "the file system or the operating system (ulimit -f) limits the size of files; raise the limit or lower rotate, and run it again"},
	{syscall.EROFS, martsync.Config, "the file system is read-only; choose another path"},
	{fs.ErrPermission, martsync.Config, "let this user read and write the folder and what is in it, or choose another path"},
	{syscall.ENAMETOOLONG, martsync.Config, "shorten layout or path: the file system does not take names of this length"},
	{syscall.ENOTDIR, martsync.Config, "a part of the path that should be a folder is a file; move it away, or choose another path or layout"},
	{syscall.EISDIR, martsync.Config, "a folder has the name of a file to be written; move it away, or choose another path or layout"},
	{errIsFolder, martsync.Config, "a folder has the name of a file; move it away, or choose another path or layout"},
	{fs.ErrExist, martsync.Config, "a folder has the name of a file to be written; move it away, or choose another path or layout"},
	{syscall.EXDEV, martsync.Config, "the whole folder must be on one file system: what is mounted inside cannot be renamed to"},
	{syscall.EMFILE, martsync.Transient, "this process may open too few files (ulimit -n); raise the limit and run it again"},
	{syscall.EINVAL, martsync.Config, "the file system does not take this name; change layout"},
}

// folderError makes an *Error of what the operating system said about a file.
func folderError(op, name string, err error) error {
	if _, ok := errors.AsType[*martsync.Error](err); ok {
		return err
	}
	// A *PathError names the file a second time.
	if p, ok := errors.AsType[*fs.PathError](err); ok && p.Path == name {
		err = p.Err
	}
	// Disks and network file systems fail and recover: what is not known may pass.
	e := &martsync.Error{Kind: martsync.Transient, Op: fmt.Sprintf("store: %s %s", op, name), Err: err}
	if errors.Is(err, fs.ErrClosed) {
		e.Kind = martsync.Internal
		return e
	}
	if hint, ok := platformKind(err); ok {
		e.Hint = hint
		return e
	}
	for _, k := range folderKinds {
		if errors.Is(err, k.err) {
			e.Kind, e.Hint = k.kind, k.hint
			break
		}
	}
	return e
}

// dataError is about something stored that is not what we stored.
func dataError(op, hint string, err error) error {
	return &martsync.Error{Kind: martsync.Data, Op: "store: " + op, Hint: hint, Err: err}
}

func sizeAbove(op, name string, most int64) error {
	return dataError(op, "somebody else changed the file; restore it", fmt.Errorf("%s has more than %d bytes", name, most))
}

func lostError(what string) error {
	return dataError("finish", "restore what cleans unfinished uploads away before a day has passed (a lifecycle rule of the bucket, a cleaner of the folder), then load the stream again from the beginning",
		fmt.Errorf("%s: %w", what, ErrLost))
}
