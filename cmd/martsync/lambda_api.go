package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A lambdaAPI is the side of AWS Lambda that a program asks for its invocations: AWS Lambda Developer Guide, Using the
// Lambda runtime API for custom runtimes. It is three calls of HTTP; the library for them takes the process over, which
// ends where it finds that right, and reads its environment.
type lambdaAPI struct {
	base   string // "http://127.0.0.1:9001/2018-06-01/runtime"
	client *http.Client
}

// An invocation is one call of the function.
type invocation struct {
	id       string
	deadline time.Time // when the sandbox is killed
	event    []byte
}

// maxEvent is how large an event or an answer may be, in bytes. AWS Lambda Developer Guide, Lambda quotas.
const maxEvent = 6 << 20

// newLambdaAPI takes what Lambda puts into AWS_LAMBDA_RUNTIME_API: "127.0.0.1:9001". Proxies are not for this address, and an
// answer to next may take days: the sandbox sleeps meanwhile.
func newLambdaAPI(address string) *lambdaAPI {
	return &lambdaAPI{base: "http://" + address + "/2018-06-01/runtime", client: &http.Client{Transport: &http.Transport{}}}
}

// next waits for an invocation.
func (l *lambdaAPI) next(ctx context.Context) (invocation, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base+"/invocation/next", http.NoBody)
	if err != nil {
		return invocation{}, fmt.Errorf("ask for an invocation: %w", err)
	}
	answer, err := l.client.Do(r)
	if err != nil {
		return invocation{}, fmt.Errorf("ask for an invocation: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // reading tells what went wrong
	event, err := io.ReadAll(io.LimitReader(answer.Body, maxEvent))
	if err != nil {
		return invocation{}, fmt.Errorf("read an invocation: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return invocation{}, fmt.Errorf("ask for an invocation: %s: %.200s", answer.Status, event)
	}
	i := invocation{id: answer.Header.Get("Lambda-Runtime-Aws-Request-Id"), event: event}
	ms, err := strconv.ParseInt(answer.Header.Get("Lambda-Runtime-Deadline-Ms"), 10, 64)
	if err != nil || i.id == "" || strings.ContainsAny(i.id, "/?#") {
		return invocation{}, fmt.Errorf("read an invocation: it has id %q and deadline %q", i.id, answer.Header.Get("Lambda-Runtime-Deadline-Ms"))
	}
	i.deadline = time.UnixMilli(ms)
	return i, nil
}

// answer ends an invocation that came to what it was to.
func (l *lambdaAPI) answer(ctx context.Context, id string, v any) error {
	return l.post(ctx, "/invocation/"+id+"/response", "", v)
}

// fail ends an invocation that failed. Lambda hands the body on to whoever has invoked the function.
func (l *lambdaAPI) fail(ctx context.Context, id string, f lambdaFailure) error {
	return l.post(ctx, "/invocation/"+id+"/error", f.Type, f)
}

func (l *lambdaAPI) post(ctx context.Context, path, errorType string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write an answer: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("answer an invocation: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	if errorType != "" {
		r.Header.Set("Lambda-Runtime-Function-Error-Type", errorType)
	}
	answer, err := l.client.Do(r)
	if err != nil {
		return fmt.Errorf("answer an invocation: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it is only read for its text
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answer an invocation: %s: %.200s", answer.Status, text)
	}
	return nil
}
