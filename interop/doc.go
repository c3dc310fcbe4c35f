// Package interop holds tests only: of ws against other implementations, over
// loopback. Each client behaves in the same ways (peers/), each server has the
// same paths, and every pair with one end of ours is tried:
//
//	clients   ws.Dial, the npm package ws, Python's websockets, Chromium
//	servers   ws.Handler (also with TLS, behind nginx, and behind nginx with TLS), ws, websockets
//
// and two tabs of Chromium talk through examples/chat. Behind nginx and haproxy,
// which give up on silent connections, end the TLS, say who the client is, and are
// killed and started again, a server has to do the right thing. Compression is tried in
// every way that a peer can do it, also by gorilla/websocket, coder/websocket and
// lxzan/gws: with and without context takeover, in every window, and with messages
// that go out whole, in fragments, prepared, plain and empty between each other.
//
// A test whose peer is not installed is skipped, and says how to get it; with
// INTEROP=required in the environment it fails.
package interop
