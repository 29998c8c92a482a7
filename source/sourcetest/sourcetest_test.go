package sourcetest_test

import (
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/source/sourcetest"
)

func TestLaws(t *testing.T) {
	for seed := range uint64(5) {
		sourcetest.Run(t, func(t testing.TB) sourcetest.Setup {
			s := crash.NewScript(seed)
			return sourcetest.Setup{
				Clock: s.Clock,
				Open: func(t testing.TB) martsync.Source {
					source, err := s.Open()
					if err != nil {
						t.Fatal(err)
					}
					return source
				},
			}
		})
	}
}
