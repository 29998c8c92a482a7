// Package tempfolder makes folders for the temporary files of one process, and removes those of processes that
// were killed, which could not.
//
// Each folder holds a mark, an empty file that the process which made it keeps locked. The system releases the lock
// however that process ends. So nobody needs a folder any more whose mark can be locked, and a folder without a mark
// was made by somebody else.
//
// It leaves to others what they put into a folder, and when to look for those of the dead.
package tempfolder

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/martsync/martsync/internal/filelock"
)

// mark is the file in a folder that its process keeps locked.
const mark = ".martsync-in-use"

// A Folder is for the temporary files of this process.
type Folder struct {
	Path   string
	unlock func()
}

// Make makes a folder in parent ("" is the system's place for such) whose name begins with prefix. Nobody but this user can
// look into it. Where it cannot be marked Tidy leaves it alone, whatever becomes of the process. The caller removes it.
func Make(log *slog.Logger, parent, prefix string) (*Folder, error) {
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, mark)
	unlock, err := filelock.Lock(name, 0o600)
	if err != nil {
		_ = os.Remove(name) // a mark that is not locked is that of the dead
		log.Debug("a temporary folder is not marked as in use", "folder", dir, "err", err)
		unlock = func() {}
	}
	return &Folder{Path: dir, unlock: unlock}, nil
}

// Remove removes the folder with all that is in it. A folder that has gone already is no error. If it does not succeed,
// Tidy may.
func (f *Folder) Remove() error {
	folder, err := os.OpenRoot(f.Path)
	if err != nil {
		f.unlock()
		return unlessGone(err)
	}
	if err := errors.Join(empty(folder, f.unlock), folder.Close()); err != nil {
		return err
	}
	return unlessGone(os.Remove(f.Path))
}

// empty removes what is in a folder. The mark goes last: a folder that is half removed when the process dies is still
// known as one of the dead. Its lock is released before that, since Windows removes no file that is open.
func empty(folder *os.Root, unlock func()) error {
	err := emptyBeside(folder)
	unlock()
	if err != nil {
		return err
	}
	return unlessGone(folder.Remove(mark))
}

// emptyBeside removes everything but the mark. Symbolic links are removed, not followed.
func emptyBeside(folder *os.Root) error {
	dir, err := folder.Open(".")
	if err != nil {
		return unlessGone(err)
	}
	names, err := dir.Readdirnames(-1)
	errs := []error{unlessGone(err), dir.Close()}
	for _, name := range names {
		if name != mark {
			errs = append(errs, folder.RemoveAll(name))
		}
	}
	return errors.Join(errs...)
}

// unlessGone is err, unless it says that there is no such file: somebody else has removed it.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
