package blobtest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// compareAndSet checks PutIf on two openings of one store.
func compareAndSet(t *testing.T, s, other blob.Store) {
	ctx := t.Context()
	const key = "cas/doc.json"
	if _, _, err := s.GetTagged(ctx, key, 100); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("GetTagged of nothing = %v, want ErrNotFound", err)
	}
	if _, err := s.PutIf(ctx, key, []byte("x"), "some"); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("PutIf of a tag that nothing has = %v, want ErrChanged", err)
	}
	first, err := s.PutIf(ctx, key, []byte("first"), "")
	if err != nil || first == "" {
		t.Fatalf("PutIf of a new object = %q, %v, want a tag", first, err)
	}
	if _, err := other.PutIf(ctx, key, []byte("other"), ""); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("PutIf of an object that exists as if it did not = %v, want ErrChanged", err)
	}
	data, tag, err := other.GetTagged(ctx, key, 100)
	if err != nil || string(data) != "first" || tag != first {
		t.Errorf("GetTagged = %q, %q, %v, want first and its tag %q", data, tag, err, first)
	}
	second, err := other.PutIf(ctx, key, []byte("second"), tag)
	if err != nil || second == "" || second == first {
		t.Fatalf("PutIf of the right tag = %q, %v, want another tag than %q", second, err, first)
	}
	if _, err := s.PutIf(ctx, key, []byte("late"), first); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("PutIf of an old tag = %v, want ErrChanged", err)
	}
	if data, tag, err := s.GetTagged(ctx, key, 100); err != nil || string(data) != "second" || tag != second {
		t.Errorf("GetTagged = %q, %q, %v, want second and its tag %q", data, tag, err, second)
	}
	if _, _, err := s.GetTagged(ctx, key, 5); martsync.KindOf(err) != martsync.Data {
		t.Errorf("GetTagged of more than allowed = %v, want a Data error", err)
	}
	if err := s.Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	if _, err := other.PutIf(ctx, key, []byte("late"), second); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("PutIf of the tag of a deleted object = %v, want ErrChanged", err)
	}
	if got := Keys(t, s, "cas/", ""); len(got) != 0 {
		t.Errorf("List = %q, want nothing", got)
	}
	if got := uploadsOf(t, s, ""); len(got) != 0 {
		t.Errorf("Uploads = %q, want nothing", got)
	}
}

// counter lets several add to one number at once. Each addition that was confirmed counts, and no other.
func counter(t *testing.T, s blob.Store) {
	const adders, each = 6, 5
	add := func(ctx context.Context) error {
		for {
			data, tag, err := s.GetTagged(ctx, "cas/n", 100)
			if err != nil && !errors.Is(err, blob.ErrNotFound) {
				return err
			}
			n, _ := strconv.Atoi(string(data)) // "" is none
			if _, err = s.PutIf(ctx, "cas/n", strconv.AppendInt(nil, int64(n)+1, 10), tag); !errors.Is(err, blob.ErrChanged) {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	for range adders {
		wg.Go(func() {
			for range each {
				if err := add(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, err := s.Get(t.Context(), "cas/n", 100); err != nil || string(got) != strconv.Itoa(adders*each) {
		t.Errorf("counter = %q, %v, want %d", got, err, adders*each)
	}
	if err := s.Delete(t.Context(), "cas/n"); err != nil {
		t.Error(err)
	}
}
