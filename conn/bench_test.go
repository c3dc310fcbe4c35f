package conn_test

import (
	"context"
	"testing"

	"github.com/tidewire/ws/conn"
)

// BenchmarkEcho is a round trip of 32 bytes over TCP, both ends in this process.
func BenchmarkEcho(b *testing.B) {
	c, peer := mode{stream: overTCP}.pair(b, conn.Config{}, conn.Config{})
	ctx := context.Background()
	go echo(ctx, c)
	p := payload(32)
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		if err := peer.Write(ctx, conn.Binary, p); err != nil {
			b.Fatal(err)
		}
		if _, _, err := peer.AppendRead(ctx, buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
