package interop

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestChat: two tabs talk, in several rooms; one is cut off and misses nothing;
// and they go on by themselves after the server has been restarted. With
// PICTURES=DIR there are screenshots in DIR.
func TestChat(t *testing.T) {
	browser, script := chromium(t), node(t)
	program := filepath.Join(t.TempDir(), "chat")
	if out, err := exec.Command("go", "build", "-C", "..", "-o", program, "./examples/chat").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cert := newCertificate(t)
	for name, front := range map[string]func(t *testing.T, backend string) string{
		"plain": func(t *testing.T, backend string) string { return "http://" + backend },
		"nginx-tls": func(t *testing.T, backend string) string {
			_, secure := startNginx(t, cert, backend)
			return "https://" + secure
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr := freeAddress(t)
			chat := start(t, program, "-addr", addr)
			if got, want := chat.says(), "chat: http://"+addr; got != want {
				t.Fatalf("chat says %q, want %q", got, want)
			}
			line := newCable(t, addr)
			tabs := start(t, script, "peers/chat.mjs", "http://"+line.addr(), front(t, addr), browser, os.Getenv("PICTURES"))
			for _, step := range []struct {
				want string
				do   func()
			}{
				{"cut", line.cut},
				{"mend", line.mend},
				{"restart", func() {
					chat.terminate()
					chat = start(t, program, "-addr", addr)
					chat.says()
				}},
			} {
				if got := tabs.says(); got != step.want {
					t.Fatalf("tabs say %q, want %s", got, step.want)
				}
				step.do()
				if _, err := io.WriteString(tabs.stdin, "\n"); err != nil {
					t.Fatal(err)
				}
			}
			if got := tabs.says(); got != "talked" {
				t.Fatalf("tabs say %q, want talked", got)
			}
			tabs.succeeds()
			chat.terminate()
		})
	}
}

// cable passes TCP connections on to a server, and can be cut.
type cable struct {
	ln net.Listener
	to string

	mu    sync.Mutex // guards all below
	off   bool
	conns []net.Conn
}

func newCable(t *testing.T, to string) *cable {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &cable{ln: ln, to: to}
	go w.serve()
	t.Cleanup(func() {
		_ = ln.Close()
		w.cut()
	})
	return w
}

func (w *cable) addr() string { return w.ln.Addr().String() }

func (w *cable) serve() {
	for {
		c, err := w.ln.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", w.to)
		if err != nil {
			_ = c.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, c, s)
		off := w.off
		w.mu.Unlock()
		if off {
			w.cut()
		}
		for from, to := range map[net.Conn]net.Conn{c: s, s: c} {
			go func() {
				_, _ = io.Copy(to, from)
				_, _ = c.Close(), s.Close()
			}()
		}
	}
}

// cut ends all connections, and those that are made until mend.
func (w *cable) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = true
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

func (w *cable) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = false
}
