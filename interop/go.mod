module github.com/tidewire/ws/interop

go 1.26.0

require github.com/tidewire/ws v0.0.0

require (
	github.com/dolthub/maphash v0.1.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

require (
	github.com/coder/websocket v1.8.15
	github.com/gorilla/websocket v1.5.3
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/lxzan/gws v1.8.9
)

replace github.com/tidewire/ws => ../
