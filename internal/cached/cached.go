// Package cached keeps what is asked for once and used often, such as the description of an
// account's fields.
package cached

import (
	"sync"
	"time"
)

// Keep is how long a value is kept. Descriptions change when an administrator adds a field,
// which a process that runs for days must notice.
const Keep = time.Hour

// A Value is fetched once and kept for an hour. Of callers that come together, one fetches and
// the others wait. The zero Value is empty.
type Value[T any] struct {
	mu    sync.Mutex
	at    time.Time
	value T
}

// Get returns the value, from fetch if there is none yet or if it is old by now. An error of
// fetch is not kept.
func (c *Value[T]) Get(now time.Time, fetch func() (T, error)) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && now.Sub(c.at) < Keep {
		return c.value, nil
	}
	v, err := fetch()
	if err != nil {
		return v, err
	}
	c.at, c.value = now, v
	return v, nil
}

// Drop forgets the value: the next Get fetches it.
func (c *Value[T]) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
}
