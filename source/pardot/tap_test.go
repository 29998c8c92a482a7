package pardot

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"regexp"
	"sync"
)

// A tap remembers what came through a transport: the SHA-256 of each reply that was read to its end, and
// those of export files by the names that their bodies have.
type tap struct {
	mu    sync.Mutex
	calls int64
	sums  map[string]string // of files by name
	all   map[string]bool   // of everything
}

func newTap() *tap { return &tap{sums: map[string]string{}, all: map[string]bool{}} }

// tappedFile is where files are, by either version.
var tappedFile = regexp.MustCompile(`/(?:downloadResults/id|exports)/(\d+)/(?:file|results)/(\d+)$`)

func (p *tap) transport(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		p.mu.Lock()
		p.calls++
		p.mu.Unlock()
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		name := ""
		if m := tappedFile.FindStringSubmatch(r.URL.Path); m != nil {
			name = "job-" + m[1] + ".csv"
		}
		resp.Body = &tapped{ReadCloser: resp.Body, tap: p, name: name, sum: sha256.New()}
		return resp, nil
	})
}

type tapped struct {
	io.ReadCloser
	tap  *tap
	name string
	sum  hash.Hash
}

func (b *tapped) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	b.sum.Write(data[:n])
	if err == io.EOF {
		b.tap.mu.Lock()
		defer b.tap.mu.Unlock()
		sum := hex.EncodeToString(b.sum.Sum(nil))
		b.tap.all[sum] = true
		if b.name != "" {
			b.tap.sums[b.name] = sum
		}
	}
	return n, err
}

// sum is the SHA-256 of the export file of that name, "" if there is none.
func (p *tap) sum(body string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sums[body]
}

func (p *tap) count() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// saw reports whether a reply of that SHA-256 was read to its end.
func (p *tap) saw(sum string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[sum]
}
