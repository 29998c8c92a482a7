package marketo

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

const filePath = "/bulk/v1/leads/export/job-1/file.json"

// served answers like the vendor, ranges included.
func served(data []byte) script {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/csv;charset=UTF-8")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

func TestFileFromAnyOffset(t *testing.T) {
	data := []byte("id,attributes\n1,\"{\"\"a\"\":1}\"\n{odd cell}\n")
	for name, s := range map[string]script{
		"ranges": served(data),
		"no ranges": func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data)
		},
		"ranges called JSON": func(n int, w http.ResponseWriter, r *http.Request) {
			served(data)(n, w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			src := newFakeVendor(t, map[string]script{filePath: s}).source(t)
			for offset := range int64(len(data)) {
				body, total, err := src.client.file(t.Context(), filePath, offset)
				if err != nil {
					t.Fatalf("from %d: %v", offset, err)
				}
				got, err := io.ReadAll(body)
				if err != nil || body.Close() != nil || string(got) != string(data[offset:]) || total != int64(len(data)) {
					t.Fatalf("from %d: %q of %d, %v, want %q of %d", offset, got, total, err, data[offset:], len(data))
				}
			}
		})
	}
}

func TestFileOffsetAtTheEnd(t *testing.T) {
	src := newFakeVendor(t, map[string]script{filePath: func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes */10")
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
	}}).source(t)
	body, total, err := src.client.file(t.Context(), filePath, 10)
	if err != nil || total != 10 {
		t.Fatalf("total %d, %v, want 10", total, err)
	}
	if got, err := io.ReadAll(body); len(got) > 0 || err != nil || body.Close() != nil {
		t.Errorf("got %q, %v, want nothing", got, err)
	}
}

func TestE11_FileWithoutBytes(t *testing.T) {
	src := newFakeVendor(t, map[string]script{filePath: func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }}).source(t)
	body, total, err := src.client.file(t.Context(), filePath, 0)
	if err != nil || total != 0 {
		t.Fatalf("total %d, %v, want 0", total, err)
	}
	if got, err := io.ReadAll(body); len(got) > 0 || err != nil || body.Close() != nil {
		t.Errorf("got %q, %v, want nothing", got, err)
	}
}

func TestE9_FileGone(t *testing.T) {
	for name, s := range map[string]script{
		"404": func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "not found")
		},
		"1013": replies(faulty("1013", "Object not found")),
	} {
		v := newFakeVendor(t, map[string]script{filePath: s})
		_, _, err := v.source(t).client.file(t.Context(), filePath, 0)
		if !errors.Is(err, errGone) || v.count(filePath) != 1 {
			t.Errorf("%s: %v after %d calls, want errGone after one", name, err, v.count(filePath))
		}
	}
}

func TestE4_JSONInPlaceOfAFileIsRepaired(t *testing.T) {
	data := []byte("id\n1\n2\n")
	for _, contentType := range []string{"application/json;charset=UTF-8", "text/csv"} {
		v := newFakeVendor(t, map[string]script{filePath: func(n int, w http.ResponseWriter, r *http.Request) {
			if n < 3 {
				w.Header().Set("Content-Type", contentType)
				_, _ = io.WriteString(w, faulty([]string{"602", "606", "615"}[n], "come again"))
				return
			}
			served(data)(n, w, r)
		}})
		body, _, err := v.source(t).client.file(t.Context(), filePath, 2)
		if err != nil {
			t.Fatalf("%s: %v", contentType, err)
		}
		if got, err := io.ReadAll(body); string(got) != "\n1\n2\n" || err != nil || body.Close() != nil {
			t.Errorf("%s: got %q, %v", contentType, got, err)
		}
	}
}

func TestFileIsNotUnpacked(t *testing.T) {
	v := newFakeVendor(t, map[string]script{filePath: func(_ int, w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "accept="+r.Header.Get("Accept-Encoding"))
	}})
	body, _, err := v.source(t).client.file(t.Context(), filePath, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	if got, _ := io.ReadAll(body); string(got) != "accept=identity" {
		t.Errorf("got %q, want the bytes as they are", got)
	}
}

func TestE10_CutFileResumesAndKeepsItsHash(t *testing.T) {
	data := bytes.Repeat([]byte("id,name\n500101,\"a, b\"\n"), 20_000)
	v := newFakeVendor(t, map[string]script{filePath: func(n int, w http.ResponseWriter, r *http.Request) {
		if n < 6 {
			first, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-"))
			rest := data[first:]
			w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
			if first > 0 {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(data)-1, len(data)))
				w.WriteHeader(http.StatusPartialContent)
			}
			_, _ = w.Write(rest[:min(len(rest), 30_001*(n+1))])
			panic(http.ErrAbortHandler)
		}
		served(data)(n, w, r)
	}})
	src := v.source(t)
	sum := sha256.New()
	at := int64(0)
	for try := 0; ; try++ {
		body, total, err := src.client.file(t.Context(), filePath, at)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(sum, body)
		_ = body.Close()
		at += n
		if err == nil {
			break
		}
		if martsync.KindOf(err) != martsync.Transient || total != int64(len(data)) || try > 10 {
			t.Fatalf("try %d, at %d of %d: %v, want a transient error", try, at, total, err)
		}
	}
	if want := sha256.Sum256(data); at != int64(len(data)) || !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Errorf("%d bytes of %d arrived, or their hash differs", at, len(data))
	}
}

func TestFileFromTheWrongPlaceIsRefused(t *testing.T) {
	v := newFakeVendor(t, map[string]script{filePath: func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 3-9/10")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "0123456")
	}})
	if body, _, err := v.source(t).client.file(t.Context(), filePath, 5); err == nil || martsync.KindOf(err) != martsync.Transient {
		_ = body.Close()
		t.Errorf("got %v, want a transient error", err)
	}
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-9/10")
	f.Add("bytes */10")
	f.Add("bytes 5-/")
	f.Fuzz(func(t *testing.T, v string) {
		start, size, ok := contentRange(http.Header{"Content-Range": {v}})
		if ok && (start < 0 || size < -1) {
			t.Errorf("%q gives %d of %d", v, start, size)
		}
	})
}
