//go:build linux

package peer

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tidewire/ws/bench/load"
)

// loadFor is a small load that shows whether a server does what mode says.
func loadFor(mode Mode) load.Spec {
	spec := load.Spec{Kind: load.Echo, Conns: 3, Payload: load.Binary, Size: 1000, InFlight: 1}
	switch mode {
	case Text:
		spec.Payload = load.CJK
	case Deflate, Takeover:
		spec.Payload, spec.Deflate, spec.Takeover = load.JSON, true, mode == Takeover
	case Writers:
		spec.Kind, spec.Conns, spec.Fan = load.Fan, 1, Goroutines*Each
	case Mixed:
		spec.Kind, spec.Conns, spec.Payload = load.Fan, 6, load.JSON
		spec.Fan, spec.Numbered, spec.Mixed = 5, true, true
	case Broadcast, Prepared, Room:
		spec.Kind, spec.Fan, spec.Numbered = load.Fan, 5, true
	}
	return spec
}

// Every server must do, byte for byte, what each of its modes promises.
func TestModes(t *testing.T) {
	for _, s := range Servers {
		for mode := range s.Modes {
			t.Run(s.Name+"/"+string(mode), func(t *testing.T) {
				if raceEnabled && s == &gws && mode == Mixed {
					t.Skip("its Broadcaster looks at a connection's window without the connection's lock")
				}
				spec := loadFor(mode)
				spec.Raw = s.Role == Floor
				testLoad(t, s, Config{Mode: mode, Burst: spec.Fan}, spec)
			})
		}
	}
}

func TestPipelined(t *testing.T) {
	for _, s := range Servers {
		if s.Modes[Echo] != nil {
			t.Run(s.Name, func(t *testing.T) {
				spec := loadFor(Echo)
				spec.InFlight, spec.Raw = 64, s.Role == Floor
				testLoad(t, s, Config{Mode: Echo}, spec)
			})
		}
	}
}

func TestBehindChi(t *testing.T) {
	for _, s := range Servers {
		if s.serve(Config{Mode: Echo, Chi: true}) != nil && s.Role != Floor {
			t.Run(s.Name, func(t *testing.T) { testLoad(t, s, Config{Mode: Echo, Chi: true}, loadFor(Echo)) })
		}
	}
}

func TestUpgrades(t *testing.T) {
	for _, s := range Servers {
		if s.Modes[Echo] != nil && s.Role != Floor {
			t.Run(s.Name, func(t *testing.T) {
				testLoad(t, s, Config{Mode: Echo}, load.Spec{Kind: load.Upgrade, Conns: 2, Payload: load.Binary, Size: 1})
			})
		}
	}
}

// Text that is no UTF-8 must not come back.
func TestTextIsChecked(t *testing.T) {
	for _, s := range Servers {
		if s.Modes[Text] == nil || s.Role == Floor {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			c, err := gorillaClient.Dial("ws://" + listen(t, s, Config{Mode: Text}))
			if err != nil {
				t.Fatal(err)
			}
			conn := c.(*gorillaSession).Conn
			defer conn.Close()
			conn.SetReadDeadline(time.Now().Add(time.Minute))
			conn.WriteMessage(1, []byte("caf\xe9"))
			_, p, err := conn.ReadMessage()
			if timeout, ok := errors.AsType[net.Error](err); err == nil || ok && timeout.Timeout() {
				t.Errorf("%q came back, error %v; want the connection's end", p, err)
			}
		})
	}
}

func TestClients(t *testing.T) {
	addr := listen(t, &gorilla, Config{Mode: Echo})
	for _, c := range Clients {
		for _, kind := range []load.Kind{load.Echo, load.Upgrade} {
			t.Run(c.Name+"/"+string(kind), func(t *testing.T) {
				var out strings.Builder
				err := c.Main(load.Spec{Kind: kind, Addr: addr, Conns: 3, Size: 1000}, strings.NewReader("run 5ms\nrun 0s\n"), &out)
				checkRuns(t, out.String(), err)
			})
		}
	}
}

func testLoad(t *testing.T, s *Server, cfg Config, spec load.Spec) {
	spec.Addr, spec.PID = listen(t, s, cfg), os.Getpid()
	var out strings.Builder
	err := load.Main(spec, strings.NewReader("run 5ms\nrun 0s\n"), &out)
	checkRuns(t, out.String(), err)
}

// checkRuns looks at what a driver said to two runs, of which no window is too short for a message.
func checkRuns(t *testing.T, out string, err error) {
	t.Helper()
	lines := strings.Split(out, "\n")
	if err != nil || len(lines) != 4 {
		t.Fatalf("%q, error %v", out, err)
	}
	for _, line := range lines[1:3] {
		if !strings.HasPrefix(line, `{"Messages":`) || strings.HasPrefix(line, `{"Messages":0,`) {
			t.Error(line)
		}
	}
}

// listen serves s on a port of its own until the test ends.
func listen(t *testing.T, s *Server, cfg Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve(cfg)(ln)
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return ln.Addr().String()
}
