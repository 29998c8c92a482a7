package blob

import (
	"errors"

	"golang.org/x/sys/windows"
)

// renameNew renames a file unless the new name exists.
func renameNew(oldname, newname string) error {
	from, err := windows.UTF16PtrFromString(oldname)
	if err != nil {
		return err
	}
	to, err := windows.UTF16PtrFromString(newname)
	if err != nil {
		return err
	}
	return windows.MoveFileEx(from, to, windows.MOVEFILE_WRITE_THROUGH)
}

// platformKind knows the transient errors that only some systems have.
func platformKind(err error) (hint string, ok bool) {
	if errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) {
		return "free some space on the disk of the folder and run it again; nothing that was committed is lost", true
	}
	if errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return "another program has the file open; close it and run it again", true
	}
	return "", false
}
