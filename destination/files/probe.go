package files

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/martsync/martsync"
)

// probed remembers what this process knows of stores: probeID → *probeState. Whether a server honours
// put-if-absent is a fact about the server and costs four calls to find out.
var probed sync.Map

// probe finds out whether the store honours put-if-absent, once per process and store. A store that
// ignores it would let two syncs commit over each other: the second manifest replaces the first, whose rows are lost
// though their cursor was confirmed. So such a store is refused.
func probe(ctx context.Context, s store) error {
	id := probeID(s)
	v, _ := probed.LoadOrStore(id, new(probeState))
	state := v.(*probeState)
	state.mu.Lock()
	defer state.mu.Unlock()
	if state.honours {
		return nil
	}
	if err := probeNow(ctx, s); err != nil {
		return err // a right may be granted, a server updated: the next Open asks again
	}
	state.honours = true
	return nil
}

type probeState struct {
	mu      sync.Mutex // the others wait for the first
	honours bool
}

// probeID is the same for stores on the same server and bucket, whatever the prefix.
func probeID(s store) string {
	if s, ok := s.(*s3Store); ok {
		o := s.client.Options()
		return fmt.Sprintf("%s %s %s", aws.ToString(o.BaseEndpoint), o.Region, s.bucket)
	}
	return s.String()
}

// probeNow asks the store. It leaves nothing behind.
func probeNow(ctx context.Context, s store) (err error) {
	key := systemFolder + "probe-" + newID() + ".txt"
	first, second := []byte("martsync asks whether this store honours If-None-Match: "+rand.Text()+"\n"), []byte("It does not.\n")
	defer func() {
		// Also after a stop: who was stopped does not want to leave things behind either.
		if e := s.Delete(context.WithoutCancel(ctx), key); e != nil && err == nil {
			err = e
		}
	}()
	if err := s.Put(ctx, key, first, true); err != nil {
		if errors.Is(err, errExists) { // nobody else knows the name
			return refused(s, errors.New("it says of a new object that it exists"))
		}
		return probeError(s, err)
	}
	switch err := s.Put(ctx, key, second, true); {
	case err == nil:
		return refused(s, errors.New("it replaces an object that was to be created only if absent"))
	case !errors.Is(err, errExists):
		return probeError(s, err)
	}
	data, err := s.Get(ctx, key, int64(len(first)+len(second)))
	switch {
	case errors.Is(err, errNotFound):
		return refused(s, errors.New("it does not show an object that was just put"))
	case err != nil:
		return err
	case string(data) != string(first):
		return refused(s, errors.New("it says that an object exists and replaces it all the same"))
	}
	return nil
}

// probeError tells a server that says it cannot from one that could not now.
func probeError(s store, err error) error {
	said := s3Said(err)
	if said != nil && (said.Code == "NotImplemented" || said.Code == "InvalidArgument" || said.Code == "NotSupported" || said.Status == 501) {
		return refused(s, err)
	}
	return err
}

func refused(s store, err error) error {
	return &martsync.Error{
		Kind: martsync.Config, Op: "files: probe " + s.String(), Err: err,
		Hint: "this store does not honour If-None-Match, which keeps two syncs from committing over each other; use AWS S3, a recent version of this store, or a folder",
	}
}
