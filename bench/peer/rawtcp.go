//go:build linux

package peer

import "net"

var rawTCP = Server{
	Name:  "tcp",
	Role:  Floor,
	About: "no WebSocket: net.Conn, 64 KB buffer, each read written back as it is",
	Modes: map[Mode]Maker{Echo: rawEcho, Text: rawEcho},
}

func rawEcho(Config) func(net.Listener) error {
	return func(ln net.Listener) error {
		for {
			c, err := ln.Accept()
			if err != nil {
				return err
			}
			go rawServe(c)
		}
	}
}

func rawServe(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}
