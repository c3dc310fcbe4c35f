package conformance

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
)

// corpus is data of one sort to compress, made here and the same in each run. Messages are cut from it, around the end.
type corpus struct {
	name string
	op   opcode
	data func() []rune // characters of text, or bytes
}

// corpora are the data of sections 12.1 to 12.5. The original suite has files of the same sorts and sizes.
var corpora = []corpus{
	{"JSON", opText, textOnce(jsonCorpus)},
	{"a grey bitmap", opBinary, bytesOnce(bitmapCorpus)},
	{"German prose", opBinary, bytesOnce(proseCorpus)},
	{"HTML", opText, textOnce(htmlCorpus)},
	{"a document that is compressed already", opBinary, bytesOnce(documentCorpus)},
}

func textOnce(f func() []byte) func() []rune {
	return sync.OnceValue(func() []rune { return []rune(string(f())) })
}

func bytesOnce(f func() []byte) func() []rune {
	return sync.OnceValue(func() []rune {
		var rs []rune
		for _, b := range f() {
			rs = append(rs, rune(b))
		}
		return rs
	})
}

// messages returns a function that cuts one message of n characters or bytes after the other.
func (c *corpus) messages(n int) func() []byte {
	at := 0
	return func() []byte {
		data := c.data()
		var b bytes.Buffer
		for range n {
			if c.op == opText {
				b.WriteRune(data[at])
			} else {
				b.WriteByte(byte(data[at]))
			}
			at = (at + 1) % len(data)
		}
		return b.Bytes()
	}
}

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x7769_7265)) }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

var (
	firstNames = strings.Fields("Anna Björn Chloé Dmitri Elif Fatoumata Grzegorz Hélène Ines Jürgen Keiko Łukasz María Nguyễn Olga Pavel Quirin Rosa Søren Tomáš")
	cities     = strings.Fields("Köln Zürich Malmö Łódź Kraków Besançon Coruña Århus Reykjavík Brno Graz Leiden Porto Genève Tromsø München")
	germanWord = strings.Fields(`der die das und nicht ein eine ist wie auf dem Weg durch den Wald über die Brücke am Fluss
		wo früher die Mühle stand ging langsam an einem kühlen Morgen der Lehrer mit seinem Hund zurück nach Hause während
		drüben in der Stadt schon Glocken läuteten und Händler ihre Körbe öffneten denn Märkte beginnen früh wenn Nebel
		noch zwischen den Häusern hängt niemand wusste später genau wann das Geräusch begonnen hatte das alle hörten`)
	englishWord = strings.Fields(`frame header payload connection close ping pong server client handshake message fragment
		mask opcode extension window buffer stream network latency protocol section limit origin session token browser`)
)

func jsonCorpus() []byte {
	type address struct {
		City string  `json:"city"`
		Zip  string  `json:"zip"`
		Lat  float64 `json:"lat"`
	}
	type record struct {
		ID      int      `json:"id"`
		Name    string   `json:"name"`
		Email   string   `json:"email"`
		Active  bool     `json:"active"`
		Balance string   `json:"balance"`
		Tags    []string `json:"tags"`
		Address address  `json:"address"`
		About   string   `json:"about"`
	}
	r := source(1)
	var all []record
	for i := range 520 {
		name := pick(r, firstNames)
		all = append(all, record{
			ID: 10_000 + i, Name: name, Email: fmt.Sprintf("user%d@example.org", r.IntN(1e6)), Active: r.IntN(3) > 0,
			Balance: fmt.Sprintf("€ %d.%02d", r.IntN(5000), r.IntN(100)), Tags: strings.Fields(words(r, englishWord, 4)),
			Address: address{pick(r, cities), fmt.Sprintf("%05d", r.IntN(1e5)), r.Float64()*180 - 90}, About: words(r, englishWord, 12),
		})
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		panic(err) // plain structs
	}
	return b
}

// words returns n words, each followed by one that depends on it often enough to make phrases recur.
func words(r *rand.Rand, from []string, n int) string {
	out := make([]string, n)
	at := r.IntN(len(from))
	for i := range out {
		out[i] = from[at]
		if at++; r.IntN(3) == 0 || at == len(from) {
			at = r.IntN(len(from))
		}
	}
	return strings.Join(out, " ")
}

func proseCorpus() []byte {
	r := source(2)
	var b bytes.Buffer
	for b.Len() < 220_000 {
		sentence := words(r, germanWord, 5+r.IntN(18))
		b.WriteString(strings.ToUpper(sentence[:1]) + sentence[1:] + pick(r, []string{". ", ". ", "; ", "! ", ".\r\n", "?\r\n\r\n"}))
	}
	return b.Bytes()
}

func htmlCorpus() []byte {
	r := source(3)
	var b bytes.Buffer
	b.WriteString("<!DOCTYPE html>\n<html lang=\"de\"><head><meta charset=\"utf-8\"><title>Übersicht</title></head>\n<body>\n<table class=\"list\">\n")
	for i := 0; b.Len() < 260_000; i++ {
		fmt.Fprintf(&b, "  <tr id=\"row-%d\" class=\"%s\"><td><a href=\"/people/%d\">%s</a></td><td>%s</td><td class=\"note\">%s…</td></tr>\n",
			i, pick(r, []string{"odd", "even"}), r.IntN(1e6), pick(r, firstNames), pick(r, cities), words(r, englishWord, 3+r.IntN(9)))
	}
	b.WriteString("</table>\n</body></html>\n")
	return b.Bytes()
}

// bitmapCorpus is a BMP of 512 by 512 grey pixels: soft shapes and a little noise.
func bitmapCorpus() []byte {
	const size, palette = 512, 1024
	r := source(4)
	b := []byte("BM")
	b = binary.LittleEndian.AppendUint32(b, 54+palette+size*size)
	for _, v := range []uint32{0, 54 + palette, 40, size, size, 8<<16 | 1, 0, size * size, 2835, 2835, 256, 0} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for i := range 256 {
		b = append(b, byte(i), byte(i), byte(i), 0)
	}
	for y := range size {
		for x := range size {
			dx, dy := x-300, y-200
			shade := (x+2*y)/8 + 120*(dx*dx/64+dy*dy/64)/(400+dx*dx/64+dy*dy/64)
			b = append(b, byte(shade+r.IntN(7)))
		}
	}
	return b
}

// documentCorpus is what a PDF looks like to a compressor: a few lines of text between streams that are deflated.
func documentCorpus() []byte {
	r := source(5)
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	for i := 1; b.Len() < 1_000_000; i++ {
		var stream bytes.Buffer
		w, err := flate.NewWriter(&stream, flate.BestSpeed)
		if err != nil {
			panic(err) // a valid level
		}
		for range 2000 {
			fmt.Fprintf(w, "%d %d Td (%s) Tj\n", r.IntN(600), r.IntN(800), words(r, germanWord, 3))
		}
		w.Close() // into a bytes.Buffer
		fmt.Fprintf(&b, "%d 0 obj\n<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\n", i, stream.Len(), stream.Bytes())
	}
	b.WriteString("trailer\n<< /Root 1 0 R >>\n%%EOF\n")
	return b.Bytes()
}
