package files

import "time"

// A rotation says when a file is large or old enough to begin the next one. A zero bound does
// not count.
type rotation struct {
	Rows  int64
	Bytes int64         // of the file as it is stored, compressed
	Age   time.Duration // since it was begun
}

// due reports whether the file that an encoder writes is done. Ask after each batch: a
// batch is never divided because of Bytes or Age; room tells where Rows divides it.
func (r rotation) due(e encoder, begun, now time.Time) bool {
	return e.Rows() > 0 && (r.Rows > 0 && e.Rows() >= r.Rows ||
		r.Bytes > 0 && e.Size() >= r.Bytes ||
		r.Age > 0 && now.Sub(begun) >= r.Age)
}

// room is how many of n rows still belong into the file.
func (r rotation) room(e encoder, n int) int {
	if r.Rows <= 0 {
		return n
	}
	return int(max(0, min(int64(n), r.Rows-e.Rows())))
}
