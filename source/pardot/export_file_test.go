package pardot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/rows"
)

func TestX13WhatAFileMayLookLike(t *testing.T) {
	tests := []struct {
		name   string
		change func(*fakeExports)
	}{
		{"line ends of the other kind", func(f *fakeExports) { f.end = "\r\n" }},
		{"byte order mark", func(f *fakeExports) { f.prefix = "\xef\xbb\xbf" }},
		{"header in another case", func(f *fakeExports) {
			f.header = func(h []string) []string { return strings.Split(strings.ToUpper(strings.Join(h, ",")), ",") }
		}},
		{"further columns", func(f *fakeExports) {
			f.header = func(h []string) []string { return append(slices.Clone(h), "more") }
			f.serve = func(w http.ResponseWriter, j *fakeJob, i int, _ []byte) bool {
				_, _ = fmt.Fprintf(w, "more,%s\n", strings.Join(j.fields, ","))
				for _, line := range bytes.Split(bytes.TrimSpace(f.file(j, i)), []byte("\n"))[1:] {
					_, _ = fmt.Fprintf(w, "x,%s\n", line)
				}
				return true
			}
		}},
		{"columns in another order", func(f *fakeExports) {
			f.serve = func(w http.ResponseWriter, j *fakeJob, i int, _ []byte) bool {
				k := *j
				k.fields = slices.Clone(j.fields)
				slices.Reverse(k.fields)
				_, _ = w.Write(f.file(&k, i))
				return true
			}
		}},
		{"no length told", func(f *fakeExports) {
			f.serve = func(w http.ResponseWriter, _ *fakeJob, _ int, data []byte) bool {
				_, _ = w.Write(data[:10])
				w.(http.Flusher).Flush()
				_, _ = w.Write(data[10:])
				return true
			}
		}},
		{"until the connection ends", func(f *fakeExports) {
			f.serve = func(w http.ResponseWriter, _ *fakeJob, _ int, data []byte) bool { unframed(w, data); return true }
		}},
		{"no line end at the end of the file", func(f *fakeExports) {
			f.serve = func(w http.ResponseWriter, _ *fakeJob, _ int, data []byte) bool {
				_, _ = w.Write(bytes.TrimSpace(data))
				return true
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newExportRig(t, 48*time.Hour, test.change)
			if err := g.finish(t); err != nil {
				t.Fatal(err)
			}
			g.compare(t)
			if g.counted.rows != 47 || g.creates != 1 {
				t.Errorf("%d rows of %d jobs, want 47 of one", g.counted.rows, g.creates)
			}
		})
	}
}

// unframed answers without a length: the file ends where the connection does.
func unframed(w http.ResponseWriter, data []byte) {
	conn, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = buffer.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nConnection: close\r\n\r\n")
	_, _ = buffer.Write(data)
	_ = buffer.Flush()
	_ = conn.Close()
}

func TestX13NewlinesAndQuotesInFields(t *testing.T) {
	names := []string{
		"two\nlines", "two\r\nlines", "a \"quoted\" word", "comma, comma", "\"", "\n", " blanks ", "ünïcödé \u2028 \U0001f94f", "&amp; &#39;", "NULL", "null",
	}
	g := newExportRig(t, 48*time.Hour, func(f *fakeExports) {
		for i := range f.records {
			f.records[i].name = names[i%len(names)]
		}
	})
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
	if g.counted.rows != 47 || g.counted.bad != 0 {
		t.Errorf("%d rows, %d bad, want 47 and none", g.counted.rows, g.counted.bad)
	}
}

func TestX13TruncatedDownload(t *testing.T) {
	tests := []struct {
		name  string
		serve func(w http.ResponseWriter, data []byte)
	}{
		{"shorter than told", func(w http.ResponseWriter, data []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data[:len(data)/2])
			panic(http.ErrAbortHandler)
		}},
		{"cut at the end of a line", func(w http.ResponseWriter, data []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data[:bytes.LastIndexByte(data[:len(data)/2], '\n')+1])
			panic(http.ErrAbortHandler)
		}},
		{"chunked, and dropped", func(w http.ResponseWriter, data []byte) {
			_, _ = w.Write(data[:len(data)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}},
		{"no length, in the middle of a line", func(w http.ResponseWriter, data []byte) {
			unframed(w, data[:len(data)/2])
		}},
		{"half of it, as if it were all", func(w http.ResponseWriter, data []byte) { _, _ = w.Write(data[:len(data)/2]) }},
		{"as if it were all, within quotes", func(w http.ResponseWriter, data []byte) {
			_, _ = w.Write(append(slices.Clone(data[:bytes.LastIndexByte(data[:len(data)/2], '\n')+1]), "7,\"a\n"...))
		}},
		{"in the header", func(w http.ResponseWriter, data []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data[:4])
			panic(http.ErrAbortHandler)
		}},
		{"nothing at all", func(w http.ResponseWriter, data []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}},
	}
	for _, test := range tests {
		for _, times := range []int{1, 3, 6} {
			if times > shortMost && strings.Contains(test.name, "as if") {
				continue
			}
			t.Run(fmt.Sprintf("%s, %d times", test.name, times), func(t *testing.T) {
				g := newExportRig(t, 100*time.Hour, func(f *fakeExports) {
					f.files = 2
					f.serve = func(w http.ResponseWriter, j *fakeJob, i int, data []byte) bool {
						if i == 1 && j.served <= times+1 {
							test.serve(w, data)
							return true
						}
						return false
					}
				})
				if err := g.finish(t); err != nil {
					t.Fatal(err)
				}
				g.compare(t)
				if g.counted.rows != 99 || g.creates != 1 {
					t.Errorf("%d rows of %d jobs, want 99 of one", g.counted.rows, g.creates)
				}
				if g.counted.bad != 0 {
					t.Errorf("%d rows in quarantine", g.counted.bad)
				}
			})
		}
	}
}

func TestX13AFileOfSomethingElse(t *testing.T) {
	tests := []struct{ name, text string }{
		{"a page", "<html><body>We are down for maintenance</body></html>\n<p>soon</p>\n"},
		{"a page of one line", "<html><body>We are down for maintenance</body></html>"},
		{"a column is missing", "id,name\n1,a\n"},
		{"a column twice", "id,name,updated_at,id\n1,a,2026-05-31 00:00:00,1\n"},
		{"a record without an id", "id,name,updated_at\n1,a,2026-05-31 00:00:00\n,b,2026-05-31 00:00:00\n"},
		{"a line without an end", strings.Repeat("x", headerMost+1)},
	}
	for _, test := range tests {
		for _, times := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d times", test.name, times), func(t *testing.T) {
				served := 0
				g := newExportRig(t, 48*time.Hour, func(f *fakeExports) {
					f.serve = func(w http.ResponseWriter, _ *fakeJob, _ int, _ []byte) bool {
						if served++; served > times {
							return false
						}
						w.Header().Set("Content-Length", strconv.Itoa(len(test.text)))
						_, _ = io.WriteString(w, test.text)
						return true
					}
				})
				if err := g.finish(t); err != nil {
					t.Fatal(err)
				}
				g.compare(t)
				if g.creates > times {
					t.Errorf("%d jobs, want at most %d", g.creates, times)
				}
				if g.counted.rows != 47 || len(g.rows) != 47 {
					t.Errorf("%d rows were counted, %d are there, want 47", g.counted.rows, len(g.rows))
				}
			})
		}
	}
}

func TestX13ARowThatDoesNotFitIsKept(t *testing.T) {
	g := newExportRig(t, 48*time.Hour, func(f *fakeExports) {
		f.serve = func(w http.ResponseWriter, j *fakeJob, i int, data []byte) bool {
			_, _ = w.Write(data)
			line := make([]string, len(j.fields))
			for k, name := range j.fields {
				line[k] = map[string]string{"id": "4711", "name": "kite", "updated_at": "yesterday"}[name]
			}
			_, _ = io.WriteString(w, strings.Join(line, ",")+"\n")
			return true
		}
	})
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
	if want := (exportCount{rows: 48, bad: 1, calls: 3}); g.counted != want {
		t.Errorf("counted %+v, want %+v", g.counted, want)
	}
	if len(g.bad) != 1 || g.bad[0].Column != "updated_at" || g.bad[0].Job != "9901" || g.bad[0].Line != 48 {
		t.Errorf("quarantine %+v", g.bad)
	}
}

// A very large file goes through in batches; what is in memory at a time does not depend on it.
func TestX13AVeryLargeFileInFlatMemory(t *testing.T) {
	const size = 96 << 20
	text := strings.Repeat("kites over the dunes, \"\"high\"\" up\n", 30)
	lines := int64(0)
	g := newExportRig(t, 48*time.Hour, func(f *fakeExports) {
		f.body = func(j *fakeJob, _ int) io.Reader {
			head := strings.Join(j.fields, ",") + "\n"
			var id int64
			var rest []byte
			sent := 0
			return readerFunc(func(p []byte) (int, error) {
				if head != "" {
					n := copy(p, head)
					head = head[n:]
					return n, nil
				}
				if len(rest) == 0 {
					if sent > size {
						return 0, io.EOF
					}
					id++
					lines = id
					for k, name := range j.fields {
						if k > 0 {
							rest = append(rest, ',')
						}
						switch name {
						case "id":
							rest = strconv.AppendInt(rest, id%1000+1, 10)
						case "name":
							rest = append(append(append(rest, '"'), text...), '"')
						default:
							rest = append(rest, "2026-05-31 10:00:00"...)
						}
					}
					rest = append(rest, '\n')
					sent += len(rest)
				}
				n := copy(p, rest)
				rest = rest[n:]
				if len(rest) == 0 {
					rest = rest[:0]
				}
				return n, nil
			})
		}
	})
	g.light = true
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	before, most := inUse(), uint64(0)
	g.watch = func() { most = max(most, inUse()) }
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	if g.counted.rows != lines || lines < 50_000 {
		t.Errorf("%d rows, want %d", g.counted.rows, lines)
	}
	if g.kept < size {
		t.Errorf("%d bytes of it are kept, want all %d", g.kept, size)
	}
	if g.largest > 2*martsync.MaxBytes {
		t.Errorf("a batch of %d bytes", g.largest)
	}
	if most > before+(72<<20) {
		t.Errorf("%d MB in use for a file of %d MB, %d MB before", most>>20, size>>20, before>>20)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// The consumer leaves in the middle of a file: nothing is yielded to it any more.
func TestTheReaderLeavesInTheMiddleOfAFile(t *testing.T) {
	errLeave := errors.New("enough")
	g := newExportRig(t, 100*time.Hour, func(f *fakeExports) { f.files = 2 })
	err := g.read(t)
	g.clock.Advance(martsync.AfterOf(err))
	before := -1
	g.refuseBatch = func() error { before = g.remember; return errLeave }
	if err := g.read(t); !errors.Is(err, errLeave) {
		t.Fatalf("error %v, want the reader's", err)
	}
	if g.remember != before {
		t.Errorf("%d cursors came after it had left", g.remember-before)
	}
	g.refuseBatch = nil
	if err := g.finish(t); err != nil {
		t.Fatal(err)
	}
	g.compare(t)
}

func TestCheckHeader(t *testing.T) {
	task := &exportTask{state: &exportState{}, fields: []exportField{{name: "id"}, {name: "name"}}}
	order := task.state.order("things", []string{"id", "name"})
	task.state.Sign = sign(order)
	reversed := slices.Clone(order)
	slices.Reverse(reversed)
	tests := []struct {
		name   string
		taken  bool
		header []string
		ok     bool
	}{
		{"as asked", false, order, true},
		{"found in the list, as asked", true, order, true},
		{"another order", false, reversed, true},
		{"found in the list, another order", true, reversed, false},
		{"more", false, append(slices.Clone(order), "x"), true},
		{"found in the list, more", true, append(slices.Clone(order), "x"), false},
		{"less", false, order[:1], false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			task.state.Taken = test.taken
			if err := task.checkHeader(test.header); (err == nil) != test.ok {
				t.Errorf("error %v, want none: %t", err, test.ok)
			}
		})
	}
}

func TestRowsOfUnwantedKindsLeaveNothingBehind(t *testing.T) {
	cols := []martsync.Column{
		{Name: "type", Type: martsync.Int64, Origin: "type"},
		{Name: "text", Type: martsync.String},
		{Name: "flag", Type: martsync.Bool},
		{Name: "at", Type: martsync.Timestamp},
		{Name: "day", Type: martsync.Date},
		{Name: "share", Type: martsync.Float64},
		{Name: "sum", Type: martsync.Decimal, Precision: 20, Scale: 2},
		{Name: "list", Type: martsync.JSON},
		{Name: "raw", Type: martsync.Binary},
	}
	schema := martsync.Schema{Stream: "things", Columns: cols}
	rapid.Check(t, func(t *rapid.T) {
		b := columns.NewBuilder(cols)
		var want []string
		for i := range rapid.IntRange(0, 40).Draw(t, "rows") {
			kind := rapid.SampledFrom([]string{"", "1", "2", "6", "66"}).Draw(t, "kind")
			cells := [][]byte{[]byte(kind), []byte(rapid.StringN(0, 6, -1).Draw(t, "text"))}
			for _, text := range []string{"true", "2026-03-01 10:00:00", "2026-03-01", "1.5", "17.25", `["a"]`, "\x01\x02"} {
				if rapid.Bool().Draw(t, "null") {
					text = ""
				}
				cells = append(cells, []byte(text))
			}
			if err := b.AppendCells(cells); err != nil {
				t.Fatalf("row %d: %v", i, err)
			}
			if kind == "2" || kind == "6" {
				r := b.Records()
				want = append(want, strings.Join(rowTexts(schema, r)[r.Len-1], "|"))
			}
		}
		k := newKinds([]string{"6", "2"}, cols, []string{"Type", "text"})
		got := k.choose(b.Records())
		if err := rows.Check(&schema, got); err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, row := range rowTexts(schema, got) {
			texts = append(texts, strings.Join(row, "|"))
		}
		if !slices.Equal(texts, want) {
			t.Errorf("got %q, want %q", texts, want)
		}
	})
	r := columns.NewBuilder(cols)
	_ = r.AppendCells([][]byte{[]byte("1"), nil, nil, nil, nil, nil, nil, nil, nil})
	if got := newKinds([]string{"6"}, cols, []string{"text"}).choose(r.Records()); got.Len != 1 {
		t.Errorf("%d rows of a file that does not tell kinds, want the one that is there", got.Len)
	}
}
