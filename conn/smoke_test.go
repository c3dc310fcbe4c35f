package conn_test

import (
	"context"
	"net"
	"testing"

	"github.com/tidewire/ws/conn"
)

func tcpPair(t testing.TB, sc, cc conn.Config) (srv, cli *conn.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	b, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	cc.Client = true
	srv = conn.New(conn.NetTransport(a), sc)
	cli = conn.New(conn.NetTransport(b), cc)
	t.Cleanup(func() { srv.CloseNow(); cli.CloseNow() })
	return
}

func TestSmoke(t *testing.T) {
	srv, cli := tcpPair(t, conn.Config{}, conn.Config{})
	ctx := context.Background()
	done := make(chan error)
	go func() {
		for m, err := range srv.Messages(ctx) {
			if err != nil {
				done <- err
				return
			}
			if err := srv.Write(ctx, m.Type, m.Data); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for _, n := range []int{0, 1, 125, 126, 4096, 65535, 65536, 200000, 1 << 20} {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(i * 7)
		}
		if err := cli.Write(ctx, conn.Binary, p); err != nil {
			t.Fatal(n, err)
		}
		_, got, err := cli.Read(ctx)
		if err != nil {
			t.Fatal(n, err)
		}
		if string(got) != string(p) {
			t.Fatal(n, len(got))
		}
	}
	if err := cli.Close(ctx, conn.StatusNormal, "bye"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Log(context.Cause(srv.Context()), context.Cause(cli.Context()))
}

func BenchmarkEcho(b *testing.B) {
	srv, cli := tcpPair(b, conn.Config{}, conn.Config{})
	ctx := context.Background()
	go func() {
		for m, err := range srv.Messages(ctx) {
			if err != nil {
				return
			}
			if err := srv.Write(ctx, m.Type, m.Data); err != nil {
				return
			}
		}
	}()
	p := make([]byte, 32)
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		if err := cli.Write(ctx, conn.Binary, p); err != nil {
			b.Fatal(err)
		}
		if _, _, err := cli.AppendRead(ctx, buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSmokeCompressed(t *testing.T) {
	cfg := conn.Config{Compression: conn.Compression{ServerMaxWindowBits: 15, ClientMaxWindowBits: 10}}
	srv, cli := tcpPair(t, cfg, cfg)
	ctx := context.Background()
	go func() {
		for m, err := range srv.Messages(ctx) {
			if err != nil {
				t.Error(err)
				return
			}
			p, _ := conn.NewPrepared(m)
			if err := srv.WritePrepared(ctx, p); err != nil {
				t.Error(err)
				return
			}
			if err := srv.Write(ctx, m.Type, m.Data); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for _, n := range []int{0, 1, 125, 1000, 126, 4096, 65535, 65536, 200000, 1 << 20} {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte('a' + i*i%26)
		}
		if err := cli.Write(ctx, conn.Text, p); err != nil {
			t.Fatal(n, err)
		}
		for range 2 {
			_, got, err := cli.Read(ctx)
			if err != nil {
				t.Fatal(n, err)
			}
			if string(got) != string(p) {
				t.Fatal(n, len(got))
			}
		}
	}
	if err := cli.Close(ctx, conn.StatusNormal, "bye"); err != nil {
		t.Fatal(err)
	}
}
