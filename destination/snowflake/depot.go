package snowflake

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// A depot is the place that files are loaded from. Keys are paths below it; folders end with a slash.
// The session is that of the caller.
type depot interface {
	// put copies a local file into a folder, under its own name, over one that is there.
	put(ctx context.Context, s *session, folder, path string) error
	// list returns the keys of all files in a folder and below.
	list(ctx context.Context, s *session, folder string) ([]string, error)
	// get returns the contents of a small file; ok is false if there is none.
	get(ctx context.Context, s *session, key string) (data []byte, ok bool, err error)
	// remove removes a file, or a folder with all in it. What is not there is no error.
	remove(ctx context.Context, s *session, key string) error
	// location is a folder as COPY names it, quoted.
	location(folder string) string
}

// internalStage is a stage inside the account. The files travel by the driver's PUT and GET, which need no warehouse.
type internalStage struct{ d *destination }

func (i internalStage) location(folder string) string {
	return text("@" + i.d.table(stageName) + "/" + folder)
}

// put runs PUT of a file. A PUT from a stream would hold it in memory, twice if it is encrypted, and say
// that it has no bytes.
func (i internalStage) put(ctx context.Context, s *session, folder, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	r, err := s.query(ctx, "PUT "+text("file://"+filepath.ToSlash(path))+" "+i.location(folder)+
		" PARALLEL = 4 AUTO_COMPRESS = FALSE SOURCE_COMPRESSION = NONE OVERWRITE = TRUE")
	if err != nil {
		return err
	}
	if len(r.rows) != 1 || r.cell(0, "status") != "UPLOADED" || r.cell(0, "target_size") != strconv.FormatInt(info.Size(), 10) {
		return &martsync.Error{Kind: martsync.Transient, Err: fmt.Errorf("put %s of %d bytes on the stage: the answer is %v", filepath.Base(path), info.Size(), r.rows)}
	}
	s.d.spent.bytes.Add(info.Size())
	return nil
}

func (i internalStage) list(ctx context.Context, s *session, folder string) ([]string, error) {
	r, err := s.query(ctx, "LIST "+i.location(folder))
	if err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(r.rows))
	for n := range r.rows {
		_, key, ok := strings.Cut(r.cell(n, "name"), "/") // the name begins with that of the stage
		if ok {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func (i internalStage) get(ctx context.Context, s *session, key string) (data []byte, ok bool, err error) {
	dir, err := os.MkdirTemp(s.d.env.TempDir, "snowflake-get-*")
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r, err := s.query(ctx, "GET "+i.location(key)+" "+text("file://"+filepath.ToSlash(dir)+"/"))
	if err != nil || len(r.rows) == 0 {
		return nil, false, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		return nil, false, err
	}
	data, err = os.ReadFile(filepath.Join(dir, entries[0].Name()))
	return data, err == nil, err
}

func (i internalStage) remove(ctx context.Context, s *session, key string) error {
	_, err := s.query(ctx, "REMOVE "+i.location(key))
	return err
}

// putText puts a small file.
func (d *destination) putText(ctx context.Context, s *session, folder, name string, data []byte) error {
	dir, err := os.MkdirTemp(d.env.TempDir, "snowflake-put-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return d.depot.put(ctx, s, folder, path)
}
