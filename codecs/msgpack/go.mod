module github.com/tidewire/ws/codecs/msgpack

go 1.26.0

require (
	github.com/tidewire/ws v0.0.0
	github.com/vmihailenco/msgpack/v5 v5.4.1
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
)

replace github.com/tidewire/ws => ../../
