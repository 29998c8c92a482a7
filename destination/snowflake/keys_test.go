package snowflake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/martsync/martsync"
)

// testKey is a key pair for tests: making one takes a while.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func pemOf(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8Of(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pemOf(t, "PRIVATE KEY", der, err)
}

// openssl converts a key as operators do.
func openssl(t *testing.T, in string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = strings.NewReader(in)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("this openssl cannot: %v\n%s", err, stderr.String())
	}
	return string(out)
}

func TestPlainKeys(t *testing.T) {
	key := testKey()
	for name, text := range map[string]string{
		"PKCS#8":             pkcs8Of(t, key),
		"PKCS#1":             pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), nil),
		"text before it":     "Bag Attributes\n" + pkcs8Of(t, key),
		"carriage returns":   strings.ReplaceAll(pkcs8Of(t, key), "\n", "\r\n"),
		"a needless newline": "\n\n" + pkcs8Of(t, key) + "\n\n",
	} {
		got, err := parseKey([]byte(text), "")
		if err != nil || !got.Equal(key) {
			t.Errorf("%s: got error %v, or another key", name, err)
		}
	}
}

// TestEncryptedKeys reads what openssl writes, with every cipher and digest that we know.
func TestEncryptedKeys(t *testing.T) {
	key := testKey()
	plain := pkcs8Of(t, key)
	for _, tt := range [][]string{
		{"-v2", "des3"}, // as Snowflake's own instructions say
		{"-v2", "aes-256-cbc"},
		{"-v2", "aes-192-cbc"},
		{"-v2", "aes-128-cbc"},
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"},
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA384"},
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512", "-iter", "10000"},
		{}, // the version's own default
	} {
		t.Run(strings.Join(tt, " "), func(t *testing.T) {
			text := openssl(t, plain, append([]string{"pkcs8", "-topk8", "-passout", "pass:corrêct horse"}, tt...)...)
			got, err := parseKey([]byte(text), "corrêct horse")
			if err != nil || !got.Equal(key) {
				t.Errorf("got error %v, or another key", err)
			}
			for _, wrong := range []string{"", "wrong", "corrêct horse "} {
				if _, err := parseKey([]byte(text), wrong); err == nil {
					t.Errorf("passphrase %q opened it", wrong)
				}
			}
		})
	}
}

// TestWrongPassphrase tries many, as one in some hundred passes for padding.
func TestWrongPassphrase(t *testing.T) {
	text := openssl(t, pkcs8Of(t, testKey()), "pkcs8", "-topk8", "-v2", "aes-128-cbc", "-iter", "1", "-passout", "pass:right")
	for i := range 2000 {
		if _, err := parseKey([]byte(text), strings.Repeat("x", i+1)); err == nil || !strings.Contains(err.Error(), "passphrase") {
			t.Fatalf("passphrase %d: got %v, want an error that names the passphrase", i, err)
		}
	}
}

func TestRefusedKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it must be refused
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&testKey().PublicKey)
	encrypted := func(args ...string) string {
		return openssl(t, pkcs8Of(t, testKey()), append([]string{"pkcs8", "-topk8", "-passout", "pass:x"}, args...)...)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "no PEM"},
		{"a sentence", "private key", "no PEM"},
		{"a public key", pemOf(t, "PUBLIC KEY", public, err), "public key"},
		{"a certificate", pemOf(t, "CERTIFICATE", []byte("x"), nil), "CERTIFICATE"},
		{"an elliptic curve", pkcs8Of(t, curve), "ecdsa"},
		{"too small", pkcs8Of(t, small), "1024 bits"},
		{"garbage", pemOf(t, "PRIVATE KEY", []byte("x"), nil), "asn1"},
		{"encrypted garbage", pemOf(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil), "encrypted key"},
		{"the old way of PEM", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "old PEM way"},
		{"scrypt", encrypted("-scrypt"), "not read here"},
		{"no passphrase", encrypted("-v2", "aes-256-cbc"), "is encrypted"},
	} {
		passphrase := "x"
		if tt.name == "no passphrase" {
			passphrase = ""
		}
		if _, err := parseKey([]byte(tt.text), passphrase); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

// TestKeyFile: errors are the operator's and say what to do.
func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rsa_key.p8")
	if err := os.WriteFile(path, []byte(pkcs8Of(t, testKey())), 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := (Config{PrivateKeyFile: path}).key(); err != nil || !key.Equal(testKey()) {
		t.Errorf("got error %v, or another key", err)
	}
	for name, c := range map[string]Config{
		"no file":   {PrivateKeyFile: path + ".missing"},
		"both":      {PrivateKeyFile: path, PrivateKey: martsync.Secret(pkcs8Of(t, testKey()))},
		"not a key": {PrivateKey: "secret words"},
	} {
		_, err := c.key()
		if martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
			t.Errorf("%s: got %v with hint %q, want an error of kind config with a hint", name, err, martsync.HintOf(err))
		}
		if err != nil && strings.Contains(err.Error(), "secret words") {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	der, err := x509.MarshalPKCS8PrivateKey(testKey())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der, "x")
	f.Add([]byte("\x30\x80"), "")
	f.Fuzz(func(t *testing.T, der []byte, passphrase string) {
		for _, kind := range []string{"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY"} {
			key, err := parseKey(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), passphrase)
			if (key == nil) == (err == nil) {
				t.Errorf("got key %v and error %v", key, err)
			}
		}
	})
}

// otherKey is one that no account knows.
var otherKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})
