package httpx

import (
	"testing"

	"github.com/martsync/martsync"
)

func TestTrial(t *testing.T) {
	var trial Trial
	check := func(token string, want bool) {
		t.Helper()
		if got := trial.HasWorked(martsync.Secret(token)); got != want {
			t.Errorf("%s has worked: got %v, want %v", token, got, want)
		}
	}
	check("a", false)
	trial.Worked("a") // nobody has given it
	check("a", false)
	trial.Given("a")
	check("a", false)
	trial.Worked("a")
	check("a", true)
	trial.Given("a") // the same again
	check("a", true)
	trial.Given("b")
	check("b", false)
	check("a", true)  // replaced
	trial.Worked("a") // late
	check("b", false)
	trial.Worked("b")
	trial.Worked("a")
	check("b", true)
}
