package main

import (
	"fmt"
	"os"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/tempfolder"
)

const (
	// tempPrefix is what the names of temporary folders begin with.
	tempPrefix = "martsync-"

	// tempGrace is how old a temporary folder is before another process looks whether the one that made it is alive.
	tempGrace = time.Minute
)

// connectorEnv is what connectors get of the world. The temporary folder goes with the app; those of processes that were
// killed go before, since it may be their room that is needed.
func (a *app) connectorEnv() (martsync.Env, error) {
	a.tidyTemp(tempGrace)
	folder, err := tempfolder.Make(a.log(), "", tempPrefix)
	if err != nil {
		return martsync.Env{}, fmt.Errorf("make a temporary folder: %w", err)
	}
	a.temp = folder
	a.cleanups = append(a.cleanups, func() error {
		if err := folder.Remove(); err != nil {
			return fmt.Errorf("remove the temporary folder: %w", err)
		}
		return nil
	})
	return martsync.Env{Log: a.log(), HTTP: a.httpClient(), Clock: a.clock, TempDir: folder.Path}, nil
}

// tidyTemp removes the temporary folders of dead processes that are older than age. That is real time, as files have it.
func (a *app) tidyTemp(age time.Duration) {
	tempfolder.Tidy(a.log(), os.TempDir(), tempPrefix, martsync.SystemClock{}.Now().Add(-age))
}
