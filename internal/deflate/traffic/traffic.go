// Package traffic makes JSON texts such as real-time services send: chat, market ticks, orders and presence,
// each with its own identifiers, words, prices and times. Compression that is measured on one repeated text
// flatters every compressor with a history, so tests and benchmarks use these.
package traffic

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Messages returns n texts of about size bytes each (never below size, at most one event above it). The same seed
// gives the same texts.
func Messages(seed uint64, size, n int) [][]byte {
	g := newGenerator(seed)
	out := make([][]byte, n)
	for i := range out {
		out[i] = []byte(g.message(size))
	}
	return out
}

// generator holds what one connection's traffic has in common: its people, rooms and instruments, and its clock.
type generator struct {
	*rand.Rand
	users, rooms []string
	prices       []float64
	now          time.Time
	seq          int
}

func newGenerator(seed uint64) *generator {
	g := &generator{
		Rand: rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)),
		now:  time.Date(2025, 3, 14, 9, 26, 53, 589793238, time.UTC),
	}
	for range 40 {
		g.users = append(g.users, names[g.IntN(len(names))]+fmt.Sprint(g.IntN(100)))
	}
	for range 8 {
		g.rooms = append(g.rooms, words[g.IntN(len(words))]+"-"+words[g.IntN(len(words))])
	}
	for range symbols {
		g.prices = append(g.prices, 1+g.ExpFloat64()*400)
	}
	return g
}

// message is one event where that is long enough, and a batch of them otherwise.
func (g *generator) message(size int) string {
	if size <= 400 {
		return g.chat(size)
	}
	g.seq++
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":"batch","seq":%d,"sent":%q,"events":[`, g.seq, g.clock())
	kind := g.IntN(4)
	for first := true; b.Len() < size; first = false {
		if !first {
			b.WriteByte(',')
		}
		if g.IntN(5) == 0 { // mostly of one kind, as services send them
			kind = g.IntN(4)
		}
		b.WriteString(g.event(kind))
	}
	b.WriteString("]}")
	return b.String()
}

func (g *generator) event(kind int) string {
	switch kind {
	case 0:
		return g.tick()
	case 1:
		return g.order()
	case 2:
		return g.presence()
	}
	return g.chat(200 + g.IntN(200))
}

func (g *generator) chat(size int) string {
	head := fmt.Sprintf(`{"type":"chat.message","id":%q,"room":%q,"from":%q,"ts":%d,"text":"`,
		g.id(), g.pick(g.rooms), g.pick(g.users), g.tickClock().UnixMilli())
	return head + g.text(size-len(head)-2) + `"}`
}

func (g *generator) tick() string {
	i := g.IntN(len(symbols))
	g.prices[i] *= 1 + (g.Float64()-0.5)/500
	return fmt.Sprintf(`{"e":"trade","s":%q,"p":"%.2f","q":"%.4f","b":%d,"t":%d,"m":%t}`,
		symbols[i], g.prices[i], g.ExpFloat64(), g.IntN(1e9), g.tickClock().UnixMilli(), g.IntN(2) == 0)
}

func (g *generator) order() string {
	return fmt.Sprintf(`{"type":"order.updated","order":{"id":%q,"customer":%d,"status":%q,"currency":%q,`+
		`"lines":[{"sku":"%s-%04d","qty":%d,"price":%.2f}],"note":%q,"updated_at":%q}}`,
		g.id(), 1e6+g.IntN(9e6), g.pick(states), g.pick(currencies), strings.ToUpper(g.word()), g.IntN(1e4),
		1+g.IntN(9), g.ExpFloat64()*40, g.text(g.IntN(40)), g.clock())
}

func (g *generator) presence() string {
	return fmt.Sprintf(`{"type":"presence","user":%q,"room":%q,"online":%t,"idle_seconds":%d,"device":{"os":%q,"version":"%d.%d"}}`,
		g.pick(g.users), g.pick(g.rooms), g.IntN(3) > 0, g.IntN(900), g.pick(systems), g.IntN(20), g.IntN(10))
}

// text is at least n bytes of words, the frequent ones more often (Zipf's law).
func (g *generator) text(n int) string {
	var b strings.Builder
	for b.Len() < n {
		if b.Len() > 0 {
			b.WriteString([]string{" ", " ", " ", " ", " ", ", ", ". "}[g.IntN(7)])
		}
		b.WriteString(g.word())
	}
	return b.String()
}

func (g *generator) word() string {
	f := g.Float64()
	return words[int(f*f*float64(len(words)))]
}

func (g *generator) pick(of []string) string { return of[g.IntN(len(of))] }

func (g *generator) id() string {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	b := []byte("01JP9WQ2") // the time's part of a ULID
	for range 18 {
		b = append(b, digits[g.IntN(len(digits))])
	}
	return string(b)
}

func (g *generator) tickClock() time.Time {
	g.now = g.now.Add(time.Duration(g.IntN(40)) * time.Millisecond)
	return g.now
}

func (g *generator) clock() string { return g.tickClock().Format("2006-01-02T15:04:05.000Z07:00") }

var (
	symbols    = []string{"BTCUSDT", "ETHUSDT", "SOLUSDT", "AAPL", "MSFT", "NVDA", "EURUSD", "GBPUSD", "TSLA", "XAUUSD", "DAX40", "AMZN"}
	states     = []string{"pending", "paid", "packed", "shipped", "delivered", "cancelled", "refunded"}
	currencies = []string{"EUR", "USD", "GBP", "JPY"}
	systems    = []string{"ios", "android", "macos", "windows", "linux"}
	names      = strings.Fields(`amelia bruno chen dmitri elena farah goran hana ivan jonas keiko lucia mateo nadia
		oskar priya quentin rosa sven tomas ursula viktor wanda xenia yusuf zofia`)
	words = strings.Fields(`the to and a of it is in that you for on we have be this not with are but at so what as
		can if was do just they my your all there no will one get out like me from up about when now know time how or
		would think see our good more some an here need make really going should could new also want then right had
		people who them has back only very because well way which why day their were still today been work yes sure
		tomorrow maybe thanks please meeting release server client update check build ship order customer price market
		deploy review branch merge test error failed green again after before morning evening weekend lunch coffee
		question answer ticket issue report number address invoice payment account password screen window keyboard
		picture video music travel hotel flight train station garden kitchen weather rain sunshine holiday birthday
		congratulations welcome different important possible probably together yesterday something anything everything
		nothing someone somewhere already always never sometimes usually quickly slowly schedule document presentation
		customer engineer manager designer support feature database network latency memory storage backup monitor
		dashboard threshold incident rollback version dependency compile container cluster queue message channel
		delivery warehouse package tracking refund discount shipping contract signature agreement budget forecast
		quarter revenue growth strategy research experiment hypothesis measurement evidence conclusion`)
)
