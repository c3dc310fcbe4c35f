//go:build linux

package attack_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// attack is what hostile clients do: each has one connection after the other.
type attack struct {
	name  string
	about string
	conns int // at a time
	total int // connections in all; 0: as many as there is time for, ten a second each
	life  func(v *villain) string
	want  string   // how connections should end
	also  []string // how they may end as well: who floods may miss the last word
}

var attacks = []*attack{
	{name: "handshake slowloris", about: "handshakes that come byte by byte, ten a second",
		conns: 1000, life: (*villain).slowHandshake, want: cutOff},
	{name: "message slowloris", about: "messages of 1 MiB that come byte by byte, ten a second",
		conns: 1000, life: (*villain).slowMessage, want: "closed with 1008"},
	{name: "ping flood", about: "pings without end",
		conns: 50, life: (*villain).pings, want: "closed with 1008", also: []string{cutOff}},
	{name: "tiny fragments", about: "messages in fragments of one byte, without end",
		conns: 50, life: (*villain).fragments, want: "closed with 1008", also: []string{cutOff}},
	{name: "close flood", about: "close frames without end",
		conns: 50, life: (*villain).closes, want: "closed with 1000", also: []string{cutOff}},
	{name: "header bomb", about: "handshakes with 1 MiB of headers",
		conns: 50, life: (*villain).headers, want: "answered with 431", also: []string{"answered with 400", cutOff}},
	{name: "refused origins", about: "upgrades from a page of another site",
		conns: 50, total: 10_000, life: (*villain).origin, want: "answered with 403"},
	{name: "limiter keys", about: "upgrades from 100,000 addresses, to a rate limit",
		conns: 10, total: 100_000 / addresses, life: (*villain).addresses, want: "refused from 100 addresses"},
}

// addresses is how many of them a connection of that attack makes up.
const addresses = 100

// How a connection ends beside the server's saying something.
const (
	cutOff   = "cut off"
	notEnded = "not ended in time"
	notBegun = "not accepted"
)

// grace is how long after the attack the last connections may end.
const grace = 20 * time.Second

const request = "GET / HTTP/1.1\r\nHost: site.example\r\n"

const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// villain is one hostile connection.
type villain struct {
	net.Conn
	r      *bufio.Reader
	number int       // the how-manieth it is
	end    time.Time // of its time
}

// assail has all villains of an attack do what they do, and prints how their connections ended.
func assail(o order) error {
	i := slices.IndexFunc(attacks, func(a *attack) bool { return a.name == o.Attack })
	if i < 0 {
		return fmt.Errorf("no attack %q", o.Attack)
	}
	a, end := attacks[i], time.Now().Add(o.Time)
	conns, total := max(int(float64(a.conns)*o.Share), 1), int(float64(a.total)*o.Share)
	every := 100 * time.Millisecond
	if total > 0 {
		every = o.Time * time.Duration(conns) / time.Duration(total)
		end = end.Add(grace)
	}
	var next atomic.Int64
	var mu sync.Mutex
	ends := make(map[string]int)
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for time.Now().Before(end) {
				n := int(next.Add(1))
				if total > 0 && n > total {
					return
				}
				how := once(a, o.Addr, n, end.Add(grace))
				mu.Lock()
				ends[how]++
				mu.Unlock()
				<-tick.C
			}
		})
	}
	wg.Wait()
	return json.NewEncoder(os.Stdout).Encode(ends)
}

// once is the life of the n-th connection.
func once(a *attack, addr string, n int, end time.Time) string {
	// From several addresses: one has too few ports for those that linger.
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%8))}, Deadline: end}
	nc, err := from.Dial("tcp", addr)
	if err != nil {
		return notBegun
	}
	defer nc.Close()
	_ = nc.SetDeadline(end)
	return a.life(&villain{Conn: nc, r: bufio.NewReader(nc), number: n, end: end})
}

// ended is what an error says about a connection's end.
func ended(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return notEnded
	}
	return cutOff
}

// slowly sends zeros, ten bytes a second, until the server has something to say.
func (v *villain) slowly(listen func() string) string {
	for time.Now().Before(v.end) {
		_ = v.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		switch _, err := v.r.Peek(1); {
		case err == nil:
			_ = v.SetReadDeadline(v.end)
			return listen()
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return cutOff
		}
		if _, err := v.Write([]byte{'0'}); err != nil {
			return cutOff
		}
	}
	return notEnded
}

func (v *villain) slowHandshake() string {
	if _, err := io.WriteString(v, request+"X-Slow: "); err != nil {
		return ended(err)
	}
	return v.slowly(v.answer)
}

// answer reads a response.
func (v *villain) answer() string {
	resp, err := http.ReadResponse(v.r, nil)
	if err != nil {
		return ended(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return fmt.Sprintf("answered with %d", resp.StatusCode)
}

// open opens a websocket.
func (v *villain) open() error {
	if _, err := io.WriteString(v, request+upgrade+"\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(v.r, nil)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("got %s", resp.Status)
	}
	return err
}

// frame is a frame with a masking key of zeros.
func frame(opcode byte, payload string) []byte {
	return append([]byte{opcode, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

func (v *villain) slowMessage() string {
	if err := v.open(); err != nil {
		return ended(err)
	}
	head := binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 1<<20)
	if _, err := v.Write(append(head, 0, 0, 0, 0)); err != nil {
		return ended(err)
	}
	return v.slowly(v.close)
}

// close reads frames, all of them short, to the close frame.
func (v *villain) close() string {
	for {
		var head [2]byte
		if _, err := io.ReadFull(v.r, head[:]); err != nil {
			return ended(err)
		}
		payload := make([]byte, head[1]&0x7f)
		if _, err := io.ReadFull(v.r, payload); err != nil {
			return ended(err)
		}
		if head[0] == 0x88 && len(payload) >= 2 {
			return fmt.Sprintf("closed with %d", binary.BigEndian.Uint16(payload))
		}
	}
}

// flood sends first, and then p again and again.
func (v *villain) flood(first, p []byte) string {
	if err := v.open(); err != nil {
		return ended(err)
	}
	go func() {
		p := bytes.Repeat(p, 1000)
		for _, err := v.Write(first); err == nil; {
			_, err = v.Write(p)
		}
	}()
	return v.close()
}

func (v *villain) pings() string { return v.flood(nil, frame(0x89, "ping")) }

func (v *villain) fragments() string { return v.flood(frame(0x02, "0"), frame(0x00, "0")) }

func (v *villain) closes() string { return v.flood(nil, frame(0x88, "\x03\xe8")) }

func (v *villain) headers() string {
	b := bytes.NewBufferString(request)
	for i := 0; b.Len() < 1<<20; i++ {
		fmt.Fprintf(b, "X-Header-%d: %d\r\n", i, i)
	}
	go v.Write(b.Bytes()) // the answer comes before all is sent
	return v.answer()
}

func (v *villain) origin() string {
	if _, err := io.WriteString(v, request+upgrade+"Origin: https://evil.example\r\n\r\n"); err != nil {
		return ended(err)
	}
	return v.answer()
}

// addresses makes up addresses, and an origin, so that the connections that the rate limit would allow are refused behind it.
func (v *villain) addresses() string {
	var b bytes.Buffer
	for i := range addresses {
		n := uint32(v.number*addresses + i)
		fmt.Fprintf(&b, "GET /limited HTTP/1.1\r\nHost: site.example\r\n%sOrigin: https://evil.example\r\nX-Forwarded-For: 10.%d.%d.%d\r\n\r\n",
			upgrade, byte(n>>16), byte(n>>8), byte(n))
	}
	go v.Write(b.Bytes())
	refused := 0
	for range addresses {
		switch how := v.answer(); how {
		case "answered with 403", "answered with 429":
			refused++
		default:
			return how
		}
	}
	return fmt.Sprintf("refused from %d addresses", refused)
}
