// Package marketofile makes CSV files that look like the bulk exports of Marketo, for
// benchmarks: the mix of types, the share of nulls, how often values repeat, quotes, line
// ends and other scripts in text. The same seed gives the same bytes. The people in them
// do not exist.
package marketofile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// A field is a column of an export and how its values are made.
type field struct {
	origin string
	typ    martsync.Type
	null   int // share of nulls in percent
	make   func(r *rand.Rand, dst []byte) []byte
}

func columnsOf(fields []field) []martsync.Column {
	origins := make([]string, len(fields))
	for i, f := range fields {
		origins[i] = f.origin
	}
	names := columns.Names(origins)
	out := make([]martsync.Column, len(fields))
	for i, f := range fields {
		out[i] = martsync.Column{Name: names[i], Type: f.typ, Origin: f.origin}
	}
	return out
}

// LeadColumns are the 70 columns of Leads.
func LeadColumns() []martsync.Column { return columnsOf(leadFields()) }

// ActivityColumns are the columns of Activities.
func ActivityColumns() []martsync.Column { return columnsOf(activityFields()) }

// Leads writes an export of rows leads, of about 800 bytes each.
func Leads(w io.Writer, seed uint64, rows int) error { return write(w, leadFields(), seed, rows) }

// Activities writes an export of rows activities, of about 420 bytes each.
func Activities(w io.Writer, seed uint64, rows int) error {
	return write(w, activityFields(), seed, rows)
}

func write(w io.Writer, fields []field, seed uint64, rows int) error {
	r := rand.New(rand.NewPCG(seed, 0x6d61727473796e63))
	b := bufio.NewWriterSize(w, 1<<20)
	var line, cell []byte
	for i, f := range fields {
		line = appendCell(line, []byte(f.origin), i > 0)
	}
	for row := range rows {
		if _, err := b.Write(append(line, '\n')); err != nil {
			return err
		}
		line = line[:0]
		for i, f := range fields {
			switch {
			case f.make == nil: // the number of the record
				cell = strconv.AppendInt(cell[:0], int64(500_000+row), 10)
			case r.IntN(100) < f.null:
				cell = append(cell[:0], "null"...)
			default:
				cell = f.make(r, cell[:0])
			}
			line = appendCell(line, cell, i > 0)
		}
	}
	if _, err := b.Write(append(line, '\n')); err != nil {
		return err
	}
	return b.Flush()
}

func appendCell(line, cell []byte, comma bool) []byte {
	if comma {
		line = append(line, ',')
	}
	if !bytes.ContainsAny(cell, "\",\r\n") {
		return append(line, cell...)
	}
	line = append(line, '"')
	line = append(line, bytes.ReplaceAll(cell, []byte{'"'}, []byte(`""`))...)
	return append(line, '"')
}

// Makers of values.

func words(list ...string) func(*rand.Rand, []byte) []byte {
	return func(r *rand.Rand, dst []byte) []byte {
		// The first words of a list are the frequent ones.
		i := min(r.IntN(len(list)), r.IntN(len(list)))
		return append(dst, list[i]...)
	}
}

func numbers(lo, hi int) func(*rand.Rand, []byte) []byte {
	return func(r *rand.Rand, dst []byte) []byte {
		return strconv.AppendInt(dst, int64(lo+r.IntN(hi-lo)), 10)
	}
}

func money(r *rand.Rand, dst []byte) []byte {
	return strconv.AppendFloat(dst, float64(r.IntN(500_000_000))/100, 'f', 2, 64)
}

func truth(percent int) func(*rand.Rand, []byte) []byte {
	return func(r *rand.Rand, dst []byte) []byte { return strconv.AppendBool(dst, r.IntN(100) < percent) }
}

var start = time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)

func date(r *rand.Rand, dst []byte) []byte {
	return start.AddDate(0, 0, r.IntN(2500)).AppendFormat(dst, time.DateOnly)
}

func moment(r *rand.Rand, dst []byte) []byte {
	return start.Add(time.Duration(r.IntN(2500*86_400))*time.Second).AppendFormat(dst, "2006-01-02T15:04:05Z")
}

func guid(r *rand.Rand, dst []byte) []byte {
	return fmt.Appendf(dst, "%08x-%04x-%04x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<16), r.Int64N(1<<48))
}

func sfdc(prefix string) func(*rand.Rand, []byte) []byte {
	return func(r *rand.Rand, dst []byte) []byte { return fmt.Appendf(dst, "%s%015d", prefix, r.Int64N(1e15)) }
}

func email(r *rand.Rand, dst []byte) []byte {
	dst = append(dst, strings.ToLower(ascii[r.IntN(len(ascii))])...)
	dst = fmt.Appendf(dst, ".%d@", r.IntN(1_000_000))
	return fmt.Appendf(dst, "%s.example", hosts[r.IntN(len(hosts))])
}

func phone(r *rand.Rand, dst []byte) []byte {
	return fmt.Appendf(dst, "+%d %d %07d", 1+r.IntN(90), 100+r.IntN(900), r.IntN(10_000_000))
}

func address(r *rand.Rand, dst []byte) []byte {
	dst = fmt.Appendf(dst, "%d %s", 1+r.IntN(999), streets[r.IntN(len(streets))])
	if r.IntN(8) == 0 {
		dst = fmt.Appendf(dst, "\nFloor %d", r.IntN(40))
	}
	return dst
}

func company(r *rand.Rand, dst []byte) []byte {
	dst = append(dst, hosts[r.IntN(len(hosts))]...)
	return append(dst, endings[r.IntN(len(endings))]...)
}

func url(r *rand.Rand, dst []byte) []byte {
	return fmt.Appendf(dst, "https://www.%s.example/%s?utm_source=%s&id=%d", hosts[r.IntN(len(hosts))], pages[r.IntN(len(pages))], pages[r.IntN(len(pages))], r.IntN(100_000))
}

// text is prose with everything that makes CSV hard.
func text(r *rand.Rand, dst []byte) []byte {
	for n := 3 + r.IntN(14); n > 0; n-- {
		dst = append(dst, prose[r.IntN(len(prose))]...)
		switch r.IntN(24) {
		case 0:
			dst = append(dst, '\n')
		case 1:
			dst = append(dst, ", "...)
		case 2:
			dst = append(dst, "\r\n"...)
		default:
			dst = append(dst, ' ')
		}
	}
	return dst
}

var (
	ascii   = []string{"Ines", "Tomas", "Bela", "Marta", "Olga", "Pavel", "Rina", "Sven", "Tara", "Ugo", "Vera", "Wim", "Yara", "Zeno", "Noor", "Liam"}
	names   = []string{"Ines", "Tomas", "Béla", "Márta", "Ольга", "Pavel", "莉奈", "Sven", "Tara", "Ugo", "Vera", "Wim", "Yara", "Zeno", "Noor", "O'Neill", "D\"Arcy", "Łukasz", "Jürgen", "Søren"}
	hosts   = []string{"larkfield", "brindle", "northwind", "ostrava-optics", "quince", "radian", "saltmarsh", "tern", "umbra", "vantage", "wicker", "yarrow", "zephyr", "alder", "beacon", "cinder", "dovetail", "ember", "fathom", "gannet"}
	endings = []string{" GmbH", ", Inc.", " Ltd", " SA", " & Sons", " \"Holding\" AG", " 株式会社", ""}
	streets = []string{"Main St", "High Street", "Lindenallee", "Rue de la Paix", "Via Roma", "Avenida São João", "Nørregade", "Elm Road, Building 4"}
	pages   = []string{"pricing", "contact", "webinar", "whitepaper", "demo", "blog", "events", "newsletter", "support", "careers"}
	prose   = []string{"asked", "for", "a", "quote", "\"urgent\"", "after", "the", "webinar", "about", "lenses", "wants", "delivery", "in", "spring", "naïve", "Größe", "東京", "😀", "follow-up", "call", "budget", "approved", "by", "finance"}
)
