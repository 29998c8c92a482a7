package pardot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/martsync/martsync"
)

// mostToken bounds what is read of a token file, in bytes. Refresh tokens have about a hundred.
const mostToken = 16 << 10

// readToken reads a refresh token from a file; "" if there is no file yet.
func readToken(path string) (martsync.Secret, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil {
		defer func() { _ = f.Close() }()
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(f, mostToken)); err == nil {
			return martsync.Secret(strings.TrimSpace(string(text))), nil
		}
	}
	return "", &martsync.Error{
		Kind: martsync.Config, Op: "pardot: read token_file", Err: err,
		Hint: "The file must be readable and writable by whoever runs this.",
	}
}

// writeToken replaces the file in one step, so that no crash leaves half a token, and nobody
// else may read it.
func writeToken(path string, token martsync.Secret) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write token_file: %w", err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // for its owner alone
	if err != nil {
		return fmt.Errorf("write token_file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("write token_file: %w", err)
		}
	}()
	if _, err := f.WriteString(token.Reveal() + "\n"); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
