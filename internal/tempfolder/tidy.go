package tempfolder

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/martsync/martsync/internal/filelock"
)

// Tidy removes the folders in parent that dead processes of this user have made with that prefix, if they made them before
// the given time. Leave a process that is making one the time to lock its mark: between the two it looks dead. What cannot
// be removed only takes room, so that is logged and no error. Any number of processes may tidy at once.
func Tidy(log *slog.Logger, parent, prefix string, before time.Time) {
	root, err := os.OpenRoot(parent)
	if err != nil {
		log.Debug("look for temporary folders of dead processes", "folder", parent, "err", err)
		return
	}
	defer func() { _ = root.Close() }()
	names, err := beginning(root, prefix)
	if err != nil {
		log.Debug("look for temporary folders of dead processes", "folder", parent, "err", err)
	}
	for _, name := range names {
		path := filepath.Join(parent, name)
		removed, err := tidy(root, parent, name, before)
		switch {
		case err != nil:
			log.Debug("a temporary folder of a dead process stays", "folder", path, "err", err)
		case removed:
			log.Debug("removed the temporary folder of a dead process", "folder", path)
		}
	}
}

// listed is how many names of the parent are looked at together: other programs may keep very many there.
const listed = 1000

// beginning lists the names in a folder that begin with prefix.
func beginning(root *os.Root, prefix string) (found []string, _ error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	for {
		names, err := dir.Readdirnames(listed)
		for _, name := range names {
			if strings.HasPrefix(name, prefix) {
				found = append(found, name)
			}
		}
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return found, err
		}
	}
}

// tidy removes one folder if it is one of the dead.
func tidy(root *os.Root, parent, name string, before time.Time) (removed bool, err error) {
	info, err := root.Lstat(name)
	if err != nil {
		return false, unlessGone(err)
	}
	if !info.IsDir() || !ours(info, filepath.Join(parent, name)) {
		return false, nil
	}
	folder, err := root.OpenRoot(name)
	if err != nil {
		return false, unlessGone(err)
	}
	dead, err := emptyDead(folder, before)
	err = errors.Join(err, folder.Close())
	if err != nil || !dead {
		return false, err
	}
	return true, unlessGone(root.Remove(name))
}

// emptyDead empties a folder if it is one of the dead.
func emptyDead(folder *os.Root, before time.Time) (dead bool, err error) {
	info, err := folder.Lstat(mark)
	if err != nil {
		return false, unlessGone(err)
	}
	if !info.Mode().IsRegular() || !info.ModTime().Before(before) { // nobody writes to a mark: it is as old as the folder
		return false, nil
	}
	file, err := folder.OpenFile(mark, os.O_RDWR, 0) // to write: network file systems lock no other
	if err != nil {
		return false, unlessGone(err)
	}
	free, err := filelock.Try(file)
	if err != nil || !free {
		return false, errors.Join(err, file.Close())
	}
	return true, empty(folder, func() { _ = file.Close() }) // nothing was written
}
