package marketosim

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/martsync/martsync/simulate"
)

func faulty(t *testing.T, faults ...string) *account {
	t.Helper()
	return open(t, Config{Options: simulate.Options{Faults: faults, Rows: 1000}, LeadSpan: 30 * 24 * time.Hour})
}

func TestS37_ReplyFaults(t *testing.T) {
	const path = "/rest/v1/leads/describe.json"
	for _, c := range []struct {
		name, fault string
		status      int // -1: the body breaks off
		check       func(h http.Header, p []byte) bool
	}{
		{"code", "code:code=1003", 200, func(_ http.Header, p []byte) bool {
			return bytes.Contains(p, []byte(`"code":"1003","message":"Invalid Data"`))
		}},
		{"code with message", "code:code=1029,message=Export daily quota 500MB exceeded.", 200, func(_ http.Header, p []byte) bool {
			return bytes.Contains(p, []byte(`"code":"1029","message":"Export daily quota 500MB exceeded."`))
		}},
		{"status", "status:code=503", 503, func(h http.Header, p []byte) bool {
			return h.Get("Content-Type") == "text/html" && bytes.HasPrefix(p, []byte("<html>"))
		}},
		{"429", "status:code=429", 429, func(_ http.Header, p []byte) bool { return len(p) > 0 }},
		{"empty", "empty", 200, func(_ http.Header, p []byte) bool { return len(p) == 0 }},
		{"broken", "broken", 200, func(_ http.Header, p []byte) bool { return len(p) > 100 && !json.Valid(p) }},
		{"cut", "cut:after=1000", -1, func(_ http.Header, p []byte) bool { return len(p) == 1000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			name, args, _ := strings.Cut(c.fault, ":")
			a := faulty(t, strings.TrimSuffix(name+":path=describe,"+args, ","))
			status, h, p := a.do("GET", path, nil, nil)
			if status != c.status || !c.check(h, p) {
				t.Errorf("got %d %v and %d bytes %.200s", status, h, len(p), p)
			}
			a.want(a.get(path), "") // once only
			if got := a.sim.Stats().Faults[name]; got != 1 {
				t.Errorf("the fault is counted %d times, want 1", got)
			}
		})
	}
}

// Every code of the vendor's list can be asked for.
func TestS37_AnyCode(t *testing.T) {
	a := faulty(t)
	for code := range messages {
		if err := a.sim.AddFault("code:path=partitions,code=" + code); err != nil {
			t.Fatal(err)
		}
		r := a.get(cheap)
		if r.code() != code || r.message() == "" {
			t.Errorf("code %s: got %s", code, r.raw)
		}
		a.clock.Advance(time.Second)
	}
}

func TestS37_FaultRules(t *testing.T) {
	for _, c := range []struct {
		rule string
		want string // x: fault
	}{
		{"times=2", "xx......"},
		{"nth=3", "..x....."},
		{"every=3", "..x..x.."},
		{"every=2,times=2", ".x.x...."},
		{"skip=4", "....x..."},
		{"times=0", "xxxxxxxx"},
		{"method=POST,times=0", "........"},
		{"path=/rest/*partitions.json,times=0", "xxxxxxxx"},
		{"path=*partitions,times=0", "........"},
		{"client=somebody,times=0", "........"},
	} {
		a := faulty(t, "code:code=1003,path=partitions,"+c.rule)
		got := ""
		for range c.want {
			if a.get(cheap).Success {
				got += "."
			} else {
				got += "x"
			}
		}
		if got != c.want {
			t.Errorf("rule %s: got %s, want %s", c.rule, got, c.want)
		}
	}
	a := open(t, Config{Options: simulate.Options{Faults: []string{"code:code=1003,p=0.3"}}, RateLimit: 2000})
	failed := 0
	for range 500 {
		if !a.get(cheap).Success {
			failed++
		}
	}
	if failed < 100 || failed > 200 {
		t.Errorf("p=0.3: %d of 500 failed", failed)
	}
}

func TestS37_BadRules(t *testing.T) {
	a := faulty(t)
	for _, rule := range []string{"thunder", "cut:after=x", "slow:for=soon", "status:code=200", "code:code=abc", "cut:nth=-1", "cut:p=2", "nul:rows=x", "cut:color=red", "cut:after"} {
		if err := a.sim.AddFault(rule); err == nil {
			t.Errorf("rule %q was accepted", rule)
		}
	}
	if _, err := New(Config{Options: simulate.Options{Faults: []string{"thunder"}}}); err == nil {
		t.Error("New accepted an unknown fault")
	}
}

func TestS37_Slow(t *testing.T) {
	a := faulty(t, "slow:for=90s,path=partitions")
	a.want(a.get(cheap), "")
	if got := a.clock.Now().Sub(testStart); got != 90*time.Second {
		t.Errorf("the clock moved by %s, want 90 s", got)
	}
}

func TestS37_Hang(t *testing.T) {
	a := faulty(t, "hang:path=describe")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.url+"/rest/v1/leads/describe.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := a.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, resp.ContentLength/2)
	if _, err := io.ReadFull(resp.Body, p); err != nil || json.Valid(p) {
		t.Errorf("half of the body: got %v", err)
	}
	_ = resp.Body.Close() // gives up: the server's cleanup would hang otherwise
}

func TestS37_Expire(t *testing.T) {
	a := faulty(t, "expire:nth=2,path=partitions")
	for i, want := range []string{"", "602", "601"} {
		if r := a.get(cheap); r.code() != want {
			t.Errorf("call %d: got %s, want %q", i+1, r.raw, want)
		}
	}
	old := a.token
	a.login(0)
	if a.token == old {
		t.Error("the token that ended was issued again")
	}
	a.want(a.get(cheap), "")
}

func leadBody(fields ...string) object {
	return object{"fields": fields, "filter": between31("createdAt", testStart.AddDate(0, 0, -31), testStart)}
}

func TestS37_FileFaults(t *testing.T) {
	clean := faulty(t)
	_, want := clean.export("leads", leadBody("id", "email", "company", "Notes__c"))
	for _, c := range []struct {
		name, fault string
		status      int
		check       func(p []byte) bool
		again       bool // whole the next time
	}{
		{"cut", "cut:path=file.json,after=5000", -1, func(p []byte) bool { return bytes.Equal(p, want[:5000]) }, true},
		{"cut at half", "cut:path=file.json", -1, func(p []byte) bool { return bytes.Equal(p, want[:len(want)/2]) }, true},
		{"JSON", "json:code=606", 200, func(p []byte) bool { return bytes.Contains(p, []byte(`"success":false,"errors":[{"code":"606"`)) }, true},
		{"gone", "gone", 404, func(p []byte) bool { return !json.Valid(p) }, false},
		{"gateway", "status:path=file.json", 502, func(p []byte) bool { return bytes.HasPrefix(p, []byte("<html>")) }, true},
		{"code", "code:path=file.json,code=601", 200, func(p []byte) bool { return bytes.Contains(p, []byte(`"601"`)) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := faulty(t, c.fault)
			id := a.job(a.call("POST", "/bulk/v1/leads/export/create.json", leadBody("id", "email", "company", "Notes__c"))).ExportID
			a.want(a.enqueue("leads", id), "")
			if j := a.finish("leads", id); j.Status != "Completed" {
				t.Fatalf("got %+v", j)
			}
			path := "/bulk/v1/leads/export/" + id + "/file.json"
			status, _, p := a.do("GET", path, nil, nil)
			if status != c.status || !c.check(p) {
				t.Errorf("got %d and %d bytes %.100s", status, len(p), p)
			}
			status, _, p = a.do("GET", path, nil, nil)
			if whole := status == 200 && bytes.Equal(p, want); whole != c.again {
				t.Errorf("the next time: got %d and %d bytes, whole: %v, want %v", status, len(p), whole, c.again)
			}
		})
	}
}

func TestTokenEndsDuringDownload(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  bool
	}{{"goes on", false}, {"cut", true}} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, Config{CutExpired: c.cut, Options: simulate.Options{Rows: 6000}})
			id := a.job(a.call("POST", "/bulk/v1/activities/export/create.json", object{"filter": between31("createdAt", testStart.AddDate(0, 0, -31), testStart)})).ExportID
			a.want(a.enqueue("activities", id), "")
			j := a.finish("activities", id)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.url+"/bulk/v1/activities/export/"+id+"/file.json", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+a.token)
			resp, err := a.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			n, _ := io.CopyN(io.Discard, resp.Body, 1000)
			a.clock.Advance(2 * time.Hour) // the rest is still to be written: it does not fit into socket buffers
			m, err := io.Copy(io.Discard, resp.Body)
			if whole := n+m == *j.FileSize && err == nil; whole == c.cut {
				t.Errorf("got %d bytes of %d and %v", n+m, *j.FileSize, err)
			}
		})
	}
}

func TestS37_JobFaults(t *testing.T) {
	a := faulty(t, "nocreate:path=leads", "noresult", "stuck:for=4h,path=activities")
	r := a.call("POST", "/bulk/v1/leads/export/create.json", leadBody("id"))
	if a.want(r, ""); len(r.Result) != 1 || strings.Contains(string(r.raw), "exportId") || !strings.Contains(string(r.raw), `"status":"Failed"`) {
		t.Errorf("nocreate: got %s", r.raw)
	}
	id := a.create("leads", []string{"id"})
	if r := a.get("/bulk/v1/leads/export/" + id + "/status.json"); !r.Success || strings.Contains(string(r.raw), `"result"`) {
		t.Errorf("noresult: got %s", r.raw)
	}
	a.status("leads", id)
	stuck := a.create("activities", nil)
	a.want(a.enqueue("activities", stuck), "")
	a.want(a.enqueue("leads", id), "")
	if j := a.finish("leads", id); j.Status != "Completed" { // overtakes the other
		t.Errorf("a job behind a stuck one: got %+v", j)
	}
	a.clock.Set(testStart.Add(4*time.Hour - time.Minute))
	a.login(0)
	if j := a.status("activities", stuck); j.Status != "Queued" {
		t.Errorf("just before 4 hours: got %+v, want Queued", j)
	}
	if j := a.finish("activities", stuck); j.Status != "Completed" || j.StartedAt < "2026-03-16T13:30:00Z" {
		t.Errorf("after 4 hours: got %+v", j)
	}
}

// tolerant reads a file as a careful reader does: no NUL, quotes that end a cell only before a
// delimiter or a line end, no carriage returns outside quotes.
func tolerant(p []byte) [][]string {
	p = bytes.ReplaceAll(p, []byte{0}, nil)
	var rows [][]string
	var row []string
	var cell []byte
	quoted := false
	for i := 0; i < len(p); i++ {
		c := p[i]
		ends := i+1 == len(p) || p[i+1] == ',' || p[i+1] == '\n'
		switch {
		case quoted && c == '"' && !ends && p[i+1] == '"':
			cell = append(cell, '"')
			i++
		case quoted && c == '"' && ends:
			quoted = false
		case quoted:
			cell = append(cell, c)
		case c == '"' && len(cell) == 0:
			quoted = true
		case c == ',', c == '\n':
			row = append(row, strings.ToValidUTF8(string(cell), "\ufffd"))
			cell = cell[:0]
			if c == '\n' {
				rows = append(rows, row)
				row = nil
			}
		case c != '\r':
			cell = append(cell, c)
		}
	}
	return rows
}

func TestS37_DirtyRows(t *testing.T) {
	leads := leadBody("id", "firstName", "company", "title", "Notes__c", "leadScore", "annualRevenue")
	events := object{"fields": append(slices.Clone(activityColumns), "actionResult"), "filter": between31("createdAt", testStart.AddDate(0, 0, -31), testStart)}
	bodies, whole := map[string]object{"leads": leads, "activities": events}, map[string][]byte{}
	for obj, body := range bodies {
		_, whole[obj] = faulty(t).export(obj, body)
	}
	for _, c := range []struct {
		name, fault string
		dirty       func(p []byte) int // how much dirt there is in the bytes
		want        int
		added       int
		exact       bool // cells read tolerantly equal the clean ones
	}{
		{"NUL", "nul:rows=4", func(p []byte) int { return bytes.Count(p, []byte{0}) }, 12, 0, true},
		{"quotes", "quotes:rows=2", func(p []byte) int { _, err := csv.NewReader(bytes.NewReader(p)).ReadAll(); return b2i(err != nil) }, 1, 0, true},
		{"CR", "cr:rows=5", nil, 0, 0, true},
		{"invalid UTF-8", "utf8:rows=2", func(p []byte) int { return b2i(!utf8.Valid(p)) }, 1, 0, true},
		{"columns", "columns:rows=6", func(p []byte) int { return bytes.Count(p, []byte("\nnot,a,row,")) }, 6, 6, false},
		{"misfit", "misfit:rows=3", func(p []byte) int { return bytes.Count(p, []byte("\nmisfit,misfit,")) }, 3, 3, false},
		{"twice", "dup:rows=5", nil, 0, 5, false},
	} {
		for obj, body := range bodies {
			if obj == "activities" && (c.name == "quotes" || c.name == "invalid UTF-8") {
				continue // depends on texts that activities hardly have
			}
			t.Run(c.name+" "+obj, func(t *testing.T) {
				cleanBytes := whole[obj]
				a := faulty(t, c.fault)
				j, p := a.export(obj, body)
				if int64(len(p)) != *j.FileSize {
					t.Errorf("got %d bytes, the job says %d", len(p), *j.FileSize)
				}
				if bytes.Equal(p, cleanBytes) {
					t.Fatal("the file is clean")
				}
				if c.dirty != nil {
					if got := c.dirty(p); got != c.want {
						t.Errorf("dirt: got %d, want %d", got, c.want)
					}
				}
				got, clean := tolerant(p), tolerant(cleanBytes)
				if len(got) != len(clean)+c.added || int64(len(got)-1) != *j.NumberOfRecords {
					t.Fatalf("got %d rows (the job says %d), want %d", len(got)-1, *j.NumberOfRecords, len(clean)+c.added-1)
				}
				if c.exact {
					for i := range clean {
						if !slices.Equal(got[i], clean[i]) {
							t.Errorf("row %d: got %q, want %q", i, got[i], clean[i])
						}
					}
					return
				}
				// What was added aside, the rows are those of the clean file.
				k := 0
				for _, r := range got {
					if k < len(clean) && slices.Equal(r, clean[k]) {
						k++
					}
				}
				if k != len(clean) {
					t.Errorf("only %d of %d rows are there", k, len(clean))
				}
			})
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestS37_DirtyRanges(t *testing.T) {
	var faults []string
	for _, n := range []string{"nul", "quotes", "cr", "utf8", "columns", "misfit", "dup"} {
		faults = append(faults, n+":rows=40")
	}
	a := open(t, Config{Options: simulate.Options{Faults: faults, Rows: 15_000}, LeadSpan: 30 * 24 * time.Hour})
	body := leadBody("id", "firstName", "lastName", "company", "title", "address", "Notes__c", "mktoPersonNotes", "email", "website", "sfdcLeadId", "originalReferrer", "leadScore", "annualRevenue", "createdAt")
	id := a.job(a.call("POST", "/bulk/v1/leads/export/create.json", body)).ExportID
	a.want(a.enqueue("leads", id), "")
	j := a.finish("leads", id)
	path := "/bulk/v1/leads/export/" + id + "/file.json"
	_, _, whole := a.do("GET", path, nil, nil)
	if *j.FileSize < 2<<20 || int64(len(whole)) != *j.FileSize {
		t.Fatalf("got %d bytes of %d, want more than two marks", len(whole), *j.FileSize)
	}
	for from := int64(0); from < *j.FileSize; from += 777_777 {
		_, _, p := a.do("GET", path, http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, from+999)}}, nil)
		if !bytes.Equal(p, whole[from:min(from+1000, *j.FileSize)]) {
			t.Errorf("range at %d differs from the whole file", from)
		}
	}
}

func TestS38_ClockDrivesAll(t *testing.T) {
	a := open(t, Config{RateLimit: 3, DailyCalls: 1000, TokenLife: 10 * time.Minute})
	id := a.create("leads", []string{"id"})
	a.want(a.enqueue("leads", id), "")
	for range 3 { // nothing moves while the clock stands still, however long the test takes
		if j, err := a.sim.jobs.Status(id, a.sim.cfg.Users[0].ClientID, "leads"); err != nil || j.Status != simulate.JobQueued {
			t.Fatalf("the clock stands still: got %v, %v", j.Status, err)
		}
	}
	a.want(a.get(cheap), "")
	a.want(a.get(cheap), "606")
	a.clock.Advance(20 * time.Second) // the rate window
	a.want(a.get(cheap), "")
	a.clock.Advance(5 * time.Minute) // the job
	if j := a.status("leads", id); j.Status != "Completed" {
		t.Errorf("after 5 minutes: got %s, want Completed", j.Status)
	}
	a.clock.Advance(5 * time.Minute) // the token
	a.want(a.get(cheap), "602")
	a.forward(8 * 24 * time.Hour) // retention
	if status, _, _ := a.do("GET", "/bulk/v1/leads/export/"+id+"/file.json", nil, nil); status != 404 {
		t.Errorf("file after 8 days: got %d, want 404", status)
	}
	if r := a.get("/rest/v1/stats/usage.json"); !strings.Contains(string(r.raw), `"date":"2026-03-24","total":2`) {
		t.Errorf("quota day: got %s", r.raw)
	}
}
