//go:build !unix && !windows

package blob

func platformKind(error) (hint string, ok bool) { return "", false }
