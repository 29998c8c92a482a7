package marketosim

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/martsync/martsync/simulate"
)

func TestS21_FileNotThere(t *testing.T) {
	a := open(t, Config{})
	id := a.create("leads", []string{"id"})
	check := func(what, id string) {
		t.Helper()
		status, h, p := a.do("GET", "/bulk/v1/leads/export/"+id+"/file.json", nil, nil)
		if status != http.StatusNotFound || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") || json.Valid(p) {
			t.Errorf("%s: got %d %q %s, want 404 and plain text", what, status, h.Get("Content-Type"), p)
		}
	}
	check("file of a created job", id)
	a.want(a.enqueue("leads", id), "")
	check("file of a queued job", id)
	check("file of an unknown job", "00000000-0000-4000-8000-000000000000")
}

func TestS22_Ranges(t *testing.T) {
	a := open(t, Config{Options: simulate.Options{Rows: 2500}})
	body := object{"filter": between31("createdAt", testStart.AddDate(0, 0, -31), testStart)}
	id := a.job(a.call("POST", "/bulk/v1/activities/export/create.json", body)).ExportID
	a.want(a.enqueue("activities", id), "")
	j := a.finish("activities", id)
	path, size := "/bulk/v1/activities/export/"+id+"/file.json", *j.FileSize
	if size < 2<<20 {
		t.Fatalf("the file has %d bytes, too few for this test", size)
	}
	get := func(r string) (int, http.Header, []byte) {
		return a.do("GET", path, http.Header{"Range": {r}}, nil)
	}
	sum := sha256.New()
	for from := int64(0); from < size; {
		to := min(from+777_777, size) - 1
		r := fmt.Sprintf("bytes=%d-%d", from, to)
		if to == size-1 {
			r = fmt.Sprintf("bytes=%d-", from)
		}
		status, h, p := get(r)
		if want := fmt.Sprintf("bytes %d-%d/%d", from, to, size); status != http.StatusPartialContent || h.Get("Content-Range") != want ||
			h.Get("Accept-Ranges") != "bytes" || h.Get("Content-Length") != fmt.Sprint(len(p)) || int64(len(p)) != to-from+1 {
			t.Fatalf("range %s: got %d %v with %d bytes, want 206 and %q", r, status, h, len(p), want)
		}
		sum.Write(p)
		from = to + 1
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != j.FileChecksum {
		t.Errorf("joined ranges: got %s, want %s", got, j.FileChecksum)
	}
	if status, _, p := get("bytes=0-0"); status != 206 || string(p) != "m" {
		t.Errorf("first byte: got %d %q", status, p)
	}
	if status, _, p := get(fmt.Sprintf("bytes=%d-%d", size-1, size+100)); status != 206 || string(p) != "\n" {
		t.Errorf("range beyond the end: got %d %q, want the last byte", status, p)
	}
	if status, h, _ := get(fmt.Sprintf("bytes=%d-", size)); status != http.StatusRequestedRangeNotSatisfiable || h.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) {
		t.Errorf("range after the end: got %d %v, want 416", status, h)
	}
	if status, _, p := get("pages=1-2"); status != 200 || int64(len(p)) != size {
		t.Errorf("another unit: got %d and %d bytes, want the whole file", status, len(p))
	}
}

func TestS23_FileContent(t *testing.T) {
	a := open(t, Config{})
	var fields []string
	for _, f := range a.sim.world.fields {
		if f.Exportable() {
			fields = append(fields, f.Name)
		}
	}
	body := object{"fields": fields, "filter": between31("createdAt", testStart.AddDate(0, 0, -200), testStart.AddDate(0, 0, -170))}
	j, p := a.export("leads", body)
	sum := sha256.Sum256(p)
	switch {
	case *j.NumberOfRecords == 0:
		t.Fatal("no leads in the window")
	case int64(len(p)) != *j.FileSize || "sha256:"+hex.EncodeToString(sum[:]) != j.FileChecksum:
		t.Errorf("size and checksum: got %d and %x, the job says %+v", len(p), sum, j)
	case !utf8.Valid(p) || bytes.HasPrefix(p, []byte("\ufeff")):
		t.Error("the file is not UTF-8 without BOM")
	case !bytes.HasSuffix(p, []byte("\n")) || bytes.Contains(p, []byte("\r\n\"")):
		t.Error("records do not end in LF")
	}
	records, err := csv.NewReader(bytes.NewReader(p)).ReadAll()
	if err != nil {
		t.Fatalf("the file is not RFC 4180: %v", err)
	}
	if !slices.Equal(records[0], fields) || int64(len(records)-1) != *j.NumberOfRecords {
		t.Errorf("header %v and %d records, want the fields asked for and %d records", records[0], len(records)-1, *j.NumberOfRecords)
	}
	if !bytes.Contains(p, []byte(",null,")) || bytes.Contains(p, []byte(`"null"`)) {
		t.Error("values that are missing are not the bare word null")
	}

	j, p = a.export("activities", object{"filter": between31("createdAt", testStart.AddDate(0, 0, -3), testStart)})
	if records, err = csv.NewReader(bytes.NewReader(p)).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if want := "marketoGUID,leadId,activityDate,activityTypeId,campaignId,primaryAttributeValueId,primaryAttributeValue,attributes"; strings.Join(records[0], ",") != want {
		t.Errorf("default header: got %v", records[0])
	}
	spaced := false
	for _, r := range records[1:] {
		var m map[string]any
		if err := json.Unmarshal([]byte(r[7]), &m); err != nil {
			t.Fatalf("attributes %s: %v", r[7], err)
		}
		_, ok := m["Campaign Run ID"]
		spaced = spaced || ok
	}
	if !spaced || int64(len(records)-1) != *j.NumberOfRecords {
		t.Errorf("no attributes with display names, or %d records where the job says %d", len(records)-1, *j.NumberOfRecords)
	}
}

func TestS23_FileForms(t *testing.T) {
	body := func(format string) object {
		return object{"fields": []string{"id", "company", "address"}, "format": format, "filter": between31("createdAt", testStart.AddDate(0, 0, -31), testStart)}
	}
	_, plain := open(t, Config{}).export("leads", body("CSV"))
	want, err := csv.NewReader(bytes.NewReader(plain)).ReadAll()
	if err != nil || len(want) < 5 {
		t.Fatalf("plain file of %d records: %v", len(want), err)
	}
	for _, c := range []struct {
		name, format string
		cfg          Config
		check        func(p []byte) bool
	}{
		{"CRLF", "CSV", Config{Newline: "\r\n"}, func(p []byte) bool { return bytes.HasSuffix(p, []byte("\r\n")) }},
		{"no final newline", "CSV", Config{NoFinal: true}, func(p []byte) bool { return p[len(p)-1] != '\n' }},
		{"all quoted", "CSV", Config{QuoteAlways: true}, func(p []byte) bool { return p[0] == '"' }},
		{"TSV", "TSV", Config{}, func(p []byte) bool { return bytes.HasPrefix(p, []byte("id\tcompany\t")) }},
		{"SSV", "SSV", Config{}, func(p []byte) bool { return bytes.HasPrefix(p, []byte("id;company;")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, p := open(t, c.cfg).export("leads", body(c.format))
			if !c.check(p) || int64(len(p)) != *j.FileSize {
				t.Errorf("form or size (%d, job says %d) differs: %.100q", len(p), *j.FileSize, p)
			}
			r := csv.NewReader(bytes.NewReader(p))
			switch c.format {
			case "TSV":
				r.Comma = '\t'
			case "SSV":
				r.Comma = ';'
			}
			got, err := r.ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if !slices.Equal(normal(got[i]), normal(want[i])) {
					t.Errorf("record %d: got %q, want %q", i, got[i], want[i])
				}
			}
		})
	}
}

// normal undoes what encoding/csv does to CRLF inside quotes.
func normal(cells []string) []string {
	out := slices.Clone(cells)
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], "\r\n", "\n")
	}
	return out
}

func TestS23_EmptyFile(t *testing.T) {
	body := object{"fields": []string{"id", "email"}, "filter": between31("createdAt", testStart.AddDate(-5, 0, 0), testStart.AddDate(-5, 0, 1))}
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{{"header", Config{}, "id,email\n"}, {"zero bytes", Config{Empty: EmptyBytes}, ""}, {"404", Config{Empty: EmptyMissing}, "File not found"}} {
		t.Run(c.name, func(t *testing.T) {
			j, p := open(t, c.cfg).export("leads", body)
			if j.Status != "Completed" || *j.NumberOfRecords != 0 || string(p) != c.want {
				t.Errorf("got %+v and %q, want no records and %q", j, p, c.want)
			}
		})
	}
}
