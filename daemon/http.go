package daemon

import (
	"encoding/json"
	"net/http"
)

// Health answers a GET. It shows names and times: no secret, and no text of an error. Who may ask is left to whoever
// listens.
func (d *Daemon) Health() http.Handler { return http.HandlerFunc(d.health) }

// health answers 200 while the daemon runs and can use its state, else 503. A sync that fails makes no daemon
// unhealthy: a new process would fail as well.
func (d *Daemon) health(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	serving, stateErr := d.serving, d.stateErr
	d.mu.Unlock()
	answer := struct {
		Status string      `json:"status"`
		Syncs  []JobStatus `json:"syncs"`
	}{"ok", d.Status()}
	code := http.StatusOK
	switch {
	case !serving:
		answer.Status, code = "stopping", http.StatusServiceUnavailable
	case stateErr != nil:
		answer.Status, code = "state cannot be used", http.StatusServiceUnavailable
	}
	for i := range answer.Syncs {
		answer.Syncs[i].Error, answer.Syncs[i].Hint = "", ""
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer) // who asked has gone
}
