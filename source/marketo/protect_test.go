package marketo

import (
	"slices"
	"testing"

	"github.com/martsync/martsync"
)

// Whoever hides the address of leads hides it in bounced e-mails, too, and nothing in those that have an attribute of that
// name for something else.
func TestEchoesOfTheAddress(t *testing.T) {
	v := newFakeVendor(t, map[string]script{"/rest/v1/leads/describe.json": replies(result(
		`{"id":1,"displayName":"Id","dataType":"integer","rest":{"name":"id"}},` +
			`{"id":6,"displayName":"Email Address","dataType":"email","rest":{"name":"email"}},` +
			`{"id":7,"displayName":"Title","dataType":"string","rest":{"name":"title"}}`,
	))})
	for _, c := range []struct {
		column string
		shows  bool
	}{{"email", true}, {"title", false}} {
		echoes, err := v.source(t).Echoes(t.Context(), leadStream, func(of martsync.Column) bool { return of.Origin == c.column })
		if err != nil {
			t.Fatal(err)
		}
		var types []string
		changes := 0
		for _, e := range echoes {
			switch {
			case slices.Contains(e.Members, "Email"):
				for _, w := range e.Where {
					types = append(types, w.Column+" "+w.Value)
				}
			case slices.Contains(e.Members, "New Value") && slices.Contains(e.Members, "Old Value"):
				changes++
			}
		}
		want := []string{"activity_type_id 8", "activity_type_id 27", "activity_type_id 48"}
		if !c.shows {
			want = nil
		}
		if !slices.Equal(types, want) || changes != 1 {
			t.Errorf("%s shows in bounces of %q and in %d changes, want %q and 1", c.column, types, changes, want)
		}
	}
}
