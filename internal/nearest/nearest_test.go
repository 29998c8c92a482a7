package nearest

import "testing"

func TestNearest(t *testing.T) {
	keys := []string{"path", "endpoint", "client_id", "client_secret", "schedule"}
	for in, want := range map[string]string{
		"pth": "path", "PATH": "path", "endpiont": "endpoint", "clientid": "client_id", "client_secert": "client_secret", "zebra": "", "": "",
	} {
		if got := Of(in, keys); got != want {
			t.Errorf("Of(%q): got %q, want %q", in, got, want)
		}
	}
}
