package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// maxConfig is how large a configuration in a bucket may be, in bytes.
const maxConfig = 1 << 20

// fetchConfig reads the configuration from a bucket, for places that have no file of their own: a function, a
// container. How to reach the bucket is in the environment, as for other tools of AWS: there is no configuration yet.
func (a *app) fetchConfig(ctx context.Context) ([]byte, error) {
	fail := func(err error, hint string) error {
		if hint == "" {
			hint = martsync.HintOf(err)
		}
		return &martsync.Error{Kind: martsync.KindOf(err), Op: "read " + a.configPath, Err: err, Hint: hint}
	}
	const example = "Write it as s3://bucket/path/martsync.yaml, or name a file."
	i := strings.LastIndexByte(a.configPath, '/')
	if folder := a.configPath[:max(i, 0)]; !strings.HasPrefix(folder, "s3://") || folder == "s3://" || i == len(a.configPath)-1 {
		return nil, fail(&martsync.Error{Kind: martsync.Config, Err: errors.New("this is no address of an object")}, example)
	}
	env := martsync.Env{Log: a.log(), HTTP: a.httpClient(), Clock: a.clock, TempDir: os.TempDir()}
	bucket, err := blob.Location{URL: a.configPath[:i]}.Open(ctx, "", env)
	if err != nil {
		return nil, fail(err, "")
	}
	text, err := bucket.Get(ctx, a.configPath[i+1:], maxConfig)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fail(&martsync.Error{Kind: martsync.Config, Err: errors.New("there is no such object")}, fmt.Sprintf("Put it there: aws s3 cp martsync.yaml %s", a.configPath))
	}
	if err != nil {
		return nil, fail(err, "")
	}
	return text, nil
}
