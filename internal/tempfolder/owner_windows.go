package tempfolder

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// ours reports whether a file belongs to the user that this process acts for. What administrators make belongs to their
// group; so those of them who are elevated are one user.
func ours(_ fs.FileInfo, path string) bool {
	security, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return false
	}
	owner, _, err := security.Owner()
	if err != nil {
		return false
	}
	member, err := windows.Token(0).IsMember(owner) // the token of this thread; a user is a member of itself
	return err == nil && member
}
