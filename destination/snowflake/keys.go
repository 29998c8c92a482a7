package snowflake

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // Snowflake's own instructions make keys with it
	"crypto/pbkdf2"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the default of PBKDF2 in RFC 8018
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"os"
)

// key reads the private key of key-pair authentication.
// https://docs.snowflake.com/en/user-guide/key-pair-auth
func (c Config) key() (*rsa.PrivateKey, error) {
	if c.PrivateKey != "" && c.PrivateKeyFile != "" {
		return nil, configError("read private key", "Remove one of private_key and private_key_file.", "private_key and private_key_file are both set")
	}
	text := []byte(c.PrivateKey.Reveal())
	if c.PrivateKeyFile != "" {
		var err error
		if text, err = os.ReadFile(c.PrivateKeyFile); err != nil {
			return nil, configError("read private key", "Set private_key_file to a file that this user can read.", "%w", err)
		}
	}
	key, err := parseKey(text, c.Passphrase.Reveal())
	if err != nil {
		var hint *keyHint
		if !errors.As(err, &hint) {
			hint = &keyHint{hint: "Use the PEM file that openssl made, such as rsa_key.p8; the README tells how."}
		}
		return nil, configError("read private key", hint.hint, "%w", err)
	}
	return key, nil
}

// keyHint is an error of a key together with what to do about it.
type keyHint struct{ problem, hint string }

func (e *keyHint) Error() string { return e.problem }

// minKeyBits is what Snowflake asks for at least.
// https://docs.snowflake.com/en/user-guide/key-pair-auth: "2048-bit RSA key pair at minimum".
const minKeyBits = 2048

// parseKey reads an RSA key from PEM: PKCS#8, encrypted or not, or PKCS#1.
func parseKey(text []byte, passphrase string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is no PEM text: a line -----BEGIN … PRIVATE KEY----- is missing")
	}
	var parsed any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return nil, &keyHint{
				"it is encrypted in the old PEM way, which guards it badly",
				"Convert it: openssl pkcs8 -topk8 -in old.pem -out rsa_key.p8",
			}
		}
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		if passphrase == "" {
			return nil, &keyHint{"it is encrypted", "Set private_key_passphrase of the destination."}
		}
		var plain []byte
		if plain, err = decryptPKCS8(block.Bytes, passphrase); err == nil {
			// padding alone lets one wrong passphrase in 256 pass
			if parsed, err = x509.ParsePKCS8PrivateKey(plain); err != nil {
				err = errPassphrase
			}
		}
	case "PUBLIC KEY":
		return nil, &keyHint{"it is the public key, which belongs to the user in Snowflake", "Name the file of the private key."}
	default:
		return nil, fmt.Errorf("a PEM block %q is no private key", block.Type)
	}
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, &keyHint{fmt.Sprintf("it is a %T", parsed), "Snowflake takes RSA keys only; make one as the README tells."}
	}
	if bits := key.N.BitLen(); bits < minKeyBits {
		return nil, &keyHint{fmt.Sprintf("it has %d bits", bits), "Snowflake asks for 2048 at least; make a new key as the README tells."}
	}
	return key, nil
}

var errPassphrase = &keyHint{"the passphrase does not open it", "Correct private_key_passphrase of the destination."}

// Encrypted keys are RFC 5958 with the second scheme of RFC 8018 (PBES2): a key from the passphrase by
// PBKDF2, and a block cipher in CBC mode. That is what openssl writes unless told otherwise.
type (
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2 struct {
		KDF    pkix.AlgorithmIdentifier
		Cipher pkix.AlgorithmIdentifier
	}
	pbkdf2Parameters struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
)

// ciphers are the block ciphers of encrypted keys, with the bytes of their keys.
var ciphers = []struct {
	oid   asn1.ObjectIdentifier
	bytes int
	make  func([]byte) (cipher.Block, error)
}{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16, aes.NewCipher},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 24, aes.NewCipher},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32, aes.NewCipher},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, 24, des.NewTripleDESCipher},
}

// digests are the functions that PBKDF2 may use; the first is its default.
var digests = []struct {
	oid  asn1.ObjectIdentifier
	make func() hash.Hash
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}, sha1.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, sha256.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}, sha512.New384},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}, sha512.New},
}

// maxIterations bounds what a key file can make us compute: some seconds.
const maxIterations = 10_000_000

func decryptPKCS8(der []byte, passphrase string) ([]byte, error) {
	foreign := &keyHint{
		"it is encrypted in a way that is not read here",
		"Encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in rsa_key.p8 -out new_key.p8",
	}
	var outer encryptedKey
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	var scheme pbes2
	if !outer.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, foreign
	}
	if _, err := asn1.Unmarshal(outer.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	var kdf pbkdf2Parameters
	if !scheme.KDF.Algorithm.Equal(oidPBKDF2) {
		return nil, foreign
	}
	if _, err := asn1.Unmarshal(scheme.KDF.Parameters.FullBytes, &kdf); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	if kdf.Iterations < 1 || kdf.Iterations > maxIterations {
		return nil, fmt.Errorf("encrypted key: %d iterations", kdf.Iterations)
	}
	digest := digests[0].make
	if kdf.PRF.Algorithm != nil {
		digest = nil
		for _, d := range digests {
			if d.oid.Equal(kdf.PRF.Algorithm) {
				digest = d.make
			}
		}
	}
	for _, c := range ciphers {
		if !c.oid.Equal(scheme.Cipher.Algorithm) || digest == nil {
			continue
		}
		var iv []byte
		if _, err := asn1.Unmarshal(scheme.Cipher.Parameters.FullBytes, &iv); err != nil {
			return nil, fmt.Errorf("encrypted key: %w", err)
		}
		key, err := pbkdf2.Key(digest, passphrase, kdf.Salt, kdf.Iterations, c.bytes)
		if err != nil {
			return nil, fmt.Errorf("encrypted key: %w", err)
		}
		block, err := c.make(key)
		if err != nil {
			return nil, fmt.Errorf("encrypted key: %w", err)
		}
		return decryptCBC(block, iv, outer.Data)
	}
	return nil, foreign
}

func decryptCBC(block cipher.Block, iv, data []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errors.New("encrypted key: it is cut short")
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > size {
		return nil, errPassphrase
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, errPassphrase
		}
	}
	return plain[:len(plain)-pad], nil
}
