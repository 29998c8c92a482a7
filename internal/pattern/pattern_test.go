package pattern

import "testing"

func TestChooses(t *testing.T) {
	for _, test := range []struct {
		name            string
		wanted, exclude []string
		want            bool
	}{
		{"nothing said", nil, nil, true},
		{"named", []string{"emails", "leads"}, nil, true},
		{"by a pattern", []string{"le?d[a-z]"}, nil, true},
		{"not named", []string{"emails", "lead_*"}, nil, false},
		{"excluded", nil, []string{"*ads"}, false},
		{"excluded although named", []string{"leads"}, []string{"leads"}, false},
		{"others excluded", nil, []string{"lead_*"}, true},
		{"no pattern at all", []string{"[leads"}, nil, false},
	} {
		if got := Chooses(test.wanted, test.exclude, "leads"); got != test.want {
			t.Errorf("%s: Chooses(%q, %q) = %v, want %v", test.name, test.wanted, test.exclude, got, test.want)
		}
	}
}
