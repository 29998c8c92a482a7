//go:build !(unix || windows)

package tempfolder

import "io/fs"

// ours says no: this system does not tell.
func ours(fs.FileInfo, string) bool { return false }
