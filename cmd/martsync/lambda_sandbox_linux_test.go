package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

// lambdaMemory is what the function gets, in MiB.
const lambdaMemory = 256

// nobody is who the program runs as where the test may choose: a function's user, too, may write to /tmp alone.
const nobody = 65534

// A lambdaService is what Lambda is to one function: it starts a sandbox when there is none, hands it invocations through
// the Runtime API, takes what it answers, and kills it when the time of an invocation is up. A sandbox is one process, in a
// folder it cannot write to, with nothing in its environment but what Lambda puts there, and with a folder for small files that
// stays from one sandbox to the next.
type lambdaService struct {
	t       *testing.T
	program string
	dir     string
	env     []string
	memory  *memoryGroup
	server  *httptest.Server
	queue   chan *lambdaCall
	log     *lockedBuffer

	mu       sync.Mutex
	current  *lambdaCall
	process  *exec.Cmd
	ended    chan struct{} // closed: the process has ended
	starts   int
	invoked  int
	mostTemp atomic.Int64 // bytes that were in the folder for small files at once
}

// A lambdaCall is an invocation on its way.
type lambdaCall struct {
	id       string
	deadline time.Time
	event    []byte
	result   chan lambdaResult
}

// A lambdaResult is what the caller of the function gets.
type lambdaResult struct {
	answer  *lambdaAnswer  // nil: it has failed
	failure *lambdaFailure // nil: it has not, or was killed
	killed  bool           // before it answered
}

func newLambdaService(t *testing.T, program string, memory *memoryGroup, env ...string) *lambdaService {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox") // whoever has no rights may look into it, unlike t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	l := &lambdaService{t: t, dir: dir, env: env, memory: memory, queue: make(chan *lambdaCall), log: &lockedBuffer{}}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l.program = filepath.Join(dir, "task", "bootstrap")
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, "task"), 0o755), os.Mkdir(l.temp(), 0o777), os.Chmod(l.temp(), 0o777),
		os.Link(program, l.program),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	l.server = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(func() {
		l.kill()
		l.server.CloseClientConnections()
		l.server.Close()
		if t.Failed() {
			lines := strings.SplitAfter(l.log.String(), "\n")
			t.Logf("the sandbox said at the end:\n%s", strings.Join(lines[max(0, len(lines)-60):], ""))
		}
	})
	return l
}

// temp is the folder for small files.
func (l *lambdaService) temp() string { return filepath.Join(l.dir, "tmp") }

// serve is the Runtime API.
func (l *lambdaService) serve(w http.ResponseWriter, r *http.Request) {
	const prefix = "/2018-06-01/runtime/invocation/"
	rest, ok := strings.CutPrefix(r.URL.Path, prefix)
	if r.URL.Path == prefix+"next" && r.Method == http.MethodGet {
		select {
		case c := <-l.queue:
			l.mu.Lock()
			l.current = c
			l.mu.Unlock()
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", c.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.deadline.UnixMilli(), 10))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:martsync")
			_, _ = w.Write(c.event)
		case <-r.Context().Done():
		}
		return
	}
	id, what, _ := strings.Cut(rest, "/")
	l.mu.Lock()
	c := l.current
	l.current = nil
	l.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if !ok || r.Method != http.MethodPost || c == nil || c.id != id || err != nil {
		http.Error(w, `{"errorType": "InvalidRequestID"}`, http.StatusBadRequest)
		return
	}
	var result lambdaResult
	switch what {
	case "response":
		err = json.Unmarshal(body, &result.answer)
	case "error":
		err = json.Unmarshal(body, &result.failure)
		if err == nil && r.Header.Get("Lambda-Runtime-Function-Error-Type") != result.failure.Type {
			err = errors.New("the header names another type of error")
		}
	default:
		err = errors.New("no such call")
	}
	if err != nil {
		l.t.Errorf("%s %s: %v\n%s", r.Method, r.URL.Path, err, body)
	}
	w.WriteHeader(http.StatusAccepted)
	c.result <- result
}

// invoke invokes the function with so much time.
func (l *lambdaService) invoke(event any, left time.Duration) lambdaResult {
	l.t.Helper()
	data, err := json.Marshal(event)
	if err != nil {
		l.t.Fatal(err)
	}
	c, ended := l.call(data)
	ctx, cancel := context.WithTimeout(l.t.Context(), servePatience)
	defer cancel()
	c.deadline = martsync.SystemClock{}.Now().Add(left)
	select {
	case l.queue <- c:
	case <-ended:
		return lambdaResult{killed: true}
	case <-ctx.Done():
		l.t.Fatal("the sandbox does not ask for an invocation")
	}
	ctx, timeUp := context.WithTimeout(ctx, left)
	defer timeUp()
	select {
	case r := <-c.result:
		return r
	case <-ended:
	case <-ctx.Done():
		l.kill()
	}
	return lambdaResult{killed: true}
}

// call makes an invocation, and a sandbox if there is none.
func (l *lambdaService) call(event []byte) (c *lambdaCall, ended chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.invoked++
	c = &lambdaCall{id: fmt.Sprintf("00000000-0000-0000-0000-%012d", l.invoked), event: event, result: make(chan lambdaResult, 1)}
	return c, l.start()
}

// start starts a sandbox if there is none. The caller holds the lock.
func (l *lambdaService) start() (ended chan struct{}) {
	if l.process != nil {
		select {
		case <-l.ended:
		default:
			return l.ended
		}
	}
	cmd := exec.Command(l.program)
	cmd.Dir = filepath.Dir(l.program)
	cmd.Env = append([]string{
		runtimeVariable + "=" + strings.TrimPrefix(l.server.URL, "http://"), "LAMBDA_TASK_ROOT=" + cmd.Dir, "AWS_LAMBDA_FUNCTION_NAME=martsync",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(lambdaMemory), "PATH=/usr/local/bin:/usr/bin/:/bin", "LANG=en_US.UTF-8", "TZ=:UTC", "TMPDIR=" + l.temp(),
	}, l.env...)
	cmd.Stdout, cmd.Stderr = l.log, l.log
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if l.memory != nil {
		l.memory.confine(cmd)
	}
	l.current = nil
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.starts++
	l.process, l.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(l.ended)
	go l.weigh(l.ended)
	return l.ended
}

// kill ends the sandbox by a signal that it cannot heed, and returns when it is dead.
func (l *lambdaService) kill() {
	l.mu.Lock()
	process, ended := l.process, l.ended
	l.mu.Unlock()
	if process != nil {
		_ = process.Process.Kill()
		<-ended
	}
}

// weigh looks what is in the folder for small files while the sandbox lives.
func (l *lambdaService) weigh(ended <-chan struct{}) {
	for clock := (martsync.SystemClock{}); ; _ = clock.Sleep(context.Background(), 2*time.Millisecond) {
		select {
		case <-ended:
			return
		default:
		}
		var sum int64
		_ = filepath.WalkDir(l.temp(), func(_ string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // it has gone
			}
			if info, err := e.Info(); err == nil && !e.IsDir() {
				sum += info.Size()
			}
			return nil
		})
		l.mostTemp.Store(max(l.mostTemp.Load(), sum))
	}
}

// A memoryGroup is a control group that bounds memory.
type memoryGroup struct {
	dir     string
	unified bool // version 2
}

// newMemoryGroup makes a group below that of this process, or says why it cannot. It ends with the test.
func newMemoryGroup(t *testing.T, mib int64) (*memoryGroup, error) {
	t.Helper()
	if os.Getuid() != 0 {
		return nil, errors.New("only root may make control groups")
	}
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var errs []error
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		g := &memoryGroup{unified: len(fields) == 3 && fields[0] == "0" && fields[1] == ""}
		if len(fields) != 3 || !g.unified && fields[1] != "memory" {
			continue
		}
		root, limit := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		if g.unified {
			root, limit = "/sys/fs/cgroup", "memory.max"
		}
		parent := filepath.Join(root, fields[2])
		if g.dir, err = os.MkdirTemp(parent, "martsync-test-"); err != nil {
			errs = append(errs, err)
			continue
		}
		t.Cleanup(func() {
			for range 6000 { // its processes are dead, and take a moment to be gone
				if os.Remove(g.dir) == nil {
					return
				}
				_ = martsync.SystemClock{}.Sleep(context.Background(), 10*time.Millisecond)
			}
			t.Errorf("%s could not be removed", g.dir)
		})
		if g.unified {
			_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+memory"), 0) // or it is there already
		}
		if err := os.WriteFile(filepath.Join(g.dir, limit), []byte(strconv.FormatInt(mib<<20, 10)), 0); err != nil {
			errs = append(errs, err)
			continue
		}
		if g.unified {
			_ = os.WriteFile(filepath.Join(g.dir, "memory.swap.max"), []byte("0"), 0) // where the machine counts it
		} else if err := errors.Join(os.Chmod(g.dir, 0o755), os.Chown(filepath.Join(g.dir, "cgroup.procs"), nobody, nobody)); err != nil {
			errs = append(errs, err)
			continue
		}
		return g, nil
	}
	return nil, errors.Join(append(errs, errors.New("no group whose memory can be bounded"))...)
}

// confine has the command start in the group.
func (g *memoryGroup) confine(cmd *exec.Cmd) {
	if !g.unified {
		cmd.Args = append([]string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs")}, cmd.Path)
		cmd.Path = "/bin/sh"
		return
	}
	dir, err := os.Open(g.dir)
	if err != nil {
		cmd.Err = err
		return
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd()) //nolint:gosec // a file descriptor is small
}

// peak is how much memory the group has had at most, in bytes; 0: this kernel does not tell.
func (g *memoryGroup) peak() int64 {
	for _, name := range []string{"memory.peak", "memory.max_usage_in_bytes"} {
		if data, err := os.ReadFile(filepath.Join(g.dir, name)); err == nil {
			n, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
			return n
		}
	}
	return 0
}
