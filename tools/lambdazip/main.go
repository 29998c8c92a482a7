// Command lambdazip packs a program for AWS Lambda. Equal files make equal bytes: it notes no times and no owners, which
// zip programs do. It prints how large the archive is, in bytes.
//
//	lambdazip -o function.zip build/bootstrap martsync.yaml=config/production.yaml
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	output := flag.String("o", "function.zip", "the `archive` to write")
	flag.Parse()
	if err := run(*output, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "lambdazip:", err)
		os.Exit(1)
	}
}

func run(output string, files []string) error {
	if len(files) == 0 {
		return errors.New("there is nothing to pack")
	}
	var archive bytes.Buffer
	if err := pack(&archive, files); err != nil {
		return err
	}
	if err := os.WriteFile(output, archive.Bytes(), 0o600); err != nil {
		return err
	}
	fmt.Printf("%s: %d bytes\n", output, archive.Len())
	return nil
}

// pack writes the archive. A file is a path, or the name that it is to have, "=" and a path.
func pack(to io.Writer, files []string) error {
	z := zip.NewWriter(to)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, file := range files {
		name, path, named := strings.Cut(file, "=")
		if !named {
			name, path = filepath.Base(file), file
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// 1980 is the first year that the format knows.
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
		mode := fs.FileMode(0o644)
		if name == "bootstrap" { // what Lambda starts
			mode = 0o755
		}
		h.SetMode(mode)
		w, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return z.Close()
}
