package wstest_test

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/wstest"
)

func TestConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		server, client := wstest.Conns(conn.Config{}, conn.Config{})
		defer server.CloseNow()
		defer client.CloseNow()
		for range 2 {
			if err := client.Write(ctx, ws.Text, []byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
		var kept []byte
		for m, err := range server.Messages(ctx) {
			if err != nil || string(m.Data) != "hello" {
				t.Fatalf("%q, %v", m.Data, err)
			}
			if kept != nil {
				break
			}
			kept = m.Data
		}
		if !bytes.Equal(kept, []byte("\xdb\xdb\xdb\xdb\xdb")) {
			t.Errorf("what was kept is still %q", kept)
		}
		if got := client.RemoteAddr(); got.Network() != "memory" || got.String() != server.LocalAddr().String() {
			t.Errorf("connected to %v, want %v", got, server.LocalAddr())
		}
	})
}
