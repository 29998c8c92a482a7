package blob

import "golang.org/x/sys/unix"

// renameNew renames a file unless the new name exists, in one step.
func renameNew(oldname, newname string) error {
	return unix.Renameat2(unix.AT_FDCWD, oldname, unix.AT_FDCWD, newname, unix.RENAME_NOREPLACE)
}
