//go:build cgo && !lite

package snowflakesim

import (
	"bufio"
	"crypto/md5" //nolint:gosec // S3's ETag is one
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A store is the S3 behind the stages: buckets are folders below root, objects are files, so that
// the engine can read them. Buckets come into being by being written to; the one of the internal
// stages has the name Options.StageBucket.
type store struct {
	root   string
	bucket string
	srv    *Server

	mu      sync.Mutex
	meta    map[string]map[string]string // "bucket/key" → user metadata
	etags   map[string]string
	uploads map[string]map[int]string // upload id → part → file
	puts    int
	bytes   int64
	next    int
}

type object struct {
	key  string
	size int64
	etag string
	mod  time.Time
}

func newStore(dir, bucket string, srv *Server) *store {
	return &store{
		root: filepath.Dir(dir), bucket: bucket, srv: srv,
		meta: map[string]map[string]string{}, etags: map[string]string{}, uploads: map[string]map[int]string{},
	}
}

// file is where an object is kept. Keys that leave the folder have none.
func (s *store) file(bucket, key string) (string, bool) {
	rel := filepath.Join(bucket, filepath.FromSlash(key))
	return filepath.Join(s.root, rel), filepath.IsLocal(rel) && key != ""
}

func s3Error(w http.ResponseWriter, status int, code, msg string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>%s</RequestId></Error>`, code, msg, newID())
}

// ServeHTTP speaks as much S3 as drivers and SDKs use: objects whole and in parts, ranges, lists.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	if !strings.Contains(r.Header.Get("Authorization"), "Credential="+s.srv.opt.StageAccessKey+"/") {
		s3Error(w, http.StatusForbidden, "InvalidAccessKeyId", "The key is not one of this server's.")
		return
	}
	if q.Has("accelerate") {
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, `<AccelerateConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></AccelerateConfiguration>`)
		return
	}
	if f := s.srv.stageFault(r.Method, key); f != nil {
		switch f.Kind {
		case StageUnavailable:
			s3Error(w, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
			return
		case StageExpired:
			s3Error(w, http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
			return
		case StageCut:
			_, _ = io.CopyN(io.Discard, r.Body, 1024)
			panic(http.ErrAbortHandler)
		default:
		}
	}
	name, ok := s.file(bucket, key)
	if key != "" && !ok {
		s3Error(w, http.StatusBadRequest, "InvalidArgument", "key")
		return
	}
	switch {
	case r.Method == http.MethodGet && key == "":
		s.list(w, bucket, q.Get("prefix"), q.Get("continuation-token"), q.Get("delimiter"))
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		s.send(w, r, name, bucket+"/"+key)
	case r.Method == http.MethodPost && q.Has("uploads"):
		s.mu.Lock()
		s.next++
		id := fmt.Sprintf("upload-%d", s.next)
		s.uploads[id] = map[int]string{}
		s.meta[id] = userMeta(r.Header)
		s.mu.Unlock()
		_, _ = fmt.Fprintf(w, `<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>`, bucket, key, id)
	case r.Method == http.MethodPut && q.Has("uploadId"):
		s.part(w, r, q.Get("uploadId"), q.Get("partNumber"))
	case r.Method == http.MethodPost && q.Has("uploadId"):
		s.complete(w, q.Get("uploadId"), bucket, key, name)
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		s.abort(q.Get("uploadId"))
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut && key == "":
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodPut:
		s.put(w, r, bucket, key, name)
	case r.Method == http.MethodDelete:
		s.remove(bucket, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		s3Error(w, http.StatusNotImplemented, "NotImplemented", r.Method)
	}
}

func userMeta(h http.Header) map[string]string {
	out := map[string]string{}
	for k, v := range h {
		if name, ok := strings.CutPrefix(strings.ToLower(k), "x-amz-meta-"); ok {
			out[name] = v[0]
		}
	}
	return out
}

// body undoes the framing by which SDKs send a checksum after the data, and checks it.
func body(r *http.Request) io.Reader {
	if !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") && !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return r.Body
	}
	return &chunks{r: bufio.NewReader(r.Body), crc: crc32.NewIEEE()}
}

type chunks struct {
	r    *bufio.Reader
	left int64
	done bool
	crc  interface {
		io.Writer
		Sum32() uint32
	}
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.done {
		return 0, io.EOF
	}
	if c.left == 0 {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return 0, noEOF(err)
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		if c.left, err = strconv.ParseInt(size, 16, 64); err != nil {
			return 0, err
		}
		if c.left == 0 {
			return 0, c.trailer()
		}
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	_, _ = c.crc.Write(p[:n]) // a hash takes everything
	if c.left -= int64(n); c.left == 0 && err == nil {
		_, err = c.r.Discard(2)
	}
	return n, noEOF(err)
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *chunks) trailer() error {
	c.done = true
	for {
		line, err := c.r.ReadString('\n')
		line = strings.TrimSpace(line)
		if sum, ok := strings.CutPrefix(line, "x-amz-checksum-crc32:"); ok {
			want := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, c.crc.Sum32()))
			if sum != want {
				return fmt.Errorf("checksum is %s, sent was %s", want, sum)
			}
		}
		if err != nil || line == "" {
			return io.EOF
		}
	}
}

// save writes a body to a file, which appears whole or not at all.
func save(name string, src io.Reader) (size int64, sum string, err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return 0, "", err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".put-*")
	if err != nil {
		return 0, "", err
	}
	h := md5.New() //nolint:gosec // S3's ETag is one
	size, err = io.Copy(io.MultiWriter(f, h), src)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return 0, "", errors.Join(err, os.Remove(f.Name()))
	}
	return size, hex.EncodeToString(h.Sum(nil)), nil
}

func (s *store) put(w http.ResponseWriter, r *http.Request, bucket, key, name string) {
	if r.Header.Get("If-None-Match") == "*" {
		if _, err := os.Stat(name); err == nil {
			s3Error(w, http.StatusPreconditionFailed, "PreconditionFailed", "exists")
			return
		}
	}
	size, sum, err := save(name, body(r))
	if err != nil {
		s3Error(w, http.StatusBadRequest, "IncompleteBody", err.Error())
		return
	}
	s.mu.Lock()
	s.meta[bucket+"/"+key], s.etags[bucket+"/"+key] = userMeta(r.Header), sum
	s.puts++
	s.bytes += size
	s.mu.Unlock()
	w.Header().Set("ETag", `"`+sum+`"`)
}

func (s *store) part(w http.ResponseWriter, r *http.Request, id, part string) {
	n, _ := strconv.Atoi(part)
	name := filepath.Join(s.root, ".uploads", id, part)
	size, sum, err := save(name, body(r))
	if err != nil {
		s3Error(w, http.StatusBadRequest, "IncompleteBody", err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploads[id] == nil {
		s3Error(w, http.StatusNotFound, "NoSuchUpload", id)
		return
	}
	s.uploads[id][n] = name
	s.puts++
	s.bytes += size
	w.Header().Set("ETag", `"`+sum+`"`)
}

func (s *store) complete(w http.ResponseWriter, id, bucket, key, name string) {
	s.mu.Lock()
	parts, meta := s.uploads[id], s.meta[id]
	s.mu.Unlock()
	if parts == nil {
		s3Error(w, http.StatusNotFound, "NoSuchUpload", id)
		return
	}
	nums := make([]int, 0, len(parts))
	for n := range parts {
		nums = append(nums, n)
	}
	sort.Ints(nums)
	pr, pw := io.Pipe()
	go func() { // ends with the copy below, which reads it to its end or closes it
		for _, n := range nums {
			f, err := os.Open(parts[n])
			if err == nil {
				_, err = io.Copy(pw, f)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				pw.CloseWithError(err)
				return
			}
		}
		pw.CloseWithError(io.EOF)
	}()
	_, sum, err := save(name, pr)
	pr.CloseWithError(err)
	if err != nil {
		s3Error(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	s.abort(id)
	sum += fmt.Sprintf("-%d", len(nums))
	s.mu.Lock()
	s.meta[bucket+"/"+key], s.etags[bucket+"/"+key] = meta, sum
	s.mu.Unlock()
	_, _ = fmt.Fprintf(w, `<CompleteMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><ETag>"%s"</ETag></CompleteMultipartUploadResult>`, bucket, key, sum)
}

func (s *store) abort(id string) {
	s.mu.Lock()
	delete(s.uploads, id)
	delete(s.meta, id)
	s.mu.Unlock()
	_ = os.RemoveAll(filepath.Join(s.root, ".uploads", id)) // goes with the folder at the latest
}

func (s *store) send(w http.ResponseWriter, r *http.Request, name, full string) {
	f, err := os.Open(name)
	if err != nil {
		s3Error(w, http.StatusNotFound, map[bool]string{true: "NotFound", false: "NoSuchKey"}[r.Method == http.MethodHead], "The specified key does not exist.")
		return
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		s3Error(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return
	}
	s.mu.Lock()
	meta, etag := s.meta[full], s.etags[full]
	s.mu.Unlock()
	for k, v := range meta {
		w.Header().Set("X-Amz-Meta-"+k, v)
	}
	w.Header().Set("ETag", `"`+etag+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), f)
}

func (s *store) list(w http.ResponseWriter, bucket, prefix, after, delimiter string) {
	type content struct {
		Key, LastModified, ETag string
		Size                    int64
	}
	type common struct{ Prefix string }
	type reply struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name, Prefix          string
		KeyCount, MaxKeys     int
		IsTruncated           bool
		NextContinuationToken string    `xml:",omitempty"`
		Contents              []content `xml:"Contents"`
		CommonPrefixes        []common  `xml:"CommonPrefixes"`
	}
	out := reply{Name: bucket, Prefix: prefix, MaxKeys: 1000}
	seen := map[string]bool{}
	for _, o := range s.objects(bucket, prefix) {
		if o.key <= after {
			continue
		}
		if rest := strings.TrimPrefix(o.key, prefix); delimiter != "" && strings.Contains(rest, delimiter) {
			dir := prefix + rest[:strings.Index(rest, delimiter)+len(delimiter)]
			if !seen[dir] {
				seen[dir] = true
				out.CommonPrefixes = append(out.CommonPrefixes, common{dir})
			}
			continue
		}
		if len(out.Contents) == out.MaxKeys {
			out.IsTruncated, out.NextContinuationToken = true, out.Contents[len(out.Contents)-1].Key
			break
		}
		out.Contents = append(out.Contents, content{o.key, o.mod.UTC().Format("2006-01-02T15:04:05.000Z"), `"` + o.etag + `"`, o.size})
	}
	out.KeyCount = len(out.Contents)
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out) // the client may be gone
}

// objects lists a bucket below a prefix, in order.
func (s *store) objects(bucket, prefix string) []object {
	dir := filepath.Join(s.root, bucket)
	var out []object
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error { // what is not there is not listed
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".put-") {
			return nil //nolint:nilerr // see above
		}
		rel, err := filepath.Rel(dir, name)
		key := filepath.ToSlash(rel)
		if err != nil || !strings.HasPrefix(key, prefix) {
			return nil //nolint:nilerr // see above
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		out = append(out, object{key: key, size: info.Size(), etag: s.etag(bucket, key, name, info), mod: info.ModTime()})
		return nil
	})
	sort.Slice(out, func(i, j int) bool { return out[i].key < out[j].key })
	return out
}

// etag of an object; one that another server put there is told by its size and time.
func (s *store) etag(bucket, key, name string, info fs.FileInfo) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.etags[bucket+"/"+key]; e != "" {
		return e
	}
	sum := md5.Sum(fmt.Appendf(nil, "%s %d %d", name, info.Size(), info.ModTime().UnixNano())) //nolint:gosec // see save
	return hex.EncodeToString(sum[:])
}

func (s *store) remove(bucket, key string) {
	if name, ok := s.file(bucket, key); ok {
		_ = os.Remove(name) // to remove what is not there is no error
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.meta, bucket+"/"+key)
	delete(s.etags, bucket+"/"+key)
}

func (s *store) removePrefix(prefix string) {
	for _, o := range s.objects(s.bucket, prefix) {
		s.remove(s.bucket, o.key)
	}
}
