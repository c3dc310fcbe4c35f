package interop

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestChat: two tabs talk, and go on by themselves after the server has been
// restarted. With PICTURES=DIR there are screenshots in DIR.
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
			tabs := start(t, script, "peers/chat.mjs", front(t, addr), browser, os.Getenv("PICTURES"))
			if got := tabs.says(); got != "restart" {
				t.Fatalf("tabs say %q, want restart", got)
			}
			chat.terminate()
			chat = start(t, program, "-addr", addr)
			chat.says()
			if _, err := io.WriteString(tabs.stdin, "\n"); err != nil {
				t.Fatal(err)
			}
			if got := tabs.says(); got != "talked" {
				t.Fatalf("tabs say %q, want talked", got)
			}
			tabs.succeeds()
			chat.terminate()
		})
	}
}
