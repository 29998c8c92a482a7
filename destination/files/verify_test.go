package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
)

// verified walks over everything and returns what is wrong, and how many findings there were.
func verified(t testing.TB, d *destination, stream string) (wrong []string, all int) {
	t.Helper()
	wrong = []string{}
	for v, err := range d.Verify(t.Context(), stream) {
		if err != nil {
			t.Fatal(err)
		}
		if all++; !v.OK {
			wrong = append(wrong, v.Name+": "+v.Detail)
		}
		if v.OK && v.Name != chainOf(v.Stream).folder && (v.Rows == 0 || v.Bytes == 0 || len(v.SHA256) != 64) {
			t.Errorf("got %+v", v)
		}
	}
	return wrong, all
}

func TestVerify(t *testing.T) {
	for name, open := range blobtest.Stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			d := destinationOn(t, s, Config{Format: "ndjson", Rotate: Rotate{Rows: 2}}, coreEnv(t, nil))
			if err := tell(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			files := promised(t, d, "people")
			wrong, all := verified(t, d, "")
			if len(wrong) > 0 || all != len(files)+1 {
				t.Errorf("got %q of %d findings, want %d that are fine", wrong, all, len(files)+1)
			}
			var keys []string
			for key := range files {
				keys = append(keys, key)
			}
			spoil := func(key string, data []byte) {
				t.Helper()
				if err := s.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
				if data == nil {
					return
				}
				if err := s.Put(t.Context(), key, data, false); err != nil {
					t.Fatal(err)
				}
			}
			read := func(key string) []byte {
				t.Helper()
				data, err := s.Get(t.Context(), key, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				return data
			}
			flipped := read(keys[0])
			flipped[len(flipped)/2] ^= 1
			spoil(keys[0], flipped)
			spoil(keys[1], read(keys[1])[1:])
			spoil(keys[2], append(read(keys[2]), '\n'))
			spoil(keys[3], nil)
			wrong, all = verified(t, d, "people")
			if all != len(files)+1 || len(wrong) != 4 {
				t.Errorf("got %d findings, wrong:\n%s", all, strings.Join(wrong, "\n"))
			}
			for i, want := range []string{"SHA-256", "bytes", "bytes", "gone"} {
				found := false
				for _, w := range wrong {
					found = found || strings.HasPrefix(w, keys[i]+": ") && strings.Contains(w, want)
				}
				if !found {
					t.Errorf("%s: want a finding about %q, got:\n%s", keys[i], want, strings.Join(wrong, "\n"))
				}
			}
			if _, err := first(d.Verify(t.Context(), "nobody")); martsync.KindOf(err) != martsync.Config || err == nil {
				t.Errorf("a table that does not exist: got %v, want an error of kind config", err)
			}
		})
	}
}

func first[T any](all func(func(T, error) bool)) (v T, err error) {
	for v, err = range all {
		break
	}
	return v, err
}

// TestVerifyCommits: a chain of commits that was changed is found, too, and the other streams are walked all the same.
func TestVerifyCommits(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"cut off": func(t *testing.T, path string) {
			if err := os.Truncate(path, 100); err != nil {
				t.Fatal(err)
			}
		},
		"missing": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := blob.Location{Path: dir}.Open(t.Context(), "", coreEnv(t, nil))
			if err != nil {
				t.Fatal(err)
			}
			d := destinationOn(t, s, ndjson, coreEnv(t, nil))
			if err := tell(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			other := people
			other.Stream = "others"
			w, err := d.Open(t.Context(), other)
			if err != nil {
				t.Fatal(err)
			}
			put(t, w, 1)
			commitTo(t, w, "1")
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			spoil(t, filepath.Join(dir, filepath.FromSlash(chainOf("people").manifest(2))))
			wrong, all := verified(t, d, "")
			if len(wrong) != 1 || !strings.Contains(wrong[0], "manifest-000000000002.json") || all < 3 {
				t.Errorf("got %d findings, wrong: %q, want one about manifest 2", all, wrong)
			}
		})
	}
}

// TestVerifyLatest: files that the table is not made of anymore are nobody's concern; those it is made of are.
func TestVerifyLatest(t *testing.T) {
	s := blobtest.Folder(t)
	d := latestOn(t, s, coreEnv(t, nil))
	if err := tell(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	live := liveFiles(t, d)
	for key := range visible(t, s) {
		if !contains(live, key) {
			if err := s.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	wrong, all := verified(t, d, "people")
	if len(wrong) > 0 || all != len(live)+1 {
		t.Errorf("got %q of %d findings, want %d that are fine", wrong, all, len(live)+1)
	}
	if err := s.Delete(t.Context(), live[0]); err != nil {
		t.Fatal(err)
	}
	wrong, _ = verified(t, d, "people")
	if diff := cmp.Diff([]string{live[0] + ": it is gone"}, wrong); diff != "" {
		t.Errorf("wrong (-want +got):\n%s", diff)
	}
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}
