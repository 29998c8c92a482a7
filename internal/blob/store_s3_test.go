package blob

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/s3test"
)

// A reply that is lost makes the SDK try again, and the second attempt finds the work of the first.
func TestS3LostReplies(t *testing.T) {
	t.Run("put if absent", func(t *testing.T) {
		f := newFakeS3(t)
		s := f.store("p")
		f.During(s3test.Once(http.MethodPut, "", s3test.LoseReply))
		if err := s.Put(t.Context(), "m.json", []byte("mine"), true); err != nil {
			t.Errorf("Put whose first reply was lost = %v, want nil: the object is its own", err)
		}
		if got := f.Called("PUT "); got != 2 {
			t.Errorf("%d calls, want 2: the hook did not act", got)
		}
		f.During(nil)
		if err := s.Put(t.Context(), "m.json", []byte("mine"), true); !errors.Is(err, ErrExists) {
			t.Errorf("Put of the same bytes by somebody else = %v, want ErrExists", err)
		}
	})
	t.Run("compare and set", func(t *testing.T) {
		f := newFakeS3(t)
		s := f.store("p")
		tag, err := s.PutIf(t.Context(), "doc", []byte("one"), "")
		if err != nil {
			t.Fatal(err)
		}
		f.Called("")
		f.During(s3test.Once(http.MethodPut, "", s3test.LoseReply))
		next, err := s.PutIf(t.Context(), "doc", []byte("two"), tag)
		if err != nil {
			t.Errorf("PutIf whose first reply was lost = %v, want nil: the object is its own", err)
		}
		if got := f.Called("PUT "); got != 2 {
			t.Errorf("%d calls, want 2: the hook did not act", got)
		}
		if data, got, err := s.GetTagged(t.Context(), "doc", 10); err != nil || string(data) != "two" || got != next {
			t.Errorf("GetTagged = %q, %q, %v, want two and the tag %q", data, got, err, next)
		}
	})
	t.Run("part", func(t *testing.T) {
		f := newFakeS3(t)
		s := f.store("p")
		f.During(s3test.Once(http.MethodPut, "partNumber=2", s3test.LoseReply))
		data := randomBytes(3333)
		r := uploadFile(t, s, "a", data)
		if err := s.Finish(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(t.Context(), "a", 1<<20); err != nil || !bytes.Equal(got, data) {
			t.Errorf("Get = %d bytes, %v", len(got), err)
		}
		if got := f.Called("PUT "); got != 5 {
			t.Errorf("%d parts sent, want 4 and one again", got)
		}
	})
	t.Run("finish", func(t *testing.T) {
		f := newFakeS3(t)
		s := f.store("p")
		r := uploadFile(t, s, "a", randomBytes(3333))
		f.During(s3test.Once(http.MethodPost, "uploadId=", s3test.LoseReply))
		if err := s.Finish(t.Context(), r); err != nil {
			t.Errorf("Finish = %v", err)
		}
		if f.Called("HEAD ") != 1 {
			t.Error("Finish did not look whether the object is there: the hook did not act")
		}
	})
	t.Run("abort", func(t *testing.T) {
		f := newFakeS3(t)
		s := f.store("p")
		r := uploadFile(t, s, "a", randomBytes(3333))
		f.During(s3test.Once(http.MethodDelete, "uploadId=", s3test.LoseReply))
		if err := s.Abort(t.Context(), r); err != nil {
			t.Errorf("Abort = %v", err)
		}
	})
}

// A put that two make at once may be answered by 409 instead of 412.
func TestS3ConditionalConflict(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	f.During(s3test.Once(http.MethodPut, "", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		s3test.Say(w, http.StatusConflict, "ConditionalRequestConflict", "at the same time")
		return true
	}))
	if err := s.Put(t.Context(), "m.json", []byte("x"), true); err != nil {
		t.Errorf("Put = %v, want the second attempt to win", err)
	}
}

// Bodies that break off are asked for again from where they broke.
func TestS3BrokenBodies(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	data := randomBytes(2<<20 + 99)
	if err := s.Put(t.Context(), "big", data, false); err != nil {
		t.Fatal(err)
	}
	var broken atomic.Int32
	breakAfter := func(n int) func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
			if r.Method != http.MethodGet || broken.Add(1) > 2 {
				return false
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes()[:n])
			panic(http.ErrAbortHandler)
		}
	}
	f.During(breakAfter(300_000))
	r, err := s.Open(t.Context(), "big", int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(data))
	if _, err := r.ReadAt(got, 0); err != nil || !bytes.Equal(got, data) {
		t.Errorf("ReadAt = %v, want all %d bytes", err, len(data))
	}
	if n := broken.Load(); n < 3 {
		t.Errorf("%d replies, want the hook to break two", n)
	}
	broken.Store(0)
	if got, err := s.Get(t.Context(), "big", 3<<20); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Get = %d bytes, %v", len(got), err)
	}
	broken.Store(-100)
	_, err = s.Get(t.Context(), "big", 3<<20)
	if martsync.KindOf(err) != martsync.Transient {
		t.Errorf("Get of what always breaks = %v (%v), want a Transient error", err, martsync.KindOf(err))
	}
}

// A reader must not ask once for each small read, nor keep the whole file.
func TestS3ReaderCallsAndMemory(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	const size = 40 << 20
	data := randomBytes(size)
	if err := s.Put(t.Context(), "big", data, false); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), "big", size)
	if err != nil {
		t.Fatal(err)
	}
	f.Called("")
	p := make([]byte, 4096)
	for off := int64(0); off < size; off += int64(len(p)) {
		if n, err := r.ReadAt(p, off); err != nil || !bytes.Equal(p[:n], data[off:off+int64(n)]) {
			t.Fatalf("ReadAt(%d) = %d, %v", off, n, err)
		}
	}
	if got := f.Called("GET "); got > 12 {
		t.Errorf("reading 40 MiB from front to back took %d calls, want at most 12", got)
	}
	// Columns of a row group, a little of each in turn.
	for round := range int64(8) {
		for column := range int64(12) {
			if _, err := r.ReadAt(p, 20<<20+column<<20+round*int64(len(p))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := f.Called("GET "); got > 12 {
		t.Errorf("reading 12 columns in turn took %d calls, want at most 12", got)
	}
	kept := r.(*s3Reader).blocks
	total := 0
	for _, b := range kept {
		total += cap(b.data)
	}
	if len(kept) > keptBlocks || total > keptBlocks*blockSize {
		t.Errorf("the reader keeps %d blocks of %d bytes", len(kept), total)
	}
}

func TestS3ReaderNoticesReplacement(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	if err := s.Put(t.Context(), "a", randomBytes(3<<20), false); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), "a", 3<<20)
	if err != nil {
		t.Fatal(err)
	}
	var asked string
	f.During(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		asked = r.Header.Get("If-Match")
		s3test.Say(w, http.StatusPreconditionFailed, "PreconditionFailed", "changed")
		return true
	})
	if _, err := r.ReadAt(make([]byte, 10), 0); martsync.KindOf(err) != martsync.Data {
		t.Errorf("ReadAt of a replaced file = %v, want a Data error", err)
	}
	if asked == "" {
		t.Error("no If-Match was sent")
	}
	// A server that sends the whole object instead of a range must not pass for one that does.
	f.During(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		r.Header.Del("Range")
		return false
	})
	if _, err := r.ReadAt(make([]byte, 10), 2<<20); martsync.KindOf(err) != martsync.Config {
		t.Errorf("ReadAt from a server that ignores ranges = %v, want a Config error", err)
	}
}

// Two parts of an upload travel at once and not more, and they are listed in order however they arrive.
func TestS3PartsInFlight(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	var now, most atomic.Int32
	first, second := make(chan struct{}), make(chan struct{})
	f.During(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if !strings.Contains(r.URL.RawQuery, "partNumber=") {
			return false
		}
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		defer now.Add(-1)
		switch { // the first two wait for each other
		case strings.Contains(r.URL.RawQuery, "partNumber=1&"):
			close(first)
			<-second
		case strings.Contains(r.URL.RawQuery, "partNumber=2&"):
			close(second)
			<-first
		}
		next.ServeHTTP(w, r)
		return true
	})
	data := randomBytes(20 << 10)
	r := uploadFile(t, s, "a", data)
	if got := most.Load(); got != 2 {
		t.Errorf("at most %d parts travelled at once, want 2", got)
	}
	if len(r.Parts) != 20 {
		t.Fatalf("%d parts, want 20", len(r.Parts))
	}
	for i, p := range r.Parts {
		if p.Number != int32(i+1) || p.ETag == "" || p.CRC32C != crc32c(data[i<<10:(i+1)<<10]) {
			t.Errorf("part %d is %+v", i+1, p)
		}
	}
	if err := s.Finish(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), "a", 1<<20); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Get = %d bytes, %v", len(got), err)
	}
}

// An error of a part is told by the next Write or by Close, and Abort leaves nothing.
func TestS3UploadFails(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	f.During(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.Contains(r.URL.RawQuery, "partNumber=2&") {
			return false
		}
		s3test.Say(w, http.StatusForbidden, "AccessDenied", "Access Denied")
		return true
	})
	u, err := s.Create(t.Context(), "a", "")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err = u.Write(randomBytes(1000)); err != nil {
			break
		}
	}
	if martsync.KindOf(err) != martsync.Auth {
		t.Errorf("Write = %v, want the Auth error of a part within 100 writes", err)
	}
	if _, err := u.Close(t.Context()); martsync.KindOf(err) != martsync.Auth {
		t.Errorf("Close = %v, want the same error", err)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	if got := uploadsOf(t, s, ""); len(got) != 0 {
		t.Errorf("Uploads = %v", got)
	}
}

func TestS3DroppedUploadCostsNothing(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	u, err := s.Create(t.Context(), "a", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write([]byte("less than a part")); err != nil {
		t.Fatal(err)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.Called(""); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}

func TestS3TooManyParts(t *testing.T) {
	f := newFakeS3(t)
	f.During(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.Contains(r.URL.RawQuery, "partNumber=") {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"x"`)
		return true
	})
	s := f.store("")
	s.partSize = 1
	u, err := s.Create(t.Context(), "a", "")
	if err != nil {
		t.Fatal(err)
	}
	u.(*s3Upload).r.Parts = make([]Part, maxParts-2)
	if n, err := u.Write(make([]byte, 5)); martsync.KindOf(err) != martsync.Config || n != 3 {
		t.Errorf("Write = %d, %v, want 3 bytes (two parts and a full buffer) and a Config error", n, err)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Error(err)
	}
}

// What is asked of the server: encryption, storage class, types, and nothing outside the prefix.
func TestS3Requests(t *testing.T) {
	f := newFakeS3(t)
	o := f.options()
	o.Encryption, o.KMSKey, o.StorageClass = "kms", "alias/mart", "STANDARD_IA"
	s := openFake(t, "pre/fix", o, s3test.Env(t))
	seen := map[string]http.Header{}
	f.During(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.HasPrefix(r.URL.Path, "/mart/pre/fix/") && r.URL.Path != "/mart" && r.URL.Path != "/mart/" {
			t.Errorf("a call to %s", r.URL)
		}
		if p := r.URL.Query().Get("prefix"); r.URL.Path == "/mart" && !strings.HasPrefix(p, "pre/fix/") && r.Method == http.MethodGet {
			t.Errorf("a listing of prefix %q", p)
		}
		switch {
		case r.Method == http.MethodPut && r.URL.RawQuery == "x-id=PutObject":
			seen["put"] = r.Header
		case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
			seen["create"] = r.Header
		}
		return false
	})
	if err := s.Put(t.Context(), "a.json", []byte("{}"), true); err != nil {
		t.Fatal(err)
	}
	r := uploadFile(t, s, "b.csv", []byte("x"))
	if err := s.Finish(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := keysOf(t, s, "", ""); !slices.Equal(got, []string{"a.json", "b.csv"}) {
		t.Errorf("List = %q", got)
	}
	uploadsOf(t, s, "")
	if err := s.Delete(t.Context(), "a.json", "b.csv"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ call, header, value string }{
		{"put", "X-Amz-Server-Side-Encryption", "aws:kms"},
		{"put", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "alias/mart"},
		{"put", "If-None-Match", "*"},
		{"put", "Content-Type", "application/json"},
		{"put", "X-Amz-Storage-Class", ""}, // manifests are read at every start
		{"create", "X-Amz-Server-Side-Encryption", "aws:kms"},
		{"create", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "alias/mart"},
		{"create", "X-Amz-Storage-Class", "STANDARD_IA"},
		{"create", "X-Amz-Checksum-Algorithm", "CRC32C"},
		{"create", "Content-Type", "text/csv"},
	} {
		if got := seen[want.call].Get(want.header); got != want.value {
			t.Errorf("%s sends %s: %q, want %q", want.call, want.header, got, want.value)
		}
	}
}

func TestS3Paging(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("p")
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("k/%02d", i)
		want = append(want, key)
		if err := s.Put(t.Context(), key, nil, false); err != nil {
			t.Fatal(err)
		}
	}
	f.During(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if q := r.URL.Query(); q.Get("list-type") == "2" {
			q.Set("max-keys", "10")
			r.URL.RawQuery = q.Encode()
		}
		return false
	})
	f.Called("")
	if got := keysOf(t, s, "k/", ""); !slices.Equal(got, want) {
		t.Errorf("List = %q", got)
	}
	if n := f.Called("GET "); n != 3 {
		t.Errorf("%d pages, want 3", n)
	}
	if got := keysOf(t, s, "k/", "k/07"); !slices.Equal(got, want[8:]) {
		t.Errorf("List after k/07 = %q", got)
	}
}

func TestS3DeletesInBatches(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("p")
	keys := make([]string, 2*deleteAtOnce+1)
	for i := range keys {
		keys[i] = fmt.Sprintf("k/%04d", i)
	}
	if err := s.Delete(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	if n := f.Called(""); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
	// A server that cannot delete many at once is asked one by one.
	for _, k := range keys[:3] {
		if err := s.Put(t.Context(), k, nil, false); err != nil {
			t.Fatal(err)
		}
	}
	f.During(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method != http.MethodPost {
			return false
		}
		s3test.Say(w, http.StatusNotImplemented, "NotImplemented", "")
		return true
	})
	if err := s.Delete(t.Context(), keys[:3]...); err != nil {
		t.Fatal(err)
	}
	if got := keysOf(t, s, "", ""); len(got) != 0 {
		t.Errorf("List = %q", got)
	}
	// An error of one key among many is not lost.
	f.During(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		type result struct {
			XMLName xml.Name `xml:"DeleteResult"`
			Error   struct{ Key, Code, Message string }
		}
		var body result
		body.Error.Key, body.Error.Code, body.Error.Message = "p/k/0001", "AccessDenied", "Access Denied"
		text, _ := xml.Marshal(body)
		_, _ = w.Write(text)
		return true
	})
	err := s.Delete(t.Context(), keys[:3]...)
	if martsync.KindOf(err) != martsync.Auth || !strings.Contains(martsync.HintOf(err), "s3:DeleteObject on arn:aws:s3:::mart/p/k/0001") {
		t.Errorf("Delete = %v (%s), want an Auth error that names action and key", err, martsync.HintOf(err))
	}
}

func TestS3ListsOutOfOrder(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("p")
	f.During(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		_, _ = io.WriteString(w, `<ListBucketResult><KeyCount>3</KeyCount><Contents><Key>p/</Key></Contents><Contents><Key>p/b</Key></Contents><Contents><Key>p/a</Key></Contents></ListBucketResult>`)
		return true
	})
	var keys []string
	var last error
	for e, err := range s.List(t.Context(), "", "") {
		if err == nil {
			keys = append(keys, e.Key)
		}
		last = err
	}
	if martsync.KindOf(last) != martsync.Config || !slices.Equal(keys, []string{"b"}) {
		t.Errorf("List = %q, %v, want b and a Config error", keys, last)
	}
}

// Finishing costs one call, unless the server's word is not that of S3.
func TestS3FinishLooksTwice(t *testing.T) {
	f := newFakeS3(t)
	s := f.store("")
	r := uploadFile(t, s, "a", randomBytes(3333))
	f.Called("")
	if err := s.Finish(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if n := f.Called(""); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	lost := uploadFile(t, s, "b", randomBytes(3333))
	f.During(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method != http.MethodPost {
			return false
		}
		_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"0123"</ETag></CompleteMultipartUploadResult>`)
		return true
	})
	if err := s.Finish(t.Context(), lost); !errors.Is(err, ErrLost) {
		t.Errorf("Finish that a server only pretends = %v, want ErrLost", err)
	}
	// S3 may also say 200 and mean an error, after it has begun to answer.
	f.During(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method != http.MethodPost {
			return false
		}
		s3test.Say(w, http.StatusOK, "InternalError", "We encountered an internal error")
		return true
	})
	if err := s.Finish(t.Context(), lost); martsync.KindOf(err) != martsync.Transient {
		t.Errorf("Finish answered by an error with status 200 = %v (%v), want a Transient error", err, martsync.KindOf(err))
	}
}
