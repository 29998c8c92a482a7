package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/martsync/martsync"
)

// probed remembers what this process knows of stores: probeID and a header → *probeState. Whether a server
// honours it is a fact about the server and costs a few calls to find out.
var probed sync.Map

const (
	ifNoneMatch = "If-None-Match"
	ifMatch     = "If-Match"
)

// Probe finds out whether the store honours put-if-absent, once per process and store. A store that
// ignores it would let two syncs commit over each other: the second manifest replaces the first, whose rows are lost
// though their cursor was confirmed. So such a store is refused.
func Probe(ctx context.Context, s Store) error { return probeOnce(ctx, s, ifNoneMatch, probeAbsent) }

// ProbeIf finds out whether the store compares tags before it replaces an object, once per process and
// store. One that does not would let two who read the same object both replace it, and is refused.
func ProbeIf(ctx context.Context, s Store) error { return probeOnce(ctx, s, ifMatch, probeTagged) }

// ProbeAnew is Probe whatever is known of the server: whether these credentials may put, read and delete below this
// prefix is another question, which a check asks.
func ProbeAnew(ctx context.Context, s Store) error { return probe(ctx, s, probeAbsent) }

func probeOnce(ctx context.Context, s Store, header string, ask func(context.Context, Store, string) error) error {
	v, _ := probed.LoadOrStore(probeID(s)+" "+header, new(probeState))
	state := v.(*probeState)
	state.mu.Lock()
	defer state.mu.Unlock()
	if state.honours {
		return nil
	}
	if err := probe(ctx, s, ask); err != nil {
		return err // a right may be granted, a server updated: the next Open asks again
	}
	state.honours = true
	return nil
}

// probe asks with an object of its own.
func probe(ctx context.Context, s Store, ask func(context.Context, Store, string) error) (err error) {
	key := SystemFolder + "probe-" + NewID() + ".txt"
	defer func() {
		// Also after a stop: who was stopped does not want to leave things behind either.
		if e := s.Delete(context.WithoutCancel(ctx), key); e != nil && err == nil {
			err = e
		}
	}()
	return ask(ctx, s, key)
}

type probeState struct {
	mu      sync.Mutex // the others wait for the first
	honours bool
}

// probeID is the same for stores on the same server and bucket, whatever the prefix.
func probeID(s Store) string {
	if s, ok := s.(*s3Store); ok {
		o := s.client.Options()
		return fmt.Sprintf("%s %s %s", aws.ToString(o.BaseEndpoint), o.Region, s.bucket)
	}
	return s.String()
}

// probeAbsent asks the store to create an object twice.
func probeAbsent(ctx context.Context, s Store, key string) error {
	first, second := []byte("martsync asks whether this store honours If-None-Match: "+rand.Text()+"\n"), []byte("It does not.\n")
	if err := s.Put(ctx, key, first, true); err != nil {
		if errors.Is(err, ErrExists) { // nobody else knows the name
			return refused(s, ifNoneMatch, errors.New("it says of a new object that it exists"))
		}
		return probeError(s, ifNoneMatch, err)
	}
	switch err := s.Put(ctx, key, second, true); {
	case err == nil:
		return refused(s, ifNoneMatch, errors.New("it replaces an object that was to be created only if absent"))
	case !errors.Is(err, ErrExists):
		return probeError(s, ifNoneMatch, err)
	}
	return probeFound(ctx, s, ifNoneMatch, key, first)
}

// probeTagged asks the store to replace an object that is another one, and then the one that it is.
func probeTagged(ctx context.Context, s Store, key string) error {
	first, second := []byte("martsync asks whether this store honours If-Match: "+rand.Text()+"\n"), []byte("It does.\n")
	tag, err := s.PutIf(ctx, key, first, "")
	switch {
	case errors.Is(err, ErrChanged):
		return refused(s, ifMatch, errors.New("it says of a new object that it exists"))
	case err != nil:
		return probeError(s, ifMatch, err)
	}
	switch _, err := s.PutIf(ctx, key, second, `"d41d8cd98f00b204e9800998ecf8427e"`); { // the MD5 of nothing
	case err == nil:
		return refused(s, ifMatch, errors.New("it replaces an object whose tag is not the one that was asked for"))
	case !errors.Is(err, ErrChanged):
		return probeError(s, ifMatch, err)
	}
	if err := probeFound(ctx, s, ifMatch, key, first); err != nil {
		return err
	}
	switch _, err := s.PutIf(ctx, key, second, tag); {
	case errors.Is(err, ErrChanged):
		return refused(s, ifMatch, errors.New("it does not replace an object whose tag is the one that was asked for"))
	case err != nil:
		return probeError(s, ifMatch, err)
	}
	return probeFound(ctx, s, ifMatch, key, second)
}

// probeFound compares what the store holds with what it should.
func probeFound(ctx context.Context, s Store, header, key string, want []byte) error {
	data, err := s.Get(ctx, key, 1<<10)
	switch {
	case errors.Is(err, ErrNotFound):
		return refused(s, header, errors.New("it does not show an object that was just put"))
	case err != nil:
		return err
	case string(data) != string(want):
		return refused(s, header, errors.New("it says one thing of an object and does the other"))
	}
	return nil
}

// probeError tells a server that says it cannot from one that could not now.
func probeError(s Store, header string, err error) error {
	said := s3Said(err)
	if said != nil && (said.Code == "NotImplemented" || said.Code == "InvalidArgument" || said.Code == "NotSupported" || said.Status == 501) {
		return refused(s, header, err)
	}
	return err
}

func refused(s Store, header string, err error) error {
	return &martsync.Error{
		Kind: martsync.Config, Op: "store: probe " + s.String(), Err: err,
		Hint: "this store does not honour " + header + ", which keeps two syncs from writing over each other; use AWS S3, a recent version of this store, or a folder",
	}
}
