package simulate

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var known = []FaultInfo{{Name: "cut", Keys: map[string]string{"after": "10"}}, {Name: "code", Keys: map[string]string{"code": "606", "message": ""}}, {Name: "slow", Keys: map[string]string{"for": "30s"}}}

func TestParseFault(t *testing.T) {
	f, err := ParseFault("code:path=/bulk/*,code=1029,times=3,message=Too many jobs, wait", known)
	if err != nil || f.Args["code"] != "1029" || f.Args["message"] != "Too many jobs, wait" || f.times != 3 {
		t.Errorf("got %+v, %v", f, err)
	}
	if f, _ := ParseFault("cut", known); f == nil || f.times != 1 || f.Args["after"] != "10" {
		t.Errorf("defaults: got %+v", f)
	}
	if f, _ := ParseFault("cut:every=2", known); f == nil || f.times != 0 {
		t.Errorf("every without times: got %+v", f)
	}
	f, _ = ParseFault("cut:after=77", known)
	if n, err := f.Int("after"); n != 77 || err != nil {
		t.Errorf("Int: got %d, %v", n, err)
	}
	f, _ = ParseFault("slow:for=2m", known)
	if d, err := f.Duration("for"); d != 2*time.Minute || err != nil {
		t.Errorf("Duration: got %s, %v", d, err)
	}
	if _, err := f.Int("for"); err == nil {
		t.Error("Int of a duration: no error")
	}
	for _, bad := range []string{"", "rain", "cut:", "cut:after", "cut:nth=x", "cut:times=-1", "cut:p=1.5", "cut:colour=red"} {
		_, err := ParseFault(bad, known)
		if ok := bad == "cut:"; (err == nil) != ok {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	if _, err := ParseFault("cut:colour=red", known); !strings.Contains(err.Error(), "after, path, method") {
		t.Errorf("unknown key: got %v, want the known ones named", err)
	}
}

func FuzzParseFault(f *testing.F) {
	for _, s := range []string{"cut", "cut:after=3,path=*x*,nth=2", "code:message=a,b=c", "cut:p=0.5,every=2,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseFault(s, known)
		if (r == nil) == (err == nil) {
			t.Fatalf("got %v and %v", r, err)
		}
		if r != nil {
			var set Faults
			set.Add(r)
			for range 3 {
				set.All(httptest.NewRequest(http.MethodGet, "/a/b", nil), "c", "cut", "code", "slow")
			}
		}
	})
}

func TestFaultsMatch(t *testing.T) {
	for _, c := range []struct {
		rule, path, client string
		want               string
	}{
		{"cut:times=2", "/x", "c", "xx.."},
		{"cut:nth=2", "/x", "c", ".x.."},
		{"cut:every=2", "/x", "c", ".x.x"},
		{"cut:skip=1", "/x", "c", ".x.."},
		{"cut:path=file,times=0", "/a/file.json", "c", "xxxx"},
		{"cut:path=file,times=0", "/a/other", "c", "...."},
		{"cut:path=/a/*/c*,times=0", "/a/b/c.json", "c", "xxxx"},
		{"cut:path=/a/*c,times=0", "/a/b/c.json", "c", "...."},
		{"cut:path=*b*x*,times=0", "/a/b/c", "c", "...."},
		{"cut:path=b*,times=0", "/a/b", "c", "...."},
		{"cut:client=d,times=0", "/x", "c", "...."},
		{"cut:method=post,times=0", "/x", "c", "...."},
		{"cut:method=get,times=0", "/x", "c", "xxxx"},
		{"cut:p=1", "/x", "c", "xxxx"},
	} {
		f, err := ParseFault(c.rule, known)
		if err != nil {
			t.Fatal(err)
		}
		var s Faults
		s.Add(f)
		got := ""
		for range c.want {
			if s.First(httptest.NewRequest(http.MethodGet, c.path, nil), c.client, "cut") != nil {
				got += "x"
			} else {
				got += "."
			}
		}
		if got != c.want {
			t.Errorf("%s on %s: got %s, want %s", c.rule, c.path, got, c.want)
		}
	}
}

func TestFaultsTogether(t *testing.T) {
	var s Faults
	for _, text := range []string{"cut", "code", "slow:nth=2"} {
		f, err := ParseFault(text, known)
		if err != nil {
			t.Fatal(err)
		}
		s.Add(f)
	}
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	if f := s.First(r, "", "cut", "code"); f == nil || f.Name != "cut" {
		t.Errorf("first: got %+v", f)
	}
	if f := s.First(r, "", "cut", "code"); f == nil || f.Name != "code" {
		t.Errorf("second: got %+v, want the rule that had to wait", f)
	}
	if got := s.All(r, "", "slow"); len(got) != 0 {
		t.Errorf("nth=2 on the first request: got %v", got)
	}
	if got := s.All(r, "", "slow"); len(got) != 1 || s.Fired()["slow"] != 1 {
		t.Errorf("nth=2 on the second request: got %v, fired %v", got, s.Fired())
	}
	s.Clear()
	if got := s.All(r, "", "cut", "code", "slow"); got != nil {
		t.Errorf("after Clear: got %v", got)
	}
}
