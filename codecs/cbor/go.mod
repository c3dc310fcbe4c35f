module github.com/tidewire/ws/codecs/cbor

go 1.26.0

require (
	github.com/fxamacker/cbor/v2 v2.9.6
	github.com/tidewire/ws v0.0.0
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/x448/float16 v0.8.4 // indirect
)

replace github.com/tidewire/ws => ../../
