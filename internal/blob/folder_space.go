package blob

// Folder tells where the files of a store are if it is a folder. Others have no place on this machine.
func Folder(s Store) (dir string, local bool) {
	f, ok := s.(*folder)
	if !ok {
		return "", false
	}
	return f.dir, true
}

// FreeSpace is how many bytes this user may still write to the disk of a store that is a folder. A bucket
// has no end, and some systems do not tell: then it is not known.
func FreeSpace(s Store) (bytes uint64, known bool) {
	dir, local := Folder(s)
	if !local {
		return 0, false
	}
	return freeSpace(dir)
}
