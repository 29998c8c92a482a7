package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/s3test"
)

func TestRealServer(t *testing.T) {
	o := optionsOf(s3test.NewVersityGW(t).URL)
	open := func(t *testing.T, prefix string, o S3Options) *s3Store {
		return openTuned(t, prefix, o, Tuning{}, s3test.Env(t))
	}
	t.Run("many parts", func(t *testing.T) {
		s := open(t, "parts", o)
		s.partSize = 5 << 20 // the least it takes
		data := randomBytes(17<<20 + 5)
		var pieces [][]byte
		for p := range slices.Chunk(data, 1<<20+3) {
			pieces = append(pieces, p)
		}
		r := uploadFile(t, s, "a.parquet", pieces...)
		if len(r.Parts) != 4 || r.Parts[3].CRC32C == "" {
			t.Errorf("parts %+v, want 4 with the checksums that the server has confirmed", r.Parts)
		}
		if err := s.Finish(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		in, err := s.Open(t.Context(), r.Key, r.Size)
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, io.NewSectionReader(in, 0, r.Size)); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(hash.Sum(nil)); got != r.SHA256 {
			t.Errorf("SHA-256 of what was stored is %s, not %s", got, r.SHA256)
		}
		// A receipt that was tampered with must not become a file.
		bad := uploadFile(t, s, "b.parquet", pieces...)
		bad.Parts[1].ETag = bad.Parts[0].ETag
		if err := s.Finish(t.Context(), bad); martsync.KindOf(err) != martsync.Data {
			t.Errorf("Finish with another part = %v (%v), want a Data error", err, martsync.KindOf(err))
		}
	})
	t.Run("errors", func(t *testing.T) {
		for _, test := range []struct {
			name string
			edit func(*S3Options)
			kind martsync.Kind
			hint string
		}{
			{"wrong secret", func(o *S3Options) { o.SecretAccessKey = "wrong" }, martsync.Auth, "secret_access_key"},
			{"unknown key", func(o *S3Options) { o.AccessKeyID = "AKIDNOBODY" }, martsync.Auth, "access_key_id"},
			{"wrong region", func(o *S3Options) { o.Region = "us-west-2" }, martsync.Config, "region"},
		} {
			o := o
			test.edit(&o)
			_, err := open(t, "", o).Get(t.Context(), "a", 10)
			if martsync.KindOf(err) != test.kind || !strings.Contains(martsync.HintOf(err), test.hint) {
				t.Errorf("%s: %v (%v, %s), want kind %v and a hint with %q", test.name, err, martsync.KindOf(err), martsync.HintOf(err), test.kind, test.hint)
			}
		}
		s := open(t, "", o)
		s.bucket = "nobody"
		if _, err := s.Get(t.Context(), "a", 10); martsync.KindOf(err) != martsync.Config || !strings.Contains(martsync.HintOf(err), "create the bucket") {
			t.Errorf("no bucket: %v (%s), want a Config error", err, martsync.HintOf(err))
		}
	})
}

// TestRights lets users of a real server do some things and not others.
func TestRights(t *testing.T) {
	server := s3test.NewVersityGW(t)
	as := func(key string) *s3Store {
		o := optionsOf(server.URL)
		o.AccessKeyID, o.SecretAccessKey = key, martsync.Secret(key+" secret")
		return openTuned(t, "p", o, Tuning{}, s3test.Env(t))
	}
	root := openTuned(t, "p", optionsOf(server.URL), Tuning{}, s3test.Env(t))
	if err := root.Put(t.Context(), "a", []byte("x"), false); err != nil {
		t.Fatal(err)
	}
	const reader, writer, all = "AKIDREADER", "AKIDWRITER", "AKIDALL"
	for _, key := range []string{reader, writer, all} {
		server.AddUser(t, key, key+" secret")
	}
	server.Allow(t, map[string][]string{
		"s3:GetObject": {reader, all}, "s3:PutObject": {writer, all}, "s3:ListBucket": {reader, all}, "s3:DeleteObject": {all},
		"s3:AbortMultipartUpload": {all}, "s3:ListBucketMultipartUploads": {all},
	})
	roundTrip(t, as(all))
	upload := uploadFile(t, as(all), "u", []byte("x"))
	for _, test := range []struct {
		name string
		err  error
		hint string
	}{
		{"put", as(reader).Put(t.Context(), "b", nil, true), "allow s3:PutObject on arn:aws:s3:::mart/p/b,"},
		{"create", func() error {
			u, err := as(reader).Create(t.Context(), "c", "")
			if err != nil {
				return err
			}
			_, _ = u.Write([]byte("x"))
			_, err = u.Close(t.Context())
			return err
		}(), "allow s3:PutObject on arn:aws:s3:::mart/p/c,"},
		{"get", func() error { _, err := as(writer).Get(t.Context(), "a", 10); return err }(), "allow s3:GetObject on arn:aws:s3:::mart/p/a,"},
		{"open", func() error { _, err := as(writer).Open(t.Context(), "a", 1); return err }(), "allow s3:GetObject on arn:aws:s3:::mart/p/a,"},
		{"list", func() error {
			for _, err := range as(writer).List(t.Context(), "", "") {
				return err
			}
			return nil
		}(), "allow s3:ListBucket on arn:aws:s3:::mart,"},
		{"list uploads", func() error {
			for _, err := range as(reader).Uploads(t.Context(), "") {
				return err
			}
			return nil
		}(), "allow s3:ListBucketMultipartUploads on arn:aws:s3:::mart,"},
		{"delete", as(writer).Delete(t.Context(), "a"), "allow s3:DeleteObject on arn:aws:s3:::mart/p/a,"},
		{"abort", as(reader).Abort(t.Context(), upload), "allow s3:AbortMultipartUpload on arn:aws:s3:::mart/p/u,"},
		{"probe", Probe(t.Context(), as(reader)), "allow s3:PutObject on arn:aws:s3:::mart/p/_martsync/probe-"},
	} {
		if martsync.KindOf(test.err) != martsync.Auth || !strings.Contains(martsync.HintOf(test.err), test.hint) {
			t.Errorf("%s: %v (%v, %s), want an Auth error and a hint with %q", test.name, test.err, martsync.KindOf(test.err), martsync.HintOf(test.err), test.hint)
		}
	}
}
