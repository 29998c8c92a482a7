package marketo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// deleted counts the rows of a table that are marked deleted.
func (d *depot) deleted(t testing.TB, table string) int64 {
	t.Helper()
	return d.differs(t, []string{table})[table].Deleted
}

// without takes a record out of a listing.
func without(resp *http.Response, id string) error {
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		return err
	}
	if records, ok := m["result"].([]any); ok {
		m["result"] = slices.DeleteFunc(records, func(r any) bool { return fmt.Sprint(r.(map[string]any)["id"]) == id })
	}
	text, err := json.Marshal(m)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return err
}

// E22: a listing that moves while it is read leaves out what still exists. Neither the members of a program nor those
// of a list go with it.
func TestE22WhatAListingLeavesOutIsAskedFor(t *testing.T) {
	for _, c := range []struct{ stream, path, column, one string }{
		{"program_members", "/rest/asset/v1/programs.json", "program_id", "/rest/asset/v1/program/"},
		{"list_members", "/rest/v1/lists.json", "list_id", "/rest/v1/lists/"},
	} {
		t.Run(c.stream, func(t *testing.T) {
			d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 60}, LeadSpan: 25 * 24 * time.Hour})
			one := []string{c.stream}
			d.sync(t, one)
			d.equal(t, one)
			before := d.deleted(t, c.stream)
			var parent any
			for row := range d.Truth(c.stream) {
				if !row.Gone {
					for _, name := range []string{c.column, "programId", "listId"} {
						if v, ok := row.Values[name]; ok {
							parent = v
						}
					}
				}
			}
			if parent == nil {
				t.Fatal("the truth has no such column")
			}
			left := 0
			d.line.bend = func(resp *http.Response) error {
				if resp.Request.URL.Path != c.path {
					return nil
				}
				left++
				return without(resp, fmt.Sprint(parent))
			}
			d.clock.Advance(25 * time.Hour)
			d.sync(t, one)
			d.line.bend = nil
			if left == 0 {
				t.Fatal("nothing was listed, so this proves nothing")
			}
			if after := d.deleted(t, c.stream); after != before {
				t.Errorf("%d rows are marked deleted, want %d", after, before)
			}
			d.equal(t, one)
			if n := d.Stats().ByPath; len(n) == 0 {
				t.Fatal("the simulator counts nothing")
			}
		})
	}
}

// E11: a file that is twice not there, of which the vendor tells neither count nor size, is taken for empty. That is
// a guess, and none to mark records deleted for.
func TestE11NoFileIsNoReasonToDelete(t *testing.T) {
	for _, c := range []struct{ stream, path string }{
		{"custom_device_owned", "/bulk/v1/customobjects/"}, {"program_members", "/bulk/v1/program/members/"},
	} {
		t.Run(c.stream, func(t *testing.T) {
			d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 60}, LeadSpan: 25 * 24 * time.Hour})
			one := []string{c.stream}
			d.sync(t, one)
			d.equal(t, one)
			before := d.deleted(t, c.stream)
			lost := 0
			d.line.bend = func(resp *http.Response) error {
				switch path := resp.Request.URL.Path; {
				case !strings.HasPrefix(path, c.path):
				case strings.HasSuffix(path, "/status.json"):
					return promiseNothing(resp)
				case strings.HasSuffix(path, "/file.json"):
					lost++
					resp.StatusCode, resp.ContentLength = http.StatusNotFound, -1
					resp.Header.Set("Content-Type", "text/plain")
					resp.Body = io.NopCloser(strings.NewReader("File not found"))
				}
				return nil
			}
			d.clock.Advance(25 * time.Hour)
			for _, st := range d.sync(t, one).Stats.Streams {
				if st.Error != "" {
					t.Errorf("%s ended as %s: %s", st.Stream, st.Phase, st.Error)
				}
			}
			d.line.bend = nil
			if lost < 2 {
				t.Fatalf("%d files were lost, so this proves nothing", lost)
			}
			if after := d.deleted(t, c.stream); after != before {
				t.Errorf("%d rows are marked deleted, want %d", after, before)
			}
			d.clock.Advance(25 * time.Hour)
			d.sync(t, one)
			d.equal(t, one)
			if notes := d.notes(c.stream); !strings.Contains(notes, "taken for empty") {
				t.Errorf("the log does not say so: %q", notes)
			}
		})
	}
}

// E9, E11: that a job failed and the next one's file was not there is not the same as two files that were not there.
func TestE11OneMissingFileIsNotAnEmptyOne(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Faults: []string{"fail:path=/bulk/v1/leads/export/create.json,times=1"}}})
	lost := 0
	a.line.bend = func(resp *http.Response) error {
		switch path := resp.Request.URL.Path; {
		case strings.HasSuffix(path, "/status.json"):
			return promiseNothing(resp)
		case strings.HasSuffix(path, "/file.json") && lost == 0:
			lost++
			resp.StatusCode, resp.ContentLength = http.StatusNotFound, -1
			resp.Header.Set("Content-Type", "text/plain")
			resp.Body = io.NopCloser(strings.NewReader("File not found"))
		}
		return nil
	}
	m := a.mart("leads")
	a.sync(m)
	a.check(m)
	if lost == 0 || a.sim.Stats().Faults["fail"] == 0 {
		t.Fatal("no file was lost or no job failed, so this proves nothing")
	}
}

// A job that came to nothing before, for another reason, does not make the next one's file empty: its rows are read
// although the vendor tells neither their count nor a size.
func TestE9FileOfASecondJobIsRead(t *testing.T) {
	d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 60}, LeadSpan: 25 * 24 * time.Hour})
	if err := d.AddFault("fail:path=/bulk/v1/customobjects/,times=1"); err != nil {
		t.Fatal(err)
	}
	d.line.bend = func(resp *http.Response) error {
		if strings.HasSuffix(resp.Request.URL.Path, "/status.json") {
			return promiseNothing(resp)
		}
		return nil
	}
	one := []string{"custom_device_owned"}
	d.sync(t, one)
	d.clock.Advance(25 * time.Hour)
	if err := d.AddFault("fail:path=/bulk/v1/customobjects/,times=1"); err != nil {
		t.Fatal(err)
	}
	d.sync(t, one)
	if len(d.Stats().Faults) == 0 {
		t.Fatal("no job failed, so this proves nothing")
	}
	d.equal(t, one)
}

// E7, E28: what an account lacks is said once, and not at each sync.
func TestE28WhatIsMissingIsSaidOnce(t *testing.T) {
	users := marketosim.DefaultUsers()
	d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 640}, NoUpdatedAt: true, Users: users})
	streams := []string{"program_members", "programs"}
	var denied atomic.Int32 // by both streams
	d.line.bend = func(resp *http.Response) error {
		if strings.HasPrefix(resp.Request.URL.Path, "/rest/asset/v1/program/") {
			denied.Add(1)
			text := faulty("603", "Access denied")
			resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		}
		return nil
	}
	for range 4 {
		d.sync(t, streams, monthly)
		d.Change(300)
		d.clock.Advance(2 * time.Hour)
	}
	if n := denied.Load(); n < 2 {
		t.Errorf("programs were refused %d times, so this proves nothing", n)
	}
	for stream, text := range map[string]string{"program_members": "are read whole", "programs": "cannot be read"} {
		if n := strings.Count(d.notes(stream), text); n != 1 {
			t.Errorf("%s: the log says %d times that something %s, want once", stream, n, text)
		}
	}
	var p assetPosition
	if err := json.Unmarshal([]byte(`{"full":1,"since":2,"details":{"read":1}}`), &p); err != nil || p.Details.Lacks {
		t.Errorf("an older cursor: %+v, %v", p, err)
	}
	if _, err := parsePosition("program_members", martsync.Cursor(`{"v":1,"until":5,"parts":{"members":{"at":0,"was":"createdAt"}}}`)); err != nil {
		t.Error(err)
	}
}
