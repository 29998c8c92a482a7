package pardot

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/martsync/martsync"
)

const filePath = "/api/export/version/4/do/downloadResults/id/1/file/2"

func TestX22FilesAreFetchedFromKnownHostsOnly(t *testing.T) {
	csv := says(200, "id,name\n1,a\n")
	evil := newFakeVendor(t, map[string]fakeScript{filePath: csv})
	evilHost := strings.TrimPrefix(evil.URL, "http://")
	for _, tc := range []struct {
		name string
		ref  string
		ok   bool
	}{
		{"the API host", "{api}" + filePath, true},
		{"production", "https://pi.pardot.com" + filePath, true},
		{"demo", "https://pi.demo.pardot.com" + filePath, true},
		{"the web site", "https://www.pardot.com" + filePath, true},
		{"capitals", "https://WWW.Pardot.com" + filePath, true},
		{"in the clear, which is not followed there", "http://pi.pardot.com" + filePath, true},
		{"a path alone", filePath, true},
		{"elsewhere", "http://" + evilHost + filePath, false},
		{"elsewhere with TLS", "https://files.example" + filePath, false},
		{"looks like the vendor", "https://pi.pardot.com.evil.example" + filePath, false},
		{"ends like the vendor", "https://evilpi.pardot.com" + filePath, false},
		{"user name like the vendor", "https://pi.pardot.com@" + evilHost + filePath, false},
		{"user name at the vendor", "https://x:y@pi.pardot.com" + filePath, false},
		{"no scheme", "//" + evilHost + filePath, false},
		{"no path", "files", false},
		{"no URL", "https://%", false},
		{"nothing", "", false},
		{"a file", "file:///etc/passwd", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{filePath: csv})
			c := v.source(t).client
			resp, calls, err := c.download(t.Context(), "download", strings.Replace(tc.ref, "{api}", v.URL, 1))
			if !tc.ok {
				if resp != nil || martsync.KindOf(err) != martsync.Config || !strings.Contains(martsync.HintOf(err), "download_hosts") || calls != 0 {
					t.Errorf("got %v after %d calls, want it refused before any", err, calls)
				}
				if n := v.count(tokenPath) + v.count(filePath) + evil.count(filePath); n != 0 {
					t.Errorf("%d calls were made", n)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != "id,name\n1,a\n" || calls != 1 || resp.ContentLength != int64(len(body)) {
				t.Errorf("got %q of %d, %v", body, resp.ContentLength, err)
			}
			r := v.requests(filePath)[0]
			if r.Header.Get("Authorization") == "" || r.Header.Get("Pardot-Business-Unit-Id") != fakeUnit || r.Header.Get("Accept-Encoding") != "identity" {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
	if n := evil.count(filePath); n != 0 {
		t.Errorf("the token went to another host %d times", n)
	}
}

func TestX22ConfiguredHost(t *testing.T) {
	v := newFakeVendor(t, map[string]fakeScript{filePath: says(200, "id\n")})
	c := v.source(t, func(c *Config) { c.DownloadHosts = []string{"Files.Example"} }).client
	u, err := c.fileURL("https://files.example:8443/x?y=1")
	if err != nil || u.String() != "https://files.example:8443/x?y=1" {
		t.Errorf("got %v, %v, want it as given", u, err)
	}
	if u, err := c.fileURL("http://files.example/x"); err == nil {
		t.Errorf("without TLS: %v", u)
	}
	if u, err := c.fileURL("https://sub.files.example/x"); err == nil {
		t.Errorf("below the host: %v", u)
	}
	if u, err := c.fileURL("https://pi.pardot.com/x"); err != nil || u.String() != v.URL+"/x" {
		t.Errorf("the vendor's: %v, %v", u, err)
	}
	based := v.source(t, func(c *Config) { c.APIHost = v.URL + "/sim/" }).client
	for ref, want := range map[string]string{
		"https://pi.pardot.com/api/x": v.URL + "/sim/api/x", v.URL + "/sim/api/x": v.URL + "/sim/api/x", "/sim/api/x": v.URL + "/sim/api/x",
	} {
		if u, err := based.fileURL(ref); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v, want %s", ref, u, err, want)
		}
	}
}

func TestX22RedirectedDownload(t *testing.T) {
	evil := newFakeVendor(t, map[string]fakeScript{"/stolen": says(200, "id\n")})
	v := newFakeVendor(t, map[string]fakeScript{filePath: func(_ int, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, evil.URL+"/stolen", http.StatusTemporaryRedirect)
	}})
	_, _, err := v.source(t).client.download(t.Context(), "download", v.URL+filePath)
	if martsync.KindOf(err) != martsync.Config || evil.count("/stolen") != 0 {
		t.Errorf("got %v, %d calls elsewhere", err, evil.count("/stolen"))
	}
}

func TestDownloadErrors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		reply fakeScript
		code  int
		kind  martsync.Kind
		calls int64
	}{
		{"expired in JSON", says(400, failed4(178, "x")), 178, martsync.Transient, 1},
		{"expired with status 200", says(200, failed4(178, "x")), 178, martsync.Transient, 1},
		{"expired in XML", says(200, `<rsp stat="fail" version="1.0"><err code="178">x</err></rsp>`), 178, martsync.Transient, 1},
		{"expired in version 5", says(404, failed5(109, "x")), 109, martsync.Data, 1},
		{"not there", says(404, "no such file"), 0, martsync.Config, 1},
		{"daily limit", says(200, failed4(122, "x")), 122, martsync.Quota, 1},
		{"maintenance", says(200, "\n<!DOCTYPE html><html>"), 0, martsync.Transient, usualTries},
		{"JSON that is no error", says(200, fine4), 0, martsync.Transient, usualTries},
		{"server error", says(500, "oops"), 0, martsync.Transient, usualTries},
		{"partial", says(206, "id\n"), 0, martsync.Transient, usualTries},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{filePath: tc.reply})
			resp, calls, err := v.source(t).client.download(t.Context(), "download file", v.URL+filePath)
			if resp != nil || codeOf(err) != tc.code || martsync.KindOf(err) != tc.kind || calls != tc.calls {
				t.Errorf("got %v (%v) after %d calls, want code %d, %v, %d", err, martsync.KindOf(err), calls, tc.code, tc.kind, tc.calls)
			}
		})
	}
	// Empty files and files that are smaller than the look at their beginning are files.
	for _, body := range []string{"", "id\n", strings.Repeat("x,", 100_000)} {
		v := newFakeVendor(t, map[string]fakeScript{filePath: inTurn(says(500, ""), says(200, failed4(184, "x")), says(200, body))})
		resp, calls, err := v.source(t).client.download(t.Context(), "download file", v.URL+filePath)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(got) != body || err != nil || calls != 3 {
			t.Errorf("%d bytes after %d calls, %v, want %d", len(got), calls, err, len(body))
		}
	}
}

func TestDownloadCountsAsACallUntilItIsRead(t *testing.T) {
	v := newFakeVendor(t, map[string]fakeScript{filePath: says(200, strings.Repeat("x,", 1<<16))})
	c := v.source(t, func(c *Config) { c.Limits.Concurrent = 1 }).client
	resp, _, err := c.download(t.Context(), "download file", v.URL+filePath)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.do(t.Context(), getTags)
		done <- err
	}()
	select {
	case <-done:
		t.Error("a second call began while the file was open")
	default:
	}
	_ = resp.Body.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzFileURL(f *testing.F) {
	for _, s := range []string{"https://pi.pardot.com/x", "//x/y", "http://www.pardot.com:80/a?b#c", "https://a@b/c", "\\\\x", "https:/x"} {
		f.Add(s)
	}
	v := newFakeVendor(f, nil)
	c := v.source(f, func(c *Config) { c.DownloadHosts = []string{"files.example"} }).client
	f.Fuzz(func(t *testing.T, ref string) {
		u, err := c.fileURL(ref)
		if err != nil {
			if u != nil {
				t.Errorf("%q is refused and allowed", ref)
			}
			return
		}
		if u.Host != c.api.Host && (!strings.EqualFold(u.Hostname(), "files.example") || u.Scheme != "https") {
			t.Errorf("%q is fetched at %s", ref, u)
		}
	})
}
