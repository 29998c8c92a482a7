package blob

import "golang.org/x/sys/unix"

// renameNew renames a file unless the new name exists, in one step.
func renameNew(oldname, newname string) error {
	return unix.RenamexNp(oldname, newname, unix.RENAME_EXCL)
}
