package httpx

import (
	"math/rand/v2"
	"time"
)

// Backoff is the wait before try+1 of a call: 1, 2, 4 … 30 seconds, each give or take a quarter, so
// that calls that failed together do not come together again.
func Backoff(try int) time.Duration {
	d := min(time.Second<<(try-1), 30*time.Second)
	return d*3/4 + rand.N(d/2)
}
