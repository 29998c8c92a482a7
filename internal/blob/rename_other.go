//go:build !linux && !darwin && !windows

package blob

import "errors"

// renameNew would rename a file unless the new name exists; this system has no such call.
func renameNew(_, _ string) error { return errors.ErrUnsupported }
