//go:build linux

package load

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Payloads returns n different payloads of size bytes each, the same ones in every run.
func Payloads(kind Payload, size, n int) ([][]byte, error) {
	fill, ok := map[Payload]func(*rand.Rand, int) []byte{Binary: randomBytes, ASCII: asciiText, CJK: cjkText, JSON: jsonText}[kind]
	if !ok {
		return nil, fmt.Errorf("no payload %q", kind)
	}
	r := rand.New(rand.NewPCG(1, 2))
	all := make([][]byte, n)
	for i := range all {
		all[i] = fill(r, size)
	}
	return all, nil
}

func randomBytes(r *rand.Rand, size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func asciiText(r *rand.Rand, size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(' ' + r.IntN('~'-' '+1))
	}
	return p
}

// cjkText fills size bytes with common ideographs, and up to two spaces at the end.
func cjkText(r *rand.Rand, size int) []byte {
	p := make([]byte, 0, size)
	for len(p)+3 <= size {
		p = append(p, string(rune(0x4e00+r.IntN(0x5000)))...)
	}
	for len(p) < size {
		p = append(p, ' ')
	}
	return p
}

var words = strings.Fields(`about after again all also and any are ask back because been before but can come could day did done
early even every first for from get give going good great have here how into just know last later let like little long look
made make many maybe meeting might more morning most much need never new next nice not now office only order other our out over
people please point price question really reply right said same see send share should show since some something soon still
sure take team tell than thanks that the their them then there they thing think this time today tomorrow too two under update
use very wait want was way week well went what when where which while who why will with work would year yes yet you your`)

var names = strings.Fields(`alice.k bjorn chen.wei dana.p emeka farid giulia hana ivo juan.r kofi lena mateo nadia olu petra`)

var symbols = strings.Fields(`AAPL AMZN BTC-USD ETH-USD EUR/USD GBP/USD GOOG MSFT NVDA TSLA USD/JPY XAU/USD`)

// jsonText is traffic as a client of a chat with a ticker sees it: records in an array, cut at size bytes.
func jsonText(r *rand.Rand, size int) []byte {
	p := append(make([]byte, 0, size+512), '[')
	for ; len(p) < size; p = append(p, ',') {
		if r.IntN(3) == 0 {
			p = appendQuote(p, r)
		} else {
			p = appendChat(p, r)
		}
	}
	return p[:size]
}

func appendQuote(p []byte, r *rand.Rand) []byte {
	bid := 20 + 400*r.Float64()
	return fmt.Appendf(p, `{"type":"quote","symbol":%q,"bid":%.2f,"ask":%.2f,"size":%d,"ts":%d}`,
		symbols[r.IntN(len(symbols))], bid, bid+r.Float64(), 100*r.IntN(90), 1760000000000+r.Int64N(1e8))
}

func appendChat(p []byte, r *rand.Rand) []byte {
	text := make([]string, 3+r.IntN(12))
	for i := range text {
		text[i] = words[r.IntN(len(words))]
	}
	return fmt.Appendf(p, `{"type":"chat.message","id":%d,"room":"room-%d","from":{"id":%d,"name":%q},"text":%q,"edited":false,"ts":%d}`,
		r.IntN(1e7), r.IntN(200), r.IntN(1000), names[r.IntN(len(names))], strings.Join(text, " "), 1760000000000+r.Int64N(1e8))
}
