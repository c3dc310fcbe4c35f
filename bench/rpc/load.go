//go:build linux

package main

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
	"time"
)

// stall is how long a server may say nothing.
const stall = 20 * time.Second

// client is a connection with the requests that it sends over and over, as bytes,
// and the replies that it knows to expect.
type client struct {
	nc       net.Conn
	buf      *bufio.Reader
	requests []byte // frames
	replies  []byte // frames, as the server answered the first time
	got      []byte
}

// dial connects, and checks the replies to inFlight requests for what they mean.
func dial(addr string, s server, inFlight int) (*client, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc, buf: bufio.NewReaderSize(nc, 64<<10)}
	if err := c.begin(s, inFlight); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) begin(s server, inFlight int) error {
	if err := c.nc.SetDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	if err := c.upgrade(); err != nil {
		return err
	}
	var payloads [][]byte
	for id := 1; id <= inFlight; id++ {
		p, err := json.Marshal(envelope(s.jsonRPC, id))
		if err != nil {
			return err
		}
		payloads = append(payloads, p)
		c.requests = appendMasked(c.requests, p)
	}
	if _, err := c.nc.Write(c.requests); err != nil {
		return err
	}
	for i, q := range payloads {
		p, err := c.readFrame()
		if err != nil {
			return err
		}
		if err := check(s, i+1, q, p); err != nil {
			return err
		}
	}
	c.got = make([]byte, len(c.replies))
	return nil
}

func (c *client) upgrade() error {
	const head = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(c.nc, head); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.buf, nil)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = errors.New(resp.Status)
	}
	return err
}

func data(id int) post { return post{Room: "gophers", Text: "good morning, everybody", N: id} }

func envelope(jsonRPC bool, id int) any {
	if jsonRPC {
		return map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": data(id)}
	}
	return map[string]any{"id": id, "type": method, "data": data(id)}
}

// check says what is wrong with the reply p to the request q.
func check(s server, id int, q, p []byte) error {
	if s.name == servers[0].name {
		if !bytes.Equal(q, p) {
			return fmt.Errorf("%s is no echo of %s", p, q)
		}
		return nil
	}
	var r struct {
		ID           int
		Data, Result *post
		Error        any
	}
	if err := json.Unmarshal(p, &r); err != nil {
		return err
	}
	got := r.Data
	if s.jsonRPC {
		got = r.Result
	}
	if r.ID != id || r.Error != nil || got == nil || *got != data(id) {
		return fmt.Errorf("%s is no reply to %s", p, q)
	}
	return nil
}

// appendMasked appends a client's text frame of less than 64 KiB (RFC 6455 5.2).
func appendMasked(b, p []byte) []byte {
	const key = "\x12\x34\x56\x78"
	b = append(b, 0x81)
	if len(p) < 126 {
		b = append(b, 0x80|byte(len(p)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(len(p)))
	}
	b = append(b, key...)
	for i, x := range p {
		b = append(b, x^key[i%4])
	}
	return b
}

// readFrame reads a server's frame, whole messages of less than 64 KiB, and notes it as expected.
func (c *client) readFrame() ([]byte, error) {
	head := make([]byte, 2, 4)
	if _, err := io.ReadFull(c.buf, head); err != nil {
		return nil, err
	}
	n := int(head[1])
	if n == 126 {
		head = head[:4]
		if _, err := io.ReadFull(c.buf, head[2:]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(head[2:]))
	}
	if head[0] != 0x81 || n > 1<<16-1 || head[1] > 126 {
		return nil, fmt.Errorf("unexpected frame % x", head)
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(c.buf, p); err != nil {
		return nil, err
	}
	c.replies = append(append(c.replies, head...), p...)
	return p, nil
}

// run sends all requests in one write, waits for all replies, and begins again,
// until the time has come. It returns how many rounds that were.
func (c *client) run(until time.Time) (rounds int, err error) {
	if err := c.nc.SetDeadline(until.Add(stall)); err != nil {
		return 0, err
	}
	for time.Now().Before(until) {
		if _, err := c.nc.Write(c.requests); err != nil {
			return rounds, err
		}
		if _, err := io.ReadFull(c.buf, c.got); err != nil {
			return rounds, err
		}
		if !bytes.Equal(c.got, c.replies) {
			return rounds, fmt.Errorf("got %q, and the first time %q", c.got, c.replies)
		}
		rounds++
	}
	return rounds, nil
}
