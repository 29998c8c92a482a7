package marketosim

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync/simulate"
)

// job returns a job as replies show it: only the times that have been reached, size, checksum
// and count only when completed. (Marketo REST API, Bulk Extract)
func (s *Server) job(j simulate.Job) record {
	x := j.Spec.(*export)
	status := string(j.Status)
	if j.Status == simulate.JobCancelled {
		status = s.cfg.CancelSpelled
	}
	r := record{{"exportId", j.ID}, {"format", x.format}, {"status", status}, {"createdAt", moment(j.CreatedAt.Unix())}}
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			r = append(r, member{name, moment(t.Unix())})
		}
	}
	at("queuedAt", j.QueuedAt)
	at("startedAt", j.StartedAt)
	switch j.Status {
	case simulate.JobCompleted:
		at("finishedAt", j.FinishedAt)
		r = append(r, member{"numberOfRecords", j.File.Rows}, member{"fileSize", j.File.Size}, member{"fileChecksum", "sha256:" + j.File.SHA256})
	case simulate.JobFailed:
		at("finishedAt", j.FinishedAt)
		r = append(r, member{"errorMsg", j.Error})
	default:
	}
	return r
}

// refused answers an error of the job table.
func (c *call) refused(err error, wrongState string) {
	switch {
	case errors.Is(err, simulate.ErrNoJob):
		c.fail("1013", "Export job not found")
	case errors.Is(err, simulate.ErrQueueFull):
		c.fail("1029", fmt.Sprintf("Too many jobs (%d) in queue", c.s.cfg.Queue))
	case errors.Is(err, simulate.ErrQuota):
		c.fail("1029", fmt.Sprintf("Export daily quota %dMB exceeded.", c.s.cfg.ExportBytes/1_000_000))
	default:
		c.fail("1029", wrongState)
	}
}

// object is the kind of records of a bulk path.
func (c *call) object() (string, bool) {
	if !strings.HasPrefix(c.route.path, "/bulk/v1/customobjects/") {
		o, _, _ := strings.Cut(strings.TrimPrefix(c.route.path, "/bulk/v1/"), "/export")
		return o, true
	}
	if c.ids[0] != objectName {
		c.fail("1013", "Object not found")
		return "", false
	}
	return "customobjects/" + c.ids[0], true
}

func (c *call) exportID() string {
	return c.ids[len(c.ids)-1]
}

func (s *Server) createExport(c *call) {
	object, ok := c.object()
	if !ok {
		return
	}
	x, bad := s.newExport(object, c.st, c.body)
	if bad != nil {
		c.fail(bad.code, bad.message)
		return
	}
	faults := s.faults.All(c.r, c.user.ClientID, createFaults...)
	x.trap = newTrap(faults)
	if slices.ContainsFunc(faults, func(f *simulate.Fault) bool { return f.Name == "nocreate" }) {
		c.result([]record{{{"format", x.format}, {"status", "Failed"}, {"createdAt", moment(c.now.Unix())}}})
		return
	}
	j, err := s.jobs.Create(simulate.Job{Object: object, Owner: c.user.ClientID, Spec: x, Hold: x.trap.hold, Doomed: x.trap.doomed})
	if err != nil {
		c.refused(err, "")
		return
	}
	c.result([]record{s.job(j)})
}

func (s *Server) enqueueExport(c *call) {
	object, ok := c.object()
	if !ok {
		return
	}
	j, err := s.jobs.Enqueue(c.exportID(), c.user.ClientID, object)
	if err != nil {
		c.refused(err, "Job already queued")
		return
	}
	c.result([]record{s.job(j)})
}

func (s *Server) cancelExport(c *call) {
	object, ok := c.object()
	if !ok {
		return
	}
	j, err := s.jobs.Cancel(c.exportID(), c.user.ClientID, object)
	if err != nil {
		c.refused(err, "Job cannot be cancelled in its status")
		return
	}
	c.result([]record{s.job(j)})
}

func (s *Server) exportStatus(c *call) {
	object, ok := c.object()
	if !ok {
		return
	}
	j, err := s.jobs.Status(c.exportID(), c.user.ClientID, object)
	if err != nil {
		c.refused(err, "")
		return
	}
	if s.faults.First(c.r, c.user.ClientID, "noresult") != nil {
		c.finish(c.open())
		return
	}
	c.result([]record{s.job(j)})
}

// listExports lists the jobs of the last days of this user and object. Several statuses may be
// given with commas or by repeating the parameter. (Marketo REST API, Bulk Extract)
func (s *Server) listExports(c *call) {
	object, ok := c.object()
	if !ok {
		return
	}
	var want []string
	for _, v := range c.q["status"] {
		want = append(want, strings.Split(v, ",")...)
	}
	var list []record
	for _, j := range s.jobs.List(c.user.ClientID, object, c.now.Add(-s.cfg.ListLife)) {
		if len(want) == 0 || slices.ContainsFunc(want, func(w string) bool { return sameStatus(w, string(j.Status)) }) {
			list = append(list, s.job(j))
		}
	}
	c.pageByToken(list)
}

func sameStatus(a, b string) bool {
	if strings.HasPrefix(strings.ToLower(a), "cancel") {
		a = string(simulate.JobCancelled)
	}
	return strings.EqualFold(strings.TrimSpace(a), b)
}

// exportFile sends the file of a completed job: whole, or the range that was asked for. It is
// never compressed. What is not there is 404 in plain text. (Marketo REST API, Bulk Extract)
func (s *Server) exportFile(c *call) {
	object, ok := c.object()
	if !ok {
		return
	}
	j, err := s.jobs.Job(c.exportID(), c.user.ClientID, object)
	if err == nil && j.Status == simulate.JobCompleted && s.faults.First(c.r, c.user.ClientID, "gone") != nil {
		s.gone.Store(j.ID, true)
	}
	_, gone := s.gone.Load(j.ID)
	switch {
	case err != nil, j.Status != simulate.JobCompleted, gone, c.now.Sub(j.FinishedAt) >= s.cfg.FileLife,
		j.File.Rows == 0 && s.cfg.Empty == EmptyMissing:
		s.count.refuse("http 404", c.now)
		c.plain(http.StatusNotFound, "File not found")
		return
	}
	if f := s.faults.First(c.r, c.user.ClientID, "json"); f != nil {
		c.fail(f.Args["code"], faultMessage(f))
		return
	}
	h := c.w.Header()
	from, n, status := byteRange(c.r.Header.Get("Range"), j.File.Size)
	if status == http.StatusRequestedRangeNotSatisfiable {
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(j.File.Size, 10))
		s.count.refuse("http 416", c.now)
		c.plain(status, "Requested range not satisfiable")
		return
	}
	h.Set("Content-Type", "text/csv;charset=UTF-8")
	h.Set("Content-Length", strconv.FormatInt(n, 10))
	if status == http.StatusPartialContent {
		h.Set("Accept-Ranges", "bytes")
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+n-1, j.File.Size))
	}
	c.w.WriteHeader(status)
	w := &fileWriter{c: c, left: -1}
	if f := c.fault; f != nil && f.Name != "broken" {
		w.fault, w.left = f, cutAt(f, n)
	}
	if err := j.File.WriteRange(w, from, n); err != nil {
		s.log.Debug("file not sent", "job", j.ID, "err", err)
		panic(http.ErrAbortHandler)
	}
}

// byteRange reads a Range header of one range. Others are ignored, as RFC 9110 allows.
func byteRange(header string, size int64) (from, n int64, status int) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return 0, size, http.StatusOK
	}
	a, errA := strconv.ParseInt(first, 10, 64)
	b, errB := strconv.ParseInt(last, 10, 64)
	switch {
	case first == "" && errB == nil && b > 0 && size > 0: // the last b bytes
		n = min(b, size)
		return size - n, n, http.StatusPartialContent
	case errA != nil || a < 0 || last != "" && errB != nil || last != "" && b < a:
		return 0, size, http.StatusOK
	case a >= size:
		return 0, 0, http.StatusRequestedRangeNotSatisfiable
	case last == "" || b >= size:
		b = size - 1
	}
	return a, b - a + 1, http.StatusPartialContent
}

// fileWriter sends a file and plays what may go wrong meanwhile.
type fileWriter struct {
	c     *call
	fault *simulate.Fault
	left  int64 // until the fault; -1: none
}

func (w *fileWriter) Write(p []byte) (int, error) {
	if w.c.s.cfg.CutExpired {
		if _, state := w.c.s.tokens.Check(w.c.token, w.c.s.clock.Now()); state != simulate.TokenValid {
			return 0, errors.New("token expired")
		}
	}
	if w.left >= 0 && int64(len(p)) >= w.left {
		_, _ = w.c.w.Write(p[:w.left])
		w.c.breakOff(w.fault)
	}
	n, err := w.c.w.Write(p)
	if w.left >= 0 {
		w.left -= int64(n)
	}
	return n, err
}

var _ io.Writer = (*fileWriter)(nil)
