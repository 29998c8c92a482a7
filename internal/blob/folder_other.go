//go:build !unix && !windows

package blob

func syncFolder(string) error { return nil }

func platformKind(error) (hint string, ok bool) { return "", false }
