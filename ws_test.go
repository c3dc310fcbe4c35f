package ws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
)

func TestCloseStatus(t *testing.T) {
	tests := []struct {
		err  error
		want ws.StatusCode
	}{
		{nil, 0},
		{io.EOF, 0},
		{context.Canceled, 0},
		{ws.Status(4001, "x"), 4001},
		{fmt.Errorf("wrapped: %w", ws.Status(4001, "")), 4001},
		{&ws.CloseError{Code: ws.StatusGoingAway, Sent: ws.StatusNormal}, ws.StatusGoingAway},
		{fmt.Errorf("wrapped: %w", &ws.CloseError{Code: ws.StatusNoStatus}), ws.StatusNoStatus},
		{&ws.ProtocolError{Code: ws.StatusInvalidData}, ws.StatusInvalidData},
		{errors.Join(ws.Status(4001, ""), &ws.CloseError{Code: ws.StatusAbnormal, Err: io.EOF}), ws.StatusAbnormal},
	}
	for _, tt := range tests {
		if got := ws.CloseStatus(tt.err); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestStatusText(t *testing.T) {
	for want, err := range map[string]error{
		"ws: close with 4001":                       ws.Status(4001, ""),
		"ws: close with 1008 (policy violation): x": ws.Status(ws.StatusPolicyViolation, "x"),
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

type point struct{ X, Y int }

// TestSendReceive has a server swap the coordinates of points, compressed and not.
func TestSendReceive(t *testing.T) {
	for _, mode := range []ws.CompressionMode{ws.CompressionOff, ws.CompressionNoTakeover, ws.CompressionTakeover} {
		forms(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
			h := handler(func(ctx context.Context, c *ws.Conn, m ws.Message) error {
				var points []point
				if err := c.Codec().Decode(m.Data, &points); err != nil {
					return err
				}
				for i, p := range points {
					points[i] = point{p.Y, p.X}
				}
				return ws.Send(ctx, c, points)
			})
			h.Options.Compression = mode
			s := inMemory(t, h)
			s.options.Compression = mode
			c := s.dial()
			for _, n := range []int{0, 1, 1000} {
				sent := make([]point, n)
				for i := range sent {
					sent[i] = point{i, -i}
				}
				if err := ws.Send(t.Context(), c, sent); err != nil {
					t.Fatal(err)
				}
				got, err := ws.Receive[[]point](t.Context(), c)
				if err != nil || len(got) != n {
					t.Fatalf("got %d points, %v; want %d", len(got), err, n)
				}
				for i, p := range got {
					if p != (point{-i, i}) {
						t.Fatalf("point %d is %v", i, p)
					}
				}
			}
		})
	}
}

// TestSendError: what can't be encoded is not sent, and the connection goes on.
func TestSendError(t *testing.T) {
	c := inMemory(t, &ws.Handler{Serve: echo}).dial()
	var unsupported *json.UnsupportedValueError
	err := ws.Send(t.Context(), c, math.Inf(1))
	if !errors.As(err, &unsupported) || !strings.HasPrefix(err.Error(), "ws: encode json: ") || strings.Count(err.Error(), "ws: ") != 1 {
		t.Errorf("got %v", err)
	}
	if err := ws.Send(t.Context(), c, "next"); err != nil {
		t.Fatal(err)
	}
	expectText(t, c, `"next"`)
}

// TestReceiveError: a message that can't be decoded is lost, and the connection goes on.
func TestReceiveError(t *testing.T) {
	c := inMemory(t, &ws.Handler{Serve: echo}).dial()
	for _, text := range []string{"", "{", `{"X":"no number"}`, `{"X":1}{"X":2}`, `{"X":3}`} {
		if err := c.Write(t.Context(), ws.Text, []byte(text)); err != nil {
			t.Fatal(err)
		}
		p, err := ws.Receive[point](t.Context(), c)
		if good := text == `{"X":3}`; good != (err == nil) || good && p.X != 3 {
			t.Errorf("%s: got %v, %v", text, p, err)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "ws: decode json: ") || errors.Is(err, net.ErrClosed)) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ws.Receive[point](ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	c.CloseNow()
	if _, err := ws.Receive[point](t.Context(), c); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if err := ws.Send(t.Context(), c, 1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// upside is a codec of binary messages: strings, their bytes inverted.
type upside struct{}

func (upside) Name() string { return "upside" }
func (upside) Binary() bool { return true }

func (upside) Append(b []byte, v any) ([]byte, error) {
	s, ok := v.(string)
	if !ok {
		return b, fmt.Errorf("no string: %T", v)
	}
	for i := range len(s) {
		b = append(b, ^s[i])
	}
	return b, nil
}

func (upside) Decode(p []byte, v any) error {
	b := make([]byte, len(p))
	for i := range p {
		b[i] = ^p[i]
	}
	*v.(*string) = string(b)
	return nil
}

// TestCodecs has the codec chosen by the subprotocol at both ends.
func TestCodecs(t *testing.T) {
	codecs := map[string]codec.Codec{"up": upside{}}
	h := &ws.Handler{Serve: echo, Options: ws.Options{Subprotocols: []string{"up", "other"}, Codecs: codecs}}
	for _, tt := range []struct {
		protocol string
		typ      ws.MessageType
		wire     string
	}{
		{"up", ws.Binary, "\x97\x96"},
		{"other", ws.Text, `"hi"`},
		{"", ws.Text, `"hi"`},
	} {
		s := inMemory(t, h)
		if s.options.Codecs = codecs; tt.protocol != "" {
			s.options.Subprotocols = []string{tt.protocol}
		}
		c := s.dial()
		if err := ws.Send(t.Context(), c, "hi"); err != nil {
			t.Fatal(err)
		}
		if typ, p, err := c.Read(t.Context()); err != nil || typ != tt.typ || string(p) != tt.wire {
			t.Errorf("subprotocol %q: got %v %q, %v", tt.protocol, typ, p, err)
		}
		if err := c.Write(t.Context(), tt.typ, []byte(tt.wire)); err != nil {
			t.Fatal(err)
		}
		if got, err := ws.Receive[string](t.Context(), c); err != nil || got != "hi" {
			t.Errorf("subprotocol %q: got %q, %v", tt.protocol, got, err)
		}
	}
}

func TestNewPrepared(t *testing.T) {
	greeting, err := ws.NewPrepared(ws.Message{Type: ws.Text, Data: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	s := inMemory(t, &ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error { return c.WritePrepared(ctx, greeting) }})
	expectText(t, s.dial(), "hello")
	expectText(t, s.dial(), "hello")
}
