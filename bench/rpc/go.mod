module github.com/tidewire/ws/bench/rpc

go 1.26.0

replace (
	github.com/tidewire/ws => ../../
	github.com/tidewire/ws/bench => ../
)

require (
	github.com/gorilla/websocket v1.5.3
	github.com/sourcegraph/jsonrpc2 v0.2.3
	github.com/tidewire/ws v0.0.0-00010101000000-000000000000
	github.com/tidewire/ws/bench v0.0.0-00010101000000-000000000000
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
